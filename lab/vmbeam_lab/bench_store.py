# SPDX-License-Identifier: GPL-2.0
"""A directory of a bench: the raw runs of each part, the timelines, and what each start of the lab was that they are of.
build/bench is one; docs/performance/runs is another, which the page is made from and which gathers what several benches
measured."""

import json
import shutil
from pathlib import Path
from typing import Any

from . import bench_report, bench_timeline
from .bench_runs import VALUES, Runs


class Store:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs = {part: Runs(path / f"{part}.csv", part) for part in VALUES}
        self._starts = path / "starts.json"

    def starts(self) -> dict[str, dict[str, Any]]:
        """By boot: the machine, the versions, and all else that a figure depends on."""
        found: dict[str, dict[str, Any]] = {}
        if self._starts.exists():
            found = json.loads(self._starts.read_text(encoding="utf-8"))
        return found

    def add_starts(self, more: dict[str, dict[str, Any]]) -> None:
        """Those that no run is of any more are forgotten."""
        boots = {r.boot for kept in self.runs.values() for r in kept.all}
        known = {boot: about for boot, about in (self.starts() | more).items() if boot in boots}
        self.path.mkdir(parents=True, exist_ok=True)
        self._starts.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    def report(self) -> dict[str, Any]:
        rows = {row: runs for kept in self.runs.values() for row, runs in kept.rows().items()}
        made = bench_report.report(rows, self.starts())
        bench_timeline.attach(made, self.path)
        return made

    def take_over(self, other: "Store") -> None:
        """Each row that another one has takes the place of ours."""
        for part, kept in self.runs.items():
            kept.take_over(other.runs[part])
        for row in other.runs["timeline"].rows():
            name = bench_timeline.file_name(row)
            shutil.copy(other.path / name, self.path / name)
        self.add_starts(other.starts())
