# SPDX-License-Identifier: GPL-2.0
"""Each test of a C file that uses kselftest_harness.h is an item of pytest: host/test_exchange::busy_a.

The files are read, not run, to know what is in them: TEST(name), TEST_F(fixture, name), and the variants of a fixture.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SKIPPED = 4     # kselftest's exit code

_TEST = re.compile(r"^TEST(?:_SIGNAL)?\((\w+)", re.M)
_TEST_F = re.compile(r"^TEST_F(?:_TIMEOUT|_SIGNAL)?\((\w+),\s*(\w+)", re.M)
_VARIANT = re.compile(r"^FIXTURE_VARIANT_ADD\((\w+),\s*(\w+)\)", re.M)


def tests_of(source: str) -> list[tuple[str, str]]:
    """(name in the address, name for the harness's -r) of every test, in the order of the file."""
    variants: dict[str, list[str]] = {}
    for fixture, variant in _VARIANT.findall(source):
        variants.setdefault(fixture, []).append(variant)
    found = [(m.start(), m[1], f"global.{m[1]}") for m in _TEST.finditer(source)]
    for m in _TEST_F.finditer(source):
        for v in variants.get(m[1], [""]):
            found.append((m.start(), f"{m[2]}[{v}]" if v else m[2], f"{m[1]}.{v}.{m[2]}" if v else f"{m[1]}.{m[2]}"))
    found.sort()
    names = [name for _, name, _ in found]
    # Two fixtures may have a test of one name: those are told apart by the fixture.
    return [(name if names.count(name) == 1 else harness, harness) for _, name, harness in found]


class KselftestError(Exception):
    """What a test of a C file said when it failed."""


class CTest(pytest.Item):
    harness = ""

    def runtest(self) -> None:
        assert isinstance(self.parent, CFile)
        status, output = self.parent.run_one(self)
        self.add_report_section("call", "output", output)
        if status == SKIPPED or "# SKIP" in output:
            pytest.skip(next((line for line in output.splitlines() if "SKIP" in line), "exit status 4"))
        # The harness says how many ran: a name that selects nothing would pass, too.
        if status or "# PASSED: 1 / 1 tests passed" not in output:
            raise KselftestError(f"exit status {status}\n{output[-4000:]}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, KselftestError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.name


class CFile(pytest.File):
    """A subclass says how one test is run."""

    def run_one(self, test: CTest) -> tuple[int, str]:
        """Exit status and output."""
        raise NotImplementedError

    def tests(self) -> list[tuple[str, str]]:
        """(name in the address, name that run_one() takes) of every test."""
        return tests_of(self.path.read_text(encoding="utf-8"))

    def collect(self) -> Iterator[pytest.Item]:
        for name, harness in self.tests():
            item: CTest = CTest.from_parent(self, name=name)
            item.harness = harness
            yield item


def without_group(nodeid: str) -> str:
    """pytest-xdist adds the group of a test to its name."""
    return re.sub(r"@together\w+$", "", nodeid)


def address(nodeid: str) -> str:
    """What a person types: without the ending of a C file, and of a native one without "test-"."""
    return re.sub(r"^native/(?:[\w-]+/)?test-", "native/", re.sub(r"\.c(::|$)", r"\1", without_group(nodeid)))


def selects(wanted: str, item: str) -> bool:
    """Whether an address names an item: the test itself, all variants of it, its file, or its folder."""
    wanted = wanted.rstrip("/")
    return item == wanted or item.startswith((f"{wanted}::", f"{wanted}/", f"{wanted}[", f"{wanted}.py::"))
