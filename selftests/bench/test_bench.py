# SPDX-License-Identifier: GPL-2.0
"""make bench, its smallest size, each row once: that it works, not how fast."""

from pathlib import Path

import pytest

from vmbeam_lab import bench
from vmbeam_lab.bench_memory import CASES
from vmbeam_lab.bench_runs import Row
from vmbeam_lab.lab import Lab

MIB = 128


def rows(b: bench.Bench, part: str) -> list[Row]:
    return [row for row in b.rows([MIB]) if row.part == part]


@pytest.mark.soak
def test_memory(systems_lab: Lab, tmp_path: Path) -> None:
    """Every row is measured; a second call finds nothing left to do; one row alone is measured again."""
    s = bench.mark(systems_lab, "this one")
    first_one = bench.Bench(s, tmp_path)
    first_one.measure(rows(first_one, "memory"), 1)
    b = bench.Bench(s, tmp_path)
    first = {r.row.name: r for r in b.runs["memory"].all}
    assert {name.split("/")[2] for name in first} == set(CASES)
    for r in first.values():
        v = r.values
        assert 0 < v["cpu_host_s"] <= v["accounted_s"] and 0 < v["cpu_s"] <= v["accounted_s"], r
        assert 0 < v["seconds"] <= v["wall_s"] * 1.001, r
        assert v["bytes"] >= (MIB << 20 if r.row.mib else 0), r
    assert first[f"memory/{MIB}/swap-2m"].values["frames_in_superpages"] == MIB * 256
    assert first[f"memory/{MIB}/swap-4k"].values["frames_in_superpages"] == 0
    b.measure(rows(b, "memory"), 1)
    assert {r.row.name: r for r in b.runs["memory"].all} == first
    b.measure([Row("memory", MIB, "swap-2m")], 1, again=True)
    again = {r.row.name: r for r in b.runs["memory"].all}
    assert [name for name in first if again[name] != first[name]] == [f"memory/{MIB}/swap-2m"]
    assert {x["case"] for x in b.report()["ratios"]} == {"swap-2m", "swap-4k", "swap-4k-runs"}
    assert (tmp_path / "report.json").exists() and (tmp_path / "memory-time.svg").exists()


@pytest.mark.soak
def test_migrations(systems_lab: Lab, tmp_path: Path) -> None:
    """Each method moves the guest VM, unhurt, and what is counted is what it is known for: stock xl sends all the memory
    over the network, and VMBeam does not."""
    b = bench.Bench(bench.mark(systems_lab, "this one"), tmp_path)
    wanted = {"vmbeam-busy", "live-busy", "saved-idle"}
    b.measure([row for row in rows(b, "migration") if row.case in wanted], 1)
    found = {r.row.case: r.values for r in b.runs["migration"].all}
    assert set(found) == wanted
    for case, v in found.items():
        assert 0 < v["downtime_s"] <= v["seconds"] + 5 and 0 < v["cpu_s"], (case, v)
    assert all(found[case]["bytes"] > MIB << 20 for case in wanted if case != "vmbeam-busy")
    assert found["vmbeam-busy"]["bytes"] < MIB << 18 and found["vmbeam-busy"]["phase_swap_s"] > 0
    # All the while that it is saved and restored, it does not run.
    assert found["saved-idle"]["downtime_s"] > 0.5 * found["saved-idle"]["seconds"]
