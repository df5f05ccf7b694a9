# SPDX-License-Identifier: GPL-2.0
"""What an evacuation, a return or a maintenance does not do, and what its next daemon knows of it."""
import json
import threading
import zlib
from typing import Any

import pytest

from daemon_rig import wait_until
from made_up_agent import GUEST, UUID, Domain
from test_drive import House, Waiting, house    # pylint: disable=unused-import # noqa: F401

STRANGER = "00000000-0000-4000-8000-000000000001"


def evacuate(house: House, **others: Any) -> dict[str, Any]:
    return house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2", **others)[0]


def maintain(house: House, **others: Any) -> dict[str, Any]:
    return house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2", **others)[0]


def waits_for_an_operator(house: House) -> None:
    """The guest VM is on hv1, and what kept it there is over."""
    house.source.faults.broken = {"quiesce": "it is stuck"}
    house.start()
    assert evacuate(house, retries=0)["outcome"] == "unfinished"
    house.source.faults.broken = {}


def test_guest_vm_is_renamed_meanwhile(house: House) -> None:
    waits_for_an_operator(house)
    house.source.the_domain().name = "u9"
    result, _ = house.ask(cmd="resume")
    assert result["outcome"] == "done" and house.on("hv2"), json.dumps(result)


def test_created_anew_before_it_is_shut_down(house: House) -> None:
    """Without uuid= in its configuration. Whoever is asked reads why."""
    house.destination.bridges = set()
    house.source.faults.broken = {"guest-shutdown": "it does not listen"}
    house.start()
    shutdown = {"cmd": "maintain", "from": "hv1", "to": "hv2", "unmovable": "shutdown", "retries": 0}
    assert house.ask(**shutdown)[0]["outcome"] == "unfinished"
    house.source.faults.broken = {}
    house.source.domains = [Domain(9, uuid=STRANGER)]
    result, _ = house.ask(cmd="resume")
    assert result["outcome"] == "unfinished" and house.source.domains, result
    assert "another UUID" in result["waiting_for"], result


def test_check_while_an_operator_is_asked(house: House) -> None:
    """Whoever is to decide what becomes of it can look why it does not go; and can leave it out."""
    waits_for_an_operator(house)
    (told,) = house.status()["waiting"]
    assert f"vmbeam adopt {UUID} leaves it out" in told, told
    check = {"cmd": "check", "guest": "u1", "from": "hv1", "to": "hv2"}
    assert house.ask(**check)[0]["outcome"] == "ok"
    result, _ = house.ask(**{**check, "cmd": "migrate"})
    assert result["outcome"] == "refused" and result["error"].startswith("an evacuation of hv1 is under way"), result
    assert house.status()["waiting"] == [told]
    assert house.ask(cmd="adopt", guest="u1")[0]["outcome"] == "ok"
    wait_until(lambda: house.status()["maintenance"] is None)
    assert house.history(kind="maintenance")[-1]["outcome"] == "done" and house.on("hv1")


def test_evacuation_does_not_end_beside_a_newcomer(house: House) -> None:
    waits_for_an_operator(house)
    house.source.domains.append(Domain(33, name="late", uuid=STRANGER))
    result, _ = house.ask(cmd="resume")
    assert result["outcome"] == "unfinished" and "have come to hv1" in result["waiting_for"], result
    assert house.on("hv2")
    house.restart()
    result, _ = house.ask(cmd="resume")
    assert result["outcome"] == "done", result


@pytest.mark.parametrize("cmd", ["resume", "abort"])
def test_late_watcher_hears_of_the_plan(house: House, cmd: str) -> None:
    waits_for_an_operator(house)
    result, lines = house.ask(cmd=cmd)
    assert [line["event"] for line in lines[:2]] == ["plan", "step"] and lines[1]["step"] == "evacuate", lines
    assert [g["guest"] for g in lines[0]["plan"]["guests"]] == ["u1"]
    assert all(line["maintenance"] == result["id"] and line["time"] for line in lines[:2])
    assert not any(line["event"] == "there" for line in lines), "it has not moved yet"


def test_late_watcher_hears_who_has_moved(house: House) -> None:
    """Each that is where the step wants it."""
    house.start()
    well = house.directory / "well"
    assert maintain(house, run=f"[ -e {well} ]")["outcome"] == "unfinished"
    well.touch()
    result, lines = house.ask(cmd="resume")
    assert [line["event"] for line in lines[:3]] == ["plan", "step", "there"] and lines[1]["step"] == "run", lines
    assert (lines[2]["guest"], lines[2]["uuid"], lines[2]["maintenance"]) == ("u1", UUID, result["id"])
    assert result["outcome"] == "done" and not any(line["event"] == "there" for line in lines[3:])


def test_abort_of_another(house: House) -> None:
    waits_for_an_operator(house)
    result, _ = house.ask(cmd="abort", maintenance="20260102T030405-00000000")
    assert result["outcome"] == "refused" and "and not 20260102T030405-00000000" in result["error"], result
    assert not house.status()["maintenance"]["aborting"]


def test_adopt_of_nobody(house: House) -> None:
    waits_for_an_operator(house)
    assert house.ask(cmd="adopt", guest="nobody")[0]["outcome"] == "refused"
    assert house.status()["waiting"]


def test_abort_starts_from_the_old_configuration(house: House) -> None:
    (house.directory / "fail-create").touch()
    house.start()
    assert maintain(house, config=house.xl_config("new"))["outcome"] == "unfinished"
    (house.directory / "fail-create").unlink()
    assert house.ask(cmd="abort")[0]["outcome"] == "aborted" and house.on("hv1")
    assert house.xl()[-2:] == [f'create {house.directory}/{which}.cfg name="hv1"' for which in ("new", "hv1")]


def test_abort_leaves_a_new_xen_that_is_unsound(house: House) -> None:
    house.source.faults.broken = {"probe": "it gets no time"}
    house.start()
    result = maintain(house, config=house.xl_config("new"))
    assert result["outcome"] == "unfinished" and "it gets no time" in result["waiting_for"], result
    assert "vmbeam maintain --abort starts it from its old configuration" in result["waiting_for"], result
    result, _ = house.ask(cmd="abort")
    assert result["outcome"] == "aborted" and "it gets no time" in result["error"] and house.on("hv1"), result
    assert [line for line in house.xl() if line.startswith("create")] == [
        f'create {house.directory}/{which}.cfg name="hv1"' for which in ("new", "hv1")]


def hooks_that_ran(house: House) -> list[str]:
    return (house.directory / "hooks.log").read_text().splitlines()


@pytest.mark.parametrize("movable", [True, False], ids=["movable", "unmovable"])
def test_hooks_of_all_that_happens(house: House, movable: bool) -> None:
    house.hook(f'echo "$VMBEAM_EVENT $VMBEAM_GUEST $VMBEAM_OUTCOME $VMBEAM_STEP" >>{house.directory}/hooks.log\n')
    if not movable:
        house.destination.bridges = set()
    house.start()
    assert maintain(house, unmovable="shutdown")["outcome"] == "done"
    ran = hooks_that_ran(house)
    for event in ("guest-before u1 ", "guest-after u1 done"):
        assert len([line for line in ran if line.startswith(event)]) == 2, ran
    # The end is no step that anything could keep from beginning; but it is told.
    assert [line for line in ran if line.endswith((" return", " done"))] == [
        "step-before   return", "step-after   return", "step-after  done done"], ran
    assert ran[0] == "step-before   evacuate", ran


def test_guest_vm_is_moved_by_a_maintenance(house: House) -> None:
    """Hooks, events and the history tell which one; also if another daemon brings the migration to its end."""
    house.hook(f'echo "$VMBEAM_EVENT $VMBEAM_MAINTENANCE $VMBEAM_WHAT" >>{house.directory}/hooks.log\n')
    house.start()
    result, lines = house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2")
    assert all(line["maintenance"] == result["id"] for line in lines if line["event"] in ("phase", "outcome")), lines
    (moved,) = house.history(kind="migration")
    assert moved["maintenance"] == result["id"]
    assert {f"guest-{when} {result['id']} evacuate" for when in ("before", "after")} <= set(hooks_that_ran(house))
    house.hold("swap-half")
    asking = threading.Thread(target=_ignore, args=(house, {"cmd": "return", "to": "hv1"}), daemon=True)
    asking.start()
    wait_until(lambda: house.is_held("swap-half"))
    house.restart()
    wait_until(lambda: house.status()["maintenance"] is None)
    back = house.history(kind="maintenance")[-1]["id"]
    assert [r["maintenance"] for r in house.history(kind="migration")] == [result["id"], back, back]
    assert hooks_that_ran(house).count(f"guest-after {back} return") == 2
    asking.join(10)


def _ignore(house: House, request: dict[str, Any]) -> None:
    try:
        house.ask(**request)
    except (AssertionError, OSError):
        pass


def test_called_off_and_refused(house: House) -> None:
    """By a hook before the first step: no later daemon knows of it."""
    go = house.directory / "go"
    house.hook(f'[ "$VMBEAM_EVENT" != step-before ] || {{ while [ ! -e {go} ]; do sleep 0.1; done; exit 1; }}\n')
    house.start()
    client = house.client()
    client.send(cmd="evacuate", **{"from": "hv1"}, to="hv2")
    client.until(lambda line: line.get("event") == "hook")
    other = house.client()
    other.send(cmd="abort")
    wait_until(lambda: house.status()["maintenance"]["aborting"])
    go.touch()
    for c in (client, other):
        *_, result = c.until(lambda line: "result" in line)
        assert result["result"]["outcome"] == "refused", result
        c.close()
    house.restart()
    assert house.status()["maintenance"] is None and not house.history(kind="maintenance")


def test_hook_before_a_shutdown(house: House) -> None:
    house.destination.bridges = set()
    house.hook('[ "$VMBEAM_EVENT" != guest-before ] || { echo not now; exit 1; }\n')
    house.start()
    result = maintain(house, unmovable="shutdown", retries=0)
    assert result["outcome"] == "unfinished" and "10-test" in result["waiting_for"], result
    assert "guest-shutdown" not in house.source.asked and house.on("hv1")


def change_journal(house: House, **changes: str) -> None:
    """Its last record, while no daemon runs."""
    path = house.directory / "journal.maintenance"
    text = json.dumps({**json.loads(path.read_text().splitlines()[-1][9:]), **changes})
    path.write_text(f"{zlib.crc32(text.encode()):08x} {text}\n")


def test_host_was_restarted(house: House) -> None:
    """All that it knew is of another boot: no step of it is done now."""
    waits_for_an_operator(house)
    house.kill()
    change_journal(house, boot_id="of another", asked="")
    house.start()
    assert house.status()["maintenance"] is None
    assert "was cut off by a restart of the host" in house.log()
    assert house.on("hv1")


def test_configuration_without_a_host_vm_of_it(house: House) -> None:
    waits_for_an_operator(house)
    house.kill()
    house.configure("hv1")
    house.start()
    (waiting,) = house.status()["waiting"]
    assert "is not over, and the configuration of vmbeamd no longer has both hv1 and hv2: put them back" in waiting


def test_is_in_the_history_once(house: House) -> None:
    """Also if the daemon died before it was."""
    house.start()
    assert evacuate(house)["outcome"] == "done"
    house.restart()
    assert len(house.history(kind="maintenance")) == 1
    house.kill()
    house.history_file.unlink()
    house.start()
    (record,) = house.history(kind="maintenance")
    assert record["outcome"] == "done" and record["what"] == "evacuate"


def test_stopped_in_the_middle_of_a_move(house: House) -> None:
    """It is no try: the next daemon moves the guest VM."""
    house.hold("swap-half")
    house.start()

    def ask() -> None:
        try:
            evacuate(house, retries=0)
        except (AssertionError, OSError):
            pass

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    wait_until(lambda: house.is_held("swap-half"))
    assert house.daemon
    house.daemon.terminate()
    wait_until(lambda: "being stopped" in house.log())
    house.let_go("swap-half")
    house.has_died()
    assert house.on("hv1")
    house.restart()
    wait_until(lambda: house.status()["maintenance"] is None or house.status()["waiting"])
    assert house.on("hv2") and house.status()["maintenance"] is None
    asking.join(10)


def test_return_leaves_those_of_the_refuge(house: House) -> None:
    house.start()
    assert evacuate(house)["outcome"] == "done"
    house.destination.domains.append(Domain(44, name="other", uuid=STRANGER))
    result, _ = house.ask(cmd="return", to="hv1")
    assert result["outcome"] == "done" and [g["guest"] for g in result["guests"]] == ["u1"], result
    assert house.on("hv1") and [d.name for d in house.destination.domains if not d.dying] == ["other"]


def test_return_does_not_start_what_runs(house: House) -> None:
    """It did not shut down in time, and its configuration stayed."""
    house.source.down = {UUID: house.source.the_domain()}
    house.start()
    house.ask(cmd="return", to="hv1")
    assert "guest-start" not in house.source.asked


def listed(house: House, hostvm: str) -> list[dict[str, Any]]:
    return next(h["guests"] for h in house.ask(cmd="list")[0]["hostvms"] if h["name"] == hostvm)


def test_list_of_those_that_are_there(house: House) -> None:
    """One that is dying is not, and where it is at home it is not away from."""
    house.source.away = {UUID: GUEST}
    house.source.domains.append(Domain(33, name="gone", uuid=STRANGER, dying=True))
    house.start()
    (guest,) = listed(house, "hv1")
    assert guest["guest"] == "u1" and "home" not in guest


def test_list_says_why_one_cannot_move(house: House) -> None:
    house.source.settings.append({"kind": "pci", "id": "00:1f", "problems": ["a PCI device of the host cannot move"]})
    house.start()
    (guest,) = listed(house, "hv1")
    assert not guest["movable"] and guest["reasons"] == ["a PCI device of the host cannot move"]


@pytest.mark.parametrize("fault", ["broken", "mute"])
def test_check_that_fails_is_no_reason_to_shut_it_down(house: House, fault: str) -> None:
    """Whether it can move is not known then."""
    house.limits |= {"check": 1}
    house.configure_house()
    if fault == "broken":
        house.destination.faults.broken = {"dest-check": "it is stuck"}
    else:
        house.destination.faults.mute = {"disk-blocks"}
    house.start()
    for unmovable in ("leave", "shutdown"):
        result = evacuate(house, unmovable=unmovable)
        assert result["outcome"] == "refused" and ("it is stuck" if fault == "broken" else "hv2") in result["error"], result
    assert "guest-shutdown" not in house.source.asked


def test_list_that_was_cut_is_no_proof(house: House) -> None:
    """One that is not in it may be there all the same."""
    house.limits |= {"system": 2, "check-connect": 1}
    house.configure_house()
    house.start()
    waiting = Waiting(house)
    house.destination.faults.unlisted = True
    result = waiting.go_on()
    assert result["outcome"] == "unfinished" and "cannot be said until the agents" in result["waiting_for"], result
    house.destination.faults.unlisted = False
    assert house.ask(cmd="resume")[0]["outcome"] == "done" and house.on("hv1")


def test_survey_of_a_silent_host_vm(house: House) -> None:
    house.limits |= {"check-connect": 1}
    house.configure_house()
    house.destination.faults.broken = {"system": "the guest VMs cannot be listed"}
    house.start()
    result = evacuate(house)
    assert result["outcome"] == "refused" and "cannot be listed" in result["error"], result
    assert house.on("hv1") and "save-begin" not in house.source.asked
