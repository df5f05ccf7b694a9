# SPDX-License-Identifier: GPL-2.0
"""What vmbeamd tells as it happens: to whoever asked for it, and to whoever wants to hear of all."""
import json
import time

import pytest

from daemon_rig import DONE, ROLLED_BACK, Client, Rig, wait_until
from made_up_agent import UUID, Json

STEPS = ["check", "prepare", "suspend", "state", "quiesce", "swap", "commit", "resume"]


def subscriber(rig: Rig) -> Client:
    """One whom the daemon knows by now."""
    client = rig.client()
    client.send(cmd="events")
    (status,) = client.ask(cmd="status")
    assert status["result"]["outcome"] == "ok"
    return client


def is_outcome(line: Json) -> bool:
    return bool(line["event"] == "outcome")


def test_events(rig: Rig) -> None:
    rig.start()
    client = subscriber(rig)
    before = int(time.time() * 1000)
    # A check is not for others.
    assert rig.command("check", "hv1/u1", "hv2").code == DONE
    _, report, err = rig.migrate()
    *phases, outcome = client.until(is_outcome)
    about = {"migration": report["id"], "from": "hv1", "to": "hv2"}
    for event in [*phases, outcome]:
        assert event.items() >= about.items()
        assert before <= event["time"] <= time.time() * 1000
    assert all(event["guest"] == "u1" and event["uuid"] == UUID for event in [*phases[1:], outcome])
    assert [event["phase"] for event in phases if "ms" in event] == STEPS
    assert [event["phase"] for event in phases if not {"ms", "done"} & set(event)] == STEPS
    assert outcome["outcome"] == "done" and outcome["downtime_ms"] == report["downtime_ms"]
    # Whoever asked has heard of the same.
    told = [json.loads(line) for line in err.splitlines()]
    assert told == [*phases, outcome]
    client.close()


@pytest.mark.parametrize("how", ["refused", "rolled-back", "stuck"])
def test_event_of_a_failure(rig: Rig, how: str) -> None:
    if how == "refused":
        rig.destination.faults.problems = ["not today"]
    rig.start(refuse=1020, stuck=int(how == "stuck"))
    client = subscriber(rig)
    rig.migrate()
    outcome = client.until(is_outcome)[-1]
    assert outcome["outcome"] == how and "downtime_ms" not in outcome
    assert ("not today" if how == "refused" else "the hypervisor refuses gfn 0x3fc of hv1") in outcome["error"]
    if how == "stuck":
        rig.transactions_become("passing")
        assert client.until(is_outcome)[-1]["outcome"] == "rolled-back"
    client.close()


def test_progress_inside_a_phase(rig: Rig) -> None:
    migration = rig.migrate_and_hold("swap-half")
    client = subscriber(rig)
    held = time.monotonic()
    # Events come 250 ms apart at least, so there is one when that has passed.
    wait_until(lambda: time.monotonic() - held > 0.3)
    now = rig.status()["migration"]
    assert now["phase"] == "swap"
    assert migration.go_on().code == DONE
    first, *_ = [event for event in client.until(is_outcome) if "done" in event]
    assert (first["phase"], first["total"], first["unit"]) == ("swap", 100, "frames")
    assert 50 <= first["done"] < 100
    client.close()


def test_progress_is_rare(rig: Rig) -> None:
    """The guest VM stands still meanwhile, and the agent's lists come in a hundred pieces."""
    for agent in rig.agents:
        agent.gfns = [(pfn, 1000 + 2 * pfn, 1) for pfn in range(100)]
    rig.start()
    client = subscriber(rig)
    assert rig.migrate().code == DONE
    events = client.until(is_outcome)
    progress = [event["time"] for event in events if "done" in event]
    assert len(progress) <= (events[-1]["time"] - events[0]["time"]) / 250
    client.close()


def test_subscriber_that_does_not_read(rig: Rig) -> None:
    """It is dropped, and nobody has waited for it."""
    rig.source.the_domain().name = 16000 * "u"
    rig.source.faults.broken = {"quiesce": "made to fail"}
    rig.start()
    deaf, client = subscriber(rig), subscriber(rig)
    # Each has some 160 KB of events, of which the socket takes a part.
    for _ in range(8):
        assert rig.migrate(f"hv1/{UUID}").code == ROLLED_BACK
        client.until(is_outcome)
        if "does not read what it asked for: it is dropped" in rig.log():
            break
    else:
        pytest.fail("it is not dropped")
    while deaf.line() is not None:
        pass
    deaf.close()
    rig.source.faults.broken = {}
    assert rig.migrate(f"hv1/{UUID}").code == DONE
    client.until(is_outcome)
    client.close()


def test_too_many_subscribers(rig: Rig) -> None:
    """The rest of the places are for those who ask for something."""
    rig.start()
    clients = [subscriber(rig) for _ in range(8)]
    late = rig.client()

    def is_taken() -> bool:
        late.send(cmd="events")
        first = late.ask(cmd="status")[0]["result"]
        if first["outcome"] == "ok":
            return True
        assert first["outcome"] == "refused" and "as many clients" in first["error"]
        late.until(lambda line: line["result"]["outcome"] == "ok")
        return False

    assert not is_taken()
    clients.pop().close()
    wait_until(is_taken)
    # Who hears of all already takes no second place.
    assert is_taken()
    for client in [*clients, late]:
        client.close()


def test_subscriber_who_asks(rig: Rig) -> None:
    """It hears of each thing once."""
    rig.start()
    client = subscriber(rig)
    *events, result = client.ask(cmd="migrate", guest="u1", **{"from": "hv1", "to": "hv2"})
    assert [event["phase"] for event in events if "ms" in event] == STEPS
    assert is_outcome(events[-1]) and result["result"]["outcome"] == "done"
    client.close()
