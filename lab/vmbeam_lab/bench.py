# SPDX-License-Identifier: GPL-2.0
"""make bench: measures, in one boot of the lab, what a swap and a migration take beside what else a user has. Writes the
raw runs, a report, and plots into build/bench. See docs/performance.md."""

import argparse
import json
import math
import platform
import re
import subprocess
import time
import uuid
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Callable

from . import (bench_cpu, bench_docs, bench_memory, bench_migrate, bench_pain, bench_plot, bench_report, bench_timeline,
               bench_timeline_show, guests, hostvms, snapshot)
from .bench_runs import Row, Run, chosen, rounds
from .bench_store import Store
from .config import HOSTVMS, Config
from .errors import LabError
from .lab import Lab, at_once
from .machine import qemu_program
from .paths import TOP, say

OUT = TOP / "build/bench"
# In the host management VM, gone with it: which start of the lab this is. The kernel's boot id is the snapshot's own.
MARK = "/run/bench.json"

# Rows of one size, each once: the function gets each when it is over.
Measure = Callable[[list[Row], Callable[[Row, dict[str, float]], None], bench_migrate.Limit], None]


@dataclass(frozen=True)
class Session:
    """A lab to measure in."""
    lab: Lab
    build: str
    boot: str


def _marked(lab: Lab) -> dict[str, Any]:
    try:
        got: dict[str, Any] = json.loads(lab.text("host", MARK))
        return got
    except LabError:
        return {}


def mark(lab: Lab, build: str) -> Session:
    """A lab that has just been started, with nothing measured in it."""
    boot = uuid.uuid4().hex[:8]
    lab.write("host", MARK, json.dumps({"build": build, "boot": boot}).encode())
    return Session(lab, build, boot)


def session(config: Config) -> Session:
    """The lab of a bench that was stopped goes on being used; any other one is ended."""
    ready, lab = snapshot.deployed(config), Lab(config)
    build = ready.name
    if lab.machine.pid():
        found = _marked(lab)
        if found.get("build") == build:
            lab.measure_speed()
            say(f"going on in the lab that is up, boot {found['boot']}")
            return Session(lab, build, str(found["boot"]))
        say("ending the lab that is up: it is not one of a bench of this build")
        lab.down()
    snapshot.up(lab, ready)
    let_xl_migrate(lab)
    return mark(lab, build)


def let_xl_migrate(lab: Lab) -> None:
    """Debian's Xen has no shadow paging, and without it xl does not migrate a PV guest VM live: both host VMs get a nested
    Xen that has. VMBeam does not ask for it; but all rows are measured with the same one."""
    configs = {h: hostvms.new_build(lab, h, "shadow") for h in HOSTVMS}
    at_once([lambda h=h, c=c: hostvms.restart(lab, h, c) for h, c in configs.items()])      # type: ignore[misc]


def processor() -> str:
    found = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace"), re.M)
    return found[1] if found else platform.machine()


def about(s: Session) -> dict[str, Any]:
    """Where it was measured, and what."""
    c = s.lab.config
    info = dict(line.split(":", 1) for line in s.lab.run("host", "xl info").splitlines() if ":" in line)
    info = {k.strip(): v.strip() for k, v in info.items()}
    qemu = subprocess.run([qemu_program(c), "--version"], stdout=subprocess.PIPE, text=True, check=True)
    return {"vmbeam": (TOP / "VERSION").read_text(encoding="ascii").strip(), "build": s.build, "boot": s.boot,
            "processor": processor(), "kernel": platform.release(),
            "accelerator": "KVM" if c.kvm else "TCG, whose clock counts instructions" if c.icount else "TCG",
            "qemu": qemu.stdout.splitlines()[0], "xen": info["xen_version"], "cpus": int(info["nr_cpus"]),
            "mib": int(info["total_memory"]), "dom0_kernel": info["release"], "lab": asdict(c),
            "nested_xen": s.lab.run("hv1", "xl info xen_version 2>/dev/null || xl info | sed -n 's/^xen_version *: //p'").strip()}


class Bench:
    """Where its files are; what is measured is in each part's own module."""

    def __init__(self, s: Session, out: Path, cut: float = 0.0) -> None:
        self.session, self.out, self.cut = s, out, cut
        self.store = Store(out)
        self.runs = self.store.runs
        self.notes: dict[str, Any] = {}

    def take(self, n: int) -> Callable[[Row, dict[str, float]], None]:
        def one(row: Row, values: dict[str, float]) -> None:
            when = time.strftime("%FT%TZ", time.gmtime())
            self.runs[row.part].add(Run(row, n, self.session.build, self.session.boot, when, values))
            say(f"run {n}: {row.name}: {values['seconds']:.3f} s, {values['cpu_s']:.2f} s of processors")
        return one

    def memory(self, rows: list[Row], runs: int) -> None:
        s = self.session
        m, done = bench_memory.Memory(s.lab, bench_cpu.host(s.lab)), self.runs["memory"].done(s.build, s.boot)
        for row in rows:
            todo = [n for n in range(1, runs + 1) if (row, n) not in done]
            if row.case in bench_memory.BY_TOOL and todo:
                for n, values in zip(todo, m.by_tool(row, len(todo))):
                    self.take(n)(row, values)
        others = rounds((row for row in rows if row.case not in bench_memory.BY_TOOL), runs, done)
        if any(row.case == "network" for _, left in others for row in left):
            m.iperf3 = self.iperf3(m)
        for n, left in others:
            for row in left:
                self.take(n)(row, m.measure(row))

    def iperf3(self, m: bench_memory.Memory) -> str:
        """Its best options, in this start of the lab."""
        known = self.known_iperf3()
        if not known:
            say("which options iperf3 is fastest with")
            m.choose()
            known = {"boot": self.session.boot, "options": m.iperf3, "tried": m.tried}
            self._iperf3_file.parent.mkdir(parents=True, exist_ok=True)
            self._iperf3_file.write_text(json.dumps(known) + "\n", encoding="utf-8")
        return str(known["options"])

    @property
    def _iperf3_file(self) -> Path:
        return self.out / "iperf3.json"

    def known_iperf3(self) -> dict[str, Any]:
        """What was found out of it in this start of the lab."""
        known: dict[str, Any] = {}
        if self._iperf3_file.exists():
            known = json.loads(self._iperf3_file.read_text(encoding="utf-8"))
        return known if known.get("boot") == self.session.boot else {}

    @cached_property
    def moving(self) -> bench_migrate.Migrations:
        """The guest VM that migrates."""
        return bench_migrate.Migrations(self.session.lab, bench_cpu.host(self.session.lab))

    def by_size(self, rows: list[Row], runs: int, measure: Measure) -> None:
        """One size after the other: a guest VM takes minutes to boot, and does not grow."""
        s = self.session
        for mib in dict.fromkeys(row.mib for row in rows):
            for n, left in rounds((row for row in rows if row.mib == mib), runs, self.runs[rows[0].part].done(s.build, s.boot)):
                measure(left, self.take(n), self.limit)

    def limit(self, row: Row) -> float:
        """A stock migration is ended when it has taken so many times what VMBeam's has."""
        how, _, load = row.case.partition("-")
        if not self.cut or how not in bench_migrate.STOCK:
            return math.inf
        ours = Row(row.part, row.mib, f"vmbeam-{load}")
        took = [r.values["seconds"] for r in self.runs[row.part].all
                if r.row == ours and (r.build, r.boot) == (self.session.build, self.session.boot)]
        if not took:
            raise LabError(f"CUT goes by what {ours.name} takes, and that was not measured in this start of the lab: "
                           f"measure it before {row.name}, or with it")
        return self.cut * max(took)

    def migrations(self, rows: list[Row], runs: int) -> None:
        self.by_size(rows, runs, self.moving.measure)

    def pain(self, rows: list[Row], runs: int) -> None:
        self.by_size(rows, runs, bench_pain.Pain(self.moving).measure)
        bench_pain.end(self.session.lab)

    def timelines(self, rows: list[Row], _runs: int) -> None:
        """Each once: a timeline is of one migration."""
        t = bench_timeline.Timelines(self.moving, self.out)
        for n, left in rounds(rows, 1, self.runs["timeline"].done(self.session.build, self.session.boot)):
            for row in left:
                self.take(n)(row, t.measure(row))

    def rows(self, sizes: list[int]) -> list[Row]:
        """All that can be measured here; of sizes that were asked for, all must be possible."""
        lab, c = self.session.lab, self.session.lab.config
        memory, no = bench_memory.fitting(sizes or bench_memory.SIZES, guests.free_mib(lab, "host"), c)
        # What is there of a bench that was stopped will not be in the way.
        free = min(guests.free_mib(lab, h) + sum(guests.guest_mib(lab, h, g) for g in (bench_migrate.GUEST, bench_pain.PROBES[h]))
                   for h in HOSTVMS)
        moved, no_moves = bench_migrate.fitting(sizes or bench_migrate.SIZES, free, c)
        pained, no_pain = bench_pain.fitting(sizes or bench_pain.SIZES, free, c)
        no += no_moves + no_pain
        if sizes and no:
            raise LabError("; ".join(no))
        for text in no:
            say(text)
        return (bench_memory.rows(memory) + bench_migrate.rows(moved) + bench_timeline.rows(moved)
                + bench_pain.rows(pained))

    def measure(self, rows: list[Row], runs: int, again: bool = False) -> None:
        """What is not measured yet; or all of it again."""
        if again:
            for kept in self.runs.values():
                kept.drop(row for row in rows if row.part == kept.part)
        for left in (bench_migrate, bench_pain):
            left.end(self.session.lab)          # of a bench that was stopped
        for part, one in (("memory", self.memory), ("migration", self.migrations), ("timeline", self.timelines),
                          ("pain", self.pain)):
            wanted = [row for row in rows if row.part == part]
            if wanted:
                one(wanted, runs)
                self.report()       # of what there is by now

    def report(self) -> dict[str, Any]:
        found = about(self.session)
        if iperf3 := self.known_iperf3():
            found["iperf3"] = iperf3
        self.store.add_starts({self.session.boot: found})
        made = self.store.report()
        (self.out / "report.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
        bench_plot.draw(made, self.out)
        return made


def main(args: argparse.Namespace) -> int:
    if args.docs:
        bench_docs.write(OUT)
        return 0
    if args.runs < 1:
        raise LabError("RUNS is 1 or more")
    if args.cut < 0:
        raise LabError("CUT is a number of times, or 0 for no limit")
    s = session(Config.from_env().at("systems"))
    bench = Bench(s, OUT, args.cut)
    try:
        # Rows that are named are measured again.
        bench.measure(chosen(bench.rows(args.size), args.row), args.runs, again=bool(args.row))
        report = bench.report()
    except BaseException:
        say("the lab stays up: make bench goes on where it was; lab/lab down ends it")
        raise
    if not args.keep:
        s.lab.down()
    print("\n\n".join([bench_report.tables(report), *bench_timeline_show.tables(report["rows"])]))
    say(f"raw runs, report and plots: {OUT.relative_to(TOP)}")
    return 0


def arguments(c: argparse.ArgumentParser) -> None:
    c.add_argument("--size", type=lambda text: [int(w) for w in text.split()], default=[], metavar="MIB...",
                   help="these sizes alone, as one word; all that the lab has memory for if not given")
    c.add_argument("--row", type=str.split, default=[], metavar="ROW...", help="these rows alone, again, as one word: "
                   "memory/1024/swap-2m, or a pattern of the shell")
    c.add_argument("--runs", type=int, default=10, help="how often each row is measured")
    c.add_argument("--cut", type=float, default=0.0, metavar="TIMES", help="end a migration by stock xl that takes more than so "
                   "many times what VMBeam's took, and report that it takes more than it had taken by then")
    c.add_argument("--docs", action="store_true", help="put the last report into docs/performance.md, and measure nothing")
    c.add_argument("--keep", action="store_true", help="do not end the lab at the end")
