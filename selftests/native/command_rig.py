# SPDX-License-Identifier: GPL-2.0
"""vmbeam of a test's own, over a daemon that is made up."""
import os
import pty
import select
import signal
import subprocess
import threading
import time
from pathlib import Path

from daemon_rig import Ended
from made_up_agent import Json
from made_up_daemon import PATIENCE_S, MadeUpDaemon

PLAN: Json = {"what": "maintain", "from": "hv1", "to": "hv2", "guests": [
    {"guest": "u1", "uuid": "a", "way": "move", "need_kib": 1 << 20, "pause_ms": 120.4},
    {"guest": "u2", "uuid": "b", "way": "move", "need_kib": 1 << 19},
    {"guest": "u3", "uuid": "c", "way": "shutdown", "need_kib": 1 << 18,
     "blockers": ["it has a PCI device", "its disk\x07 is not there"]}],
    "sums": {"moving": 2, "need_kib": 3 << 19, "pause_ms": 120.4, "unknown_pauses": 1}}
REPORT: Json = {
    "outcome": "done", "what": "maintain", "from": "hv1", "to": "hv2", "system": "hv1", "xen_before": "4.20.0",
    "xen_after": "4.20.1", "down_ms": 63000, "total_ms": 100300, "guests": [
        {"guest": "u1", "uuid": "a", "way": "move", "where": "hv1"},
        {"guest": "u2", "uuid": "b", "way": "move", "where": "hv2", "adopted": True, "error": "no memory"},
        {"guest": "u3", "uuid": "c", "way": "shutdown", "where": "none"}]}
EVENTS: list[Json] = [
    {"event": "plan", "maintenance": "m1", "plan": PLAN},
    {"event": "step", "maintenance": "m1", "step": "evacuate"},
    {"event": "phase", "guest": "u1", "uuid": "a", "phase": "swap", "done": 10, "total": 20, "unit": "frames"},
    {"event": "phase", "guest": "u1", "uuid": "a", "phase": "swap", "ms": 12.34},
    {"event": "outcome", "guest": "u1", "uuid": "a", "outcome": "done", "downtime_ms": 99.0}]
# Asks for something that takes long, in the ways that there are.
LONG = {"migrate": ["migrate", "hv1/u1", "hv2"], "evacuate": ["evacuate", "hv1", "--to", "hv2"],
        "return": ["return", "hv1"], "maintain": ["maintain", "hv1", "--via", "hv2"],
        "resume": ["maintain", "--resume"], "abort": ["maintain", "--abort"]}
ALL = {**LONG, "check": ["check", "hv1/u1", "hv2"], "list": ["list"], "status": ["status"], "history": ["history"],
       "events": ["events"], "adopt": ["adopt", "u1"], "cancel": ["cancel"], "forget": ["forget", "m1"]}




class Running:
    """A command under way, on a terminal or on none."""

    def __init__(self, command: list[str | Path], env: dict[str, str], terminal: bool, background: bool) -> None:
        self.shown = ""
        self._terminal, end = pty.openpty() if terminal else (-1, subprocess.PIPE)
        # Inherited by what is started. Who runs the tests in the background of a script ignores Ctrl-C himself.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN if background else signal.SIG_DFL)
        try:
            self.process = subprocess.Popen(command, env=env, stdout=end, stderr=subprocess.PIPE, text=True,
                                            stdin=end if terminal else subprocess.DEVNULL, start_new_session=True)
        finally:
            signal.signal(signal.SIGINT, before)
        if terminal:
            os.close(end)

    def wait_for(self, text: str) -> None:
        """Until the terminal shows it."""
        end = time.monotonic() + PATIENCE_S
        while text not in self.shown:
            assert time.monotonic() < end, f"{text!r} is not shown: {self.shown!r}"
            self._read()

    def tells(self, text: str) -> None:
        """Until a line of stderr has it."""
        assert self.process.stderr
        end, told = threading.Timer(PATIENCE_S, self.process.kill), []
        end.start()
        for line in iter(self.process.stderr.readline, ""):
            told.append(line)
            if text in line:
                break
        end.cancel()
        assert told and text in told[-1], f"{text!r} is not told, but {told}"

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self) -> Ended:
        if self._terminal < 0:
            out, err = self.process.communicate(timeout=PATIENCE_S)
            return Ended(self.process.returncode, out, err)
        while self._read():
            pass
        os.close(self._terminal)
        assert self.process.stderr
        err = self.process.stderr.read()
        return Ended(self.process.wait(PATIENCE_S), self.shown, err)

    def _read(self) -> bool:
        if not select.select([self._terminal], [], [], 0.05)[0]:
            return True
        try:
            read = os.read(self._terminal, 4096).decode(errors="replace")
        except OSError:
            # Nobody has the other end any more.
            return False
        self.shown += read
        return bool(read)


class Command:
    def __init__(self, program: Path, daemon: MadeUpDaemon) -> None:
        self.daemon = daemon
        self.env = {**os.environ, "VMBEAM_SOCKET": str(daemon.path), "TERM": "xterm", "TZ": "UTC"}
        self._program = program

    def __call__(self, *arguments: str | bytes) -> Ended:
        ended = subprocess.run([self._program, *arguments], env=self.env, capture_output=True, text=True,
                               timeout=PATIENCE_S, check=False)
        # It exits with what a misuse does.
        assert "Sanitizer" not in ended.stderr, ended.stderr
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def start(self, *arguments: str, terminal: bool = False, background: bool = False) -> Running:
        return Running([self._program, *arguments], self.env, terminal, background)
