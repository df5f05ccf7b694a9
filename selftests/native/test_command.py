# SPDX-License-Identifier: GPL-2.0
"""vmbeam itself, with a daemon that is made up: what it asks, what it prints, and what it exits with."""
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from command_rig import ALL, EVENTS, LONG, PLAN, REPORT, Command
from daemon_rig import DONE, MISUSE, NO_DAEMON, REFUSED, ROLLED_BACK, UNFINISHED
from made_up_agent import Json

OK: Json = {"result": {"outcome": "ok"}}


def in_words(value: Any) -> str | None:
    """A test's id: without what an address must not have."""
    return re.sub(r"\W+", "_", value) if isinstance(value, str) else "request"


# Exit codes

@pytest.mark.parametrize("outcome, code", [
    ("done", DONE), ("ok", DONE), ("misuse", MISUSE), ("refused", REFUSED), ("rolled-back", ROLLED_BACK),
    ("lost", UNFINISHED), ("stuck", UNFINISHED), ("unfinished", UNFINISHED), ("forgotten", UNFINISHED),
    ("what a later daemon says", UNFINISHED)], ids=in_words)
@pytest.mark.parametrize("name", ["migrate", "evacuate", "return", "maintain"])
def test_outcome(command: Command, name: str, outcome: str, code: int) -> None:
    command.daemon.answer(name, {"result": {"outcome": outcome, "error": "why it is so", "guest": "u1"}})
    ended = command(*LONG[name])
    assert ended.code == code
    assert code == DONE or "why it is so" in ended.err
    ended = command(*LONG[name], "--json")
    assert ended.code == code and json.loads(ended.out)["outcome"] == outcome


def test_called_off(command: Command) -> None:
    """It is what --abort wants, and nothing that the others want."""
    for cmd in ("evacuate", "maintain", "resume", "abort"):
        command.daemon.answer(cmd, {"result": {**REPORT, "outcome": "aborted"}})
    assert command(*LONG["evacuate"]).code == ROLLED_BACK
    assert command(*LONG["maintain"]).code == ROLLED_BACK
    assert command(*LONG["resume"]).code == ROLLED_BACK
    ended = command(*LONG["abort"])
    assert ended.code == DONE and "called off" in ended.err


def test_what_an_operator_is_needed_for(command: Command) -> None:
    report = {**REPORT, "outcome": "unfinished", "waiting_for": "start hv1\x1b[2J"}
    command.daemon.answer("maintain", {"result": report})
    ended = command(*LONG["maintain"])
    assert ended.code == UNFINISHED
    assert "vmbeam: not finished: start hv1\\x1b[2J\n" in ended.err


@pytest.mark.parametrize("name", sorted(ALL))
def test_no_daemon(command: Command, name: str) -> None:
    command.env["VMBEAM_SOCKET"] += ".not-there"
    ended = command(*ALL[name])
    assert ended.code == NO_DAEMON and ".not-there" in ended.err


@pytest.mark.parametrize("name", sorted(ALL))
def test_daemon_goes_away(command: Command, name: str) -> None:
    running = command.start(*ALL[name])
    command.daemon.asked(name).hang_up()
    ended = running.end()
    assert ended.code == NO_DAEMON and "vmbeamd went away" in ended.err


@pytest.mark.parametrize("arguments", [
    "migrate u1", "migrate hv1/u1", "evacuate", "evacuate hv1", "evacuate --to hv2", "evacuate hv1 hv2 --to hv3",
    "evacuate hv1 --to", "evacuate hv1 --via hv2", "evacuate hv1 --to hv2 --no-probe",
    "evacuate hv1 --to hv2 --retries x", "evacuate hv1 --to hv2 --retries 11", "evacuate hv1 --to hv2 --unmovable kill",
    "return", "return hv1 --to hv2", "evacuate hv1 --to hv2 --from hv1",
    "return hv1 hv2", "maintain hv1", "maintain hv1 --via hv2 --only u1", "maintain hv1 --via hv2 --config /not-there",
    "maintain --resume hv1", "maintain --resume --abort", "maintain --abort --no-probe", "maintain --via hv2 --resume",
    "list hv1 hv2", "list --names frames", "list --names guests --json", "history u1", "history --kind pause",
    "history --since yesterday", "history --since 5x", "history --last 0", "history --last 10001", "events u1", "adopt",
    "adopt u1 u2", "status hv1", "dance"], ids=in_words)
def test_misuse(command: Command, arguments: str) -> None:
    ended = command(*arguments.split())
    assert ended.code == MISUSE and ended.err and not ended.out
    assert not command.daemon.requests


@pytest.mark.parametrize("name", sorted({words[0] for words in ALL.values()}))
def test_help(command: Command, name: str) -> None:
    ended = command(name, "--help")
    assert ended.code == DONE and ended.out.startswith(f"usage: vmbeam {name} ") and not ended.err
    assert all(len(line) <= 120 for line in ended.out.splitlines())
    assert not command.daemon.requests


# What is asked

@pytest.mark.parametrize("arguments, request_", [
    ("evacuate hv1 --to hv2", {"cmd": "evacuate", "from": "hv1", "to": "hv2"}),
    ("evacuate --to hv2 hv1 --only u* --only db --except u1 --unmovable leave --retries 3",
     {"cmd": "evacuate", "from": "hv1", "to": "hv2", "only": ["u*", "db"], "except": ["u1"], "unmovable": "leave",
      "retries": 3}),
    ("return hv1 --from hv3", {"cmd": "return", "from": "hv3", "to": "hv1"}),
    ("return hv1 --only u1 --dry-run", {"cmd": "return", "to": "hv1", "only": ["u1"], "dry_run": True}),
    ("maintain hv1 --via hv2 --no-probe --no-return --config /dev/null --unmovable shutdown",
     {"cmd": "maintain", "from": "hv1", "to": "hv2", "no_probe": True, "no_return": True, "config": "/dev/null",
      "unmovable": "shutdown"}),
    ("maintain --resume --json", {"cmd": "resume"}),
    ("maintain --abort", {"cmd": "abort"}),
    ("adopt u1", {"cmd": "adopt", "guest": "u1"}),
    ("list", {"cmd": "list"}),
    ("list --names guests", {"cmd": "list", "names": True}),
    ("history --kind migration --guest u* --hostvm hv1 --failed --last 20 --since 2026-11-26 --until 2026-11-26T18:30",
     {"cmd": "history", "kind": "migration", "guest": "u*", "hostvm": "hv1", "failed": True, "last": 20,
      "since": 1795651200, "until": 1795717800})], ids=in_words)
def test_request(command: Command, arguments: str, request_: Json) -> None:
    command.daemon.answer(request_["cmd"], OK)
    assert command(*arguments.split()).code == DONE
    assert command.daemon.requests == [request_]


def test_files_and_commands(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hv1.cfg").write_text("")
    monkeypatch.chdir(tmp_path)
    command.daemon.answer("maintain", OK)
    assert command(*LONG["maintain"], "--config", "hv1.cfg", "--run", "apt-get -y upgrade; true").code == DONE
    assert command.daemon.requests[0]["config"] == str(tmp_path / "hv1.cfg")
    assert command.daemon.requests[0]["run"] == "apt-get -y upgrade; true"


def test_time_ago(command: Command) -> None:
    command.daemon.answer("history", OK)
    before = int(time.time())
    assert command("history", "--since", "90m").code == DONE
    assert before - 5400 <= command.daemon.requests[0]["since"] <= time.time() - 5400


def test_name_that_is_not_utf8(command: Command) -> None:
    for cmd in ("adopt", "return"):
        command.daemon.answer(cmd, OK)
    command("adopt", b"u\xff\\")
    command("return", "hv1", "--only", b"u\xff")
    assert command.daemon.requests[0]["guest"] == "u\\xff\\\\"
    assert command.daemon.requests[1]["only"] == ["u\\xff"]


# What is printed

HOSTVMS: list[Json] = [
    {"name": "hv1", "domid": 3, "agent": True, "version": "1", "xen": "4.20.1", "hostvm_xen": "4.20", "guests": [
        {"guest": "u1", "state": "running", "memory_mib": 256, "vcpus": 2, "disks": 1, "vifs": 1, "movable": True},
        {"guest": "u2", "state": "paused", "movable": False, "reasons": ["it is paused", "it has a PCI device"]}]},
    {"name": "hv2", "agent": False}]


def test_list(command: Command) -> None:
    command.daemon.answer("list", {"result": {"outcome": "ok", "hostvms": HOSTVMS}})
    ended = command("list")
    assert ended.code == DONE and not ended.err
    assert [line.split()[:2] for line in ended.out.splitlines()[1:3]] == [["hv1", "u1"], ["hv1", "u2"]]
    assert "it is paused" in ended.out and "PCI" not in ended.out
    assert "hv2" in ended.out and "does not answer" in ended.out
    assert "it has a PCI device" in command("list", "--reasons").out
    assert json.loads(command("list", "--json").out)["hostvms"] == HOSTVMS
    assert "hv2" not in command("list", "hv1").out
    assert json.loads(command("list", "--json", "hv2").out)["hostvms"] == HOSTVMS[1:]
    ended = command("list", "hv3")
    assert ended.code == REFUSED and 'no host VM "hv3"' in ended.err
    assert command("list", "--names", "hostvms").out == "hv1\nhv2\n"
    assert command("list", "--names", "guests").out == "hv1/u1\nhv1/u2\n"
    command.daemon.answer("list", {"result": {"outcome": "ok", "migration": {"id": "m1"},
                                              "hostvms": [{"name": "hv1", "away": [{"name": "u3"}]}]}})
    assert command("list", "--names", "away").out == "u3\n"
    assert command("list", "--names", "migrations").out == "m1\n"


def test_list_that_is_refused(command: Command) -> None:
    command.daemon.answer("list", {"result": {"outcome": "refused", "error": "vmbeamd is being stopped"}})
    ended = command("list")
    assert ended.code == REFUSED and ended.err == "vmbeam: vmbeamd is being stopped\n"


def test_large_answer(command: Command) -> None:
    """More than a socket takes at once."""
    guests = [{"guest": f"u{i}", "state": "running", "reasons": ["x" * 1000]} for i in range(2000)]
    hostvm = {"name": "hv1", "agent": True, "guests": guests}
    command.daemon.answer("list", {"result": {"outcome": "ok", "hostvms": [hostvm]}})
    ended = command("list", "--names", "guests")
    assert ended.code == DONE and len(ended.out.splitlines()) == 2000


def test_status(command: Command) -> None:
    quiet: Json = {"outcome": "ok", "hostvms": HOSTVMS, "migration": None, "maintenance": None, "waiting": [],
                   "last": None}
    command.daemon.answer("status", {"result": quiet})
    ended = command("status")
    assert ended.code == DONE
    assert "4.20.1" in ended.out and "nothing is under way" in ended.out
    command.daemon.answer("status", {"result": {**quiet, "maintenance": {**REPORT, "step": "start"},
                                                "waiting": ["start hv1; vmbeam maintain --resume goes on"]}})
    ended = command("status")
    assert ended.code == UNFINISHED
    assert "step start" in ended.out and "waits for you: start hv1; vmbeam maintain --resume goes on\n" in ended.out
    assert command("status", "--json").code == UNFINISHED


def test_history(command: Command) -> None:
    record = {"kind": "migration", "guest": "u1", "from": "hv1", "to": "hv2", "outcome": "done", "ended": 1764000000}
    records = [record, {**record, "guest": "u2", "outcome": "refused", "error": "no memory"}]
    command.daemon.answer("history", *({"record": r} for r in records), OK)
    ended = command("history")
    assert ended.code == DONE
    assert [line.split()[3] for line in ended.out.splitlines()[1:]] == ["u1", "u2"]
    assert [json.loads(line) for line in command("history", "--json").out.splitlines()] == records
    command.daemon.answer("history", {"result": {"outcome": "refused", "error": "the file cannot be read"}})
    ended = command("history")
    assert ended.code == REFUSED and ended.err == "vmbeam: the file cannot be read\n"


def test_events(command: Command) -> None:
    running = command.start("events")
    asked = command.daemon.asked("events")
    asked.say(EVENTS[0])
    assert running.process.stdout
    # At once, also where it is no terminal.
    assert json.loads(running.process.stdout.readline()) == EVENTS[0]
    asked.say(EVENTS[1])
    assert json.loads(running.process.stdout.readline()) == EVENTS[1]
    asked.result("refused", error="too many listen already")
    ended = running.end()
    assert ended.code == REFUSED and "too many listen already" in ended.err
    # All hooks, not those alone that failed.
    assert "hook (it begins, or has ended)" in command("events", "--help").out


def test_adopt(command: Command) -> None:
    command.daemon.answer("adopt", OK)
    assert command("adopt", "u1") == (DONE, "u1 stays where it is\n", "")
    command.daemon.answer("adopt", {"result": {"outcome": "refused", "error": "u1 was not evacuated"}})
    assert command("adopt", "u1") == (REFUSED, "", "vmbeam: u1 was not evacuated\n")


def test_plan_alone(command: Command) -> None:
    command.daemon.answer("maintain", {"result": {"outcome": "ok", "plan": PLAN}})
    ended = command(*LONG["maintain"], "--dry-run")
    assert ended.code == DONE and not ended.err
    assert re.search(r"u1 +moves to hv2 +1024 +120 ms\nu2 +moves to hv2 +512 +not known\nu3 +is shut down +256\n",
                     ended.out)
    assert "u3 cannot move: it has a PCI device\nu3 cannot move: its disk\\x07 is not there\n" in ended.out
    assert "2 guest VMs to move to hv2, 1536 MiB, down for about 120 ms in all (not known of 1)\n" in ended.out
    assert json.loads(command(*LONG["maintain"], "--dry-run", "--json").out)["plan"] == PLAN


@pytest.mark.parametrize("options", [[], ["--dry-run"]], ids=["all", "dry_run"])
def test_plan_that_is_refused(command: Command, options: list[str]) -> None:
    """All that stands in the way is told at once."""
    command.daemon.answer("evacuate", {"result": {"outcome": "refused", "plan": PLAN, "error": "u1: it is paused",
                                                  "problems": ["u1: it is paused", "u2: it has a\x07 PCI device"]}})
    ended = command(*LONG["evacuate"], *options)
    assert ended.code == REFUSED
    assert "moves to hv2" in ended.out
    assert ended.err.startswith("vmbeam: u1: it is paused\nvmbeam: u2: it has a\\x07 PCI device\n")
    assert ("nothing was touched" in ended.err) == (not options)


def test_report(command: Command) -> None:
    command.daemon.answer("maintain", {"result": REPORT})
    ended = command(*LONG["maintain"])
    assert ended.code == DONE
    assert re.search(r"u1 +hv1\nu2 +hv2 +adopted +no memory\nu3 +on neither host VM +was shut down\n", ended.out)
    assert "hv1 was restarted: Xen 4.20.0 before, 4.20.1 now. It was down for 63.0 s; all took 100.3 s.\n" in ended.out
    command.daemon.answer("evacuate", {"result": {**REPORT, "what": "evacuate"}})
    assert "hv1 is evacuated to hv2, in 100.3 s.\n" in command(*LONG["evacuate"]).out
    command.daemon.answer("return", {"result": {**REPORT, "what": "return", "from": "hv2", "to": "hv1"}})
    assert "The guest VMs of hv1 are home, after 100.3 s.\n" in command(*LONG["return"]).out
