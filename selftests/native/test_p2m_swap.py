# SPDX-License-Identifier: GPL-2.0
"""The made-up machine of p2m-swap/ against the hypervisor that was built; its timing program; the fuzzer over its corpus."""
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vmbeam_lab.paths import TOP, entry_path

NATIVE = Path(__file__).parent
BUILD = TOP / "build/selftests/native-san"
STRUCTS = ("page_info", "page_list_head", "xen_p2m_swap", "xen_p2m_swap_extent")
# What the code reads; the others of a union may be missing.
MEMBERS = ("list", "count_info", "type_info", "_domain", "next", "tail")


def layout(program: Path, name: str) -> dict[str, tuple[str, str]]:
    """Members and their (offset, size), and the struct's own size, as the debug information has it."""
    out = subprocess.run(["pahole", "-C", name, program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    found = {member: (offset, size) for member, offset, size in
             re.findall(r"(\w+)(?:\[\d+\])?;\s*/\*\s*(\d+)\s+(\d+)\s*\*/", out)}
    size = re.search(r"/\* size: (\d+)", out)
    assert size, f"{program} has no struct {name}"
    found["size"] = ("", size[1])
    return found


@pytest.mark.parametrize("variant", ["release", pytest.param("4.17", marks=pytest.mark.soak)])  # what the lab has; and the other
def test_layout(variant: str) -> None:
    """struct page_info and the ABI's structs, of the hypervisor that this checkout builds."""
    built = entry_path(TOP / "xen/build.sh", variant) / "xen-syms"
    subprocess.run(["make", "-s", "-C", NATIVE / "p2m-swap", f"O={BUILD}/p2m-swap", f"{BUILD}/p2m-swap/san/machine.o"],
                   check=True)
    for name in STRUCTS:
        ours, xens = (layout(program, name) for program in (BUILD / "p2m-swap/san/machine.o", built))
        members = set(ours) & ({*MEMBERS, "size"} if name.startswith("page") else set(ours))
        assert {m: ours[m] for m in members} == {m: xens.get(m) for m in members}, name
        assert len(members) > 2


def test_bench(tmp_path: Path) -> None:
    """make bench-native on a few frames: that it works, not how fast."""
    out = tmp_path / "native.json"
    done = subprocess.run([sys.executable, NATIVE / "p2m-swap/bench.py", "--json", out, "-n", "4096", "-c", "1024", "-r", "2"],
                          stdout=subprocess.PIPE, text=True, check=True)
    cases = json.loads(out.read_text(encoding="utf-8"))["cases"]
    assert {c["tables"] for c in cases} == {"npt", "ept"}
    assert len(cases) == 24 and all(len(c["ns"]) == 2 and min(c["ns"]) > 0 for c in cases)
    assert "| 2 MiB | " in done.stdout and "≥ 50 ×" in done.stdout


def test_corpus() -> None:
    """Each input that is kept, once; make soak looks for new ones."""
    program = BUILD / "p2m-swap/fuzz"
    subprocess.run(["make", "-s", "-C", NATIVE / "p2m-swap", f"O={program.parent}", program], check=True)
    inputs = sorted((NATIVE / "p2m-swap/corpus").iterdir())
    done = subprocess.run([program, *inputs], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-4000:]
    assert done.stdout.count("Executed ") == len(inputs) > 30
