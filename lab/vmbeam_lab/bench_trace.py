# SPDX-License-Identifier: GPL-2.0
"""Where the pause of a migration goes: from the logs of the daemon and both agents (VMBEAM_DEBUG) and the trace buffers of
the three kernels to one timeline, by the daemon's clock. Pure: what it reads are texts."""

import re
from dataclasses import dataclass, replace
from typing import Iterable, Mapping

from .errors import LabError

# A library may have left a line without an end before it.
LINE = re.compile(r"(?:vmbeamd|vmbeam-agent): \[(\d+\.\d{6})\] (.*)$")
MESSAGE = re.compile(r"^(sent|received) ([0-9a-f]{8}/\d+) (\S+), (\d+) bytes$")
MARK = re.compile(r"^(step \w+|journal [\w-]+|suspended|unpaused|pairs found|mappings dropped|busy pairs again)$")
# A line of a trace buffer: the task, its pid, the CPU, flags, the time, the event.
TRACED = re.compile(r"^\s*.+-\d+\s+\[\d+\]\s+(?:\S+\s+)?(\d+\.\d+): (\w+): (.*)$", re.M)
WRITTEN = re.compile(r"^# entries-in-buffer/entries-written: (\d+)/(\d+)", re.M)
FORK = re.compile(r"^comm=(.*) pid=\d+ child_comm=(.*) child_pid=(\d+)$")
EXEC = re.compile(r"^filename=(.*) pid=(\d+) old_pid=\d+$")
EXIT = re.compile(r"^comm=(.*) pid=(\d+) prio=")
# What the daemon was doing until it came to a point of its own.
DOING = {"pairs found": "finds the pairs", "mappings dropped": "waits for the device models to drop their mappings",
         "busy pairs again": "waits for busy pairs", "vmbeam_txn_begin": "begins the transaction",
         "vmbeam_txn_end": "ends the transaction", "unpaused": "takes the answer to unpause"}


@dataclass(frozen=True)
class Point:
    """Something that one process or kernel logged. key: of a message, its session and number."""
    t: float
    what: str
    key: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Call:
    """A request to an agent, by the daemon's clock: sent, received there, answered there, received back."""
    system: str
    op: str
    sent: float
    received: float
    answered: float
    back: float


@dataclass(frozen=True)
class Clock:
    """How far another kernel's clock is ahead of the daemon's, and by how much that may be wrong."""
    ahead: float
    error: float


@dataclass(frozen=True)
class Bar:
    """A piece of the timeline, in ms from the moment when the daemon knew that the guest VM was suspended. kind: "path" for
    what the pause is the sum of; "message", "call", "process", "module" and "step" for what went on besides. where: "vmbeamd", or whose
    management VM: "host", "source", "destination". named: it is known what was done."""
    kind: str
    step: str
    where: str
    what: str
    begin: float
    end: float
    named: bool = True

    @property
    def ms(self) -> float:
        return self.end - self.begin


@dataclass(frozen=True)
class Trace:
    """The texts of one system."""
    log: str
    kernel: str


@dataclass(frozen=True)
class Timeline:
    bars: list[Bar]
    pause_ms: float
    clock_error_ms: float

    @property
    def explained_ms(self) -> float:
        return sum(b.ms for b in self.bars if b.kind == "path" and b.named)


def log_points(log: str) -> list[Point]:
    """Messages and marks, in the log's order."""
    found = []
    for text in log.splitlines():
        line = LINE.search(text)
        if not line:
            continue
        message = MESSAGE.match(line[2])
        if message:
            found.append(Point(float(line[1]), message[1], message[2], message[3]))
        elif MARK.match(line[2]):
            found.append(Point(float(line[1]), line[2]))
    return found


def kernel_points(buffer: str, system: str) -> list[Point]:
    """Of a trace buffer that lost nothing."""
    written = WRITTEN.search(buffer)
    if not written:
        raise LabError(f"{system}'s trace buffer has no head: {buffer[:200]!r}")
    if written[1] != written[2]:
        raise LabError(f"{system}'s trace buffer has {written[1]} events of {written[2]}: it was too small")
    return [Point(float(m[1]), m[2], detail=m[3]) for m in TRACED.finditer(buffer)]


@dataclass(frozen=True)
class Process:
    name: str
    begin: float
    end: float


def processes(points: Iterable[Point]) -> list[Process]:
    """Programs and forks (threads count as such) that began while the trace ran. One that has not ended has no end."""
    running: dict[str, Process] = {}
    found = []
    for p in points:
        if p.what == "sched_process_fork":
            fork = FORK.match(p.detail)
            if fork and fork[1] != "kthreadd":
                running[fork[3]] = Process(fork[2], p.t, float("inf"))
        elif p.what == "sched_process_exec":
            run = EXEC.match(p.detail)
            if run and run[2] in running:
                running[run[2]] = replace(running[run[2]], name=run[1].rpartition("/")[2])
        elif p.what == "sched_process_exit":
            gone = EXIT.match(p.detail)
            if gone and gone[2] in running:
                found.append(replace(running.pop(gone[2]), end=p.t))
    return sorted([*found, *running.values()], key=lambda p: p.begin)


def _ends(points: Iterable[Point]) -> dict[str, dict[str, Point]]:
    """Of each message: where it was sent and where it was received."""
    found: dict[str, dict[str, Point]] = {}
    for p in points:
        if p.key:
            found.setdefault(p.key, {})[p.what] = p
    return found


def clock(daemon: Iterable[Point], agent: Iterable[Point], system: str) -> Clock:
    """Nothing is received before it is sent. So each request says how far the agent's clock is ahead at most, and each answer
    how far at least. The middle of what all of them leave violates none, or, if the clocks drift, each by as little as can
    be: half of what lies between is the error."""
    mine, theirs = _ends(daemon), _ends(agent)
    both = [(mine[k], theirs[k]) for k in mine if k in theirs]
    most = [a["received"].t - d["sent"].t for d, a in both if "received" in a and "sent" in d]
    least = [a["sent"].t - d["received"].t for d, a in both if "sent" in a and "received" in d]
    if not most or not least:
        raise LabError(f"the logs of vmbeamd and of {system}'s agent have no message in common: were both started with VMBEAM_DEBUG?")
    return Clock((min(most) + max(least)) / 2, abs(min(most) - max(least)) / 2)


def calls(daemon: Iterable[Point], agents: Mapping[str, list[Point]], clocks: Mapping[str, Clock]) -> dict[str, Call]:
    """Requests with an answer of which both ends are known, by their key."""
    found = {}
    mine = _ends(daemon)
    for system, points in agents.items():
        for key, there in _ends(points).items():
            here = mine.get(key, {})
            if len(here) != 2 or len(there) != 2:
                continue
            sent, back = here["sent"].t, here["received"].t
            # What the clocks' error makes of it must not be out of order.
            received = min(max(there["received"].t - clocks[system].ahead, sent), back)
            answered = min(max(there["sent"].t - clocks[system].ahead, received), back)
            found[key] = Call(system, here["sent"].detail, sent, received, answered, back)
    return found


def _own(p: Point, before: Point, role: str) -> list[Bar]:
    """What the daemon did between two points of its own, in seconds, latest first. role: whose agent's answer this is, if it
    is one whose request is known."""
    def bar(what: str, begin: float = before.t, end: float = p.t, where: str = "vmbeamd", named: bool = True) -> Bar:
        return Bar("path", "", where, what, begin, end, named)

    if p.what == "received":
        # It came before it was waited for, or is on its way.
        return [bar("message to vmbeamd", where=role) if role else bar(f"waits for an answer ({p.detail})", named=False)]
    if p.what == "vmbeam_txn_batch":
        ns = re.search(r"\bns=(\d+)", p.detail)
        began = max(before.t, p.t - int(ns[1]) / 1e9) if ns else p.t
        return [bar("hypercall: swaps pairs", began), bar("makes a list for the hypercall", end=began)]
    if p.what == "sent":
        return [bar(f"itself, before {p.detail}")]
    kind, _, which = p.what.partition(" ")
    if kind == "step":
        return [bar(f"itself, before the step {which}")]
    if kind == "journal":
        return [bar(f"writes the journal: {which}")]
    return [bar(DOING[p.what])] if p.what in DOING else [bar(f"before {p.what}", named=False)]


def path(points: list[Point], known: Mapping[str, Call], roles: Mapping[str, str]) -> list[Bar]:
    """From the last point back to the first one: what was each waited for? Adjacent pieces in seconds, the first one first.
    An answer that was given after the daemon's last deed was waited for, so its request is where to go on; one that was given
    before cost nothing but its way."""
    found: list[Bar] = []
    i, start = len(points) - 1, points[0].t
    while i > 0:
        p, before = points[i], points[i - 1]
        call = known.get(p.key) if p.what == "received" else None
        if not call or call.answered < before.t:
            found += _own(p, before, roles[call.system] if call else "")
            i -= 1
            continue
        where = roles[call.system]
        for what, begin, end in (("message to vmbeamd", call.answered, call.back), (call.op, call.received, call.answered),
                                 ("message from vmbeamd", call.sent, call.received)):
            found.append(Bar("path", "", where, what, begin, end))
        while i > 0 and not (points[i].what == "sent" and points[i].key == p.key):
            i -= 1
    # A request that was sent before the first point is counted from that on.
    return [replace(b, begin=max(b.begin, start)) for b in reversed(found) if b.end > max(b.begin, start)]


def _pause(points: list[Point]) -> tuple[int, int]:
    """Where the last pause begins and ends."""
    ends = [i for i, p in enumerate(points) if p.what == "unpaused"]
    begins = [i for i, p in enumerate(points) if p.what == "suspended" and ends and i < ends[-1]]
    if not begins:
        raise LabError("vmbeamd's log has no pause, from \"suspended\" to \"unpaused\": was it started with VMBEAM_DEBUG?")
    return begins[-1], ends[-1]


def steps(points: Iterable[Point], end: float) -> list[tuple[str, float, float]]:
    marks = [(p.what[5:], p.t) for p in points if p.what.startswith("step ")]
    return [(name, t, after) for (name, t), after in zip(marks, [*(t for _, t in marks[1:]), end])]


def timeline(traces: Mapping[str, Trace], source: str, dest: str) -> Timeline:
    """traces: of "host" and of both host VMs."""
    roles = {"host": "host", source: "source", dest: "destination"}
    kernels = {system: kernel_points(t.kernel, system) for system, t in traces.items()}
    module = [p for p in kernels["host"] if p.what.startswith("vmbeam_txn_")]
    # Of one clock: the log's order is kept where the times are the same, for the sort is stable.
    daemon = sorted([*module, *log_points(traces["host"].log)], key=lambda p: p.t)
    first, last = _pause(daemon)
    start, end = daemon[first].t, daemon[last].t
    agents = {s: log_points(traces[s].log) for s in (source, dest)}
    # Of the clocks, as they are around the pause. The step before it asks the source, those after it the destination.
    suspend = max((t for name, t, _ in steps(daemon, end) if name == "suspend" and t <= start), default=start)
    around = [p for p in daemon if p.t >= suspend]
    clocks = {s: clock(around, agents[s], s) for s in agents} | {"host": Clock(0, 0)}
    known = calls(daemon, agents, clocks)
    of_step = steps(daemon, float("inf"))

    def ms(b: Bar) -> Bar:
        step = next((name for name, begin, after in of_step if begin <= b.begin < after), "")
        return replace(b, step=step, begin=(b.begin - start) * 1000, end=(b.end - start) * 1000)

    bars = path(daemon[first:last + 1], known, roles)
    bars += [Bar("step", "", "vmbeamd", name, begin, after) for name, begin, after in of_step]
    for c in known.values():
        role = roles[c.system]
        bars += [Bar("message", "", role, f"{c.op}: request", c.sent, c.received), Bar("call", "", role, c.op, c.received, c.answered),
                 Bar("message", "", role, f"{c.op}: answer", c.answered, c.back)]
    for system, points in kernels.items():
        ahead = clocks[system].ahead
        bars += [Bar("process", "", roles[system], p.name, p.begin - ahead, p.end - ahead) for p in processes(points)]
        bars += [Bar("module", "", roles[system], f"{p.what} {p.detail}", p.t - ahead, p.t - ahead)
                 for p in points if p.what.startswith("vmbeam_")]
    # Times are those of the pause: what began before it or went on after it is cut.
    cut = [ms(replace(b, begin=max(b.begin, start), end=min(b.end, end))) for b in bars if b.end >= start and b.begin <= end]
    return Timeline(cut, (end - start) * 1000, max(c.error for c in clocks.values()) * 1000)
