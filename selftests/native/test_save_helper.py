# SPDX-License-Identifier: GPL-2.0
"""The patched save helper over a fake Xen, whose stream the stock helper restores; and its other programs with TAP."""

import re
import subprocess
from pathlib import Path

from vmbeam_lab.paths import TOP


def tap_passes(*command: str | Path) -> None:
    done = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    print(done.stdout)
    passed = re.findall(r"^ok ", done.stdout, re.M)
    planned = sum(map(int, re.findall(r"^1\.\.(\d+)", done.stdout, re.M)))
    assert done.returncode == 0 and "not ok" not in done.stdout
    assert passed and len(passed) >= planned


def test_save_helper() -> None:
    tap_passes(TOP / "xen/tools/test/run.sh")
