# SPDX-License-Identifier: GPL-2.0
"""The machine that the outer Xen runs on: one QEMU. Why each option is there: docs/lab.md."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .config import ADDRESSES, Config
from .errors import LabDied, LabError, Stalled
from .paths import LAB, entry_path
from .wait import Waiter

CHANNEL_PORT = 2323
DOM0_MIB = 1536
# The serial console tells when the emulator has lost a host VM: docs/lab.md, "Nothing in guest mode on CPU 0".
DEADLY = b"Triple fault"


DISKS = ("guests1", "guests2", "state", "hv1", "hv2")


def machine_options(c: Config) -> list[str]:
    """All that makes the machine what it is, so that a snapshot belongs to it: it is part of the snapshot's key. IMAGE
    and DIR stand for directories."""
    cpus = 3 if c.state == "host" else 5
    sha, pin, xen, linux = ",-sha-ni", " dom0_vcpus_pin", " xsave=0 lab-virq", ""
    if c.qemu != "debian":
        sha = pin = xen = ""
        linux = " lab.cpus=all"
    if c.icount:
        accel = ["-accel", "tcg", "-icount", "shift=0", "-cpu", f"max,-x2apic{sha}"]
    elif c.kvm:
        accel, xen = ["-accel", "kvm", "-cpu", "host"], ""
    else:
        accel = ["-accel", "tcg", "-cpu", f"max{sha}"]
    if c.state == "host":
        linux += " lab.hostvms=none"
    if not c.swiotlb:
        linux += " lab.swiotlb=off"
    linux += f" lab.hv_kernel={c.hv_kernel}"
    return [*accel, "-machine", "pc,memory-backend=ram", "-smp", str(cpus), "-m", str(c.mib), "-display", "none",
            "-no-reboot", "-nodefaults",
            "-append", "console=com1 com1=115200,8n1 loglvl=info guest_loglvl=warning bootscrub=0 "
            f"dom0_mem={DOM0_MIB}M,max:{DOM0_MIB}M dom0_max_vcpus=1{pin} spec-ctrl=no noreboot{xen}",
            "-initrd", "IMAGE/vmlinuz console=hvc0 loglevel=4 xen_timer_slop=20000000 random.trust_cpu=on "
            "net.ifnames=0 mitigations=off apparmor=0 panic=0 lab.role=host lab.ip=10.0.2.10 lab.root=/dev/vda "
            f"lab.hostvm_mib={c.hostvm_mib}{linux},IMAGE/rd.gz",
            "-device", "virtio-rng-pci",
            "-drive", "file=IMAGE/root.ext4,if=virtio,format=raw,readonly=on,file.locking=off",
            *(word for d in DISKS for word in ("-drive", f"file=DIR/{d}.qcow2,if=virtio,format=qcow2")),
            "-netdev", "user,id=net,net=10.0.2.0/24,host=10.0.2.2,"
            + ",".join(f"hostfwd=tcp:127.0.0.1:0-{a}:{CHANNEL_PORT}" for a in ADDRESSES.values()),
            "-device", "virtio-net-pci,netdev=net,mac=00:16:3e:00:00:10,romfile="]


def qemu_program(c: Config) -> str:
    """Another program cannot take over a snapshot, so this is a part of its key."""
    return str(entry_path(LAB / "qemu/build.sh") / "qemu-system-x86_64") if c.qemu == "fixed" else "qemu-system-x86_64"


class Machine:
    """A QEMU and its directory; it outlives the process that started it."""

    def __init__(self, directory: Path) -> None:
        self.dir = directory
        self.serial = directory / "serial.log"
        self.waiter = Waiter(self)

    def start(self, c: Config, image: Path, xen: Path, ram: Path, *, shared: bool, incoming: bool) -> None:
        """With shared, what the machine writes to its memory is written to the file; otherwise the file stays as it is
        and only what is written is copied: many starts from one file cost next to nothing."""
        options = [o.replace("IMAGE", str(image)).replace("DIR", str(self.dir)) for o in machine_options(c)]
        backend = f"memory-backend-file,id=ram,size={c.mib}M,mem-path={ram}"
        command = [qemu_program(c), *options, "-kernel", str(xen),
                   "-object", backend + (",share=on" if shared else ",share=off,readonly=on,rom=off"),
                   "-daemonize", "-pidfile", f"{self.dir}/qemu.pid", "-serial", f"file:{self.serial}",
                   "-qmp", f"unix:{self.dir}/qmp,server=on,wait=off"]
        if c.profile:
            plugin = entry_path(LAB / "qemu/profile.sh")
            command += ["-plugin", f"file={plugin},out={c.profile}"]
        if incoming:
            command += ["-incoming", "defer"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise LabError(f"QEMU does not start: {done.stderr.strip()}")
        if incoming:
            self.qmp("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])

    def pid(self) -> int | None:
        try:
            pid = int((self.dir / "qemu.pid").read_text())
            os.kill(pid, 0)
            return pid
        except (OSError, ValueError):
            return None

    def check_alive(self, waiting_for: str) -> None:
        """Raises if the machine, or a host VM on it, is dead: nothing that is waited for will come."""
        if not self.pid():
            tail = self.serial.read_bytes()[-600:].decode(errors="replace") if self.serial.exists() else ""
            raise LabDied(f"the lab ended while waiting for {waiting_for}; the end of its console:\n{tail}")
        if DEADLY in self.serial.read_bytes():
            raise LabDied(f"a host VM died while waiting for {waiting_for}: {DEADLY.decode()} in {self.serial}")

    def effort(self) -> str:
        """What QEMU itself has done: its main thread's time, which no vCPU runs on, and the bytes that it read and wrote."""
        pid = self.pid()
        try:
            return " ".join(Path(f"/proc/{pid}/{name}").read_text() for name in (f"task/{pid}/schedstat", "io"))
        except OSError:     # it has just ended; or, for the moment, is not there to be looked at
            return ""

    def _lines(self, s: socket.socket, command: str) -> Iterator[dict[str, Any]]:
        """What QEMU says on a connection of its monitor, as long as it works or the machine is served."""
        watch = self.waiter.watch(f"QEMU to answer {command}", self.effort)
        data = b""
        while True:
            while b"\n" not in data:
                try:
                    part = s.recv(65536)
                except TimeoutError:
                    watch.look("no answer yet")
                    continue
                if not part:
                    raise LabDied(f"QEMU went away while it was asked: {command}")
                data += part
            line, _, data = data.partition(b"\n")
            yield json.loads(line)

    def qmp(self, command: str, **arguments: Any) -> Any:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.dir / "qmp"))
            s.settimeout(0.5)       # then it is looked whether QEMU still works
            lines = self._lines(s, command)
            answer = next(lines)    # its greeting
            for request in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                s.sendall(json.dumps(request).encode() + b"\n")
                answer = next(line for line in lines if "return" in line or "error" in line)
                if "error" in answer:
                    raise LabError(f"QEMU refuses {command}: {answer['error']['desc']}")
            return answer["return"]

    def monitor(self, line: str) -> str:
        return str(self.qmp("human-monitor-command", **{"command-line": line}))

    def port(self, system: str) -> int:
        """The loopback port that leads to a system's channel, as the kernel chose it."""
        for words in map(str.split, self.monitor("info usernet").splitlines()):
            if words and "HOST_FORWARD" in words[0] and words[4:6] == [ADDRESSES[system], str(CHANNEL_PORT)]:
                return int(words[3])
        raise LabError(f"QEMU has no port for {system}")

    def migration_wait(self, what: str) -> None:
        def ended() -> dict[str, Any] | None:
            now: dict[str, Any] = self.qmp("query-migrate")
            return now if now.get("status") in ("completed", "failed", "cancelled") else None

        info = self.waiter.until(what, ended, self.effort, pause=0.05)
        if info["status"] != "completed":
            raise LabError(f"{what} failed: {info.get('error-desc', 'QEMU does not say why')}")

    def save(self, state: Path) -> None:
        """Stops the machine and writes all but its memory, which is in its file."""
        self.qmp("stop")
        self.qmp("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])
        self.qmp("migrate", uri=f"file:{state}")
        self.migration_wait("the machine's state to be written")

    def load(self, state: Path) -> None:
        self.qmp("migrate-incoming", uri=f"file:{state}")
        self.migration_wait("the machine's state to be read")
        self.qmp("cont")

    def _end(self, sig: signal.Signals) -> bool:
        """Sends it, and waits for QEMU to end; false if it does not. A host VM may be dead: that does not matter now."""
        watch = self.waiter.watch(f"QEMU to end after {sig.name}", self.effort, patience=30)
        with contextlib.suppress(ProcessLookupError, Stalled):
            if pid := self.pid():
                os.kill(pid, sig)
            while self.pid():
                watch.look_for_progress()
                time.sleep(0.05)
        return not self.pid()

    def stop(self) -> None:
        """The profile's counts are written when QEMU ends by itself, so it is asked to first."""
        if not self._end(signal.SIGTERM) and not self._end(signal.SIGKILL):
            raise LabError(f"QEMU, pid {self.pid()}, does not end, not even of SIGKILL: what does its kernel wait for?")
        for name in ("qemu.pid", "qmp"):
            (self.dir / name).unlink(missing_ok=True)
