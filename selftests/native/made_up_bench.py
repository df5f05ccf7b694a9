# SPDX-License-Identifier: GPL-2.0
"""Runs of a bench that nobody measured."""

from dataclasses import replace
from pathlib import Path

from vmbeam_lab import bench_pain
from vmbeam_lab.bench_runs import CUT, VALUES, Row, Run
from vmbeam_lab.bench_store import Store

# What a bench finds out of its lab.
ABOUT = {"vmbeam": "1", "build": "build", "boot": "b", "processor": "a processor", "kernel": "6.12", "accelerator": "TCG",
         "qemu": "QEMU 10", "xen": "4.20", "cpus": 5, "mib": 9216, "dom0_kernel": "6.12", "nested_xen": "4.20",
         "lab": {"hostvm_mib": 2560}, "iperf3": {"boot": "b", "options": "-Z", "tried": {"": 3.0, "-Z": 2.0}}}


def rows_of(*runs: Run) -> dict[Row, list[Run]]:
    found: dict[Row, list[Run]] = {}
    for r in runs:
        found.setdefault(r.row, []).append(r)
    return found


def measured(out: Path, *runs: Run) -> Path:
    """A directory of a bench that has these."""
    store = Store(out)
    for r in runs:
        store.runs[r.row.part].add(r)
    store.add_starts({r.boot: ABOUT | {"boot": r.boot} for r in runs})
    return out


def memory_run(case: str, seconds: float, n: int = 1, mib: int = 1024, boot: str = "b", cpu_s: float | None = None) -> Run:
    values = dict.fromkeys(VALUES["memory"], 0.0) | {"seconds": seconds, "wall_s": seconds, "bytes": float(mib << 20),
                                                     "cpu_s": seconds if cpu_s is None else cpu_s}
    return Run(Row("memory", mib, case), n, "build", boot, "2026-01-01T00:00:00Z", values)


def migration_run(case: str, mib: int, seconds: float, downtime: float, sent: float = 1e6, boot: str = "b") -> Run:
    values = dict.fromkeys(VALUES["migration"], 0.0) | {"seconds": seconds, "wall_s": seconds, "cpu_s": seconds, "bytes": sent,
                                                        "downtime_s": downtime, "phase_swap_s": 0.5, "phase_check_s": 0.25}
    return Run(Row("migration", mib, case), 1, "build", boot, "2026-01-01T00:00:00Z", values)


def cut(run: Run) -> Run:
    return replace(run, values=run.values | {CUT: 1.0, "downtime_s": 0.0})


def pain_run(case: str, late: list[int], after_us: int = 1000, mib: int = 1024, n: int = 1) -> Run:
    told = '{"passes":60,"p50_us":%d,"most_us":9000}'
    values = (dict.fromkeys(VALUES["pain"], 0.0) | {"seconds": 10.0} | bench_pain.stalls(late, late)
              | bench_pain.speeds(told % 1000, told % after_us))
    assert set(values) == set(VALUES["pain"])
    return Run(Row("pain", mib, case), n, "build", "b", "2026-01-01T00:00:00Z", values)
