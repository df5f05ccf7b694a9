# SPDX-License-Identifier: GPL-2.0
"""A few of what soak/test_kills.py has many of: LAB_CHECK_KILLS says how many (3)."""

import os
import random

from kills import Kills
from vmbeam_lab.lab import Lab
from vmbeam_lab.migrate import migrate


def test_random_kills(guests_lab_shared: Lab) -> None:
    """Wherever a process dies: one u1 runs, unhurt, and nothing is left to be done. LAB_SEED repeats the same plan."""
    lab = guests_lab_shared
    kills = Kills(lab, int(os.environ.get("LAB_SEED") or random.getrandbits(30)))
    kills.run(int(os.environ.get("LAB_CHECK_KILLS") or 3))
    if kills.place != "hv1":
        migrate(lab, "u1", kills.place, "hv1")
