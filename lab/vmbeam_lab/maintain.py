# SPDX-License-Identifier: GPL-2.0
"""A host VM is restarted while its guest VM is away, which is looked at from all sides: the demo and its test."""

import json
import random
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Callable

from . import guests, hostvms
from .lab import Lab
from .migrate import (Sample, Wrong, check_unhurt, compare_samples, machine_frames, pairs_of, samples, verdict, vmbeam,
                      vmbeam_status)

# A host VM boots without a word to whoever waits for its maintenance.
PATIENCE = 1800.0


@dataclass
class Maintenance:
    migrations: list[dict[str, Any]]            # elements of report.json
    report: dict[str, Any]                      # its part of report.json
    events: list[dict[str, Any]] = field(default_factory=list)  # as they came


def _report(lab: Lab, migration: str) -> dict[str, Any]:
    """Of a migration, with the lists of the frames that were kept or exchanged: the daemon has those of the last one."""
    def last() -> dict[str, Any]:
        got: dict[str, Any] = vmbeam_status(lab).get("last") or {}
        return got if got.get("id") == migration else {}

    return lab.waiter.until(f"the report of migration {migration}", last, pause=0.5)


@dataclass
class Away:
    """The guest VM in its refuge, its home being restarted."""
    frames: list[Sample]
    migration: dict[str, Any]


def _look_away(lab: Lab, guest: str, via: str, migration: str, seed: int, home: list[Sample],
               before: guests.GuestState) -> Away:
    lab.waiter.until(f"{guest} to answer on {via}", lambda: lab.answers(guest))
    report = _report(lab, migration)
    frames = samples(lab, via, guest, seed)
    step = (vmbeam_status(lab).get("maintenance") or {}).get("step", "none")
    if step in ("return", "done", "aborted", "none"):
        raise Wrong(f"{guest}'s frames on {via} were read too late to tell anything: step {step}")
    beat = guests.heartbeat(lab, guest)
    guests.heartbeat_reset(lab, guest)
    _, disk = check_unhurt(lab, guest, before)
    # Its home is gone: nobody has frames there that could be compared.
    return Away(frames, verdict(report, beat, disk, compare_samples(home, frames, None, report)))


def moved(event: dict[str, Any]) -> bool:
    return event.get("event") == "outcome" and event.get("outcome") == "done"


def maintain(lab: Lab, system: str, via: str, config: str, guest: str = "u1",
             progress: Callable[[dict[str, Any]], None] = lambda _: None) -> Maintenance:
    """vmbeam maintain, with a configuration that boots another build of Xen. Raises if anything is wrong."""
    seed = random.getrandbits(30)
    before, home = guests.guest_state(lab, guest), samples(lab, system, guest, seed)
    xen_before, free = hostvms.xen_version(lab, system), guests.free_mib(lab, via)
    guests.heartbeat_reset(lab, guest)
    events: list[dict[str, Any]] = []
    away: list[Future[Away]] = []

    with ThreadPoolExecutor(max_workers=1) as beside:
        def happened(line: str) -> None:
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                event = {"event": "words", "words": line}
            events.append(event)
            progress(event)
            if moved(event) and not away:
                away.append(beside.submit(_look_away, lab, guest, via, event["migration"], seed, home, before))

        rc, result, told = vmbeam(lab, "maintain", f"{system} --via {via} --config {config}", happened, PATIENCE)
    if rc:
        raise Wrong(f"vmbeam maintain {system} --via {via} --config {config}: status {rc}\n{told}\n{json.dumps(result)}")
    moves = list(dict.fromkeys(e["migration"] for e in events if moved(e)))
    if len(moves) != 2:
        raise Wrong(f"{guest} was moved {len(moves)} times, not there and back:\n{told}")
    there = away[0].result()

    hostvms.came_back(lab, system)
    lab.waiter.until(f"{guest} to answer on {system}", lambda: lab.answers(guest))
    report = _report(lab, moves[1])
    _, disk = check_unhurt(lab, guest, before)
    frames = samples(lab, system, guest, seed)
    left = machine_frames(lab, via, pairs_of(there.frames))
    back = verdict(report, guests.heartbeat(lab, guest), disk, compare_samples(there.frames, frames, left, report))

    problems = []
    xen_after = hostvms.xen_version(lab, system)
    if (result["xen_before"], result["xen_after"]) != (xen_before, xen_after) or xen_before == xen_after:
        problems.append(f"{system} ran Xen {xen_before}, runs {xen_after}; vmbeam says {result['xen_before']}, {result['xen_after']}")
    if guests.has_guest(lab, via, guest):
        problems.append(f"{via} still has {guest}")
    if (now := guests.free_mib(lab, via)) != free:
        problems.append(f"{via} had {free} MiB free before the maintenance, now {now}")
    if problems:
        raise Wrong(f"the maintenance of {system}: " + "; ".join(problems))
    return Maintenance([there.migration, back],
                       {k: result[k] for k in ("system", "xen_before", "xen_after", "down_ms", "guests")}, events)
