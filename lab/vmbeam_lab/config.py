# SPDX-License-Identifier: GPL-2.0
"""Which lab is wanted: its variants. The variables are described in docs/lab.md."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from .errors import LabError

STATES = ("host", "systems", "guests")
XENS = ("release", "debug", "4.17", "stock")
QEMUS = ("debian", "fixed", "bare")
ACCELS = ("auto", "icount", "threads")
KERNELS = ("trixie", "testing")

# Guest VMs of the state "guests": where each runs, its memory in MiB, vCPUs, and the MiB that its checker looks at.
GUESTS = {"u1": ("hv1", 256, 2, 128), "u2": ("hv2", 192, 1, 32)}
HOSTVMS = ("hv1", "hv2")
# Each has an address on the lab's network; the guest VMs are u1 to u6.
ADDRESSES = {"host": "10.0.2.10", "hv1": "10.0.2.11", "hv2": "10.0.2.12"} | {f"u{n}": f"10.0.2.2{n}" for n in range(1, 7)}


def _choice(variable: str, default: str, allowed: tuple[str, ...]) -> str:
    value = os.environ.get(variable) or default
    if value not in allowed:
        raise LabError(f"{variable} is {value}: one of {', '.join(allowed)}")
    return value


@dataclass(frozen=True)
class Config:
    state: str = "guests"
    xen: str = "release"
    qemu: str = "debian"
    accel: str = "auto"
    swiotlb: bool = True
    mib: int = 9216
    hostvm_mib: int = 2560
    hv_kernel: str = "trixie"
    profile: str = ""

    @staticmethod
    def from_env() -> "Config":
        env = os.environ
        xen = _choice("LAB_XEN", "release", XENS)
        return Config(
            state=_choice("LAB_STATE", "host" if xen == "4.17" else "guests", STATES),
            xen=xen,
            qemu=_choice("LAB_QEMU", "debian", QEMUS),
            accel=_choice("LAB_ACCEL", "auto", ACCELS),
            swiotlb=env.get("LAB_SWIOTLB") != "0",
            mib=int(env.get("LAB_MIB", "9216")),
            hostvm_mib=int(env.get("LAB_HOSTVM_MIB", "2560")),
            hv_kernel=_choice("LAB_HV_KERNEL", "trixie", KERNELS),
            profile=env.get("LAB_PROFILE", ""))

    def __post_init__(self) -> None:
        if self.xen == "4.17" and self.state != "host":
            raise LabError("the outer system of bookworm has no nested systems: LAB_XEN=4.17 goes with LAB_STATE=host")

    def at(self, state: str) -> "Config":
        return replace(self, state=state)

    @property
    def hostvms(self) -> tuple[str, ...]:
        return () if self.state == "host" else HOSTVMS

    @property
    def series(self) -> str:
        return "4.17" if self.xen == "4.17" else ""

    @property
    def kvm(self) -> bool:
        """A /dev/kvm alone proves nothing: it may be unable to nest."""
        if self.accel != "auto" or self.qemu != "debian" or not os.access("/dev/kvm", os.W_OK):
            return False
        flags = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")), "")
        return bool({"svm", "vmx"} & set(flags.split()))

    @property
    def icount(self) -> bool:
        """The machine's time is the instructions that it has executed, on one thread. Not for the outer system alone,
        whose tests want CPUs that run beside each other; nor for the other QEMUs, which are for what goes wrong between
        threads."""
        return self.accel == "icount" or (self.accel == "auto" and self.state != "host" and self.qemu == "debian" and
                                          not self.kvm)
