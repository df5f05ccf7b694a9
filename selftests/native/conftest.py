# SPDX-License-Identifier: GPL-2.0
"""What the native tests share. They are to run in the build tree: see lab/tree.sh."""
import fcntl
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from command_rig import Command
from daemon_rig import Rig
from made_up_daemon import MadeUpDaemon

NATIVE = Path(__file__).parent
BUILD = NATIVE.parent.parent / "build/selftests/native-san"


def make(*names: str) -> Path:
    """Builds programs from the sources around this file, with the sanitizers; where the first one is."""
    BUILD.mkdir(parents=True, exist_ok=True)
    # Two at a time, as of pytest-xdist, would write the same file.
    with (BUILD / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "-s", "-C", NATIVE, "SAN=1", f"O={BUILD}", *(BUILD / name for name in names)], check=True)
    return BUILD / names[0]


@pytest.fixture(scope="session")
def programs() -> Path:
    """Where vmbeamd and vmbeam are."""
    return make("vmbeamd", "vmbeam").parent


@pytest.fixture
def rig(programs: Path, tmp_path: Path) -> Iterator[Rig]:
    """Two agents, the source's with a guest VM that runs; and a daemon, which the test has to start."""
    rig = Rig(programs, tmp_path)
    yield rig
    rig.kill()
    # Shown only when the test has failed.
    print(rig.what_happened())
    for agent in rig.agents:
        agent.stop()
        assert not agent.wrong_requests


@pytest.fixture
def command(programs: Path, tmp_path: Path) -> Iterator[Command]:
    """Over a daemon that says what the test wants."""
    daemon = MadeUpDaemon(tmp_path / "control")
    yield Command(programs / "vmbeam", daemon)
    daemon.close()
