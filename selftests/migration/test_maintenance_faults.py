# SPDX-License-Identifier: GPL-2.0
"""What goes wrong during a maintenance. After each the guest VM runs on exactly one host VM, and either the maintenance
goes on by itself or `vmbeam status` says what to type, which then works."""

import json
import re
import threading
from typing import Any

import pytest

from failing import HOLD, REFUSED, Hold, status
from vmbeam_lab import guests, hostvms
from vmbeam_lab.lab import Lab
from vmbeam_lab.maintain import PATIENCE
from vmbeam_lab.migrate import check_unhurt, filesystem_clean, vmbeam, vmbeam_history

pytestmark = pytest.mark.soak


class Maintenance:
    """vmbeam maintain hv1 --via hv2 under way, beside the test. Whoever asked for it may lose the daemon."""

    def __init__(self, lab: Lab, options: str = "") -> None:
        self.lab = lab
        self._thread = threading.Thread(target=self._run, args=(f"maintain hv1 --via hv2 {options}",), daemon=True)
        self._thread.start()
        lab.waiter.until("the maintenance to begin", self._begun, pause=0.5)

    def _begun(self) -> bool:
        assert self._thread.is_alive(), self.said()
        return status(self.lab)["maintenance"] is not None

    def _run(self, command: str) -> None:
        self.lab.status("host", f"script -qefc 'vmbeam {command}' /run/terminal", patience=PATIENCE)

    def said(self) -> str:
        """On the terminal that it has."""
        self._thread.join()
        return self.lab.text("host", "/run/terminal")


def moving(lab: Lab) -> str:
    """A sign of progress: what the daemon and the host VMs do."""
    return lab.run("host", "tail -n 1 /var/log/vmbeamd.log; xl list")


def held(lab: Lab, system: str, step: str) -> int:
    """The pid of the process that is held there."""
    def pid() -> int:
        now = status(lab)
        assert not now["waiting"], f"it waits for an operator before {step}: {now['waiting']}"
        assert now["maintenance"], f"it ended before {step}"
        return int(lab.text(system, f"{HOLD}/{step}.held") or 0)

    return lab.waiter.until(f"{step} on {system}", pid, lambda: moving(lab), patience=600, pause=1)


def over(lab: Lab) -> dict[str, Any]:
    """Its report, from the history, when it has ended."""
    def ended() -> bool:
        now = status(lab)
        assert not now["waiting"], f"it waits for an operator: {now['waiting']}"
        return now["maintenance"] is None

    lab.waiter.until("the maintenance to be over", ended, lambda: moving(lab), patience=1800, pause=5)
    return [r for r in vmbeam_history(lab) if r["kind"] == "maintenance"][-1]


def waiting(lab: Lab) -> str:
    """What the daemon asks an operator for."""
    def asked() -> str:
        return " ".join(status(lab)["waiting"])

    return lab.waiter.until("the daemon to ask an operator", asked, lambda: moving(lab), patience=1800, pause=2)


def shown(lab: Lab) -> str:
    """What an operator reads."""
    return lab.status("host", "vmbeam status")[1].decode()


def type_it(lab: Lab, told: str) -> None:
    """The first command that the sentence names."""
    command = re.search(r"vmbeam maintain --\w+", shown(lab))
    assert command and command[0] in told, told
    threading.Thread(target=lambda: lab.status("host", command[0], patience=PATIENCE), daemon=True).start()
    # The thread has only begun: until the daemon has heard of it, it asks for the same.
    lab.waiter.until(f"vmbeamd to take {command[0]}", lambda: told != " ".join(status(lab)["waiting"]), lambda: moving(lab))


def at_home(lab: Lab, before: guests.GuestState) -> None:
    assert guests.has_guest(lab, "hv1", "u1") and not guests.has_guest(lab, "hv2", "u1")
    lab.waiter.until("u1 to answer", lambda: lab.answers("u1"))
    check_unhurt(lab, "u1", before)


def new_hv1(lab: Lab) -> None:
    hostvms.came_back(lab, "hv1")


# In the order in which they are reached; each try of a migration ends with one of the first three.
KILLS = (("hv1", "agent:export-half"), ("hv2", "agent:restore-write"), ("host", "vmbeamd:swap-half"),
         ("host", "vmbeamd:maintain-evacuate"), ("host", "vmbeamd:maintain-stop"), ("host", "vmbeamd:maintain-start"),
         ("host", "vmbeamd:maintain-agent"), ("host", "vmbeamd:maintain-probe"), ("hv2", "agent:export-half"),
         ("hv1", "agent:restore-write"), ("host", "vmbeamd:commit"), ("host", "vmbeamd:maintain-return"))


def test_killed_at_every_step(guests_lab: Lab) -> None:
    """Daemon and agents, one after the other, in one maintenance: it goes on each time, and nobody is asked."""
    lab = guests_lab
    before = guests.guest_state(lab, "u1")
    holds = {KILLS[0]: Hold(lab, *KILLS[0])}
    maintenance = Maintenance(lab, "--retries 9")
    for here, after in zip(KILLS, (*KILLS[1:], None)):
        pid = held(lab, *here)
        if here == KILLS[0]:
            for command, words in (("maintain", "hv2 --via hv1"), ("evacuate", "hv1 --to hv2"), ("return", "hv1"),
                                   ("migrate", "hv2/u2 hv1")):
                rc, report, told = vmbeam(lab, command, words)
                assert rc == REFUSED and "hv1" in told + json.dumps(report), f"{command} {words}: {rc} {told} {report}"
        if here[1] == "vmbeamd:maintain-agent":
            new_hv1(lab)
        if after:
            holds[after] = Hold(lab, *after)
        lab.run(here[0], f"kill -9 {pid}")
        holds[here].release()
    report = over(lab)
    assert report["outcome"] == "done" and not report["aborting"]
    at_home(lab, before)
    assert maintenance.said()


def test_host_vm_does_not_start(guests_lab: Lab) -> None:
    """Its new Xen is not there: u1 runs on. Then the refuge's agent is gone when u1 is to come home."""
    lab = guests_lab
    before = guests.guest_state(lab, "u1")
    config = hostvms.new_build(lab, "hv1")
    lab.run("host", "mv /boot/xen-new /boot/xen-away")
    Maintenance(lab, f"--config {config}")
    told = waiting(lab)
    assert "hv1" in told
    assert guests.has_guest(lab, "hv2", "u1")
    check_unhurt(lab, "u1", before)
    lab.run("host", "mv /boot/xen-away /boot/xen-new")
    hold = Hold(lab, "host", "vmbeamd:maintain-probe")
    type_it(lab, told)
    held(lab, "host", "vmbeamd:maintain-probe")
    new_hv1(lab)
    lab.run("hv2", "/lab/stop")
    hold.release()
    lab.waiter.until("vmbeam status to say that the agent is missed",
                     lambda: "held up for" in shown(lab) and "until the agents of hv1 and hv2 answer" in shown(lab),
                     lambda: moving(lab), patience=300, pause=2)
    lab.run("hv2", "/lab/start guest")
    assert over(lab)["outcome"] == "done"
    at_home(lab, before)


def test_host_vm_crashes_while_it_is_emptied(guests_lab: Lab) -> None:
    """u1 has just been resumed on hv2, and what is left of it on hv1 goes with hv1."""
    lab = guests_lab
    before = guests.guest_state(lab, "u1")
    hold = Hold(lab, "hv1", "agent:destroy")
    Maintenance(lab)
    held(lab, "hv1", "agent:destroy")
    hold.release()
    lab.run("host", "xl destroy hv1")
    report = over(lab)
    assert report["outcome"] == "done"
    new_hv1(lab)
    at_home(lab, before)


def test_disk_full(guests_lab: Lab) -> None:
    """Under the journals, while hv1 is emptied and again while u1 is to come home: it goes on when there is room."""
    lab = guests_lab
    before = guests.guest_state(lab, "u1")
    for step in ("vmbeamd:maintain-evacuate", "vmbeamd:maintain-probe"):
        hold = Hold(lab, "host", step)
        if step.endswith("evacuate"):
            maintenance = Maintenance(lab)
        held(lab, "host", step)
        lab.status("host", "cat /dev/zero >/var/lib/vmbeam/filler; sync")
        assert lab.run("host", "df /var/lib/vmbeam").split()[-3] == "0"
        hold.release()
        lab.waiter.until("the daemon to say that its journal cannot be written",
                         lambda: "journal" in lab.run("host", "tail -n 3 /var/log/vmbeamd.log") and
                         "journal" in shown(lab), lambda: moving(lab), pause=1)
        lab.run("host", "rm /var/lib/vmbeam/filler; sync")
    report = over(lab)
    assert report["outcome"] == "done"
    said = maintenance.said()
    assert "\x1b[" in said and "u1" in said and "hv1" in said, said
    new_hv1(lab)
    at_home(lab, before)
    guests.guest_shutdown(lab, "hv1", "u1")
    filesystem_clean(lab)
