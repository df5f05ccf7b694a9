# SPDX-License-Identifier: GPL-2.0
"""Who uses whom among the agent's files, by the symbols of what was built from them: no circle, and each library is known
to those alone that wrap it. And no file of the programs, the library, the modules or the additions to Xen is large."""
import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
AGENT = TOP / "userspace/vmbeam-agent"
OBJECTS = TOP / "build/userspace/vmbeam-agent"

# A library's functions, and who may call them. A wrapper's user sees nothing of them.
WRAPPERS = {
    r"libxl_|xtl_": {"session", "domain", "placement", "create", "xl_file"},
    r"xc_": {"frames", "policy"},
    r"xengnttab_|xenevtchn_": {"rings"},
    r"xs_": {"store"},
    r"xlu_": {"xl_file"},
    r"vmbeam_export_|vmbeam_open|vmbeam_query": {"export", "fill", "list"},
}
# These are used by others and use no file of the agent's but each other.
LOWEST = {"request", "work", "item", "store", "sysfs", "net", "names", "session", "placement", "domain", "policy", "disk", "create", "xl_file"}
# Of these no file holds more than one idea, and so none has more lines than this.
FOLDERS = sorted({path.parent for parts in ("userspace/*", "kmod/*", "xen/hypervisor/**", "xen/tools/files/**")
                  for path in TOP.glob(f"{parts}/*.[ch]")})
LARGEST = 400


class Object:
    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.defined: set[str] = set()
        self.undefined: set[str] = set()
        listed = subprocess.run(["nm", path], check=True, stdout=subprocess.PIPE, text=True).stdout
        for line in listed.splitlines():
            kind, symbol = line.split()[-2:]
            (self.undefined if kind == "U" else self.defined if kind.isupper() else set()).add(symbol)


Uses = dict[str, set[str]]


def circle(uses: Uses) -> list[str]:
    """Some circle of files, or nothing."""
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return path[path.index(name):] + [name]
        for below in [] if name in done else sorted(uses[name]):
            found = walk(below, path + [name])
            if found:
                return found
        done.add(name)
        return []

    return next((found for name in sorted(uses) if (found := walk(name, []))), [])


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    subprocess.run(["make", "-s", "-C", TOP / "userspace"], check=True)
    return [Object(OBJECTS / f"{source.stem}.o") for source in sorted(AGENT.glob("*.c"))]


@pytest.fixture(scope="module")
def uses(objects: list[Object]) -> Uses:
    return {o.name: {other.name for other in objects if other is not o and o.undefined & other.defined} for o in objects}


def test_each_file_has_a_layer() -> None:
    """In the table that says what lies where."""
    table = (TOP / "docs/architecture.md").read_text(encoding="utf-8")
    assert [] == [source.name for source in sorted(AGENT.glob("*.c")) if f"`{source.name}`" not in table]


def test_no_circle(uses: Uses) -> None:
    assert not circle(uses)


def test_a_circle_would_be_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


def test_arrows_go_one_way(uses: Uses) -> None:
    for name in LOWEST:
        assert uses[name] <= LOWEST, f"{name}.c is used by all, and uses {uses[name] - LOWEST}"
    assert not [name for name, below in uses.items() if "main" in below]


@pytest.mark.parametrize("functions", WRAPPERS)
def test_library_is_wrapped(objects: list[Object], functions: str) -> None:
    users = {o.name for o in objects for symbol in o.undefined if re.match(functions, symbol)}
    assert users == WRAPPERS[functions]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(TOP)))
def test_file_holds_one_idea(folder: Path) -> None:
    lines = {path.name: len(path.read_text().splitlines()) for path in folder.glob("*.[ch]")}
    assert not {name: nr for name, nr in lines.items() if nr > LARGEST}
