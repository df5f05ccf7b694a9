# SPDX-License-Identifier: GPL-2.0
"""Whatever name xl gives a guest VM, it can be named and moved, and keeps no other from that."""

import json
from typing import Any

from failing import Migration, Outcome, stays_on_hv1
from vmbeam_lab.lab import Lab
from vmbeam_lab.migrate import vmbeam

NOT_UTF8 = b"malm\xe9"
NAMES = ["malm\u00e9".encode(), b"two  words", b"x" * 200, b"a/b", b'say "hi" $HOME', b"-f", NOT_UTF8]
# All at once, and 200 bytes.
WORST = 'malm\u00e9 "a/b"\\ \x1b[2J '.encode().ljust(199, b"x") + b"\xe9"


def quoted(name: bytes) -> str:
    """A word for a shell, of any bytes."""
    return '"$(printf \'' + "".join(f"\\{byte:03o}" for byte in name) + '\')"'


def shown(name: bytes) -> str:
    """As vmbeam shows it: what is no character, or no harmless one, is escaped."""
    text = name.decode("utf-8", "surrogateescape").replace("\\", "\\\\")
    return "".join(f"\\x{ord(c) & 0xff:02x}" if c < " " or c >= "\udc80" and c <= "\udcff" else c for c in text)


def domid(lab: Lab, hostvm: str, name: bytes) -> int:
    return int(lab.run(hostvm, f"xl domid -- {quoted(name)}"))


def rename(lab: Lab, hostvm: str, name: bytes, new: bytes) -> None:
    lab.run(hostvm, f"xl rename -- {domid(lab, hostvm, name)} {quoted(new)}")


def uuid_of_u1(lab: Lab) -> str:
    return lab.run("hv1", "xl list -v u1 | tail -n 1").split()[6]


def listed(lab: Lab, hostvm: str) -> dict[str, str]:
    """Name and UUID of each guest VM there."""
    hostvms: list[dict[str, Any]] = json.loads(lab.run("host", "vmbeam list --json"))["hostvms"]
    return {g["guest"]: g["uuid"] for h in hostvms if h["name"] == hostvm for g in h["guests"]}


def can_move(lab: Lab, guest: str, name: bytes) -> None:
    code, report, told = vmbeam(lab, "check", f"hv1/{guest} hv2")
    assert code == 0, f"{told}\n{report}"
    assert report["guest"] == shown(name)


def moves(lab: Lab, guest: str, source: str, dest: str) -> Outcome:
    """Named so in a shell; status and report of the migration."""
    outcome = Migration(lab, guest, source, dest).end()
    assert outcome.status == 0, str(outcome)
    return outcome


def test_any_name(guests_lab_shared: Lab) -> None:
    """It is listed and found by its name; and whatever its name is, by UUID, by domid, and by what is shown of it."""
    lab = guests_lab_shared
    with stays_on_hv1(lab):
        old, uuid, number = b"u1", uuid_of_u1(lab), domid(lab, "hv1", b"u1")
        for name in NAMES:
            rename(lab, "hv1", old, name)
            can_move(lab, quoted(name), name)
            old = name
        assert listed(lab, "hv1") == {shown(NOT_UTF8): uuid}
        for guest in (uuid, f"'#{number}'", f"'{shown(NOT_UTF8)}'"):
            can_move(lab, guest, NOT_UTF8)
        rename(lab, "hv1", old, b"u1")


def test_name_is_kept(guests_lab_shared: Lab) -> None:
    """There by its name, and home by its UUID while another guest VM beside it has such a name, too."""
    lab = guests_lab_shared
    name, other = WORST, b"u2 \xff\xfe"
    with stays_on_hv1(lab):
        uuid = uuid_of_u1(lab)
        rename(lab, "hv1", b"u1", name)
        rename(lab, "hv2", b"u2", other)
        assert moves(lab, quoted(name), "hv1", "hv2").report["guest"] == shown(name)
        found = listed(lab, "hv2")
        assert set(found) == {shown(name), shown(other)} and found[shown(name)] == uuid
        assert lab.succeeds("hv2", f'test "$(xl domname {domid(lab, "hv2", name)})" = {quoted(name)}')
        assert moves(lab, uuid, "hv2", "hv1").report["guest"] == shown(name)
        rename(lab, "hv2", other, b"u2")
        rename(lab, "hv1", name, b"u1")
