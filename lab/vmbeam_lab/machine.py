# SPDX-License-Identifier: GPL-2.0
"""The machine that the outer Xen runs on: one QEMU. Why each option is there: docs/lab.md."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from .config import ADDRESSES, Config
from .errors import LabDied, LabError
from .paths import LAB, entry_path

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

    def qmp(self, command: str, **arguments: Any) -> Any:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.dir / "qmp"))
            with s.makefile("rw", encoding="utf-8") as f:
                answer: dict[str, Any] = json.loads(f.readline())
                for request in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                    f.write(json.dumps(request) + "\n")
                    f.flush()
                    while True:
                        line = f.readline()
                        if not line:
                            raise LabDied(f"QEMU went away while it was asked: {command}")
                        answer = json.loads(line)
                        if "return" in answer or "error" in answer:
                            break
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
        while True:
            info = self.qmp("query-migrate")
            if info.get("status") == "completed":
                return
            if info.get("status") in ("failed", "cancelled"):
                raise LabError(f"{what} failed: {info.get('error-desc', 'QEMU does not say why')}")
            time.sleep(0.05)

    def save(self, state: Path) -> None:
        """Stops the machine and writes all but its memory, which is in its file."""
        self.qmp("stop")
        self.qmp("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])
        self.qmp("migrate", uri=f"file:{state}")
        self.migration_wait("writing the machine's state")

    def load(self, state: Path) -> None:
        self.qmp("migrate-incoming", uri=f"file:{state}")
        self.migration_wait("reading the machine's state")
        self.qmp("cont")

    def stop(self) -> None:
        """The profile's counts are written when QEMU ends by itself, so it is asked to first."""
        pid = self.pid()
        if pid:
            os.kill(pid, signal.SIGTERM)
            for _ in range(100):
                if not self.pid():
                    break
                time.sleep(0.1)
            else:
                os.kill(pid, signal.SIGKILL)
        for name in ("qemu.pid", "qmp"):
            (self.dir / name).unlink(missing_ok=True)
