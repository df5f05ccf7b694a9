# SPDX-License-Identifier: GPL-2.0
"""vmbeamd's evacuation, return and maintenance, over made-up agents, a made-up xl and a made-up host."""
import json
import socket
import threading
import zlib
from pathlib import Path
from typing import Any

import pytest

from daemon_rig import DONE, REFUSED, Rig, wait_until
from made_up_agent import GUEST, OTHER, OTHER_UUID, UUID, Domain, MadeUpAgent

# Notes what it was asked for; the host VM's state is what fake-host.c reads. "fail-COMMAND": that fails; "hang-COMMAND":
# it does not end.
XL = """#!/bin/sh
dir=$(dirname "$(dirname "$0")")
[ "$1 $2" != "create -n" ] || {
	echo "Parsing config from $3" >&2
	grep -v "^fail" "$3" || { echo "libxl: error: $3 makes no sense" >&2; exit 1; }
	exit 0
}
echo "$*" >>"$dir/xl.log"
[ ! -e "$dir/fail-$1" ] || { printf 'libxl: error: it does not want to\\nlibxl: error: so nothing came of it\\n' >&2; exit 1; }
[ ! -e "$dir/hang-$1" ] || sleep 600
case $1 in
shutdown) [ "$2" = -F ] && echo ended >>"$dir/system-$3" ;;
destroy) echo none >>"$dir/system-$2" ;;
create) name=${3#name=\\"}; echo up >>"$dir/system-${name%\\"}" ;;
*) exit 1 ;;
esac
"""


class House(Rig):
    """A rig with a toolstack that can stop and start host VMs, each of which has its own xl configuration."""

    def furnish(self) -> None:
        tools = self.directory / "bin"
        tools.mkdir()
        (tools / "xl").write_text(XL)
        (tools / "xl").chmod(0o755)
        self.env["PATH"] = f"{tools}:{self.env['PATH']}"
        self.hooks = self.directory / "hooks.d"
        self.configure_house()
        for agent in self.agents:
            agent.system_file = self.directory / f"system-{agent.hostvm}"

    def configure_house(self, **others: Any) -> None:
        self.configure(*(a.hostvm for a in self.agents), hooks=str(self.hooks),
                       history={"file": str(self.directory / "history")}, **others)
        config = json.loads(self._config.read_text())
        for h in config["hostvms"]:
            h["config"] = self.xl_config(h["name"])
        self.write_config(json.dumps(config))

    def xl_config(self, name: str, **others: str | None) -> str:
        """The path of one. What the made-up xl reads is what xl would make of it."""
        path = self.directory / f"{name}.cfg"
        settings = {f"on_{key}": "preserve" for key in ("crash", "reboot", "watchdog", "poweroff")}
        path.write_text(json.dumps({"c_info": {"type": "hvm", "name": "another"}, **settings, **others}) + "\n")
        return str(path)

    def ask(self, **request: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The result of a request, and the lines before it."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(120)
            s.connect(str(self._control))
            s.sendall(json.dumps(request).encode() + b"\n")
            lines = []
            for line in s.makefile(encoding="utf-8"):
                lines.append(json.loads(line))
                if "result" in lines[-1]:
                    return lines[-1]["result"], lines[:-1]
        raise AssertionError(f"no result: {lines}")

    def xl(self) -> list[str]:
        log = self.directory / "xl.log"
        return log.read_text().splitlines() if log.exists() else []

    def on(self, hostvm: str) -> bool:
        agent = next(a for a in self.agents if a.hostvm == hostvm)
        return any(d.uuid == UUID and not d.paused and not d.suspended for d in agent.domains)

    def hook(self, text: str) -> None:
        self.hooks.mkdir(exist_ok=True)
        (self.hooks / "10-test").write_text("#!/bin/sh\n" + text)
        (self.hooks / "10-test").chmod(0o755)


@pytest.fixture
def house(programs: Path, tmp_path: Path) -> Any:
    house = House(programs, tmp_path)
    house.furnish()
    yield house
    house.kill()
    print(house.what_happened(), house.xl())
    for agent in house.agents:
        agent.stop()
        assert not agent.wrong_requests


def test_evacuates_and_returns(house: House) -> None:
    house.start()
    result, _ = house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2")
    assert result["outcome"] == "done", result
    assert [g["where"] for g in result["guests"]] == ["hv2"]
    assert house.on("hv2") and not house.on("hv1")
    result, _ = house.ask(cmd="return", to="hv1")
    assert result["outcome"] == "done", result
    assert house.on("hv1") and not house.on("hv2")
    assert not house.xl()
    # hv2 was a refuge, and is no home to which anything would return.
    assert not house.destination.away and not house.source.away
    assert house.ask(cmd="return", to="hv2")[0]["outcome"] == "refused"


def test_maintains(house: House) -> None:
    house.start()
    result, _ = house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2", run=f"touch {house.directory}/ran")
    assert result["outcome"] == "done", result
    assert house.on("hv1") and not house.on("hv2")
    assert (house.directory / "ran").exists()
    # The agent powered it off; what was preserved of it went before the new one came.
    assert "power-off" in house.source.asked and "probe" in house.source.asked
    assert house.xl() == ["destroy hv1", f'create {house.directory}/hv1.cfg name="hv1"']
    assert result["xen_before"] != result["xen_after"] and result["down_ms"] > 0


def test_plan_is_shown_and_nothing_touched(house: House) -> None:
    house.start()
    result, _ = house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2", dry_run=True)
    assert result["outcome"] == "ok" and [g["guest"] for g in result["plan"]["guests"]] == ["u1"]
    assert house.on("hv1") and "save-begin" not in house.source.asked and not house.xl()


def test_blockers_are_told_before_anything_is_touched(house: House) -> None:
    house.destination.bridges = set()
    house.start()
    result, _ = house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2")
    assert result["outcome"] == "refused" and any("xenbr0" in p for p in result["problems"]), result
    assert house.on("hv1") and "save-begin" not in house.source.asked and not house.xl()


@pytest.mark.parametrize("hostvm", ["hv1", "hv2"])
def test_plan_is_not_made_from_half_of_it(house: House, hostvm: str) -> None:
    """What an agent could not read, or had no room for, would be left behind."""
    agent = next(a for a in house.agents if a.hostvm == hostvm)
    agent.faults.unread = ["which guest VMs are away cannot be read"]
    agent.faults.many = True
    house.start()
    result, _ = house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2")
    assert result["outcome"] == "refused", result
    first, second = result["problems"]
    assert first == f"{hostvm}: which guest VMs are away cannot be read" and second.startswith(f"{hostvm} has more guest VMs")
    assert "save-begin" not in house.source.asked


def test_chores_stand_in_no_way(house: House) -> None:
    house.source.faults.chores = ["/etc/xen/auto/u1 has come meanwhile"]
    house.start()
    result, _ = house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2")
    assert result["outcome"] == "done", result


def test_agent_does_not_power_off(house: House) -> None:
    """It is older, and does not know the op."""
    house.source.faults.unknown = {"power-off"}
    house.start()
    assert house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2")[0]["outcome"] == "done"
    assert house.xl()[0] == "shutdown -F hv1"


def test_agent_that_does_not_know_whether_its_system_is_empty(house: House) -> None:
    """Nothing harder is tried, also when it is silent afterwards."""
    house.limits |= {"system": 2, "check-connect": 1}
    house.configure_house()
    house.source.faults.broken = {"power-off": "the domains cannot be listed"}
    house.start()
    result, _ = house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2")
    assert result["outcome"] == "unfinished" and "cannot be listed" in result["waiting_for"], result
    house.source.faults.mute = {"hello"}
    result, _ = house.ask(cmd="resume")
    assert result["outcome"] == "unfinished" and not house.xl(), result
    assert "vmbeam-agent runs" in result["waiting_for"] and "vmbeam maintain --resume" in result["waiting_for"], result


def test_command_does_not_run_beside_the_system(house: House) -> None:
    """Somebody has started it meanwhile: it is emptied and stopped again first."""
    house.start()
    ran = house.directory / "ran"
    house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2", run=f"echo once >>{ran}; [ -e {house.directory}/well ]")
    with house.source.system_file.open("a") as f:   # type: ignore[union-attr]
        f.write("up\n")
    (house.directory / "well").touch()
    result, _ = house.ask(cmd="resume")
    assert result["outcome"] == "done", result
    assert house.source.asked.count("power-off") == 2


def test_host_vm_that_is_not_empty_is_not_stopped(house: House) -> None:
    """Its agent knows better than the last look."""
    house.source.faults.busy = {"power-off": "u7 runs here"}
    house.start()
    result, _ = house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2")
    assert result["outcome"] == "unfinished" and "u7 runs here" in result["waiting_for"], result
    assert not house.xl() and house.on("hv2")


@pytest.mark.parametrize(("text", "says"), [
    (None, "cannot be read: No such file"),
    ("fail", "makes no sense"),
    ("no JSON", "is no JSON"),
    ({"c_info": {"type": "pv"}}, "of the type pv, not hvm"),
    ({"on_watchdog": "destroy"}, 'has no on_watchdog="preserve"'),
    ({"on_poweroff": None}, 'has no on_poweroff="preserve"'),
], ids=["missing", "syntax", "sxp", "pv", "watchdog", "default"])
@pytest.mark.parametrize("new", [False, True], ids=["its_own", "new"])
def test_configuration_is_looked_at_before_anything_is_touched(house: House, text: Any, says: str, new: bool) -> None:
    path = Path(house.xl_config("new" if new else "hv1", **(text if isinstance(text, dict) else {})))
    if text is None:
        path.unlink()
    elif isinstance(text, str):
        path.write_text(text + "\n")
    house.start()
    result, _ = house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2", **({"config": str(path)} if new else {}))
    assert result["outcome"] == "refused" and says in result["error"] and str(path) in result["error"], result
    assert house.on("hv1") and "save-begin" not in house.source.asked and not house.xl()


def test_configuration_with_a_relative_path(house: House) -> None:
    house.start()
    result, _ = house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2", config="new.cfg")
    assert result["outcome"] == "refused" and "new.cfg is no absolute path" in result["error"], result


def test_failed_start_leaves_all_on_the_refuge(house: House) -> None:
    (house.directory / "fail-create").touch()
    house.start()
    result, _ = house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2")
    assert result["outcome"] == "unfinished" and "status 1: libxl: error: it does not want to" in result["waiting_for"]
    assert "vmbeam maintain --resume" in result["waiting_for"]
    assert house.on("hv2")
    assert house.status()["waiting"]
    (house.directory / "fail-create").unlink()
    result, _ = house.ask(cmd="resume")
    assert result["outcome"] == "done" and house.on("hv1")


def test_xl_that_does_not_end(house: House) -> None:
    """A hotplug script that hangs, say: the limit can be set."""
    house.limits |= {"xl": 1}
    house.configure_house()
    (house.directory / "hang-create").touch()
    house.start()
    result, _ = house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2")
    assert result["outcome"] == "unfinished" and "xl did not end within 1 s" in result["waiting_for"], result
    assert house.on("hv2")


@pytest.mark.parametrize("again", ["resume", "abort"])
def test_failed_command(house: House, again: str) -> None:
    house.start()
    result, _ = house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2", run="echo bad luck; exit 3")
    assert result["outcome"] == "unfinished" and "bad luck" in result["waiting_for"], result
    assert house.on("hv2")
    result, _ = house.ask(cmd=again)
    assert result["outcome"] == ("unfinished" if again == "resume" else "aborted"), result
    assert house.on("hv2" if again == "resume" else "hv1")


def test_failed_move_is_tried_again_and_then_asked_about(house: House) -> None:
    house.source.faults.broken = {"quiesce": "it is stuck"}
    house.start()
    result, _ = house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2", retries=1)
    assert result["outcome"] == "unfinished" and "it is stuck" in result["waiting_for"]
    assert house.source.asked.count("save-begin") == 2
    assert house.on("hv1")
    house.source.faults.broken = {}
    assert house.ask(cmd="resume")[0]["outcome"] == "done"
    assert house.on("hv2")


def test_hook_before_stops_it(house: House) -> None:
    house.hook('[ "$VMBEAM_EVENT" != step-before ] || [ "$VMBEAM_STEP" != stop ] || { echo not now; exit 1; }\n')
    house.start()
    result, _ = house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2")
    assert result["outcome"] == "unfinished" and "10-test" in result["waiting_for"]
    assert house.on("hv2") and not house.xl()


def test_hook_before_a_guest_vm(house: House) -> None:
    house.hook('[ "$VMBEAM_EVENT" != guest-before ] || { echo "$VMBEAM_GUEST stays"; exit 1; }\n')
    house.start()
    ended = house.migrate()
    assert ended.code == REFUSED and "10-test" in ended.report["error"], ended
    assert "save-begin" not in house.source.asked


def test_hooks_are_told_of(house: House) -> None:
    """When each begins, and how it ends; the command says of those that fail."""
    house.hook('case $VMBEAM_EVENT in guest-after) exit 3 ;; step-after) kill -9 $$ ;; esac\n')
    house.start()
    result, lines = house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2")
    assert result["outcome"] == "done", result
    hooks = [line for line in lines if line["event"] == "hook"]
    assert [(h["when"], h.get("status", "none"), "error" in h) for h in hooks] == [
        ("step-before", "none", False), ("step-before", 0, False), ("guest-before", "none", False), ("guest-before", 0, False), ("guest-after", "none", False), ("guest-after", 3, True),
        ("step-after", "none", False), ("step-after", "none", True), ("step-after", "none", False), ("step-after", "none", True)], hooks
    assert all(h["hook"] == "10-test" and (h["from"], h["to"]) == ("hv1", "hv2") for h in hooks)
    assert all(h["guest"] == "u1" and h["uuid"] == UUID for h in hooks[2:6])
    assert [h["step"] for h in hooks if "step" in h] == ["evacuate"] * 4 + ["done"] * 2
    assert all(h["maintenance"] == result["id"] for h in hooks)
    assert "status 3" in hooks[5]["error"] and "signal 9" in hooks[7]["error"]


@pytest.mark.parametrize("cmd", ["evacuate", "return", "maintain"])
def test_hook_before_all_of_it(house: House, cmd: str) -> None:
    """It refuses it before anything is touched, or written down."""
    house.start()
    if cmd == "return":
        house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2")
    house.hook(f'[ "$VMBEAM_EVENT-$VMBEAM_STEP-$VMBEAM_WHAT" != step-before-{"return" if cmd == "return" else "evacuate"}-{cmd} ] || exit 1\n')
    asked = house.source.asked.count("save-begin") + house.destination.asked.count("save-begin")
    request = {"to": "hv1"} if cmd == "return" else {"from": "hv1", "to": "hv2"}
    result, lines = house.ask(cmd=cmd, **request)
    assert result["outcome"] == "refused" and "10-test" in result["error"], result
    assert {line["event"] for line in lines} == {"hook"}
    assert house.source.asked.count("save-begin") + house.destination.asked.count("save-begin") == asked
    assert house.status()["maintenance"] is None and not house.history(kind="maintenance")[1 if cmd == "return" else 0:]
    house.restart()
    assert house.status()["maintenance"] is None
    (house.hooks / "10-test").unlink()
    assert house.ask(cmd=cmd, **request)[0]["outcome"] == "done"


def test_called_off_while_the_first_hook_runs(house: House) -> None:
    go = house.directory / "go"
    house.hook(f'[ "$VMBEAM_EVENT" != step-before ] || while [ ! -e {go} ]; do sleep 0.1; done\n')
    house.start()
    client = house.client()
    client.send(cmd="maintain", **{"from": "hv1"}, to="hv2")
    (*_, line) = client.until(lambda line: line.get("event") == "hook")
    other = house.client()
    other.send(cmd="abort", maintenance=line["maintenance"])
    wait_until(lambda: house.status()["maintenance"]["aborting"])
    go.touch()
    for c in (client, other):
        *_, result = c.until(lambda line: "result" in line)
        assert result["result"]["outcome"] == "aborted", result
        c.close()
    assert house.on("hv1") and "save-begin" not in house.source.asked


@pytest.mark.parametrize("point", ["swap-half", "resume"])
def test_hook_after_a_restart(house: House, point: str) -> None:
    """What was begun before the daemon died is ended, and the hook is told that it is another daemon."""
    told = house.directory / "told"
    house.hook(f'echo "$VMBEAM_EVENT $VMBEAM_GUEST $VMBEAM_OUTCOME $VMBEAM_RESTARTED" >>{told}\n')
    house.kill_at(point)
    assert told.read_text() == "guest-before u1  \n"
    house.start()
    outcome = "rolled-back" if point == "swap-half" else "done"
    wait_until(lambda: told.read_text().count("\n") == 2)
    assert told.read_text().splitlines()[1] == f"guest-after u1 {outcome} yes"
    # A migration of its own.
    wait_until(lambda: house.status()["migration"] is None)
    house.ask(cmd="migrate", guest="u1", **{"from": "hv1", "to": "hv2"} if point == "swap-half" else {"from": "hv2", "to": "hv1"})
    assert told.read_text().splitlines()[-1] == "guest-after u1 done "


def test_one_at_a_time(house: House) -> None:
    (house.directory / "fail-create").touch()
    house.start()
    house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2")
    for request in ({"cmd": "maintain", "from": "hv2", "to": "hv1"}, {"cmd": "return", "to": "hv1"},
                    {"cmd": "migrate", "guest": "u1", "from": "hv2", "to": "hv1"}):
        result, _ = house.ask(**request)
        assert result["outcome"] == "refused" and "a maintenance of hv1" in result["error"]


def test_two_at_once(house: House) -> None:
    """The later one is refused, also while the first one's plan is still being made."""
    house.start()
    clients = [house.client(), house.client()]
    for client in clients:
        client.send(cmd="maintain", **{"from": "hv1"}, to="hv2")
    results = [client.until(lambda line: "result" in line)[-1]["result"] for client in clients]
    for client in clients:
        client.close()
    assert sorted(r["outcome"] for r in results) == ["done", "refused"], results
    refused = next(r for r in results if r["outcome"] == "refused")
    assert refused["error"].startswith("a maintenance of hv1 is under way"), refused
    assert house.source.asked.count("power-off") == 1 and house.on("hv1")


def test_others_during_a_maintenance(house: House) -> None:
    house.start()
    waiting = Waiting(house)
    for request in ({"cmd": "evacuate", "from": "hv2", "to": "hv1"}, {"cmd": "return", "to": "hv1"},
                    {"cmd": "migrate", "guest": "u1", "from": "hv2", "to": "hv1"},
                    {"cmd": "check", "guest": "u1", "from": "hv2", "to": "hv1"}):
        result, _ = house.ask(**request)
        assert result["outcome"] == "refused" and result["error"].startswith("a maintenance of hv1 is under way"), result
    assert house.on("hv2")
    assert waiting.go_on()["outcome"] == "done"


def test_others_during_a_migration(house: House) -> None:
    """Of that guest VM, and of another one."""
    house.source.domains.append(Domain(6, OTHER, OTHER_UUID))
    migration = house.migrate_and_hold("swap-half")
    for request in ({"cmd": "migrate", "guest": OTHER, "from": "hv1", "to": "hv2"},
                    {"cmd": "evacuate", "from": "hv1", "to": "hv2"}, {"cmd": "maintain", "from": "hv1", "to": "hv2"}):
        result, _ = house.ask(**request)
        assert result["outcome"] == "refused" and result["error"].startswith("a migration of u1 is under way"), result
    result, _ = house.ask(cmd="abort")
    assert result["outcome"] == "refused" and "no evacuation, return or maintenance" in result["error"], result
    assert migration.go_on().code == DONE
    assert house.source.asked.count("save-begin") == 1


@pytest.mark.parametrize("how", ["maintenance", "request"])
def test_stopped_during_an_errand(house: House, how: str) -> None:
    """What is told of it is about that, and of no migration."""
    house.limits |= {"stop": 1}
    house.configure_house()
    house.start()
    if how == "maintenance":
        waiting = Waiting(house)
    else:
        held = threading.Event()
        house.source.faults.waiting = {"system": held.is_set}
        client = house.client()
        client.send(cmd="list")
        wait_until(lambda: "system" in house.source.asked)
    assert house.stop() == 0
    assert "migration  of" not in house.log()
    if how == "maintenance":
        assert "a maintenance of hv1 is brought to the end of a step" in house.log()
        assert "the next vmbeamd goes on with it" in house.log()
        (house.directory / "go").touch()
        waiting.join(60)
    else:
        held.set()
        client.close()
        assert "what somebody asked for is brought" in house.log()


STEPS = ["evacuate", "stop", "run", "start", "agent", "probe", "return"]


@pytest.mark.parametrize("step", STEPS)
def test_daemon_killed_in_step(house: House, step: str) -> None:
    """The next one goes on where it was, whatever had been begun."""
    house.hook(f'[ "$VMBEAM_EVENT-$VMBEAM_STEP" != "step-after-{step}" ] || [ -e "{house.directory}/dead" ] || '
               f'{{ touch "{house.directory}/dead"; kill -9 $PPID; sleep 1; }}\n')
    house.start()
    with pytest.raises(AssertionError):
        house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2")
    house.has_died()
    house.restart()
    wait_until(lambda: house.status()["maintenance"] is None)
    assert house.on("hv1") and not house.on("hv2")
    assert [line.split()[0] for line in house.xl()].count("create") == 1


def test_killed_in_the_middle_of_a_move(house: House) -> None:
    house.hold("swap-half")
    house.start()
    waiting = threading.Thread(target=_ignore, args=(house,), daemon=True)
    waiting.start()
    wait_until(lambda: house.is_held("swap-half"))
    house.restart()
    wait_until(lambda: house.status()["maintenance"] is None)
    assert house.on("hv1")
    assert len(house.xl()) == 2
    waiting.join(10)


def _ignore(house: House) -> None:
    try:
        house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2")
    except (AssertionError, OSError):
        pass


def test_guest_that_came_meanwhile_is_not_shut_down_with_its_host(house: House) -> None:
    house.hook('[ "$VMBEAM_EVENT-$VMBEAM_STEP" != step-before-stop ] || exit 1\n')
    house.start()
    house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2")
    house.source.domains.append(Domain(33, name="late", uuid="00000000-0000-4000-8000-000000000001"))
    (house.hooks / "10-test").unlink()
    result, _ = house.ask(cmd="resume")
    assert result["outcome"] == "unfinished" and "does not have" in result["waiting_for"]
    # Nothing is moved meanwhile.
    assert "shut them down there" in result["waiting_for"] and "vmbeam maintain --abort" in result["waiting_for"]
    assert not house.xl()


def test_list_and_status(house: House) -> None:
    house.start()
    result, _ = house.ask(cmd="list")
    hv1 = next(h for h in result["hostvms"] if h["name"] == "hv1")
    assert hv1["agent"] and hv1["guests"][0]["guest"] == "u1" and hv1["guests"][0]["movable"]
    assert house.status_code() == DONE


def test_looks_at_all_host_vms_at_a_time(house: House) -> None:
    """The first one's agent is still at it when the second one's is asked."""
    house.source.faults.waiting = {"system": lambda: "system" in house.destination.asked}
    house.start()
    hostvms = house.ask(cmd="status")[0]["hostvms"]
    assert [h["name"] for h in hostvms if "guests" in h] == ["hv1", "hv2"], hostvms


def asked_of(house: House, op: str) -> int:
    """Of both agents."""
    return sum(agent.asked.count(op) for agent in house.agents)


def test_next_is_looked_at_while_this_one_is_tidied_up(house: House) -> None:
    """The old domain is not gone before the destination is asked about the next guest VM, and it is not asked again."""
    house.source.domains.append(Domain(6, OTHER, OTHER_UUID))
    house.start()
    # Two for the plan, one for the first guest VM, and the one that is asked for ahead.
    house.source.faults.waiting = {"destroy": lambda: house.destination.asked.count("dest-check") >= 4}
    result, _ = house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2")
    assert result["outcome"] == "done", result
    assert "timed out waiting for what was to come first" not in house.log()
    assert asked_of(house, "guest-check") == asked_of(house, "dest-check") == 4
    assert {d.name for d in house.destination.domains} == {GUEST, OTHER} and not house.source.domains
    assert not house.exports()


def test_next_is_not_the_next(house: House) -> None:
    """It was called off meanwhile: what was looked at is not believed later."""
    house.source.domains.append(Domain(6, OTHER, OTHER_UUID))
    house.start()
    held = threading.Event()
    house.source.faults.waiting = {"destroy": held.is_set}
    evacuation = threading.Thread(target=lambda: house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2"), daemon=True)
    evacuation.start()
    wait_until(lambda: house.destination.asked.count("dest-check") == 4)
    client = house.client()
    client.send(cmd="abort")
    wait_until(lambda: house.status()["maintenance"]["aborting"])
    held.set()
    *_, result = client.until(lambda line: "result" in line)
    evacuation.join(60)
    assert result["result"]["outcome"] == "aborted"
    assert {d.name for d in house.source.domains} == {GUEST, OTHER} and not house.destination.domains
    checks = asked_of(house, "guest-check")
    assert house.ask(cmd="migrate", guest=OTHER_UUID, **{"from": "hv1", "to": "hv2"})[0]["outcome"] == "done"
    assert asked_of(house, "guest-check") == checks + 1


def test_next_cannot_be_looked_at(house: House) -> None:
    """Then its own check says why."""
    house.source.domains.append(Domain(6, OTHER, OTHER_UUID))
    house.start()
    house.source.faults.waiting = {"quiesce": lambda: bool(house.source.faults.broken.setdefault("guest-check", "it is hidden"))}
    result, _ = house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2", retries=0)
    assert result["outcome"] == "unfinished" and "it is hidden" in result["waiting_for"], result
    house.source.faults.broken = {}
    house.source.faults.waiting = {}
    assert house.ask(cmd="resume")[0]["outcome"] == "done"
    assert len(house.destination.domains) == 2


def test_listeners_keep_nobody_out(house: House) -> None:
    """What an operator says is heard while as many listen as can, and as many watch."""
    house.start()
    waiting = Waiting(house)
    clients = [house.client() for _ in range(8 + 16)]
    for client in clients[:8]:
        client.send(cmd="events")
        client.ask(cmd="status")
    for client in clients[8:]:
        client.send(cmd="resume")
    # The request itself was the first to watch, and had to make room.
    waiting.join(60)
    assert waiting.result["outcome"] == "unfinished" and "make room" in waiting.result["error"], waiting.result
    late = house.client()
    late.send(cmd="abort")
    wait_until(lambda: house.status()["maintenance"]["aborting"])
    waiting.go_on()
    *_, result = late.until(lambda line: "result" in line)
    assert result["result"]["outcome"] == "aborted" and house.on("hv1")
    for client in [*clients, late]:
        client.close()


def test_adopt_lets_it_stay(house: House) -> None:
    house.start()
    house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2")
    assert house.ask(cmd="adopt", guest="u1")[0]["outcome"] == "ok"
    assert "guard-adopt" in house.source.asked
    result, _ = house.ask(cmd="return", to="hv1")
    assert result["outcome"] == "refused", result


def test_adopt_tells_the_home_alone(house: House) -> None:
    """Its socket was another's when it was to be told, after the look that had found the guest VM."""
    house.limits |= {"connect": 1}
    house.configure_house()
    house.start()
    house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2")
    house.restart(dm_1=1, dm_after=1)
    result, _ = house.ask(cmd="adopt", guest="u1")
    assert result["outcome"] == "refused" and "are two sockets exchanged" in result["error"], result
    assert "guard-adopt" not in house.source.asked and house.source.away


class Waiting(threading.Thread):
    """A maintenance whose command waits until the test lets it go on: hv1 is down meanwhile, and u1 on hv2."""

    def __init__(self, house: House) -> None:
        super().__init__(daemon=True)
        self.house = house
        self.result: dict[str, Any] = {}
        self._go = house.directory / "go"
        self._there = house.directory / "there"
        self.start()
        wait_until(self._there.exists)

    def run(self) -> None:
        command = f"touch {self._there}; while [ ! -e {self._go} ]; do sleep 0.05; done"
        try:
            self.result = self.house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2", run=command)[0]
        except AssertionError:
            pass    # the daemon was stopped, and the result is empty

    def go_on(self) -> dict[str, Any]:
        self._go.touch()
        self.join(120)
        return self.result


def test_system_that_does_not_come_back(house: House) -> None:
    house.limits |= {"system": 2, "check-connect": 1}
    house.configure_house()
    house.start()
    waiting = Waiting(house)
    house.source.faults.mute = {"hello"}
    result = waiting.go_on()
    assert result["outcome"] == "unfinished" and "does not answer after the restart" in result["waiting_for"], result
    assert house.on("hv2")
    house.source.faults.mute = set()
    assert house.ask(cmd="resume")[0]["outcome"] == "done" and house.on("hv1")


def test_refuge_is_silent_at_the_return(house: House) -> None:
    house.limits |= {"system": 2, "check-connect": 1}
    house.configure_house()
    house.start()
    waiting = Waiting(house)
    house.destination.faults.mute = {"hello"}
    (house.directory / "go").touch()
    wait_until(lambda: "agents of hv1 and hv2" in house.status()["maintenance"].get("held_up_by", ""))
    assert "  held up for " in house.command("status").out
    result = waiting.go_on()
    assert result["outcome"] == "unfinished" and "cannot be said until the agents" in result["waiting_for"], result
    assert "vmbeam maintain --resume" in result["waiting_for"], result
    house.destination.faults.mute = set()
    assert house.ask(cmd="resume")[0]["outcome"] == "done" and house.on("hv1")


def test_journal_that_cannot_be_written(house: House) -> None:
    """Nothing is begun that is not written down; it goes on when there is room again."""
    house.start()
    waiting = Waiting(house)
    full = house.directory / "disk-full"
    full.touch()
    (house.directory / "go").touch()
    wait_until(lambda: full.stat().st_size >= 4)
    assert "goes on when its journal" in house.log()
    assert "cannot be written" in house.status()["maintenance"]["held_up_by"]
    assert len(house.xl()) == 0 and house.on("hv2")
    full.unlink()
    assert waiting.go_on()["outcome"] == "done" and house.on("hv1")


def test_maintenance_that_could_not_be_written_down(house: House) -> None:
    """It was refused, and the next daemon does not begin it."""
    house.start()
    full = house.directory / "disk-full"
    full.touch()
    result, _ = house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2")
    assert result["outcome"] == "refused" and "nothing was begun" in result["error"], result
    full.unlink()
    house.restart()
    assert house.status()["maintenance"] is None
    assert house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2")[0]["outcome"] == "done"


@pytest.mark.parametrize("how", ["damaged", "senseless"])
def test_journal_of_maintenances_is_of_no_use(house: House, how: str) -> None:
    """The migration that was cut off is brought to its end; none is begun until somebody has dealt with the file."""
    file = house.directory / "journal.maintenance"
    house.kill_at("swap-half")
    text = '{"maintenance":"m1","step":"evacuate","plan":{}}'
    good = f"{zlib.crc32(text.encode()):08x} {text}\n"
    file.write_text(f"no record\n{good}" if how == "damaged" else good)
    house.start()
    wait_until(lambda: house.last_state() == "rolled-back")
    house.assert_on_source()
    (waiting,) = house.status()["waiting"]
    assert f"mv {file} {file}.damaged" in waiting
    for request in ({"cmd": "evacuate", "from": "hv1", "to": "hv2"}, {"cmd": "resume"}, {"cmd": "abort"}):
        result, _ = house.ask(**request)
        assert result["outcome"] == "refused" and result["error"] == waiting, result
    assert house.ask(cmd="check", guest="u1", **{"from": "hv1", "to": "hv2"})[0]["outcome"] == "ok"
    file.rename(f"{file}.damaged")
    assert not house.status()["waiting"]
    assert house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2")[0]["outcome"] == "done"


def test_unmovable_is_shut_down_and_started_again(house: House) -> None:
    house.destination.bridges = set()
    house.start()
    shown, _ = house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2", unmovable="shutdown", dry_run=True)
    (guest,) = shown["plan"]["guests"]
    assert guest["way"] == "shutdown" and any("xenbr0" in why for why in guest["blockers"]), shown
    result, _ = house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2", unmovable="shutdown")
    assert result["outcome"] == "done", result
    assert house.source.asked.index("guest-shutdown") < house.source.asked.index("power-off") < house.source.asked.index("guest-start")
    assert house.on("hv1") and not house.source.down


@pytest.fixture
def third(house: House) -> Any:
    """A third host VM, of which the maintenances of the others know nothing."""
    agent = MadeUpAgent("hv3", house.directory / "hv3.sock", ())
    agent.start()
    house.agents = (*house.agents, agent)
    house.limits |= {"check-connect": 1}
    house.configure_house()
    yield agent


def test_no_start_of_one_that_runs_on_a_third_host_vm(house: House, third: MadeUpAgent) -> None:
    house.destination.bridges = set()
    house.start()
    started = Domain(3)
    third.domains.append(started)
    result, _ = house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2", unmovable="shutdown", retries=0)
    assert result["outcome"] == "unfinished" and "u1 is on hv3" in result["waiting_for"], result
    assert "guest-start" not in house.source.asked and house.source.down
    third.domains.remove(started)
    assert house.ask(cmd="resume")[0]["outcome"] == "done" and house.on("hv1")


def test_no_start_while_a_third_host_vm_is_silent(house: House, third: MadeUpAgent) -> None:
    house.destination.bridges = set()
    third.faults.mute = {"hello"}
    house.start()
    result, _ = house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2", unmovable="shutdown", retries=0)
    assert result["outcome"] == "unfinished" and "no agent answers on hv3" in result["waiting_for"], result
    assert "guest-start" not in house.source.asked
    # It is down: then nothing runs there.
    (house.directory / "system-hv3").write_text("ended\n")
    assert house.ask(cmd="resume")[0]["outcome"] == "done" and house.on("hv1")


def test_one_that_was_started_at_home_is_away_no_more(house: House, third: MadeUpAgent) -> None:
    """After a host power cut, say: nobody has to type anything for what starts it there by itself."""
    house.source.away = {UUID: "u1"}
    house.start()
    third.faults.mute = {"hello"}
    assert len(house.status()["warnings"]) == 1 and house.source.away
    third.faults.mute = set()
    third.domains.append(Domain(3))
    assert len(house.status()["warnings"]) == 1 and house.source.away
    third.domains.clear()
    house.source.domains[0].suspended = True
    house.status()
    assert house.source.away
    house.source.domains[0].suspended = False
    status = house.status()
    assert not house.source.away and not status["warnings"] and not status["hostvms"][0]["away"]


def test_started_at_home_during_a_return(house: House) -> None:
    """It was shut down on the refuge, and has another UUID now. What sees it is no look that comes by the clock."""
    house.limits |= {"system": 1, "look": 3600}
    house.configure_house()
    house.start()
    waiting = Waiting(house)
    house.destination.domains.clear()
    result = waiting.go_on()
    assert result["outcome"] == "unfinished" and "neither hv1 nor hv2: start it on hv1" in result["waiting_for"], result
    house.source.domains.append(Domain(8, uuid="00000000-0000-4000-8000-000000000001"))
    assert house.source.away
    assert house.ask(cmd="resume")[0]["outcome"] == "done"
    wait_until(lambda: not house.source.away)


def test_one_that_was_shut_down_while_it_was_away(house: House) -> None:
    """By an operator, on the refuge: a return says so, and does not leave it out without a word."""
    other = "00000000-0000-4000-8000-000000000002"
    house.start()
    assert house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2")[0]["outcome"] == "done"
    house.source.away[other] = "u2"
    assert any("u2 is away from hv1, and on no host VM" in w for w in house.status()["warnings"])
    result, _ = house.ask(cmd="return", to="hv1")
    assert result["outcome"] == "refused" and len(result["problems"]) == 1, result
    assert "u2: it is away from hv1, and on no host VM" in result["error"] and "start it on hv1" in result["error"]
    assert house.on("hv2")
    result, _ = house.ask(cmd="return", to="hv1", unmovable="leave")
    assert result["outcome"] == "done" and house.on("hv1"), result
    assert {g["guest"]: g["where"] for g in result["guests"]} == {"u1": "hv1", "u2": "none"}
    # Nothing else is away. It is started at home, and the next look has its home told.
    result, _ = house.ask(cmd="return", to="hv1")
    assert result["outcome"] == "refused" and "start it on hv1" in result["error"], result
    assert other in house.source.away
    house.source.domains.append(Domain(12, name="u2", uuid=other))
    assert not house.status()["warnings"] and not house.source.away


def test_away_on_a_third_host_vm(house: House, third: MadeUpAgent) -> None:
    """It is not missing, and no matter of a return from another one."""
    other = "00000000-0000-4000-8000-000000000002"
    house.start()
    assert house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2")[0]["outcome"] == "done"
    house.source.away[other] = "u2"
    third.domains.append(Domain(12, name="u2", uuid=other))
    assert house.ask(cmd="return", to="hv1", **{"from": "hv2"}, dry_run=True)[0]["outcome"] == "ok"
    third.faults.mute = {"hello"}
    assert house.ask(cmd="return", to="hv1", **{"from": "hv2"}, dry_run=True)[0]["outcome"] == "ok"
    result, _ = house.ask(cmd="return", to="hv1", dry_run=True)
    assert result["outcome"] == "refused" and "no agent answers on hv3" in result["error"], result


def test_abort_during_the_command_brings_all_home(house: House) -> None:
    house.start()
    waiting = Waiting(house)
    told: list[str] = []
    aborting = threading.Thread(target=lambda: told.append(house.ask(cmd="abort")[0]["outcome"]), daemon=True)
    aborting.start()
    wait_until(lambda: house.status()["maintenance"]["aborting"])
    assert waiting.go_on()["outcome"] == "aborted" and house.on("hv1")
    aborting.join(60)
    assert told == ["aborted"]


def test_no_return_leaves_them(house: House) -> None:
    house.start()
    result, _ = house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2", no_return=True)
    assert result["outcome"] == "done" and house.on("hv2")


def test_new_configuration(house: House) -> None:
    house.start()
    house.ask(cmd="maintain", **{"from": "hv1"}, to="hv2", config=house.xl_config("new"))
    assert f'create {house.directory}/new.cfg name="hv1"' in house.xl()
