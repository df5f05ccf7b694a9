# SPDX-License-Identifier: GPL-2.0
"""Carries what this checkout builds into a running lab, and starts the daemons there."""

from pathlib import Path

from .config import Config
from .lab import Lab, at_once
from .paths import LAB, entry_path, say


def stage(c: Config) -> Path:
    """host.tar and guest.tar: what the management VMs of each level get."""
    return entry_path(LAB / "stage.sh", *([c.series] if c.series else []), *(["testing"] if c.hv_kernel == "testing" else []))


def deploy_to(lab: Lab, system: str, archive: Path) -> None:
    level = "host" if system == "host" else "guest"
    lab.run(system, "tar -C / --no-same-owner --keep-directory-symlink -xf - && ldconfig && sync", archive.read_bytes())
    lab.run(system, f"/lab/start {level}")


def deploy(lab: Lab, staged: Path) -> None:
    at_once([lambda s=s: deploy_to(lab, s, staged / ("host.tar" if s == "host" else "guest.tar"))   # type: ignore[misc]
             for s in ("host", *lab.config.hostvms)])
    say("modules, daemons and tests are in place")
