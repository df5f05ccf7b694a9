# SPDX-License-Identifier: GPL-2.0
"""Where the downtime goes: what is made of logs and trace buffers, and what is shown of it."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Iterable, cast

import pytest

from daemon_rig import DONE, Rig
from made_up_bench import measured
from vmbeam_lab import bench_docs, bench_plot, bench_timeline, bench_timeline_show, bench_trace
from vmbeam_lab.bench_runs import VALUES, Row, Run
from vmbeam_lab.bench_store import Store
from vmbeam_lab.bench_trace import Bar, Call, Clock, Point, Timeline, Trace
from vmbeam_lab.bench_migrate import Migrations
from vmbeam_lab.errors import LabError

ROLES = {"host": "host", "hv1": "source", "hv2": "destination"}
# How far the clocks of the made-up host VMs are ahead of the host's, in seconds.
AHEAD = {"hv1": 500.0, "hv2": -20.0}
SESSIONS = {"hv1": "0000000a", "hv2": "0000000b"}


def kernel(*lines: str, lost: int = 0) -> str:
    """A trace buffer as the kernel prints it."""
    n = len(lines)
    return "\n".join(["# tracer: nop", "#", f"# entries-in-buffer/entries-written: {n}/{n + lost}   #P:2", "#",
                      "#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION", *lines]) + "\n"


class MadeUp:
    """What a daemon and its agents log, by the host's clock; each message takes 1 ms."""

    WAY = 0.001

    def __init__(self) -> None:
        self.lines: dict[str, list[tuple[float, str]]] = {"host": [], "hv1": [], "hv2": []}
        self.seq = 0

    def mark(self, t: float, what: str) -> None:
        self.lines["host"].append((t, what))

    def call(self, system: str, op: str, sent: float, back: float, taken: float = 0) -> None:
        """taken: when the daemon takes the answer, if not at once."""
        self.seq += 1
        key, ahead = f"{SESSIONS[system]}/{self.seq}", AHEAD[system]
        self.lines["host"] += [(sent, f"sent {key} {op}, 0 bytes"), (taken or back, f"received {key} ok, 12 bytes")]
        self.lines[system] += [(sent + self.WAY + ahead, f"received {key} {op}, 0 bytes"),
                               (back - self.WAY + ahead, f"sent {key} ok, 12 bytes")]

    def log(self, system: str) -> str:
        who = "vmbeamd" if system == "host" else "vmbeam-agent"
        lines = sorted(self.lines[system], key=lambda line: line[0])
        return "".join(f"{who}: [{t:.6f}] {text}\n" for t, text in lines)


HOST_TRACE = kernel(
    "           vmbeamd-77      [000] .....   103.012000: vmbeam_txn_begin: id=7 domid_a=1 domid_b=2",
    "           vmbeamd-77      [000] .....   103.200000: vmbeam_txn_batch: id=7 swap pairs=64 done=64 ns=100000000 rc=0",
    "           vmbeamd-77      [000] .....   103.310000: vmbeam_txn_end: id=7 committed")
SOURCE_TRACE = kernel(
    "      vmbeam-agent-90      [001] d..1.   601.000000: sched_process_fork: comm=vmbeam-agent pid=90 child_comm=vmbeam-agent child_pid=95",
    "      vmbeam-agent-95      [001] .....   602.500000: sched_process_exit: comm=vmbeam-agent pid=95 prio=120",
    "          kthreadd-2       [000] .....   601.100000: sched_process_fork: comm=kthreadd pid=2 child_comm=kthreadd child_pid=96",
    "           <...>-96       [000] .....   601.200000: sched_process_exit: comm=kworker/0:2 pid=96 prio=120",
    "      vmbeam-agent-90      [001] .....   601.300000: vmbeam_export_arm: id=3 frames=32768")
DEST_TRACE = kernel(
    "    a name-with 1-80       [000] .....    80.500000: sched_process_fork: comm=a name-with 1 pid=80 child_comm=a name-with 1 child_pid=81",
    "             block-81      [000] .....    80.510000: sched_process_exec: filename=/etc/xen/scripts/block pid=81 old_pid=81",
    "             block-81      [000] .....    81.510000: sched_process_exit: comm=block pid=81 prio=120",
    "                xl-80      [000] .....    80.600000: sched_process_fork: comm=xl pid=80 child_comm=xl child_pid=82")


def migration() -> MadeUp:
    """Suspended at 100 s, unpaused at 103.5 s."""
    m = MadeUp()
    m.mark(99.0, "step suspend")
    m.call("hv1", "save-status", 99.5, 99.99)
    m.mark(100.0, "suspended")
    m.call("hv1", "save-read", 100.0, 100.5)
    m.mark(100.5, "step state")
    # Beside each other: the destination's is waited for, the source's are over before.
    m.call("hv2", "restore-end", 100.5, 102.5)
    m.call("hv1", "needs", 100.5, 100.9)
    m.call("hv1", "quiesce", 101.0, 102.0, taken=102.6)
    m.mark(102.6, "step swap")
    m.mark(102.7, "pairs found")
    m.call("hv1", "export-arm", 102.7, 103.0)
    m.mark(103.05, "journal swap")
    m.call("hv2", "unpause", 103.4, 103.499)
    m.mark(103.5, "unpaused")
    m.mark(104.0, "suspended by nobody")
    return m


def traces(m: MadeUp) -> dict[str, Trace]:
    return {"host": Trace(m.log("host"), HOST_TRACE), "hv1": Trace(m.log("hv1"), SOURCE_TRACE),
            "hv2": Trace(m.log("hv2"), DEST_TRACE)}


def path_of(t: Timeline) -> list[Bar]:
    return [b for b in t.bars if b.kind == "path"]


def test_path() -> None:
    """Adjacent pieces that add up to the pause; of two agents at work it goes through the one that is waited for."""
    t = bench_trace.timeline(traces(migration()), "hv1", "hv2")
    found = path_of(t)
    assert t.pause_ms == pytest.approx(3500, abs=0.01) and t.explained_ms == pytest.approx(3500, abs=0.01)
    assert found[0].begin == 0 and found[-1].end == pytest.approx(3500, abs=0.01)
    assert all(a.end == pytest.approx(b.begin, abs=0.001) for a, b in zip(found, found[1:])), found
    took = {(b.where, b.what): round(b.ms) for b in found}
    assert took[("source", "save-read")] == 498 and took[("destination", "restore-end")] == 1998
    assert took[("vmbeamd", "finds the pairs")] == 100 and took[("source", "export-arm")] == 298
    assert took[("vmbeamd", "hypercall: swaps pairs")] == 100 and took[("vmbeamd", "makes a list for the hypercall")] == 50
    assert took[("vmbeamd", "writes the journal: swap")] == 38 and took[("vmbeamd", "begins the transaction")] == 12
    assert took[("vmbeamd", "ends the transaction")] == 110
    assert ("source", "needs") not in took and ("source", "quiesce") not in took
    assert {b.step for b in found} == {"suspend", "state", "swap"}


def test_clocks() -> None:
    """What both ends of the messages tell: right to half of the shortest round trip."""
    t = bench_trace.timeline(traces(migration()), "hv1", "hv2")
    assert t.clock_error_ms == pytest.approx(1.0, abs=0.01)
    calls = {(b.where, b.what): b for b in t.bars if b.kind in ("call", "message")}
    assert calls[("source", "quiesce: answer")].begin == pytest.approx(1999, abs=0.01)
    assert calls[("source", "quiesce: answer")].end == pytest.approx(2600, abs=0.01)
    assert calls[("destination", "restore-end")].begin == pytest.approx(501, abs=0.01)
    assert calls[("source", "quiesce")].begin == pytest.approx(1001, abs=0.01)
    assert calls[("source", "quiesce")].end == pytest.approx(1999, abs=0.01)


def test_clock_drifts() -> None:
    """Bounds that exclude each other: the middle, and the error says how far apart they are."""
    daemon = [Point(0, "sent", "a/1"), Point(0.02, "received", "a/1"), Point(10, "sent", "a/2"), Point(10.02, "received", "a/2")]
    agent = [Point(5.01, "received", "a/1"), Point(5.01, "sent", "a/1"), Point(15.05, "received", "a/2"), Point(15.05, "sent", "a/2")]
    found = bench_trace.clock(daemon, agent, "hv1")
    assert found.ahead == pytest.approx(5.02) and found.error == pytest.approx(0.01)
    with pytest.raises(LabError, match="no message in common"):
        bench_trace.clock(daemon, [Point(1, "sent", "b/1")], "hv1")


def test_processes() -> None:
    """By the daemon's clock, cut to the pause. Kernel threads are none; a program has its file's name."""
    t = bench_trace.timeline(traces(migration()), "hv1", "hv2")
    found = {(b.where, b.what): (round(b.begin), round(b.end)) for b in t.bars if b.kind == "process"}
    assert found == {("source", "vmbeam-agent"): (1000, 2500), ("destination", "block"): (500, 1510),
                     ("destination", "xl"): (600, 3500)}
    assert [(b.where, round(b.begin)) for b in t.bars if b.kind == "module" and "export" in b.what] == [("source", 1300)]


def test_answer_is_not_known() -> None:
    """An agent whose log lacks a message explains nothing."""
    m = migration()
    m.lines["hv2"] = [(t, text) for t, text in m.lines["hv2"] if "/3 " not in text]
    t = bench_trace.timeline(traces(m), "hv1", "hv2")
    assert t.pause_ms == pytest.approx(3500, abs=0.01)
    assert t.explained_ms == pytest.approx(3500 - 1500, abs=0.01)
    assert [b.what for b in path_of(t) if not b.named] == ["waits for an answer (ok)"]


def test_answer_is_on_its_way() -> None:
    """It was given before the daemon's last deed, and came after: its way is what is waited for."""
    known = {"a/1": Call("hv1", "x", 0.0, 0.1, 0.5, 0.8)}
    points = [Point(0.0, "sent", "a/1", "x"), Point(0.6, "sent", "b/1", "y"), Point(0.8, "received", "a/1", "ok")]
    found = bench_trace.path(points, known, ROLES)
    assert [(b.where, b.what, b.begin, b.end) for b in found] == [("vmbeamd", "itself, before y", 0.0, 0.6),
                                                                  ("source", "message to vmbeamd", 0.6, 0.8)]


def test_request_was_sent_before() -> None:
    """What was asked for before the pause counts from its begin on."""
    known = {"a/1": Call("hv1", "x", 0.0, 0.1, 2.0, 2.1)}
    points = [Point(1.0, "suspended"), Point(2.1, "received", "a/1", "ok"), Point(2.2, "unpaused")]
    found = bench_trace.path(points, known, ROLES)
    assert [(b.what, b.begin, b.end) for b in found] == [("x", 1.0, 2.0), ("message to vmbeamd", 2.0, 2.1),
                                                         ("takes the answer to unpause", 2.1, 2.2)]


@pytest.mark.parametrize("what", ["suspended", "unpaused"])
def test_no_pause(what: str) -> None:
    m = migration()
    m.lines["host"] = [(t, text) for t, text in m.lines["host"] if text != what]
    with pytest.raises(LabError, match="has no pause"):
        bench_trace.timeline(traces(m), "hv1", "hv2")


def test_buffer_too_small() -> None:
    with pytest.raises(LabError, match="hv1's trace buffer has 1 events of 4: it was too small"):
        bench_trace.kernel_points(kernel("  x-1 [000] ..... 1.0: y: z", lost=3), "hv1")
    with pytest.raises(LabError, match="hv1's trace buffer has no head"):
        bench_trace.kernel_points("", "hv1")


def of_agents(log: str) -> dict[str, str]:
    """What agents would have logged that answered at once, to what a real daemon logged."""
    points = [p for p in bench_trace.log_points(log) if p.key]
    whose = {p.key.split("/")[0]: "hv1" if p.detail.startswith("save-") else "hv2" for p in points
             if p.detail.startswith(("save-", "restore-"))}
    lines: dict[str, list[str]] = {"hv1": [], "hv2": []}
    for p in points:
        system = whose[p.key.split("/")[0]]
        what, t = ("received", p.t + 1e-5) if p.what == "sent" else ("sent", p.t - 1e-5)
        lines[system].append(f"vmbeam-agent: [{t + AHEAD[system]:.6f}] {what} {p.key} {p.detail}, 0 bytes\n")
    return {system: "".join(text) for system, text in lines.items()}


def test_real_daemon(rig: Rig) -> None:
    """vmbeamd logs what the pause is made of, if it is told to, and what it tells is explained."""
    rig.env["VMBEAM_DEBUG"] = "1"
    rig.start()
    done = rig.migrate()
    assert done.code == DONE
    logs = {"host": rig.log(), **of_agents(rig.log())}
    t = bench_trace.timeline({s: Trace(log, kernel()) for s, log in logs.items()}, "hv1", "hv2")
    bench_timeline.check("timeline/128/vmbeam-idle", t, done.report["downtime_ms"], Path("x.csv"))
    assert all(b.named for b in path_of(t)), path_of(t)
    assert {b.what for b in t.bars if b.kind == "step"} == {"suspend", "state", "quiesce", "swap", "commit", "resume"}
    what = {b.what for b in t.bars}
    assert {"restore-end", "quiesce", "export-arm", "unpause", "finds the pairs", "writes the journal: swap",
            "writes the journal: committed", "waits for the device models to drop their mappings"} <= what


@pytest.mark.parametrize("told, ok", [(3500, True), (3560, True), (3600, False), (3400, False), (0, False)])
def test_check(told: float, ok: bool) -> None:
    t = Timeline([Bar("path", "state", "source", "x", 0, 3500), Bar("path", "state", "vmbeamd", "?", 3500, 3600, False)], 3600, 0)
    if ok:
        bench_timeline.check("row", t, told, Path("there.csv"))
    else:
        with pytest.raises(LabError, match="row: .*3500.0 ms are explained.*there.csv"):
            bench_timeline.check("row", t, told, Path("there.csv"))


def test_rows() -> None:
    assert [r.name for r in bench_timeline.rows([128, 256, 1024])] == [
        "timeline/1024/vmbeam-idle", "timeline/1024/vmbeam-busy", "timeline/128/vmbeam-idle", "timeline/128/vmbeam-busy"]
    assert [r.mib for r in bench_timeline.rows([256])] == []
    assert bench_timeline.file_name(Row.parse("timeline/128/vmbeam-idle")) == "timeline-128-vmbeam-idle.csv"


def reported(out: Path, mibs: Iterable[int] = (128, 1024)) -> dict[str, object]:
    """A report with timelines."""
    t = bench_trace.timeline(traces(migration()), "hv1", "hv2")
    runs = []
    for mib in mibs:
        row = Row("timeline", mib, "vmbeam-idle")
        bench_timeline.write(t.bars, out / bench_timeline.file_name(row))
        values = dict.fromkeys(VALUES["timeline"], 1.0) | {"traced_s": t.pause_ms / 1000, "explained_s": t.explained_ms / 1000,
                                                           "told_downtime_s": 3.55, "downtime_s": 3.75,
                                                           "clock_error_s": t.clock_error_ms / 1000}
        runs.append(Run(row, 1, "build", "b", "2026-01-01T00:00:00Z", values))
    return Store(measured(out, *runs)).report()


def test_kept(tmp_path: Path) -> None:
    """The file has what the timeline has."""
    t = bench_trace.timeline(traces(migration()), "hv1", "hv2")
    bench_timeline.write(t.bars, tmp_path / "x/t.csv")
    again = bench_timeline.read(tmp_path / "x/t.csv")
    assert [(b.kind, b.step, b.where, b.what, b.named) for b in again] == [(b.kind, b.step, b.where, b.what, b.named) for b in t.bars]
    assert all(a.begin == pytest.approx(b.begin, abs=0.001) for a, b in zip(again, t.bars))
    with pytest.raises(LabError, match="measure it again"):
        bench_timeline.read(tmp_path / "none.csv")


def test_tables(tmp_path: Path) -> None:
    r = reported(tmp_path)
    path, ran = bench_timeline_show.tables(r["rows"])       # type: ignore[arg-type]
    lines = [[c.strip() for c in line.split("|")[1:-1]] for line in path.splitlines()]
    assert lines[0] == ["step", "where", "what", "128 MiB, idle: ms", "1024 MiB, idle: ms"]
    assert ["state", "destination", "restore-end", "1998 (57.1 %)", "1998 (57.1 %)"] in lines
    assert ["", "", "sum", "3500", "3500"] in lines and ["", "", "downtime that a client sees", "3750", "3750"] in lines
    assert ["", "", "explained, of what vmbeamd tells", "98.6 %", "98.6 %"] in lines
    order = [line[2] for line in lines]
    assert order.index("save-read") < order.index("restore-end") < order.index("finds the pairs") < order.index("unpause")
    assert "| destination | block " in ran and "1, 1010" in ran
    assert not bench_timeline_show.tables([])


def test_order_of_two() -> None:
    """What one alone has is where it comes there."""
    a, b, c, d = (("s", "w", x) for x in "abcd")
    assert bench_timeline_show.in_order([[a, b, d], [a, c, d]]) == [a, c, b, d]
    assert bench_timeline_show.in_order([[a], [b, a]]) == [b, a]


def test_pictures_and_page(tmp_path: Path) -> None:
    r = reported(tmp_path)
    drawn = {p.name for p in bench_plot.draw(r, tmp_path)}
    assert drawn == {f"timeline-{mib}-vmbeam-idle.{kind}" for mib in (128, 1024) for kind in ("svg", "png")}
    svg = (tmp_path / "timeline-128-vmbeam-idle.svg").read_text(encoding="utf-8")
    assert "restore-end" in svg and "block" in svg and "source: agent" in svg and "Where the downtime goes" in svg
    docs = tmp_path / "docs"
    docs.mkdir()
    shutil.copy(bench_docs.DOCS / "performance.md", docs)
    bench_docs.write(tmp_path, docs)
    text = (docs / "performance.md").read_text(encoding="utf-8")
    assert "1998 (57.1 %)" in text and "(performance/timeline-1024-vmbeam-idle.svg)" in text
    assert (docs / "performance/timeline-1024-vmbeam-idle.svg").exists()


def test_lanes() -> None:
    """Bars in one lane do not overlap."""
    made = bench_timeline_show.lanes([Bar("process", "", "source", str(i), i, i + 2.5) for i in range(10)])
    assert len(made) == 3 and all(a.end <= b.begin for lane in made for a, b in zip(lane, lane[1:]))
    assert len(bench_timeline_show.lanes([Bar("process", "", "source", "x", 0, 1)] * 50)) == bench_timeline_show.LANES_MAX


def test_own_clock_is_the_daemons() -> None:
    """An answer is never before its request, whatever the clocks' error makes of it."""
    daemon = [Point(1.0, "sent", "a/1", "x"), Point(1.1, "received", "a/1", "ok")]
    there = [Point(0.9, "received", "a/1", "x"), Point(1.3, "sent", "a/1", "ok")]
    call = bench_trace.calls(daemon, {"hv1": there}, {"hv1": Clock(0, 0.2)})["a/1"]
    assert (call.sent, call.received, call.answered, call.back) == (1.0, 1.0, 1.1, 1.1)


class MadeUpLab:
    """Takes the commands of a trace, and has the logs of migration()."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, str]] = []
        self.traces = traces(migration())
        self.waiter = SimpleNamespace(until=lambda _, done: done() or pytest.fail("it would wait for ever"))

    def run(self, system: str, command: str) -> str:
        self.commands.append((system, command))
        if command.startswith("stat "):
            return "41\n"
        if command.startswith("tail "):
            assert command.startswith("tail -c +42 /var/log/vmbeam")
            return self.traces[system].log
        return ""

    def status(self, system: str, command: str) -> tuple[int, bytes, bytes]:
        self.commands.append((system, command))
        return 0, b'{"hostvms": [{"agent": true}, {"agent": true}]}', b""

    def read(self, system: str, path: str) -> bytes:
        assert path == "/sys/kernel/tracing/instances/bench/trace"
        return self.traces[system].kernel.encode()


@pytest.mark.parametrize("ends_badly", [False, True])
def test_measure(tmp_path: Path, ends_badly: bool) -> None:
    """The daemons log and the kernels trace while the guest VM migrates, and not afterwards, whatever came of it."""
    lab = MadeUpLab()
    values = dict.fromkeys(VALUES["migration"], 1.0) | {"told_downtime_s": 3.5, "downtime_s": 3.7}

    def one(how: str) -> dict[str, float]:
        lab.commands.append(("bench", how))
        if ends_badly:
            raise LabError("it was rolled back")
        return values

    moving: Any = SimpleNamespace(lab=lab, guest=lambda mib: None, where=lambda: ("hv1", "hv2"), one=one)
    timelines = bench_timeline.Timelines(cast(Migrations, moving), tmp_path)
    if ends_badly:
        with pytest.raises(LabError, match="rolled back"):
            timelines.measure(Row("timeline", 128, "vmbeam-idle"))
    else:
        found = timelines.measure(Row("timeline", 128, "vmbeam-idle"))
        assert set(found) == set(VALUES["timeline"]) and found["explained_s"] == pytest.approx(3.5)
        assert (tmp_path / "timeline-128-vmbeam-idle/hv2.trace").read_text(encoding="utf-8") == DEST_TRACE
        assert bench_timeline.read(tmp_path / "timeline-128-vmbeam-idle.csv")
    moved = lab.commands.index(("bench", "vmbeam"))
    for system in bench_timeline.SYSTEMS:
        level = "host" if system == "host" else "guest"
        mine = [command for who, command in lab.commands[:moved] if who == system]
        tracing = next(i for i, command in enumerate(mine) if "trace_clock" in command)
        assert f"vmbeam_{level}; do" in mine[tracing] and mine.index(f"VMBEAM_DEBUG=1 /lab/start {level}") < tracing
        mine = [command.strip() for who, command in lab.commands[moved:] if who == system]
        assert mine.index(bench_timeline.TRACE_OFF) < mine.index(f"/lab/start {level}")
