# SPDX-License-Identifier: GPL-2.0
"""What vmbeamd knows of guest VMs that are away from their home, and of the host VMs when nobody asks."""
from test_drive import House, house    # pylint: disable=unused-import # noqa: F401


def test_version_of_xen_is_told_whole(house: House) -> None:
    """An update may change its last number alone."""
    house.start()
    assert " 4.20.0 " in house.command("status").out


def test_memory_is_what_a_guest_vm_has(house: House) -> None:
    """Not what it may have: the toolstack's limit is more after xl mem-set."""
    house.start()
    assert house.ask(cmd="list")[0]["hostvms"][0]["guests"][0]["memory_mib"] == 2048
