# SPDX-License-Identifier: GPL-2.0
"""The guest management VMs with the newest kernel that Debian has: its module, and a guest VM that moves."""

import re
from dataclasses import replace

import pytest

from labs import Labs
from vmbeam_lab import guests
from vmbeam_lab.config import Config
from vmbeam_lab.migrate import migrate


@pytest.mark.soak       # it boots a lab of its own
def test_exports_and_migration(labs: Labs) -> None:
    lab = labs.fresh(replace(Config.from_env(), state="systems", hv_kernel="testing"))
    newest = lab.run("hv1", "uname -r")
    assert newest != lab.run("host", "uname -r")
    guests.guest_create(lab, "hv1", "u3")
    migrate(lab, "u3", "hv1", "hv2")
    lab.run("hv2", "/lab/stop")
    for binary in lab.run("hv2", "ls /lab/selftests/guest").split():
        rc, out, _ = lab.status("hv2", f"VMBEAM_TEST_DOMID=$(xl domid u3) /lab/selftests/guest/{binary} 2>&1")
        text = out.decode(errors="replace")
        print(text)
        assert rc == 0 and re.search(r"# PASSED: (\d+) / \1 tests passed", text), f"{binary} on {newest}: status {rc}"
