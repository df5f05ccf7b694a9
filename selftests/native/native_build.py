# SPDX-License-Identifier: GPL-2.0
"""Builds the programs that the native tests run."""
import fcntl
import subprocess
from pathlib import Path

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


def install(to: Path) -> None:
    """Builds userspace, and installs it below a directory."""
    userspace = NATIVE.parent.parent / "userspace"
    subprocess.run(["make", "-s", "-C", userspace], check=True)
    subprocess.run(["make", "-s", "-C", userspace, "install", f"DESTDIR={to}"], check=True)
