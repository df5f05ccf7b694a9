# SPDX-License-Identifier: GPL-2.0
"""The logs of all levels, and the search for splats in them."""

import io
import re
import shutil
import tarfile
from pathlib import Path

from .errors import LabError
from .lab import Lab, at_once

PLANTED = "BUG: planted by the lab, to prove that the search finds it"
SPLAT = re.compile(
    r"(^|[^a-z])(BUG|Oops|panic|Panic)([: ]|$)|WARNING: |Xen BUG|Xen WARN|Assertion .* failed|Call Trace|Xen call trace"
    r"|general protection|double fault|Triple fault|FATAL |soft lockup|hard LOCKUP|rcu_.*(stall|self-detected)"
    r"|blocked for more than|KASAN|UBSAN|refcount_t|scheduling while atomic|[bB]ad page|I/O error|EXT4-fs error"
    r"|AddressSanitizer|runtime error:|LeakSanitizer|segfault|Segmentation fault|mm.c:[0-9]+:d.* ([bB]ad|error)")
XEN_MARK = re.compile(r"'h' (\(ascii '68'\) is )?pressed|key 'h'")
# What stock parts say under emulation and nobody is hurt by, each with its reason.
HARMLESS = re.compile(r"^$")


def systems(lab: Lab) -> tuple[str, ...]:
    return ("host", *lab.config.hostvms)


def guests(lab: Lab) -> list[str]:
    """The guest VMs that run, each once."""
    found = at_once([lambda h=h: lab.run(h, "xl list") for h in lab.config.hostvms])    # type: ignore[misc]
    return sorted({line.split()[0] for text in found for line in text.splitlines() if re.match(r"u[0-9] ", line)})


def plant(lab: Lab, only: tuple[str, ...] = ()) -> None:
    """A splat into every kernel's log, and a mark into every Xen's: the search must find them from now on. Or into those
    of some management VMs, which were started anew."""
    at_once([lambda s=s: lab.run(s, f"echo '<3>{PLANTED}' >/dev/kmsg; xl debug-keys h")     # type: ignore[misc]
             for s in only or systems(lab)])
    if only:
        return
    at_once([lambda g=g: lab.run(g, f"echo '<3>{PLANTED}' >/dev/kmsg") for g in guests(lab)])   # type: ignore[misc]


def _system_logs(lab: Lab, system: str) -> dict[str, str]:
    """One command: a process costs more than what it prints."""
    rc, out, err = lab.status(system, "xl dmesg >/run/xen.txt 2>&1; dmesg >/run/kernel.txt 2>&1; "
                              "tar -cf - --ignore-failed-read -C /run xen.txt kernel.txt -C / var/log 2>/dev/null")
    logs = {}
    with tarfile.open(fileobj=io.BytesIO(out)) as tar:
        for member in tar:
            data = tar.extractfile(member) if member.isfile() else None
            if data and member.name.endswith((".log", ".txt")):
                logs[f"{system}/{member.name}"] = data.read().decode(errors="replace")
    if not logs:
        raise LabError(f"{system} gave no logs: status {rc}, {err.decode(errors='replace')}")
    return logs


def collect(lab: Lab, only: tuple[str, ...] = ()) -> dict[str, str]:
    """Name and text of every log; or of those of some management VMs, for a test that touches no others."""
    logs = {"host/serial.log": lab.machine.serial.read_text(errors="replace")}
    for part in at_once([lambda s=s: _system_logs(lab, s) for s in only or systems(lab)]):      # type: ignore[misc]
        logs |= part
    for guest in guests(lab) if lab.config.hostvms and not only else ():
        try:
            logs[f"{guest}/kernel.txt"] = lab.run(guest, "dmesg", patience=60)
        except LabError:
            pass    # a guest VM that a test has stopped; its own system's logs are there
    return logs


def write(logs: dict[str, str], directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    for name, text in logs.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def splats(text: str) -> list[str]:
    return [line for line in text.splitlines() if SPLAT.search(line) and PLANTED not in line and not HARMLESS.search(line)]


def problems(lab: Lab, logs: dict[str, str], only: tuple[str, ...] = ()) -> list[str]:
    """What is wrong with the logs: a splat, an empty or missing one, or a search that is blind."""
    found = []
    for system in only or systems(lab):
        kernel, xen = logs.get(f"{system}/kernel.txt", ""), logs.get(f"{system}/xen.txt", "")
        if PLANTED not in kernel:
            found.append(f"the planted splat is not in {system}'s kernel log")
        if not XEN_MARK.search(xen):
            found.append(f"the planted mark is not in {system}'s Xen log")
    for name, text in sorted(logs.items()):
        if name.endswith(".txt") and not text.strip():
            found.append(f"{name} is empty")
        found += [f"{name}: {line}" for line in splats(text)[:20]]
        # The same search, on this very log with a splat put in, must find it.
        if not splats(text + "\nXen BUG at planted.c:1"):
            found.append(f"the search is blind in {name}")
    return found


def check(lab: Lab, into: Path | None = None, only: tuple[str, ...] = ()) -> int:
    """Raises on a find; returns how many logs were searched."""
    logs = collect(lab, only)
    write(logs, into or lab.dir / "logs")
    found = problems(lab, logs, only)
    if found:
        raise LabError("in the logs:\n" + "\n".join(found))
    return len(logs)
