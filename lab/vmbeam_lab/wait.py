# SPDX-License-Identifier: GPL-2.0
"""The one place that waits.

A wait ends when what is waited for is there, or when nothing has moved for a while. What moves is told by the caller:
lines of a console, bytes, a counter. The while is not counted by the clock on the wall but by how long the lab was
served: while its threads wait for a processor that others have, no time passes. It is longer on a slow machine.
"""

import time
from pathlib import Path
from typing import Callable, Protocol, TypeVar

from .errors import LabDied, LabError, Stalled

T = TypeVar("T")
PATIENCE = 120.0


class Awaited(Protocol):
    """What a wait has to know of the machine; machine.py has the one there is."""

    def pid(self) -> int | None: ...
    def check_alive(self, waiting_for: str) -> None: ...


class ServedClock:
    """Seconds in which the machine's threads had the processors that they wanted."""

    def __init__(self, machine: Awaited) -> None:
        self.machine = machine
        self.served = 0.0
        self.wall = time.monotonic()
        self.ran, self.waited = self._read()

    def _read(self) -> tuple[int, int]:
        ran = waited = 0
        pid = self.machine.pid()
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat") if pid else ():
            try:
                fields = path.read_text().split()
                ran += int(fields[0])
                waited += int(fields[1])
            except (OSError, ValueError, IndexError):
                pass    # that thread has ended, or this kernel does not count
        return ran, waited

    def now(self) -> float:
        wall = time.monotonic()
        ran, waited = self._read()
        d_ran, d_waited = max(0, ran - self.ran), max(0, waited - self.waited)
        share = d_ran / (d_ran + d_waited) if d_ran + d_waited else 1.0
        self.served += (wall - self.wall) * share
        self.wall, self.ran, self.waited = wall, ran, waited
        return self.served


class Waiter:
    """Waits on behalf of one machine. slowness stretches every patience: 1 on the machine that the lab was made on."""

    def __init__(self, machine: Awaited) -> None:
        self.machine = machine
        self.clock = ServedClock(machine)
        self.slowness = 1.0

    def watch(self, what: str, progress: Callable[[], object] | None = None, patience: float = PATIENCE) -> "Watch":
        return Watch(self, what, progress, patience * self.slowness)

    def until(self, what: str, done: Callable[[], T | None], progress: Callable[[], object] | None = None,
              patience: float = PATIENCE, pause: float = 0.2) -> T:
        """What done() returns as soon as that is true. A LabError of done() means "not yet"."""
        watch = self.watch(what, progress, patience)
        seen = "nothing"
        while True:
            try:
                result = done()
                if result:
                    return result
                seen = repr(result)
            except LabError as e:
                seen = str(e)
            watch.look(seen)
            time.sleep(pause)


class Watch:
    """One wait under way: look() raises when nothing has moved for too long, or the machine is dead."""

    def __init__(self, waiter: Waiter, what: str, progress: Callable[[], object] | None, patience: float) -> None:
        self.waiter, self.what, self.progress, self.patience = waiter, what, progress, patience
        self.began = time.monotonic()
        self.last: object = None
        self.moved()

    def moved(self) -> None:
        self.since = self.waiter.clock.now()

    def look(self, seen: str = "nothing") -> None:
        self.waiter.machine.check_alive(self.what)
        self.look_for_progress(seen)

    def look_for_progress(self, seen: str = "nothing") -> None:
        """Whatever has become of the machine."""
        if self.progress:
            try:
                now = self.progress()
            except LabDied:
                raise
            except LabError:
                now = self.last
            if now != self.last:
                self.last = now
                self.moved()
        still = self.waiter.clock.now() - self.since
        if still > self.patience:
            last = f"; the last sign of progress: {self.last}" if self.progress else ""
            raise Stalled(f"Gave up waiting for {self.what} after {time.monotonic() - self.began:.0f} s: nothing moved "
                          f"for {still:.0f} s of the lab's own time{last}; last seen: {seen}")
