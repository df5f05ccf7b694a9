# SPDX-License-Identifier: GPL-2.0
"""The lab itself: that its checks can fail, and what a command in it costs."""

import json
import statistics
import time

import pytest

from labs import WORK
from vmbeam_lab import guests, logs
from vmbeam_lab.errors import LabError, Stalled
from vmbeam_lab.lab import Lab
from vmbeam_lab.migrate import Wrong, check_unhurt


def test_splat_is_found(guests_lab_shared: Lab) -> None:
    """In every kernel's log, and when a log is missing."""
    found = logs.collect(guests_lab_shared)
    assert not logs.problems(guests_lab_shared, found)
    for system in ("host", "hv1", "hv2"):
        spoiled = found | {f"{system}/kernel.txt": found[f"{system}/kernel.txt"] + "\n[ 1.0] BUG: unable to handle page fault"}
        assert any("unable to handle" in p for p in logs.problems(guests_lab_shared, spoiled))
        assert logs.problems(guests_lab_shared, {name: text for name, text in found.items() if name != f"{system}/xen.txt"})
    for guest in ("u1", "u2"):
        assert any("unable to handle" in p for p in logs.problems(guests_lab_shared, found | {
            f"{guest}/kernel.txt": found[f"{guest}/kernel.txt"] + "\n[ 1.0] BUG: unable to handle page fault"}))
        assert logs.problems(guests_lab_shared, found | {f"{guest}/kernel.txt": ""})
        blind = found[f"{guest}/kernel.txt"].replace(logs.PLANTED, "")
        assert logs.problems(guests_lab_shared, found | {f"{guest}/kernel.txt": blind})
        assert logs.problems(guests_lab_shared, {name: text for name, text in found.items() if name != f"{guest}/kernel.txt"})


def test_damage_is_noticed(guests_lab: Lab) -> None:
    """The checkers of a guest VM that was hurt: a killed process, and a record that is gone."""
    lab = guests_lab
    before = guests.guest_state(lab, "u1")
    check_unhurt(lab, "u1", before)
    lab.run("u1", "kill -9 $(cat /run/heartbeat.pid)")
    with pytest.raises(Wrong, match="not the same boot and processes"):
        check_unhurt(lab, "u1", before)
    lab.run("u1", "kill -STOP $(cat /run/diskwriter.pid); truncate -s 512 /data/records")
    assert guests.check_disk(lab, "u1").errors > 0


def test_wait_gives_up(guests_lab_shared: Lab) -> None:
    """When nothing moves; and says what it waited for and what it last saw."""
    with pytest.raises(Stalled, match="Gave up waiting for the moon after .* last seen: ''"):
        guests_lab_shared.waiter.until("the moon", lambda: "", lambda: 1, patience=1)


def test_command_fails_with_its_words(guests_lab_shared: Lab) -> None:
    with pytest.raises(LabError, match="status 3.*\n.*no such thing"):
        guests_lab_shared.run("hv1", "echo no such thing >&2; exit 3")


# What a command may cost, in seconds: in a guest management VM, and in a guest VM while its checkers run. They were set for
# a machine with two cores, which is what patience is set for, too. So they are held as a wait is: by the time in which the
# lab was served, which is the clock's on the wall where it has a core for itself, and stretched by the machine's slowness.
LIMITS = {"hv1": 0.5, "hv2": 0.5, "u1": 1.5, "u2": 1.5}


def test_command_cost(guests_lab_shared: Lab) -> None:
    """The median of seven, of a command that does nothing. The figures are in build/check/command-cost.json."""
    waiter = guests_lab_shared.waiter
    served: dict[str, float] = {}
    wall: dict[str, float] = {}
    for system in ("host", *LIMITS):
        took, by_the_wall = [], []
        for _ in range(7):
            began, began_wall = waiter.clock.now(), time.monotonic()
            guests_lab_shared.run(system, "true")
            took.append(waiter.clock.now() - began)
            by_the_wall.append(time.monotonic() - began_wall)
        served[system], wall[system] = round(statistics.median(took), 3), round(statistics.median(by_the_wall), 3)
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "command-cost.json").write_text(json.dumps({"median_s": wall, "median_served_s": served,
                                                        "slowness": round(waiter.slowness, 2)}) + "\n", encoding="utf-8")
    print(wall, served, waiter.slowness)
    late = {s: served[s] for s, limit in LIMITS.items() if served[s] > limit * waiter.slowness}
    assert not late, f"a command takes more than {LIMITS} s times {waiter.slowness:.1f}: {late}"
