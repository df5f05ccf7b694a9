# SPDX-License-Identifier: GPL-2.0
"""How the outer Xen maps a host VM's memory, read from outside: the root of the tables is what Xen's dump of the VMCBs
(debug key v) says, the tables are read from the machine's memory by QEMU. AMD's nested paging alone."""

import re
import struct
from dataclasses import dataclass

from .errors import LabError
from .lab import Lab

PRESENT, SUPERPAGE, ADDRESS = 1, 0x80, 0xffffffffff000


@dataclass(frozen=True)
class Mapped:
    gib: int        # entries of 1 GiB
    mib2: int       # entries of 2 MiB
    tables: int     # tables of 4 KiB entries

    @property
    def large_frames(self) -> int:
        return self.gib * 262144 + self.mib2 * 512


def _root(lab: Lab, hostvm: str) -> int:
    """From Xen's console; the dump is complete when its last line is there."""
    start = lab.console_bytes()
    lab.run("host", "xl debug-keys v")

    def dump() -> str:
        text = lab.machine.serial.read_bytes()[start:].decode(errors="replace").replace("\r", "")
        return text if re.search(r" \*{38}$", text, re.M) else ""

    text = lab.waiter.until("Xen's dump of the VMCBs", dump, lab.console_bytes)
    domid = lab.run("host", f"xl domid {hostvm}").strip()
    found = re.search(rf">>> Domain {domid} <<<.*?H_CR3 = (?:0x)?([0-9a-f]+)", text, re.S)
    if not found:
        raise LabError(f"Xen's dump has no VMCB of {hostvm}")
    return int(found[1], 16)


def _entries(lab: Lab, tables: list[int]) -> list[int]:
    entries: list[int] = []
    for table in tables:
        path = lab.dir / "table"
        lab.machine.qmp("pmemsave", val=table, size=4096, filename=str(path))
        entries += [e for e in struct.unpack("<512Q", path.read_bytes()) if e & PRESENT]
        path.unlink()
    return entries


def mapped(lab: Lab, hostvm: str) -> Mapped:
    tables, large = [_root(lab, hostvm)], []
    for level in (4, 3, 2):
        entries = _entries(lab, tables)
        large.append(sum(1 for e in entries if e & SUPERPAGE) if level < 4 else 0)
        tables = [e & ADDRESS for e in entries if level == 4 or not e & SUPERPAGE]
    return Mapped(large[1], large[2], len(tables))
