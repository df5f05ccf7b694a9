# SPDX-License-Identifier: GPL-2.0
"""docs/performance.md: what is kept of several benches, and what the page is made of."""

import shutil
from pathlib import Path

import pytest

from made_up_bench import cut, measured, memory_run, migration_run, pain_run
from vmbeam_lab import bench_docs
from vmbeam_lab.bench_runs import Row, Run
from vmbeam_lab.bench_store import Store
from vmbeam_lab.errors import LabError


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A page with nothing in it."""
    made = tmp_path / "docs"
    made.mkdir()
    shutil.copy(bench_docs.DOCS / "performance.md", made)
    return made


def text(docs: Path) -> str:
    return (docs / "performance.md").read_text(encoding="utf-8")


def test_is_made_of_what_is_kept() -> None:
    """The page and its plots are what the raw runs beside it give: no figure was typed, and none is older than its runs."""
    report = bench_docs.kept(bench_docs.DOCS).report()
    assert bench_docs.page(bench_docs.DOCS, report) == text(bench_docs.DOCS), "make bench DOCS=1 writes it"
    assert {p.name for p in (bench_docs.DOCS / "performance").glob("*.svg")} == set(bench_docs.plots_of(report))


def test_written(tmp_path: Path, docs: Path) -> None:
    """The page has a place for all that is put into it, and is written again as it was."""
    out = measured(tmp_path / "out", memory_run("swap-2m", 0.0123), memory_run("memcpy", 0.5))
    bench_docs.write(out, docs)
    page = text(docs)
    assert "0.0123 (0.0123 to 0.0123)" in page and "a processor, Linux 6.12" in page and "2 s with -Z" in page
    shown = [line for line in page.splitlines() if line.startswith("![")]
    assert len(shown) == 2 and all((docs / line.split("(")[1].rstrip(")")).exists() for line in shown)
    # What is not measured is not left as it was.
    assert page.count("Not measured yet.") == len(bench_docs.BLOCKS) - len(("about", "memory", "original", "ratios"))
    bench_docs.write(out, docs)
    assert text(docs) == page
    shutil.rmtree(out)
    bench_docs.write(out, docs)         # of what the page has alone
    assert text(docs) == page


def test_several_benches(tmp_path: Path, docs: Path) -> None:
    """Rows of a later one replace those of the same name, and the others stay; each row says of which start it is, and only
    those of one start are compared."""
    first = memory_run("memcpy", 0.5, boot="first"), memory_run("swap-2m", 0.1, boot="first")
    bench_docs.write(measured(tmp_path / "1", *first), docs)
    later = memory_run("swap-2m", 0.2, boot="later"), memory_run("swap-2m", 0.4, n=2, boot="later")
    bench_docs.write(measured(tmp_path / "2", *(Run(r.row, r.run, "other", r.boot, "2026-02-01T00:00:00Z", r.values)
                                               for r in later)), docs)
    kept = bench_docs.kept(docs)
    assert {row.case: [r.boot for r in runs] for row, runs in kept.runs["memory"].rows().items()} == {
        "memcpy": ["first"], "swap-2m": ["later", "later"]}
    report = kept.report()
    assert [(s["start"], s["boot"], s["build"]) for s in report["starts"]] == [("1", "first", "build"), ("2", "later", "other")]
    assert not report["ratios"]
    lines = [[c.strip() for c in line.split("|")[1:-1]] for line in text(docs).splitlines()]
    assert ["1024", "swap-2m", "0.3 (0.2 to 0.4)", "1144", "0.3 (0.2 to 0.4)", "100", "2", "2"] in lines
    assert ["begun", "2026-01-01", "1"] in lines and ["begun", "2026-02-01", "2"] in lines
    assert ["machine", "a processor, Linux 6.12", "1, 2"] in lines
    bench_docs.write(measured(tmp_path / "3", memory_run("memcpy", 0.5, boot="later still"),
                              memory_run("swap-2m", 0.1, boot="later still")), docs)
    assert set(bench_docs.kept(docs).starts()) == {"later still"}


def test_other_parts(tmp_path: Path, docs: Path) -> None:
    """Migrations, one of which was ended, and what others felt of them."""
    bench_docs.write(measured(tmp_path / "out", migration_run("vmbeam-busy", 128, 10.0, 1.0),
                              migration_run("vmbeam-busy", 1024, 11.0, 1.6),
                              cut(migration_run("live-busy", 1024, 110.0, 9.0, 60e6)), pain_run("vmbeam-busy", [9000] * 100)), docs)
    page = text(docs)
    assert "(performance/migration-phases-busy.svg)" in page and (docs / "performance/migration-time.svg").exists()
    assert "> 110" in page and "times the downtime" in page
    assert "(performance/pain-stalls-busy.svg)" in page and "longest after, ms" in page


def test_nothing_to_write(tmp_path: Path, docs: Path) -> None:
    before = text(docs)
    with pytest.raises(LabError, match="make bench measures them"):
        bench_docs.write(tmp_path / "none", docs)
    assert text(docs) == before
    with pytest.raises(LabError, match="0 places for about"):
        bench_docs.put("nothing", "about", "x")


def test_take_over_is_by_row(tmp_path: Path) -> None:
    a = Store(measured(tmp_path / "a", memory_run("memcpy", 1.0), memory_run("memcpy", 2.0, n=2)))
    a.take_over(Store(measured(tmp_path / "b", memory_run("memcpy", 3.0), migration_run("live-idle", 128, 9.0, 1.0))))
    again = Store(tmp_path / "a")
    assert [r.values["seconds"] for r in again.runs["memory"].all] == [3.0]
    assert list(again.runs["migration"].rows()) == [Row("migration", 128, "live-idle")]
