# SPDX-License-Identifier: GPL-2.0
"""Can the native tests fail? Each line of mutations/{modules,daemon,hypervisor}.txt takes one check, or one step, out of
the code; of the hypervisor's, those count that name a native test. A copy is built with it, and each test that the line names must fail there. That it does not build, or
does not end, is no answer."""
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple, Sequence
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.mutations

TOP = Path(__file__).parents[2]
# Each with where its files are.
LISTS = {"modules": "", "daemon": "", "hypervisor": "xen/hypervisor/xen/arch/x86/mm/p2m-swap/"}
BUILT_FROM = ("VERSION", "include", "kmod", "userspace", "selftests/native", "xen/hypervisor")
LIMIT_S = 300
# What a program of the kernel's harness exits with when it skipped all of its tests.
KSFT_SKIP = 4


class Mutation(NamedTuple):
    name: str
    file: str           # from the top
    tests: list[str]    # addresses: native/PROGRAM or native/FILE.py::NAME
    edit: str           # a script for sed -E -z


def mutations() -> list[Mutation]:
    found = []
    for name, folder in LISTS.items():
        for line in (TOP / f"selftests/mutations/{name}.txt").read_text().splitlines():
            if line and not line.startswith("#"):
                name_, file, tests, edit = line.split("|", maxsplit=3)
                native = [test for test in tests.split() if test.startswith("native/")]
                if native:
                    found.append(Mutation(name_, folder + file, native, edit))
    return found


MUTATIONS = mutations()


class Copy:
    """The sources that native tests are built from, and what was built from them."""

    def __init__(self, top: Path, programs: Path) -> None:
        """@programs: what was built of the sources as they are; make builds anew what an edit has to do with"""
        self.top = top
        self._native = top / "selftests/native"
        self._built = top / "build/selftests/native-san"
        for part in BUILT_FROM:
            if (TOP / part).is_file():
                shutil.copy(TOP / part, top / part)
                continue
            shutil.copytree(TOP / part, top / part, ignore=shutil.ignore_patterns("__pycache__", "*.o", "*.ko"))
        shutil.copytree(programs, self._built, ignore=shutil.ignore_patterns("test-*", "kernel", ".lock"))

    def edit(self, mutation: Mutation) -> None:
        path = self.top / mutation.file
        before = path.read_bytes()
        subprocess.run(["sed", "-i", "-E", "-z", mutation.edit, path], check=True)
        assert path.read_bytes() != before, "the edit finds nothing"

    def build(self, *programs: str) -> None:
        ended = subprocess.run(["make", "-s", "-C", self._native, "SAN=1", f"O={self._built}",
                                *(self._built / program for program in programs)],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert ended.returncode == 0, f"it does not build:\n{ended.stdout}"

    def fails(self, test: str) -> tuple[bool, str]:
        """Whether it does, and what it says."""
        name = test.removeprefix("native/")
        if "::" in name:
            return self._python_test_fails(name)
        self.build(f"test-{name}")
        ended = self._run([self._built / f"test-{name}"])
        return ended.returncode not in (0, KSFT_SKIP), ended.stdout

    def _python_test_fails(self, name: str) -> tuple[bool, str]:
        self.build("vmbeamd", "vmbeam")
        results = self.top / "results.xml"
        # The copy's own conftest.py alone, and no option that was given to this run.
        ended = self._run([
            sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--rootdir", self._native,
            "--confcutdir", self._native, "-c", os.devnull, f"--junitxml={results}", self._native / name])
        # By the exit code, a fixture that fails would be the same; here it is a case of its own, of the same name.
        cases = ElementTree.parse(results).findall(".//testcase")
        failed = {case.get("name") for case in cases if case.find("failure") is not None}
        return bool(cases) and failed == {case.get("name") for case in cases}, ended.stdout

    def _run(self, command: Sequence[str | Path]) -> "subprocess.CompletedProcess[str]":
        # Those of a pytest above this one are not meant for it.
        env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        return subprocess.run(command, cwd=self._native, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=LIMIT_S)


def test_names_are_unique() -> None:
    names = [mutation.name for mutation in MUTATIONS]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[mutation.name for mutation in MUTATIONS])
def test_is_noticed(mutation: Mutation, programs: Path, tmp_path: Path) -> None:
    copy = Copy(tmp_path, programs)
    copy.edit(mutation)
    for test in mutation.tests:
        failed, output = copy.fails(test)
        assert failed, f"{test} does not fail:\n{output}"
        print(f"--- {test} fails:\n{output}")
    # Some 20 MB each; of those that were not noticed it is kept.
    shutil.rmtree(tmp_path / "build")
