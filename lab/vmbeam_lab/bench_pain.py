# SPDX-License-Identifier: GPL-2.0
"""What others feel of a migration: how late the ticks of guest VMs beside it are meanwhile; and how fast the guest VM that
moves is before and after."""

import contextlib
import json
import struct
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Iterator

from . import bench_migrate, guests
from .bench_cpu import account
from .bench_migrate import GUEST, HOWS, LOADS, PATIENCE, Limit, Migrations, Values, background, carry_probe
from .bench_runs import CPU, CUT, SPEEDS, STALL_MS, STALLS, Row
from .config import Config
from .errors import LabError
from .lab import Lab, at_once

SIZES = (1024,)
# Which guest VM looks, on which host VM. Of 64 MiB its kernel alone takes most.
PROBES = {"hv1": "u4", "hv2": "u5"}
PROBE_MIB = 96
PROBE_CHECKERS_MIB = 1
TICK_US = 1000
# Theirs alone: at the 100 ms of other guest VMs here, each tick is late by up to that. With 1 ms the emulator would do
# nothing else: a timer interrupt goes through three schedulers.
TIMER_MS = 10
TICKS = "/run/stalls"
# What /proc/uptime leaves away: a probe that has just started may seem to have started later than that.
UPTIME_S = 0.01
# How long nothing is done where nothing is to be seen.
QUIET_S = 20
# Before and after: so many passes over a part of the memory, one in each of so many ms. A minute. Not a round number: what
# else the guest VM does is done every so many ms, too, and all passes would meet with it, or none.
PASSES = 60
PASS_MS = 1009


def pass_mib(mib: int) -> int:
    """How much of a guest VM's memory a pass reads."""
    return mib // 16


def fitting(sizes: Iterable[int], free: int, c: Config) -> tuple[list[int], list[str]]:
    """As that of migrations, with a guest VM that looks on each host VM. 8 MiB are what Xen needs for one."""
    return bench_migrate.fitting(sizes, free, c, "pain rows", PROBE_MIB + 8)


def rows(sizes: Iterable[int]) -> list[Row]:
    return [Row("pain", mib, case) for mib in sizes for case in ("quiet", *(f"{how}-{load}" for load in LOADS for how in HOWS))]


def window(data: bytes, begin: float, end: float) -> list[int]:
    """Of what probe stalls printed: by how many us those ticks were late that were due between two times since the boot."""
    head, _, raw = data.partition(b"\n")
    try:
        told: dict[str, Any] = json.loads(head)
        start, step = told["uptime_us"] / 1e6, told["us"] / 1e6
    except (ValueError, KeyError, TypeError) as e:
        raise LabError(f"the probe of stalls did not print its ticks, but: {data[:200]!r}") from e
    late = [us for us, in struct.iter_unpack("<I", raw[:len(raw) // 4 * 4])]
    if begin + UPTIME_S < start or end > start + step * (len(late) + 1):
        raise LabError(f"the probe of stalls has ticks from {start:.2f} to {start + step * len(late):.2f} s, "
                       f"not all of the window from {begin:.2f} to {end:.2f} s")
    # The first tick is due a step after the start.
    return [us for n, us in enumerate(late, 1) if begin <= start + n * step <= end]


def quantile(values: list[int], percent: int) -> float:
    """In seconds, of us in order."""
    return values[min(len(values) * percent // 100, len(values) - 1)] / 1e6


def histogram(late: Iterable[int]) -> Values:
    counts = [0] * len(STALLS)
    edges = [ms * 1000 for ms in STALL_MS]
    for us in late:
        counts[bisect_left(edges, us)] += 1
    return dict(zip(STALLS, map(float, counts)))


def stalls(source: list[int], dest: list[int]) -> Values:
    """Of the ticks of both: on the host VM that the guest VM leaves, and on the one that it comes to."""
    late = sorted(source + dest)
    if not source or not dest:
        raise LabError(f"no ticks of {PROBES['hv1']} or {PROBES['hv2']} were due meanwhile")
    return {"ticks": float(len(late)), "p50_s": quantile(late, 50), "p90_s": quantile(late, 90), "p99_s": quantile(late, 99),
            "most_s": late[-1] / 1e6, "p99_source_s": quantile(sorted(source), 99), "p99_dest_s": quantile(sorted(dest), 99),
            **histogram(late)}


def speeds(before: str, after: str) -> Values:
    """From what probe speed printed, twice."""
    b, a = json.loads(before), json.loads(after)
    for told in (b, a):
        if told["passes"] != PASSES or not told["p50_us"]:
            raise LabError(f"the probe of the speed made no {PASSES} passes that can be timed, but: {told}")
    return {"pass_before_s": b["p50_us"] / 1e6, "pass_after_s": a["p50_us"] / 1e6, "slower": a["p50_us"] / b["p50_us"],
            "pass_before_most_s": b["most_us"] / 1e6, "pass_after_most_s": a["most_us"] / 1e6}


def end(lab: Lab) -> None:
    """No guest VM looks any more."""
    for h, g in PROBES.items():
        if guests.has_guest(lab, h, g):
            guests.guest_destroy(lab, h, g)


@dataclass
class Pain:
    moving: Migrations
    there: bool = False     # the guest VMs that look
    began: dict[str, float] = field(default_factory=dict)      # the window, by the uptime of each
    ended: dict[str, float] = field(default_factory=dict)

    @property
    def lab(self) -> Lab:
        return self.moving.lab

    def probes(self) -> None:
        """New ones for each session."""
        if self.there:
            return
        end(self.lab)
        at_once([lambda h=h, g=g: guests.guest_create(      # type: ignore[misc]
            self.lab, h, g, PROBE_MIB, 1, PROBE_CHECKERS_MIB, timer_ms=TIMER_MS) for h, g in PROBES.items()])
        for g in PROBES.values():
            carry_probe(self.lab, g, "/lab")
        self.there = True

    def uptimes(self) -> dict[str, float]:
        """Reads files: a process that starts there would be felt."""
        return {g: float(self.lab.text(g, "/proc/uptime").split()[0]) for g in PROBES.values()}

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        self.began = self.uptimes()
        yield
        self.ended = self.uptimes()

    def ticks(self, guest: str, pid: str) -> list[int]:
        """Ends its probe, and has those of the window."""
        lab = self.lab
        lab.run(guest, f"kill {pid}")
        lab.waiter.until(f"{guest}'s probe of stalls to end", lambda: not lab.succeeds(guest, f"kill -0 {pid} 2>/dev/null"))
        return window(lab.read(guest, TICKS), self.began[guest], self.ended[guest])

    def quiet(self) -> Values:
        with self.watched():
            before = account(self.lab)
            self.lab.run("host", f"sleep {QUIET_S}")
            used = account(self.lab).since(before)
        return {"seconds": used.ns / 1e9, **self.moving.host.values(used), CUT: 0.0}

    def migration(self, how: str, load: str, limit_s: float) -> Values:
        with self.moving.writer() if load == "busy" else contextlib.nullcontext():
            return self.moving.one(how, self.watched(), limit_s)

    def speed(self) -> str:
        """Of the guest VM that moves, by its own clock, with nothing else going on in it."""
        return self.lab.run(GUEST, f"/lab/probe speed {pass_mib(self.moving.mib)} {PASS_MS} {PASSES}", patience=PATIENCE)

    def one(self, case: str, limit_s: float) -> Values:
        lab, (source, dest) = self.lab, self.moving.where()
        before = self.speed()
        pids = {g: background(lab, g, f"/lab/probe stalls {TICK_US}", TICKS) for g in PROBES.values()}
        for g in pids:
            lab.waiter.until(f"{g}'s probe of stalls", lambda g=g: "}" in lab.text(g, TICKS))   # type: ignore[misc]
        how, _, load = case.partition("-")
        got = self.migration(how, load, limit_s) if load else self.quiet()
        late = {h: self.ticks(g, pids[g]) for h, g in PROBES.items()}
        return {**{name: got[name] for name in ("seconds", "wall_s", *CPU)}, **stalls(late[source], late[dest]),
                CUT: got[CUT], **(dict.fromkeys(SPEEDS, 0.0) if got[CUT] else speeds(before, self.speed()))}

    def measure(self, rows: list[Row], take: Callable[[Row, Values], None], limit: Limit) -> None:
        """Rows of one size, each once."""
        self.probes()
        for row in rows:
            limit_s = limit(row)
            self.moving.guest(row.mib)
            take(row, self.one(row.case, limit_s))
