# SPDX-License-Identifier: GPL-2.0
"""Move a guest VM whose checkers run, and look at it from all sides: what the demo and the tests share."""

import json
import random
from dataclasses import dataclass
from typing import Any, Callable, Iterable

from . import guests
from .errors import LabError
from .lab import Lab

SAMPLES = 500
# At least that many of them must be comparable, or the comparison says nothing.
SAMPLES_LEAST = 200


class Wrong(LabError):
    """A migration, or the guest VM after it, is not as it has to be."""


@dataclass(frozen=True)
class Sample:
    """One frame of a guest VM: its own number of it, its host VM's, and the machine frame behind."""
    pfn: int
    gfn: int
    mfn: int


def machine_frames(lab: Lab, hostvm: str, pairs: str) -> list[Sample]:
    """For "pfn gfn" lines, read by a module that shares no code with the swap."""
    out = lab.run("host", f"/lab/selftests/tools/mfn $(xl domid {hostvm})", pairs.encode())
    return [Sample(*map(int, line.split())) for line in out.splitlines()]


def samples(lab: Lab, hostvm: str, guest: str, seed: int) -> list[Sample]:
    """Random frames; the same seed asks for the same pfns, on either side of a migration."""
    pairs = lab.run(hostvm, f"/lab/selftests/tools/p2m $(xl domid {guest}) {SAMPLES} {seed}")
    return machine_frames(lab, hostvm, pairs)


def _within(ranges: Iterable[list[int]]) -> set[int]:
    return {first + i for first, count in ranges for i in range(count)}


def compare_samples(before: list[Sample], after: list[Sample], left: list[Sample], result: dict[str, Any]) -> tuple[int, int]:
    """How many could be compared, and how many of these went, frame and all: the guest VM has the machine frame that
    it had, and its old system has another one there. Kept pfns and exchanged gfns are left aside."""
    kept, exchanged = _within(result["kept_pfns"]), _within(result["exchanged_gfns"])
    was = {s.pfn: s for s in before if s.pfn not in kept and s.gfn not in exchanged}
    now = {s.pfn: s.mfn for s in after}
    there = {s.pfn: s.mfn for s in left}
    taken = [s for pfn, s in was.items() if pfn in now]
    same = [s for s in taken if now[s.pfn] == s.mfn and there.get(s.pfn, s.mfn) != s.mfn]
    return len(taken), len(same)


def vmbeam_migrate(lab: Lab, guest: str, source: str, dest: str,
                   progress: Callable[[str], None] | None = None) -> tuple[int, dict[str, Any], str]:
    """The command itself: its exit status, the report it prints, and what it says meanwhile."""
    told = b""

    def take(kind: bytes, body: bytes) -> None:
        nonlocal told
        if kind == b"R" and progress:
            *lines, told = (told + body).split(b"\n")
            for line in lines:
                progress(line.decode(errors="replace"))

    rc, out, err = lab.status("host", f"vmbeam migrate --json {source}/{guest} {dest}", take=take)
    try:
        report = json.loads(out) if out.strip() else {}
    except json.JSONDecodeError as e:
        raise Wrong(f"vmbeam migrate prints what is not JSON: {out[:500]!r}") from e
    return rc, report, err.decode(errors="replace")


def check_unhurt(lab: Lab, guest: str, before: guests.GuestState) -> tuple[guests.GuestState, guests.DiskState]:
    """The same boot, the same processes, every page and every record right, and still working."""
    guests.every_page(lab, guest)
    after = guests.guest_state(lab, guest)
    disk = guests.check_disk(lab, guest)
    if before.identity != after.identity:
        raise Wrong(f"{guest}: not the same boot and processes: {before.identity}, then {after.identity}")
    if after.memory_errors:
        raise Wrong(f"{guest}: {after.memory_errors} of {after.pages} pages were wrong")
    if disk.errors:
        raise Wrong(f"{guest}: {disk.errors} of {disk.records} records are wrong or missing")
    guests.heartbeat_wait(lab, guest)
    stuck = lab.status(guest, 'dmesg | grep -E "blocked for more than|rcu.*stall|soft lockup"')[1]
    if stuck:
        raise Wrong(f"{guest}: {stuck.decode(errors='replace')}")
    return after, disk


def migrate(lab: Lab, guest: str, source: str, dest: str, progress: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Moves it and looks; returns an element of report.json, or raises if anything is wrong."""
    seed = random.getrandbits(30)
    before = guests.guest_state(lab, guest)
    frames_before = samples(lab, source, guest, seed)
    guests.heartbeat_reset(lab, guest)
    rc, result, told = vmbeam_migrate(lab, guest, source, dest, progress)
    if rc:
        raise Wrong(f"vmbeam migrate {source}/{guest} {dest}: status {rc}\n{told}\n{json.dumps(result)}")
    lab.waiter.until(f"{guest} to answer on {dest}", lambda: lab.answers(guest))
    beat = guests.heartbeat(lab, guest)
    _, disk = check_unhurt(lab, guest, before)
    frames_after = samples(lab, dest, guest, seed)
    left = machine_frames(lab, source, "".join(f"{s.pfn} {s.gfn}\n" for s in frames_before))
    taken, same = compare_samples(frames_before, frames_after, left, result)

    f = result["frames"]
    problems = []
    if beat.lost or not beat.open:
        problems.append(f"the heartbeat's connection broke: {beat}")
    if taken < SAMPLES_LEAST:
        problems.append(f"only {taken} frames could be compared")
    if taken != same:
        problems.append(f"of {taken} frames {same} went as they were: the others have another machine frame than before, "
                        f"or {source} still has it")
    if guests.has_guest(lab, source, guest):
        problems.append(f"{source} still has it")
    if f["swapped"] + f["kept"] + f["exchanged"] != f["total"] or f["swapped"] < 0.97 * f["total"]:
        problems.append(f"frames: {f}")
    if problems:
        raise Wrong(f"{guest}, {source} to {dest}: " + "; ".join(problems))
    return {**{k: result[k] for k in ("guest", "from", "to", "memory_mib", "frames", "phases_ms", "downtime_ms", "total_ms")},
            "guest_checks": {"memory_errors": 0, "disk_errors": disk.errors, "boot_id_same": True,
                             "heartbeat_gap_ms": guests.heartbeat(lab, guest).gap_ms},
            "mfn_samples": {"taken": taken, "same": same}}


def filesystem_clean(lab: Lab, disk: str = "/dev/vdb") -> str:
    """Read in the host management VM, past its cache. Honest only when the guest VM is off."""
    return lab.run("host", f"echo 3 >/proc/sys/vm/drop_caches; e2fsck -fn {disk}")
