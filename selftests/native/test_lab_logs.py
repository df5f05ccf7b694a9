# SPDX-License-Identifier: GPL-2.0
"""The search for splats, over made-up systems: what it finds, and that it does not pass over a log that is not there."""
import io
import re
import tarfile
from pathlib import Path

import pytest

from vmbeam_lab import logs
from vmbeam_lab.config import Config
from vmbeam_lab.errors import LabError
from vmbeam_lab.lab import Lab

LIST = "Name                                        ID   Mem VCPUs\tState\tTime(s)\n"


def line(name: str, flags: str) -> str:
    """As xl prints it."""
    return f"{name:40} {3:5} {256:5} {2:5}     {flags}  {12.3:8.1f}\n"


class MadeUpLab(Lab):
    """Management VMs and guest VMs that answer what the search asks."""

    def __init__(self, directory: Path) -> None:
        super().__init__(Config(state="guests"), directory)
        self.dir.mkdir()
        self.machine.serial.write_text("(XEN) all is well\n", encoding="utf-8")
        self.kernel = {s: f"a line\n{logs.PLANTED}\n" for s in ("host", "hv1", "hv2", "u1", "u2")}
        self.xen = {s: "(XEN) 'h' pressed -> showing installed handlers\n" for s in ("host", "hv1", "hv2")}
        self.domains = {"host": line("Domain-0", "r-----") + line("hv1", "-b----"),
                        "hv1": line("Domain-0", "r-----") + line("u1", "-b----"),
                        "hv2": line("Domain-0", "r-----") + line("u2", "r-----")}
        self.var = {"hv1": {"var/log/xen/guest-u1.log": "", "var/log/messages.log": "a line\n"}}
        self.noted = {"u1", "u2"}
        self.asked: list[tuple[str, str]] = []

    def status(self, system: str, command: str, data: bytes | None = None, **_: object) -> tuple[int, bytes, bytes]:
        self.asked.append((system, command))
        kernel = self.kernel.get(system)
        if kernel is None:
            raise LabError(f"{system}: nobody serves the channel")
        if "tar " not in command:
            noted = f"{logs.NOTED}\n" if system in self.noted and logs.NOTE in command else ""
            return 0, (noted + kernel).encode(), b""
        files = {"xen.txt": self.xen[system], "kernel.txt": kernel, "domains.txt": LIST + self.domains[system],
                 **self.var.get(system, {})}
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, text in files.items():
                if re.search(rf"\b{name}\b", command) or name.startswith("var/"):
                    info = tarfile.TarInfo(name)
                    info.size = len(text)
                    tar.addfile(info, io.BytesIO(text.encode()))
        return 0, out.getvalue(), b""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeUpLab:
    made_up = MadeUpLab(tmp_path / "lab")
    monkeypatch.setattr(made_up.machine, "check_alive", lambda waiting_for: None)
    made_up.waiter.slowness = 0.001     # nobody who does not answer will
    return made_up


def found(lab: MadeUpLab, only: tuple[str, ...] = (), whole: bool = True) -> str:
    """What is wrong; empty if nothing is."""
    try:
        logs.check(lab, only=only, whole=whole)
    except LabError as e:
        return str(e)
    return ""


def test_nothing_is_wrong(lab: MadeUpLab) -> None:
    """All logs are there, and kept."""
    assert not found(lab)
    kept = {str(p.relative_to(lab.dir / "logs")) for p in (lab.dir / "logs").rglob("*") if p.is_file()}
    assert kept == {"host/serial.log", "hv1/var/log/xen/guest-u1.log", "hv1/var/log/messages.log", "u1/kernel.txt", "u2/kernel.txt",
                    *(f"{s}/{log}.txt" for s in ("host", "hv1", "hv2") for log in ("kernel", "xen", "domains"))}


SPLATS = [
    "[   12.3] BUG: unable to handle page fault for address: ffff888000000000", "[ 1.0] Oops: 0002 [#1] PREEMPT SMP NOPTI",
    "Kernel panic - not syncing: Fatal exception", "WARNING: CPU: 0 PID: 1 at mm/page_alloc.c:1", "(XEN) Xen BUG at p2m.c:1",
    "(XEN) Xen WARN at p2m.c:1", "(XEN) Assertion 'x' failed at p2m.c:1", "rcu: INFO: rcu_preempt detected stalls on CPUs",
    "INFO: task dd:12 blocked for more than 120 seconds.", "watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
    "Buffer I/O error on dev xvda, logical block 1", "EXT4-fs error (device xvda): bad", "refcount_t: underflow; use-after-free.",
    "==1==ERROR: AddressSanitizer: heap-use-after-free", "x.c:1:2: runtime error: shift", "vmbeamd[1]: segfault at 0 ip 0",
    "vmbeam_host: cannot map frame 0xfeffc of domain 2 (-22): the domain is known by its domid alone",
]


@pytest.mark.parametrize("where", ["host", "hv2", "u1", "u2", "xen", "serial", "var"])
def test_splat_is_found(lab: MadeUpLab, where: str) -> None:
    """In whatever log."""
    xen, kernel = dict(lab.xen), dict(lab.kernel)
    for splat in SPLATS:
        if where == "serial":
            lab.machine.serial.write_text(splat, encoding="utf-8")
        elif where == "xen":
            lab.xen["hv1"] = xen["hv1"] + splat
        elif where == "var":
            lab.var["hv1"]["var/log/xen/guest-u1.log"] = splat
        else:
            lab.kernel[where] = kernel[where] + splat
        assert splat in found(lab)


@pytest.mark.parametrize("system", ["host", "hv1", "hv2", "u1", "u2"])
def test_search_that_is_blind_is_found(lab: MadeUpLab, system: str) -> None:
    """What was planted has to be there. A guest VM forgets it with its log when it reboots, and not otherwise."""
    lab.kernel[system] = "a line\n"
    assert f"the planted splat is not in {system}'s kernel log" in found(lab)
    if system == "u1":
        lab.noted.remove("u1")
        assert not found(lab)
    if system in lab.xen:
        lab.xen[system] = "(XEN) a line\n"
        assert f"the planted mark is not in {system}'s Xen log" in found(lab)


@pytest.mark.parametrize("system", ["host", "hv1", "hv2", "u1", "u2"])
def test_empty_log_is_found(lab: MadeUpLab, system: str) -> None:
    lab.noted.clear()
    lab.kernel[system] = ""
    assert f"{system}/kernel.txt is empty" in found(lab)


@pytest.mark.parametrize("guest", ["u1", "u2"])
def test_missing_log_of_a_running_guest_vm_is_found(lab: MadeUpLab, guest: str) -> None:
    """With why it is missing. One that is paused, suspended, off or dying can tell nothing, and need not."""
    del lab.kernel[guest]
    words = found(lab)
    assert f"{guest} runs, and its kernel's log is missing: Gave up waiting for {guest}'s kernel log" in words
    assert "nobody serves the channel" in words
    for flags in ("--p---", "---s--", "----c-", "-----d"):
        for h, there in {"hv1": "u1", "hv2": "u2"}.items():
            if there == guest:
                lab.domains[h] = line("Domain-0", "r-----") + line(guest, flags)
        assert not found(lab)


def test_who_runs_must_be_known(lab: MadeUpLab) -> None:
    lab.domains["hv1"] = "libxl: error: cannot open the hypercall interface\n"
    assert "xl does not list hv1's domains: " in found(lab) and "cannot open the hypercall interface" in found(lab)


def test_missing_system_is_found(lab: MadeUpLab) -> None:
    del lab.kernel["hv2"]
    assert "hv2: nobody serves the channel" in found(lab)


def test_only_some_systems(lab: MadeUpLab) -> None:
    """Those and the guest VMs on them."""
    for system in ("hv2", "u2"):
        lab.kernel[system] += "Xen BUG at p2m.c:1"
    assert not found(lab, ("host", "hv1"))
    assert {s for s, _ in lab.asked} == {"host", "hv1", "u1"}
    lab.kernel["u1"] += "Xen BUG at p2m.c:1"
    assert "u1/kernel.txt: " in found(lab, ("host", "hv1"))


def test_what_costs_little(lab: MadeUpLab) -> None:
    """The outer Xen's console and the kernels, by one process in each system."""
    only = ("host", "hv1")
    assert not found(lab, only, whole=False)
    assert sorted(lab.asked) == [("host", "dmesg"), ("hv1", "dmesg")]
    lab.machine.serial.write_text("Xen BUG at p2m.c:1", encoding="utf-8")
    assert "host/serial.log: Xen BUG" in found(lab, only, whole=False)
    lab.machine.serial.write_text("", encoding="utf-8")
    for system in only:
        kernel = lab.kernel[system]
        lab.kernel[system] = kernel + "Oops: 0002"
        assert f"{system}/kernel.txt: Oops" in found(lab, only, whole=False)
        lab.kernel[system] = "a line\n"
        assert f"the planted splat is not in {system}'s kernel log" in found(lab, only, whole=False)
        lab.kernel[system] = kernel
