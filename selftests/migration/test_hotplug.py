# SPDX-License-Identifier: GPL-2.0
"""A guest VM that is changed while it moves: the change goes with it, or the migration is called off; it is never lost."""

import pytest

from failing import ROLLED_BACK, Hold, Migration, Outcome, stays_on_hv1
from laden import ATTACH, DETACH, SEEN, attach, connected, detach, spares
from vmbeam_lab import guests
from vmbeam_lab.lab import Lab

# From the first step after the check to the last before the commit. At "suspend" the guest VM still runs.
POINTS = ("prepare", "suspend", "state", "quiesce", "swap", "swap-half", "commit")
# Each of these takes most of a migration: the others are for the soak.
QUICK = {("suspend", "disk")}


def changed_at(lab: Lab, point: str, change: str, where: str = "host") -> Outcome:
    """While the program that the point belongs to is held there, in that system."""
    hold = Hold(lab, where, point)
    migration = Migration(lab, "u1", "hv1", "hv2")
    hold.wait(migration)
    lab.run("hv1", change)
    hold.release()
    return migration.end()


def called_off(outcome: Outcome, words: str) -> None:
    assert outcome.status == ROLLED_BACK, str(outcome)
    assert words in outcome.words, f"it does not say: {words}\n{outcome}"


@pytest.mark.parametrize(("point", "device"), [pytest.param(p, d, marks=() if (p, d) in QUICK else pytest.mark.soak)
                                               for p in POINTS for d in ATTACH])
def test_attached(guests_lab_shared: Lab, point: str, device: str) -> None:
    lab = guests_lab_shared
    with stays_on_hv1(lab), spares(lab):
        called_off(changed_at(lab, f"vmbeamd:{point}", ATTACH[device]), "was attached to u1 after the check")
        connected(lab, "hv1")
        lab.waiter.until(f"u1 to have the {device}", lambda: lab.succeeds("u1", SEEN[device]))
        detach(lab, "hv1", device)


@pytest.mark.soak
@pytest.mark.parametrize(("point", "device"), [("suspend", "disk"), ("suspend", "vif"), ("state", "disk")])
def test_detached(guests_lab_shared: Lab, point: str, device: str) -> None:
    """Also of a guest VM that cannot let go of it, but whose backends are off: then xl does not wait for it."""
    lab = guests_lab_shared
    with stays_on_hv1(lab), spares(lab):
        attach(lab, "hv1", device)
        twice = f"{DETACH[device]} || {DETACH[device]}"
        called_off(changed_at(lab, f"vmbeamd:{point}", twice), "was detached from u1 after the check")
        lab.waiter.until(f"u1 to be without the {device}", lambda: not lab.succeeds("u1", SEEN[device]))


@pytest.mark.soak
def test_detach_hangs(guests_lab_shared: Lab) -> None:
    """Of a suspended guest VM whose backends are still there, and which cannot let go of them: xl gives up, and the guest VM
    does so when it runs again. Its kernel keeps the device, which is of no use any more, until xl takes the disk's keys out
    of xenstore."""
    lab = guests_lab_shared
    with stays_on_hv1(lab), spares(lab):
        attach(lab, "hv1", "disk")
        called_off(changed_at(lab, "helper:state", f"! {DETACH['disk']}", "hv1"), "is being detached from u1")
        lab.waiter.until("u1 to let go of it", lambda: lab.text("u1", "/sys/block/xvdb/size") == "0")
        detach(lab, "hv1", "disk")


@pytest.mark.soak
@pytest.mark.parametrize(("point", "change", "undo", "words"), [
    ("suspend", "xl vcpu-pin u1 0 1", "xl vcpu-pin u1 0 all", "the pin of vCPU 0 was attached to u1 after the check"),
    ("commit", "xl vcpu-pin u1 0 1", "xl vcpu-pin u1 0 all", "the pin of vCPU 0 was attached to u1 after the check"),
    ("suspend", "xl cpupool-rename Pool-0 trial", "xl cpupool-rename trial Pool-0", "has another name than at the check"),
], ids=["suspend-pin", "commit-pin", "suspend-cpupool"])
def test_placed_elsewhere(guests_lab_shared: Lab, point: str, change: str, undo: str, words: str) -> None:
    lab = guests_lab_shared
    with stays_on_hv1(lab):
        called_off(changed_at(lab, f"vmbeamd:{point}", change), words)
        lab.run("hv1", undo)


@pytest.mark.soak
def test_vcpu_is_taken(guests_lab_shared: Lab) -> None:
    """While the guest VM runs: its kernel does it."""
    lab = guests_lab_shared
    with stays_on_hv1(lab):
        hold = Hold(lab, "host", "vmbeamd:suspend")
        migration = Migration(lab, "u1", "hv1", "hv2")
        hold.wait(migration)
        lab.run("hv1", "xl vcpu-set u1 1")
        lab.waiter.until("u1 to have one CPU", lambda: lab.text("u1", "/sys/devices/system/cpu/online") == "0")
        hold.release()
        called_off(migration.end(), "the list of available vCPUs of u1 was changed from 0-1 to 0 after")
        lab.run("hv1", "xl vcpu-set u1 2")
        lab.waiter.until("u1 to have two CPUs", lambda: lab.succeeds("u1", "echo 1 >/sys/devices/system/cpu/cpu1/online"))


@pytest.mark.soak
def test_memory_is_given_back(guests_lab: Lab) -> None:
    """While the guest VM runs, after its frames were announced: its balloon has no place in the stream."""
    lab = guests_lab
    with stays_on_hv1(lab):
        hold = Hold(lab, "host", "vmbeamd:suspend")
        migration = Migration(lab, "u1", "hv1", "hv2")
        hold.wait(migration)
        lab.run("hv1", "xl mem-set u1 248")
        lab.waiter.until("u1 to have given memory back", lambda: own_memory(lab) <= 248 << 10, lambda: own_memory(lab))
        hold.release()
        called_off(migration.end(), "keep its balloon still")
        lab.run("hv1", "xl mem-set u1 256")
        lab.waiter.until("u1 to have its memory again", lambda: memory(lab, "hv1") == 256, lambda: memory(lab, "hv1"))


def own_memory(lab: Lab) -> int:
    """What u1 has by its own balloon, in KiB. Xen still counts a frame that was given back as long as the export pins it."""
    return int(lab.text("u1", "/sys/devices/system/xen_memory/xen_memory0/info/current_kb"))


def memory(lab: Lab, hostvm: str) -> int:
    """What u1 holds, in MiB."""
    return int(lab.run(hostvm, "xl list u1 | tail -n 1").split()[2])


@pytest.mark.soak
@pytest.mark.parametrize(("change", "look", "wanted"), [
    ("xl mem-set u1 240", "xenstore-read /local/domain/$domid/memory/target", str(240 << 10)),
    ("xl vcpu-set u1 1", "xenstore-read /local/domain/$domid/cpu/1/availability", "offline"),
    ("xl rename u1 u9", "xl domname $domid", "u9"),
], ids=["memory", "vcpus", "name"])
def test_set_while_it_is_suspended(guests_lab: Lab, change: str, look: str, wanted: str) -> None:
    """What it will only hear of when it runs again: wherever it does, what was set holds."""
    lab = guests_lab
    uuid = lab.run("hv1", "xl list -v u1 | tail -n 1").split()[6]
    outcome = changed_at(lab, "vmbeamd:swap", change)
    assert outcome.status in (0, ROLLED_BACK), str(outcome)
    domids = {h: lab.run(h, f"xl list -v | awk '/{uuid}/ {{ print $2 }}'").strip() for h in ("hv1", "hv2")}
    runs = "hv2" if outcome.status == 0 else "hv1"
    assert [h for h, domid in domids.items() if domid] == [runs], domids
    found = lab.run(runs, f"domid={domids[runs]}; {look}").strip()
    assert found == wanted, f"{change}: what was set is lost, it is {found}\n{outcome}"
    guests.heartbeat_wait(lab, "u1")
