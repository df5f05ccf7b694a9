# SPDX-License-Identifier: GPL-2.0
"""The lab's driver over a made-up machine: its waits, QEMU's monitor, its starts. What only a lab can show is in
migration/test_lab.py."""
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vmbeam_lab import evidence, snapshot, wait
from vmbeam_lab.config import Config
from vmbeam_lab.errors import LabDied, LabError, Stalled
from vmbeam_lab.lab import Lab
from vmbeam_lab.machine import DEADLY, Machine
from vmbeam_lab.wait import ServedClock, Waiter

# Waiting


class Time:
    """Of the clock on the wall: it goes on while somebody sleeps, and at once."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: Callable[[float], None] = lambda _: None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept(seconds)


class Alive:
    def __init__(self) -> None:
        self.died = ""

    def pid(self) -> int | None:
        return None

    def check_alive(self, waiting_for: str) -> None:
        if self.died:
            raise LabDied(f"{self.died} while waiting for {waiting_for}")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    made_up = Time()
    monkeypatch.setattr(wait, "time", made_up)
    return made_up


@pytest.fixture
def waiter(clock: Time) -> Waiter:
    return Waiter(Alive())


def test_waits_as_long_as_there_is_progress(clock: Time, waiter: Waiter) -> None:
    """A hundred times its patience, if it must."""
    end = clock.now + 1000
    assert waiter.until("the end", lambda: clock.now > end, lambda: int(clock.now / 9), patience=10, pause=1) is True
    assert clock.now > end


def test_gives_up_when_nothing_moves(clock: Time, waiter: Waiter) -> None:
    """It says for how long, and what was seen last. Patience is stretched by the machine's slowness."""
    began, waiter.slowness = clock.now, 3.0

    def seen() -> bool:
        raise LabError(f"not at {clock.now - began:.0f} s")

    with pytest.raises(Stalled, match=r"waiting for it after 51 s: nothing moved for 31 s .* progress: 20; .* not at 51 s"):
        waiter.until("it", seen, lambda: min(20, int(clock.now - began)), patience=10, pause=1)


def test_sign_of_progress_that_cannot_be_had_is_none(clock: Time, waiter: Waiter) -> None:
    signs = iter(range(100))

    def sign() -> int:
        if clock.now < 1020:
            return next(signs)
        raise LabError("it does not answer")

    with pytest.raises(Stalled, match="nothing moved for 11 s .* the last sign of progress: 19"):
        waiter.until("it", lambda: False, sign, patience=10, pause=1)


@pytest.mark.parametrize("where", ["machine", "sign"])
def test_death_ends_the_wait(clock: Time, waiter: Waiter, where: str) -> None:
    """At once, however patient it is."""
    def dies(_: float) -> None:
        if clock.now > 1005:
            waiter.machine.died = "the lab ended"       # type: ignore[attr-defined]

    def sign() -> int:
        if where == "sign" and clock.now > 1005:
            raise LabDied("u1 hangs at boot")
        return 1

    if where == "machine":
        clock.slept = dies
    with pytest.raises(LabDied, match="the lab ended while waiting for it|u1 hangs at boot"):
        waiter.until("it", lambda: False, sign, patience=1000, pause=1)
    assert clock.now < 1008


def test_time_in_which_the_lab_was_not_served_does_not_count(clock: Time, waiter: Waiter,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    """Its threads had a tenth of the time that they wanted."""
    monkeypatch.setattr(ServedClock, "_read", lambda self: (int(clock.now * 1e8), int(clock.now * 9e8)))
    waiter.clock = ServedClock(waiter.machine)
    with pytest.raises(Stalled):
        waiter.until("it", lambda: False, patience=10, pause=1)
    assert 1100 <= clock.now <= 1103


def test_served_time_is_read_of_a_process(clock: Time) -> None:
    """All the time, of one that nobody disturbs; threads that end do not turn it back."""
    class Self(Alive):
        def pid(self) -> int | None:
            return os.getpid()

    served = ServedClock(Self())
    assert served.ran > 0
    thread = threading.Thread(target=lambda: sum(range(1000000)))
    thread.start()
    thread.join()
    before = served.now()
    clock.now += 5
    assert before <= served.now() <= before + 5

# The machine


QEMU = """
import json, os, signal, socket, sys, time
directory, does, says = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
signal.signal(signal.SIGTERM, signal.SIG_IGN if does == "stay" else signal.SIG_DFL)
s = socket.socket(socket.AF_UNIX)
s.bind(directory + "/qmp")
s.listen()
open(directory + "/qemu.pid", "w").write(str(os.getpid()))
while True:
    c = s.accept()[0]
    f = c.makefile("rw")
    def say(what):
        f.write(json.dumps(what) + "\\n")
        f.flush()
    say({"QMP": {}})
    for line in f:
        asked = json.loads(line)["execute"]
        if asked == "qmp_capabilities":
            say({"return": {}})
            continue
        say({"event": "TRAY_MOVED"})
        if does == "hang":
            time.sleep(1000)
        if does == "die":
            os.kill(os.getpid(), 9)
        if does == "work":
            until = time.monotonic() + 4
            while time.monotonic() < until:
                pass
        say(says.pop(0) if len(says) > 1 else says[0])
"""


class MadeUpQemu:
    def __init__(self, directory: Path) -> None:
        self.machine = Machine(directory)
        self.machine.serial.write_bytes(b"a console\n")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, does: str = "answer", *says: dict[str, Any]) -> Machine:
        self.process = subprocess.Popen([sys.executable, "-c", QEMU, self.machine.dir, does, json.dumps(says or [{"return": {}}])])
        # Nobody else reaps it, and one that is not reaped has not ended.
        threading.Thread(target=self.process.wait, daemon=True).start()
        Waiter(Alive()).until("the made-up QEMU", self.machine.pid, pause=0.02)
        return self.machine


@pytest.fixture
def qemu(tmp_path: Path) -> Iterator[MadeUpQemu]:
    made_up = MadeUpQemu(tmp_path)
    yield made_up
    if made_up.process:
        made_up.process.kill()


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a minute is half a second."""
    watch = Waiter.watch
    monkeypatch.setattr(Waiter, "watch", lambda self, what, progress=None, patience=wait.PATIENCE:
                        watch(self, what, progress, patience / 60))


def test_qemu_answers(qemu: MadeUpQemu) -> None:
    """What it tells unasked is passed over."""
    machine = qemu.start("answer", {"return": "on 0"}, {"error": {"desc": "no such thing"}})
    assert machine.monitor("info status") == "on 0"
    with pytest.raises(LabError, match="QEMU refuses stop: no such thing"):
        machine.qmp("stop")


def test_qemu_that_does_not_answer(qemu: MadeUpQemu, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    machine = qemu.start("hang")
    with pytest.raises(Stalled, match="waiting for QEMU to answer query-status"):
        machine.qmp("query-status")


def test_qemu_that_works_is_waited_for(qemu: MadeUpQemu, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as long as one that does nothing."""
    impatient(monkeypatch)
    assert qemu.start("work", {"return": 7}).qmp("query-status") == 7


def test_qemu_that_dies_ends_the_wait(qemu: MadeUpQemu) -> None:
    machine = qemu.start("die")
    with pytest.raises(LabDied):
        machine.qmp("query-status")
    machine.waiter.clock = Waiter(Alive()).clock
    with pytest.raises(LabDied, match="the lab ended while waiting for the moon; the end of its console:\na console"):
        machine.waiter.until("the moon", lambda: False)


def test_host_vm_that_died_ends_the_wait(qemu: MadeUpQemu) -> None:
    machine = qemu.start()
    machine.check_alive("the moon")
    machine.serial.write_bytes(b"(XEN) " + DEADLY + b"\n")
    with pytest.raises(LabDied, match="a host VM died while waiting for the moon"):
        machine.check_alive("the moon")


def test_state_is_waited_for(qemu: MadeUpQemu) -> None:
    machine = qemu.start("answer", *({"return": {"status": s}} for s in ("setup", "active", "active", "completed")))
    machine.migration_wait("the machine's state to be read")
    assert qemu.machine.qmp("query-migrate")["status"] == "completed"


def test_state_that_cannot_be_read(qemu: MadeUpQemu) -> None:
    machine = qemu.start("answer", {"return": {"status": "failed", "error-desc": "no space"}})
    with pytest.raises(LabError, match="the machine's state to be read failed: no space"):
        machine.migration_wait("the machine's state to be read")


def test_state_that_stands_still(qemu: MadeUpQemu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "effort", lambda self: "the same")
    impatient(monkeypatch)
    machine = qemu.start("answer", {"return": {"status": "active"}})
    with pytest.raises(Stalled, match="waiting for the machine's state to be read"):
        machine.migration_wait("the machine's state to be read")


@pytest.mark.parametrize("does", ["answer", "stay"])
def test_machine_is_stopped(qemu: MadeUpQemu, monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    """By SIGKILL, if SIGTERM does not do; also when a host VM is dead."""
    impatient(monkeypatch)
    machine = qemu.start(does)
    machine.serial.write_bytes(DEADLY)
    assert qemu.process
    machine.stop()
    assert machine.pid() is None and not (machine.dir / "qmp").exists()
    assert qemu.process.wait(60) == -(signal.SIGTERM if does == "answer" else signal.SIGKILL)
    machine.stop()      # and once more, when there is none

# Starting


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr(snapshot, "restarts", [])
    monkeypatch.setattr(evidence, "TOP", tmp_path)
    return Lab(Config(state="guests"), tmp_path / "lab")


def test_start_that_hangs_is_tried_once_more(lab: Lab, tmp_path: Path) -> None:
    """It is counted, and what could be seen of it is kept."""
    tries: list[int] = []

    def start() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise Stalled("Gave up waiting for hv1\nand more")

    snapshot._patiently(lab, start)     # pylint: disable=protected-access
    assert len(tries) == 2 and snapshot.restarts == ["Gave up waiting for hv1"]
    assert [p.read_text(encoding="utf-8") for p in tmp_path.glob("build/hung/*/why")] == ["Gave up waiting for hv1\nand more\n"]


def test_start_that_hangs_twice_fails(lab: Lab) -> None:
    tries: list[int] = []

    def start() -> None:
        tries.append(1)
        raise LabDied("the lab ended")

    with pytest.raises(LabDied):
        snapshot._patiently(lab, start)     # pylint: disable=protected-access
    assert len(tries) == 2 and snapshot.restarts == ["the lab ended"]


def test_other_errors_are_not_tried_again(lab: Lab) -> None:
    tries: list[int] = []

    def start() -> None:
        tries.append(1)
        raise LabError("QEMU does not start")

    with pytest.raises(LabError):
        snapshot._patiently(lab, start)     # pylint: disable=protected-access
    assert len(tries) == 1 and not snapshot.restarts
