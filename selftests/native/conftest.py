# SPDX-License-Identifier: GPL-2.0
"""What the native tests share. They are to run in the build tree: see lab/tree.sh."""
from pathlib import Path
from typing import Iterator

import pytest

from command_rig import Command
from daemon_rig import Rig
from made_up_daemon import MadeUpDaemon
from native_build import make


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
