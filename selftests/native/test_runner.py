# SPDX-License-Identifier: GPL-2.0
"""What selects, orders and counts the tests, conftest.py and kselftest.py, over a small tree of made-up tests."""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from kselftest import selects

TOP = Path(__file__).parents[2]

FILES = {
    # In place of labs.py: no lab is started, and what is asked of it is written down.
    "selftests/labs.py": """
from pathlib import Path
TOP = Path(__file__).parent.parent
WORK = TOP / "build/check"
class Labs:
    lab = None
    def tell(self, what):
        with (TOP / "asked").open("a") as f:
            f.write(what + "\\n")
    def fresh(self, config):
        self.tell(f"fresh {config.state}")
        return self
    def shared(self, config, prepare):
        self.tell(f"shared {config.state}")
        return self
    def check_logs(self, directory=None, only=(), whole=True):
        self.tell(" ".join(["check", *sorted(only), *([] if whole else ["in short"])]))
    def status(self, system, command):
        return 0, b"# PASSED: 1 / 1 tests passed", b""
    def spoiled(self):
        pass
    down = spoiled
""",
    "lab/vmbeam_lab/deploy.py": "def stage(config): pass\n",
    "selftests/host/test_frames.c": "TEST(one)\nTEST_F_TIMEOUT(pair, two, 9)\nTEST_F(busy, three)\n"
                                    "FIXTURE_VARIANT_ADD(busy, a)\nFIXTURE_VARIANT_ADD(busy, b)\n",
    "selftests/guest/test_live.c": "TEST(one)\nTEST(two)\nTEST(three)\n",
    "selftests/guest/test_next.c": "TEST(one)\n",
    "selftests/native/test-list.c": "TEST(empty)\n",
    "selftests/native/p2m-swap/test-p2m-swap.c": "TEST(swap)\n",
    "selftests/native/kmod-txn/test-txn.c": "TEST(name)\nTEST(begin),\n",
    "selftests/native/test_small.py": """
import pytest
def test_passes(): pass
def test_fails():
    assert False, "\\n".join(f"word {i}" for i in range(40))
def test_skips(): pytest.skip("cannot run here")
@pytest.fixture
def hurt():
    yield
    raise OSError("the end of it")
def test_ends_badly(hurt): pass
@pytest.mark.soak
def test_long(): pass
""",
    "selftests/migration/test_moves.py": """
import pytest
@pytest.mark.parametrize("step", ["swap", "commit"])
def test_killed(guests_lab_shared, step): pass
def test_named(guests_lab_shared): pass
@pytest.mark.always
def test_there(guests_lab): pass
def test_asks(labs): labs.fresh(type("Config", (), {"state": "own"}))
""",
}
ADDRESSES = [
    "guest/test_live::one", "guest/test_live::three", "guest/test_live::two", "guest/test_next::one",
    "host/test_frames::one", "host/test_frames::three[a]", "host/test_frames::three[b]", "host/test_frames::two",
    "migration/test_moves.py::test_asks", "migration/test_moves.py::test_killed[commit]",
    "migration/test_moves.py::test_killed[swap]", "migration/test_moves.py::test_named", "migration/test_moves.py::test_there",
    "native/list::empty", "native/p2m-swap::swap", "native/test_small.py::test_ends_badly", "native/test_small.py::test_fails",
    "native/test_small.py::test_passes", "native/test_small.py::test_skips", "native/txn::begin",
]
MOVES = [a for a in ADDRESSES if a.startswith("migration/")]


class Ended(NamedTuple):
    status: int
    out: str

    @property
    def verdicts(self) -> list[str]:
        """In the order in which they were printed: "ok native/list::empty"."""
        return [f"{word} {name}" for word, name in re.findall(r"^(ok|not ok|skip) +[\d.]+ s  (.*)$", self.out, re.M)]

    @property
    def names(self) -> list[str]:
        return [v.split()[-1] for v in self.verdicts]

    @property
    def last(self) -> str:
        return self.out.splitlines()[-1]


class Tree:
    def __init__(self, top: Path) -> None:
        self.top = top
        for name in ("conftest.py", "kselftest.py", "pytest.ini"):
            (top / "selftests").mkdir(exist_ok=True)
            shutil.copy(TOP / "selftests" / name, top / "selftests")
        shutil.copytree(TOP / "lab/vmbeam_lab", top / "lab/vmbeam_lab", ignore=shutil.ignore_patterns("__pycache__"))
        for name, text in FILES.items():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).write_text(text, encoding="utf-8")

    def run(self, *options: str, **variables: str) -> Ended:
        """As selftests/check does it."""
        env = {k: v for k, v in os.environ.items() if k != "T" and not k.startswith(("LAB_", "PYTEST_"))}
        done = subprocess.run([sys.executable, "-m", "pytest", "-c", "selftests/pytest.ini", "--rootdir=selftests", "-n", "auto",
                               "--dist", "loadgroup", "-q", "--no-header", "selftests", *options], cwd=self.top,
                              env=env | {"PYTHONDONTWRITEBYTECODE": "1"} | variables,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return Ended(done.returncode, done.stdout.rstrip())

    def listed(self, **variables: str) -> list[str]:
        ended = self.run("--list", **variables)
        assert ended.status in (0, 5), ended.out    # 5: pytest ran none
        return sorted(line for line in ended.out.splitlines() if "::" in line)

    def asked(self) -> list[str]:
        return (self.top / "asked").read_text(encoding="utf-8").splitlines()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_every_test_has_an_address(tree: Tree) -> None:
    assert tree.listed() == ADDRESSES


@pytest.mark.parametrize(("wanted", "names"), [
    ("host/test_frames::two", ["host/test_frames::two"]),
    ("host/test_frames::three[a]", ["host/test_frames::three[a]"]),
    ("host/test_frames::three", ["host/test_frames::three[a]", "host/test_frames::three[b]"]),
    ("native/list", ["native/list::empty"]),
    ("migration/test_moves", MOVES),
    ("migration/", MOVES),
    ("host/test_frames::tw", []),
    ("migratio", []),
    ("native/lis", []),
])
def test_address_selects(wanted: str, names: list[str]) -> None:
    """Those that it names and no others."""
    assert [a for a in ADDRESSES if selects(wanted, a)] == names


def test_addresses_select(tree: Tree) -> None:
    """Soaks, too, and whatever else."""
    assert tree.listed(T="native/txn  native/test_small.py::test_long") == ["native/test_small.py::test_long",
                                                                           "native/txn::begin"]


@pytest.mark.parametrize("processes", ["1", "2"])
def test_address_that_names_nothing_fails(tree: Tree, processes: str) -> None:
    """Before any test starts, those that the others name included."""
    ended = tree.run(T="native/test_small.py::test_passes migratio", LAB_COUNT=processes)
    assert ended.status != 0
    assert "T=migratio names no test" in ended.out and "INTERNALERROR" not in ended.out
    assert not ended.verdicts and not re.search("^[1-9].* passed", ended.out, re.M)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_verdicts(tree: Tree, processes: str) -> None:
    """A line for each test, in its time the end of what a failure said, and the last line for CI."""
    ended = tree.run(T="native/test_small.py", LAB_COUNT=processes)
    assert ended.status == 1
    # What went well and ended badly has failed.
    assert sorted(v for v in ended.verdicts if "ends_badly" not in v) == [
        "not ok native/test_small.py::test_fails", "ok native/test_small.py::test_long",
        "ok native/test_small.py::test_passes", "skip native/test_small.py::test_skips"]
    assert "not ok" in ended.out and "test_ends_badly (teardown)" in ended.out
    assert ended.last == "2 passed, 2 failed, 1 skipped"
    lines = ended.out.splitlines()
    fails = next(i for i, line in enumerate(lines) if line.endswith("test_fails"))
    assert lines[fails + 20].startswith("       | ") and not lines[fails + 21].startswith("       | ")
    assert "word 39" in lines[fails + 19] and fails + 20 < lines.index(next(line for line in lines if "FAILURES" in line))
    kept = (tree.top / "build/check/native-test_small.py--test_fails.log").read_text(encoding="utf-8")
    assert kept.startswith("call: failed\n") and "word 0" in kept and "word 39" in kept


def test_nothing_collected_is_a_failure(tree: Tree) -> None:
    (tree.top / "selftests/native/test_small.py").write_text("import nothing_of_that_name\n", encoding="utf-8")
    ended = tree.run()
    assert ended.status not in (0, 5) and re.fullmatch(r"\d+ passed, [1-9]\d* failed, \d+ skipped", ended.last), ended.out


@pytest.mark.parametrize("processes", ["1", "2"])
def test_what_has_not_begun_in_time(tree: Tree, processes: str) -> None:
    """It is counted by itself; what must have run in every run has failed."""
    ended = tree.run(T="migration native/test_small.py::test_passes", LAB_UNTIL="1", LAB_COUNT=processes)
    assert ended.status == 1
    assert not tree.top.joinpath("asked").exists()
    assert ended.out.splitlines()[-2] == "5 not begun: the time that LAB_UNTIL gives was over"
    assert ended.last == "0 passed, 1 failed, 0 skipped"
    assert "not ok migration/test_moves.py::test_there (setup)" in ended.verdicts
    assert ended.out.count("not begun ") >= 5


def test_logs_are_searched_after_each_test(tree: Tree) -> None:
    """Once, also of a test that asks for its lab itself."""
    ended = tree.run(T="migration", LAB_UNTIL="99999999999")
    assert ended.last == "5 passed, 0 failed, 0 skipped" and "not begun" not in ended.out
    asked = tree.asked()
    assert asked.count("check") == 5 and len(asked) == 10
    assert asked[1::2] == ["check"] * 5
    assert sorted(set(asked)) == ["check", "fresh guests", "fresh own", "shared guests"]


def test_logs_are_searched_after_tests_that_share_a_lab(tree: Tree) -> None:
    """In short after each, and wholly when their file ends."""
    tree.run(T="guest")
    checks = [a for a in tree.asked() if a.startswith("check")]
    assert checks == ["check host hv1 in short"] * 2 + ["check host hv1"] * 2


def test_shuffled_by_two_processes(tree: Tree) -> None:
    """The same verdicts in any order; an order of its own for each seed."""
    wanted = "migration native/test_small.py"
    plain = tree.run(T=wanted, LAB_COUNT="1")
    orders = [tree.run("--shuffle", seed, T=wanted, LAB_COUNT="1") for seed in ("1", "2")]
    two = tree.run("--shuffle", "1", T=wanted, LAB_COUNT="2")
    for ended in (*orders, two):
        assert sorted(ended.verdicts) == sorted(plain.verdicts)
        assert (ended.status, ended.last) == (plain.status, plain.last)
    assert len({tuple(ended.names) for ended in (plain, *orders)}) == 3


def test_groups_begin_in_order(tree: Tree) -> None:
    """By a process of pytest-xdist's as without: it would begin with the group that has the most tests. What must have run
    in every run is the first in its state."""
    wanted = "native/test_small.py::test_passes migration"
    plain, one = tree.run(T=wanted, LAB_COUNT="1"), tree.run("-n", "1", T=wanted)
    assert [n.rpartition("::")[2] for n in plain.names] == [
        "test_asks", "test_passes", "test_there", "test_killed[swap]", "test_killed[commit]", "test_named"]
    assert one.names == plain.names and "bringing up nodes" in one.out
