# SPDX-License-Identifier: GPL-2.0
"""What the tests of failures share: hold a process at a named step, and see that nothing is left of a migration."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vmbeam_lab import guests
from vmbeam_lab.lab import Lab
from vmbeam_lab.migrate import Wrong, check_unhurt, vmbeam_migrate
from vmbeam_lab.migrate import vmbeam_status as status

HOLD = "/run/vmbeam/hold"
ROLLED_BACK, REFUSED, NO_DAEMON = 3, 2, 5


@dataclass
class Outcome:
    status: int
    report: dict[str, Any]
    told: str

    def __str__(self) -> str:
        return f"status {self.status}\n{self.told}\n{json.dumps(self.report)}"

    @property
    def words(self) -> str:
        return self.told + json.dumps(self.report)


class Migration:
    """vmbeam migrate under way, beside the test."""

    def __init__(self, lab: Lab, guest: str, source: str, dest: str) -> None:
        self._outcome: Outcome | None = None
        self._error: BaseException | None = None

        def run() -> None:
            try:
                self._outcome = Outcome(*vmbeam_migrate(lab, guest, source, dest))
            except BaseException as e:  # pylint: disable=broad-except
                self._error = e

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def end(self) -> Outcome:
        self._thread.join()
        if self._error:
            raise self._error
        assert self._outcome
        return self._outcome


class Hold:
    """A process that reaches the step stays there until it is released or killed."""

    def __init__(self, lab: Lab, system: str, step: str) -> None:
        self.lab, self.system, self.step = lab, system, step
        lab.run(system, f"mkdir -p {HOLD} && touch {HOLD}/{step}")

    def wait(self, migration: Migration) -> int:
        """The pid of the process that is held there."""
        def held() -> int:
            if migration.over:
                raise AssertionError(f"the migration ended before {self.step}: {migration.end()}")
            return int(self.lab.text(self.system, f"{HOLD}/{self.step}.held") or 0)

        return self.lab.waiter.until(f"{self.step} on {self.system}", held, patience=300, pause=0.5)

    def release(self) -> None:
        self.lab.run(self.system, f"rm -f {HOLD}/{self.step} {HOLD}/{self.step}.held")

    def kill(self, migration: Migration) -> None:
        pid = self.wait(migration)
        self.lab.run(self.system, f"kill -9 {pid}")
        self.release()


def settle(lab: Lab) -> None:
    """The daemon has nothing under way any more."""
    lab.waiter.until("the daemon to have settled", lambda: status(lab)["migration"] is None, lambda: str(status(lab)),
                     patience=300, pause=0.5)


@contextmanager
def stays_on_hv1(lab: Lab) -> Iterator[None]:
    """After what is done inside, u1 runs on hv1 and nowhere else, unhurt, and hv2 is as it was."""
    before, free = guests.guest_state(lab, "u1"), guests.free_mib(lab, "hv2")
    yield
    settle(lab)
    if not guests.has_guest(lab, "hv1", "u1"):
        raise Wrong("hv1 lost u1")
    if guests.has_guest(lab, "hv2", "u1"):
        raise Wrong("hv2 has u1, too")
    lab.waiter.until("u1 to answer", lambda: lab.answers("u1"))
    after, _ = check_unhurt(lab, "u1", before)
    if after.safe <= before.safe:
        raise Wrong(f"u1's disk stands still: {before}, {after}")
    lab.waiter.until("hv2 to have its memory back", lambda: guests.free_mib(lab, "hv2") == free,
                     lambda: guests.free_mib(lab, "hv2"))
    for h in ("hv1", "hv2"):
        if (left := json.loads(lab.run(h, "vmbeam export list --json"))):
            raise Wrong(f"{h} still has exports: {left}")


def refused(lab: Lab, words: str) -> None:
    """Nothing is touched, and the message says why."""
    outcome = Migration(lab, "u1", "hv1", "hv2").end()
    assert outcome.status == REFUSED, str(outcome)
    assert words in outcome.words, f"it does not say: {words}\n{outcome}"


__all__ = ["HOLD", "Hold", "Migration", "NO_DAEMON", "Outcome", "REFUSED", "ROLLED_BACK", "refused", "settle", "status", "stays_on_hv1"]
