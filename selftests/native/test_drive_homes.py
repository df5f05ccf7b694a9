# SPDX-License-Identifier: GPL-2.0
"""What vmbeamd knows of guest VMs that are away from their home, and of the host VMs when nobody asks."""
import pytest

from daemon_rig import DONE, REFUSED, UNFINISHED, wait_until
from made_up_agent import OTHER_UUID, UUID, Domain, MadeUpAgent
from test_drive import House, house, third    # pylint: disable=unused-import # noqa: F401

STRANGER = "00000000-0000-4000-8000-000000000001"


def metric(house: House, name: str, hostvm: str) -> str | None:
    """Its value."""
    lines = house.metrics_file.read_text(encoding="utf-8").splitlines()
    return next((line.split()[-1] for line in lines if line.startswith(f'{name}{{hostvm="{hostvm}"')), None)


def evacuates(house: House) -> None:
    """u1 is on hv2 from now on, and away from hv1."""
    house.start()
    assert house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2")[0]["outcome"] == "done"


def test_version_of_xen_is_told_whole(house: House) -> None:
    """An update may change its last number alone."""
    house.start()
    assert " 4.20.0 " in house.command("status").out


def test_memory_is_what_a_guest_vm_has(house: House) -> None:
    """Not what it may have: the toolstack's limit is more after xl mem-set."""
    house.start()
    assert house.ask(cmd="list")[0]["hostvms"][0]["guests"][0]["memory_mib"] == 2048


@pytest.mark.parametrize("uuid", [UUID, STRANGER], ids=["same-uuid", "new-uuid"])
def test_started_twice(house: House, uuid: str) -> None:
    """Without uuid= in its configuration xl gives it a new one at each start."""
    evacuates(house)
    assert house.status_code() == DONE
    house.source.domains.append(Domain(8, uuid=uuid))
    ended = house.command("status")
    assert ended.code == UNFINISHED
    assert "u1 is on hv1, which it has left, and on hv2" in ended.out and f"xl destroy 8 in its management VM (UUID {uuid})" in ended.out
    assert house.status()["doubles"] == [{"guest": "u1", "uuid": uuid, "hostvm": "hv1", "domid": 8}]
    wait_until(lambda: metric(house, "vmbeam_guests_doubled", "hv1") == "1")
    house.source.domains.clear()
    assert house.status_code() == DONE
    wait_until(lambda: metric(house, "vmbeam_guests_doubled", "hv1") == "0")


def test_may_have_been_started_twice(house: House, third: MadeUpAgent) -> None:
    """A host VM that may have it does not answer."""
    house.source.away = {UUID: "u1"}
    third.faults.mute = {"hello"}
    house.start()
    ended = house.command("status")
    assert ended.code == UNFINISHED and "is not known, since no agent answers on hv3" in ended.out, ended
    (house.directory / "system-hv3").write_text("ended\n")
    assert house.status_code() == DONE and not house.source.away


def created_anew(house: House) -> None:
    """On the refuge: it has another UUID there."""
    evacuates(house)
    house.destination.domains = [Domain(12, uuid=OTHER_UUID)]


def test_created_anew_on_the_refuge_and_returned(house: House) -> None:
    created_anew(house)
    assert house.ask(cmd="list")[0]["hostvms"][1]["guests"][0]["home"] == "hv1"
    result, _ = house.ask(cmd="return", to="hv1")
    assert result["outcome"] == "done" and [g["where"] for g in result["guests"]] == ["hv1"], result
    # Its home knew it by the other UUID, and its refuge is no home.
    wait_until(lambda: not house.source.away and not house.destination.away)
    assert not house.status()["warnings"]


def test_namesake_of_one_that_is_away(house: House, third: MadeUpAgent) -> None:
    """As long as there is one of its UUID, that is it."""
    evacuates(house)
    third.domains.append(Domain(12, uuid=OTHER_UUID))
    guests = {h["name"]: h["guests"] for h in house.ask(cmd="list")[0]["hostvms"]}
    assert guests["hv2"][0]["home"] == "hv1" and "home" not in guests["hv3"][0]


@pytest.mark.parametrize("called", ["u1", UUID, OTHER_UUID, "#12"], ids=["name", "old-uuid", "new-uuid", "domid"])
def test_adopts_one_that_was_created_anew(house: House, called: str) -> None:
    created_anew(house)
    assert house.command("adopt", called).code == DONE
    assert not house.source.away
    assert house.command("adopt", called).code == REFUSED


def test_adopts_one_that_is_nowhere(house: House) -> None:
    """It was destroyed for good, and nothing is to wait for it."""
    evacuates(house)
    house.destination.domains.clear()
    assert house.status()["warnings"]
    assert house.command("adopt", "u1").code == DONE
    assert not house.source.away and not house.status()["warnings"]


def test_does_not_adopt_what_is_on_both(house: House) -> None:
    """Nobody would warn of it any more."""
    evacuates(house)
    house.source.domains.append(Domain(8, uuid=STRANGER))
    ended = house.command("adopt", "u1")
    assert ended.code == REFUSED and "is on hv1, which it has left, and elsewhere, too" in ended.err, ended
    assert house.source.away and house.status_code() == UNFINISHED


def test_adopts_no_other_of_that_name(house: House, third: MadeUpAgent) -> None:
    evacuates(house)
    house.source.away[OTHER_UUID] = "u1"
    third.domains.append(Domain(3, uuid=OTHER_UUID))
    ended = house.command("adopt", "u1")
    assert ended.code == REFUSED and "several" in ended.err, ended
    assert house.command("adopt", "#3").code == DONE and list(house.source.away) == [UUID]


@pytest.mark.parametrize("first", ["hv1", "hv2"])
def test_moved_on_by_a_refuge(house: House, third: MadeUpAgent, first: str) -> None:
    """Both host VMs that it has left can have it back. Its home is the one that it left first."""
    house.source.domains.clear()
    house.source.away = {UUID: "u1"}
    house.destination.away = {UUID: "u1"}
    (house.source if first == "hv1" else house.destination).since -= 1000
    third.domains.append(Domain(3))
    house.start()
    assert house.ask(cmd="list")[0]["hostvms"][2]["guests"][0]["home"] == first
    for home in ("hv1", "hv2"):
        assert house.ask(cmd="return", to=home, dry_run=True)[0]["outcome"] == "ok"
    assert house.command("adopt", "u1").code == DONE
    assert not house.source.away and not house.destination.away


def comes_home_over_hv3(house: House, third: MadeUpAgent) -> None:
    """It left hv1 for hv2, and that for hv3, from where it is to come home next."""
    house.source.domains, third.domains = [], house.source.domains
    third.gfns = house.destination.gfns
    house.source.away, house.destination.away = {UUID: "u1"}, {UUID: "u1"}


def test_comes_home_from_the_second_refuge(house: House, third: MadeUpAgent) -> None:
    """Nobody is to take it back to the first."""
    comes_home_over_hv3(house, third)
    house.start()
    assert house.ask(cmd="return", to="hv1")[0]["outcome"] == "done"
    assert not house.source.away and not house.destination.away and not third.away
    assert house.ask(cmd="return", to="hv2", dry_run=True)[0]["outcome"] == "refused"


def test_daemon_dies_before_the_first_refuge_is_told(house: House, third: MadeUpAgent) -> None:
    comes_home_over_hv3(house, third)
    house.destination.faults.mute = {"guard-adopt"}
    house.start()
    client = house.client()
    client.send(cmd="migrate", guest="u1", **{"from": "hv3"}, to="hv1")
    wait_until(lambda: "guard-adopt" in house.destination.asked)
    house.kill()
    client.close()
    assert house.source.away
    house.destination.faults.mute = set()
    house.start()
    wait_until(lambda: not house.source.away)
    assert not house.destination.away and not third.away


def test_first_refuge_cannot_be_told(house: House, third: MadeUpAgent) -> None:
    """Who reads the report knows what to do about it."""
    comes_home_over_hv3(house, third)
    house.destination.faults.broken = {"guard-adopt": "the disk is full"}
    house.start()
    report = house.ask(cmd="migrate", guest="u1", **{"from": "hv3"}, to="hv1")[0]
    assert report["outcome"] == "done", report
    assert [w for w in report["warnings"] if "hv2 could not be told" in w and f"vmbeam adopt {UUID}" in w and "disk is full" in w]
    assert not house.source.away and house.destination.away


def test_migrated_for_good(house: House) -> None:
    """By itself it does not: it is adopted afterwards, as the help says."""
    house.start()
    assert house.command("migrate", "hv1/u1", "hv2").code == DONE
    assert house.ask(cmd="return", to="hv1", dry_run=True)[0]["outcome"] == "ok"
    assert "vmbeam adopt GUEST" in house.command("migrate", "--help").out
    assert house.command("adopt", "u1").code == DONE
    assert house.ask(cmd="return", to="hv1", dry_run=True)[0]["outcome"] == "refused"


def test_dead_agents_are_waited_for_at_a_time(house: House) -> None:
    """Not one after the other: this one answers when the other one is asked."""
    house.source.faults.waiting = {"hello": lambda: "hello" in house.destination.asked}
    house.start()
    assert [h["agent"] for h in house.ask(cmd="status")[0]["hostvms"]] == [True, True]


def test_looks_although_nobody_asks(house: House) -> None:
    """Who watches the metrics alone sees an agent that dies, a host VM that ends, and a guest VM that is started twice."""
    house.limit(look=1, check_connect=1, hello=1)
    house.source.away = {UUID: "u1"}
    house.destination.domains.append(Domain(9))
    house.start()
    wait_until(lambda: metric(house, "vmbeam_agent_up", "hv1") == metric(house, "vmbeam_agent_up", "hv2") == "1")
    wait_until(lambda: metric(house, "vmbeam_guests_doubled", "hv1") == "1")
    house.destination.faults.mute = {"hello"}
    wait_until(lambda: metric(house, "vmbeam_agent_up", "hv2") == "0")
    (house.directory / "system-hv1").write_text("ended\n")
    wait_until(lambda: metric(house, "vmbeam_agent_up", "hv1") == "0")


def test_look_that_nobody_asked_for_keeps_nobody_waiting(house: House) -> None:
    """It is given up, and what it has not seen is not taken for gone."""
    house.start()
    house.status()
    house.kill()
    house.limit(look=1, check_connect=600, hello=600)
    house.start()
    house.source.faults.mute = {"hello"}
    asked = house.source.asked.count("hello")
    wait_until(lambda: house.source.asked.count("hello") > asked)
    house.source.faults.mute = set()
    assert house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2")[0]["outcome"] == "done"


def test_names_for_a_shell(house: House) -> None:
    house.source.away[OTHER_UUID] = "u2"
    migration = house.migrate_and_hold("swap")
    assert house.command("list", "--names", "migrations").out == house.status()["migration"]["id"] + "\n"
    assert migration.go_on().code == DONE
    assert house.command("list", "--names", "migrations").out == ""
    assert house.command("list", "--names", "away").out == "u2\nu1\n"
