# SPDX-License-Identifier: GPL-2.0
"""Processes killed at random, in one migration after the other: figures in build/soak/kills.json, after each."""

import os
import random

import pytest

from kills import Kills
from test_soak import write
from vmbeam_lab.lab import Lab


@pytest.mark.soak
def test_kills(guests_lab: Lab) -> None:
    """LAB_KILLS of them (200). LAB_SEED repeats the same plan."""
    kills = Kills(guests_lab, int(os.environ.get("LAB_SEED") or random.getrandbits(30)))
    kills.run(int(os.environ.get("LAB_KILLS") or 200),
              lambda done: write("kills", {"seed": kills.seed, "killed": kills.killed, "migrations": done}))
