#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs the timing program for NPT's and EPT's tables, writes build/bench/native.json, and prints a table of it.

bench.py [--json FILE] [--docs] [OPTIONS OF bench.c]

--docs also puts the table into docs/hypercall.md. In the build tree: see lab/tree.sh, or make bench-native."""

import argparse
import json
import platform
import re
import subprocess
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[2]
BUILD = TOP / "build/p2m-swap"
DOCS = TOP / "docs/hypercall.md"
# Case -> the copy that it is compared with, and how many times as fast it is to be.
AIMS: dict[str, tuple[str, int | None]] = {
    "4 KiB scattered": ("memcpy, scattered", 4),
    "4 KiB scattered, back": ("memcpy, scattered", None),
    "4 KiB runs of 512": ("memcpy, runs of 512", 12),
    "4 KiB runs of 512, back": ("memcpy, runs of 512", None),
    "2 MiB": ("memcpy, runs of 512", 50),
    "2 MiB, back": ("memcpy, runs of 512", None),
    "2 MiB with 8 excluded": ("memcpy, runs of 512", None),
    "2 MiB with 8 excluded, back": ("memcpy, runs of 512", None),
    "exchange": ("memcpy, scattered", None),
    "exchange, back": ("memcpy, scattered", None),
}
TABLES = ("npt", "ept")


def processor() -> str:
    found = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace"), re.M)
    return found[1] if found else platform.machine()


def measure(options: list[str]) -> dict[str, Any]:
    subprocess.run(["make", "-s", "-C", HERE, f"O={BUILD}", "bench"], check=True)
    cases = []
    for tables in TABLES:
        command = [BUILD / "bench", *(["-e"] if tables == "ept" else []), *options]
        lines = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
        cases += [json.loads(line) for line in lines]
    for case in cases:
        case["median"] = median(case["ns"])
        case["least"], case["most"] = min(case["ns"]), max(case["ns"])
    by = {(c["tables"], c["case"]): c for c in cases}
    for (tables, name), case in by.items():
        if name in AIMS:
            base, case["aim"] = AIMS[name]
            case["times_as_fast"] = by[tables, base]["median"] / case["median"]
    return {"unit": "nanoseconds of processor time per pair of 4 KiB frames", "processor": processor(),
            "kernel": platform.release(), "options": options, "counters": any(c["counters"] for c in cases), "cases": cases}


def table(report: dict[str, Any]) -> str:
    by = {(c["tables"], c["case"]): c for c in report["cases"]}
    lines = ["| per pair of 4 KiB, in ns: median (least to most) | NPT | EPT | as fast as memcpy | aim |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(c["case"] for c in report["cases"]):
        both = [by[tables, name] for tables in TABLES]
        cells = [f"{c['median']:.0f} ({c['least']:.0f} to {c['most']:.0f})" for c in both]
        if name in AIMS:
            cells.append(" / ".join(f"{c['times_as_fast']:.1f}" for c in both) + " ×")
            cells.append(f"≥ {AIMS[name][1]} ×" if AIMS[name][1] else "")
        else:
            cells += ["", ""]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    npt = [by["npt", name] for name in ("4 KiB scattered", "memcpy, scattered")]
    lines += ["", f"{report['processor']}, Linux {report['kernel']}; {len(npt[0]['ns'])} runs; {npt[0]['pairs']} pairs, of which "
              f"{npt[1]['pairs']} are copied, exchanged, or have excluded frames."]
    if not report["counters"]:
        lines[-1] += " The processor's counters could not be read here, so there is no profile by cache misses."
    else:
        kinds = list(next(c["counters"] for c in report["cases"] if c["counters"]))
        lines += ["", f"| NPT, per pair | {' | '.join(kinds)} |", "|---" * (len(kinds) + 1) + "|"]
        lines += [f"| {c['case']} | {' | '.join('–' if v is None else f'{v:.2f}' for v in c['counters'].values())} |"
                  for c in report["cases"] if c["tables"] == "npt"]
    return "\n".join(lines)


def put_into_docs(text: str) -> None:
    docs = DOCS.read_text(encoding="utf-8")
    new = re.sub(r"(<!-- bench-native: [^>]*-->\n).*?(<!-- end of bench-native -->)", lambda m: f"{m[1]}\n{text}\n\n{m[2]}", docs,
                 flags=re.S)
    DOCS.write_text(new, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=TOP / "build/bench/native.json")
    parser.add_argument("--docs", action="store_true")
    args, options = parser.parse_known_args()
    report = measure(options)
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(table(report))
    if args.docs:
        put_into_docs(table(report))


if __name__ == "__main__":
    main()
