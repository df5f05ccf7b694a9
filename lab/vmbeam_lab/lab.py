# SPDX-License-Identifier: GPL-2.0
"""A running lab: its systems, and commands and files in them."""

import contextlib
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Iterable, Iterator, TypeVar

from .channel import Channel, ChannelLost
from .config import ADDRESSES, Config
from .errors import CommandFailed, LabError
from .machine import Machine
from .paths import TOP, say

T = TypeVar("T")

# What COUNT rounds of a shell's loop took in the host management VM of the machine that the lab was made on.
SPEED_ROUNDS = 20000
SPEED_REFERENCE_S = 0.6

# A command may be silent for as long as this before it is given up; libxl's own limits are shorter.
COMMAND_PATIENCE = 300.0


def default_dir() -> Path:
    return Path(os.environ.get("LAB_DIR") or TOP / "build/lab").absolute()


def at_once(jobs: Iterable[Callable[[], T]]) -> list[T]:
    """Runs the jobs beside each other; all are over when it returns or raises."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        return [f.result() for f in [pool.submit(job) for job in jobs]]


class Lab:
    def __init__(self, config: Config, directory: Path | None = None) -> None:
        self.config = config
        self.machine = Machine(directory or default_dir())
        self.waiter = self.machine.waiter
        self._idle: dict[str, list[Channel]] = {}
        self._ports: dict[str, int] = {}
        self._tries: dict[str, float] = {}
        self._device_models: dict[str, str] = {}
        self._busy = threading.Lock()

    @property
    def dir(self) -> Path:
        return self.machine.dir

    # The way in

    @contextlib.contextmanager
    def _channel(self, system: str) -> Iterator[Channel]:
        """A connection that nobody uses now: requests on one follow each other."""
        if system not in ADDRESSES:
            raise LabError(f"there is no system called {system}: one of {', '.join(ADDRESSES)}")
        with self._busy:
            if system not in self._ports:
                self._ports[system] = self.machine.port(system)
            idle = self._idle.setdefault(system, [])
            channel = idle.pop() if idle else Channel(system, self._ports[system])
        try:
            yield channel
        finally:
            with self._busy:
                idle.append(channel)

    @contextlib.contextmanager
    def _timed(self, system: str, what: str) -> Iterator[None]:
        """A line in commands.log: where the time of a test or of the demo goes."""
        began = time.monotonic()
        try:
            yield
        finally:
            line = f"{time.strftime('%T')} {time.monotonic() - began:8.3f} s  {system:5} {what[:150]!r}\n"
            with self._busy, (self.dir / "commands.log").open("a", encoding="utf-8") as log:
                log.write(line)

    def disconnect(self) -> None:
        with self._busy:
            for channel in (c for idle in self._idle.values() for c in idle):
                channel.close()
            self._idle.clear()
            self._ports.clear()
            self._tries.clear()
            self._device_models.clear()

    def restarted(self, system: str) -> None:
        """It went away and was created anew: old connections lead nowhere, and another process is its device model."""
        with self._busy:
            for channel in self._idle.pop(system, []):
                channel.close()
            self._tries.pop(system, None)
            self._device_models.pop(system, None)

    def status(self, system: str, command: str, data: bytes | None = None, *, patience: float = COMMAND_PATIENCE,
               take: Callable[[bytes, bytes], None] | None = None) -> tuple[int, bytes, bytes]:
        """Runs a shell command: its exit status and both outputs. take() gets both as they come, b"O" and b"R"."""
        out: dict[bytes, list[bytes]] = {b"O": [], b"R": []}

        def keep(kind: bytes, body: bytes) -> None:
            out[kind].append(body)
            if take:
                take(kind, body)

        watch = self.waiter.watch(f"{system} to run: {command[:200]}", patience=patience)
        with self._channel(system) as channel, self._timed(system, command):
            rc = channel.run(command, data, watch, keep)
        return rc, b"".join(out[b"O"]), b"".join(out[b"R"])

    def run(self, system: str, command: str, data: bytes | None = None, *, patience: float = COMMAND_PATIENCE) -> str:
        """The standard output of a command that must succeed."""
        rc, out, err = self.status(system, command, data, patience=patience)
        if rc:
            raise CommandFailed(system, command, rc, out.decode(errors="replace"), err.decode(errors="replace"))
        return out.decode(errors="replace")

    def succeeds(self, system: str, command: str) -> bool:
        return self.status(system, command)[0] == 0

    def read(self, system: str, path: str) -> bytes:
        with self._channel(system) as channel, self._timed(system, f"read {path}"):
            return channel.get(path, self.waiter.watch(f"{system}:{path}"))

    def text(self, system: str, path: str) -> str:
        return self.read(system, path).decode(errors="replace").strip()

    def write(self, system: str, path: str, data: bytes, executable: bool = False) -> None:
        with self._channel(system) as channel:
            channel.put(path, data, executable, self.waiter.watch(f"{system}:{path}"))

    def answers(self, system: str) -> bool:
        """True, or an error: what is in the way. Each try is more patient: a slow system must get an answer through."""
        patience = self._tries[system] = min(self._tries.get(system, 2.0) * 1.5, 120.0)
        try:
            with self._channel(system) as channel:
                channel.get("/proc/uptime", self.waiter.watch(f"{system} to answer", patience=patience))
        except ChannelLost:
            del self._tries[system]
            raise
        del self._tries[system]
        return True

    # Being up

    def measure_speed(self) -> None:
        """How much slower this machine is than the one that the lab was made on; every patience is stretched by it."""
        before = self.waiter.clock.now()
        self.run("host", f"i=0; while [ $i -lt {SPEED_ROUNDS} ]; do i=$((i+1)); done")
        took = self.waiter.clock.now() - before
        self.waiter.slowness = max(1.0, took / SPEED_REFERENCE_S)
        say(f"this machine takes {took / SPEED_REFERENCE_S:.1f} times what the reference takes; "
            f"patience is stretched {self.waiter.slowness:.1f} times")

    def device_model_bytes(self, hostvm: str) -> str:
        """What a host VM has sent and its device model has read: how a boot without a console shows that it goes on."""
        if hostvm not in self._device_models:
            self._device_models[hostvm] = self.run("host", f"xenstore-read /local/domain/$(xl domid {hostvm})/image/device-model-pid").strip()
        io = self.text("host", f"/proc/{self._device_models[hostvm]}/io").split()[:4]
        return " ".join([*io, "sent", self.text("host", f"/sys/class/net/tap-{hostvm}/statistics/rx_bytes")])

    def console_bytes(self) -> int:
        return self.machine.serial.stat().st_size if self.machine.serial.exists() else 0

    def wait_host(self) -> None:
        self.waiter.until("the host management VM to answer", lambda: self.answers("host"), self.console_bytes)

    def wait_hostvm(self, system: str) -> None:
        began = time.monotonic()
        self.waiter.until(f"{system} to answer", lambda: self.answers(system),
                          lambda: self.device_model_bytes(system), patience=240, pause=1)
        self.waiter.until(f"{system}'s toolstack to answer",
                          lambda: self.succeeds(system, "test -e /run/lab-up && xl list"), pause=1)
        if time.monotonic() - began > 5:
            say(f"{system} answers after {time.monotonic() - began:.0f} s")

    def wait_hostvms(self) -> None:
        for system in self.config.hostvms:
            self.wait_hostvm(system)

    def check_pinning(self) -> None:
        """Nothing in guest mode may ever run on CPU 0 of a QEMU that has its faults: docs/lab.md."""
        if self.config.kvm or self.config.qemu != "debian":
            return
        lines = [line.split() for line in self.run("host", "xl vcpu-list").splitlines()[1:]]
        for words in lines:
            hard, cpu = words[-3], words[3]
            ok = hard == "0" if words[0] == "Domain-0" else hard != "all" and not hard.startswith("0") and cpu != "0"
            if not ok:
                raise LabError(f"{words[0]} may run on the wrong CPU: {' '.join(words)}")
        if len(lines) < 1 + 2 * len(self.config.hostvms):
            raise LabError("xl vcpu-list does not list all host VMs")

    def down(self) -> None:
        self.disconnect()
        self.machine.stop()


def show(kind: bytes, body: bytes) -> None:
    """A command's outputs to ours, as they come."""
    out = sys.stdout if kind == b"O" else sys.stderr
    out.buffer.write(body)
    out.flush()

