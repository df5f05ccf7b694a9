# SPDX-License-Identifier: GPL-2.0
"""vmbeam check: all that a guest VM needs is listed with what the destination offers, and what that lacks is named."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from failing import REFUSED, refused, stays_on_hv1
from laden import BRIDGE, DISK, DISK_MIB, MAC, POOL, connected, laden
from vmbeam_lab import guests
from vmbeam_lab.lab import Lab
from vmbeam_lab.migrate import migrate, vmbeam

# Whatever a check could have touched: domains, devices, exports, the journal.
TRACES = {"hv1": "xl list | cut -c 1-60; xenstore-ls -f /libxl; xenstore-ls -f /local/domain/0/backend; vmbeam export list",
          "hv2": "xl list | cut -c 1-60; xenstore-ls -f /libxl; xenstore-ls -f /local/domain/0/backend; vmbeam export list",
          "host": "cksum </var/lib/vmbeam/journal; vmbeam transaction list"}

# Hides files of /boot without a copy of them: what is left is linked to.
HIDE = """set -e
mkdir /run/boot; mount --bind /boot /run/boot; mount -t tmpfs none /boot
for f in /run/boot/*; do ln -s $f /boot/; done
rm /boot/{}"""
SHOW = "umount /boot; umount /run/boot; rmdir /run/boot"

FILES = {"file kernel": "vmlinux-guest", "file ramdisk": "rd-guest.gz"}

# What is missing: how hv2 loses it, and how it gets it back.
MISSING = {
    "disk xvda": ("mv /dev/vdb /dev/vdb.away", "mv /dev/vdb.away /dev/vdb"),
    "disk xvdb": (f"mv {DISK} {DISK}.away", f"mv {DISK}.away {DISK}"),
    # What is in the bridge stays in it, the management VM's own card included.
    "network card 00:16:3e:00:01:01": ("ip link set xenbr0 name xenbr9", "ip link set xenbr9 name xenbr0"),
    f"network card {MAC}": (f"ip link del {BRIDGE}", f"ip link add {BRIDGE} type bridge; ip link set {BRIDGE} up"),
    "cpupool": (f"xl cpupool-rename {POOL} Pool-0", f"xl cpupool-rename Pool-0 {POOL}"),
    "pin of vCPU 1": (f"xl cpupool-cpu-remove {POOL} 1", f"xl cpupool-cpu-add {POOL} 1"),
    **{item: (HIDE.format(file), SHOW) for item, file in FILES.items()},
}


def traces(lab: Lab) -> dict[str, str]:
    return {system: lab.run(system, command) for system, command in TRACES.items()}


def check(lab: Lab, guest: str = "u1") -> tuple[int, dict[str, Any]]:
    """Its exit code and report. It touches nothing."""
    before = traces(lab)
    code, report, _ = vmbeam(lab, "check", f"hv1/{guest} hv2")
    assert traces(lab) == before
    return code, report


def of_verdict(report: dict[str, Any], verdict: str) -> set[str]:
    return {i["item"] for i in report["items"] if i["verdict"] == verdict}


@contextmanager
def missing(lab: Lab, lose: str, regain: str) -> Iterator[None]:
    lab.run("hv2", lose)
    yield
    lab.run("hv2", regain)


@pytest.mark.soak
def test_whole_comparison(guests_lab_shared: Lab) -> None:
    """All is listed with what is offered. Of what the destination then lacks, exactly that is named."""
    lab = guests_lab_shared
    with stays_on_hv1(lab), laden(lab):
        code, report = check(lab)
        assert code == 0, report
        offers = {i["item"]: i["offers"] for i in report["items"]}
        assert set(offers) >= {"memory", "vCPUs", "CPU", "clock", *MISSING}
        assert offers["disk xvda"].startswith("/dev/vdb, ")
        assert offers["disk xvdb"] == f"{DISK}, {DISK_MIB} MiB"
        assert offers[f"network card {MAC}"] == f"bridge {BRIDGE}"
        assert offers["network card 00:16:3e:00:01:01"] == "bridge xenbr0"
        assert offers["cpupool"] == f"{POOL}, CPUs 0-1"
        assert offers["pin of vCPU 1"] == "CPUs 0-1"
        assert {name: offers[name] for name in FILES} == {name: f"/boot/{file}" for name, file in FILES.items()}
        assert not of_verdict(report, "refused") | of_verdict(report, "warning") & {*MISSING}, report

        for item, (lose, regain) in MISSING.items():
            with missing(lab, lose, regain):
                code, report = check(lab)
                assert code == REFUSED and of_verdict(report, "refused") == {item}, f"{item}: {report}"
                assert len(report["problems"]) == 1, report["problems"]
        code, report = check(lab)
        assert code == 0, report


def test_what_cannot_be_carried_over(guests_lab_shared: Lab) -> None:
    """All of it is said at once."""
    lab = guests_lab_shared
    config = """name="u5"
type="pv"
memory=160
kernel="/run/only-here"
ramdisk="/boot/rd-guest.gz"
vif=["mac=00:16:3e:00:09:05,bridge=xenbr9"]
nomigrate=1
driver_domain=1
"""
    with stays_on_hv1(lab):
        lab.run("hv1", "ln -s /boot/vmlinux-guest /run/only-here; ip link add xenbr9 type bridge; ip link set xenbr9 up")
        lab.write("hv1", "/run/u5.cfg", config.encode())
        lab.run("hv1", "xl create -p /run/u5.cfg")
        code, report = check(lab, "u5")
        assert code == REFUSED, report
        problems = "\n".join(report["problems"])
        for words in ("u5 is paused", "u5 does not say that it can suspend", "nomigrate=1", "driver_domain=1",
                      "the bridge xenbr9 of a network card is not here", "the kernel of u5, /run/only-here, is missing"):
            assert words in problems, f"it does not say: {words}\n{problems}"
        lab.run("hv1", "xl destroy u5; ip link del xenbr9; rm /run/only-here /run/u5.cfg")


def test_disk_that_another_guest_vm_has(guests_lab_shared: Lab) -> None:
    """One that is paused, and has not read or written anything yet."""
    lab = guests_lab_shared
    with stays_on_hv1(lab):
        lab.run("hv2", "/lab/guestvm --ballast u4 160 && xl block-attach u4 phy:/dev/vdb xvda w")
        refused(lab, "the disk /dev/vdb can be written by guest VM u4, too")
        lab.run("hv2", "xl destroy u4")


@pytest.mark.soak
def test_laden_guest_moves(guests_lab: Lab) -> None:
    """There and home again, with all that it has: what can be set while it runs is carried over."""
    lab = guests_lab
    with laden(lab):
        sums = lab.run("u1", "sha256sum /dev/xvdb")
        for source, dest in (("hv1", "hv2"), ("hv2", "hv1")):
            migrate(lab, "u1", source, dest)
            connected(lab, dest)
            assert lab.run("u1", "sha256sum /dev/xvdb") == sums
            assert lab.succeeds("u1", "test -e /sys/class/net/eth1")
            hard = [line.split()[6] for line in lab.run(dest, "xl vcpu-list u1").splitlines()[1:]]
            assert hard == ["all", "1"], hard
            assert lab.run(dest, "xl list -c u1 | tail -n 1").split()[-1] == POOL
    assert guests.has_guest(lab, "hv1", "u1")
