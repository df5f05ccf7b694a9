# SPDX-License-Identifier: GPL-2.0
"""A host VM is restarted, from its xl configuration and on another build of Xen."""

import threading

import pytest
from prometheus_client.openmetrics import parser as openmetrics

from failing import HOLD, Hold, status
from vmbeam_lab import guests, hostvms
from vmbeam_lab.lab import Lab
from vmbeam_lab.maintain import maintain
from vmbeam_lab.migrate import check_unhurt, filesystem_clean


HOOK = """#!/bin/sh
echo "$VMBEAM_EVENT ${VMBEAM_STEP:--} ${VMBEAM_GUEST:--} ${VMBEAM_OUTCOME:--}" >>/run/hooks
"""
STEPS = ("evacuate", "stop", "run", "start", "agent", "probe", "return")


def metrics(lab: Lab) -> dict[str, float]:
    """Each sample of the file that node_exporter would read."""
    text = lab.text("host", "/run/vmbeam/vmbeam.prom") + "\n"
    families = openmetrics.text_string_to_metric_families(text)     # type: ignore[no-untyped-call]
    return {s.name + "".join(f" {v}" for v in s.labels.values()): s.value for f in families for s in f.samples}


@pytest.mark.always
def test_maintenance(guests_lab: Lab) -> None:
    """hv1 gets another build of Xen while u1 is away: the same boot of u1, and its very machine frames, twice swapped.
    Its xendomains would start u1; hooks and metrics tell what happens."""
    lab = guests_lab
    lab.run("hv1", "mkdir -p /etc/xen/auto && cp /run/guests/u1.cfg /etc/xen/auto/ && sync")
    lab.run("host", "mkdir -p /etc/vmbeam/hooks.d")
    lab.write("host", "/etc/vmbeam/hooks.d/tell", HOOK.encode(), executable=True)
    done = maintain(lab, "hv1", "hv2", hostvms.new_build(lab, "hv1"))
    assert [g["guest"] for g in done.report["guests"]] == ["u1"]
    assert done.report["down_ms"] > 0

    told = lab.text("host", "/run/hooks").splitlines()
    assert [t.split()[1] for t in told if t.startswith("step-before")] == list(STEPS)
    assert told[-1] == "step-after done - done"
    assert [t for t in told if t.startswith("guest-")] == ["guest-before - u1 -", "guest-after - u1 done"] * 2
    measured = metrics(lab)
    assert measured["vmbeam_migrations_total done"] == 2 and measured["vmbeam_pause_seconds_count"] == 2

    guests.guest_shutdown(lab, "hv1", "u1")
    filesystem_clean(lab)
    # It would have: u1's file is back where it was, and xendomains starts what is there.
    assert lab.run("hv1", "ls /etc/xen/auto").split() == ["u1.cfg"]
    lab.run("hv1", "/etc/init.d/xendomains start")
    assert guests.has_guest(lab, "hv1", "u1")
    guests.guest_destroy(lab, "hv1", "u1")


@pytest.mark.soak
@pytest.mark.parametrize("step", ["evacuate", "stop", "start", "probe"])
def test_daemon_killed(guests_lab: Lab, step: str) -> None:
    """The next daemon goes on where that one was; nobody waits for it any more."""
    lab = guests_lab
    before = guests.guest_state(lab, "u1")
    hold = Hold(lab, "host", f"vmbeamd:maintain-{step}")
    asking = threading.Thread(target=lambda: lab.status("host", "vmbeam maintain --json hv1 --via hv2"), daemon=True)
    asking.start()
    lab.waiter.until(f"the step {step}", lambda: int(lab.text("host", f"{HOLD}/vmbeamd:maintain-{step}.held") or 0),
                     lambda: lab.run("host", "tail -n 1 /var/log/vmbeamd.log"), patience=600, pause=1)
    lab.run("host", f"kill -9 $(cat {HOLD}/vmbeamd:maintain-{step}.held)")
    hold.release()
    asking.join()
    lab.waiter.until("the maintenance to be over", lambda: status(lab)["maintenance"] is None,
                     lambda: lab.run("host", "tail -n 1 /var/log/vmbeamd.log; xl list"), patience=1800, pause=5)
    hostvms.came_back(lab, "hv1")
    assert guests.has_guest(lab, "hv1", "u1") and not guests.has_guest(lab, "hv2", "u1")
    check_unhurt(lab, "u1", before)


@pytest.mark.soak
def test_restart(guests_lab: Lab) -> None:
    """What is installed in a host VM comes back with it, by itself; also from another configuration, and from its own
    again, and after it was cut off."""
    lab = guests_lab
    lab.run("hv2", "echo kept >/etc/kept; sync")
    stock = hostvms.xen_version(lab, "hv2")
    hostvms.restart(lab, "hv2", hostvms.new_build(lab, "hv2"))
    assert hostvms.xen_version(lab, "hv2") != stock
    lab.run("host", "xl destroy hv2 && xl create /etc/xen/hv2.cfg")
    hostvms.came_back(lab, "hv2")
    assert hostvms.xen_version(lab, "hv2") == stock
    assert lab.text("hv2", "/etc/kept") == "kept"
    lab.run("hv2", "pidof vmbeam-agent && grep -q '^vmbeam_guest ' /proc/modules")
    lab.run("host", "vmbeam check hv1/u1 hv2")
