# SPDX-License-Identifier: GPL-2.0
"""Can the host selftests fail? One check after the other is taken out of the hypervisor; each must make the tests
named with it fail. What a hypervisor with a hole does to them may be anything: a hang is a failure, too."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from labs import Labs
from vmbeam_lab.paths import CACHE, TOP

pytestmark = pytest.mark.mutations

CODE = "xen/hypervisor/xen/arch/x86/mm/p2m-swap"
COPY = TOP / "build/mutated"


def listed() -> list[list[str]]:
    """Those that tests of the lab have to notice, with these tests alone."""
    found = []
    for line in Path(__file__).with_name("hypervisor.txt").read_text(encoding="utf-8").splitlines():
        if re.match("[a-z]", line):
            name, file, tests, edit = line.split("|", 3)
            in_lab = [t for t in tests.split() if not t.startswith("native/")]
            if in_lab:
                found.append([name, file, " ".join(in_lab), edit])
    return found


def checkout() -> None:
    """The files that git knows, and new ones; not what is built."""
    shutil.rmtree(COPY, ignore_errors=True)
    COPY.mkdir(parents=True)
    names = subprocess.check_output(["git", "-c", f"safe.directory={TOP}", "ls-files", "-z", "-c", "-o", "--exclude-standard"],
                                    cwd=TOP).split(b"\0")
    existing = [n for n in names if n and (TOP / os.fsdecode(n)).is_file()]
    subprocess.run(["xargs", "-0", "cp", "--parents", "-t", COPY], input=b"\0".join(existing), cwd=TOP, check=True)


@pytest.mark.parametrize("name, file, tests, edit", [pytest.param(*m, id=m[0]) for m in listed()])
def test_is_noticed(labs: Labs, name: str, file: str, tests: str, edit: str) -> None:
    labs.down()
    checkout()
    path = COPY / CODE / file
    before = path.read_bytes()
    subprocess.run(["sed", "-i", "-E", "-z", edit, path], check=True)
    assert path.read_bytes() != before, "the edit finds nothing"
    known = set(CACHE.iterdir())
    env = os.environ | {"T": tests, "PYTEST_ADDOPTS": ""}
    env.pop("LAB_DIR", None)
    # It must build: what does not compile proves nothing.
    subprocess.run([COPY / "xen/build.sh"], check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run([COPY / "selftests/check"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for entry in set(CACHE.iterdir()) - known:
        shutil.rmtree(entry, ignore_errors=True)    # nobody wants this hypervisor again
    print(done.stdout[-3000:])
    failed = re.findall(r"^not ok .* s  (\S+)", done.stdout, re.M)
    assert done.returncode != 0 and all(any(f.startswith(t + "::") for f in failed) for t in tests.split())
