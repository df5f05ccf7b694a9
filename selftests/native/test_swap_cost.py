# SPDX-License-Identifier: GPL-2.0
"""swap-cost.sh without its measurement: the bounds, and the table."""
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
CASES = ("4k scattered", "4k scattered, rolled back", "4k runs of 512", "2m", "2m with 8 excluded", "contents exchanged",
         "begin and commit", "memcpy of 4 KiB")


class Tree:
    def __init__(self, top: Path) -> None:
        self.top = top
        for name in ("selftests/swap-cost.sh", "selftests/swap-cost-bounds.json", "docs/hypercall.md"):
            (top / name).parent.mkdir(exist_ok=True)
            shutil.copy(TOP / name, top / name)
        for folder in ("lab", "build"):
            (top / folder).mkdir()
        tree = top / "lab/tree.sh"
        tree.write_text('#!/bin/sh\ncd "$(dirname "$0")/.." && shift 2 && exec "$@"\n', encoding="utf-8")
        tree.chmod(0o755)

    @property
    def bounds(self) -> dict[str, int]:
        got: dict[str, int] = json.loads((self.top / "selftests/swap-cost-bounds.json").read_text(encoding="utf-8"))
        return got

    def measured(self, costs: dict[str, float]) -> None:
        (self.top / "build/swap-cost.json").write_text(json.dumps({
            "cases": [{"case": c, "per_pair": cost} for c, cost in costs.items()],
            "growth_percent": {"2m": 0.1, "4k runs": 0.2}}), encoding="utf-8")

    def run(self, what: str) -> tuple[int, str]:
        done = subprocess.run([self.top / "selftests/swap-cost.sh", what], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
        return done.returncode, done.stdout


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_compare(tree: Tree) -> None:
    """Each bound is held; a case that was not measured is not within it."""
    within = {c: float(bound) for c, bound in tree.bounds.items()}
    tree.measured(within)
    status, out = tree.run("compare")
    assert status == 0 and "all cases are within their bounds" in out
    for case, bound in tree.bounds.items():
        tree.measured(within | {case: bound + 0.1})
        status, out = tree.run("compare")
        assert status == 1 and f"{case} takes {bound + 0.1} instructions for a pair, and its bound is {bound}\n" in out
        assert out.count("its bound is") == 1
        tree.measured({c: cost for c, cost in within.items() if c != case})
        status, out = tree.run("compare")
        assert status == 1 and f"{case} was not measured" in out


def test_bounds(tree: Tree) -> None:
    """Of the same cases, 20 % above."""
    cases = list(tree.bounds)
    tree.measured({c: 1000.0 * (i + 1) for i, c in enumerate(CASES)})
    assert tree.run("bounds") == (0, "")
    assert tree.bounds == {c: 1200 * (CASES.index(c) + 1) for c in cases}
    assert tree.run("compare")[0] == 0


def test_table(tree: Tree) -> None:
    """With the bounds of the one file that has them, in the document between its marks."""
    before = (tree.top / "docs/hypercall.md").read_text(encoding="utf-8")
    tree.measured({c: 10.0 * (i + 1) for i, c in enumerate(CASES)})
    assert tree.run("table") == (0, "")
    after = (tree.top / "docs/hypercall.md").read_text(encoding="utf-8")
    assert re.sub("<!-- swap-cost: .*<!-- end of swap-cost", "", after, flags=re.S) == \
        re.sub("<!-- swap-cost: .*<!-- end of swap-cost", "", before, flags=re.S)
    assert "| cost per pair, from ioctl to return | instructions | bound |" in after
    assert f"| 2 MiB pair | 40 | ≤ {tree.bounds['2m']} |" in after
    assert "| for comparison: memcpy of 4 KiB | 80 |  |" in after


def test_document_has_the_bounds() -> None:
    text = (TOP / "docs/hypercall.md").read_text(encoding="utf-8")
    bounds = json.loads((TOP / "selftests/swap-cost-bounds.json").read_text(encoding="utf-8"))
    told = re.findall(r"\| ≤ (\d+) \|$", text.partition("<!-- swap-cost: ")[2].partition("<!-- end of swap-cost")[0], re.M)
    assert told and set(map(int, told)) <= set(bounds.values())
