# SPDX-License-Identifier: GPL-2.0
"""A migration that is called off, and faults at its edges: the guest VM runs on one side, and the message says what to do."""

import re
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from failing import NO_DAEMON, REFUSED, ROLLED_BACK, Hold, Migration, refused, settle, stays_on_hv1, status
from laden import BRIDGE, attach, connected, detach, spares
from vmbeam_lab import guests
from vmbeam_lab.lab import Lab
from vmbeam_lab.migrate import migrate

CONFIGURATION = "/etc/vmbeam/vmbeamd.conf"


def daemon_pid(lab: Lab) -> int:
    return int(lab.run("host", "pgrep -o -x vmbeamd"))


def restart_daemon(lab: Lab) -> None:
    old = daemon_pid(lab)
    lab.run("host", f"kill {old}")
    lab.waiter.until("vmbeamd to be back", lambda: daemon_pid(lab) != old and status(lab))


@contextmanager
def configured(lab: Lab, edit: str) -> Iterator[None]:
    """vmbeamd with its configuration edited by sed; no check waits long for an agent."""
    lab.run("host", f"cp {CONFIGURATION} /run/kept.conf; "
                    f"""sed -i -e '{edit}' -e 's/"check-connect": [0-9]*/"check-connect": 5/' {CONFIGURATION}""")
    restart_daemon(lab)
    yield
    lab.run("host", f"mv /run/kept.conf {CONFIGURATION}")
    restart_daemon(lab)


@contextmanager
def cancelling(lab: Lab) -> Iterator[Future[tuple[int, bytes, bytes]]]:
    """An operator cancels the migration under way, and the daemon has heard of it. What vmbeam cancel will have answered."""
    heard = f"grep -q 'migration {status(lab)['migration']['id']} of .*: an operator cancels it' /var/log/vmbeamd.log"
    with ThreadPoolExecutor(max_workers=1) as beside:
        answer = beside.submit(lab.status, "host", "exec vmbeam cancel")
        lab.waiter.until("vmbeamd to hear of it", lambda: lab.succeeds("host", heard))
        yield answer


# For the soak: natively there is one for each step, in a second.
POINTS = ("prepare", "suspend", "quiesce", "swap-half", "commit")


@pytest.mark.soak
@pytest.mark.parametrize("point", POINTS)
def test_cancelled(guests_lab_shared: Lab, point: str) -> None:
    lab = guests_lab_shared
    with stays_on_hv1(lab):
        hold = Hold(lab, "host", f"vmbeamd:{point}")
        migration = Migration(lab, "u1", "hv1", "hv2")
        hold.wait(migration)
        with cancelling(lab) as answer:
            hold.release()
        outcome = migration.end()
        assert outcome.status == ROLLED_BACK and "cancelled by an operator" in outcome.words, str(outcome)
        assert answer.result()[0] == 0, answer.result()


@pytest.mark.soak
def test_cancelled_too_late(guests_lab: Lab) -> None:
    """It is committed: the guest VM goes on to its destination."""
    lab = guests_lab
    hold = Hold(lab, "host", "vmbeamd:resume")
    migration = Migration(lab, "u1", "hv1", "hv2")
    hold.wait(migration)
    code, _, err = lab.status("host", "vmbeam cancel")
    assert code == REFUSED and b"is committed, or going back already" in err, err
    hold.release()
    assert migration.end().status == 0
    assert guests.has_guest(lab, "hv2", "u1") and not guests.has_guest(lab, "hv1", "u1")
    migrate(lab, "u1", "hv2", "hv1")


@pytest.mark.soak
@pytest.mark.parametrize("point", POINTS)
def test_daemon_is_stopped(guests_lab_shared: Lab, point: str) -> None:
    """By its supervisor, with SIGTERM: it calls the migration off first, or leaves the rest to the next one."""
    lab = guests_lab_shared
    with stays_on_hv1(lab):
        hold = Hold(lab, "host", f"vmbeamd:{point}")
        migration = Migration(lab, "u1", "hv1", "hv2")
        pid = hold.wait(migration)
        lab.run("host", f"kill {pid}")
        hold.release()
        outcome = migration.end()
        assert outcome.status in (ROLLED_BACK, NO_DAEMON), str(outcome)
        lab.waiter.until("another vmbeamd", lambda: daemon_pid(lab) != pid)
        lab.run("host", "grep -q 'being stopped: migration .* is called off' /var/log/vmbeamd.log")


def test_sockets_are_exchanged(guests_lab_shared: Lab) -> None:
    """In the configuration: each agent would name frames of the other's host VM."""
    lab = guests_lab_shared
    with stays_on_hv1(lab), configured(lab, "s/hv1.sock/hv0.sock/; s/hv2.sock/hv1.sock/; s/hv0.sock/hv2.sock/"):
        refused(lab, "are two sockets exchanged in the configuration?")


STRANGER = "import os, socket; s = socket.socket(socket.AF_UNIX); s.connect(\"/run/vmbeam/hv1.sock\"); " \
           "print(os.getpid(), flush=True); s.recv(1)"


@contextmanager
def stranger(lab: Lab) -> Iterator[None]:
    """Somebody else is connected to hv1's agent."""
    pid: list[int] = []
    beside = threading.Thread(target=lambda: lab.status("host", f"exec python3 -c '{STRANGER}'",
                                                        take=lambda _, body: pid.append(int(body))), daemon=True)
    beside.start()
    lab.waiter.until("the stranger to be connected", lambda: pid)
    yield
    lab.run("host", f"kill {pid[0]}")
    beside.join()


def test_stranger_on_an_agents_socket(guests_lab_shared: Lab) -> None:
    """The daemon says so, goes on answering, and has the agent again when the stranger has left."""
    lab = guests_lab_shared
    with stays_on_hv1(lab):
        with configured(lab, ""):
            with stranger(lab):
                refused(lab, "and nobody else connected to the socket?")
                assert status(lab)["migration"] is None
        lab.run("host", "vmbeam check hv1/u1 hv2")


@pytest.mark.soak
def test_reboots_instead_of_suspending(guests_lab: Lab) -> None:
    """It has another domain then, and runs on hv1. The agent answers only when it is there, so that it is not missed."""
    lab = guests_lab
    free, old = guests.free_mib(lab, "hv2"), lab.run("hv1", "xl domid u1").strip()
    helper, agent = Hold(lab, "hv1", "helper:suspend"), Hold(lab, "hv1", "agent:save-status")
    migration = Migration(lab, "u1", "hv1", "hv2")
    helper.wait(migration)
    agent.wait(migration)
    lab.run("u1", "setsid sh -c 'sleep 1; reboot -f' >/dev/null 2>&1 </dev/null & true")

    def booting() -> bool:
        # Between the two domains there is none.
        words = lab.status("hv1", "xl list u1 2>/dev/null | tail -n 1")[1].decode().split()
        return len(words) > 4 and words[1] != old and "p" not in words[4]

    lab.restarted("u1")
    lab.waiter.until("u1 to have another domain", booting, lambda: lab.run("hv1", "xl list"), pause=1)
    agent.release()
    outcome = migration.end()
    helper.release()
    assert outcome.status == ROLLED_BACK, str(outcome)
    settle(lab)
    lab.run("host", "grep -q 'u1 rebooted on hv1 instead of suspending' /var/log/vmbeamd.log")
    assert guests.has_guest(lab, "hv1", "u1") and not guests.has_guest(lab, "hv2", "u1")
    lab.waiter.until("hv2 to have its memory back", lambda: guests.free_mib(lab, "hv2") == free)


@pytest.mark.soak
def test_bridge_goes_after_the_check(guests_lab_shared: Lab) -> None:
    """The toolstack of the destination cannot connect the network card: rolled back, with what it said."""
    lab = guests_lab_shared
    with stays_on_hv1(lab), spares(lab):
        attach(lab, "hv1", "vif")
        hold = Hold(lab, "host", "vmbeamd:prepare")
        migration = Migration(lab, "u1", "hv1", "hv2")
        hold.wait(migration)
        lab.run("hv2", f"ip link del {BRIDGE}")
        hold.release()
        outcome = migration.end()
        assert outcome.status == ROLLED_BACK and "xl restore of u1 failed" in outcome.words, str(outcome)
        lab.run("hv2", f"ip link add {BRIDGE} type bridge")
        detach(lab, "hv1", "vif")


# Instead of vif-bridge, with the same arguments.
HANGS = """#!/bin/sh
[ "$1" != online ] || while [ -e /run/hang ]; do sleep 1; done
exec /etc/xen/scripts/vif-bridge "$@"
"""


@pytest.mark.soak
def test_hotplug_script_hangs(guests_lab_shared: Lab) -> None:
    """On the way back. The guest VM runs on without its network card, and has that when the script goes on."""
    lab = guests_lab_shared
    with stays_on_hv1(lab):
        lab.run("hv1", "sed 's/script=[0-9]*/script=20/' /lab/start >/run/start; bash /run/start guest; touch /run/hang")
        lab.write("hv1", "/run/hangs", HANGS.encode(), executable=True)
        hold = Hold(lab, "host", "vmbeamd:swap")
        migration = Migration(lab, "u1", "hv1", "hv2")
        hold.wait(migration)
        lab.run("hv1", "xenstore-write /local/domain/0/backend/vif/$(xl domid u1)/0/script /run/hangs")
        with cancelling(lab):
            hold.release()
        outcome = migration.end()
        assert outcome.status == ROLLED_BACK, str(outcome)
        lab.run("hv1", "xenstore-write /local/domain/0/backend/vif/$(xl domid u1)/0/script /etc/xen/scripts/vif-bridge")
        lab.run("host", "grep -q 'had not ended within 20 s' /var/log/vmbeamd.log")
        assert "p" not in lab.run("hv1", "xl list u1 | tail -n 1").split()[4]
        lab.run("hv1", "rm /run/hang")
        lab.waiter.until("u1 to answer", lambda: lab.answers("u1"))
        lab.run("hv1", "/lab/start guest; rm /run/hangs /run/start")


# A neighbour that nobody knows: what is sent to it goes out at every port of the bridge, and there a queue holds it for an hour.
# Of packets as large as that netback maps the guest VM's pages.
HOLD_PACKETS = f"""set -e
ip link add held type dummy
tc qdisc add dev held root netem delay 3600s
ip link set held master {BRIDGE} up"""
SEND = """set -e
ip addr add 10.99.0.1/24 dev eth1
ip link set eth1 up
arp -s 10.99.0.9 02:00:00:00:00:09
ping -c 3 -s 1000 -W 1 10.99.0.9 >/dev/null || true"""


def packets_held(lab: Lab) -> int:
    """The backlog of the queue, in packets."""
    return int(re.findall(r"backlog \S+ (\d+)p", lab.run("hv1", "tc -s qdisc show dev held"))[0])


@pytest.mark.soak
def test_packets_are_held(guests_lab_shared: Lab) -> None:
    """U22: the host VM does not let go of a packet of the guest VM. It is not waited for longer than the configuration has it,
    and the guest VM runs on; it has its network cards again when the packet goes."""
    lab = guests_lab_shared
    with stays_on_hv1(lab), spares(lab):
        attach(lab, "hv1", "vif")
        lab.run("hv1", HOLD_PACKETS)
        lab.run("u1", SEND)
        lab.waiter.until("the queue to hold packets of u1", lambda: packets_held(lab) > 0, lambda: packets_held(lab))
        with configured(lab, 's/"quiesce": [0-9]*/"quiesce": 20/; s/"rebind": [0-9]*/"rebind": 20/'):
            outcome = Migration(lab, "u1", "hv1", "hv2").end()
            assert outcome.status == ROLLED_BACK, str(outcome)
            assert "timed out after 20 s waiting for the agent's answer to quiesce" in outcome.words, str(outcome)
            words = lab.run("hv1", "xl list u1 | tail -n 1").split()
            assert "p" not in words[4] and "s" not in words[4], words
            assert packets_held(lab) > 0
            lab.run("hv1", "ip link del held")
            lab.waiter.until("u1 to answer", lambda: lab.answers("u1"))
            connected(lab, "hv1")
        detach(lab, "hv1", "vif")


def waited_for_backends(lab: Lab) -> int:
    """How often, in vain."""
    return int(lab.run("host", "grep -c 'did not connect to its frontend again' /var/log/vmbeamd.log || true"))


@pytest.mark.soak
def test_card_that_the_guest_does_not_use(guests_lab_shared: Lab) -> None:
    """Its driver was taken off: it is said, and nobody waits for it on the way back."""
    lab = guests_lab_shared
    with stays_on_hv1(lab), spares(lab):
        attach(lab, "hv1", "vif")
        lab.run("u1", "echo vif-1 >/sys/bus/xen/drivers/vif/unbind")
        waited = waited_for_backends(lab)
        hold = Hold(lab, "host", "vmbeamd:commit")
        migration = Migration(lab, "u1", "hv1", "hv2")
        hold.wait(migration)
        with cancelling(lab):
            hold.release()
        outcome = migration.end()
        assert outcome.status == ROLLED_BACK, str(outcome)
        assert "the kernel of u1 does not use the network card 1" in outcome.words, str(outcome)
        assert waited_for_backends(lab) == waited
        lab.run("u1", "echo vif-1 >/sys/bus/xen/drivers/vif/bind")
        detach(lab, "hv1", "vif")
