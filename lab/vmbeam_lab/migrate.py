# SPDX-License-Identifier: GPL-2.0
"""Move a guest VM whose checkers run, and look at it from all sides: what the demo and the tests share."""

import json
import random
from dataclasses import dataclass
from typing import Any, Callable, Iterable

from . import guests
from .errors import CommandFailed, LabError
from .lab import COMMAND_PATIENCE, Lab

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


def pairs_of(frames: list[Sample]) -> str:
    return "".join(f"{s.pfn} {s.gfn}\n" for s in frames)


def samples(lab: Lab, hostvm: str, guest: str, seed: int) -> list[Sample]:
    """Random frames; the same seed asks for the same pfns, on either side of a migration."""
    pairs = lab.run(hostvm, f"/lab/selftests/tools/p2m $(xl domid {guest}) {SAMPLES} {seed}")
    return machine_frames(lab, hostvm, pairs)


def _within(ranges: Iterable[list[int]]) -> set[int]:
    return {first + i for first, count in ranges for i in range(count)}


def compare_samples(before: list[Sample], after: list[Sample], left: list[Sample] | None,
                    result: dict[str, Any]) -> dict[str, int]:
    """How many could be compared ("taken"), and how many of these went, frame and all ("same"): the guest VM has the
    machine frame that it had, and its old system has another one there. left is what that has, or None if it is gone.
    Kept pfns and exchanged gfns are left aside."""
    kept, exchanged = _within(result["kept_pfns"]), _within(result["exchanged_gfns"])
    was = {s.pfn: s for s in before if s.pfn not in kept and s.gfn not in exchanged}
    now = {s.pfn: s.mfn for s in after}
    there = {s.pfn: s.mfn for s in left or ()}
    taken = [s for pfn, s in was.items() if pfn in now]
    same = [s for s in taken if now[s.pfn] == s.mfn and (left is None or there.get(s.pfn, s.mfn) != s.mfn)]
    return {"taken": len(taken), "same": len(same)}


def vmbeam(lab: Lab, command: str, arguments: str, progress: Callable[[str], None] | None = None,
           patience: float = COMMAND_PATIENCE) -> tuple[int, dict[str, Any], str]:
    """The command with --json: its exit status, the report it prints, and what it says meanwhile."""
    told = b""

    def take(kind: bytes, body: bytes) -> None:
        nonlocal told
        if kind == b"R" and progress:
            *lines, told = (told + body).split(b"\n")
            for line in lines:
                progress(line.decode(errors="replace"))

    rc, out, err = lab.status("host", f"vmbeam {command} --json {arguments}", take=take, patience=patience)
    try:
        report = json.loads(out) if out.strip() else {}
    except json.JSONDecodeError as e:
        raise Wrong(f"vmbeam {command} prints what is not JSON: {out[:500]!r}") from e
    return rc, report, err.decode(errors="replace")


def vmbeam_migrate(lab: Lab, guest: str, source: str, dest: str,
                   progress: Callable[[str], None] | None = None) -> tuple[int, dict[str, Any], str]:
    return vmbeam(lab, "migrate", f"{source}/{guest} {dest}", progress)


def vmbeam_status(lab: Lab) -> dict[str, Any]:
    """Also when it exits with 4, because an operator is waited for."""
    rc, out, err = lab.status("host", "vmbeam status --json")
    if rc not in (0, 4):
        raise CommandFailed("host", "vmbeam status --json", rc, out.decode(errors="replace"), err.decode(errors="replace"))
    got: dict[str, Any] = json.loads(out)
    return got


def vmbeam_history(lab: Lab) -> list[dict[str, Any]]:
    """A record a line, the oldest first."""
    return [json.loads(line) for line in lab.run("host", "vmbeam history --json").splitlines()]


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


def verdict(result: dict[str, Any], beat: guests.Heartbeat, disk: guests.DiskState, mfn_samples: dict[str, int]) -> dict[str, Any]:
    """Of a migration that is over, and of whose guest VM check_unhurt() found nothing wrong: an element of report.json,
    or raises if its counts, its frames or its heartbeat are wrong."""
    guest, source, f = result["guest"], result["from"], result["frames"]
    problems = []
    if beat.lost or not beat.open:
        problems.append(f"the heartbeat's connection broke: {beat}")
    if mfn_samples["taken"] < SAMPLES_LEAST:
        problems.append(f"only {mfn_samples['taken']} frames could be compared")
    if mfn_samples["taken"] != mfn_samples["same"]:
        problems.append(f"of {mfn_samples['taken']} frames {mfn_samples['same']} went as they were: the others have another "
                        f"machine frame than before, or {source} still has it")
    if f["swapped"] + f["kept"] + f["exchanged"] != f["total"] or f["swapped"] < 0.97 * f["total"]:
        problems.append(f"frames: {f}")
    if problems:
        raise Wrong(f"{guest}, {source} to {result['to']}: " + "; ".join(problems))
    return {**{k: result[k] for k in ("guest", "from", "to", "memory_mib", "frames", "phases_ms", "downtime_ms", "total_ms")},
            "guest_checks": {"memory_errors": 0, "disk_errors": disk.errors, "boot_id_same": True, "heartbeat_gap_ms": beat.gap_ms},
            "mfn_samples": mfn_samples}


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
    _, disk = check_unhurt(lab, guest, before)
    frames_after = samples(lab, dest, guest, seed)
    left = machine_frames(lab, source, pairs_of(frames_before))
    if guests.has_guest(lab, source, guest):
        raise Wrong(f"{guest} runs on {dest}, and {source} still has it")
    return verdict(result, guests.heartbeat(lab, guest), disk, compare_samples(frames_before, frames_after, left, result))


def there_and_back(lab: Lab, progress: Callable[[str], None] | None = None,
                   moved: Callable[[dict[str, Any]], None] = lambda _: None) -> list[dict[str, Any]]:
    """u1 moves to hv2 and home again, and both sides have their memory back. moved() gets each element of report.json."""
    done = []
    free = {h: guests.free_mib(lab, h) for h in ("hv1", "hv2")}
    for source, dest in (("hv1", "hv2"), ("hv2", "hv1")):
        done.append(migrate(lab, "u1", source, dest, progress))
        moved(done[-1])
        now = {h: guests.free_mib(lab, h) for h in free}
        if dest == "hv2" and not (now["hv1"] > free["hv1"] and now["hv2"] < free["hv2"]):
            raise Wrong(f"u1's memory is not free on hv1, or not taken on hv2: MiB {free}, then {now}")
    if now != free:
        raise Wrong(f"free were before the migrations {free} MiB, now {now}")
    return done


def filesystem_clean(lab: Lab, disk: str = "/dev/vdb") -> str:
    """Read in the host management VM, past its cache. Honest only when the guest VM is off."""
    return lab.run("host", f"echo 3 >/proc/sys/vm/drop_caches; e2fsck -fn {disk}")
