# SPDX-License-Identifier: GPL-2.0
"""The raw runs of the measurements: rows, what is still to be measured, and the CSV files that keep them."""

import csv
import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Iterable

from .errors import LabError

# What one run of each part yields. Times are in seconds; cpu_*_s are of domains of the outer Xen, accounted_s is the sum of
# all of them, and cpu_s what is made of it: bench_cpu.py.
CPU = ("cpu_s", "accounted_s", "busy_s", "cpu_host_s", "cpu_hv1_s", "cpu_hv2_s")
# Of a vmbeam migration; others have none.
PHASES = ("check", "prepare", "suspend", "state", "quiesce", "swap", "commit", "resume")
# Of the ticks of other guest VMs: how many were late by at most so much, and by more than the one before it.
STALL_MS = tuple(2 ** n for n in range(15))
STALLS = (*(f"late_{ms}ms" for ms in STALL_MS), "late_more")
# Of the guest VM that moves, before and after.
SPEEDS = ("pass_before_s", "pass_after_s", "slower", "pass_before_most_s", "pass_after_most_s")
# Not nought where the bench has ended a migration that took too long: it takes more than the figures say.
CUT = "cut"
VALUES = {
    "memory": ("seconds", "wall_s", *CPU, "bytes", "frames_in_superpages", "max_pause_ns"),
    "migration": ("seconds", "wall_s", *CPU, "bytes", "downtime_s", "told_downtime_s", "pages_resent", CUT,
                  *(f"phase_{name}_s" for name in PHASES)),
    "timeline": ("seconds", "wall_s", *CPU, "downtime_s", "told_downtime_s", "traced_s", "explained_s", "clock_error_s"),
    "pain": ("seconds", "wall_s", *CPU, "ticks", "p50_s", "p90_s", "p99_s", "most_s", "p99_source_s", "p99_dest_s", *STALLS,
             CUT, *SPEEDS),
}
HEAD = ("row", "run", "build", "boot", "when")


@dataclass(frozen=True, order=True)
class Row:
    """What is measured several times: a part of the bench, how much memory, and which case."""
    part: str
    mib: int
    case: str

    @property
    def name(self) -> str:
        return f"{self.part}/{self.mib}/{self.case}"

    @staticmethod
    def parse(name: str) -> "Row":
        words = name.split("/")
        if len(words) != 3 or words[0] not in VALUES or not words[1].isdecimal():
            raise LabError(f"{name!r} is no row: one is PART/MIB/CASE, with PART one of {', '.join(VALUES)}")
        return Row(words[0], int(words[1]), words[2])


@dataclass(frozen=True)
class Run:
    """One measurement of a row. build says what was measured, boot in which start of the lab: runs of different ones
    cannot be compared with each other."""
    row: Row
    run: int
    build: str
    boot: str
    when: str
    values: dict[str, float]


class Runs:
    """The runs of one part, in a file: a line each, written when it is over. All runs of a row are of one build and
    boot: the first one of another replaces them."""

    def __init__(self, path: Path, part: str) -> None:
        self.path, self.part = path, part
        self.columns = (*HEAD, *VALUES[part])
        self.all: list[Run] = self._read() if path.exists() else []

    def _read(self) -> list[Run]:
        with self.path.open(newline="", encoding="utf-8") as f:
            lines = csv.DictReader(f)
            if tuple(lines.fieldnames or ()) != self.columns:
                raise LabError(f"{self.path} has other columns than this version writes: move it away")
            return [Run(Row.parse(line["row"]), int(line["run"]), line["build"], line["boot"], line["when"],
                        {name: float(line[name]) for name in VALUES[self.part]})
                    for line in lines]

    def _write(self) -> None:
        new = self.path.with_suffix(".new")
        new.parent.mkdir(parents=True, exist_ok=True)
        with new.open("w", newline="", encoding="utf-8") as f:
            out = csv.writer(f, lineterminator="\n")
            out.writerow(self.columns)
            for r in self.all:
                out.writerow([r.row.name, r.run, r.build, r.boot, r.when, *(f"{r.values[name]:.9g}" for name in VALUES[self.part])])
            f.flush()
            os.fsync(f.fileno())
        new.rename(self.path)

    def add(self, run: Run) -> None:
        missing = set(VALUES[self.part]) ^ set(run.values)
        if missing or run.row.part != self.part:
            raise LabError(f"{run.row.name}: not the values of {self.part}: {', '.join(sorted(missing))}")
        self.all = [r for r in self.all if r.row != run.row or (r.build, r.boot) == (run.build, run.boot) and r.run != run.run]
        self.all.append(run)
        self._write()

    def take_over(self, other: "Runs") -> None:
        """Each row of another file of the same part takes the place of ours."""
        rows = other.rows()
        if rows:
            self.all = [r for r in self.all if r.row not in rows] + [r for runs in rows.values() for r in runs]
            self._write()

    def drop(self, rows: Iterable[Row]) -> None:
        gone = set(rows)
        self.all = [r for r in self.all if r.row not in gone]
        if self.path.exists():
            self._write()

    def done(self, build: str, boot: str) -> set[tuple[Row, int]]:
        return {(r.row, r.run) for r in self.all if (r.build, r.boot) == (build, boot)}

    def rows(self) -> dict[Row, list[Run]]:
        found: dict[Row, list[Run]] = {}
        for r in self.all:
            found.setdefault(r.row, []).append(r)
        return {row: sorted(found[row], key=lambda r: r.run) for row in sorted(found)}


def chosen(rows: Iterable[Row], patterns: Iterable[str]) -> list[Row]:
    """Those that one of the patterns names; all of them without a pattern. A pattern that names none is an error."""
    rows, patterns = list(rows), list(patterns)
    for p in patterns:
        if not any(fnmatchcase(row.name, p) for row in rows):
            raise LabError(f"ROW={p} names no row; there are: {' '.join(row.name for row in rows)}")
    return [row for row in rows if not patterns or any(fnmatchcase(row.name, p) for p in patterns)]


def rounds(rows: Iterable[Row], runs: int, done: set[tuple[Row, int]]) -> list[tuple[int, list[Row]]]:
    """What is to be measured, in which order: each round runs every row once, so that whatever changes meanwhile on the
    machine, changes for all of them."""
    rows = list(rows)
    todo = ((n, [row for row in rows if (row, n) not in done]) for n in range(1, runs + 1))
    return [(n, left) for n, left in todo if left]
