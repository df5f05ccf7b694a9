# SPDX-License-Identifier: GPL-2.0
"""Can the native tests fail? Each line of mutations/{modules,daemon,hypervisor}.txt takes one check, or one step, out of
the code; of the hypervisor's, those count that name a native test. A copy is built with it, and each test that the line
names must fail there. That it does not build, or does not end, is no answer."""
import functools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Iterable, NamedTuple, Sequence
from xml.etree import ElementTree

import pytest

from kselftest import selects
from native_build import BUILD, make

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
    """The sources that native tests are built from, and what was built from them for some programs."""

    def __init__(self, top: Path, programs: Iterable[str]) -> None:
        """@programs: those that the tests need; make builds anew what an edit has to do with"""
        self.top = top
        self._native = top / "selftests/native"
        self._built = top / "build/selftests/native-san"
        self._programs = list(programs)
        for part in BUILT_FROM:
            if (TOP / part).is_file():
                shutil.copy(TOP / part, top / part)
                continue
            shutil.copytree(TOP / part, top / part, ignore=shutil.ignore_patterns("__pycache__", "*.o", "*.ko"))
        for part in ["include", "kernel", *(f"objects/{program}" for program in self._programs)]:
            if (BUILD / part).is_dir():
                shutil.copytree(BUILD / part, self._built / part)
        for program in self._programs:
            shutil.copy2(BUILD / program, self._built / program)

    def edit(self, mutation: Mutation) -> None:
        path = self.top / mutation.file
        before = path.read_bytes()
        subprocess.run(["sed", "-i", "-E", "-z", mutation.edit, path], check=True)
        assert path.read_bytes() != before, "the edit finds nothing"

    def build(self) -> None:
        # A check that is gone may leave something unused behind: that is not what is to notice it.
        ended = subprocess.run(["make", "-s", "-C", self._native, "SAN=1", f"O={self._built}", "WERROR=",
                                *(self._built / program for program in self._programs)],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert ended.returncode == 0, f"it does not build:\n{ended.stdout}"

    def c_test_fails(self, test: str) -> tuple[bool, str]:
        """Whether it does, and what it says. @test: its address"""
        code, output = self._run([self._built / program_of(test)])
        return code not in (0, KSFT_SKIP), output

    def python_tests_that_fail(self, tests: Sequence[str]) -> tuple[list[str], str]:
        """Which of them do, and what they say. @tests: their addresses"""
        results = self.top / "results.xml"
        # The copy's own conftest.py alone, and no option that was given to this run.
        _, output = self._run([
            sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--rootdir", self._native,
            "--confcutdir", self._native, "-c", os.devnull, f"--junitxml={results}",
            *(self._native / test.removeprefix("native/") for test in tests)])
        # By the exit code, a fixture that fails would be the same; here it is a case of its own, of the same name.
        cases = {case: f"native/{case.get('classname')}.py::{case.get('name')}"
                 for case in ElementTree.parse(results).findall(".//testcase")}
        failed = {address for case, address in cases.items() if case.find("failure") is not None}

        def fails(test: str) -> bool:
            named = {address for address in cases.values() if selects(test, address)}
            return bool(named) and named <= failed
        return [test for test in tests if fails(test)], output

    def _run(self, command: Sequence[str | Path]) -> tuple[int, str]:
        # Those of a pytest above this one are not meant for it.
        env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        with subprocess.Popen(command, cwd=self._native, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", start_new_session=True) as process:
            try:
                output, _ = process.communicate(timeout=LIMIT_S)
            except BaseException:
                # With what it has started: a daemon may be in an endless loop.
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return process.returncode, output


def is_python(test: str) -> bool:
    return "::" in test


def program_of(test: str) -> str:
    return f"test-{test.removeprefix('native/')}"


@functools.cache
def built(*programs: str) -> None:
    make(*programs)


def test_names_are_unique() -> None:
    names = [mutation.name for mutation in MUTATIONS]
    assert sorted(names) == sorted(set(names))


def test_edits_apply() -> None:
    """Each changes its file: seen at once, and not when somebody runs the mutations the next time."""
    for mutation in MUTATIONS:
        before = (TOP / mutation.file).read_bytes()
        after = subprocess.run(["sed", "-E", "-z", mutation.edit], input=before, stdout=subprocess.PIPE, check=True).stdout
        assert after != before, f"the edit of {mutation.name} finds nothing in {mutation.file}"


@pytest.mark.mutations
@pytest.mark.parametrize("mutation", MUTATIONS, ids=[mutation.name for mutation in MUTATIONS])
def test_is_noticed(mutation: Mutation, tmp_path: Path) -> None:
    in_python = [test for test in mutation.tests if is_python(test)]
    in_c = [test for test in mutation.tests if not is_python(test)]
    programs = [program_of(test) for test in in_c] + (["vmbeamd", "vmbeam"] if in_python else [])
    built(*programs)
    copy = Copy(tmp_path, programs)
    copy.edit(mutation)
    copy.build()
    for test in in_c:
        failed, output = copy.c_test_fails(test)
        assert failed, f"{test} does not fail:\n{output}"
        print(f"--- {test} fails:\n{output}")
    if in_python:
        failing, output = copy.python_tests_that_fail(in_python)
        assert failing == in_python, f"{' '.join(t for t in in_python if t not in failing)} does not fail:\n{output}"
        print(f"--- {' '.join(in_python)} fails:\n{output}")
    # Some 10 MB each; of those that were not noticed it is kept.
    shutil.rmtree(tmp_path)
