# SPDX-License-Identifier: GPL-2.0
"""One file says which version this is; what is built from it says the same."""
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["vmbeam", "vmbeamd"])
def test_programs(programs: Path, name: str) -> None:
    said = subprocess.run([programs / name, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert said == f"{name} {(TOP / 'VERSION').read_text(encoding='ascii').strip()}\n"


def test_installed_pages(tmp_path: Path) -> None:
    """None keeps the mark that the version takes the place of."""
    subprocess.run(["make", "-s", "-C", TOP / "userspace"], check=True)
    subprocess.run(["make", "-s", "-C", TOP / "userspace", "install", f"DESTDIR={tmp_path}"], check=True)
    version = (TOP / "VERSION").read_text(encoding="ascii").strip()
    pages = [page.read_text(encoding="ascii") for page in (tmp_path / "usr/share/man").glob("man*/*")]
    assert len(pages) == 3
    assert all(f"vmbeam {version}\"" in page and "@VERSION@" not in page for page in pages)


def test_agent() -> None:
    """The agent is not built for these tests, but it must build, and say it."""
    subprocess.run(["make", "-s", "-C", TOP / "userspace"], check=True)
    said = subprocess.run([TOP / "build/userspace/bin/vmbeam-agent", "--version"], stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    assert said == f"vmbeam-agent {(TOP / 'VERSION').read_text(encoding='ascii').strip()}\n"
