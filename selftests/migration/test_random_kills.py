# SPDX-License-Identifier: GPL-2.0
"""Ten of what soak/test_kills.py has many of, in parts: what has no time left is left out part by part."""

import os
import random

import pytest

from kills import Kills
from vmbeam_lab.lab import Lab
from vmbeam_lab.migrate import migrate

KILLS, PARTS = 10, 5


@pytest.mark.parametrize("_part", range(1, PARTS + 1))
def test_random_kills(guests_lab_shared: Lab, _part: int) -> None:
    """Wherever a process dies: one u1 runs, unhurt, and nothing is left to be done. LAB_SEED repeats the same plan."""
    lab = guests_lab_shared
    kills = Kills(lab, int(os.environ.get("LAB_SEED") or random.getrandbits(30)))
    kills.run(KILLS // PARTS)
    if kills.place != "hv1":
        migrate(lab, "u1", kills.place, "hv1")
