# SPDX-License-Identifier: GPL-2.0
"""What vmbeamd keeps of what is over, and what it tells monitoring systems."""
import calendar
import json
import time
from typing import Any

import pytest
from prometheus_client.openmetrics import parser as openmetrics

from daemon_rig import DONE, REFUSED, ROLLED_BACK, UNFINISHED, Rig, wait_until
from made_up_agent import UUID

STEPS = ["check", "prepare", "suspend", "state", "quiesce", "swap", "commit", "resume"]


# The history

def test_done_is_in_the_history(rig: Rig) -> None:
    rig.start()
    before = int(time.time())
    assert rig.migrate().code == DONE
    (record,) = rig.history()
    assert record["kind"] == "migration" and record["outcome"] == "done"
    assert (record["guest"], record["uuid"], record["from"], record["to"]) == ("u1", UUID, "hv1", "hv2")
    assert before <= record["begun"] <= record["ended"] <= time.time()
    assert record["frames"]["swapped"] == 97 and record["downtime_ms"] > 0 and list(record["phases_ms"]) == STEPS
    # Thousands of numbers that nobody asks for later.
    assert "exchanged_gfns" not in record


def test_each_outcome_is_in_the_history(rig: Rig) -> None:
    """What was refused touched nothing, and an operator looks for the reason all the same. A check is no migration."""
    rig.start()
    rig.source.faults.broken = {"quiesce": "made to fail"}
    assert rig.migrate().code == ROLLED_BACK
    rig.source.faults.broken = {}
    rig.destination.faults.problems = ["not today"]
    assert rig.command("check", "hv1/u1", "hv2").code == REFUSED
    assert rig.migrate().code == REFUSED
    rig.destination.faults.problems = []
    assert rig.migrate().code == DONE
    rolled_back, refused, done = rig.history()
    assert rolled_back["outcome"] == "rolled-back" and "quiesce: made to fail" in rolled_back["error"]
    assert refused["outcome"] == "refused" and "not today" in refused["error"]
    assert done["outcome"] == "done" and "error" not in done
    assert rig.history(failed=True) == [rolled_back, refused]
    assert rig.history(last=1) == [done]
    assert rig.history(guest="u*", hostvm="hv2", kind="migration") == [rolled_back, refused, done]
    assert not rig.history(guest="v1") and not rig.history(kind="maintenance")


def test_lost_and_forgotten_are_in_the_history(rig: Rig) -> None:
    migration = rig.migrate_and_hold("commit", stuck=1)
    rig.destination.domains.clear()
    assert migration.go_on().code == UNFINISHED
    assert rig.history() == []
    assert rig.command("forget", rig.status()["migration"]["id"]).code == DONE
    (record,) = rig.history()
    assert record["outcome"] == "forgotten"


def test_history_is_kept(rig: Rig) -> None:
    """Whichever daemon finishes it. It has begun when its id says."""
    rig.kill_at("swap")
    rig.change_last_record(migration="20260102T030405-00000000")
    rig.start()
    rig.wait_for_state("rolled-back")
    wait_until(lambda: len(rig.history()) == 1)
    assert rig.migrate().code == DONE
    rig.restart()
    cut_off, done = rig.history()
    assert cut_off["outcome"] == "rolled-back" and "vmbeamd died" in cut_off["error"]
    assert cut_off["begun"] == calendar.timegm((2026, 1, 2, 3, 4, 5)) < cut_off["ended"]
    assert done["outcome"] == "done"


@pytest.mark.parametrize("state", ["done", "lost"])
def test_died_before_it_was_in_the_history(rig: Rig, state: str) -> None:
    """The journal has it; the next daemon makes up for it, once."""
    rig.start()
    assert rig.migrate().code == DONE
    (written,) = rig.history()
    rig.kill()
    rig.history_file.unlink()
    rig.change_last_record(state=state, lost="gone")
    rig.start()
    (record,) = rig.history()
    assert record["outcome"] == state and record["id"] == written["id"] and record["guest"] == "u1"
    assert record["begun"] == written["begun"] and written["ended"] - 1 <= record["ended"] <= written["ended"]
    assert metrics(rig)["vmbeam_migrations_total", ("outcome", state)] == 1
    rig.restart()
    assert rig.history() == [record]


def test_host_was_restarted(rig: Rig) -> None:
    """It is over as soon as a daemon sees it."""
    rig.kill_at("swap")
    rig.change_last_record(boot_id="another")
    rig.start()
    (record,) = rig.history()
    assert record["outcome"] == "rolled-back" and "the host was restarted" in record["error"]
    rig.restart()
    assert len(rig.history()) == 1


def test_history_is_bounded(rig: Rig) -> None:
    rig.configure("hv1", "hv2", history={"file": str(rig.history_file), "kib": 16})
    rig.destination.faults.problems = ["so long a reason that " + 60 * "it fills the history, "]
    rig.start()
    for _ in range(16):
        assert rig.migrate().code == REFUSED
        assert rig.history_file.stat().st_size <= 16 << 10
    last = rig.status()["last"]["id"]
    assert 1 < len(rig.history()) < 16 and rig.history()[-1]["id"] == last
    # What has left it is counted, also by a later daemon.
    assert metrics(rig)["vmbeam_migrations_total", ("outcome", "refused")] == 16
    rig.restart()
    assert metrics(rig)["vmbeam_migrations_total", ("outcome", "refused")] == 16


def test_history_cannot_be_written(rig: Rig) -> None:
    """Nothing is decided by it: that is a warning."""
    rig.history_file.mkdir()
    rig.start()
    assert rig.migrate().code == DONE
    rig.assert_on_destination()
    assert f"{rig.history_file} cannot be written, and lacks migration " in rig.log()
    wait_until(lambda: metrics(rig)["vmbeam_migrations_total", ("outcome", "done")] == 1)
    (answer,) = rig.client().ask(cmd="history")
    assert answer["result"]["outcome"] == "refused" and "cannot be read: Is a directory" in answer["result"]["error"]


def test_wrong_filter(rig: Rig) -> None:
    rig.start()
    client = rig.client()
    (answer,) = client.ask(cmd="history", last=0)
    assert answer["result"] == {"outcome": "misuse", "error": '"last" takes 1 to 10000'}
    (answer,) = client.ask(cmd="history", kind="x")
    assert answer["result"]["outcome"] == "misuse"
    client.close()


def test_long_history_for_a_slow_reader(rig: Rig) -> None:
    """Far more than a socket takes at once. The daemon waits for nobody, and nobody loses a line of it."""
    record = {"kind": "migration", "outcome": "done", "ended": int(time.time()), "guest": "u1", "error": 1000 * "x"}
    number = 3000
    rig.history_file.write_text("".join(json.dumps({**record, "id": str(i)}) + "\n" for i in range(number)))
    rig.start()
    slow = rig.client()
    slow.send(cmd="history")
    slow.ends()
    assert rig.migrate().code == DONE
    *lines, result = slow.until(lambda line: "result" in line)
    assert [line["record"]["id"] for line in lines[:number]] == [str(i) for i in range(number)]
    assert result["result"]["outcome"] == "ok"
    assert slow.line() is None
    slow.close()


# The metrics

def metrics(rig: Rig) -> dict[tuple[Any, ...], float]:
    families = openmetrics.text_string_to_metric_families(rig.metrics_file.read_text())     # type: ignore[no-untyped-call]
    return {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}


def test_metrics_with_long_texts(rig: Rig) -> None:
    """What an agent says is cut between two characters: a parser would refuse the whole file."""
    rig.source.faults.xen = 60 * "\u00e9"
    rig.start()
    rig.status()
    wait_until(lambda: "\u00e9\u00e9" in rig.metrics_file.read_text(encoding="utf-8"))
    assert metrics(rig)


def test_metrics_follow(rig: Rig) -> None:
    rig.start()
    at_start = metrics(rig)
    assert at_start["vmbeam_migrations_total", ("outcome", "done")] == at_start["vmbeam_migrating",] == 0
    # Nobody has asked it yet, so nobody is to be called because of it.
    assert ("vmbeam_agent_up", ("hostvm", "hv1")) not in at_start
    rig.kill()
    migration = rig.migrate_and_hold("swap")
    wait_until(lambda: metrics(rig)["vmbeam_migrating",] == 1)
    assert metrics(rig)["vmbeam_agent_up", ("hostvm", "hv1")] == 1
    assert metrics(rig)["vmbeam_agent_version", ("hostvm", "hv2"), ("version", "x"), ("xen", "4.20.0")] == 1
    assert migration.go_on().code == DONE
    wait_until(lambda: metrics(rig)["vmbeam_migrating",] == 0)
    now = metrics(rig)
    assert now["vmbeam_migrations_total", ("outcome", "done")] == now["vmbeam_pause_seconds_count",] == 1
    assert now["vmbeam_frames_total", ("kind", "swapped")] == 97
    assert now["vmbeam_pause_seconds_sum",] > 0
    assert time.time() - now["vmbeam_agent_answered_timestamp_seconds", ("hostvm", "hv1")] < 600
    rig.restart()
    assert metrics(rig)["vmbeam_migrations_total", ("outcome", "done")] == 1


def test_metrics_are_whole_when_it_stops(rig: Rig) -> None:
    migration = rig.migrate_and_hold("resume")
    assert rig.daemon
    rig.daemon.terminate()
    wait_until(lambda: "being stopped: migration" in rig.log())
    migration.go_on()
    rig.has_died()
    assert metrics(rig)["vmbeam_migrations_total", ("outcome", "done")] == 1
    assert metrics(rig)["vmbeam_migrating",] == 0


def test_metrics_of_what_is_stuck(rig: Rig) -> None:
    rig.start(refuse=1020, stuck=1)
    assert rig.migrate().code == UNFINISHED
    wait_until(lambda: metrics(rig)["vmbeam_stuck",] == 1)
    assert metrics(rig)["vmbeam_waiting",] == 1
    assert rig.command("forget", rig.status()["migration"]["id"]).code == DONE
    wait_until(lambda: metrics(rig)["vmbeam_waiting",] == 0)
    assert metrics(rig)["vmbeam_stuck",] == 0
    assert metrics(rig)["vmbeam_migrations_total", ("outcome", "forgotten")] == 1


def test_metrics_of_a_silent_agent(rig: Rig) -> None:
    rig.source.faults.mute = {"quiesce"}
    rig.limit(reply=1)
    rig.start()
    assert rig.migrate().code == ROLLED_BACK
    # It was asked again, for the end.
    wait_until(lambda: metrics(rig)["vmbeam_agent_up", ("hostvm", "hv1")] == 1)
    rig.destination.faults.mute = {"hello"}
    rig.limit(check_connect=1, hello=1)
    rig.restart()
    assert rig.migrate().code == REFUSED
    wait_until(lambda: metrics(rig).get(("vmbeam_agent_up", ("hostvm", "hv2"))) == 0)


def test_metrics_cannot_be_written(rig: Rig) -> None:
    rig.configure("hv1", "hv2", metrics=str(rig.directory / "nowhere/vmbeam.prom"))
    rig.start()
    assert rig.migrate().code == DONE
    rig.assert_on_destination()
    assert rig.log().count("nowhere/vmbeam.prom cannot be written: No such file or directory") == 1
