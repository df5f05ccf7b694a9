# SPDX-License-Identifier: GPL-2.0
"""What makes a migration impossible is said before anything is touched."""

from failing import refused, stays_on_hv1
from vmbeam_lab import guests
from vmbeam_lab.lab import Lab


def test_too_little_memory(guests_lab_shared: Lab) -> None:
    lab = guests_lab_shared
    with stays_on_hv1(lab):
        lab.run("hv2", f"/lab/guestvm --ballast u4 {guests.free_mib(lab, 'hv2') - 128}")
        refused(lab, "of memory are needed")
        lab.run("hv2", "xl destroy u4")


def test_name_is_taken(guests_lab_shared: Lab) -> None:
    lab = guests_lab_shared
    with stays_on_hv1(lab):
        lab.run("hv2", "/lab/guestvm --ballast u1 160")
        refused(lab, "u1")
        lab.run("hv2", "xl destroy u1")


def test_no_agent(guests_lab_shared: Lab) -> None:
    lab = guests_lab_shared
    with stays_on_hv1(lab):
        lab.run("hv2", "/lab/stop")
        refused(lab, "agent")
        lab.run("hv2", "/lab/start guest")


def test_other_transaction(guests_lab_shared: Lab) -> None:
    """The host VMs are in somebody else's. The check sees it, before anything stands still."""
    lab = guests_lab_shared
    with stays_on_hv1(lab):
        lab.run("host", "setsid sh -c 'sleep 100000 | vmbeam swap --hold $(xl domid hv1) $(xl domid hv2) 0xfffffff:0xfffffff' "
                ">/run/swap.log 2>&1 </dev/null &")
        lab.waiter.until("the transaction", lambda: "open" in lab.run("host", "vmbeam transaction list"))
        refused(lab, "is in another transaction")
        lab.run("host", "pkill -x vmbeam; pkill -xf 'sleep 100000'")
        lab.waiter.until("its end", lambda: not lab.run("host", "vmbeam transaction list"))
        assert lab.succeeds("host", "vmbeam check hv1/u1 hv2")
