# SPDX-License-Identifier: GPL-2.0
"""Puts what was measured into docs/performance.md: the raw runs beside it, and from these its plots, and its tables between
their marks."""

import re
import shutil
from pathlib import Path
from typing import Any, Callable

from . import bench_plot, bench_report, bench_timeline_show
from .bench_store import Store
from .errors import LabError
from .paths import TOP, say

DOCS = TOP / "docs"


def _iperf3(a: dict[str, Any]) -> str:
    tried = ", ".join(f"{bench_report.number(s)} s with {o or 'no option'}" for o, s in a["tried"].items())
    return f"{a['options'] or 'no option'}, the fastest of: {tried}"


ABOUT: tuple[tuple[str, Callable[[dict[str, Any]], str]], ...] = (
    ("begun", lambda a: a["when"].partition("T")[0]),
    ("VMBeam", lambda a: f"{a['vmbeam']}, build {a['build']}"),
    ("machine", lambda a: f"{a['processor']}, Linux {a['kernel']}"),
    ("lab", lambda a: f"{a['qemu']}, {a['accelerator']}; {a['cpus']} processors, {a['mib']} MiB; "
                      f"host VMs of {a['lab']['hostvm_mib']} MiB"),
    ("host hypervisor", lambda a: f"Xen {a['xen']}, its dom0 Linux {a['dom0_kernel']}"),
    ("nested hypervisors", lambda a: f"Xen {a['nested_xen']}"),
    ("iperf3", lambda a: _iperf3(a["iperf3"]) if "iperf3" in a else ""))


def about(starts: list[dict[str, Any]]) -> str:
    """What was the same in several starts of the lab is said once."""
    lines = []
    for what, text in ABOUT:
        of: dict[str, list[str]] = {}
        for a in starts:
            of.setdefault(text(a), []).append(a["start"])
        lines += [[what, which, ", ".join(numbers)] for which, numbers in of.items() if which]
    return bench_report.markdown(["what", "which", "start"], lines)


def plots_of(report: dict[str, Any], part: str = "") -> list[str]:
    """The files of its plots."""
    return [p.name for p in bench_plot.scripts(report, "svg", Path()) if p.name.startswith(part)]


def images(report: dict[str, Any], part: str) -> str:
    return "\n\n".join(f"![{name.removesuffix('.svg')}](performance/{name})" for name in plots_of(report, part))


BLOCKS = ("about", "memory", "original", "migration", "growth", "timeline", "pain", "speed", "ratios")


def blocks(report: dict[str, Any]) -> dict[str, str]:
    """What stands between which marks."""
    made = dict.fromkeys(BLOCKS, "Not measured yet.") | {"about": about(report["starts"])}
    for part, table in bench_report.PART_TABLES.items():
        if any(e["part"] == part for e in report["rows"]):
            made[part] = f"{table(report['rows'])}\n\n{images(report, part)}"
    timelines = bench_timeline_show.tables(report["rows"])
    if timelines:
        made["timeline"] = "\n\n".join([*timelines, images(report, "timeline")])
    if any(e["part"] == "pain" for e in report["rows"]):
        made["speed"] = bench_report.speed_table(report["rows"])
    if original := bench_report.original_table(report):
        made["original"] = original
    if report["ratios"]:
        made["ratios"] = bench_report.ratio_table(report["ratios"])
    if report["growth"]:
        made["growth"] = bench_report.growth_table(report["growth"])
    return made


def put(text: str, name: str, block: str) -> str:
    begin, end = f"<!-- bench: {name} -->\n", "<!-- end of bench -->"
    new, found = re.subn(f"{begin}.*?{end}", lambda _: f"{begin}\n{block}\n\n{end}", text, flags=re.S)
    if found != 1:
        raise LabError(f"docs/performance.md has {found} places for {name}: one is marked by <!-- bench: {name} -->")
    return new


def kept(docs: Path) -> Store:
    """What the page is made from."""
    return Store(docs / "performance/runs")


def page(docs: Path, report: dict[str, Any]) -> str:
    """The page as it should be."""
    text = (docs / "performance.md").read_text(encoding="utf-8")
    for name, block in blocks(report).items():
        text = put(text, name, block)
    return text


def write(out: Path, docs: Path = DOCS) -> None:
    """Rows that were measured into a directory replace those that the page had; the others stay."""
    store = kept(docs)
    store.take_over(Store(out))
    report = store.report()
    if not report["rows"]:
        raise LabError(f"there are no runs in {out}: make bench measures them")
    text, plots, drawn = page(docs, report), docs / "performance", out / "docs"
    bench_plot.draw(report, drawn)
    for old in plots.glob("*.svg"):
        old.unlink()
    for name in plots_of(report):
        shutil.copy(drawn / name, plots)
    (docs / "performance.md").write_text(text, encoding="utf-8")
    say(f"docs/performance.md has {len(report['rows'])} rows, of {len(report['starts'])} starts of the lab")
