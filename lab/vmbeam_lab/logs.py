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
    r"|AddressSanitizer|runtime error:|LeakSanitizer|segfault|Segmentation fault|mm.c:[0-9]+:d.* ([bB]ad|error)"
    r"|known by its domid alone")
XEN_MARK = re.compile(r"'h' (\(ascii '68'\) is )?pressed|key 'h'")
# What stock parts say under emulation and nobody is hurt by, each with its reason.
HARMLESS = re.compile(r"^$")


# That it was planted in a guest VM, which forgets it when it reboots, and its kernel's log with it.
NOTE = "/run/planted"
NOTED = "the lab has planted a splat in this log"
# A domain that runs, in xl's list, and that there is a way into: not one that is paused, suspended, off or dying.
RUNS = re.compile(r"^(u[1-6]) +\d+ +\d+ +\d+ +[-rb]+ +[\d.]+$", re.M)


def systems(lab: Lab) -> tuple[str, ...]:
    return ("host", *lab.config.hostvms)


def guests(domains: str) -> set[str]:
    """The guest VMs that run, of what xl lists."""
    return set(RUNS.findall(domains))


def plant_guest(lab: Lab, guest: str) -> None:
    lab.run(guest, f"echo '<3>{PLANTED}' >/dev/kmsg; : >{NOTE}")


def plant(lab: Lab, only: tuple[str, ...] = ()) -> None:
    """A splat into every kernel's log, and a mark into every Xen's: the search must find them from now on. Or into those
    of some management VMs, which were started anew."""
    at_once([lambda s=s: lab.run(s, f"echo '<3>{PLANTED}' >/dev/kmsg; xl debug-keys h")     # type: ignore[misc]
             for s in only or systems(lab)])
    if only:
        return
    listed = at_once([lambda h=h: lab.run(h, "xl list") for h in lab.config.hostvms])   # type: ignore[misc]
    at_once([lambda g=g: plant_guest(lab, g) for g in set().union(*map(guests, listed))])       # type: ignore[misc]


def _system_logs(lab: Lab, system: str) -> dict[str, str]:
    """One command: a process costs more than what it prints."""
    rc, out, err = lab.status(system, "xl dmesg >/run/xen.txt 2>&1; dmesg >/run/kernel.txt 2>&1; xl list >/run/domains.txt 2>&1; "
                              "tar -cf - --ignore-failed-read -C /run xen.txt kernel.txt domains.txt -C / var/log 2>/dev/null")
    logs = {}
    with tarfile.open(fileobj=io.BytesIO(out)) as tar:
        for member in tar:
            data = tar.extractfile(member) if member.isfile() else None
            if data and member.name.endswith((".log", ".txt")):
                logs[f"{system}/{member.name}"] = data.read().decode(errors="replace")
    if not logs:
        raise LabError(f"{system} gave no logs: status {rc}, {err.decode(errors='replace')}")
    return logs


def _kernel_log(lab: Lab, system: str) -> dict[str, str]:
    return {f"{system}/kernel.txt": lab.run(system, "dmesg")}


def _guest_log(lab: Lab, guest: str) -> dict[str, str]:
    """Of one that runs. It may be about to boot, or away for a moment; why there is none is told in its place."""
    def ask() -> tuple[str]:
        return (lab.run(guest, f"[ ! -e {NOTE} ] || echo '{NOTED}'; dmesg", patience=30),)

    try:
        return {f"{guest}/kernel.txt": lab.waiter.until(f"{guest}'s kernel log", ask, patience=90, pause=1)[0]}
    except LabError as e:
        return {f"{guest}/missing": str(e)}


def collect(lab: Lab, only: tuple[str, ...] = (), whole: bool = True) -> dict[str, str]:
    """Name and text of every log; or of those of some management VMs and the guest VMs on them, for a test that touches
    no others. If not whole: only what costs little to have, the outer Xen's console and those management VMs' kernels."""
    logs = {"host/serial.log": lab.machine.serial.read_text(errors="replace")}
    one = _system_logs if whole else _kernel_log
    for part in at_once([lambda s=s: one(lab, s) for s in only or systems(lab)]):      # type: ignore[misc]
        logs |= part
    for part in at_once([lambda g=g: _guest_log(lab, g) for g in running(lab, logs)]):      # type: ignore[misc]
        logs |= part
    return logs


def running(lab: Lab, logs: dict[str, str]) -> list[str]:
    """The guest VMs that ran when the logs were collected, each once."""
    return sorted(set().union(*(guests(logs.get(f"{h}/domains.txt", "")) for h in lab.config.hostvms)))


def write(logs: dict[str, str], directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    for name, text in logs.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def splats(text: str) -> list[str]:
    return [line for line in text.splitlines() if SPLAT.search(line) and PLANTED not in line and not HARMLESS.search(line)]


def problems(lab: Lab, logs: dict[str, str], only: tuple[str, ...] = (), whole: bool = True) -> list[str]:
    """What is wrong with the logs: a splat, an empty or missing one, or a search that is blind."""
    found = []
    for system in only or systems(lab):
        if PLANTED not in logs.get(f"{system}/kernel.txt", ""):
            found.append(f"the planted splat is not in {system}'s kernel log")
        if not whole:
            continue
        if not XEN_MARK.search(logs.get(f"{system}/xen.txt", "")):
            found.append(f"the planted mark is not in {system}'s Xen log")
        # Who runs there is known by this, and so whose log is missing.
        if "Domain-0 " not in (domains := logs.get(f"{system}/domains.txt", "")):
            found.append(f"xl does not list {system}'s domains: {domains.strip()}")
    for guest in running(lab, logs):
        if f"{guest}/kernel.txt" not in logs:
            found.append(f"{guest} runs, and its kernel's log is missing: {logs.get(f'{guest}/missing', '')}")
        elif NOTED in (kernel := logs[f"{guest}/kernel.txt"]) and PLANTED not in kernel:
            found.append(f"the planted splat is not in {guest}'s kernel log")
    for name, text in sorted(logs.items()):
        if name.endswith(".txt") and not text.strip():
            found.append(f"{name} is empty")
        found += [f"{name}: {line}" for line in splats(text)[:20]]
        # The same search, on this very log with a splat put in, must find it.
        if not splats(text + "\nXen BUG at planted.c:1"):
            found.append(f"the search is blind in {name}")
    return found


def check(lab: Lab, into: Path | None = None, only: tuple[str, ...] = (), whole: bool = True) -> int:
    """Raises on a find; returns how many logs were searched."""
    logs = collect(lab, only, whole)
    write(logs, into or lab.dir / "logs")
    found = problems(lab, logs, only, whole)
    if found:
        raise LabError("in the logs:\n" + "\n".join(found))
    return len(logs)
