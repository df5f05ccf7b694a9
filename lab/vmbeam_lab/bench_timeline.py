# SPDX-License-Identifier: GPL-2.0
"""The rows that trace a migration: daemons that log each message, kernels that trace each process, and the timeline that is
made of both, as a CSV file. bench_trace.py makes it, bench_timeline_show.py shows it."""

import contextlib
import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Iterable, Iterator

from .bench_migrate import Migrations, Values
from .bench_runs import VALUES, Row
from .bench_trace import Bar, Timeline, Trace, timeline
from .config import HOSTVMS
from .errors import LabError
from .lab import Lab, at_once
from .migrate import vmbeam_status

# The guest VM of the largest size is there already after the rows of migrations.
SIZES = (1024, 128)
LOADS = ("idle", "busy")
# The downtime that vmbeamd tells must be explained within this, in percent.
LEAST, MOST = 98.0, 102.0
SYSTEMS = ("host", *HOSTVMS)
TRACING = "/sys/kernel/tracing"
# A buffer of its own: what others trace meanwhile stays as it is.
BUFFER = f"{TRACING}/instances/bench"
PROCESSES = " ".join(f"sched/sched_process_{what}" for what in ("fork", "exec", "exit"))
TRACE_OFF = f"[ ! -d {BUFFER} ] || rmdir {BUFFER}"
TRACE_ON = f"""grep -q ' {TRACING} ' /proc/mounts || mount -t tracefs none {TRACING} || exit
{TRACE_OFF} || exit
mkdir {BUFFER} && cd {BUFFER} && echo mono >trace_clock || exit
for e in {PROCESSES} MODULE; do echo 1 >events/$e/enable || exit; done"""


def rows(sizes: Iterable[int]) -> list[Row]:
    sizes = list(sizes)
    return [Row("timeline", mib, f"vmbeam-{load}") for mib in SIZES if mib in sizes for load in LOADS]


def file_name(row: Row | str) -> str:
    """Of a row's timeline: timeline-128-vmbeam-idle.csv."""
    return f"{row.name if isinstance(row, Row) else row}.csv".replace("/", "-")


def write(bars: Iterable[Bar], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow([x.name for x in fields(Bar)])
        for b in bars:
            out.writerow([b.kind, b.step, b.where, b.what, f"{b.begin:.3f}", f"{b.end:.3f}", int(b.named)])


def read(path: Path) -> list[Bar]:
    try:
        with path.open(newline="", encoding="utf-8") as f:
            return [Bar(o["kind"], o["step"], o["where"], o["what"], float(o["begin"]), float(o["end"]), o["named"] == "1")
                    for o in csv.DictReader(f)]
    except FileNotFoundError as e:
        raise LabError(f"{e.filename} is missing, though its row was measured: measure it again with ROW") from e


def attach(report: dict[str, Any], out: Path) -> None:
    """To each row of the report that has one, its timeline."""
    for e in report["rows"]:
        if e["part"] == "timeline":
            e["timeline"] = [asdict(b) for b in read(out / file_name(e["row"]))]


def check(row: str, t: Timeline, told_ms: float, path: Path) -> None:
    """That the sum explains what the daemon tells."""
    if told_ms <= 0 or not LEAST <= 100 * t.explained_ms / told_ms <= MOST:
        raise LabError(f"{row}: of the downtime of {told_ms:.1f} ms that vmbeamd tells, {t.explained_ms:.1f} ms are explained, and "
                       f"{LEAST:.0f} to {MOST:.0f} % must be: {path} has the timeline, where named is 0 nobody knows what was done")


@dataclass
class Timelines:
    moving: Migrations
    out: Path

    @property
    def lab(self) -> Lab:
        return self.moving.lab

    @staticmethod
    def _daemon(system: str) -> str:
        return "vmbeamd" if system == "host" else "vmbeam-agent"

    def _log_size(self, system: str) -> int:
        return int(self.lab.run(system, f"stat -c %s /var/log/{self._daemon(system)}.log"))

    def _restart(self, environment: str) -> None:
        """The daemons; modules are loaded anew with them."""
        at_once([lambda s=s: self.lab.run(s, f"{environment} /lab/start {'host' if s == 'host' else 'guest'}")   # type: ignore[misc]
                 for s in SYSTEMS])
        self.lab.waiter.until("vmbeamd and both agents to answer",
                              lambda: all(h.get("agent") for h in vmbeam_status(self.lab)["hostvms"]))

    @contextlib.contextmanager
    def traced(self) -> Iterator[dict[str, Trace]]:
        """Has what was logged and traced inside, afterwards."""
        lab, found = self.lab, dict[str, Trace]()
        try:
            self._restart("VMBEAM_DEBUG=1")
            for s in SYSTEMS:
                lab.run(s, TRACE_ON.replace("MODULE", "vmbeam_host" if s == "host" else "vmbeam_guest"))
            began = {s: self._log_size(s) for s in SYSTEMS}
            yield found
            for s in SYSTEMS:
                lab.run(s, f"echo 0 >{BUFFER}/tracing_on")
            for s in SYSTEMS:
                found[s] = Trace(lab.run(s, f"tail -c +{began[s] + 1} /var/log/{self._daemon(s)}.log"),
                                 lab.read(s, f"{BUFFER}/trace").decode(errors="replace"))
        finally:
            # Whatever is measured next is not to be slowed down by it.
            for s in SYSTEMS:
                lab.status(s, TRACE_OFF)
            self._restart("")

    def measure(self, row: Row) -> Values:
        """One migration."""
        self.moving.guest(row.mib)
        source, dest = self.moving.where()
        with self.moving.writer() if row.case.endswith("-busy") else contextlib.nullcontext():
            with self.traced() as found:
                values = self.moving.one("vmbeam")
        path = self.out / file_name(row)
        for s, t in found.items():
            # What it is made of, for whoever wants to know more.
            for what, text in (("log", t.log), ("trace", t.kernel)):
                kept = path.with_suffix("") / f"{s}.{what}"
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(text, encoding="utf-8")
        made = timeline(found, source, dest)
        write(made.bars, path)
        check(row.name, made, values["told_downtime_s"] * 1000, path)
        values |= {"explained_s": made.explained_ms / 1000, "traced_s": made.pause_ms / 1000,
                   "clock_error_s": made.clock_error_ms / 1000}
        return {name: values[name] for name in VALUES["timeline"]}
