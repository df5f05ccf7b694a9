# SPDX-License-Identifier: GPL-2.0
"""A vmbeamd of a test's own between two made-up agents, over the made-up host of daemon/fake-host.c."""
import json
import os
import socket
import subprocess
import threading
import time
import zlib
from pathlib import Path
from typing import Any, Callable, NamedTuple

from made_up_agent import FRAMES, Domain, Export, Json, MadeUpAgent

# What `vmbeam` exits with.
DONE, MISUSE, REFUSED, ROLLED_BACK, UNFINISHED, NO_DAEMON = range(6)

# Where the guest VM's frames lie in either host VM: as pfn, gfn and number. The source has some that are not its own.
SOURCE_GFN = 1000
SOURCE_GFNS = ((0, SOURCE_GFN, 60), (60, SOURCE_GFN + 200, 45))
DESTINATION_GFNS = ((0, 5000, 30), (30, 5077, FRAMES - 30))

# Those that tests wait for; the agents are at once, but for the load of the machine.
LIMITS = {"check-connect": 5, "connect": 5, "late-suspend": 2, "stop": 20}

# Far beyond anything that the daemon does at its own pace.
PATIENCE_S = 60


class Ended(NamedTuple):
    """How a command ended."""
    code: int
    out: str
    err: str


class Migrated(NamedTuple):
    """How `vmbeam migrate --json` ended."""
    code: int
    report: Json    # empty if there was none
    err: str


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"Timed out after {PATIENCE_S} s waiting for what this test waits for"
        time.sleep(0.02)


def asked_again(agent: MadeUpAgent, op: str) -> None:
    """The daemon has gone on for a while: it has asked three more times."""
    before = agent.asked.count(op)
    wait_until(lambda: agent.asked.count(op) >= before + 3)


class Migration(threading.Thread):
    """A migration in the background, perhaps held at a point of the daemon's."""

    def __init__(self, rig: "Rig", point: str | None) -> None:
        super().__init__(daemon=True)
        self._rig = rig
        self._point = point
        self._ended: Migrated | None = None
        self.start()

    def run(self) -> None:
        self._ended = self._rig.migrate()

    def end(self) -> Migrated:
        """Waits for it."""
        self.join(2 * PATIENCE_S)
        assert self._ended, "the migration does not end"
        return self._ended

    def let_go(self) -> None:
        assert self._point
        self._rig.let_go(self._point)

    def go_on(self) -> Migrated:
        self.let_go()
        return self.end()


class Client:
    """Of the daemon's own socket: for what `vmbeam` does not ask for, or would not wait for."""

    def __init__(self, control: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect(str(control))
        self._lines = self._socket.makefile("rb")

    def send(self, **request: Any) -> None:
        self._socket.sendall(json.dumps(request).encode() + b"\n")

    def ends(self) -> None:
        """It asks for nothing more."""
        self._socket.shutdown(socket.SHUT_WR)

    def line(self) -> Json | None:
        """The next one; None when the daemon has closed the line."""
        text = self._lines.readline()
        line: Json | None = json.loads(text) if text else None
        return line

    def until(self, last: Callable[[Json], bool]) -> list[Json]:
        """The lines up to that one."""
        lines: list[Json] = []
        while not lines or not last(lines[-1]):
            line = self.line()
            assert line is not None, f"the daemon has closed the line after {lines}"
            lines.append(line)
        return lines

    def ask(self, **request: Any) -> list[Json]:
        """All that is answered, the result last."""
        self.send(**request)
        return self.until(lambda line: "result" in line)

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


class Rig:
    def __init__(self, programs: Path, directory: Path) -> None:
        self.vmbeam = programs / "vmbeam"
        self.directory = directory
        self.source = MadeUpAgent("hv1", directory / "hv1.sock", SOURCE_GFNS)
        self.destination = MadeUpAgent("hv2", directory / "hv2.sock", DESTINATION_GFNS)
        self.agents: tuple[MadeUpAgent, ...] = (self.source, self.destination)
        self.source.domains.append(Domain(domid=5))
        self.daemon: subprocess.Popen[bytes] | None = None
        self._vmbeamd = programs / "vmbeamd"
        self._control = directory / "control"
        self._journal = directory / "journal"
        self.history_file = directory / "history"
        self.metrics_file = directory / "vmbeam.prom"
        self._config = directory / "conf"
        self._stderr = directory / "stderr"
        self._hold = directory / "hold"
        self._hold.mkdir()
        self.limits = dict(LIMITS)
        self.configure(*(agent.hostvm for agent in self.agents))
        self.env = {**os.environ, "FAKE_DIR": str(directory), "VMBEAM_HOLD_DIR": str(self._hold),
                    "VMBEAM_SOCKET": str(self._control)}
        for agent in self.agents:
            agent.start()

    # The daemon

    def configure(self, *names: str, **others: Any) -> None:
        """What the host VMs are called; @others is put into the configuration, besides or instead."""
        self.write_config(json.dumps({
            "hostvms": [{"name": name, "socket": str(agent.path)} for name, agent in zip(names, self.agents)],
            "journal": str(self._journal), "control": str(self._control), "limits": self.limits,
            "history": {"file": str(self.history_file)}, "metrics": str(self.metrics_file), **others}))

    def write_config(self, text: str) -> None:
        self._config.write_text(text)

    def limit(self, **limits: int) -> None:
        """In seconds; with _ for -. For the daemons that are started from now on."""
        self.limits.update({name.replace("_", "-"): seconds for name, seconds in limits.items()})
        self.configure(*(agent.hostvm for agent in self.agents))

    def run_to_its_end(self, *options: str) -> int:
        """A daemon that does not want to start, or is not to. The exit code."""
        with self._stderr.open("ab") as stderr:
            return subprocess.run([self._vmbeamd, "-c", self._config, *options], env=self.env, stderr=stderr,
                                  stdout=subprocess.DEVNULL, timeout=PATIENCE_S, check=False).returncode

    def start(self, **fake: int | str) -> None:
        """Starts the daemon; @fake is what daemon/fake-host.c reads, without its FAKE_ and in small letters."""
        options = {f"FAKE_{name.upper()}": str(value) for name, value in fake.items()}
        with self._stderr.open("ab") as stderr:
            self.daemon = subprocess.Popen([self._vmbeamd, "-c", self._config], env={**self.env, **options},
                                           stderr=stderr)
        wait_until(self._takes_clients)

    def _takes_clients(self) -> bool:
        """Its socket has a name before it listens."""
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(str(self._control)) == 0

    def has_died(self) -> None:
        """Waits until the daemon has."""
        assert self.daemon
        self.daemon.wait(PATIENCE_S)

    def kill(self) -> None:
        """The daemon dies, if it has not, and nothing is held any more."""
        if self.daemon:
            self.daemon.kill()
            self.daemon.wait()
        for path in self._hold.iterdir():
            path.unlink()
        self._control.unlink(missing_ok=True)

    def stop(self) -> int:
        """As its supervisor does it. The exit code."""
        assert self.daemon
        self.daemon.terminate()
        return self.daemon.wait(PATIENCE_S)

    def restart(self, **fake: int | str) -> None:
        self.kill()
        self.start(**fake)

    def forget_transactions(self) -> None:
        """As when the module is loaded anew."""
        for path in self.directory.glob("txn-*"):
            path.unlink()

    def transactions_become(self, state: str) -> None:
        for path in self.directory.glob("txn-*"):
            *owner, _ = path.read_text().split()
            path.write_text(" ".join([*owner, state]))

    def transactions_are_of_others(self) -> None:
        """The same ids, between other host VMs: as when the module is loaded anew and has come as far."""
        for path in self.directory.glob("txn-*"):
            path.write_text("7 8 " + path.read_text().split(maxsplit=2)[2])

    def what_happened(self) -> str:
        """For whoever reads that a test failed."""
        lines = [f"{agent.hostvm}: {' '.join(agent.asked[-12:])}" for agent in self.agents]
        return "\n".join(lines + [self._stderr.read_text() if self._stderr.exists() else "no daemon was started"])

    def log(self) -> str:
        """What all daemons of this rig wrote."""
        return self._stderr.read_text()

    # The command

    def command(self, *arguments: str | bytes) -> Ended:
        ended = subprocess.run([self.vmbeam, *arguments], env=self.env, capture_output=True, text=True,
                               timeout=2 * PATIENCE_S)
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def migrate(self, guest: str | bytes = "hv1/u1") -> Migrated:
        ended = self.command("migrate", "--json", guest, "hv2")
        return Migrated(ended.code, json.loads(ended.out) if ended.out else {}, ended.err)

    def migrate_in_background(self) -> Migration:
        return Migration(self, None)

    def client(self) -> Client:
        return Client(self._control)

    def history(self, **wanted: Any) -> list[Json]:
        """The records that the daemon tells."""
        client = self.client()
        *lines, result = client.ask(cmd="history", **wanted)
        client.close()
        assert result["result"]["outcome"] == "ok", result
        return [line["record"] for line in lines]

    def status_code(self) -> int:
        return self.command("status").code

    def status(self) -> Json:
        status: Json = json.loads(self.command("status", "--json").out)
        return status

    # Points at which a daemon that is built for tests can be held

    def hold(self, point: str) -> None:
        (self._hold / f"vmbeamd:{point}").touch()

    def let_go(self, point: str) -> None:
        (self._hold / f"vmbeamd:{point}").unlink()

    def is_held(self, point: str) -> bool:
        return (self._hold / f"vmbeamd:{point}.held").exists()

    def migrate_and_hold(self, point: str, **fake: int | str) -> Migration:
        """Starts the daemon and a migration, which waits at @point."""
        self.hold(point)
        self.start(**fake)
        migration = Migration(self, point)
        wait_until(lambda: self.is_held(point) or not migration.is_alive())
        assert self.is_held(point), migration.end()
        return migration

    def kill_at(self, point: str) -> None:
        """The daemon dies in the middle of a migration."""
        migration = self.migrate_and_hold(point)
        self.kill()
        migration.end()

    # The journal

    def records(self) -> list[Json]:
        return [json.loads(line[9:]) for line in self._journal.read_text().splitlines()]

    def write_records(self, records: list[Json]) -> None:
        """Only while no daemon runs."""
        texts = [json.dumps(record) for record in records]
        self._journal.write_text("".join(f"{zlib.crc32(text.encode()):08x} {text}\n" for text in texts))

    def change_last_record(self, **changes: str) -> None:
        *records, last = self.records()
        self.write_records([*records, {**last, **changes}])

    def states(self) -> list[str]:
        return [record["state"] for record in self.records()]

    def last_state(self) -> str | None:
        states = self.states()
        return states[-1] if states else None

    def wait_for_state(self, state: str) -> None:
        wait_until(lambda: self.last_state() == state)

    def wait_until_it_has_let_the_guest_run(self) -> None:
        wait_until(lambda: bool(self.records()) and bool(self.records()[-1]["resumed"]))

    # What the host VMs have

    def exports(self) -> list[Export]:
        return [export for agent in self.agents for export in agent.exports.values()]

    def assert_on_source(self) -> None:
        """As if nothing had been."""
        domain = self.source.the_domain()
        assert not domain.suspended and not domain.shutdown
        assert not self.destination.domains
        assert not self.exports()
        assert not self.source.away

    def assert_on_destination(self) -> None:
        assert not self.destination.the_domain().paused
        assert not self.source.domains
        assert not self.exports()
        assert not self.destination.away

    def assert_untouched(self) -> None:
        """Nobody was sure, so nobody did a thing: both sides are there, armed, and stand still."""
        assert self.source.exports and self.destination.exports
        assert self.source.the_domain().suspended
        assert self.destination.the_domain().paused

    def assert_lost(self, hostvm: str, export: str) -> None:
        """The daemon says that the guest VM is lost, and what @hostvm still has of it."""
        assert self.status_code() == UNFINISHED
        last = self.status()["last"]
        assert last["outcome"] == last["state"] == "lost"
        assert hostvm in last["lost"] and export in last["lost"]
        assert self.last_state() == "lost"
