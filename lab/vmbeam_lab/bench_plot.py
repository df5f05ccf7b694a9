# SPDX-License-Identifier: GPL-2.0
"""Plots of a report, by gnuplot, as SVG and PNG."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable

from .bench_report import ORIGINAL
from .bench_runs import PHASES, STALL_MS, STALLS
from .bench_timeline_show import timeline_scripts
from .errors import LabError

TERMINALS = {"svg": 'svg size 900,560 font "sans,12" background "white"', "png": 'pngcairo size 900,560 font "sans,11"'}
STYLE = """set key outside right top vertical spacing 1.3
set grid
set border 3
set tics nomirror
"""


@dataclass(frozen=True)
class Line:
    """A curve: its points are x, median, least and most. One of a single point shows as that."""
    title: str
    points: tuple[tuple[float, float, float, float], ...]
    original: bool = False


@dataclass(frozen=True)
class Plot:
    name: str
    title: str
    y: str
    lines: tuple[Line, ...]
    log: bool = True


def of_rows(elements: Iterable[dict[str, Any]], part: str, value: str) -> tuple[Line, ...]:
    """A curve for each case of a part, over the size; one of its own for migrations that were ended. Nought has no place
    on a logarithmic scale."""
    cases: dict[str, list[tuple[float, float, float, float]]] = {}
    for e in elements:
        f = e["figures"].get(value)
        if e["part"] == part and e["mib"] and f and f["least"] > 0:
            title = f"{e['case']}, more than" if e["at_least"] else e["case"]
            cases.setdefault(title, []).append((e["mib"], f["median"], f["least"], f["most"]))
    return tuple(Line(case, tuple(sorted(points))) for case, points in cases.items())


def original(value: str) -> tuple[Line, ...]:
    """The original's own figures, beside ours."""
    mib, lines = float(ORIGINAL["mib"]), []
    for name in ("swap", "network"):
        o = ORIGINAL[name]
        y = o["seconds"] if value == "seconds" else o["seconds"] * o["cpu_percent"] / 100
        lines.append(Line(f"the original's {name}, 2012", ((mib, y, y, y),), original=True))
    return tuple(lines)


def plots(report: dict[str, Any]) -> list[Plot]:
    """Those that the report has data for."""
    rows = report["rows"]
    made = [Plot("memory-time", "The memory of one VM becomes another's", "seconds",
                 of_rows(rows, "memory", "seconds") + original("seconds")),
            Plot("memory-cpu", "The memory of one VM becomes another's: the whole host's processors", "processor seconds",
                 of_rows(rows, "memory", "cpu_s") + original("cpu_s")),
            Plot("migration-time", "A migration: the whole of it", "seconds", of_rows(rows, "migration", "seconds")),
            Plot("migration-downtime", "A migration: how long a client hears nothing", "seconds",
                 of_rows(rows, "migration", "downtime_s")),
            Plot("migration-cpu", "A migration: the whole host's processors", "processor seconds",
                 of_rows(rows, "migration", "cpu_s")),
            Plot("migration-bytes", "A migration: what goes over the network", "bytes", of_rows(rows, "migration", "bytes"))]
    return [p for p in made if any(not line.original for line in p.lines)]


def stacked(elements: Iterable[dict[str, Any]], case: str) -> tuple[list[int], dict[str, list[float]]]:
    """The medians of a migration's phases: sizes, and for each phase a value for each of them."""
    found = sorted((e for e in elements if e["part"] == "migration" and e["case"] == case), key=lambda e: int(e["mib"]))
    return ([int(e["mib"]) for e in found],
            {name: [e["figures"][f"phase_{name}_s"]["median"] for e in found] for name in PHASES})


def phase_scripts(report: dict[str, Any], terminal: str, out: Path) -> dict[Path, str]:
    """A plot of the phases for each load that was measured: what gnuplot is told, by the file that it writes."""
    scripts = {}
    for load in ("idle", "busy"):
        sizes, phases = stacked(report["rows"], f"vmbeam-{load}")
        if not sizes:
            continue
        path = out / f"migration-phases-{load}.{terminal}"
        lines = [" ".join([str(mib), *(f"{phases[name][i]:.9g}" for name in PHASES)]) for i, mib in enumerate(sizes)]
        columns = ", \\\n     ".join(f'$phases using {i + 2}{":xtic(1)" if i == 0 else ""} title "{name}"'
                                     for i, name in enumerate(PHASES))
        scripts[path] = "\n".join([
            f"set terminal {TERMINALS[terminal]}", f'set output "{path}"', STYLE, "set style data histograms",
            "set style histogram rowstacked", "set style fill solid 0.8", "set boxwidth 0.7", 'set xlabel "MiB"',
            'set ylabel "seconds"', f'set title "The phases of vmbeam migrate, guest VM {load}"',
            "$phases << EOD", *lines, "EOD", f"plot {columns}"]) + "\n"
    return scripts


def later(runs: Iterable[dict[str, float]]) -> list[tuple[int, float]]:
    """Of all ticks of all runs, the share that was late by more than so many ms. Nought has no place on such a scale."""
    counts = [sum(values) for values in zip(*([run[name] for name in STALLS] for run in runs))]
    shares = [(ms, sum(counts[n + 1:]) / sum(counts)) for n, ms in enumerate(STALL_MS)]
    return [(ms, share) for ms, share in shares if share > 0]


def stall_scripts(report: dict[str, Any], terminal: str, out: Path) -> dict[Path, str]:
    """A plot of the stalls for each load, of the largest guest VM that was measured under it."""
    scripts = {}
    pain = [e for e in report["rows"] if e["part"] == "pain"]
    for load in ("idle", "busy"):
        mib = max((e["mib"] for e in pain if e["case"].endswith(f"-{load}")), default=0)
        curves = [(e["case"], points) for e in pain
                  if e["mib"] == mib and (e["case"] == "quiet" or e["case"].endswith(f"-{load}")) and (points := later(e["runs"]))]
        if not curves:
            continue
        path = out / f"pain-stalls-{load}.{terminal}"
        data = [line for n, (_, points) in enumerate(curves)
                for line in (f"$stalls{n} << EOD", *(f"{ms} {share:.9g}" for ms, share in points), "EOD")]
        drawn = ", \\\n     ".join(f'$stalls{n} with linespoints pointtype 7 linecolor {n + 1} title "{case}"'
                                   for n, (case, _) in enumerate(curves))
        scripts[path] = "\n".join([
            f"set terminal {TERMINALS[terminal]}", f'set output "{path}"', STYLE, "set logscale x 2", "set logscale y 10",
            f'set title "Ticks of other guest VMs while one of {mib} MiB moves, {load}"', 'set xlabel "ms"',
            'set ylabel "share that is later than that"', f"set xrange [0.8:{STALL_MS[-1] * 1.2:g}]", "set yrange [:1.2]",
            f"set xtics ({', '.join(map(str, STALL_MS[::2]))})", *data, f"plot {drawn}"]) + "\n"
    return scripts


def script(p: Plot, terminal: str, out: Path) -> str:
    """What gnuplot is told."""
    text = [f"set terminal {TERMINALS[terminal]}", f'set output "{out}"', STYLE, f'set title "{p.title}"', 'set xlabel "MiB"',
            f'set ylabel "{p.y}"', "set logscale x 2"]
    if p.log:
        text.append("set logscale y 10")
    xs = sorted({point[0] for line in p.lines for point in line.points})
    text.append(f"set xrange [{xs[0] / 1.3:g}:{xs[-1] * 1.3:g}]")
    text.append(f"set xtics ({', '.join(f'{x:g}' for x in xs)})")
    drawn = []
    for i, line in enumerate(p.lines):
        text += [f"$line{i} << EOD", *(" ".join(f"{v:.9g}" for v in point) for point in line.points), "EOD"]
        if line.original:
            drawn.append(f'$line{i} using 1:2 with points pointtype {4 + 2 * (i % 2)} pointsize 1.6 linecolor "black" '
                         f'title "{line.title}"')
        else:
            drawn.append(f'$line{i} using 1:2:3:4 with yerrorlines pointtype 7 linecolor {i + 1} title "{line.title}"')
    text.append("plot " + ", \\\n     ".join(drawn))
    return "\n".join(text) + "\n"


def scripts(report: dict[str, Any], terminal: str, out: Path) -> dict[Path, str]:
    """Of all plots that the report has data for."""
    curves = {out / f"{p.name}.{terminal}": script(p, terminal, out / f"{p.name}.{terminal}") for p in plots(report)}
    return (curves | phase_scripts(report, terminal, out) | stall_scripts(report, terminal, out)
            | timeline_scripts(report["rows"], terminal, TERMINALS[terminal], out))


def draw(report: dict[str, Any], out: Path) -> list[Path]:
    """Writes all plots, and says which files they are."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for terminal in TERMINALS:
        for path, text in scripts(report, terminal, out).items():
            path.unlink(missing_ok=True)
            program = path.with_suffix(".gnuplot")
            program.write_text(text, encoding="utf-8")
            done = subprocess.run(["gnuplot", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            # A terminal that it does not have is only a warning, and an empty file.
            if done.returncode or not path.exists() or not path.stat().st_size:
                raise LabError(f"gnuplot does not draw {path.name}: {done.stdout.strip()}")
            written.append(path)
    return written
