# SPDX-License-Identifier: GPL-2.0
"""The units for systemd, by what systemd itself says of them, and by what a migration needs of them (U15)."""
import re
import subprocess
from pathlib import Path

import pytest

from native_build import install

TOP = Path(__file__).parents[2]
UNITS = TOP / "userspace/systemd"
PROGRAMS = TOP / "build/userspace/bin"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))

Settings = dict[str, list[str]]


def settings(unit: str) -> Settings:
    """What it sets, as "Section.Key"; a key may be there more than once."""
    found: Settings = {}
    section = ""
    for line in (UNITS / unit).read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            found.setdefault(f"{section}.{key}", []).append(value)
    return found


def verified(directory: Path, **changed: str) -> str:
    """What systemd finds in copies of the units that name the programs where they were built. @changed: old text to new"""
    subprocess.run(["make", "-s", "-C", TOP / "userspace"], check=True, stdout=subprocess.DEVNULL)
    for unit in SERVICES:
        text = (UNITS / unit).read_text().replace("/usr/sbin/", f"{PROGRAMS}/")
        for old, new in changed.items():
            text = text.replace(old, new)
        (directory / unit).write_text(text)
    ended = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *(directory / u for u in SERVICES)],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return ended.stdout or (f"exit code {ended.returncode}" if ended.returncode else "")


def test_systemd_understands_them(tmp_path: Path) -> None:
    assert not verified(tmp_path)


@pytest.mark.parametrize(("old", "new"), [("OOMScoreAdjust", "OomScoreAdjust"), ("always", "ever"), ("notify", "notified")])
def test_a_fault_would_be_found(tmp_path: Path, old: str, new: str) -> None:
    assert new in verified(tmp_path, **{old: new})


@pytest.mark.parametrize("unit", ["vmbeamd.service", "vmbeam-agent.service"])
def test_it_comes_again(unit: str) -> None:
    """However it died, soon, and as often as it dies; and it is the last one to be killed for memory."""
    found = settings(unit)
    assert found["Service.Restart"] == ["always"] and float(found["Service.RestartSec"][0]) <= 1
    assert found["Unit.StartLimitIntervalSec"] == ["0"]
    assert int(found["Service.OOMScoreAdjust"][0]) <= -900


def test_agent_waits_for_its_port() -> None:
    """A condition is looked at once. What fails is started again."""
    found = settings("vmbeam-agent.service")
    assert not [key for key in found if key.startswith(("Unit.Condition", "Unit.Assert"))]
    before = [re.fullmatch(r"/usr/bin/test -\S (/dev/virtio-ports/\S+)", command) for command in found["Service.ExecStartPre"]]
    (port,) = [match[1] for match in before if match]
    assert f'"{port}"' in (TOP / "userspace/vmbeam-agent/main.c").read_text()


def test_directory_of_the_sockets(tmp_path: Path) -> None:
    """By what is installed: it is there before the first device model, and stays when the daemon goes."""
    install(tmp_path)
    for unit in SERVICES:
        assert (tmp_path / "usr/lib/systemd/system" / unit).read_bytes() == (UNITS / unit).read_bytes()
    subprocess.run(["systemd-tmpfiles", "--create", f"--root={tmp_path}"], check=True)
    made = tmp_path / "run/vmbeam"
    assert made.is_dir() and made.stat().st_mode & 0o777 == 0o755
    found = settings("vmbeamd.service")
    assert found["Service.RuntimeDirectory"] == [made.name]
    assert found["Service.RuntimeDirectoryPreserve"] == ["yes"]


def test_daemon_has_the_time_to_stop() -> None:
    """Longer than its limit "stop"; and its watchdog is told by sd_notify()."""
    found = settings("vmbeamd.service")
    stop = re.search(r"\[LIMIT_STOP\][^}]*?\"stop\", (\d+)", (TOP / "userspace/common/limit.c").read_text())
    assert stop and int(found["Service.TimeoutStopSec"][0]) > int(stop[1])
    assert found["Service.Type"] == ["notify"] and int(found["Service.WatchdogSec"][0]) > 0
