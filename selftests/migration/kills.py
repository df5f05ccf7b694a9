# SPDX-License-Identifier: GPL-2.0
"""Migrations of u1, there and home, in each of which chance kills a process at a moment that chance chooses.

After each: exactly one u1 runs, unhurt; nothing is left of the migration on either side, and no operator was needed. All
that is drawn comes from one seed. What is going on when a kill comes is not drawn, so a seed brings the same plan, not
always the same fault.
"""

import json
import random
import time
from dataclasses import asdict, dataclass
from typing import Any, Callable

from failing import Hold, Migration, settle, status
from vmbeam_lab import guests
from vmbeam_lab.errors import LabError
from vmbeam_lab.lab import Lab
from vmbeam_lab.migrate import Wrong, check_unhurt
from vmbeam_lab.paths import say

# Where it is, and the command that kills it; "source" and "dest" are those of the migration. A process's name has 15
# characters for pkill. The oldest of its name is the agent itself, the others are its children.
VICTIMS = {
    "daemon": ("host", "pkill -9 -o -x vmbeamd"),
    "source's agent": ("source", "pkill -9 -o -x vmbeam-agent"),
    "destination's agent": ("dest", "pkill -9 -o -x vmbeam-agent"),
    "source's agent's child": ("source", "pkill -9 -n -x -P $(pgrep -o -x vmbeam-agent) vmbeam-agent"),
    "save helper": ("source", "pkill -9 -x libxl-save-help"),
    "restore helper": ("dest", "pkill -9 -x libxl-save-help"),
    "xl": ("dest", "pkill -9 -n -f '^xl restore -p'"),
}

HOLDS = (
    *(("host", f"vmbeamd:{step}") for step in ("check", "prepare", "suspend", "state", "quiesce", "swap", "swap-half",
                                               "commit", "resume")),
    *(("source", f"agent:{op}") for op in ("guest-check", "save-begin", "save-read", "export-begin", "export-half",
                                           "export-read", "save-go", "save-status", "needs", "export-sync", "quiesce",
                                           "quiesce-half", "export-arm", "destroy")),
    *(("source", f"helper:{step}") for step in ("prepare", "suspend", "state")),
    *(("dest", f"agent:{op}") for op in ("dest-check", "restore-begin", "restore-write", "restore-populated", "export-begin",
                                         "export-half", "export-read", "restore-end", "needs", "export-arm", "unpause",
                                         "export-release")),
)
# What a migration takes, until one was seen from its begin to its end.
LENGTH_S = 60.0
# So often another kill follows, while the one before is made good; and so many at most. It may hit what was started
# again after the one before.
ANOTHER = 0.9
OTHERS = 9
ANOTHER_WITHIN_S = 15.0


@dataclass
class Plan:
    """Drawn at once, whatever becomes of it."""
    hold: tuple[str, str] | None    # or else at this part of the time that a migration takes
    part: float
    kills: list[tuple[float, list[str]]]    # so long after the one before, the first victim that is there

    @staticmethod
    def draw(rng: random.Random) -> "Plan":
        def victims() -> list[str]:
            return rng.sample(sorted(VICTIMS), len(VICTIMS))

        held, hold, part = rng.random() < 0.5, rng.choice(HOLDS), rng.random()
        kills = [(0.0, victims())]
        while len(kills) <= OTHERS and rng.random() < ANOTHER:
            kills.append((rng.random() * ANOTHER_WITHIN_S, victims()))
        return Plan(hold if held else None, part, kills)

    @property
    def when(self) -> str:
        return " ".join(self.hold) if self.hold else f"{self.part:.2f} of the time"

    def __str__(self) -> str:
        return f"at {self.when}: " + ", ".join(f"after {s:.1f} s {'/'.join(victims)}" for s, victims in self.kills)


def other(hostvm: str) -> str:
    return "hv2" if hostvm == "hv1" else "hv1"


def pass_time(seconds: float, over: Callable[[], bool]) -> None:
    """Not for something to happen: the moment is to be any."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not over():
        time.sleep(max(0.0, min(0.2, until - time.monotonic())))


def domains(lab: Lab, hostvm: str) -> dict[str, str]:
    """Name and flags of each domain there."""
    lines = lab.run(hostvm, "xl list").splitlines()[1:]
    return {words[0]: words[-2] for words in map(str.split, lines)}


def journal_last(lab: Lab) -> dict[str, Any]:
    """The last record of a migration."""
    line = lab.run("host", "grep '\"migration\"' /var/lib/vmbeam/journal | tail -n 1").strip()
    got: dict[str, Any] = json.loads(line.partition(" ")[2]) if line else {}
    return got


class Kills:
    """u1 is on hv1, and nothing is under way."""

    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab, self.seed, self.rng = lab, seed, random.Random(seed)
        self.place, self.length = "hv1", LENGTH_S
        self.before = guests.guest_state(lab, "u1")
        self.free: dict[str, dict[str, int]] = {"hv1": self._free()}
        self.done: list[dict[str, Any]] = []

    @property
    def killed(self) -> int:
        return sum(len(round_["killed"]) for round_ in self.done)

    def run(self, number: int, written: Callable[[list[dict[str, Any]]], None] = lambda _: None) -> None:
        """Until so many processes were killed."""
        while self.killed < number:
            plan, began = Plan.draw(self.rng), time.monotonic()
            try:
                what = self._round(plan)
            except (LabError, AssertionError) as e:
                raise Wrong(f"LAB_SEED={self.seed}, after {self.killed} kills in {len(self.done)} migrations: "
                            f"{plan}: {e}") from e
            self.done.append(asdict(plan) | what | {"seconds": round(time.monotonic() - began)})
            say(f"{self.killed} of {number} kills (LAB_SEED={self.seed}): at {plan.when}: "
                f"killed {', '.join(what['killed']) or 'nobody'}; {what['outcome']}, u1 on {self.place}")
            written(self.done)

    def _round(self, plan: Plan) -> dict[str, Any]:
        lab = self.lab
        killed: list[str] = []
        hold = Hold(lab, self._system(plan.hold[0]), plan.hold[1]) if plan.hold else None
        began = time.monotonic()
        migration = Migration(lab, "u1", self.place, other(self.place))
        if hold:
            there = self._reached(hold, migration)
        else:
            pass_time(plan.part * self.length, lambda: migration.over)
            there = not migration.over
        if there:
            killed += self._kill_one(plan.kills[0][1])
        if hold:
            hold.release()
        for after_s, victims in plan.kills[1:] if killed else []:
            pass_time(after_s, lambda: False)
            if migration.over and self._finished():     # nothing is left to be hurt
                break
            killed += self._kill_one(victims)
        outcome = migration.end()
        if outcome.status == 0:
            self.length = time.monotonic() - began
        settle(lab)
        if outcome.report.get("outcome") in ("lost", "stuck", "forgotten"):
            raise Wrong(str(outcome))
        self._check()
        return {"killed": killed, "outcome": outcome.report.get("outcome", f"status {outcome.status}"), "place": self.place}

    def _system(self, side: str) -> str:
        return {"host": "host", "source": self.place, "dest": other(self.place)}[side]

    def _finished(self) -> bool:
        return journal_last(self.lab).get("state", "done") in ("done", "rolled-back")

    def _kill_one(self, victims: list[str]) -> list[str]:
        """The first of them that is there."""
        for victim in victims:
            system, command = VICTIMS[victim]
            if self.lab.succeeds(self._system(system), command):
                return [victim]
        return []

    def _reached(self, hold: Hold, migration: Migration) -> bool:
        try:
            hold.wait(migration)
        except AssertionError:      # it ended before that
            return False
        return True

    def _free(self) -> dict[str, int]:
        return {h: guests.free_mib(self.lab, h) for h in ("hv1", "hv2")}

    def _check(self) -> None:
        """Journal, both toolstacks, both modules, and what the guest VM has written down."""
        lab = self.lab
        flags = {h: domains(lab, h).get("u1") for h in ("hv1", "hv2")}
        there = [h for h, f in flags.items() if f is not None]
        if len(there) != 1 or set(flags[there[0]] or "") - set("-rb"):
            raise Wrong(f"not exactly one u1 runs: {flags}")
        self.place = there[0]
        last = journal_last(lab)
        if last and {"done": last["to"], "rolled-back": last["from"]}.get(last["state"]) != self.place:
            raise Wrong(f"u1 is on {self.place}, and the journal's last record is {last}")
        if (now := status(lab))["waiting"] or now["warnings"] or now["maintenance"]:
            raise Wrong(f"an operator is asked: {now}")
        for system, command in (("hv1", "export"), ("hv2", "export"), ("host", "transaction")):
            if (left := json.loads(lab.run(system, f"vmbeam {command} list --json"))):
                raise Wrong(f"{system} still has: {left}")
        lab.waiter.until("u1 to answer", lambda: lab.answers("u1"))
        after, _ = check_unhurt(lab, "u1", self.before)
        if after.safe <= self.before.safe:
            raise Wrong(f"u1's disk stands still: {self.before}, {after}")
        self.before = after
        wanted = self.free.setdefault(self.place, self._free())
        lab.waiter.until(f"the free memory to be {wanted}", lambda: self._free() == wanted, lambda: str(self._free()))
