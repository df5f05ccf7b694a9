# SPDX-License-Identifier: GPL-2.0
"""vmbeam bench, with a daemon that is made up: what it asks for, when it stops, and its figures."""
import json

import pytest

from command_rig import Command
from daemon_rig import DONE, MISUSE, NO_DAEMON, ROLLED_BACK
from made_up_agent import Json

BENCH = ["bench", "hv1/u1", "hv2", "--runs", "2"]
UUID = "7a8b7a8b-0000-4000-8000-000000000001"
AWAY, HOME = ("hv1", "hv2"), ("hv2", "hv1")


def report(way: tuple[str, str], total: float, down: float, swap: float) -> Json:
    return {"guest": "u1", "uuid": UUID, "from": way[0], "to": way[1], "total_ms": total, "downtime_ms": down,
            "phases_ms": {"swap": swap, "commit": 1.0}}


def moves(command: Command, *reports: Json) -> None:
    for r in reports:
        command.daemon.asked("migrate").result("done", **r)


def test_there_and_back(command: Command) -> None:
    """Each way as often as was asked for; the way back by its UUID: a domid is another one there."""
    running = command.start(*BENCH)
    moves(command, report(AWAY, 100, 10, 4), report(HOME, 300, 40, 5), report(AWAY, 200, 20, 8), report(HOME, 900, 30, 3))
    ended = running.end()
    assert ended.code == DONE and not ended.err
    assert command.daemon.requests == [{"cmd": "migrate", "guest": "u1", "from": "hv1", "to": "hv2"},
                                       {"cmd": "migrate", "guest": UUID, "from": "hv2", "to": "hv1"},
                                       {"cmd": "migrate", "guest": UUID, "from": "hv1", "to": "hv2"},
                                       {"cmd": "migrate", "guest": UUID, "from": "hv2", "to": "hv1"}]
    lines = ended.out.splitlines()
    assert lines[:2] == ["1 of 4: u1 to hv2, 100.0 ms, down for 10.0 ms", "2 of 4: u1 to hv1, 300.0 ms, down for 40.0 ms"]
    assert [" ".join(line.split()) for line in lines[4:]] == [
        "WHAT MEDIAN LEAST MOST", "a whole migration 250.0 ms 100.0 ms 900.0 ms", "the downtime 25.0 ms 10.0 ms 40.0 ms",
        "phase swap 4.5 ms 3.0 ms 8.0 ms", "phase commit 1.0 ms 1.0 ms 1.0 ms"]


def test_json(command: Command) -> None:
    """What Ctrl-C and hooks tell aside, nothing but the one object."""
    running = command.start("bench", "--json", "--runs", "1", "hv1/u1", "hv2")
    reports = [report(AWAY, 100, 10, 4), report(HOME, 300, 40, 5)]
    moves(command, *reports)
    ended = running.end()
    assert ended.code == DONE and not ended.err
    got = json.loads(ended.out)
    assert got["reports"] == [{"outcome": "done", **r} for r in reports]
    assert got["figures"] == {"total_ms": {"median": 200, "least": 100, "most": 300},
                              "downtime_ms": {"median": 25, "least": 10, "most": 40},
                              "swap": {"median": 4.5, "least": 4, "most": 5}, "commit": {"median": 1, "least": 1, "most": 1}}


def test_fails_on_the_way_back(command: Command) -> None:
    """It ends, says where the guest VM is, and shows what was measured."""
    running = command.start(*BENCH)
    moves(command, report(AWAY, 100, 10, 4))
    command.daemon.asked("migrate").result("rolled-back", guest="u1", **{"from": "hv2"}, error="no memory")
    ended = running.end()
    assert ended.code == ROLLED_BACK and len(command.daemon.requests) == 2
    assert "no memory" in ended.err and "it is on hv2 now: vmbeam return hv1 brings it back" in ended.err
    assert "a whole migration" in ended.out


def test_refused_at_once(command: Command) -> None:
    command.daemon.answer("migrate", {"result": {"outcome": "refused", "error": "it has a PCI device"}})
    ended = command(*BENCH)
    assert ended.code == 2 and "PCI" in ended.err and "brings it back" not in ended.err and not ended.out
    ended = command(*BENCH, "--json")
    assert json.loads(ended.out) == {"figures": None, "reports": []}


def test_interrupted_too_late(command: Command) -> None:
    """The migration under way is done all the same, and no further one begins."""
    running = command.start(*BENCH)
    asked = command.daemon.asked("migrate")
    asked.say({"migration": "m1", "phase": "commit"})
    running.interrupt()
    command.daemon.asked("cancel").result("refused", error="migration m1 is committed")
    running.tells("migration m1 is committed")
    asked.result("done", **report(AWAY, 100, 10, 4))
    ended = running.end()
    assert ended.code == ROLLED_BACK and "vmbeam return hv1 brings it back" in ended.err
    assert "1 of 4" in ended.out and [r["cmd"] for r in command.daemon.requests] == ["migrate", "cancel"]


def test_no_daemon(command: Command) -> None:
    command.env["VMBEAM_SOCKET"] += ".not-there"
    ended = command(*BENCH)
    assert ended.code == NO_DAEMON and ".not-there" in ended.err and not ended.out


@pytest.mark.parametrize("arguments", ["bench u1 hv2", "bench hv1/u1", "bench --runs 0 hv1/u1 hv2", "bench --runs 1001 hv1/u1 hv2",
                                       "bench --runs x hv1/u1 hv2"], ids=["guest", "where", "none", "many", "word"])
def test_misuse(command: Command, arguments: str) -> None:
    ended = command(*arguments.split())
    assert ended.code == MISUSE and ended.err and not ended.out
    assert not command.daemon.requests


def test_help(command: Command) -> None:
    ended = command("bench", "--help")
    assert ended.code == DONE and ended.out.startswith("usage: vmbeam bench ") and not ended.err
    assert all(len(line) <= 120 for line in ended.out.splitlines())
