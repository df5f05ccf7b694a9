# SPDX-License-Identifier: GPL-2.0
"""Labs in a known state, from the cache.

A snapshot is the machine's memory as a file, and the rest of its state as another one. A start maps the memory file
privately, so it takes what it touches and leaves the file as it is. Each state is made from the one before it:

    host                            the outer system alone
    systems -> guests               both host VMs; and u1 and u2 in them, their checkers running
    each of these -> deployed       with the modules, daemons and tests of this checkout

QEMU cannot load a state that was saved while a vCPU was inside an SVM guest: the host VMs are paused meanwhile.
"""

import shutil
import subprocess
import time
from pathlib import Path
from typing import Callable

from . import deploy, evidence, logs
from .config import GUESTS, Config
from .errors import LabDied, LabError, Stalled
from .guests import guest_create
from .lab import Lab, at_once
from .machine import DISKS, machine_options, qemu_program
from .paths import LAB, TOP, cache_entry, cache_key, entry_path, say

# A checkout under work leaves a snapshot for each of its states: only the last ones are kept.
KEEP_DEPLOYED = 2
KEEP_BASE = 3
# Starts that hung and were tried again: the first line of each error.
restarts: list[str] = []


def _ram(c: Config) -> Path:
    """The memory of a machine whose snapshot is being made; /tmp is a tmpfs of this very run. On a disk, the pages that
    the machine has written would be written back again and again."""
    return Path(f"/tmp/vmbeam-lab-ram-{c.state}")


def image_path(c: Config) -> Path:
    return entry_path(LAB / "image.sh", *([c.series] if c.series else []))


def xen_path(c: Config) -> Path:
    if c.xen == "stock":
        return image_path(c) / "xen"
    variant = [] if c.xen == "release" else [c.xen]
    return entry_path(TOP / "xen/build.sh", *variant) / "xen"


def _overlay(base: Path, kind: str, path: Path) -> None:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", kind, str(path)], check=True)


def _copy(source: Path, dest: Path) -> None:
    """With its holes: most of a machine's memory is never touched."""
    subprocess.run(["cp", "--sparse=always", source, dest], check=True)


def _prepare(lab: Lab, disks: Path, kind: str) -> None:
    if lab.machine.pid():
        raise LabError(f"the lab in {lab.dir} is up already: lab down ends it")
    lab.dir.mkdir(parents=True, exist_ok=True)
    for name in ("serial.log", "commands.log", "qmp", "qemu.pid", *(f"{d}.qcow2" for d in DISKS)):
        (lab.dir / name).unlink(missing_ok=True)
    for d in DISKS:
        _overlay(disks / f"{d}.{'raw' if kind == 'raw' else 'qcow2'}", kind, lab.dir / f"{d}.qcow2")


def boot_cold(lab: Lab, ram: Path) -> None:
    """From power-on to all management VMs answering."""
    c, began = lab.config, time.monotonic()
    image, xen = image_path(c), xen_path(c)
    _prepare(lab, image, "raw")
    lab.machine.start(c, image, xen, ram, shared=True, incoming=False)
    lab.wait_host()
    lab.measure_speed()
    lab.check_pinning()
    lab.wait_hostvms()
    say(f"cold boot: {time.monotonic() - began:.0f} s")


def has_guests(snapshot: Path) -> bool:
    return snapshot.name.startswith("lab-guests")


def _resume(lab: Lab, snapshot: Path, ram: Path, *, shared: bool, guests: bool) -> None:
    began = time.monotonic()
    c = lab.config
    _prepare(lab, snapshot, "qcow2")
    lab.machine.start(c, image_path(c), xen_path(c), ram, shared=shared, incoming=True)
    lab.machine.load(snapshot / "machine")
    lab.wait_host()
    if c.hostvms:
        lab.run("host", "for h in hv1 hv2; do xl unpause $h; done")
    at_once([lambda s=s: lab.waiter.until(f"{s} to answer", lambda: lab.answers(s))     # type: ignore[misc]
             for s in (*c.hostvms, *(GUESTS if guests else ()))])
    lab.measure_speed()
    say(f"up in {time.monotonic() - began:.0f} s")


def _save(lab: Lab, into: Path) -> None:
    """The lab ends with it."""
    if lab.config.hostvms:
        lab.run("host", "sync; for h in hv1 hv2; do xl pause $h; done")
    lab.disconnect()
    lab.machine.save(into / "machine")
    lab.machine.stop()
    ram = _ram(lab.config)
    _copy(ram, into / "ram")
    ram.unlink()
    for d in DISKS:
        shutil.copy(lab.dir / f"{d}.qcow2", into / f"{d}.qcow2")
    shutil.copy(lab.machine.serial, into / "serial.log")


def _scratch(c: Config) -> Lab:
    """A lab for making a snapshot, beside the one that may be in use."""
    return Lab(c, TOP / "build" / f"lab-snapshot-{c.state}")


def _make(lab: Lab, parent: Path | None) -> None:
    """Boots, or goes on from the parent."""
    ram = _ram(lab.config)
    ram.unlink(missing_ok=True)
    if parent:
        _copy(parent / "ram", ram)
        _resume(lab, parent, ram, shared=True, guests=has_guests(parent))
    else:
        boot_cold(lab, ram)


def _patiently(lab: Lab, start: Callable[[], None]) -> None:
    """Starts a lab. An emulator may hang a system: docs/lab.md. Once is forgiven, counted, and told in the summary; what
    can be seen of it is kept each time."""
    for last in (False, True):
        try:
            start()
            return
        except (Stalled, LabDied) as e:
            evidence.keep(lab, e)
            lab.down()
            if last:
                raise
            restarts.append(str(e).splitlines()[0])
            say(f"starting the lab once more: {e}")


def machine_key(c: Config) -> list[str | Path]:
    return [image_path(c).name, xen_path(c).parent.name, "\n".join(machine_options(c)),
            qemu_program(c), entry_path(LAB / "tree.sh", "build").name]


def base(c: Config) -> Path:
    """Without anything of this checkout's modules, daemons and tests."""
    if c.state == "guests":
        parent: Path | None = base(c.at("systems"))
        key = cache_key(parent.name if parent else "", repr(GUESTS))
    else:
        parent = None
        key = cache_key(*machine_key(c))

    def make(into: Path) -> None:
        lab = _scratch(c)
        lab.down()

        def boot() -> None:
            _make(lab, parent)
            if c.state == "guests":
                at_once([lambda g=g, v=v: guest_create(lab, v[0], g, *v[1:])    # type: ignore[misc]
                         for g, v in GUESTS.items()])

        try:
            _patiently(lab, boot)
            _save(lab, into)
        finally:
            lab.down()

    return cache_entry(f"lab-{c.state}", key, make, KEEP_BASE)


def deployed(c: Config) -> Path:
    parent, stage = base(c), deploy.stage(c)

    def make(into: Path) -> None:
        lab = _scratch(c)
        lab.down()
        try:
            _patiently(lab, lambda: _make(lab, parent))
            deploy.deploy(lab, stage)
            logs.plant(lab)
            logs.check(lab)
            _save(lab, into)
        finally:
            lab.down()

    return cache_entry(f"lab-{c.state}-deployed", cache_key(parent.name, stage.name), make, KEEP_DEPLOYED)


def up(lab: Lab, snapshot: Path) -> None:
    """Starts a lab from a snapshot, which stays as it is."""
    _patiently(lab, lambda: _resume(lab, snapshot, snapshot / "ram", shared=False, guests=has_guests(snapshot)))


def up_cold(lab: Lab) -> None:
    lab.dir.mkdir(parents=True, exist_ok=True)
    ram = _ram(lab.config)
    ram.unlink(missing_ok=True)
    boot_cold(lab, ram)
