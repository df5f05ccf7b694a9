# SPDX-License-Identifier: GPL-2.0
"""What a lab that hangs still tells, before it is ended: see docs/debugging.md, "A level that hangs"."""

import shutil
import time
from pathlib import Path

from .errors import LabError
from .lab import Lab
from .paths import TOP, say

# Of each vCPU of a host VM, three times: one that spins is seen at the same place.
LOOK = """
xl list; xl vcpu-list
for i in 1 2 3; do
    for h in hv1 hv2; do
        for v in 0 1; do echo "--- $h vCPU $v"; /usr/lib/xen-*/bin/xenctx -a $(xl domid $h) $v; done
    done
    sleep 1
done 2>&1
tail -n 20 /var/log/xen/*.log
"""
# What hangs does not answer: the next one is asked then.
PATIENCE = 30.0


def _ask(lab: Lab, system: str, command: str) -> str:
    try:
        rc, out, err = lab.status(system, command, patience=PATIENCE)
    except LabError as e:
        return f"{system}: {e}\n"
    return f"{system}: status {rc}\n{(out + err).decode(errors='replace')}\n"


def keep(lab: Lab, why: Exception) -> Path:
    """A directory of its own, which stays."""
    directory = TOP / "build/hung" / time.strftime("%Y%m%dT%H%M%S")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "why").write_text(f"{why}\n", encoding="utf-8")
    if lab.machine.serial.exists():
        shutil.copy(lab.machine.serial, directory / "serial.log")
    if lab.machine.pid():
        (directory / "host").write_text(_ask(lab, "host", LOOK), encoding="utf-8")
        for system in lab.config.hostvms:
            (directory / system).write_text(_ask(lab, system, "xl list; xl vcpu-list; dmesg | tail -n 50; "
                                                              "tail -n 30 /var/log/xen/guest-*.log"), encoding="utf-8")
    say(f"what the lab still told is in {directory.relative_to(TOP)}")
    return directory
