# SPDX-License-Identifier: GPL-2.0
"""What is built in variants builds in all of them."""

import pytest

from vmbeam_lab.paths import LAB, TOP, script


@pytest.mark.parametrize("tree", ["build", "bookworm", "testing"])
def test_modules(tree: str) -> None:
    """W=1, warnings as errors: Debian's stable kernel, the one before it, and testing's."""
    built = script(LAB / "tree.sh", "run", tree, "kmod/build.sh", tree).splitlines()
    assert {line.rpartition("/")[2] for line in built} >= {"vmbeam_host.ko", "vmbeam_guest.ko"}
    version = (TOP / "VERSION").read_text(encoding="ascii").strip()
    for module in (line for line in built if line.endswith(("vmbeam_host.ko", "vmbeam_guest.ko")) and "/build/" in line):
        assert script(LAB / "tree.sh", "run", tree, "modinfo", "-F", "version", module).strip() == version


def test_hypervisor_with_xsm() -> None:
    """With FLASK and its policy, which Debian's Xen does not have."""
    script(TOP / "xen/build.sh", "xsm")
