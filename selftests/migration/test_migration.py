# SPDX-License-Identifier: GPL-2.0
"""A running guest VM moves, its memory in place; content and machine frames are looked at on both sides."""

import json
import threading

import pytest

from vmbeam_lab import guests
from vmbeam_lab.lab import Lab, at_once
from vmbeam_lab.migrate import filesystem_clean, migrate, there_and_back


def test_check_tells_superpages(guests_lab_shared: Lab) -> None:
    """What vmbeam check tells beforehand is what goes: a guest VM made by plain xl lies in pieces of 2 MiB."""
    told = json.loads(guests_lab_shared.run("host", "vmbeam check --json hv1/u1 hv2"))["frames"]
    assert 0.9 * told["total"] <= told["superpages"] <= told["total"]


@pytest.mark.soak
def test_there_and_back(guests_lab: Lab) -> None:
    """And both sides have their memory back, and u1's filesystem is clean at the end."""
    there_and_back(guests_lab)
    guests.guest_shutdown(guests_lab, "hv1", "u1")
    filesystem_clean(guests_lab)


@pytest.mark.soak
def test_another_kernel(guests_lab: Lab) -> None:
    """u2 has the newest kernel that there is."""
    migrate(guests_lab, "u2", "hv2", "hv1")


@pytest.mark.soak
def test_created_anew(guests_lab: Lab) -> None:
    """Guest VMs that are not the snapshot's, on both sides of one that went; and the end of one."""
    lab = guests_lab
    migrate(lab, "u1", "hv1", "hv2")
    free = guests.free_mib(lab, "hv1")
    at_once([lambda h=h, g=g: guests.guest_create(lab, h, g)        # type: ignore[misc]
             for h, g in (("hv1", "u3"), ("hv2", "u4"))])
    state = guests.guest_state(lab, "u3")
    assert state.pages and not state.memory_errors
    guests.guest_destroy(lab, "hv1", "u3")
    lab.waiter.until("its memory to be free", lambda: guests.free_mib(lab, "hv1") == free)


@pytest.mark.soak
def test_busy_frames(guests_lab: Lab) -> None:
    """Frames that somebody in the host management VM maps for as long as it takes: their contents are exchanged."""
    lab = guests_lab
    busy = lab.run("hv1", "/lab/selftests/tools/p2m $(xl domid u1) 64 7")
    held = threading.Event()
    ended: list[int] = []

    def hold() -> None:
        ended.append(lab.status("host", "exec /lab/selftests/tools/hold_frames $(xl domid hv1)", busy.encode(),
                                take=lambda _, body: held.set() if b"held" in body else None)[0])

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    lab.waiter.until("the frames to be held", held.is_set)
    report = migrate(lab, "u1", "hv1", "hv2")
    lab.run("host", "pkill -x hold_frames")
    holder.join()
    assert report["frames"]["exchanged"] > 0
