# SPDX-License-Identifier: GPL-2.0
"""A guest VM with more than the lab gives it: a second disk and a second network card on a bridge of its own, a pinned
vCPU, and a cpupool whose name is not Xen's."""

from collections.abc import Iterator
from contextlib import contextmanager

from vmbeam_lab.lab import Lab, at_once

DISK, BRIDGE, MAC, POOL = "/dev/loop5", "xenbr1", "00:16:3e:00:09:01", "trial"
DISK_MIB = 16
ATTACH = {"disk": f"xl block-attach u1 phy:{DISK} xvdb w", "vif": f"xl network-attach u1 mac={MAC} bridge={BRIDGE}"}
DETACH = {"disk": "xl block-detach u1 xvdb", "vif": f"xl network-detach u1 {MAC}"}
# Is it in u1?
SEEN = {"disk": "test -b /dev/xvdb", "vif": "test -e /sys/class/net/eth1"}

# Both host VMs have the image of their root: its beginning is the same content on both, and is not empty.
MAKE = f"""set -e
dd if=/dev/vda of=/run/second bs=1M count={DISK_MIB} 2>/dev/null
losetup {DISK} /run/second
ip link add {BRIDGE} type bridge
ip link set {BRIDGE} up"""
UNMAKE = f"set -e; ip link del {BRIDGE}; losetup -d {DISK}; rm /run/second"
STATES = """for kind in vbd vif; do
	path=/local/domain/0/backend/$kind/$(xl domid u1)
	for id in $(xenstore-list $path); do xenstore-read $path/$id/state; done
done"""


def on_both(lab: Lab, command: str) -> None:
    at_once([lambda h=h: lab.run(h, command) for h in ("hv1", "hv2")])     # type: ignore[misc]


@contextmanager
def spares(lab: Lab) -> Iterator[None]:
    """Both host VMs have the disk and the bridge; nobody uses them yet."""
    on_both(lab, MAKE)
    yield
    on_both(lab, UNMAKE)


def connected(lab: Lab, hostvm: str) -> None:
    """Waits until u1's kernel uses all its devices."""
    def states() -> list[str]:
        return lab.run(hostvm, STATES).split()

    lab.waiter.until("u1's devices to be connected", lambda: set(states()) == {"4"}, states)


def attach(lab: Lab, hostvm: str, device: str) -> None:
    lab.run(hostvm, ATTACH[device])
    connected(lab, hostvm)


def detach(lab: Lab, hostvm: str, device: str) -> None:
    # xl waits 10 s for the guest VM's kernel, and a slow one may need longer: it is asked again.
    lab.waiter.until(f"the {device} to be detached", lambda: lab.succeeds(hostvm, DETACH[device]), pause=1)
    lab.waiter.until(f"the {device} to have left u1", lambda: not lab.succeeds("u1", SEEN[device]))


@contextmanager
def laden(lab: Lab) -> Iterator[None]:
    """u1 on hv1 has all of it, and hv2 has what it needs."""
    with spares(lab):
        on_both(lab, f"xl cpupool-rename Pool-0 {POOL}")
        for device in ATTACH:
            attach(lab, "hv1", device)
        lab.run("hv1", "xl vcpu-pin u1 1 1")
        yield
        lab.run("hv1", "xl vcpu-pin u1 1 all")
        for device in DETACH:
            detach(lab, "hv1", device)
        on_both(lab, f"xl cpupool-rename {POOL} Pool-0")
