# SPDX-License-Identifier: GPL-2.0
"""A host VM is emptied, and gets its guest VMs back: of all shapes, and one that cannot move."""

import json
from typing import Any

import pytest

from failing import REFUSED
from vmbeam_lab import guests
from vmbeam_lab.lab import Lab
from vmbeam_lab.maintain import PATIENCE
from vmbeam_lab.migrate import check_unhurt, filesystem_clean, migrate, vmbeam, vmbeam_history

# u1 has two vCPUs and a disk; u2 has a disk and another kernel.
SHAPES: dict[str, dict[str, int]] = {
    "u3": {"mib": 128, "vifs": 2},
    "u4": {"mib": 128, "maxmem_mib": 192},      # ballooned below what it may have
    "u5": {"mib": 160, "vcpus": 4},
}

def shape(lab: Lab, hostvm: str, guest: str) -> dict[str, Any]:
    """What xl knows of a guest VM that a move must not change."""
    config = json.loads(lab.run(hostvm, f"xl list -l {guest}"))[0]["config"]
    return {**{key: config["b_info"].get(key) for key in ("max_memkb", "target_memkb", "max_vcpus", "avail_vcpus")},
            "nics": [nic["mac"] for nic in config.get("nics", [])],
            "disks": [(disk["vdev"], disk["pdev_path"]) for disk in config.get("disks", [])]}


def done(lab: Lab, command: str, arguments: str) -> dict[str, Any]:
    rc, report, told = vmbeam(lab, command, arguments, patience=PATIENCE)
    assert rc == 0, f"vmbeam {command} {arguments}: status {rc}\n{told}\n{json.dumps(report)}"
    return report


def are_on(lab: Lab, here: str, not_there: str, names: list[str]) -> None:
    for guest in names:
        assert guests.has_guest(lab, here, guest), f"{here} has no {guest}"
        assert not guests.has_guest(lab, not_there, guest), f"{not_there} has {guest}"


def booted_anew(lab: Lab, guest: str, boot: str) -> str:
    """Its new boot id."""
    def other() -> str:
        state = guests.guest_state(lab, guest)
        return state.boot_id if state.boot_id != boot and state.passes > 0 else ""

    lab.restarted(guest)
    return lab.waiter.until(f"{guest} to boot", other, lambda: lab.run("hv2", f"xl list {guest} | tail -1"), patience=240, pause=5)


@pytest.mark.soak
def test_all_shapes(guests_lab: Lab) -> None:
    """Five guest VMs, none like another, go together and come home together; each as it was."""
    lab = guests_lab
    migrate(lab, "u2", "hv2", "hv1")
    lab.run("host", "vmbeam adopt u2")      # else hv2 would be its home
    for name, kind in SHAPES.items():
        guests.guest_create(lab, "hv1", name, **kind)
    names = ["u1", "u2", *SHAPES]
    before = {g: guests.guest_state(lab, g) for g in names}
    shapes = {g: shape(lab, "hv1", g) for g in names}
    free = guests.free_mib(lab, "hv2")
    for command, arguments, here, there in (("evacuate", "hv1 --to hv2", "hv2", "hv1"), ("return", "hv1", "hv1", "hv2")):
        report = done(lab, command, arguments)
        assert sorted(g["guest"] for g in report["guests"]) == names
        are_on(lab, here, there, names)
        for g in names:
            lab.waiter.until(f"{g} to answer on {here}", lambda g=g: lab.answers(g))    # type: ignore[misc]
            check_unhurt(lab, g, before[g])
            assert shape(lab, here, g) == shapes[g]
    assert guests.free_mib(lab, "hv2") == free
    moves = [r for r in vmbeam_history(lab) if r["kind"] == "migration" and r["outcome"] == "done"]
    assert len(moves) == 1 + 2 * len(names)


@pytest.mark.soak
def test_shut_down_and_started_again(guests_lab: Lab) -> None:
    """A guest VM whose disk the refuge lacks: refused, left, or shut down and started again at the return."""
    lab = guests_lab
    lab.run("hv1", "mv /dev/vdc /dev/vdc.kept")
    rc, report, told = vmbeam(lab, "evacuate", "hv2 --to hv1")
    assert rc == REFUSED and "/dev/vdc" in told + json.dumps(report), told
    boot = guests.guest_state(lab, "u2").boot_id
    done(lab, "evacuate", "hv2 --to hv1 --unmovable leave")
    are_on(lab, "hv2", "hv1", ["u2"])
    assert guests.guest_state(lab, "u2").boot_id == boot
    done(lab, "evacuate", "hv2 --to hv1 --unmovable shutdown")
    assert not guests.has_guest(lab, "hv1", "u2") and not guests.has_guest(lab, "hv2", "u2")
    filesystem_clean(lab, "/dev/vdc")
    done(lab, "return", "hv2")
    are_on(lab, "hv2", "hv1", ["u2"])
    boot = booted_anew(lab, "u2", boot)
    # Who watches it is the agent's own, in place of xl.
    lab.run("hv2", "xl reboot u2")
    booted_anew(lab, "u2", boot)
    lab.run("hv1", "mv /dev/vdc.kept /dev/vdc")
