# SPDX-License-Identifier: GPL-2.0
"""make bench, its smallest size, each row once: that it works, not how fast."""

from pathlib import Path

import pytest

from vmbeam_lab import bench, bench_memory, bench_pain, bench_timeline, guests
from vmbeam_lab.bench_memory import CASES
from vmbeam_lab.bench_runs import STALLS, Row
from vmbeam_lab.lab import Lab

MIB = 128


def rows(b: bench.Bench, part: str) -> list[Row]:
    return [row for row in b.rows([MIB]) if row.part == part]


def test_memory(systems_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row is measured; a second call finds nothing left to do; one row alone is measured again."""
    # Which of these is faster is of no interest here.
    monkeypatch.setattr(bench_memory, "IPERF3_OPTIONS", ("", "-Z"))
    monkeypatch.setattr(bench_memory, "IPERF3_TRIAL_MIB", 16)
    s = bench.mark(systems_lab, "this one")
    first_one = bench.Bench(s, tmp_path)
    first_one.measure(rows(first_one, "memory"), 1)
    b = bench.Bench(s, tmp_path)
    first = {r.row.name: r for r in b.runs["memory"].all}
    assert {name.split("/")[2] for name in first} == set(CASES)
    for r in first.values():
        v = r.values
        assert 0 < v["cpu_host_s"] <= v["accounted_s"] and 0 < v["cpu_s"] <= v["accounted_s"], r
        # iperf3's time is that of all bytes at the rate of those that it counts (next line): longer than what has passed.
        counted = v["bytes"] / (r.row.mib << 20) if r.row.case == "network" else 1
        assert 0 < v["seconds"] * counted <= v["wall_s"] * 1.001, r
        # iperf3 ends when all is sent, and does not count what is still in the buffers.
        assert v["bytes"] >= (r.row.mib << (19 if r.row.case == "network" else 20)), r
    assert first[f"memory/{MIB}/swap-2m"].values["frames_in_superpages"] == MIB * 256
    assert first[f"memory/{MIB}/swap-4k"].values["frames_in_superpages"] == 0
    b.measure(rows(b, "memory"), 1)
    assert {r.row.name: r for r in b.runs["memory"].all} == first
    b.measure([Row("memory", MIB, "swap-2m")], 1, again=True)
    again = {r.row.name: r for r in b.runs["memory"].all}
    assert [name for name in first if again[name] != first[name]] == [f"memory/{MIB}/swap-2m"]
    assert {x["case"] for x in b.report()["ratios"]} == {"swap-2m", "swap-4k", "swap-4k-runs"}
    assert (tmp_path / "report.json").exists() and (tmp_path / "memory-time.svg").exists()


def migrated(lab: Lab, out: Path, wanted: set[str]) -> dict[str, dict[str, float]]:
    """The values of each row."""
    b = bench.Bench(bench.mark(lab, "this one"), out)
    b.measure([row for row in rows(b, "migration") if row.case in wanted], 1)
    found = {r.row.case: r.values for r in b.runs["migration"].all}
    assert set(found) == wanted
    for case, v in found.items():
        assert 0 < v["downtime_s"] <= v["seconds"] + 5 and 0 < v["cpu_s"], (case, v)
    return found


def test_migrations(systems_lab: Lab, tmp_path: Path) -> None:
    """Each method moves the guest VM, unhurt, and what is counted is what it is known for: stock xl sends all the memory
    over the network, and VMBeam does not."""
    found = migrated(systems_lab, tmp_path, {"vmbeam-busy", "saved-idle"})
    assert found["saved-idle"]["bytes"] > MIB << 20
    assert found["vmbeam-busy"]["bytes"] < MIB << 18 and found["vmbeam-busy"]["phase_swap_s"] > 0
    # All the while that it is saved and restored, it does not run.
    assert found["saved-idle"]["downtime_s"] > 0.5 * found["saved-idle"]["seconds"]


@pytest.mark.soak
def test_live(systems_lab: Lab, tmp_path: Path) -> None:
    """By stock xl while it runs and writes: pages go more than once. And by VMBeam from where xl has brought it."""
    bench.let_xl_migrate(systems_lab)
    found = migrated(systems_lab, tmp_path, {"live-busy", "vmbeam-busy"})
    assert found["live-busy"]["bytes"] > MIB << 20 and found["live-busy"]["pages_resent"] > 0
    assert found["live-busy"]["downtime_s"] < found["live-busy"]["seconds"]


def test_timeline(systems_lab: Lab, tmp_path: Path) -> None:
    """One migration is traced, and the sum explains the pause. What is found has both agents' work, the processes, and what
    both modules did. Nothing is traced or logged by message afterwards."""
    b = bench.Bench(bench.mark(systems_lab, "this one"), tmp_path)
    b.measure([Row("timeline", MIB, "vmbeam-idle")], 1)
    v = b.runs["timeline"].all[0].values
    assert 0 < v["clock_error_s"] < v["traced_s"] / 10 and v["traced_s"] < v["seconds"], v
    assert bench_timeline.LEAST <= 100 * v["explained_s"] / v["told_downtime_s"] <= bench_timeline.MOST, v
    bars = b.report()["rows"][0]["timeline"]
    found = {(x["kind"], x["where"], x["what"].split()[0]) for x in bars}
    assert {("call", "source", "quiesce"), ("call", "destination", "restore-end"), ("path", "destination", "unpause"),
            ("path", "vmbeamd", "hypercall:"), ("process", "destination", "xl"), ("module", "host", "vmbeam_txn_batch"),
            ("module", "source", "vmbeam_export_arm"), ("module", "destination", "vmbeam_export_arm")} <= found, sorted(found)
    assert (tmp_path / f"timeline-{MIB}-vmbeam-idle.svg").exists() and (tmp_path / f"timeline-{MIB}-vmbeam-idle/hv1.trace").exists()
    for system, daemon in (("host", "vmbeamd"), ("hv1", "vmbeam-agent"), ("hv2", "vmbeam-agent")):
        assert not systems_lab.succeeds(system, f"test -d {bench_timeline.BUFFER}")
        environment = systems_lab.run(system, f"tr '\\0' '\\n' </proc/$(pgrep -o -x {daemon})/environ")
        assert "VMBEAM_DEBUG" not in environment


@pytest.mark.soak
def test_pain(systems_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guest VMs on both host VMs tick while another one moves, and while nothing does; it makes its passes before and
    after; and those that looked are gone at the end."""
    monkeypatch.setattr(bench_pain, "PASSES", 5)
    bench.let_xl_migrate(systems_lab)
    b = bench.Bench(bench.mark(systems_lab, "this one"), tmp_path)
    wanted = {"quiet", "vmbeam-idle", "live-busy"}
    b.measure([row for row in rows(b, "pain") if row.case in wanted], 1)
    found = {r.row.case: r.values for r in b.runs["pain"].all}
    assert set(found) == wanted
    for case, v in found.items():
        # A tick each ms, in two guest VMs: the window is the migration and what it takes to read the clocks.
        assert 2 * 990 * v["seconds"] <= v["ticks"] <= 2 * 1000 * (v["seconds"] + 30), (case, v)
        assert v["p50_s"] <= v["p90_s"] <= v["p99_s"] <= v["most_s"] <= v["seconds"] + 5 and v["most_s"] > 0, (case, v)
        assert sum(v[name] for name in STALLS) == v["ticks"], (case, v)
        assert 0 < v["pass_before_s"] <= v["pass_before_most_s"] and 0 < v["pass_after_s"] <= v["pass_after_most_s"], (case, v)
    # Their timer is finer than that of other guest VMs here, or the floor would be half of 100 ms.
    assert found["quiet"]["p50_s"] < 0.03, found["quiet"]
    assert not any(guests.has_guest(systems_lab, h, g) for h, g in bench_pain.PROBES.items())
    assert (tmp_path / "pain-stalls-idle.svg").exists() and (tmp_path / "pain-stalls-busy.svg").exists()
