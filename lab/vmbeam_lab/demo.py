# SPDX-License-Identifier: GPL-2.0
"""The main job, seen: a running guest VM moves from one nested Xen to the other and back."""

import argparse
import json
import time
from typing import Any

from . import guests, logs, snapshot
from .config import Config
from .errors import LabError
from .lab import Lab
from .migrate import filesystem_clean, migrate
from .paths import TOP, say


def show_phase(line: str) -> None:
    try:
        step = json.loads(line)
    except json.JSONDecodeError:
        print(f"    {line}")
        return
    if "ms" in step:
        print(f"    {step['phase']:10}{step['ms']:10.0f} ms", flush=True)


def show(m: dict[str, Any]) -> None:
    f, c, s = m["frames"], m["guest_checks"], m["mfn_samples"]
    percent = 100 / f["total"]
    print(f"""
  {m['guest']} moved from {m['from']} to {m['to']}: {m['memory_mib']} MiB, {f['total']} frames
    {f['swapped']} swapped ({f['swapped'] * percent:.1f} %), {f['kept']} kept as content, {f['exchanged']} exchanged
    {f['superpages']} of them in superpages of 2 MiB that went whole ({f['superpages'] * percent:.1f} %)
    downtime  {m['downtime_ms']:.0f} ms of {m['total_ms']:.0f} ms
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


def demonstrate(lab: Lab) -> dict[str, Any]:
    times = Timeline()
    accel = "KVM" if lab.config.kvm else "an emulator"
    say(f"the lab: an outer Xen, two host VMs with a stock nested Xen each, u1 and u2 in them; on {accel}")
    lab.down()
    base = snapshot.base(lab.config)
    times.part(f"the snapshot of the lab ({base.name})")
    ready = snapshot.deployed(lab.config)
    times.part("building and deploying this checkout")
    snapshot.up(lab, ready)
    times.part("starting the lab from the snapshot")
    free = {h: guests.free_mib(lab, h) for h in lab.config.hostvms}

    done = []
    for source, dest in (("hv1", "hv2"), ("hv2", "hv1")):
        say(f"vmbeam migrate {source}/u1 {dest}")
        done.append(migrate(lab, "u1", source, dest, show_phase))
        show(done[-1])
        times.part(f"moving u1 from {source} to {dest}, and checking it")
    for h, before in free.items():
        if (now := guests.free_mib(lab, h)) != before:
            raise LabError(f"{h} had {before} MiB free before the migrations, now {now}")

    say("u1 is shut down and its disk checked")
    guests.guest_shutdown(lab, "hv1", "u1")
    filesystem_clean(lab)
    times.part("u1's shutdown and the check of its disk")
    report = {"migrations": done, "log_splats": 0}
    try:
        say(f"no splat in {logs.check(lab)} logs")
    except LabError as e:
        report["log_splats"] = 1
        say(str(e))
    times.part("the search for splats")
    times.show()
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
