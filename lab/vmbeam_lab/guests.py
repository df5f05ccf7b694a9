# SPDX-License-Identifier: GPL-2.0
"""Guest VMs of the lab, and what the checkers in them tell."""

from dataclasses import dataclass

from . import logs
from .config import GUESTS
from .errors import LabDied, LabError
from .lab import Lab


@dataclass(frozen=True)
class GuestState:
    """What is the same as long as a guest VM lives, and what its checkers have counted."""
    boot_id: str
    processes: tuple[str, ...]      # "pid:start time" of each checker
    passes: int
    pages: int
    memory_errors: int
    safe: int                       # records that its disk writer has seen on the disk

    @property
    def identity(self) -> tuple[str, ...]:
        return (self.boot_id, *self.processes)


CHECKERS = ("memcheck", "diskwriter", "heartbeat")
# A kernel that has not got anywhere for 100 s and more: no slow machine does that, the emulator does, once in a while.
HANGS = "soft lockup - CPU#[0-9]* stuck for [0-9][0-9][0-9]"


def _numbers(line: str) -> dict[str, int]:
    """ "passes 3 pages 100" as a dictionary."""
    words = line.split()
    return dict(zip(words[::2], map(int, words[1::2])))


def has_disk(guest: str) -> bool:
    return guest in GUESTS


def guest_state(lab: Lab, guest: str) -> GuestState:
    """Reads files alone: starting a process in a guest VM may take half a second."""
    processes = []
    for name in CHECKERS:
        if name == "diskwriter" and not has_disk(guest):
            continue
        pid = lab.text(guest, f"/run/{name}.pid")
        try:
            stat = lab.text(guest, f"/proc/{pid}/stat")
        except LabError:
            processes.append("gone")
            continue
        fields = stat.rpartition(")")[2].split()
        alive = f"({name})" in stat and fields[0] != "Z"
        processes.append(f"{pid}:{fields[19]}" if alive else "gone")
    memory = _numbers(lab.text(guest, "/run/memcheck"))
    disk = _numbers(lab.text(guest, "/run/diskwriter")) if has_disk(guest) else {"safe": 0}
    return GuestState(lab.text(guest, "/proc/sys/kernel/random/boot_id"), tuple(processes), memory["passes"],
                      memory["pages"], memory["errors"], disk["safe"])


def every_page(lab: Lab, guest: str) -> None:
    """Its memory checker looks at every page, now. The pass under way may have begun before this: the next one counts."""
    passes = _numbers(lab.text(guest, "/run/memcheck"))["passes"]
    lab.run(guest, "kill -USR1 $(cat /run/memcheck.pid)")

    def seen() -> int:
        return _numbers(lab.text(guest, "/run/memcheck"))["passes"]

    lab.waiter.until(f"{guest}'s memory checker to look at every page", lambda: seen() >= passes + 2, seen)


@dataclass(frozen=True)
class DiskState:
    safe: int
    records: int
    errors: int


def check_disk(lab: Lab, guest: str) -> DiskState:
    """All records, past the page cache. A record that was safe before this began, and is not there, is an error. Not every
    guest VM has a disk."""
    if not has_disk(guest):
        return DiskState(0, 0, 0)
    safe = _numbers(lab.text(guest, "/run/diskwriter"))["safe"]
    _, out, _ = lab.status(guest, "/lab/diskwriter --check /data/records")
    got = _numbers(out.decode())
    return DiskState(safe, got["records"], got["errors"] + max(0, safe - got["records"]))


@dataclass(frozen=True)
class Heartbeat:
    beats: int
    gap_ms: int
    lost: int
    open: bool


def heartbeat(lab: Lab, guest: str) -> Heartbeat:
    n = _numbers(lab.text("host", f"/run/heartbeat.{guest}"))
    return Heartbeat(n["beats"], n["gap_ms"], n["lost"], n["open"] == 1)


def heartbeat_reset(lab: Lab, guest: str) -> None:
    """The longest gap is counted anew."""
    lab.run("host", f"rm -f /run/heartbeat.{guest}")
    heartbeat_wait(lab, guest)


def heartbeat_wait(lab: Lab, guest: str) -> None:
    """A further beat."""
    try:
        before = heartbeat(lab, guest).beats
    except LabError:
        before = -1
    lab.waiter.until(f"a heartbeat of {guest}",
                     lambda: (now := heartbeat(lab, guest)).open and now.beats != before)


def guestvm(lab: Lab, hostvm: str, guest: str, timer_ms: int) -> str:
    """What starts it: the image's script, or that script with another parameter for the guest VM's kernel."""
    if not timer_ms:
        return "/lab/guestvm"
    slop, script = f"xen_timer_slop={timer_ms * 1000000} ", f"/run/guestvm.{guest}"
    lab.run(hostvm, f"sed 's/xen_timer_slop=[0-9]* /{slop}/' /lab/guestvm >{script} && grep -q '{slop}' {script}")
    return f"bash {script}"


def guest_create(lab: Lab, hostvm: str, guest: str, mib: int = 128, vcpus: int = 1, checkers_mib: int = 32,
                 maxmem_mib: int = 0, vifs: int = 1, timer_ms: int = 0) -> None:
    """Starts it and waits until it answers and its checkers run. timer_ms: how far apart its kernel's timer interrupts are
    at least, where that is not to be what docs/lab.md says."""
    def booting() -> str:
        """Its vCPUs' time moves while it boots, and stands still when it hangs. One that spins for ever says so itself."""
        listed = lab.run(hostvm, f"xl list {guest} | tail -1; grep '{HANGS}' /var/log/xen/guest-{guest}.log || true")
        if "\n" in listed.strip():
            raise LabDied(f"{guest} on {hostvm} hangs at boot: {listed.strip().splitlines()[1]}")
        return listed

    lab.run(hostvm, f"{guestvm(lab, hostvm, guest, timer_ms)} {guest} {mib} {vcpus} {checkers_mib} {maxmem_mib or mib} {vifs}")
    lab.waiter.until(f"{guest} on {hostvm} to answer", lambda: lab.answers(guest), booting, patience=240, pause=5)
    lab.waiter.until(f"{guest}'s checkers", lambda: guest_state(lab, guest).passes > 0,
                     lambda: lab.run(guest, "cat /run/memcheck /run/diskwriter 2>/dev/null; true"), pause=1)
    heartbeat_wait(lab, guest)
    logs.plant_guest(lab, guest)


def has_guest(lab: Lab, hostvm: str, guest: str) -> bool:
    return lab.succeeds(hostvm, f"xl domid {guest} >/dev/null 2>&1")


def guest_mib(lab: Lab, hostvm: str, guest: str) -> int:
    """What a guest VM takes of its host VM; 0 if there is none of that name."""
    rc, out, _ = lab.status(hostvm, f"xl list {guest} 2>/dev/null")
    return 0 if rc else int(out.decode().splitlines()[1].split()[2])


def free_mib(lab: Lab, hostvm: str) -> int:
    return int(lab.run(hostvm, "xl info free_memory 2>/dev/null || xl info | sed -n 's/^free_memory *: //p'"))


def guest_shutdown(lab: Lab, hostvm: str, guest: str) -> None:
    """Orderly, as its operator would, and then the domain is removed."""
    lab.run(hostvm, f"xl shutdown {guest}")

    def listed() -> str:
        _, out, _ = lab.status(hostvm, f"xl list {guest} 2>/dev/null")
        lines = out.decode().splitlines()
        return lines[1] if len(lines) > 1 else ""

    def off() -> bool:
        line = listed()
        return not line or "s" in line.split()[4]

    lab.waiter.until(f"{guest} to be off", off, listed)
    lab.status(hostvm, f"xl destroy {guest}")


def guest_destroy(lab: Lab, hostvm: str, guest: str) -> None:
    lab.run(hostvm, f"xl destroy {guest}")
