# SPDX-License-Identifier: GPL-2.0
"""From the raw runs to figures: medians and spreads, how they compare within one boot, and the tables of both."""

import statistics
from dataclasses import asdict, dataclass
from typing import Any, Iterable, Mapping

from .bench_runs import Row, Run

# The original's only experiment, as published (VMBeam on Xen 4.1, 2012): seconds and percent of a processor for 1024 MiB.
ORIGINAL: dict[str, Any] = {"mib": 1024, "swap": {"seconds": 0.5, "cpu_percent": 98},
                            "network": {"seconds": 0.64, "cpu_percent": 346}}


@dataclass(frozen=True)
class Figure:
    median: float
    least: float
    most: float

    @staticmethod
    def of(values: Iterable[float]) -> "Figure":
        v = list(values)
        return Figure(statistics.median(v), min(v), max(v))


@dataclass(frozen=True)
class Aim:
    """How one case compares with another of the same size: median over median. least: what it is to reach, at a size."""
    part: str
    case: str
    base: str
    value: str
    least: float
    mib: int = 1024


AIMS = (
    Aim("memory", "swap-2m", "memcpy", "seconds", 15),
    Aim("memory", "swap-4k", "memcpy", "seconds", 2),
    Aim("memory", "swap-4k-runs", "memcpy", "seconds", 2),
    Aim("memory", "swap-2m", "network", "seconds", 50),
    Aim("memory", "swap-2m", "network", "cpu_s", 50),
    Aim("memory", "swap-4k", "network", "seconds", 50),
    Aim("memory", "swap-4k", "network", "cpu_s", 50),
)
WORDS = {"seconds": "time", "cpu_s": "processor time", "wall_s": "time"}


def summary(rows: Mapping[Row, list[Run]]) -> list[dict[str, Any]]:
    """An element of report.json for each row, with its raw runs."""
    return [{"row": row.name, "part": row.part, "mib": row.mib, "case": row.case, "build": runs[0].build, "boot": runs[0].boot,
             "runs": [r.values for r in runs],
             "figures": {name: asdict(Figure.of(r.values[name] for r in runs)) for name in runs[0].values}}
            for row, runs in rows.items()]


def ratios(elements: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of every size at which both rows were measured in the same boot: others cannot be compared."""
    by = {(e["part"], e["mib"], e["case"]): e for e in elements}
    found = []
    for a in AIMS:
        for (part, mib, case), e in by.items():
            base = by.get((part, mib, a.base))
            if part != a.part or case != a.case or not base or (base["boot"], base["build"]) != (e["boot"], e["build"]):
                continue
            ours, theirs = (x["figures"][a.value]["median"] for x in (e, base))
            if ours > 0:
                found.append({"part": part, "mib": mib, "case": case, "base": a.base, "value": a.value, "times": theirs / ours,
                              "aim": a.least if mib == a.mib else None,
                              "reached": theirs / ours >= a.least if mib == a.mib else None})
    return found


def report(rows: Mapping[Row, list[Run]], about: dict[str, Any]) -> dict[str, Any]:
    elements = summary(rows)
    return {"about": about, "original": ORIGINAL, "rows": elements, "ratios": ratios(elements)}


def number(x: float) -> str:
    """Three digits that count."""
    if x == 0:
        return "0"
    return f"{x:.0f}" if abs(x) >= 100 else f"{x:.3g}"


def span(f: Mapping[str, float]) -> str:
    return f"{number(f['median'])} ({number(f['least'])} to {number(f['most'])})"


def markdown(head: list[str], lines: list[list[str]]) -> str:
    """A table in columns, so that it can be read on a terminal, too."""
    widths = [max(len(line[i]) for line in (head, *lines)) for i in range(len(head))]

    def one(cells: list[str]) -> str:
        return "| " + " | ".join(c.ljust(w) for c, w in zip(cells, widths)) + " |"

    return "\n".join([one(head), "|" + "|".join("-" * (w + 2) for w in widths) + "|", *(one(line) for line in lines)])


def memory_table(elements: Iterable[dict[str, Any]]) -> str:
    lines = []
    for e in elements:
        if e["part"] == "memory":
            f = e["figures"]
            frames = e["mib"] * 256
            lines.append([str(e["mib"] or ""), e["case"], span(f["seconds"]),
                          number(f["seconds"]["median"] * 1e9 / frames) if frames else "",
                          span(f["cpu_s"]), number(100 * f["cpu_s"]["median"] / f["wall_s"]["median"]), str(len(e["runs"]))])
    return markdown(["MiB", "case", "seconds", "ns per 4 KiB", "processor seconds", "% of a CPU", "runs"], lines)


def ratio_table(found: Iterable[dict[str, Any]]) -> str:
    lines = [[str(r["mib"]), r["case"], r["base"], WORDS[r["value"]], number(r["times"]),
              f"≥ {number(r['aim'])}" if r["aim"] else "", {True: "yes", False: "NO", None: ""}[r["reached"]]]
             for r in found]
    return markdown(["MiB", "case", "against", "of what", "times less", "aim", "reached"], lines)


def tables(r: dict[str, Any]) -> str:
    """All that there is, for a terminal."""
    shown = [memory_table(r["rows"])] if any(e["part"] == "memory" for e in r["rows"]) else []
    if r["ratios"]:
        shown.append(ratio_table(r["ratios"]))
    if len({(e["build"], e["boot"]) for e in r["rows"]}) > 1:
        shown.append("Not all rows were measured in the same boot of the same build: ratios between such rows are left out.")
    return "\n\n".join(shown)
