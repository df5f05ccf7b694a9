# SPDX-License-Identifier: GPL-2.0
"""vmbeam while something goes on that takes long, with a daemon that is made up: what is shown, and Ctrl-C."""
import json
import signal

import pytest

from command_rig import ALL, EVENTS, LONG, PLAN, REPORT, Command
from daemon_rig import DONE, REFUSED, ROLLED_BACK, UNFINISHED
from made_up_agent import Json

# While it goes on

def test_where_there_is_no_terminal(command: Command) -> None:
    command.daemon.answer("maintain", *EVENTS, EVENTS[0], {"result": REPORT})
    ended = command(*LONG["maintain"])
    assert ended.code == DONE and not ended.err
    assert "\x1b" not in ended.out and "\r" not in ended.out
    assert ended.out.count("is shut down") == 1
    assert ended.out.index("moves to hv2") < ended.out.index("step: evacuate (the guest VMs leave)\nu1: swap, 12.3 ms\nu1: done\n")


@pytest.mark.parametrize("name", sorted(set(LONG) - {"migrate"}))
def test_on_a_terminal(command: Command, name: str) -> None:
    running = command.start(*LONG[name], terminal=True)
    asked = command.daemon.asked(name)
    asked.say(*EVENTS[:3])
    running.wait_for("moves to hv2")
    running.wait_for("total")
    running.wait_for("evacuate, 0 of 2")
    asked.say(*EVENTS[3:])
    running.wait_for("done, down for 99 ms")
    asked.say({"result": REPORT})
    ended = running.end()
    assert ended.code == DONE and "\x1b[" in ended.out
    # Only once: what is drawn again is the block.
    assert ended.out.count("is shut down") == 1


@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
def test_hook_that_fails(command: Command, terminal: bool) -> None:
    """It is told beside the block, which is drawn below it."""
    begins = {"event": "hook", "hook": "50-dns", "when": "guest-after"}
    ends = {**begins, "status": 1, "error": "the hook 50-dns failed with status 1\n"}
    command.daemon.answer("maintain", *EVENTS, begins, ends, {"result": REPORT})
    ended = command.start(*LONG["maintain"], terminal=terminal).end()
    assert ended.code == DONE
    assert ended.err == "vmbeam: the hook 50-dns failed with status 1\\x0a\n"


def test_terminal_that_obeys_nothing(command: Command) -> None:
    command.env["TERM"] = "dumb"
    command.daemon.answer("maintain", *EVENTS, {"result": REPORT})
    ended = command.start(*LONG["maintain"], terminal=True).end()
    assert ended.code == DONE and "\x1b" not in ended.out and "u1: swap, 12.3 ms" in ended.out


def test_json_while_it_goes_on(command: Command) -> None:
    command.daemon.answer("maintain", *EVENTS, {"result": REPORT})
    running = command.start(*LONG["maintain"], "--json", terminal=True)
    ended = running.end()
    assert ended.code == DONE and "\x1b" not in ended.out
    assert json.loads(ended.out) == REPORT
    assert [json.loads(line) for line in ended.err.splitlines()] == EVENTS


@pytest.mark.parametrize("lines", [
    [{"migration": "m1", "phase": "swap"}, {"migration": "m1", "phase": "swap", "ms": 12.34}],
    [{"event": "phase", "migration": "m1", "guest": "u1", "uuid": "a", "phase": "swap", "ms": 12.34},
     {"event": "outcome", "migration": "m1", "guest": "u1", "uuid": "a", "outcome": "done", "downtime_ms": 7.0}]],
    ids=["phases", "events"])
def test_migrates(command: Command, lines: list[Json]) -> None:
    result = {"outcome": "done", "guest": "u1", "from": "hv1", "to": "hv2", "downtime_ms": 7.0, "total_ms": 50.0}
    command.daemon.answer("migrate", *lines, {"result": result})
    ended = command(*LONG["migrate"])
    assert ended.code == DONE
    assert "u1: swap, 12.3 ms\n" in ended.out and "u1 runs on hv2." in ended.out and "\x1b" not in ended.out
    ended = command.start(*LONG["migrate"], terminal=True).end()
    assert ended.code == DONE
    # One guest VM, so no total; and its last state is that of the result.
    assert "100 %  done, down for 7 ms" in ended.out and "total " not in ended.out
    ended = command(*LONG["migrate"], "--json")
    assert json.loads(ended.out) == result and [json.loads(line) for line in ended.err.splitlines()] == lines


def test_nothing_of_the_daemons_text_is_obeyed(command: Command) -> None:
    evil = "\x1b]0;evil\x07"
    plan = {**PLAN, "guests": [{"guest": evil, "uuid": "a", "way": "move", "need_kib": 1}]}
    command.daemon.answer("maintain", {"event": "plan", "maintenance": evil, "plan": plan},
                          {"event": "step", "step": evil},
                          {"event": "outcome", "guest": evil, "outcome": evil, "error": evil},
                          {"event": "waiting", "why": evil}, {"event": "hook", "hook": evil, "error": evil},
                          {"result": {"outcome": "unfinished", "waiting_for": evil}})
    for terminal in (False, True):
        ended = command.start(*LONG["maintain"], terminal=terminal).end()
        assert ended.code == UNFINISHED
        assert "\x1b]" not in ended.out + ended.err and "\x07" not in ended.out + ended.err


# Ctrl-C

@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
@pytest.mark.parametrize("name", sorted(LONG))
def test_interrupted(command: Command, name: str, terminal: bool) -> None:
    """The daemon is asked to call it off, and its end is waited for."""
    key, undo = ("migration", "cancel") if name == "migrate" else ("maintenance", "abort")
    running = command.start(*LONG[name], terminal=terminal)
    asked = command.daemon.asked(name)
    asked.say({"event": "phase" if name == "migrate" else "step", key: "m1", "phase": "prepare", "step": "evacuate"})
    running.interrupt()
    running.tells("calling it off")
    asked_undo = command.daemon.asked(undo)
    assert asked_undo.request == {"cmd": undo, key: "m1"}
    asked_undo.result("ok")
    asked.result("rolled-back" if name == "migrate" else "aborted", guest="u1")
    assert running.end().code == (DONE if name == "abort" else ROLLED_BACK)


def test_interrupted_before_it_has_an_id(command: Command) -> None:
    """What is under way until then may be somebody else's."""
    running = command.start(*LONG["migrate"])
    asked = command.daemon.asked("migrate")
    running.interrupt()
    running.tells("calling it off")
    assert len(command.daemon.requests) == 1
    asked.say({"migration": "m7", "phase": "check"})
    assert command.daemon.asked("cancel").request == {"cmd": "cancel", "migration": "m7"}
    asked.result("rolled-back")
    assert running.end().code == ROLLED_BACK


def test_interrupted_and_refused(command: Command) -> None:
    """Somebody else's migration is not called off."""
    running = command.start(*LONG["migrate"])
    asked = command.daemon.asked("migrate")
    running.interrupt()
    running.tells("calling it off")
    asked.result("refused", error="a migration of u2 is under way")
    assert running.end().code == REFUSED
    assert [request["cmd"] for request in command.daemon.requests] == ["migrate"]


def test_interrupted_too_late(command: Command) -> None:
    running = command.start(*LONG["migrate"])
    asked = command.daemon.asked("migrate")
    asked.say({"migration": "m1", "phase": "commit"})
    running.interrupt()
    command.daemon.asked("cancel").result("refused", error="migration m1 is committed")
    running.tells("migration m1 is committed")
    asked.result("done", guest="u1", to="hv2")
    assert running.end().code == DONE


@pytest.mark.parametrize("begun", [False, True], ids=["before_it_began", "when_it_had_begun"])
def test_interrupted_twice(command: Command, begun: bool) -> None:
    """It is the daemon's from then on."""
    running = command.start(*LONG["maintain"])
    asked = command.daemon.asked("maintain")
    if begun:
        asked.say(EVENTS[1])
    running.interrupt()
    running.tells("calling it off")
    if begun:
        command.daemon.asked("abort")
    running.interrupt()
    ended = running.end()
    assert ended.code == UNFINISHED
    assert ("is calling it off" if begun else "goes on with it") in ended.err and "vmbeam status" in ended.err


def test_interrupted_among_json_lines(command: Command) -> None:
    """What the command says of it is a JSON line like the others."""
    running = command.start(*LONG["maintain"], "--json")
    command.daemon.asked("maintain").say(EVENTS[1])
    running.tells('"step"')
    running.interrupt()
    command.daemon.asked("abort").result("refused", error="it is over")
    running.interrupt()
    ended = running.end()
    assert ended.code == UNFINISHED
    words = [json.loads(line) for line in ended.err.splitlines()]
    assert all(w["event"] == "words" for w in words), words
    assert "calling it off" in words[0]["words"] and "left to vmbeamd" in words[-1]["words"]


@pytest.mark.parametrize("arguments", [ALL["list"], ALL["events"], [*LONG["maintain"], "--dry-run"]],
                         ids=["list", "events", "dry_run"])
def test_interrupted_where_nothing_is_touched(command: Command, arguments: list[str]) -> None:
    running = command.start(*arguments)
    command.daemon.asked(arguments[0])
    running.interrupt()
    assert running.end().code == -signal.SIGINT


def test_interrupts_that_are_not_wanted(command: Command) -> None:
    """As of a script's command in the background."""
    running = command.start(*LONG["maintain"], background=True)
    asked = command.daemon.asked("maintain")
    asked.say(EVENTS[1])
    running.interrupt()
    asked.say({"result": REPORT})
    assert running.end().code == DONE
    assert [request["cmd"] for request in command.daemon.requests] == ["maintain"]
