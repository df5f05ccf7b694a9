# SPDX-License-Identifier: GPL-2.0
"""What make bench does beside measuring: rows and rounds, the files of raw runs, reading what tools print, the report."""

import json
import math
import re
import struct
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from made_up_bench import cut, memory_run, migration_run, pain_run, rows_of
from vmbeam_lab import bench, bench_cpu, bench_memory, bench_migrate, bench_pain, bench_plot, bench_report
from vmbeam_lab.bench_runs import PHASES, STALL_MS, STALLS, VALUES, Row, Runs, chosen, rounds
from vmbeam_lab.config import Config
from vmbeam_lab.errors import LabError
from vmbeam_lab.lab import Lab
from vmbeam_lab.paths import TOP

HOST = bench_cpu.Host({0: "host", 1: "hv1", 2: "hv2"})


def test_runs_are_kept(tmp_path: Path) -> None:
    """Each is in the file as soon as it is over, and is read again as it was."""
    runs = Runs(tmp_path / "x/memory.csv", "memory")
    for n in (1, 2):
        runs.add(memory_run("memcpy", 0.1234567890123 * n, n))
        assert len((tmp_path / "x/memory.csv").read_text(encoding="utf-8").splitlines()) == 1 + n
    again = Runs(tmp_path / "x/memory.csv", "memory")
    assert [r.run for r in again.all] == [1, 2] and again.all[0].values["seconds"] == pytest.approx(0.1234567890123)
    assert again.done("build", "b") == {(Row("memory", 1024, "memcpy"), 1), (Row("memory", 1024, "memcpy"), 2)}
    assert not again.done("build", "another boot") and not again.done("another build", "b")


def test_other_columns(tmp_path: Path) -> None:
    (tmp_path / "memory.csv").write_text("row,run\nmemory/1/memcpy,1\n", encoding="utf-8")
    with pytest.raises(LabError, match="other columns"):
        Runs(tmp_path / "memory.csv", "memory")


def test_one_boot_per_row(tmp_path: Path) -> None:
    """A run of another boot replaces what that row had, and leaves the other rows alone; one of the same number itself."""
    runs = Runs(tmp_path / "memory.csv", "memory")
    for n in (1, 2):
        runs.add(memory_run("memcpy", 1.0, n))
        runs.add(memory_run("swap-2m", 1.0, n))
    runs.add(memory_run("memcpy", 2.0, 1, boot="later"))
    found = runs.rows()
    assert [(r.boot, r.values["seconds"]) for r in found[Row("memory", 1024, "memcpy")]] == [("later", 2.0)]
    assert len(found[Row("memory", 1024, "swap-2m")]) == 2
    runs.add(memory_run("swap-2m", 3.0, 2))
    assert [r.values["seconds"] for r in runs.rows()[Row("memory", 1024, "swap-2m")]] == [1.0, 3.0]
    runs.drop([Row("memory", 1024, "swap-2m")])
    assert list(Runs(tmp_path / "memory.csv", "memory").rows()) == [Row("memory", 1024, "memcpy")]


def test_values_are_complete(tmp_path: Path) -> None:
    run = memory_run("memcpy", 1.0)
    with pytest.raises(LabError, match="max_pause_ns"):
        values = {k: v for k, v in run.values.items() if k != "max_pause_ns"}
        Runs(tmp_path / "memory.csv", "memory").add(replace(run, values=values))


@pytest.mark.parametrize("name", ["memory/128", "nothing/128/x", "memory/large/x", "memory/1/2/3"])
def test_no_row(name: str) -> None:
    with pytest.raises(LabError, match="is no row"):
        Row.parse(name)


def test_chosen() -> None:
    rows = bench_memory.rows([128, 256])
    assert Row.parse("memory/128/swap-2m") in rows and rows[-1].name == "memory/0/background"
    assert chosen(rows, []) == rows
    assert [r.name for r in chosen(rows, ["memory/*/memcpy"])] == ["memory/128/memcpy", "memory/256/memcpy"]
    with pytest.raises(LabError, match="memory/1/memcpy names no row"):
        chosen(rows, ["memory/128/memcpy", "memory/1/memcpy"])


def test_rounds() -> None:
    """Every row once in each round, and what is done is left out."""
    one, two = rows = [Row("memory", 128, "memcpy"), Row("memory", 128, "network")]
    assert rounds(rows, 2, set()) == [(1, [one, two]), (2, [one, two])]
    assert rounds(rows, 3, {(one, 1), (two, 1), (one, 3)}) == [(2, [one, two]), (3, [two])]


def test_fitting() -> None:
    fit, no = bench_memory.fitting((128, 1024), 2000, Config(mib=9216))
    assert fit == [128] and len(no) == 1 and "LAB_MIB=9728" in no[0]
    assert bench_memory.fitting((128, 1024), bench_memory.need_mib(1024), Config())[0] == [128, 1024]


def test_account() -> None:
    before = bench_cpu.Account.parse({"ns": 5, "busy_ns": 7, "domains": {"0": 10, "1": 20, "9": 1}})
    after = bench_cpu.Account.parse({"ns": 2_000_000_005, "busy_ns": 3_000_000_007,
                                     "domains": {"0": 1_000_000_010, "1": 500_000_020, "2": 250_000_000, "7": 250_000_000}})
    values = HOST.values(after.since(before))
    assert values == {"wall_s": 2.0, "cpu_s": 2.0, "accounted_s": 2.0, "busy_s": 3.0, "cpu_host_s": 1.0, "cpu_hv1_s": 0.5,
                      "cpu_hv2_s": 0.25}


def test_by_turns() -> None:
    """Processors of an emulator on one thread never use more than what passes."""
    used = bench_cpu.Account(2_000_000_000, 0, {0: 2_000_000_000, 1: 1_500_000_000})
    assert HOST.values(used)["cpu_s"] == 3.5
    values = bench_cpu.Host(HOST.names, by_turns=True).values(used)
    assert values["cpu_s"] == 2.0 and values["accounted_s"] == 3.5 and values["cpu_hv1_s"] == 1.5
    idle = bench_cpu.Account(2_000_000_000, 0, {0: 500_000_000})
    assert bench_cpu.Host(HOST.names, by_turns=True).values(idle)["cpu_s"] == 0.5


def test_domain_names() -> None:
    listed = """Name                                        ID   Mem VCPUs	State	Time(s)
Domain-0                                     0  1536     1     r-----     100.1
hv1                                          3  2560     2     -b----      10.5
(null)                                       4     0     1     --p--d       0.0
"""
    assert bench_cpu.domain_names(listed) == {0: "host", 3: "hv1", 4: "(null)"}


def test_tool() -> None:
    """A line as bench_memory prints it."""
    line = ('{"case":"swap-2m","mib":128,"frames_in_superpages":32768,"max_pause_ns":1234,"ns":2500000,"busy_ns":3000000,'
            '"domains":{"0":2400000,"1":100000,"2":50000}}')
    case, values = bench_memory.from_tool(line, HOST)
    assert case == "swap-2m" and set(values) == set(VALUES["memory"])
    assert values["seconds"] == 0.0025 and values["cpu_s"] == pytest.approx(0.00255) and values["bytes"] == 128 << 20


IPERF3 = {"start": {}, "end": {"sum_sent": {"seconds": 4.0, "bytes": 134217728},
                               "sum_received": {"seconds": 4.2, "bytes": 134217728}}}


def test_iperf3() -> None:
    used = bench_cpu.Account(5_000_000_000, 6_000_000_000, {0: 3_000_000_000, 1: 1_000_000_000, 2: 1_500_000_000})
    values = bench_memory.from_iperf3(json.dumps(IPERF3), used, HOST, 128)
    assert set(values) == set(VALUES["memory"])
    assert values["seconds"] == 4.2 and values["wall_s"] == 5.0 and values["cpu_s"] == 5.5
    # What was still in the buffers at the end counts at the receiver's rate.
    late = {"end": {**IPERF3["end"], "sum_received": {"seconds": 4.2, "bytes": 134217728 * 3 // 4}}}
    values = bench_memory.from_iperf3(json.dumps(late), used, HOST, 128)
    assert values["seconds"] == pytest.approx(5.6) and values["bytes"] == 134217728 * 3 // 4
    with pytest.raises(LabError, match="where"):
        bench_memory.from_iperf3(json.dumps(IPERF3), used, HOST, 129)
    late["end"]["sum_received"]["bytes"] = 60 << 20
    with pytest.raises(LabError, match="received"):
        bench_memory.from_iperf3(json.dumps(late), used, HOST, 128)
    with pytest.raises(LabError, match="unable to connect"):
        bench_memory.from_iperf3('{"start": {}, "error": "unable to connect to server"}', used, HOST, 128)


def test_report() -> None:
    """Medians and spreads, raw runs, ratios with what is to be reached."""
    r = bench_report.report(rows_of(*(memory_run("swap-2m", s, n) for n, s in enumerate((0.03, 0.01, 0.02))),
                                    *(memory_run("memcpy", s, n) for n, s in enumerate((0.5, 0.4, 0.3))),
                                    memory_run("network", 30.0, cpu_s=90.0)), {})
    e = {e["case"]: e for e in r["rows"]}
    assert e["swap-2m"]["figures"]["seconds"] == {"median": 0.02, "least": 0.01, "most": 0.03}
    assert [v["seconds"] for v in e["memcpy"]["runs"]] == [0.5, 0.4, 0.3]
    got = {(x["case"], x["base"], x["value"]): (x["times"], x["reached"]) for x in r["ratios"]}
    assert got == {("swap-2m", "memcpy", "seconds"): (pytest.approx(20.0), True),
                   ("swap-2m", "network", "seconds"): (pytest.approx(1500.0), True),
                   ("swap-2m", "network", "cpu_s"): (pytest.approx(4500.0), True)}
    text = bench_report.tables(r)
    assert "0.02 (0.01 to 0.03)" in text and "≥ 15" in text and "yes" in text and "NO" not in text
    json.dumps(r)


def test_beside_the_original() -> None:
    """Ours of the same size, each as a part of what the network took on the same machine."""
    r = bench_report.report(rows_of(memory_run("swap-2m", 0.02), memory_run("network", 40.0), memory_run("memcpy", 0.1, mib=128)), {})
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in bench_report.original_table(r).splitlines()[2:]]
    assert lines == [["the original", "swap", "0.5", "98", "0.781"], ["the original", "network", "0.64", "346", "1"],
                     ["here", "swap-2m", "0.02", "100", "0.0005"], ["here", "network", "40", "100", "1"]]
    other = bench_report.report(rows_of(memory_run("swap-2m", 0.02), memory_run("network", 40.0, boot="other")), {})
    assert "0.0005" not in bench_report.original_table(other)
    assert bench_report.original_table(r) in bench_report.tables(r)
    alone = bench_report.report(rows_of(memory_run("memcpy", 0.1)), {})
    assert bench_report.original_table(alone).splitlines()[-1].split("|")[-2].strip() == ""
    assert not bench_report.original_table(bench_report.report(rows_of(memory_run("memcpy", 0.1, mib=128)), {}))


def test_aim_missed() -> None:
    r = bench_report.report(rows_of(memory_run("swap-4k", 0.3), memory_run("memcpy", 0.5)), {})
    assert [(x["times"], x["reached"]) for x in r["ratios"]] == [(pytest.approx(0.5 / 0.3), False)]
    assert "NO" in bench_report.tables(r)
    small = bench_report.report(rows_of(memory_run("swap-4k", 0.3, mib=128), memory_run("memcpy", 0.5, mib=128)), {})
    assert small["ratios"][0]["reached"] is None and "NO" not in bench_report.tables(small)


def test_boots_are_not_compared() -> None:
    r = bench_report.report(rows_of(memory_run("swap-2m", 0.1, boot="one"), memory_run("memcpy", 0.5, boot="two")), {})
    assert not r["ratios"] and "Not all rows were measured in the same boot" in bench_report.tables(r)


def test_plots(tmp_path: Path) -> None:
    """SVG and PNG, with a curve for each case and the original's figures."""
    runs = [memory_run(case, s * mib / 1024 * (1 + n / 10), n, mib)
            for case, s in (("swap-2m", 0.01), ("memcpy", 0.5)) for mib in (128, 1024) for n in range(3)]
    r = bench_report.report(rows_of(*runs, memory_run("background", 10.0, mib=0)), {})
    written = bench_plot.draw(r, tmp_path)
    assert {p.name for p in written} == {f"memory-{what}.{kind}" for what in ("time", "cpu") for kind in ("svg", "png")}
    svg = (tmp_path / "memory-time.svg").read_text(encoding="utf-8")
    assert "swap-2m" in svg and "memcpy" in svg and "original" in svg and "background" not in svg
    assert (tmp_path / "memory-cpu.png").read_bytes().startswith(b"\x89PNG")


def test_plot_points() -> None:
    r = bench_report.report(rows_of(*(memory_run("memcpy", s, n) for n, s in enumerate((1.0, 3.0, 2.0)))), {})
    text = bench_plot.script(bench_plot.plots(r)[0], "svg", Path("/x.svg"))
    assert "\n1024 2 1 3\n" in text and "\n1024 0.5 0.5 0.5\n" in text and "\n1024 0.64 0.64 0.64\n" in text
    assert "\n1024 0.49 0.49 0.49\n" in bench_plot.script(bench_plot.plots(r)[1], "svg", Path("/x.svg"))


def test_no_plot_of_nothing(tmp_path: Path) -> None:
    assert not bench_plot.draw(bench_report.report({}, {}), tmp_path)


def test_gnuplot_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bench_plot.TERMINALS, "svg", "nonsense")
    with pytest.raises(LabError, match="(?s)memory-time.svg: .*nonsense"):
        bench_plot.draw(bench_report.report(rows_of(memory_run("memcpy", 1.0)), {}), tmp_path)


def test_what_vmbeam_carries() -> None:
    assert bench_migrate.carried({"frames": {"total": 32768, "kept": 486}, "stream_bytes": 70000}) == 70000
    assert bench_migrate.carried({}) == 0


def test_migrations(tmp_path: Path) -> None:
    """Tables, ratios, growth, and plots."""
    r = bench_report.report(rows_of(migration_run("vmbeam-busy", 128, 10.0, 1.0), migration_run("vmbeam-busy", 1024, 11.0, 1.6),
                                    migration_run("live-busy", 1024, 110.0, 9.0, 60e6),
                                    migration_run("saved-busy", 1024, 100.0, 99.0)), {})
    got = {(x["base"], x["value"]): (x["times"], x["reached"]) for x in r["ratios"]}
    assert got[("live-busy", "seconds")] == (pytest.approx(10.0), True)
    assert got[("live-busy", "bytes")] == (pytest.approx(60.0), True)
    assert got[("saved-busy", "downtime_s")] == (pytest.approx(99 / 1.6), None)
    assert [(g["case"], g["times"], g["reached"]) for g in r["growth"]] == [("vmbeam-busy", pytest.approx(1.6), False)]
    text = bench_report.tables(r)
    assert "times the downtime" in text and "1.6 (1.6 to 1.6)" in text
    names = {p.name for p in bench_plot.draw(r, tmp_path) if p.suffix == ".svg"}
    assert names == {f"migration-{n}.svg" for n in ("time", "downtime", "cpu", "bytes", "phases-busy")}
    assert "check" in (tmp_path / "migration-phases-busy.svg").read_text(encoding="utf-8")
    assert "\n1024 0.25 0 0 0 0 0.5 0 0\n" in (tmp_path / "migration-phases-busy.gnuplot").read_text(encoding="utf-8")


def test_ended_early(tmp_path: Path) -> None:
    """Of a migration that the bench has ended, the figures are the least that it takes, and are shown as that."""
    ours = migration_run("vmbeam-busy", 1024, 8.0, 2.0, 1e5)
    r = bench_report.report(rows_of(ours, cut(migration_run("live-busy", 1024, 32.0, 0.0, 50e6))), {})
    got = {x["value"]: (x["times"], x["at_least"], x["reached"]) for x in r["ratios"]}
    assert got == {"seconds": (4.0, True, True), "bytes": (500.0, True, True), "cpu_s": (4.0, True, None)}
    lines = [[c.strip() for c in line.split("|")[1:-1]] for line in bench_report.tables(r).splitlines()]
    assert ["1024", "live-busy", "> 32 (32 to 32)", "", "> 32 (32 to 32)", "> 47.7", "", "1", "1"] in lines
    assert ["1024", "vmbeam-busy", "live-busy", "time", "> 4", "≥ 3", "yes"] in lines
    titles = {line.title for p in bench_plot.plots(r) for line in p.lines}
    assert titles == {"vmbeam-busy", "live-busy, more than"}
    # Too early to say.
    r = bench_report.report(rows_of(ours, cut(migration_run("live-busy", 1024, 16.0, 0.0, 1e5))), {})
    assert [x["reached"] for x in r["ratios"]] == [None, None, None] and "NO" not in bench_report.tables(r)


def test_limit(tmp_path: Path) -> None:
    """Goes by the slowest of ours of the same size, load and boot; ours have none."""
    b = bench.Bench(bench.Session(cast(Lab, None), "build", "b"), tmp_path, 4.0)
    live = Row("migration", 128, "live-busy")
    b.runs["migration"].add(replace(migration_run("vmbeam-busy", 128, 9.0, 2.0), boot="another"))
    with pytest.raises(LabError, match="measure it before migration/128/live-busy"):
        b.limit(live)
    for n, seconds in enumerate((3.0, 5.0, 4.0), 1):
        b.runs["migration"].add(replace(migration_run("vmbeam-busy", 128, seconds, 2.0), run=n))
    assert b.limit(live) == 20.0
    assert b.limit(Row("migration", 128, "vmbeam-busy")) == b.limit(Row("pain", 128, "quiet")) == math.inf
    assert bench.Bench(b.session, tmp_path).limit(live) == math.inf


class Uptime:
    """A lab whose clock goes on by a second with each look."""

    def __init__(self) -> None:
        self.now = 100.0

    def text(self, system: str, path: str) -> str:
        assert (system, path) == ("host", "/proc/uptime")
        self.now += 1
        return f"{self.now} 5.0"


def test_takes_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_migrate, "LOOK_S", 0.001)
    lab, sending = Uptime(), Future[str]()
    m = bench_migrate.Migrations(cast(Lab, lab), HOST)
    assert m.takes_longer(sending, 5.0) and lab.now == 107.0
    sending.set_result("")
    assert not m.takes_longer(sending, 5.0) and not m.takes_longer(sending, math.inf)


def test_pipes() -> None:
    """What xl is told: no ssh, and one port on both sides."""
    assert bench_migrate.sender("live", "hv2").startswith("xl migrate -s '' u3 'exec socat ")
    for how in ("live", "saved"):
        assert f"TCP:10.0.2.12:{bench_migrate.STREAM_PORT}" in bench_migrate.sender(how, "hv2")
        assert f"TCP-LISTEN:{bench_migrate.STREAM_PORT}," in bench_migrate.receiver(how)


def test_listens() -> None:
    table = """  sl  local_address rem_address   st tx_queue rx_queue
   0: 00000000:0913 00000000:0000 0A 00000000:00000000
   1: 0B02000A:1E78 0C02000A:1F90 01 00000000:00000000
"""
    assert bench_migrate.listens(table, 2323) and not bench_migrate.listens(table, 7800)


def test_followed() -> None:
    text = 'connected\nbeats 4\n{"beats":9,"lost":0,"longest_ms":520.5,"broke":false}\n'
    assert bench_migrate.followed(text) == pytest.approx(0.5005)
    for text in ("", "connected\n", '{"beats":9,"lost":0,"longest_ms":520.5,"broke":true}',
                 '{"beats":9,"lost":1,"longest_ms":1,"broke":false}'):
        with pytest.raises(LabError, match="heartbeat"):
            bench_migrate.followed(text)


def test_resent() -> None:
    assert bench_migrate.resent(128 << 20, 128) == 0 and bench_migrate.resent((128 << 20) + 40960, 128) == 10
    assert bench_migrate.resent(1e6, 128) == 0


def test_phases() -> None:
    told = dict.fromkeys(PHASES, 10.0)
    assert bench_migrate.phases({"phases_ms": told})["phase_swap_s"] == 0.01 and set(bench_migrate.phases({}).values()) == {0.0}
    with pytest.raises(LabError, match="other"):
        bench_migrate.phases({"phases_ms": {**told, "other": 1.0}})


def test_phases_are_the_daemons() -> None:
    """The columns of the CSV file."""
    source = (TOP / "userspace/vmbeamd/migration.c").read_text(encoding="utf-8")
    names = re.search(r"step_names\[STEPS\] = \{([^}]*)\}", source)
    assert names and tuple(re.findall(r'"(\w+)"', names[1])) == PHASES


HEAD = b'{"uptime_us":5000000,"us":1000}\n'


def test_window() -> None:
    """Ticks by when they were due. The first one is due a step after the start."""
    data = HEAD + struct.pack("<6I", *range(6))
    assert bench_pain.window(data, 5.0, 5.0061) == [0, 1, 2, 3, 4, 5]
    assert bench_pain.window(data, 5.0015, 5.0045) == [1, 2, 3]
    assert bench_pain.window(data, 4.991, 5.0025) == [0, 1]
    for begin, end in ((4.98, 5.003), (5.001, 5.008)):
        with pytest.raises(LabError, match="not all of the window"):
            bench_pain.window(data, begin, end)
    for data in (b"", b"probe: memory: Cannot allocate memory\n", b"7\n", HEAD[:9]):
        with pytest.raises(LabError, match="did not print its ticks"):
            bench_pain.window(data, 5.0, 5.001)


def test_stalls() -> None:
    """Of both guest VMs together, and of each."""
    values = bench_pain.stalls([1000] * 98 + [3_000_000, 40_000_000], [0] * 100)
    assert set(values) <= set(VALUES["pain"]) and values["ticks"] == 200
    assert (values["p50_s"], values["p90_s"], values["p99_s"], values["most_s"]) == (0.001, 0.001, 3.0, 40.0)
    assert (values["p99_source_s"], values["p99_dest_s"]) == (40.0, 0.0)
    assert sum(values[name] for name in STALLS) == 200
    assert (values["late_1ms"], values["late_2ms"], values["late_4096ms"], values["late_more"]) == (198, 0, 1, 1)
    with pytest.raises(LabError, match="no ticks of u4 or u5"):
        bench_pain.stalls([1], [])


def test_histogram() -> None:
    """A tick that is late by just as much as an edge is below it."""
    counts = bench_pain.histogram([2000, 2001, 4000, 4001])
    assert (counts["late_2ms"], counts["late_4ms"], counts["late_8ms"]) == (1, 2, 1)


def test_speeds() -> None:
    before = '{"passes":60,"p50_us":1000,"most_us":3000}'
    values = bench_pain.speeds(before, '{"passes":60,"p50_us":1250,"most_us":2000}')
    assert values == {"pass_before_s": 0.001, "pass_after_s": 0.00125, "slower": 1.25, "pass_before_most_s": 0.003,
                      "pass_after_most_s": 0.002}
    for told in ('{"passes":59,"p50_us":1,"most_us":1}', '{"passes":60,"p50_us":0,"most_us":0}'):
        with pytest.raises(LabError, match="made no 60 passes"):
            bench_pain.speeds(before, told)


def test_pain_rows() -> None:
    assert [row.name for row in bench_pain.rows([512])] == [
        f"pain/512/{case}" for case in ("quiet", "vmbeam-idle", "live-idle", "saved-idle", "vmbeam-busy", "live-busy", "saved-busy")]
    least = 128 + 64 + bench_pain.PROBE_MIB + 8
    fit, no = bench_pain.fitting((128, 1024), least, Config())
    assert fit == [128] and len(no) == 1 and no[0].startswith("no pain rows of 1024 MiB")
    assert bench_pain.fitting((128,), least - 1, Config())[0] == []


def test_pain(tmp_path: Path) -> None:
    """Tables, ratios with what is to be reached, and plots."""
    r = bench_report.report(rows_of(pain_run("quiet", [5000] * 100), pain_run("vmbeam-busy", [9000] * 99 + [80_000], 2000),
                                    pain_run("vmbeam-busy", [9000] * 99 + [160_000], 2000, n=2),
                                    pain_run("live-busy", [9000] * 50 + [60_000] * 50),
                                    pain_run("saved-busy", [9000] * 50 + [240_000] * 50)), {})
    got = {(x["base"], x["value"]): (x["times"], x["reached"]) for x in r["ratios"]}
    assert got[("live-busy", "p99_s")] == (pytest.approx(0.5), False)
    assert got[("saved-busy", "p99_s")] == (pytest.approx(2.0), True)
    assert got[("live-busy", "slower")] == (pytest.approx(0.5), None)
    assert [bench_report.late_ticks(e["runs"][0]) for e in r["rows"]] == [0, 2, 100, 100]
    text = bench_report.tables(r)
    assert "stalls of other guest VMs, p99" in text and "120 (80 to 160)" in text and "after / before" in text
    assert bench_plot.later(r["rows"][1]["runs"])[:2] == [(1, 1.0), (2, 1.0)]
    points = dict(bench_plot.later(r["rows"][1]["runs"]))
    assert max(points) == 128 and points[64] == pytest.approx(0.01) and points[128] == pytest.approx(0.005)
    assert {p.name for p in bench_plot.draw(r, tmp_path)} == {"pain-stalls-busy.svg", "pain-stalls-busy.png"}
    svg = (tmp_path / "pain-stalls-busy.svg").read_text(encoding="utf-8")
    assert all(case in svg for case in ("quiet", "vmbeam-busy", "live-busy", "saved-busy")) and "1024 MiB" in svg


def test_no_late_tick(tmp_path: Path) -> None:
    """A plot of nothing is no plot."""
    r = bench_report.report(rows_of(pain_run("vmbeam-idle", [0] * 10)), {})
    assert not bench_plot.later(r["rows"][0]["runs"]) and not bench_plot.draw(r, tmp_path)
    assert bench_plot.later([dict.fromkeys(STALLS, 0.0) | {"late_more": 1.0}])[-1] == (STALL_MS[-1], 1.0)
