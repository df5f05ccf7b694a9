# SPDX-License-Identifier: GPL-2.0
"""Where things are, and the entries of the cache. The shell scripts use the same cache: lab/cache.sh."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

from .errors import LabError

TOP = Path(__file__).resolve().parents[2]
LAB = TOP / "lab"
CACHE = Path(os.environ.get("VMBEAM_CACHE", "/cache"))


def say(text: str) -> None:
    # Past pytest, which keeps what a test prints until it is over: this is for who waits.
    print(f"{time.strftime('%T')} {text}", file=sys.__stderr__, flush=True)


def script(*command: str | Path) -> str:
    """What a script of the checkout prints; its messages go where ours go."""
    done = subprocess.run([str(c) for c in command], cwd=TOP, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise LabError(f"{command[0]} failed with status {done.returncode}")
    return done.stdout.strip()


def entry_path(*command: str | Path) -> Path:
    """The entry of the cache that a script makes and prints."""
    return Path(script(*command).splitlines()[-1])


def cache_key(*parts: str | Path) -> str:
    """One hash over texts, and over the names and contents of files."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            total.update(f"={part}\n".encode())
            continue
        files = [part] if part.is_file() else sorted(p for p in part.rglob("*") if p.is_file())
        if not files:
            raise LabError(f"cache key: {part} does not exist or is empty")
        for f in files:
            if "__pycache__" not in f.parts and f.suffix not in (".o", ".cmd"):
                total.update(f"{f.relative_to(part.parent)} {hashlib.sha256(f.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:16]


def cache_entry(name: str, key: str, make: Callable[[Path], None], keep: int = 0) -> Path:
    """The directory NAME-KEY of the cache. If it is missing, make() fills it; others wait meanwhile.

    With keep, only that many entries of this name are left when a new one was made: the ones used last.
    """
    path = CACHE / f"{name}-{key}"
    with open(CACHE / f".{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.is_dir():
            say(f"building {path.name}")
            part = path.with_name(path.name + ".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            make(part)
            part.rename(path)
            for old in sorted(CACHE.glob(f"{name}-" + "[0-9a-f]" * 16), key=lambda p: -p.stat().st_mtime)[keep or None:]:
                if old != path:
                    shutil.rmtree(old, ignore_errors=True)
        os.utime(path)
    return path
