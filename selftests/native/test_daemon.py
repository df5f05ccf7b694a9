# SPDX-License-Identifier: GPL-2.0
"""vmbeamd and vmbeam themselves, with agents and a host module that are made up: the order of the steps, the ends of
a migration, and what a restarted daemon makes of a dead one's journal."""
import errno
import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from daemon_rig import (DONE, MISUSE, NO_DAEMON, REFUSED, ROLLED_BACK, SOURCE_GFN, UNFINISHED, Rig,
                        asked_again, wait_until)
from made_up_agent import (FIRST_EXPORT, GUEST, GUEST_DOMID, KERNEL, REBOOTED_DOMID, RESTORED_DOMID, UUID, Domain, Export,
                           MadeUpAgent, saved_stream)

# The stream of the made-up agent sends three of its frames as content.
ALL_SWAPPED = {"total": 100, "swapped": 97, "kept": 3, "exchanged": 0, "superpages": 0}
# A gfn of the source that is in the middle of an extent.
REFUSED_GFN = SOURCE_GFN + 20
NO_SUCH_ID = "20261125T000000-00000000"


# A migration that goes well

def test_moves(rig: Rig) -> None:
    source, destination = rig.source, rig.destination
    source.faults.late = {"quiesce", "export-begin", "export-sync", "export-read"}
    destination.faults.late = {"restore-write", "restore-end", "export-release"}
    rig.start()
    code, report, err = rig.migrate()
    assert code == DONE, err
    assert report["frames"] == ALL_SWAPPED
    assert report["downtime_ms"] > 0
    assert set(report["phases_ms"]) == {"check", "prepare", "suspend", "state", "quiesce", "swap", "commit", "resume"}
    assert source.asked.index("quiesce") < source.asked.index("export-arm") < source.asked.index("destroy")
    # Its backends go while the stream does, but not before it is seen that no device was changed.
    suspended = [op for op in source.asked[source.asked.index("save-go"):] if op in ("needs", "quiesce", "save-read", "export-sync")]
    assert suspended[:4] == ["save-read", "needs", "quiesce", "save-read"]
    assert "save-read" not in suspended[suspended.index("export-sync"):]
    # What does not need the guest to stand still is done while it runs.
    before_suspend = source.asked[:source.asked.index("save-go")]
    assert source.asked.count("export-begin") == before_suspend.count("export-begin")
    assert source.asked.count("export-read") == before_suspend.count("export-read")
    at_rest = destination.asked[destination.asked.index("restore-end"):]
    assert not {"export-begin", "export-read"} & set(at_rest)
    assert at_rest.index("unpause") < at_rest.index("export-release")
    rig.assert_on_destination()
    assert rig.states()[-4:] == ["committing", "committed", "committed", "done"]
    assert rig.status_code() == DONE


def test_debug(rig: Rig) -> None:
    """With VMBEAM_DEBUG, each message and what else was done, in its order, by the monotonic clock."""
    rig.env["VMBEAM_DEBUG"] = "1"
    before = time.monotonic()
    rig.start()
    assert rig.migrate().code == DONE
    lines = re.findall(r"^vmbeamd: \[(\d+\.\d{6})\] (.*)$", rig.log(), re.M)
    times = [float(t) for t, _ in lines]
    assert times == sorted(times) and before - 0.001 <= times[0] and times[-1] <= time.monotonic()
    messages = [m for m in (re.fullmatch(r"(sent|received) ([0-9a-f]{8}/\d+) (\S+), \d+ bytes", text) for _, text in lines) if m]
    assert sorted(m[3] for m in messages if m[1] == "sent") == sorted(rig.source.asked + rig.destination.asked)
    keys = [{m[2] for m in messages if m[1] == how} for how in ("sent", "received")]
    assert keys[0] == keys[1] and {m[3] for m in messages if m[1] == "received"} == {"ok"}
    said = [text for _, text in lines]
    assert [text for text in said if text.startswith("journal ")] == [f"journal {state}" for state in rig.states()]
    marks = [text for text in said if text in ("step suspend", "suspended", "step swap", "pairs found", "mappings dropped",
                                               "step commit", "unpaused")]
    assert marks == ["step suspend", "suspended", "step swap", "pairs found", "mappings dropped", "step commit", "unpaused"]


def test_debug_is_off(rig: Rig) -> None:
    rig.start()
    assert rig.migrate().code == DONE
    assert not re.search(r"^vmbeamd: (\[|sent |received |step |journal )", rig.log(), re.M)


def test_source_does_not_start_it_by_itself(rig: Rig) -> None:
    rig.start()
    code, report, err = rig.migrate()
    assert code == DONE, err
    assert rig.source.away == {UUID: GUEST}
    assert not rig.destination.away
    assert "guard-back" not in rig.source.asked
    assert "warnings" not in report
    rig.assert_on_destination()


def test_refuge_is_no_home(rig: Rig) -> None:
    """The destination's system knew it for away: nobody is to bring it back to where it was a guest."""
    rig.destination.away = {UUID: GUEST}
    migration = rig.migrate_and_hold("commit")
    assert not rig.source.away
    code, report, err = migration.go_on()
    assert code == DONE, err
    assert not rig.source.away and not rig.destination.away
    assert "warnings" not in report
    rig.assert_on_destination()


def test_source_starts_it_by_itself_when_it_goes_back(rig: Rig) -> None:
    rig.migrate_and_hold("commit")
    assert rig.source.away == {UUID: GUEST}
    rig.restart()
    rig.wait_for_state("rolled-back")
    rig.assert_on_source()


@pytest.mark.parametrize("fault", ["broken", "unknown", "mute"])
def test_guard_that_cannot_be_taken_back(rig: Rig, fault: str) -> None:
    """The guest VM runs: that a later boot does not start it keeps no migration from its end."""
    if fault == "broken":
        rig.destination.faults.broken = {"guard-back": "the disk is full"}
    else:
        setattr(rig.destination.faults, fault, {"guard-back"})
    rig.limit(reply=1)
    rig.start()
    code, report, err = rig.migrate()
    assert code == DONE, err
    assert [warning for warning in report["warnings"] if "u1 is on hv2 now" in warning and UUID in warning]
    rig.assert_on_destination()


def test_guard_that_leaves_a_file_aside(rig: Rig) -> None:
    """Another one has come in its place: which of the two is right an operator says."""
    rig.destination.faults.left = "/etc/xen/auto/u1 has come meanwhile"
    rig.start()
    code, report, err = rig.migrate()
    assert code == DONE, err
    assert report["warnings"] == ["hv2: /etc/xen/auto/u1 has come meanwhile"]


def test_status_tells_what_an_agent_has_as_a_problem(rig: Rig) -> None:
    rig.source.faults.unread = ["xenstore does not answer"]
    rig.source.faults.chores = ["/etc/xen/auto/u1 has come meanwhile"]
    rig.start()
    assert rig.status()["warnings"] == ["hv1: xenstore does not answer", "hv1: /etc/xen/auto/u1 has come meanwhile"]
    assert "warning: hv1: /etc/xen/auto/u1 has come meanwhile\n" in rig.command("status").out


def test_uuid_is_nothing_to_type(rig: Rig) -> None:
    """It stands in commands that an operator is told to type; a shell would take this one for two."""
    rig.source.away = {"x;reboot": "u9"}
    rig.start()
    (warning,) = rig.status()["warnings"]
    assert warning == "hv1: the agent gives something else as a UUID of a guest VM: its lists are not used"
    assert "reboot" not in rig.command("list", "--json").out
    rig.source.away = {}
    rig.source.the_domain().uuid = "x;reboot"
    code, _, err = rig.command("check", "hv1/u1", "hv2")
    assert code == REFUSED and "hv1: the agent gives no domid or no UUID for u1" in err and "reboot" not in err


def test_guard_that_cannot_be_set(rig: Rig) -> None:
    """Nothing has moved: the guest VM stays, and nobody has to think of two of them."""
    rig.source.faults.broken = {"export-arm": "/var/lib/vmbeam-agent/u1: No space left on device"}
    rig.start()
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    assert "No space left" in report["error"]
    rig.assert_on_source()


def test_agent_dies_of_the_guard(rig: Rig) -> None:
    """The next one is asked once more."""
    rig.destination.away = {UUID: GUEST}
    rig.destination.faults.dies_once = {"guard-back"}
    rig.start()
    code, report, err = rig.migrate()
    assert code == DONE, err
    assert "warnings" not in report
    rig.assert_on_destination()


def test_moves_among_many(rig: Rig) -> None:
    for agent in rig.agents:
        agent.faults.crowd = 1000
    rig.start()
    code, _, err = rig.migrate()
    assert code == DONE, err
    rig.assert_on_destination()


def test_busy_frames_are_exchanged(rig: Rig) -> None:
    rig.start(busy=10)
    code, report, err = rig.migrate()
    assert code == DONE, err
    frames = report["frames"]
    assert frames["swapped"] + frames["exchanged"] == 97
    assert frames["exchanged"] > 5
    rig.assert_on_destination()


def test_refused_frame_goes_as_content(rig: Rig) -> None:
    """As a guest VM's own M2P would have it: the module refuses the frame, and the helper sends it as content."""
    rig.source.faults.refused_pfns = [50]
    rig.start()
    code, report, err = rig.migrate()
    assert code == DONE, err
    assert report["frames"] == ALL_SWAPPED
    rig.assert_on_destination()


def test_answers_to_others_are_passed_over(rig: Rig) -> None:
    for agent in rig.agents:
        agent.faults.stale = True
    rig.start()
    code, _, err = rig.migrate()
    assert code == DONE, err
    rig.assert_on_destination()


def test_goes_on_when_the_command_dies(rig: Rig) -> None:
    rig.hold("state")
    rig.start()
    with subprocess.Popen([rig.vmbeam, "migrate", "hv1/u1", "hv2"], env=rig.env, stdout=subprocess.DEVNULL) as command:
        wait_until(lambda: rig.is_held("state"))
        command.kill()
    rig.let_go("state")
    rig.wait_for_state("done")
    rig.assert_on_destination()


# What is refused before anything is touched

@pytest.mark.parametrize("fake, said", [
    ({"no_swap": errno.EACCES}, "the host hypervisor's FLASK policy does not let frames of hv1 and hv2 be swapped"),
    ({"no_swap": errno.EOPNOTSUPP}, "the host hypervisor swaps no frames of hv1 and hv2: one of them is not HVM"),
    ({"no_swap": errno.ESRCH}, "hv1 (domain 1) or hv2 (domain 2) is gone, or is being destroyed"),
    ({"no_swap": errno.ENOMEM}, "the host hypervisor swaps no frames of hv1 (domain 1) and hv2 (domain 2): Cannot allocate"),
    ({"in_txn": 1}, "hv1 (domain 1) or hv2 (domain 2) is in another transaction"),
], ids=["flask", "mode", "gone", "memory", "transaction"])
def test_hypervisor_would_not_swap(rig: Rig, fake: dict[str, int], said: str) -> None:
    """It is asked before the guest VM is suspended."""
    rig.start(**fake)
    code, report, _ = rig.migrate()
    assert code == REFUSED and report["state"] == "check"
    assert len(report["problems"]) == 1 and report["problems"][0].startswith(said)
    assert "save-begin" not in rig.source.asked
    rig.assert_on_source()


def test_module_is_older(rig: Rig) -> None:
    """It is not asked what it does not know."""
    rig.start(lacks=1 << 6, no_swap=errno.EINVAL)
    code, report, _ = rig.migrate()
    assert code == REFUSED and len(report["problems"]) == 1
    assert report["problems"][0].startswith("vmbeam_host.ko is older than vmbeamd")
    rig.assert_on_source()


def test_check_names_all_problems(rig: Rig) -> None:
    rig.destination.faults.free_kib = 5
    rig.start(not_preserved=1)
    code, _, err = rig.command("check", "hv1/u1", "hv2")
    assert code == REFUSED
    assert "0 MiB are free:" in err and "on_crash" in err
    rig.assert_on_source()


def test_migrate_refuses_what_check_refuses(rig: Rig) -> None:
    rig.destination.faults.free_kib = 5
    rig.start(not_preserved=1)
    code, report, _ = rig.migrate()
    assert code == REFUSED
    assert report["outcome"] == "refused"
    assert rig.states() == []
    rig.assert_on_source()


@pytest.mark.parametrize("to", ["hv3", "hv1"], ids=["unknown", "the_same"])
def test_host_vm_that_cannot_be_the_destination(rig: Rig, to: str) -> None:
    rig.start()
    assert rig.command("migrate", "hv1/u1", to).code == REFUSED
    rig.assert_on_source()


def test_host_vms_of_different_xens(rig: Rig) -> None:
    rig.destination.faults.xen = "4.21"
    rig.start()
    code, report, _ = rig.migrate()
    assert code == REFUSED
    assert "hv1 runs Xen 4.20, hv2 runs Xen 4.21" in report["error"]
    rig.assert_on_source()


def test_check_tells_how_frames_lie(rig: Rig) -> None:
    rig.start()
    code, out, err = rig.command("check", "hv1/u1", "hv2")
    assert code == DONE, err
    assert "100 frames, of these 64 in pieces of 2 MiB" in out
    code, out, err = rig.command("check", "--json", "hv1/u1", "hv2")
    assert code == DONE, err
    assert json.loads(out)["frames"]["superpages"] == 64
    rig.assert_on_source()


def test_agent_that_is_not_there(rig: Rig) -> None:
    rig.destination.faults.mute = {"hello"}
    rig.start()
    code, report, _ = rig.migrate()
    assert code == REFUSED
    assert "hv2: no agent answers" in report["error"]
    rig.assert_on_source()


# The command

def test_command_is_misused(rig: Rig) -> None:
    rig.start()
    assert rig.command("migrate", "u1").code == MISUSE
    assert rig.command("forget").code == MISUSE


def test_command_helps_without_a_daemon(rig: Rig) -> None:
    assert rig.command("--help").code == DONE


def test_command_without_a_daemon(rig: Rig) -> None:
    assert rig.migrate().code == NO_DAEMON


# Disks: the same on both sides, or refused

def test_disk_of_another_size(rig: Rig) -> None:
    rig.destination.disks["/dev/vdb"].size = 1 << 29
    rig.start()
    code, report, _ = rig.migrate()
    assert code == REFUSED
    assert "the disk xvda of u1, /dev/vdb, is not the same on hv1 and hv2" in report["error"]
    assert f"{1 << 30} bytes on hv1 and {1 << 29} on hv2" in report["error"]
    assert "disk-blocks" not in rig.source.asked
    rig.assert_on_source()


def test_disk_that_is_not_there(rig: Rig) -> None:
    rig.destination.disks = {}
    rig.start()
    code, report, _ = rig.migrate()
    assert code == REFUSED
    assert report["problems"] == ["hv2: the disk /dev/vdb is not here"]
    rig.assert_on_source()


def test_disk_that_calls_itself_another(rig: Rig) -> None:
    rig.source.disks["/dev/vdb"].ids = {"wwid": "naa.1", "serial": "x"}
    rig.destination.disks["/dev/vdb"].ids = {"wwid": "naa.2"}
    rig.start()
    code, report, _ = rig.migrate()
    assert code == REFUSED
    assert "its wwid is naa.1 on hv1 and naa.2 on hv2" in report["error"]
    rig.assert_on_source()


@pytest.mark.parametrize("ids", [{}, {"serial": "QM00001"}], ids=["nameless", "as_all_of_its_kind_call_themselves"])
def test_disk_with_other_contents(rig: Rig, ids: dict[str, str]) -> None:
    """An emulator gives each machine's first disk the same serial number."""
    for agent in rig.agents:
        agent.disks["/dev/vdb"].ids = ids
    rig.destination.disks["/dev/vdb"].seed = 2
    rig.start()
    code, report, _ = rig.migrate()
    assert code == REFUSED
    assert "of 64 blocks that were read 64 differ and 0 agree" in report["error"]
    rig.assert_on_source()


def test_disk_that_differs_at_its_beginning_only(rig: Rig) -> None:
    """As a disk that nobody has written to yet, beside one with a file system: 16 of the blocks are near."""
    rig.source.disks["/dev/vdb"].used = range(256)
    rig.destination.disks["/dev/vdb"].used = range(0)
    rig.start()
    code, report, _ = rig.migrate()
    assert code == REFUSED
    assert "differ and 0 agree" in report["error"]
    rig.assert_on_source()


def test_disk_that_is_written_meanwhile(rig: Rig) -> None:
    """Blocks that change at each look are no sign of two disks, and none of one."""
    for agent in rig.agents:
        agent.disks["/dev/vdb"].busy = range(256)
    rig.destination.disks["/dev/vdb"].looks = 1000
    rig.start()
    code, out, err = rig.command("check", "--json", "hv1/u1", "hv2")
    assert code == DONE, err
    (disk,) = json.loads(out)["disks"]
    assert disk["blocks_read"] == 64 and disk["blocks_busy"] >= 16
    assert disk["blocks_agreed"] == 64 - disk["blocks_busy"]
    code, _, err = rig.migrate()
    assert code == DONE, err
    rig.assert_on_destination()


def test_check_tells_how_much_of_a_disk_spoke(rig: Rig) -> None:
    for agent in rig.agents:
        agent.disks["/dev/vdb"].used = range(256)
        agent.disks["/dev/vdb"].ids = {"dm-uuid": "LVM-x"}
    rig.start()
    code, out, err = rig.command("check", "hv1/u1", "hv2")
    assert code == DONE, err
    assert re.search(r"disk xvda: needs /dev/vdb, 1024 MiB; offered: /dev/vdb, 1024 MiB \(the same dm-uuid, \d+ of 64 blocks", out)
    assert "warning" not in out
    for agent in rig.agents:
        agent.disks["/dev/vdb"].used = range(0)
        agent.disks["/dev/vdb"].ids = {}
    code, out, err = rig.command("check", "hv1/u1", "hv2")
    assert code == DONE, err
    assert "warning: whether the disk xvda of u1, /dev/vdb, is the same on hv1 and hv2 is not known" in out
    rig.assert_on_source()


def test_disk_that_cannot_be_written_there(rig: Rig) -> None:
    rig.destination.disks["/dev/vdb"].read_only = True
    rig.start()
    code, report, _ = rig.migrate()
    assert code == REFUSED
    assert "cannot be written to" in report["error"]
    for agent in rig.agents:
        agent.devices[0]["mode"] = "r"
    code, _, err = rig.migrate()
    assert code == DONE, err
    rig.assert_on_destination()


@pytest.mark.parametrize("side", ["source", "destination"])
def test_disk_that_cannot_be_read(rig: Rig, side: str) -> None:
    {"source": rig.source, "destination": rig.destination}[side].faults.broken = {"disk-blocks": "block 7: I/O error"}
    rig.start()
    code, report, _ = rig.migrate()
    assert code == REFUSED
    assert "disk-blocks: block 7: I/O error" in report["error"]
    rig.assert_on_source()


# What the guest VM needs, and the destination offers or not

# A vCPU that is pinned, as the destination has it, too.
PIN = {"kind": "pin", "id": "0", "hard": "1", "soft": "all"}


def lose_bridge(rig: Rig) -> None:
    rig.destination.bridges = set()


def lose_disk(rig: Rig) -> None:
    rig.destination.disks = {}


def lose_memory(rig: Rig) -> None:
    rig.destination.faults.free_kib = 5


def lose_cpu(rig: Rig) -> None:
    rig.destination.pools = {"Pool-0": "0"}


def lose_all_cpus(rig: Rig) -> None:
    rig.destination.pools = {"Pool-0": ""}


def lose_feature(rig: Rig) -> None:
    rig.destination.features[5] = 0


def lose_kernel(rig: Rig) -> None:
    rig.destination.files = set()


def lose_time(rig: Rig) -> None:
    rig.destination.clock_s = -3600


@pytest.mark.parametrize(("lose", "item", "said"), [
    (lose_bridge, "network card 00:16:3e:01:02:03", "hv2: the bridge xenbr0 is not here"),
    (lose_disk, "disk xvda", "hv2: the disk /dev/vdb is not here"),
    (lose_memory, "memory", "MiB of memory are needed for u1 and 0 MiB are free:"),
    (lose_cpu, "pin of vCPU 0", "vCPU 0 of u1 is pinned to CPU 1, and there are only 0:"),
    (lose_all_cpus, "cpupool", "hv2: the cpupool Pool-0, in which u1 runs on hv1, has no CPUs:"),
    (lose_feature, "CPU", "hv2: the CPU lacks what u1 may use: avx2."),
    (lose_kernel, "file kernel", f"hv2: the kernel of u1, {KERNEL}, is missing"),
    (lose_time, "clock", "the clock of hv2 is 3600."),
], ids=["bridge", "disk", "memory", "pin", "no-cpus", "feature", "kernel", "clock"])
def test_what_is_not_offered_is_named(rig: Rig, lose: Callable[[Rig], None], item: str, said: str) -> None:
    """And that alone."""
    rig.source.settings = [PIN]
    lose(rig)
    rig.start()
    code, out, err = rig.command("check", "hv1/u1", "hv2")
    assert code == REFUSED
    assert said in err and len(err.splitlines()) == 1
    assert [line for line in out.splitlines() if line.startswith("  refused")][0].startswith(f"  refused  {item}")
    assert out.count("  refused") == 1
    code, report, _ = rig.migrate()
    assert code == REFUSED
    assert len(report["problems"]) == 1 and said in report["problems"][0]
    assert "save-begin" not in rig.source.asked and "restore-begin" not in rig.destination.asked
    rig.assert_on_source()


def test_check_prints_the_whole_comparison(rig: Rig) -> None:
    rig.source.settings = [PIN]
    rig.start()
    code, out, err = rig.command("check", "hv1/u1", "hv2")
    assert code == DONE, err
    assert [line.strip() for line in out.splitlines()[1:] if "disk" not in line and "clock" not in line] == [
        "offered  memory: needs 16 MiB, of these 0 held; offered: 1024 MiB free",
        f"offered  file kernel: needs {KERNEL}; offered: {KERNEL}",
        "offered  name: needs u1; offered: the same",
        "offered  memory target: needs 400 of at most 400 KiB; offered: the same",
        "offered  list of available vCPUs: needs 0-1; offered: the same",
        "offered  vCPUs: needs 2, of these 2 online; offered: 2 CPUs",
        "offered  cpupool: needs Pool-0; offered: Pool-0, CPUs 0-1",
        "offered  CPU: needs 28 features; offered: 28 features",
        "offered  network card 00:16:3e:01:02:03: needs bridge xenbr0; offered: bridge xenbr0",
        "offered  pin of vCPU 0: needs CPUs 1, preferably all; offered: CPUs 0-1",
    ]
    code, out, err = rig.command("check", "--json", "hv1/u1", "hv2")
    assert code == DONE, err
    items = json.loads(out)["items"]
    assert [item["verdict"] for item in items] == ["offered"] * 12
    assert next(item["need"] for item in items if item["item"] == "disk xvda")["target"] == "/dev/vdb"
    rig.assert_on_source()


# What one export takes, and what the reader of the stream does.
EXPORT_FRAMES, STREAM_PFNS = 1 << 24, 1 << 26


def test_largest_guest_vm(rig: Rig) -> None:
    rig.source.frames = EXPORT_FRAMES
    rig.source.max_kib = 4 * STREAM_PFNS
    rig.start()
    code, _, err = rig.command("check", "hv1/u1", "hv2")
    assert code == DONE, err


@pytest.mark.parametrize("frames, max_kib, said", [
    (EXPORT_FRAMES + 1, 4 * (EXPORT_FRAMES + 1), "u1 has 67108868 KiB of memory, and one that has more than 64 GiB"),
    (EXPORT_FRAMES, 4 * (STREAM_PFNS + 1), "u1 may have 268435460 KiB of memory, and one that may have more than 256 GiB"),
], ids=["frames", "pfns"])
def test_guest_vm_is_too_large(rig: Rig, frames: int, max_kib: int, said: str) -> None:
    """Said before anything is touched, not by the export or the stream in the middle."""
    rig.source.frames, rig.source.max_kib = frames, max_kib
    rig.start()
    code, report, _ = rig.migrate()
    assert code == REFUSED
    assert len(report["problems"]) == 1 and said in report["problems"][0]
    assert "save-begin" not in rig.source.asked and "restore-begin" not in rig.destination.asked
    rig.assert_on_source()


def test_what_will_be_different_is_said(rig: Rig) -> None:
    """It is no reason not to go."""
    rig.source.devices[1].update(tc=["netem"], behind=["00:16:3e:0a:0a:0a"])
    rig.start()
    code, out, err = rig.command("check", "hv1/u1", "hv2")
    assert code == DONE, err
    assert "  warning  network card" in out
    assert "queueing discipline (netem)" in out and "1 more addresses are behind" in out
    code, report, err = rig.migrate()
    assert code == DONE, err
    assert "netem" in report["warnings"][0]
    rig.assert_on_destination()


@pytest.mark.parametrize("item", [{"kind": "teapot", "id": "7"}, {"kind": "key", "id": "b_info.teapot"}], ids=["kind", "key"])
def test_what_no_rule_knows_is_refused(rig: Rig, item: dict[str, str]) -> None:
    rig.source.settings = [item]
    rig.start()
    code, report, _ = rig.migrate()
    assert code == REFUSED
    assert "teapot" in report["error"]
    rig.assert_on_source()


def test_offers_that_are_not_for_all_needs(rig: Rig) -> None:
    rig.destination.faults.silent_about = {"cpu"}
    rig.start()
    code, report, _ = rig.migrate()
    assert code == REFUSED
    assert "offers something for 10 of the 11 items" in report["error"]
    rig.assert_on_source()


def test_features_that_the_destination_took_away(rig: Rig) -> None:
    """The check was content, and the restored domain has less."""
    migration = rig.migrate_and_hold("commit")
    rig.destination.features[5] = 0
    code, report, _ = migration.go_on()
    assert code == ROLLED_BACK
    assert "took CPU features from the restored u1 that it has on hv1: avx2" in report["error"]
    rig.assert_on_source()


def test_bridge_that_is_not_there(rig: Rig) -> None:
    rig.destination.bridges = {"xenbr1"}
    rig.start()
    code, report, _ = rig.migrate()
    assert code == REFUSED
    assert report["problems"] == ["hv2: the bridge xenbr0 is not here"]
    rig.assert_on_source()


def test_kernel_that_is_not_there(rig: Rig) -> None:
    """The guest VM runs without, until it reboots: that is lost, unless an operator allows it."""
    rig.destination.files = set()
    rig.start()
    code, report, _ = rig.migrate()
    assert code == REFUSED
    assert len(report["problems"]) == 1 and f"the kernel of u1, {KERNEL}, is missing" in report["problems"][0]
    rig.assert_on_source()


def test_kernel_may_be_missing(rig: Rig) -> None:
    rig.destination.files = set()
    rig.configure("hv1", "hv2", hostvms=[
        {"name": agent.hostvm, "socket": str(agent.path), "allow_missing_files": agent is rig.destination} for agent in rig.agents])
    rig.start()
    code, out, err = rig.command("check", "hv1/u1", "hv2")
    assert code == DONE, err
    missing = f"hv2: the kernel of u1, {KERNEL}, is missing (No such file)"
    assert f"warning: {missing}" in out
    code, report, err = rig.migrate()
    assert code == DONE, err
    assert len(report["warnings"]) == 1 and report["warnings"][0].startswith(missing)
    rig.assert_on_destination()


# Devices that come and go

ANOTHER_DISK = {"kind": "vbd", "id": "51728", "backend_domid": 0, "dev": "xvdb", "backend": "phy",
                "target": "/dev/loop5", "mode": "w"}


@pytest.mark.parametrize(("point", "busy"), [
    *((point, {}) for point in ("prepare", "suspend", "state", "swap-half", "commit")),
    # The agent sees a backend more than it has taken off, and the daemon says whose it is.
    ("state", {"quiesce": "vbd-1-51728 has been bound again"}),
], ids=["prepare", "suspend", "state", "swap-half", "commit", "state-seen-by-the-agent"])
def test_device_is_attached_at(rig: Rig, point: str, busy: dict[str, str]) -> None:
    """Whether it got into the stream or not: it was not agreed on."""
    migration = rig.migrate_and_hold(point)
    rig.source.devices.append(ANOTHER_DISK)
    rig.source.faults.busy = busy
    code, report, _ = migration.go_on()
    assert code == ROLLED_BACK
    assert "hv1: the disk xvdb, /dev/loop5, was attached to u1 after the check" in report["error"]
    assert "committing" not in rig.states()
    rig.assert_on_source()
    assert ANOTHER_DISK in rig.source.devices


def test_device_is_bound_again(rig: Rig) -> None:
    rig.source.faults.busy = {"quiesce": "vbd-1-51712 has been bound again"}
    rig.start()
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    assert "hv1: quiesce: vbd-1-51712 has been bound again" in report["error"]
    rig.assert_on_source()


def test_device_is_detached(rig: Rig) -> None:
    migration = rig.migrate_and_hold("suspend")
    del rig.source.devices[0]
    code, report, _ = migration.go_on()
    assert code == ROLLED_BACK
    assert "hv1: the disk xvda, /dev/vdb, was detached from u1 after the check" in report["error"]
    rig.assert_on_source()


@pytest.mark.parametrize(("device", "change"), [(0, {"target": "/dev/vdc"}), (0, {"mode": "r"}),
                                                (1, {"mac": "00:16:3e:09:09:09"})], ids=["disk", "mode", "mac"])
def test_device_is_another(rig: Rig, device: int, change: dict[str, str]) -> None:
    """Detached, and one of the same number attached."""
    migration = rig.migrate_and_hold("suspend")
    rig.source.devices[device].update(change)
    code, report, _ = migration.go_on()
    assert code == ROLLED_BACK
    assert f"of u1 has another {next(iter(change))} than at the check" in report["error"]
    rig.assert_on_source()


def rename(agent: MadeUpAgent) -> None:
    agent.the_domain().name = "u9"


def set_target(agent: MadeUpAgent) -> None:
    agent.target_kib = 300


def set_static_max(agent: MadeUpAgent) -> None:
    agent.static_max_kib = 500


def set_available(agent: MadeUpAgent) -> None:
    agent.available = "0"


@pytest.mark.parametrize("point", ["prepare", "state", "commit"])
@pytest.mark.parametrize(("change", "said"), [
    (rename, "the name of u1 was changed from u1 to u9"),
    (set_target, "the memory target of u1 was changed from 400 of at most 400 KiB to 300 of at most 400 KiB"),
    (set_static_max, "the memory target of u1 was changed from 400 of at most 400 KiB to 400 of at most 500 KiB"),
    (set_available, "the list of available vCPUs of u1 was changed from 0-1 to 0"),
], ids=["name", "target", "static-max", "vcpus"])
def test_setting_is_changed(rig: Rig, point: str, change: Callable[[MadeUpAgent], None], said: str) -> None:
    """By xl rename, mem-set or vcpu-set, of which nothing but xenstore knows while the guest VM is suspended."""
    migration = rig.migrate_and_hold(point)
    change(rig.source)
    code, report, _ = migration.go_on()
    assert code == ROLLED_BACK
    assert report["error"].startswith(f"hv1: {said} after the check"), report["error"]
    assert "u1 stays on hv1 with it. Migrate u1 again" in report["error"]
    assert "committing" not in rig.states()
    rig.assert_on_source()


@pytest.mark.parametrize("device", [0, 1], ids=["disk", "vif"])
def test_restored_domain_lacks_a_device(rig: Rig, device: int) -> None:
    del rig.destination.devices[device]
    rig.start()
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    assert "hv2: the restored u1 lacks the " in report["error"]
    assert "committing" not in rig.states()
    rig.assert_on_source()


def test_restored_domain_has_another_disk(rig: Rig) -> None:
    rig.destination.devices[0]["target"] = "/dev/vdc"
    rig.start()
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    assert "hv2: the disk xvda, /dev/vdc, of the restored u1 has another target than on hv1" in report["error"]
    rig.assert_on_source()


@pytest.mark.parametrize("side", ["source", "destination"])
def test_agent_that_is_older(rig: Rig, side: str) -> None:
    {"source": rig.source, "destination": rig.destination}[side].faults.unknown = {"needs"}
    rig.start()
    code, report, _ = rig.migrate()
    assert code == REFUSED
    assert 'the agent knows no operation "needs"' in report["error"]
    rig.assert_on_source()


# Names

@pytest.mark.parametrize("name", ["malm\u00e9", "two words", "a/b", "/", "x" * 200, "\u00e9" * 200, 'say "hi"', "#7", "-f",
                                  "a\\b", "line\nend"],
                         ids=["utf8", "space", "slash", "only_slash", "long", "long_utf8", "quotes", "like_a_domid",
                              "like_an_option", "backslash", "newline"])
def test_any_name(rig: Rig, name: str) -> None:
    shown = name.replace("\\", "\\\\").replace("\n", "\\x0a")
    rig.source.the_domain().name = shown if "\n" not in name else name.replace("\n", "\\x0a")
    rig.start()
    # A name with a line end is not typed, but shown, and typed as it is shown.
    meant = name if "\n" not in name else shown
    code, report, err = rig.migrate(f"hv1/{meant}")
    assert code == DONE, err
    assert report["guest"] == shown
    assert rig.destination.the_domain().name == shown
    rig.assert_on_destination()
    assert rig.records()[-1]["guest"] == shown
    rig.restart()
    assert rig.status_code() == DONE


@pytest.mark.parametrize("guest", [UUID, f"#{GUEST_DOMID}", b"malm\xe9", "malm\\xe9"],
                         ids=["uuid", "domid", "bytes", "as_it_is_shown"])
def test_name_that_is_not_utf8(rig: Rig, guest: str | bytes) -> None:
    rig.source.the_domain().name = "malm\\xe9"
    rig.start()
    code, report, err = rig.migrate(b"hv1/" + guest if isinstance(guest, bytes) else f"hv1/{guest}")
    assert code == DONE, err
    assert report["guest"] == "malm\\xe9"
    rig.assert_on_destination()


def test_long_name_leaves_room_for_the_reason(rig: Rig) -> None:
    rig.source.the_domain().name = "\u00e9" * 2000
    rig.start(refuse=REFUSED_GFN)
    rig.source.faults.refused_pfns = [61]
    code, report, _ = rig.migrate(f"hv1/#{GUEST_DOMID}")
    assert code == ROLLED_BACK
    assert "they can be neither swapped nor copied" in report["error"]
    rig.assert_on_source()


@pytest.mark.parametrize("name", ["nonexistent", "malm\u00e9", f"#{GUEST_DOMID + 1}"])
def test_no_such_guest(rig: Rig, name: str) -> None:
    rig.start()
    code, _, err = rig.command("check", f"hv1/{name}", "hv2")
    assert code == REFUSED
    assert f"there is no guest VM called {name}" in err
    rig.assert_on_source()


def test_no_such_host_vm(rig: Rig) -> None:
    rig.start()
    for name in ("hv3", "h" * 127, "h" * 128, "h" * 3000):
        code, _, err = rig.command("check", f"{name}/u1", "hv2")
        assert code == REFUSED
        assert "there is no host VM" in err and "in the configuration" in err
    assert rig.command("check", "hv1/u1", "h" * 128).code == REFUSED
    assert rig.command("check", "hv1/u1", "hv2").code == DONE


def test_host_vm_with_a_name_that_is_too_long(rig: Rig) -> None:
    rig.configure("h" * 128)
    rig.run_to_its_end()
    assert "host VM number 1: a name has 1 to 127 bytes" in rig.log()


# What others wrote

FORGED = "\x1b[2J\x9b31m\nvmbeamd: u1: done"


def test_text_of_an_agent_gives_no_orders(rig: Rig) -> None:
    """Neither to the terminal nor to whoever reads the log."""
    rig.destination.faults.problems = [FORGED]
    rig.source.faults.broken = {"quiesce": FORGED}
    rig.start()
    code, out, err = rig.command("check", "hv1/u1", "hv2")
    assert code == REFUSED
    assert "hv2: \\x1b[2J\\xc2\\x9b31m\\x0avmbeamd: u1: done" in err
    rig.destination.faults.problems = []
    code, report, err = rig.migrate()
    assert code == ROLLED_BACK
    for text in (out, err, rig.log(), report["error"]):
        assert "\x1b" not in text and "\x9b" not in text and "\nvmbeamd: u1: done" not in text
    assert "quiesce: \\x1b[2J" in report["error"] and "quiesce: \\x1b[2J" in rig.log()


@pytest.mark.parametrize("op", ["hello", "guest-check", "quiesce"])
def test_answer_that_cannot_be_parsed(rig: Rig, op: str) -> None:
    """It is said at once, and is no reason to wait for another."""
    rig.source.faults.unparsable = {op}
    rig.start()
    migration = rig.migrate_in_background()
    wait_until(lambda: op in rig.source.asked)
    wait_until(lambda: "hv1: an answer of the agent is no JSON object" in rig.log())
    rig.source.faults.unparsable = set()
    code, report, _ = migration.end()
    if op != "hello":
        assert code in (REFUSED, ROLLED_BACK)
        assert f"hv1: the agent's answer to {op} is no JSON object" in report["error"]
        rig.assert_on_source()


def test_request_that_the_agent_cannot_parse(rig: Rig) -> None:
    rig.source.faults.deaf = {"guest-check"}
    rig.start()
    code, report, _ = rig.migrate()
    assert code == REFUSED
    assert "guest-check: no JSON" in report["error"]
    rig.assert_on_source()


# A migration that fails, and is rolled back

SOURCE_OPS = ("save-begin", "save-read", "save-go", "needs", "export-begin", "export-sync", "quiesce", "export-arm")
DESTINATION_OPS = ("restore-begin", "restore-write", "restore-end", "needs", "export-begin", "export-arm")


@pytest.mark.parametrize(("side", "op"), [pytest.param(side, op, id=f"{side}-{op}") for side, ops in (
    ("source", SOURCE_OPS), ("destination", DESTINATION_OPS)) for op in ops])
def test_fails_at(rig: Rig, side: str, op: str) -> None:
    agent = {"source": rig.source, "destination": rig.destination}[side]
    agent.faults.broken = {op: "made to fail"}
    rig.start()
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    assert f"{op}: made to fail" in report["error"]
    rig.assert_on_source()
    assert rig.last_state() == "rolled-back"
    # And the next one finds nothing in its way.
    agent.faults.broken = {}
    code, _, err = rig.migrate()
    assert code == DONE, err
    rig.assert_on_destination()


def test_stream_of_garbage(rig: Rig) -> None:
    rig.source.faults.garbage = True
    rig.start()
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    assert "migration stream" in report["error"]
    rig.assert_on_source()


@pytest.mark.parametrize("older", ["", "source", "destination"])
def test_stream_is_packed_if_both_agents_know_how(rig: Rig, older: str) -> None:
    if older:
        {"source": rig.source, "destination": rig.destination}[older].faults.unknown = {"pack-runs"}
    rig.start()
    code, report, err = rig.migrate()
    assert code == DONE, err
    assert rig.source.packed == (not older)
    whole = sum(map(len, saved_stream()))
    assert report["stream_bytes"] == whole if older else 0 < report["stream_bytes"] < whole / 4
    rig.assert_on_destination()


@pytest.mark.parametrize("size", [7, 2**20 + 1, 2**40])
def test_stream_that_cannot_be_unpacked(rig: Rig, size: int) -> None:
    rig.source.faults.unpacked = size
    rig.start()
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    assert report["error"] == "hv1: a packed piece of the save's stream cannot be unpacked"
    rig.assert_on_source()


def test_stream_that_ends_early(rig: Rig) -> None:
    rig.source.faults.truncated = True
    rig.start()
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    assert "ended in the middle of its stream" in report["error"]
    rig.assert_on_source()


def test_list_of_frames_that_is_not_in_order(rig: Rig) -> None:
    rig.destination.gfns.reverse()
    rig.start()
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    assert "hv2: the list of frames of export" in report["error"] and "is not in order" in report["error"]
    rig.assert_on_source()


def test_refused_frame_without_content(rig: Rig) -> None:
    rig.source.faults.refused_pfns = [50, 61]
    rig.start()
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    assert "1 frames of u1 are not in the export, the first is pfn 0x3d" in report["error"]
    rig.assert_on_source()


def test_refused_pair(rig: Rig) -> None:
    rig.start(refuse=REFUSED_GFN)
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    assert f"gfn {REFUSED_GFN:#x} of hv1" in report["error"]
    assert "not plain RAM" in report["error"]
    rig.assert_on_source()


def test_pair_that_nobody_wanted_to_be_kept(rig: Rig) -> None:
    """All went well, by each single status; only the sum shows that a frame is still where it was."""
    rig.start(kept=REFUSED_GFN)
    code, report, _ = rig.migrate()
    assert code == ROLLED_BACK
    assert "96 frames swapped, 0 exchanged and 3 kept are not the 100" in report["error"]
    assert "committing" not in rig.states()
    rig.assert_on_source()


def test_backends_are_bound_again_before_the_guest_runs(rig: Rig) -> None:
    rig.source.faults.broken = {"quiesce": "made to fail"}
    rig.start()
    assert rig.migrate().code == ROLLED_BACK
    asked = rig.source.asked
    assert asked.index("quiesce") < asked.index("rebind") < asked.index("resume")


@pytest.mark.parametrize("change", [{"dying": True}, {"name": "renamed"}], ids=["destroyed", "renamed"])
def test_destination_is_tampered_with_in_the_swap(rig: Rig, change: dict[str, Any]) -> None:
    migration = rig.migrate_and_hold("swap-half")
    for name, value in change.items():
        setattr(rig.destination.the_domain(), name, value)
    code, report, _ = migration.go_on()
    assert code == ROLLED_BACK
    assert "gone or was tampered with" in report["error"]
    rig.assert_on_source()


def test_reboots_on_the_source_after_it_was_resumed(rig: Rig) -> None:
    rig.source.faults.broken = {"quiesce": "made to fail"}
    rig.destination.faults.broken = {"restore-abort": "not yet", "destroy": "not yet"}
    rig.start()
    migration = rig.migrate_in_background()
    rig.wait_until_it_has_let_the_guest_run()
    wait_until(lambda: not rig.source.exports)
    rig.kill()
    migration.end()
    rig.source.domains = [Domain(REBOOTED_DOMID)]
    rig.destination.faults.broken = {}
    rig.start()
    rig.wait_for_state("rolled-back")
    rig.assert_on_source()


# A host VM that dies between the swap and the commit

def test_goes_on_when_the_source_dies_after_the_swap(rig: Rig) -> None:
    migration = rig.migrate_and_hold("commit", dead=1)
    rig.source.faults.broken = {"hello": "gone"}
    migration.let_go()
    wait_until(lambda: not rig.destination.the_domain().paused)
    rig.source.domains, rig.source.exports = [], {}
    rig.source.faults.broken = {}
    assert migration.end().code == DONE
    rig.assert_on_destination()


def test_source_that_ends_after_the_commit_is_not_waited_for(rig: Rig) -> None:
    """What was left there went with it, and no agent comes to tell so."""
    migration = rig.migrate_and_hold("resume", dead=1)
    rig.source.faults.mute = {"destroy", "hello"}
    ended = migration.go_on()
    assert ended.code == DONE, ended
    assert rig.status()["migration"] is None
    assert "what was left of u1 there" in rig.log()


def test_goes_on_when_the_source_dies_before_it_lists_its_devices(rig: Rig) -> None:
    migration = rig.migrate_and_hold("commit", dead=1)
    rig.source.faults.broken = {"needs": "gone"}
    code, report, err = migration.go_on()
    assert code == DONE, err
    assert "error" not in report
    wait_until(lambda: rig.source.domain() is None)     # it is asked to destroy it, and not waited for
    assert not rig.destination.the_domain().paused


def test_goes_back_when_the_source_is_silent_after_the_swap(rig: Rig) -> None:
    migration = rig.migrate_and_hold("commit")
    rig.source.faults.broken = {"hello": "gone"}
    migration.let_go()
    asked_again(rig.source, "hello")
    restored = rig.destination.domain()
    assert restored is None or restored.paused
    rig.source.faults.broken = {}
    assert migration.end().code == ROLLED_BACK
    rig.assert_on_source()


# Pairs that cannot be put back

def test_stuck_touches_nothing(rig: Rig) -> None:
    rig.start(refuse=REFUSED_GFN, stuck=1)
    assert rig.migrate().code == UNFINISHED
    rig.assert_untouched()
    assert rig.status_code() == UNFINISHED
    # What to type.
    migration, transaction = rig.status()["migration"], rig.records()[-1]["txn"]
    for command in (f"vmbeam transaction retry {transaction}", f"vmbeam transaction forget {transaction}",
                    f"vmbeam forget {migration['id']}"):
        assert command in migration["waiting_for"], migration
    assert rig.migrate().code == REFUSED
    rig.restart()
    wait_until(lambda: rig.status_code() == UNFINISHED)
    rig.assert_untouched()


def test_stuck_stays_stuck_when_the_module_is_loaded_anew(rig: Rig) -> None:
    """It does not know the transaction then: that it was rolled back must not be concluded."""
    rig.start(refuse=REFUSED_GFN, stuck=1)
    assert rig.migrate().code == UNFINISHED
    rig.forget_transactions()
    rig.restart()
    wait_until(lambda: rig.status_code() == UNFINISHED)
    assert f"vmbeam forget {rig.status()['migration']['id']}" in rig.status()["migration"]["waiting_for"]
    rig.assert_untouched()


def test_transaction_is_on_record_before_a_pair_moves(rig: Rig) -> None:
    """Only by its id does the next daemon find out that pairs are stuck."""
    rig.kill_at("swap-half")
    rig.transactions_become("stuck")
    rig.start()
    wait_until(lambda: rig.status_code() == UNFINISHED)
    rig.assert_untouched()


# An operator gives a migration up

def test_nothing_to_forget(rig: Rig) -> None:
    rig.start()
    assert rig.command("forget", NO_SUCH_ID).code == REFUSED


def test_forget_what_is_stuck(rig: Rig) -> None:
    rig.start(refuse=REFUSED_GFN, stuck=1)
    code, report, _ = rig.migrate()
    assert code == UNFINISHED
    migration = report["id"]
    assert migration in rig.command("status").out
    code, _, err = rig.command("forget", NO_SUCH_ID)
    assert code == REFUSED
    assert migration in err
    code, _, err = rig.command("forget", migration)
    assert code == DONE, err
    assert rig.last_state() == "forgotten"
    assert rig.status()["last"]["outcome"] == "forgotten"
    # Nobody tidies up, so an operator has to: both host VMs have it.
    assert rig.status_code() == UNFINISHED and len(rig.status()["doubles"]) == 1
    # It did not touch a thing, and stands in nobody's way.
    rig.assert_untouched()
    assert rig.command("forget", migration).code == REFUSED
    for agent in rig.agents:
        agent.exports.clear()
    rig.destination.domains.clear()
    guest = rig.source.the_domain()
    guest.suspended = guest.shutdown = False
    rig.restart()
    assert rig.status_code() == DONE
    code, report, err = rig.migrate()
    assert code == DONE and report["outcome"] == "done", err
    rig.assert_on_destination()


def test_forget_what_waits(rig: Rig) -> None:
    rig.start(die="commit")
    rig.migrate()
    rig.has_died()
    rig.destination.faults.broken = {"hello": "not yet"}
    rig.restart()
    wait_until(lambda: rig.status_code() == UNFINISHED)
    assert rig.command("forget", rig.status()["migration"]["id"]).code == DONE
    assert rig.last_state() == "forgotten"
    rig.destination.faults.broken = {}
    assert rig.status_code() == UNFINISHED and len(rig.status()["doubles"]) == 1
    rig.assert_untouched()


# A guest VM that is lost, or ends by itself

def test_lost_on_the_destination_after_the_commit(rig: Rig) -> None:
    source, destination = rig.source, rig.destination
    migration = rig.migrate_and_hold("resume")
    destination.the_domain().dying = True
    code, report, err = migration.go_on()
    assert code == UNFINISHED
    assert report["outcome"] == "lost" and "downtime_ms" not in report
    assert "lost" in err
    # The source's domain held scrap. The destination's export is all that is left of the guest VM.
    assert not source.domains and not source.exports
    assert destination.exports == {FIRST_EXPORT: Export(RESTORED_DOMID, armed=True)}
    rig.assert_lost("hv2", f"export {FIRST_EXPORT}")
    rig.restart()
    rig.assert_lost("hv2", f"export {FIRST_EXPORT}")
    assert destination.exports
    # The operator lets go of it and starts the guest VM anew: the daemon is free for it.
    destination.exports, destination.domains = {}, []
    source.domains.append(Domain(REBOOTED_DOMID))
    code, _, err = rig.migrate()
    assert code == DONE, err
    assert rig.status_code() == DONE
    rig.assert_on_destination()


def test_lost_on_the_destination_with_the_daemon(rig: Rig) -> None:
    rig.kill_at("resume")
    rig.destination.the_domain().dying = True
    # Somebody was quick: domains of that name, that are not the migration's.
    for agent in rig.agents:
        agent.domains.append(Domain(REBOOTED_DOMID))
    rig.start()
    rig.wait_for_state("lost")
    rig.assert_lost("hv2", f"export {FIRST_EXPORT}")
    assert [d.domid for d in rig.source.domains] == [REBOOTED_DOMID]
    assert rig.destination.the_domain().domid == REBOOTED_DOMID
    assert rig.destination.exports


def test_ends_on_the_destination_after_it_ran(rig: Rig) -> None:
    rig.destination.faults.broken = {"export-release": "not yet"}
    rig.start()
    migration = rig.migrate_in_background()
    rig.wait_until_it_has_let_the_guest_run()
    rig.kill()
    migration.end()
    rig.destination.the_domain().dying = True
    rig.start()
    wait_until(lambda: rig.status_code() == UNFINISHED)
    rig.destination.faults.broken = {}
    rig.wait_for_state("done")
    assert not rig.source.domains and not rig.destination.domains
    assert not rig.exports()


@pytest.mark.parametrize(("point", "left"), [
    ("suspend", {}),
    ("commit", {FIRST_EXPORT: Export(GUEST_DOMID, armed=True)}),
], ids=["suspend", "commit"])
def test_lost_on_the_source_before(rig: Rig, point: str, left: dict[int, Export]) -> None:
    migration = rig.migrate_and_hold(point)
    rig.source.the_domain().dying = True
    code, report, err = migration.go_on()
    assert code == UNFINISHED
    assert report["outcome"] == "lost" and report["error"]
    assert "lost: hv1" in err
    assert not rig.destination.domains and not rig.destination.exports
    assert "resume" not in rig.source.asked
    assert rig.source.exports == left
    said = f"export {FIRST_EXPORT}" if left else "no armed export"
    rig.assert_lost("hv1", said)
    rig.restart()
    rig.assert_lost("hv1", said)


def test_reboots_instead_of_suspending(rig: Rig) -> None:
    """It runs on the source, under another domid: nothing is lost."""
    migration = rig.migrate_and_hold("suspend")
    rig.source.domains = [Domain(REBOOTED_DOMID)]
    code, report, _ = migration.go_on()
    assert code == ROLLED_BACK
    assert f"domain {GUEST_DOMID} has gone while it was asked to suspend" in report["error"]
    assert rig.source.the_domain().domid == REBOOTED_DOMID
    assert f"it runs there as domain {REBOOTED_DOMID}" in rig.log()
    assert "resume" not in rig.source.asked
    rig.assert_on_source()


def test_lost_on_the_source_with_another_domain_after_the_swap(rig: Rig) -> None:
    """A suspended guest VM does not reboot: somebody destroyed it, and started another one."""
    migration = rig.migrate_and_hold("commit")
    rig.source.the_domain().dying = True
    rig.source.domains.append(Domain(REBOOTED_DOMID))
    code, report, _ = migration.go_on()
    assert code == UNFINISHED
    assert report["outcome"] == "lost"


# What a restarted daemon makes of a dead one's journal

@pytest.mark.parametrize("point", ["prepare", "suspend", "state", "quiesce", "swap", "swap-half", "commit"])
def test_killed_at(rig: Rig, point: str) -> None:
    rig.kill_at(point)
    begun = rig.states()
    rig.start()
    if begun:
        rig.wait_for_state("rolled-back")
    rig.assert_on_source()
    code, _, err = rig.migrate()
    assert code == DONE, err
    rig.assert_on_destination()


def test_killed_after_the_commit(rig: Rig) -> None:
    rig.start(die="commit")
    assert rig.migrate().code == NO_DAEMON
    rig.has_died()
    assert rig.last_state() == "committing"
    assert rig.destination.the_domain().paused
    rig.restart()
    rig.wait_for_state("done")
    rig.assert_on_destination()


def test_killed_before_the_resume_with_a_silent_agent(rig: Rig) -> None:
    migration = rig.migrate_and_hold("resume")
    rig.destination.faults.broken = {"hello": "not yet"}
    rig.kill()
    migration.end()
    rig.start()
    wait_until(lambda: rig.status_code() == UNFINISHED)
    asked_again(rig.destination, "hello")
    assert rig.source.the_domain().suspended, "nothing is done on the source before the guest VM runs"
    rig.destination.faults.broken = {}
    rig.wait_for_state("done")
    rig.assert_on_destination()


def test_transaction_is_unknown_after_committing(rig: Rig) -> None:
    rig.start(die="commit")
    rig.migrate()
    rig.has_died()
    rig.forget_transactions()
    rig.restart()
    wait_until(lambda: rig.status_code() == UNFINISHED)
    rig.assert_untouched()


def test_transaction_is_of_others_after_committing(rig: Rig) -> None:
    rig.start(die="commit")
    rig.migrate()
    rig.has_died()
    rig.transactions_are_of_others()
    rig.restart()
    wait_until(lambda: rig.status_code() == UNFINISHED)
    rig.assert_untouched()


def test_what_runs_on_the_destination_is_not_destroyed(rig: Rig) -> None:
    """Whatever the journal says: somebody has let it go."""
    rig.kill_at("state")
    runs = rig.destination.the_domain()
    runs.paused = False
    rig.destination.faults.broken = {"restore-abort": "there is no restore"}
    rig.start()
    wait_until(lambda: "runs, though it was never let go" in rig.command("status").out)
    assert rig.destination.domain() is runs
    # The operator does as told.
    rig.destination.domains.clear()
    rig.wait_for_state("rolled-back")
    rig.assert_on_source()


def test_journal_of_another_boot(rig: Rig) -> None:
    """Host VMs do not survive the host: what has the same domids now is something else."""
    rig.kill_at("swap")
    rig.change_last_record(boot_id="of another")
    for agent in rig.agents:
        agent.asked.clear()
    rig.start()
    rig.wait_for_state("rolled-back")
    assert rig.status_code() == DONE
    # A status looks at both, and that is all.
    assert {*rig.source.asked, *rig.destination.asked} <= {"hello", "system"}
    # Whoever comes back after the restart has to hear of it.
    assert "the host was restarted during the migration" in rig.command("status").out


def test_journal_of_another_boot_and_other_names(rig: Rig) -> None:
    """They were renamed since: what they were called then matters to nobody."""
    rig.kill_at("swap")
    rig.change_last_record(boot_id="of another")
    rig.configure("left", "right")
    rig.start()
    rig.wait_for_state("rolled-back")
    assert rig.status_code() == DONE


def test_journal_with_a_host_vm_that_is_not_configured(rig: Rig) -> None:
    rig.kill_at("swap")
    rig.configure("left", "hv2")
    rig.run_to_its_end()
    assert "the configuration has no host VM hv1" in rig.log()
    rig.configure("hv1", "hv2")
    rig.start()
    rig.wait_for_state("rolled-back")
    rig.assert_on_source()


@pytest.mark.parametrize("point", ["suspend", "swap-half", "resume"])
def test_journal_of_an_older_daemon(rig: Rig, point: str) -> None:
    """Its records do not say of which version they are."""
    rig.kill_at(point)
    rig.write_records([{key: v for key, v in record.items() if key != "version"} for record in rig.records()])
    rig.start()
    rig.wait_for_state("done" if point == "resume" else "rolled-back")
    assert rig.records()[-1]["version"] == 2
    if point == "resume":
        rig.assert_on_destination()
    else:
        rig.assert_on_source()


def test_journal_of_a_later_daemon(rig: Rig) -> None:
    rig.kill_at("swap")
    *records, last = rig.records()
    rig.write_records([*records, {**last, "version": 3}])
    rig.run_to_its_end()
    assert "start the later vmbeamd that wrote it" in rig.log()


def test_table_of_the_ways_is_the_documented_one(programs: Path) -> None:
    printed = subprocess.run([programs / "vmbeamd", "--print-ways"], capture_output=True, text=True, check=True).stdout
    assert printed in (Path(__file__).parents[2] / "docs/architecture.md").read_text()


def test_list_that_was_cut_is_no_proof(rig: Rig) -> None:
    rig.kill_at("resume")
    rig.destination.faults.unlisted = True
    rig.start()
    wait_until(lambda: rig.status_code() == UNFINISHED)
    assert "had to cut" in rig.command("status").out
    assert rig.last_state() == "committed"
    assert rig.source.domain()
    rig.destination.faults.unlisted = False
    rig.wait_for_state("done")
    rig.assert_on_destination()


def test_journal_is_shortened(rig: Rig) -> None:
    rig.start()
    assert rig.migrate().code == DONE
    assert len(rig.states()) > 5
    rig.restart()
    assert rig.states() == ["done"]


def test_journal_is_not_shortened_while_something_is_unfinished(rig: Rig) -> None:
    rig.start()
    assert rig.migrate().code == DONE
    rig.source.domains, rig.destination.domains = [Domain(GUEST_DOMID)], []
    rig.kill()
    rig.kill_at("quiesce")
    rig.start()
    rig.wait_for_state("rolled-back")
    assert rig.states()[:2] == ["done", "prepare"]
