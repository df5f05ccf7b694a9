# SPDX-License-Identifier: GPL-2.0
"""Puts the last report into docs/performance.md: its tables between their marks, its plots beside it."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from . import bench_plot, bench_report, bench_timeline_show
from .errors import LabError
from .paths import TOP

DOCS = TOP / "docs"


def about(a: dict[str, Any]) -> str:
    lab = a["lab"]
    lines = [["VMBeam", a["vmbeam"]], ["machine", f"{a['processor']}, Linux {a['kernel']}"],
             ["lab", f"{a['qemu']}, {a['accelerator']}; {a['cpus']} processors, {a['mib']} MiB; "
                     f"host VMs of {lab['hostvm_mib']} MiB"],
             ["host hypervisor", f"Xen {a['xen']}, its dom0 Linux {a['dom0_kernel']}"],
             ["nested hypervisors", f"Xen {a['nested_xen']}"]]
    if "iperf3" in a:
        tried = ", ".join(f"{bench_report.number(s)} s with {o or 'no option'}" for o, s in a["iperf3"]["tried"].items())
        lines.append(["iperf3", f"{a['iperf3']['options'] or 'no option'}, the fastest of: {tried}"])
    return bench_report.markdown(["what", "which"], lines)


def plots_of(report: dict[str, Any], part: str = "") -> list[str]:
    """The files of its plots."""
    return [p.name for p in bench_plot.scripts(report, "svg", Path()) if p.name.startswith(part)]


def images(report: dict[str, Any], part: str) -> str:
    return "\n\n".join(f"![{name.removesuffix('.svg')}](performance/{name})" for name in plots_of(report, part))


def blocks(report: dict[str, Any]) -> dict[str, str]:
    """What stands between which marks."""
    made = {"about": about(report["about"])}
    for part, table in bench_report.PART_TABLES.items():
        if any(e["part"] == part for e in report["rows"]):
            made[part] = f"{table(report['rows'])}\n\n{images(report, part)}"
    timelines = bench_timeline_show.tables(report["rows"])
    if timelines:
        made["timeline"] = "\n\n".join([*timelines, images(report, "timeline")])
    if "pain" in made:
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


def write(out: Path, docs: Path = DOCS) -> None:
    """From a directory with a report."""
    try:
        report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise LabError(f"there is no {e.filename}: make bench writes it") from e
    page = docs / "performance.md"
    text = page.read_text(encoding="utf-8")
    for name, block in blocks(report).items():
        text = put(text, name, block)
    plots = docs / "performance"
    shutil.rmtree(plots, ignore_errors=True)
    plots.mkdir()
    for name in plots_of(report):
        shutil.copy(out / name, plots)
    page.write_text(text, encoding="utf-8")
