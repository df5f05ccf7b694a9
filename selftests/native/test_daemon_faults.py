# SPDX-License-Identifier: GPL-2.0
"""What may hold vmbeamd, or break it: agents that hang, lie or trickle, strangers on their sockets, a disk that fails, an
operator who cancels, a supervisor that stops it. Whatever it is, the guest VM runs on one side, and the daemon answers."""
import json
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from daemon_rig import DONE, NO_DAEMON, REFUSED, ROLLED_BACK, UNFINISHED, Ended, Rig, wait_until
from made_up_agent import GUEST_DOMID, REBOOTED_DOMID

NO_SUCH_ID = "20261125T000000-00000000"


# The daemon answers whatever happens

@pytest.mark.parametrize("point", ["check", "prepare", "suspend", "swap-half", "commit", "resume"])
def test_answers_while_a_step_is_held(rig: Rig, point: str) -> None:
    migration = rig.migrate_and_hold(point)
    under_way = rig.status()["migration"]
    assert under_way["guest"] == "u1" and under_way["outcome"] == "unfinished"
    assert rig.command("check", "hv1/u1", "hv2").code == REFUSED
    assert migration.go_on().code == DONE
    assert rig.status()["migration"] is None
    rig.assert_on_destination()


def test_stranger_on_an_agents_socket(rig: Rig) -> None:
    """The device model serves one connection; with the backlog full, connect() would wait for as long as it stays."""
    strangers = [socket.socket(socket.AF_UNIX)]
    strangers[0].connect(str(rig.source.path))
    assert strangers[0].recv(1)     # it is served: nobody else will be
    for _ in range(12):
        stranger = socket.socket(socket.AF_UNIX)
        stranger.setblocking(False)
        strangers.append(stranger)
        if stranger.connect_ex(str(rig.source.path)):
            break
    rig.start()
    migration = rig.migrate_in_background()
    wait_until(lambda: rig.status()["migration"] is not None)
    code, report, _ = migration.end()
    assert code == REFUSED
    assert "hv1.sock takes no connection: somebody else is connected" in report["error"]
    for stranger in strangers:
        stranger.close()
    code, _, err = rig.migrate()
    assert code == DONE, err
    rig.assert_on_destination()


def test_sockets_are_exchanged(rig: Rig) -> None:
    """Each agent would name frames of the other's host VM."""
    rig.start(dm_1=1)
    code, report, _ = rig.migrate()
    assert code == REFUSED
    assert "hv1: the socket" in report["error"] and "the device model of hv1 (domain 1) is process 1" in report["error"]
    assert not rig.source.asked
    rig.assert_on_source()


def test_sockets_are_exchanged_before_the_end(rig: Rig) -> None:
    """What is not found in the wrong host VM is not lost."""
    rig.kill_at("swap")
    rig.start(dm_1=1)
    wait_until(lambda: rig.status_code() == UNFINISHED)
    assert "are two sockets exchanged" in rig.command("status").out
    assert rig.source.the_domain().suspended
    rig.restart()
    rig.wait_for_state("rolled-back")
    rig.assert_on_source()


def test_host_vm_was_started_anew(rig: Rig) -> None:
    """It has another domid, and so another device model, than the journal knows."""
    rig.kill_at("swap")
    rig.start(restarted=1, dm_1=1)
    rig.wait_for_state("rolled-back")
    rig.assert_on_source()


def test_again_without_end(rig: Rig) -> None:
    rig.source.faults.forever = {"quiesce"}
    rig.limit(quiesce=2)
    rig.start()
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    assert "hv1: timed out after 2 s waiting for the agent's answer to quiesce" in report["error"]
    assert rig.source.asked.count("quiesce") < 50
    rig.assert_on_source()


def test_no_answer(rig: Rig) -> None:
    """The error has the limit that counted, and not the op's own."""
    rig.source.faults.mute = {"quiesce"}
    rig.limit(reply=1)
    rig.start()
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    assert "hv1: timed out after 1 s waiting for the agent's answer to quiesce" in report["error"]
    rig.assert_on_source()


@pytest.mark.parametrize(("limit", "says"), [
    ("pause", 'the guest VM has stood still for the 2 s that the limit "pause" allows'),
    ("migration", 'the migration has taken the 2 s that the limit "migration" allows'),
], ids=["pause", "migration"])
def test_stream_byte_by_byte(rig: Rig, limit: str, says: str) -> None:
    """Each byte is progress; the stream is some 12000 long."""
    rig.source.faults.trickle_s = 0.2
    rig.limit(**{limit: 2})
    rig.start()
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    assert says in report["error"]
    rig.assert_on_source()


@pytest.mark.parametrize("side", ["source", "destination"])
def test_more_frames_than_the_guest_can_have(rig: Rig, side: str) -> None:
    agent = {"source": rig.source, "destination": rig.destination}[side]
    agent.gfns = [(pfn * 2, 1000 + pfn * 2, 1) for pfn in range(100)] + [(1000, 100000, 1 << 25)]
    rig.start()
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    assert "has more than the 4196 that u1 can have" in report["error"]
    rig.assert_on_source()


def test_more_frames_than_any_guest_can_have(rig: Rig) -> None:
    """Whatever the agent says that the guest VM may have: what the daemon keeps of it is bounded."""
    rig.source.max_kib = 4 << 26
    rig.source.gfns = [(0, 1000, (1 << 24) + 1)]
    rig.start()
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    assert "has more than the 16777216 that u1 can have" in report["error"]
    rig.assert_on_source()


def test_order_of_frames_is_seen_as_they_come(rig: Rig) -> None:
    """Not when all are there: the rest is not asked for."""
    rig.destination.gfns = [(50, 6000, 1), *((pfn, 5000 + 2 * pfn, 1) for pfn in range(40))]
    rig.start()
    assert rig.migrate().code == ROLLED_BACK
    assert rig.destination.asked.count("export-read") == 2
    rig.assert_on_source()


# The disk under the journal

@pytest.mark.parametrize("record", range(1, 11))
def test_disk_fails_at_record(rig: Rig, record: int) -> None:
    rig.start(fsync=record)
    code, report, err = rig.migrate()
    # Before the first one is written, nothing was touched; from the commit on, it goes forward.
    assert code == (REFUSED if record == 1 else ROLLED_BACK if record <= 7 else DONE), err
    if code == DONE:
        rig.assert_on_destination()
        assert rig.last_state() == "done"
        return
    assert "the journal cannot be written" in report["error"]
    rig.assert_on_source()
    code, _, err = rig.migrate()
    assert code == DONE, err
    rig.assert_on_destination()
    rig.restart()
    assert rig.status_code() == DONE


def test_disk_stays_full(rig: Rig) -> None:
    """The guest VM is where it belongs; that it is over has to be on record all the same."""
    rig.limit(finish=1)
    migration = rig.migrate_and_hold("resume")
    (rig.directory / "disk-full").touch()
    code, report, _ = migration.go_on()
    assert code == UNFINISHED
    assert "the journal" in report["waiting_for"] and "is its disk full?" in report["waiting_for"]
    rig.assert_on_destination()
    (rig.directory / "disk-full").unlink()
    rig.wait_for_state("done")
    wait_until(lambda: rig.status_code() == DONE)


# The end

@pytest.mark.parametrize("fault", ["mute", "forever"])
def test_backends_hang_when_they_are_bound_again(rig: Rig, fault: str) -> None:
    """As a hotplug script that hangs: the guest VM runs on without them."""
    rig.source.faults.broken = {"quiesce": "made to fail"}
    setattr(rig.source.faults, fault, {"rebind"})
    rig.limit(reply=2, rebind=3)
    rig.start()
    migration = rig.migrate_in_background()
    wait_until(lambda: "rebind" in rig.source.asked)
    code, _, _ = migration.end()
    assert code == ROLLED_BACK
    assert "the backends of u1 cannot be put back" in rig.log()
    rig.assert_on_source()


def test_tries_for_ever_and_says_so(rig: Rig) -> None:
    rig.limit(finish=1)
    rig.destination.faults.broken = {"restore-abort": "not yet"}
    rig.source.faults.broken = {"quiesce": "made to fail", "resume": "not yet"}
    rig.start()
    assert rig.migrate().code == UNFINISHED

    def tries() -> int:
        now = rig.status()["migration"]
        return int(now["tries"]) if now else 0

    wait_until(lambda: tries() >= 3)
    assert rig.status()["migration"]["next_try_ms"] >= 1000
    assert "resume: not yet" in rig.command("status").out and "tried " in rig.command("status").out
    rig.source.faults.broken = rig.destination.faults.broken = {}
    rig.wait_for_state("rolled-back")
    rig.assert_on_source()


def test_stuck_pairs_go_back_after_all(rig: Rig) -> None:
    rig.start(refuse=1020, stuck=1)
    assert rig.migrate().code == UNFINISHED
    rig.assert_untouched()
    rig.transactions_become("rolled-back")
    rig.wait_for_state("rolled-back")
    rig.assert_on_source()


def test_stuck_pairs_are_tried_again(rig: Rig) -> None:
    """By the daemon itself: nobody types anything."""
    rig.start(refuse=1020, stuck=1)
    assert rig.migrate().code == UNFINISHED
    rig.transactions_become("passing")
    rig.wait_for_state("rolled-back")
    rig.assert_on_source()


# A guest VM that does not suspend

def test_guest_reboots_instead(rig: Rig) -> None:
    """And its agent does not say so: the daemon sees it in the list of domains."""
    rig.source.faults.instead, rig.source.faults.blind = "reboot", True
    rig.limit(suspend=30)
    rig.start()
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    assert "has ended instead of suspending: the guest VM rebooted" in report["error"]
    assert rig.source.the_domain().domid == REBOOTED_DOMID
    assert "rebind" not in rig.source.asked
    rig.assert_on_source()


def test_guest_reboots_instead_and_takes_its_time(rig: Rig) -> None:
    """Between its two domains there is none."""
    rig.source.faults.instead = "reboot"
    migration = rig.migrate_and_hold("suspend")
    threading.Thread(target=migration.let_go).start()
    wait_until(lambda: rig.source.domain() is not None and rig.source.the_domain().domid == REBOOTED_DOMID)
    rebooted, rig.source.domains = rig.source.domains, []
    wait_until(lambda: "save-abort" in rig.source.asked)
    rig.source.domains = rebooted
    assert migration.end().code == ROLLED_BACK
    rig.assert_on_source()


def test_guest_crashes_instead(rig: Rig) -> None:
    rig.source.faults.instead = "crash"
    rig.limit(suspend=30)
    rig.start()
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    assert "has shut down or crashed instead of suspending" in report["error"]
    assert rig.source.the_domain().shutdown
    assert "resume" not in rig.source.asked
    assert not rig.destination.domains and not rig.exports()


def test_guest_refuses_to_suspend(rig: Rig) -> None:
    """The agent says why as soon as it knows."""
    rig.source.faults.instead = "refuse"
    rig.source.faults.broken = {"save-status": "saving domain 5 failed: libxl: the guest didn't acknowledge suspend"}
    rig.start()
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    assert "the guest didn't acknowledge suspend" in report["error"]
    rig.assert_on_source()


# Cancel

class Command(threading.Thread):
    """One in the background."""

    def __init__(self, rig: Rig, *arguments: str) -> None:
        super().__init__(daemon=True)
        self.rig, self.arguments = rig, arguments
        self.ended: Ended | None = None
        self.start()

    def run(self) -> None:
        self.ended = self.rig.command(*self.arguments)

    def end(self) -> Ended:
        self.join()
        assert self.ended
        return self.ended


@pytest.mark.parametrize("point", ["check", "prepare", "suspend", "state", "quiesce", "swap", "swap-half", "commit"])
def test_cancel_at(rig: Rig, point: str) -> None:
    migration = rig.migrate_and_hold(point)
    assert rig.command("cancel", NO_SUCH_ID).code == REFUSED
    cancel = Command(rig, "cancel")
    wait_until(lambda: "an operator cancels it" in rig.log())
    assert "is being cancelled already" in rig.command("cancel", rig.status()["migration"]["id"]).err
    code, report, _ = migration.go_on()
    assert code == (REFUSED if point == "check" else ROLLED_BACK)
    assert "cancelled by an operator" in report["error"]
    assert cancel.end().code == DONE
    rig.assert_on_source()
    # The next one is not cancelled by it.
    code, _, err = rig.migrate()
    assert code == DONE, err
    rig.assert_on_destination()


def test_cancel_in_the_middle_of_a_wait(rig: Rig) -> None:
    rig.source.faults.forever = {"quiesce"}
    rig.limit(quiesce=30)
    rig.start()
    migration = rig.migrate_in_background()
    wait_until(lambda: "quiesce" in rig.source.asked)
    code, out, err = rig.command("cancel", "--json")
    assert code == DONE and json.loads(out)["outcome"] == "ok", err
    code, report, _ = migration.end()
    assert code == ROLLED_BACK
    assert "cancelled by an operator" in report["error"]
    rig.assert_on_source()


def test_cancel_comes_too_late(rig: Rig) -> None:
    rig.start()
    assert rig.command("cancel").code == REFUSED
    rig.kill()
    migration = rig.migrate_and_hold("resume")
    code, _, err = rig.command("cancel")
    assert code == REFUSED
    assert "is committed, or going back already" in err
    assert migration.go_on().code == DONE
    rig.assert_on_destination()


# Stopped by its supervisor

def test_stops_at_once_when_nothing_is_under_way(rig: Rig) -> None:
    rig.start()
    assert rig.stop() == 0
    assert "stopped" in rig.log()


@pytest.mark.parametrize("point", ["prepare", "suspend", "quiesce", "swap-half", "commit", "resume"])
def test_is_stopped_at(rig: Rig, point: str) -> None:
    migration = rig.migrate_and_hold(point)
    assert rig.daemon
    rig.daemon.terminate()
    wait_until(lambda: "being stopped: migration" in rig.log())
    assert rig.command("check", "hv1/u1", "hv2").code == REFUSED
    rig.let_go(point)
    rig.has_died()
    assert rig.daemon.returncode == 0
    code, report, _ = migration.end()
    # It may be gone before it has told.
    assert code in (DONE if point == "resume" else ROLLED_BACK, NO_DAEMON)
    if point == "resume":
        rig.assert_on_destination()
        assert rig.last_state() == "done"
    else:
        rig.assert_on_source()
        assert code == NO_DAEMON or "vmbeamd is being stopped" in report["error"]


def test_is_stopped_in_vain(rig: Rig) -> None:
    """The next daemon finishes what this one could not."""
    rig.limit(stop=2, finish=1)
    rig.source.faults.broken = {"quiesce": "made to fail", "resume": "not yet"}
    rig.start()
    assert rig.migrate().code == UNFINISHED
    assert rig.stop() == 0
    assert "has not come to its end in the 2 s" in rig.log() and "the next vmbeamd finishes it" in rig.log()
    rig.source.faults.broken = {}
    rig.start()
    rig.wait_for_state("rolled-back")
    rig.assert_on_source()


def test_is_stopped_while_pairs_are_stuck(rig: Rig) -> None:
    """There is nothing to wait for."""
    rig.limit(stop=86400)
    rig.start(refuse=1020, stuck=1)
    assert rig.migrate().code == UNFINISHED
    assert rig.stop() == 0
    rig.assert_untouched()


# systemd

class Notified:
    """What a daemon tells systemd."""

    def __init__(self, rig: Rig) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(rig.directory / "notify"))
        self._socket.setblocking(False)
        self._said = ""
        rig.env["NOTIFY_SOCKET"] = str(rig.directory / "notify")

    def count(self, what: str) -> int:
        try:
            while True:
                self._said += self._socket.recv(4096).decode() + "\n"
        except BlockingIOError:
            return self._said.split("\n").count(what)


def test_tells_systemd(rig: Rig) -> None:
    """Also while a step takes long: that is no reason to be taken for hung."""
    notified = Notified(rig)
    rig.env["WATCHDOG_USEC"] = "400000"
    migration = rig.migrate_and_hold("prepare")
    wait_until(lambda: notified.count("READY=1") == 1)
    seen = notified.count("WATCHDOG=1")
    wait_until(lambda: notified.count("WATCHDOG=1") > seen + 2)
    assert migration.go_on().code == DONE
    assert rig.stop() == 0
    assert notified.count("STOPPING=1") == 1


def test_journal_entries_have_fields(rig: Rig) -> None:
    rig.env["JOURNAL_STREAM"] = "1:1"
    rig.source.faults.broken = {"quiesce": "made to\nfail"}
    rig.start()
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    lines = [line.split("\t") for line in (rig.directory / "journald").read_text().splitlines()]
    (failed,) = [line for line in lines if line[0] == "MESSAGE=u1: quiesce failed: hv1: quiesce: made to\\x0afail"]
    assert {"PRIORITY=3", "SYSLOG_IDENTIFIER=vmbeamd", f"VMBEAM_MIGRATION={report['id']}", "VMBEAM_GUEST=u1",
            "VMBEAM_STEP=quiesce"} <= set(failed)
    (ready,) = [line for line in lines if line[0].startswith("MESSAGE=ready")]
    assert not [field for field in ready if field.startswith("VMBEAM_")]


def test_journal_is_bounded(rig: Rig) -> None:
    """Also of a daemon that lives for years; each record has the guest VM's name."""
    rig.source.the_domain().name = 8000 * "n"
    rig.source.faults.broken = {"quiesce": "made to fail"}
    rig.start()
    size, sizes = 0, list[int]()
    for _ in range(60):
        assert rig.migrate(f"hv1/#{GUEST_DOMID}").code == ROLLED_BACK
        size = (rig.directory / "journal").stat().st_size
        if sizes and size < sizes[-1]:
            break
        sizes.append(size)
    assert size < 1 << 15 and max(sizes) < 2 << 20, sizes
    assert [r["state"] for r in rig.records()] == ["rolled-back"]
    rig.restart()
    assert rig.migrate(f"hv1/#{GUEST_DOMID}").code == ROLLED_BACK


# The configuration

@pytest.mark.parametrize(("change", "says"), [
    ({"hostvm": []}, 'unknown key "hostvm"'),
    ({"limits": {"suspnd": 5}}, 'no limit is called "suspnd"'),
    ({"limits": {"suspend": 0}}, 'the limit "suspend" takes 1 to 86400 seconds'),
    ({"limits": 5}, '"limits" must be an object'),
    ({"journal": 5}, '"journal" must be a string'),
    ({"control": ["x"]}, '"control" must be a string'),
    ({"hostvms": {}}, '"hostvms" must be a list'),
    ({"hostvms": [{"name": "hv1", "socket": "x", "sock": "y"}]}, 'unknown key "sock" of host VM number 1'),
    ({"hostvms": [{"name": "hv1", "socket": "x", "config": 5}]}, '"config" must be a string'),
    ({"hostvms": [{"name": "hv1", "socket": "x", "allow_missing_files": "yes"}]}, '"allow_missing_files" must be true or false'),
    ({"hostvms": [{"name": "2", "socket": "x"}]}, "xl takes the name 2 for a domid"),
    ({"history": "x"}, '"history" must be an object'),
    ({"history": {"age": 5}}, '"history" has no "age"'),
    ({"history": {"kib": 15}}, '"kib" of "history" takes 16 to 65536'),
    ({"history": {"file": "/x", "days": 1}, "metrics": "/x"}, '"file" of "history" and "metrics" are the same file, /x'),
    ({"metrics": True}, '"metrics" must be a string'),
    ({"hooks": []}, '"hooks" must be a string'),
], ids=["key", "limit", "limit-value", "limits", "journal", "control", "hostvms", "hostvm-key", "hostvm-config", "missing-files",
        "hostvm-number", "history", "history-key", "history-value", "same-file", "metrics", "hooks"])
def test_configuration_that_is_wrong(rig: Rig, change: dict[str, object], says: str) -> None:
    assert rig.run_to_its_end("--check-config") == 0
    rig.configure("hv1", "hv2", **change)
    assert rig.run_to_its_end("--check-config") == 1
    assert says in rig.log()
    assert rig.run_to_its_end() == 1
    assert not (rig.directory / "journal").exists()


def test_control_is_no_socket(rig: Rig) -> None:
    """What a slip of the pen names is not deleted."""
    path = rig.directory / "precious"
    path.write_text("precious", encoding="ascii")
    rig.configure("hv1", "hv2", control=str(path))
    assert rig.run_to_its_end() == 1
    assert "precious: it is there and is no socket" in rig.log() and path.read_text(encoding="ascii") == "precious"


def test_example_can_be_used(rig: Rig) -> None:
    text = (Path(__file__).parents[2] / "userspace/vmbeamd/vmbeamd.conf.example").read_text()
    rig.write_config(text.replace("/etc/xen/", f"{rig.directory}/"))
    assert rig.run_to_its_end("--check-config") == 1
    assert f'"config" of the host VM hv1, {rig.directory}/hv1.cfg: No such file' in rig.log()
    for hostvm in json.loads(text)["hostvms"]:
        (rig.directory / Path(hostvm["config"]).name).touch()
    assert rig.run_to_its_end("--check-config") == 0
    rig.write_config(text.replace("/etc/xen/", ""))
    assert rig.run_to_its_end("--check-config") == 1
    assert "it is no absolute path" in rig.log()


@pytest.mark.parametrize("text", ["", "[]", "{", "5"], ids=["empty", "list", "torn", "number"])
def test_configuration_that_is_none(rig: Rig, text: str) -> None:
    rig.write_config(text)
    assert rig.run_to_its_end("--check-config") == 1
    assert "conf: " in rig.log()


def test_command_uses_the_configured_socket(rig: Rig, programs: Path) -> None:
    rig.start()
    env = {key: value for key, value in rig.env.items() if key != "VMBEAM_SOCKET"}
    told = subprocess.run([programs / "vmbeam", "status"], env={**env, "VMBEAM_CONFIG": str(rig.directory / "conf")},
                          capture_output=True, text=True)
    assert told.returncode == DONE, told.stderr
    assert [line.split()[0] for line in told.stdout.splitlines()[1:3]] == ["hv1", "hv2"]
    elsewhere = subprocess.run([programs / "vmbeam", "status"], env={**env, "VMBEAM_CONFIG": "/nonexistent"},
                               capture_output=True, text=True)
    assert elsewhere.returncode == NO_DAEMON and "/run/vmbeam/vmbeamd.sock" in elsewhere.stderr
