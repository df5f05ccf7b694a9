# SPDX-License-Identifier: GPL-2.0
"""Style of all sources."""

import subprocess

import pytest

from vmbeam_lab.paths import TOP

CHECKS = ("shellcheck", "checkpatch", "codespell", "spdx", "paths", "sparse", "mypy")


@pytest.mark.parametrize("check", CHECKS)
def test_style(check: str) -> None:
    done = subprocess.run([TOP / "lint.sh", check], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


def test_finds_what_is_planted() -> None:
    """A check that finds nothing could be blind: each must find a fault of its kind in a copy."""
    done = subprocess.run([TOP / "lint.sh", "--self-test"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
