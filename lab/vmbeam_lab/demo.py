# SPDX-License-Identifier: GPL-2.0
"""The main job, seen: a host VM is restarted on another build of Xen while its guest VM runs on."""

import argparse
import json
import re
import time
from typing import Any

from . import guests, hostvms, logs, snapshot
from .config import Config
from .errors import LabError
from .lab import Lab
from .maintain import Maintenance, maintain, moved
from .migrate import filesystem_clean
from .paths import TOP, say

STEPS = {
    "evacuate": "the guest VMs of hv1 leave it",
    "stop": "hv1 is shut down",
    "start": "hv1 is created anew",
    "agent": "its agent is waited for",
    "probe": "a small guest VM is created on it and destroyed",
    "return": "the guest VMs come home",
}


def show_event(event: dict[str, Any]) -> None:
    """As it comes: the steps, the phases of each migration, and what there is to say beside them."""
    kind = event.get("event", "phase")
    if kind == "step" and event["step"] in STEPS:
        print(f"  {STEPS[event['step']]}", flush=True)
    elif kind == "phase" and "ms" in event:
        print(f"    {event['phase']:10}{event['ms']:10.0f} ms", flush=True)
    elif kind == "waiting":
        print(f"  an operator is asked: {event['why']}", flush=True)
    elif kind == "words":
        print(f"    {event['words']}", flush=True)


def show(m: dict[str, Any]) -> None:
    f, c, s = m["frames"], m["guest_checks"], m["mfn_samples"]
    percent = 100 / f["total"]
    print(f"""
  {m['guest']} moved from {m['from']} to {m['to']}: {m['memory_mib']} MiB, {f['total']} frames
    {f['swapped']} swapped ({f['swapped'] * percent:.1f} %), {f['kept']} kept as content, {f['exchanged']} exchanged
    {f['superpages']} of them in superpages of 2 MiB that went whole ({f['superpages'] * percent:.1f} %)
    downtime  {m['downtime_ms']:.0f} ms; the migration took {m['total_ms']:.0f} ms
    after it: {c['memory_errors']} memory errors, {c['disk_errors']} disk errors, same boot id: {c['boot_id_same']}, """
          f"""longest heartbeat gap {c['heartbeat_gap_ms']} ms
    {s['same']} of {s['taken']} random frames have the very machine frame that they had
""", flush=True)


class Timeline:
    """What the demo did and how long each part took."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, float]] = []
        self.began = time.monotonic()

    def part(self, name: str) -> None:
        now = time.monotonic()
        self.parts.append((name, now - self.began))
        self.began = now

    def show(self) -> None:
        print("  where the time went:")
        for name, seconds in self.parts:
            print(f"    {seconds:7.1f} s  {name}")

    def report(self) -> list[dict[str, Any]]:
        return [{"phase": name, "seconds": round(seconds, 1)} for name, seconds in self.parts]


def show_maintenance(m: Maintenance, shutdown_s: float, boot_s: float) -> None:
    """When what was down, and what it would have been without VMBeam."""
    times = [e["time"] / 1000 for e in m.events if "time" in e]
    steps = {e["step"]: e["time"] / 1000 - times[0] for e in m.events if e.get("event") == "step"}
    there, back = {e["migration"]: e["downtime_ms"] / 1000 for e in m.events if moved(e)}.values()
    hv1 = m.report["down_ms"] / 1000
    print(f"  {m.report['system']} ran Xen {m.report['xen_before']} and runs Xen {m.report['xen_after']}")
    for begin, end, what in (("evacuate", "stop", f"u1 moves to hv2: {there:.1f} s of it down"),
                             ("stop", "probe", "hv1 is down, u1 runs on hv2"),
                             ("probe", "return", "hv1 is tried with a small guest VM"),
                             ("return", "done", f"u1 moves home: {back:.1f} s of it down")):
        print(f"    {steps.get(begin, 0.0):7.1f} s to {steps.get(end, times[-1] - times[0]):7.1f} s   {what}")
    print(f"""
                    {'hv1 down':>12}{'u1 down':>12}   what ran in u1
    with VMBeam     {hv1:10.1f} s{there + back:10.1f} s   runs on
    without         {hv1:10.1f} s{shutdown_s + hv1 + boot_s:10.1f} s   has ended
    Without it, u1 would be shut down ({shutdown_s:.1f} s), wait for hv1, and boot ({boot_s:.1f} s, by its kernel's clock).
""", flush=True)


def clock_seconds(lab: Lab) -> float:
    """By the lab's own clock, as all figures that are told beside each other: an emulator's goes at its own pace."""
    return float(lab.text("host", "/proc/uptime").split()[0])


def boot_seconds(lab: Lab, guest: str) -> float:
    """Of a guest VM, by its kernel's own clock: until it was up."""
    found = re.search(rf"\[ *([0-9.]+)\] lab: {guest} is up", lab.run(guest, "dmesg"))
    if not found:
        raise LabError(f"{guest}'s kernel log does not say when it was up")
    return float(found[1])


def demonstrate(lab: Lab) -> dict[str, Any]:
    times = Timeline()
    accel = "KVM" if lab.config.kvm else "an emulator, whose clock counts instructions" if lab.config.icount else "an emulator"
    say(f"the lab: an outer Xen, two host VMs with a stock nested Xen each, u1 and u2 in them; on {accel}")
    lab.down()
    base = snapshot.base(lab.config)
    times.part(f"the snapshot of the lab ({base.name})")
    ready = snapshot.deployed(lab.config)
    times.part("building and deploying this checkout")
    snapshot.up(lab, ready)
    times.part("starting the lab from the snapshot")

    config, boot_s = hostvms.new_build(lab, "hv1"), boot_seconds(lab, "u1")
    say(f"vmbeam maintain hv1 --via hv2 --config {config}")
    done = maintain(lab, "hv1", "hv2", config, progress=show_event)
    for m in done.migrations:
        show(m)
    times.part("the maintenance of hv1, and looking at u1")

    say("u1 is shut down and its disk checked")
    began = clock_seconds(lab)
    guests.guest_shutdown(lab, "hv1", "u1")
    shutdown_s = clock_seconds(lab) - began
    filesystem_clean(lab)
    times.part("u1's shutdown and the check of its disk")
    show_maintenance(done, shutdown_s, boot_s)
    report = {"migrations": done.migrations, "maintenance": done.report, "log_splats": 0}
    try:
        say(f"no splat in {logs.check(lab)} logs")
    except LabError as e:
        report["log_splats"] = 1
        say(str(e))
    times.part("the search for splats")
    times.show()
    report["phases_s"] = times.report()
    return report


def main(args: argparse.Namespace) -> int:
    lab = Lab(Config.from_env())
    try:
        report = demonstrate(lab)
    finally:
        lab.down()
    out = TOP / "build/demo/report.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    say(f"report: {out.relative_to(TOP)}")
    return 1 if report["log_splats"] else 0
