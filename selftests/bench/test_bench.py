# SPDX-License-Identifier: GPL-2.0
"""make bench, its smallest size, each row once: that it works, not how fast."""

from pathlib import Path

from vmbeam_lab import bench
from vmbeam_lab.bench_memory import CASES
from vmbeam_lab.lab import Lab


def test_memory(systems_lab: Lab, tmp_path: Path) -> None:
    """Every row is measured; a second call finds nothing left to do; one row alone is measured again."""
    s = bench.mark(systems_lab, "this one")
    bench.Bench(s, tmp_path).measure([128], [], 1)
    b = bench.Bench(s, tmp_path)
    first = {r.row.name: r for r in b.runs["memory"].all}
    assert {name.split("/")[2] for name in first} == set(CASES)
    for r in first.values():
        v = r.values
        assert 0 < v["cpu_host_s"] <= v["cpu_s"] and 0 < v["seconds"] <= v["wall_s"] * 1.001, r
        assert v["bytes"] >= (128 << 20 if r.row.mib else 0), r
    assert first["memory/128/swap-2m"].values["frames_in_superpages"] == 128 * 256
    assert first["memory/128/swap-4k"].values["frames_in_superpages"] == 0
    b.measure([128], [], 1)
    assert {r.row.name: r for r in b.runs["memory"].all} == first
    b.measure([128], ["memory/128/swap-2m"], 1)
    again = {r.row.name: r for r in b.runs["memory"].all}
    assert [name for name in first if again[name] != first[name]] == ["memory/128/swap-2m"]
    assert {x["case"] for x in b.report()["ratios"]} == {"swap-2m", "swap-4k", "swap-4k-runs"}
    assert (tmp_path / "report.json").exists() and (tmp_path / "memory-time.svg").exists()
