# SPDX-License-Identifier: GPL-2.0
"""Where the downtime goes, as tables and as a picture: from the rows of a report that have a timeline."""

import re
from pathlib import Path
from typing import Any, Iterable

from .bench_report import markdown, number
from .bench_trace import Bar

# What takes a smaller part of every pause is added up, in percent.
SMALL = 0.5
# A program that runs for a smaller part of every pause has no line of its own.
SHORT = 1.0
COLOURS = {"vmbeamd": 0x4472C4, "host": 0x4472C4, "source": 0xED7D31, "destination": 0x70AD47}
UNNAMED, STEP, MESSAGE = 0xC00000, 0xBFBFBF, 0x7F7F7F
AGENTS = ("source", "destination")
WIDTH, LANE = 1400, 24
# How much room a letter of a bar's name takes, of what all bars have.
LETTERS = 175
LANES_MAX = 12


def bars(element: dict[str, Any], kind: str) -> list[Bar]:
    return [Bar(**b) for b in element["timeline"] if b["kind"] == kind]


def pause(element: dict[str, Any]) -> float:
    """In ms."""
    return float(element["figures"]["traced_s"]["median"]) * 1000


def title(element: dict[str, Any]) -> str:
    return f"{element['mib']} MiB, {element['case'].removeprefix('vmbeam-')}"


Key = tuple[str, str, str]


def parts(element: dict[str, Any]) -> dict[Key, float]:
    """What the pause is the sum of, in ms, in the order in which it comes."""
    found: dict[Key, float] = {}
    for b in bars(element, "path"):
        key = (b.step, b.where, b.what if b.named else f"NOT KNOWN: {b.what}")
        found[key] = found.get(key, 0.0) + b.ms
    return found


def in_order(lists: list[list[Key]]) -> list[Key]:
    """All of them, each where it comes in its own list; what one list alone has, comes behind what is before it there."""
    order: list[Key] = []
    for keys in lists:
        at = 0
        for key in keys:
            if key not in order:
                order.insert(at, key)
            at = max(at, order.index(key) + 1)
    return order


def path_table(found: list[dict[str, Any]]) -> str:
    columns = [parts(e) for e in found]
    whole = [pause(e) for e in found]

    def cell(ms: float, all_of_it: float) -> str:
        return f"{number(ms)} ({100 * ms / all_of_it:.1f} %)" if ms else ""

    def large(key: Key) -> bool:
        return any(100 * c.get(key, 0.0) >= SMALL * w for c, w in zip(columns, whole)) or key[2].startswith("NOT KNOWN")

    shown = [key for key in in_order([list(c) for c in columns]) if large(key)]
    lines = [[*key, *(cell(c.get(key, 0.0), w) for c, w in zip(columns, whole))] for key in shown]
    rest = [sum(ms for key, ms in c.items() if key not in shown) for c in columns]
    lines.append(["", "", f"all else, less than {SMALL:g} % each", *(cell(ms, w) for ms, w in zip(rest, whole))])
    lines.append(["", "", "sum", *(number(sum(c.values())) for c in columns)])
    for text, name in (("of it explained", "explained_s"), ("downtime that vmbeamd tells", "told_downtime_s"),
                       ("downtime that a client sees", "downtime_s"), ("the clocks may be wrong by", "clock_error_s")):
        lines.append(["", "", text, *(number(e["figures"][name]["median"] * 1000) for e in found)])
    lines.append(["", "", "explained, of what vmbeamd tells",
                  *(f"{100 * e['figures']['explained_s']['median'] / e['figures']['told_downtime_s']['median']:.1f} %" for e in found)])
    return markdown(["step", "where", "what", *(f"{title(e)}: ms" for e in found)], lines)


def process_table(found: list[dict[str, Any]]) -> str:
    """What ran in the pause: how often, and how long together."""
    columns: list[dict[tuple[str, str], list[float]]] = []
    for e in found:
        ran: dict[tuple[str, str], list[float]] = {}
        for b in bars(e, "process"):
            ran.setdefault((b.where, b.what), []).append(b.ms)
        columns.append(ran)

    def most(key: tuple[str, str]) -> float:
        return max(100 * sum(c.get(key, [])) / pause(e) for c, e in zip(columns, found))

    shown = sorted((key for key in {key for c in columns for key in c} if most(key) >= SHORT),
                   key=lambda key: (key[0], -most(key), key))
    return markdown(["where", "program", *(f"{title(e)}: number, ms" for e in found)],
                    [[*key, *(f"{len(c[key])}, {number(sum(c[key]))}" if key in c else "" for c in columns)] for key in shown])


def tables(elements: Iterable[dict[str, Any]]) -> list[str]:
    found = [e for e in elements if e["part"] == "timeline"]
    return [path_table(found), process_table(found)] if found else []


def lanes(found: list[Bar]) -> list[list[Bar]]:
    """Bars that do not overlap share one; the shortest are left out if there are too many."""
    made: list[list[Bar]] = []
    for b in sorted(sorted(found, key=lambda b: -b.ms)[:200], key=lambda b: b.begin):
        lane = next((lane for lane in made if lane[-1].end <= b.begin), None)
        if lane:
            lane.append(b)
        elif len(made) < LANES_MAX:
            made.append([b])
    return made


def rows_of_picture(element: dict[str, Any]) -> list[tuple[str, list[Bar]]]:
    """From top to bottom: what each is called, and its bars."""
    calls, ran = bars(element, "call") + bars(element, "message"), bars(element, "process")
    least = pause(element) * SMALL / 100
    made = [("step", bars(element, "step")), ("what is waited for", bars(element, "path"))]
    for where in ("host", *AGENTS):
        if where in AGENTS:
            made.append((f"{where}: agent", [b for b in calls if b.where == where]))
        for i, lane in enumerate(lanes([b for b in ran if b.where == where and b.ms >= least])):
            made.append((f"{where}: processes" if not i else "", lane))
    return made


def _colour(b: Bar) -> int:
    return {"step": STEP, "message": MESSAGE}.get(b.kind, COLOURS[b.where] if b.named else UNNAMED)


def picture(element: dict[str, Any], terminal: str, out: Path) -> str:
    """What gnuplot is told: a lane for each row, a box for each bar, and a name where it fits."""
    rows, whole = rows_of_picture(element), pause(element)
    height = len(rows)
    boxes, labels, tics = [], [], []
    for i, (name, lane) in enumerate(rows):
        y = height - i - 0.5
        if name:
            tics.append(f'"{name}" {y:g}')
        for b in lane:
            half = 0.15 if b.kind == "message" else 0.4
            boxes.append(f"{(b.begin + b.end) / 2:.3f} {y:g} {b.begin:.3f} {b.end:.3f} {y - half:g} {y + half:g} {_colour(b)}")
            text = re.sub(r'["\\\n]', "", b.what)
            if b.kind != "message" and len(text) <= LETTERS * b.ms / whole:
                labels.append(f'set label "{text}" at {(b.begin + b.end) / 2:.3f},{y:g} center noenhanced front')
    size = re.sub(r"size \d+,\d+", f"size {WIDTH},{120 + LANE * height}", terminal)
    return "\n".join([
        f"set terminal {size}", f'set output "{out}"', "unset key", "set border 3", "set tics nomirror", "set grid xtics",
        f'set title "Where the downtime goes: {title(element)}"', 'set xlabel "ms since the guest VM was known to be suspended"',
        f"set xrange [0:{whole:.3f}]", f"set yrange [0:{height}]", f"set ytics ({', '.join(tics)}) noenhanced",
        "set style fill solid 0.7 border", *labels, "$bars << EOD", *boxes, "EOD",
        "plot $bars using 1:2:3:4:5:6:7 with boxxyerror linecolor rgb variable"]) + "\n"


def timeline_scripts(elements: Iterable[dict[str, Any]], kind: str, terminal: str, out: Path) -> dict[Path, str]:
    """What gnuplot is told for each row with a timeline, by the file that it writes."""
    made = {}
    for e in elements:
        if e["part"] == "timeline":
            path = out / f"{e['row'].replace('/', '-')}.{kind}"
            made[path] = picture(e, terminal, path)
    return made
