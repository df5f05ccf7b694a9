# SPDX-License-Identifier: GPL-2.0
"""From the raw runs to figures: medians and spreads, how they compare within one boot, and the tables of both."""

import statistics
from dataclasses import asdict, dataclass
from typing import Any, Iterable, Mapping

from .bench_runs import CUT, STALL_MS, STALLS, Row, Run

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
    """How one case compares with another of the same size: median over median. least: what it is to reach, at a size, or
    None where it is only told."""
    part: str
    case: str
    base: str
    value: str
    least: float | None
    mib: int = 1024


AIMS = (
    Aim("memory", "swap-2m", "memcpy", "seconds", 15),
    Aim("memory", "swap-4k", "memcpy", "seconds", 2),
    Aim("memory", "swap-4k-runs", "memcpy", "seconds", 2),
    Aim("memory", "swap-2m", "network", "seconds", 50),
    Aim("memory", "swap-2m", "network", "cpu_s", 50),
    Aim("memory", "swap-4k", "network", "seconds", 50),
    Aim("memory", "swap-4k", "network", "cpu_s", 50),
    Aim("migration", "vmbeam-busy", "live-busy", "seconds", 3),
    Aim("migration", "vmbeam-busy", "live-busy", "bytes", 50),
    *(Aim("migration", f"vmbeam-{load}", f"{stock}-{load}", value, None)
      for load in ("idle", "busy") for stock in ("live", "saved") for value in ("seconds", "downtime_s", "cpu_s", "bytes")
      if (load, stock, value) not in (("busy", "live", "seconds"), ("busy", "live", "bytes"))),
    *(Aim("pain", f"vmbeam-{load}", f"{stock}-{load}", value, least)
      for load in ("idle", "busy") for stock in ("live", "saved")
      for value, least in (("p99_s", 1), ("most_s", None), ("slower", None))),
)
# Of a migration that was ended, the first are the least that it takes, and the second are not known. What others felt of
# it is that of the part that there was.
GROWING = ("seconds", "cpu_s", "bytes")
KNOWN_AT_END = ("downtime_s", "slower")
WORDS = {"seconds": "time", "cpu_s": "processor time", "downtime_s": "downtime", "bytes": "bytes over the network",
         "p99_s": "stalls of other guest VMs, p99", "most_s": "stalls of other guest VMs, the longest",
         "slower": "a pass over memory after, of before"}
# How much the downtime of a vmbeam migration may grow from the one size to the other.
GROWTH = (128, 1024, 1.5)


def numbered(rows: Mapping[Row, list[Run]]) -> list[dict[str, str]]:
    """The starts of the lab that runs are of, in the order in which they came."""
    first: dict[tuple[str, str], str] = {}
    for r in (r for runs in rows.values() for r in runs):
        first[r.boot, r.build] = min(first.get((r.boot, r.build), r.when), r.when)
    return [{"start": str(n), "boot": boot, "build": build, "when": when}
            for n, ((boot, build), when) in enumerate(sorted(first.items(), key=lambda item: (item[1], item[0])), 1)]


def summary(rows: Mapping[Row, list[Run]], starts: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """An element of report.json for each row, with its raw runs."""
    number_of = {(s["boot"], s["build"]): s["start"] for s in starts}
    return [{"row": row.name, "part": row.part, "mib": row.mib, "case": row.case, "build": runs[0].build, "boot": runs[0].boot,
             "start": number_of[runs[0].boot, runs[0].build], "at_least": any(r.values.get(CUT) for r in runs),
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
            if part != a.part or case != a.case or not base or base["start"] != e["start"]:
                continue
            if base["at_least"] and a.value in KNOWN_AT_END:
                continue
            ours, theirs = (x["figures"][a.value]["median"] for x in (e, base))
            if ours > 0:
                aim, times = a.least if mib == a.mib else None, theirs / ours
                at_least = base["at_least"] and a.value in GROWING
                known = aim is not None and (times >= aim or not at_least)
                found.append({"part": part, "mib": mib, "case": case, "base": a.base, "value": a.value, "times": times,
                              "at_least": at_least, "aim": aim, "reached": times >= aim if known else None})
    return found


def growth(elements: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the downtime, from the smallest to the largest guest VM."""
    small, large, most = GROWTH
    by = {(e["case"], e["mib"]): e for e in elements if e["part"] == "migration" and e["case"].startswith("vmbeam-")}
    found = []
    for (case, mib), e in by.items():
        base = by.get((case, small))
        if mib != large or not base or base["start"] != e["start"]:
            continue
        times = e["figures"]["downtime_s"]["median"] / base["figures"]["downtime_s"]["median"]
        found.append({"case": case, "from_mib": small, "to_mib": large, "times": times, "most": most, "reached": times <= most})
    return found


def report(rows: Mapping[Row, list[Run]], about: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """about: what is known of each start of the lab, by boot."""
    starts = numbered(rows)
    elements = summary(rows, starts)
    return {"starts": [{**about.get(s["boot"], {}), **s} for s in starts], "original": ORIGINAL, "rows": elements,
            "ratios": ratios(elements), "growth": growth(elements)}


def number(x: float) -> str:
    """Three digits that count."""
    if x == 0:
        return "0"
    return f"{x:.0f}" if abs(x) >= 100 else f"{x:.3g}"


def least(at_least: bool, text: str) -> str:
    return f"> {text}" if at_least else text


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
                          span(f["cpu_s"]), number(100 * f["cpu_s"]["median"] / f["wall_s"]["median"]), str(len(e["runs"])), e["start"]])
    return markdown(["MiB", "case", "seconds", "ns per 4 KiB", "processor seconds", "% of a CPU", "runs", "start"], lines)


def migration_table(elements: Iterable[dict[str, Any]]) -> str:
    lines = []
    for e in elements:
        if e["part"] == "migration":
            f, cut = e["figures"], e["at_least"]
            lines.append([str(e["mib"]), e["case"], least(cut, span(f["seconds"])), "" if cut else span(f["downtime_s"]),
                          least(cut, span(f["cpu_s"])), least(cut, number(f["bytes"]["median"] / 2**20)),
                          "" if cut else number(f["pages_resent"]["median"]), str(len(e["runs"])), e["start"]])
    return markdown(["MiB", "case", "seconds", "downtime, seconds", "processor seconds", "MiB over the network", "pages resent",
                     "runs", "start"], lines)


def original_table(r: Mapping[str, Any]) -> str:
    """The original's figures beside ours of the same size; "" if there are none. Machines differ: what can be compared is
    how each method stands to the network of its own machine."""
    known = r["original"]
    theirs = [("", "the original", case, known[case]["seconds"], known[case]["cpu_percent"]) for case in ("swap", "network")]
    ours = [(e["start"], "here", e["case"], e["figures"]["seconds"]["median"],
             100 * e["figures"]["cpu_s"]["median"] / e["figures"]["wall_s"]["median"])
            for e in r["rows"] if e["part"] == "memory" and e["mib"] == known["mib"]]
    if not ours:
        return ""
    lines = []
    for rows in (theirs, ours):
        network = {start: seconds for start, _, case, seconds, _ in rows if case == "network"}
        lines += [[where, case, number(seconds), number(percent), number(seconds / network[start]) if start in network else ""]
                  for start, where, case, seconds, percent in rows]
    return markdown(["system", "case", "seconds", "% of a CPU", "of its network's time"], lines)


def milliseconds(f: Mapping[str, float]) -> str:
    return span({name: 1000 * value for name, value in f.items()})


# Three times the floor of an emulator's timers: such a tick had to wait for somebody.
LATE_MS = 32


def late_ticks(run: Mapping[str, float]) -> float:
    """Of one run, how many were late by more than LATE_MS."""
    return sum(run[name] for name in STALLS[STALL_MS.index(LATE_MS) + 1:])


def stalls_table(elements: Iterable[dict[str, Any]]) -> str:
    lines = []
    for e in elements:
        if e["part"] == "pain":
            f = e["figures"]
            lines.append([str(e["mib"]), e["case"], least(e["at_least"], number(f["seconds"]["median"])),
                          *(milliseconds(f[name]) for name in ("p50_s", "p90_s", "p99_s", "most_s")),
                          *(number(1000 * f[name]["median"]) for name in ("p99_source_s", "p99_dest_s")),
                          least(e["at_least"], number(statistics.median(map(late_ticks, e["runs"])))), str(len(e["runs"])), e["start"]])
    return markdown(["MiB", "case", "seconds", "p50, ms", "p90, ms", "p99, ms", "longest, ms", "p99 at A", "p99 at B",
                     f"ticks > {LATE_MS} ms", "runs", "start"], lines)


def speed_table(elements: Iterable[dict[str, Any]]) -> str:
    lines = []
    for e in elements:
        if e["part"] == "pain" and not e["at_least"]:
            f = e["figures"]
            lines.append([str(e["mib"]), e["case"], milliseconds(f["pass_before_s"]), milliseconds(f["pass_after_s"]),
                          span(f["slower"]), *(milliseconds(f[f"pass_{when}_most_s"]) for when in ("before", "after"))])
    return markdown(["MiB", "case", "a pass before, ms", "after, ms", "after / before", "longest before, ms", "longest after, ms"], lines)


def growth_table(found: Iterable[dict[str, Any]]) -> str:
    return markdown(["case", "from MiB", "to MiB", "times the downtime", "aim", "reached"],
                    [[g["case"], str(g["from_mib"]), str(g["to_mib"]), number(g["times"]), f"≤ {number(g['most'])}",
                      "yes" if g["reached"] else "NO"] for g in found])


PART_TABLES = {"memory": memory_table, "migration": migration_table, "pain": stalls_table}


def ratio_table(found: Iterable[dict[str, Any]]) -> str:
    lines = [[str(r["mib"]), r["case"], r["base"], WORDS[r["value"]], least(r["at_least"], number(r["times"])),
              f"≥ {number(r['aim'])}" if r["aim"] else "", {True: "yes", False: "NO", None: ""}[r["reached"]]]
             for r in found]
    return markdown(["MiB", "case", "against", "of what", "times less", "aim", "reached"], lines)


def tables(r: dict[str, Any]) -> str:
    """All that there is, for a terminal."""
    shown = [table(r["rows"]) for part, table in PART_TABLES.items() if any(e["part"] == part for e in r["rows"])]
    if any(e["part"] == "pain" for e in r["rows"]):
        shown.append(speed_table(r["rows"]))
    if original := original_table(r):
        shown.append(original)
    if r["ratios"]:
        shown.append(ratio_table(r["ratios"]))
    if r["growth"]:
        shown.append(growth_table(r["growth"]))
    if len(r["starts"]) > 1:
        shown.append("Not all rows were measured in the same boot of the same build: ratios between such rows are left out.")
    return "\n\n".join(shown)
