# SPDX-License-Identifier: GPL-2.0
"""Failures of a migration: after each, the guest VM runs on exactly one side, unhurt, and nothing is left behind.

A process is held at a named step, then killed: no test waits a fixed time for a moment to come. What is killed is
started again by its supervisor; that alone must do.
"""

import pytest

from failing import ROLLED_BACK, Hold, Migration, stays_on_hv1
from vmbeam_lab.lab import Lab


def killed_at(lab: Lab, system: str, step: str) -> None:
    with stays_on_hv1(lab):
        hold = Hold(lab, system, step)
        migration = Migration(lab, "u1", "hv1", "hv2")
        hold.kill(migration)
        outcome = migration.end()
        assert outcome.status != 0, str(outcome)


@pytest.mark.always
@pytest.mark.parametrize("step", ["swap-half"])
def test_daemon_killed(guests_lab_shared: Lab, step: str) -> None:
    killed_at(guests_lab_shared, "host", f"vmbeamd:{step}")


@pytest.mark.parametrize("step", ["restore-write"])
def test_agent_killed(guests_lab_shared: Lab, step: str) -> None:
    """The destination's."""
    killed_at(guests_lab_shared, "hv2", f"agent:{step}")


def test_destination_destroyed(guests_lab_shared: Lab) -> None:
    """The new domain goes in the middle of the swap: the pins keep its frames, and they are swapped back."""
    lab = guests_lab_shared
    with stays_on_hv1(lab):
        hold = Hold(lab, "host", "vmbeamd:swap-half")
        migration = Migration(lab, "u1", "hv1", "hv2")
        hold.wait(migration)
        lab.run("hv2", "xl destroy u1")
        hold.release()
        outcome = migration.end()
        assert outcome.status == ROLLED_BACK, str(outcome)


@pytest.mark.soak
def test_rollbacks_in_a_row(guests_lab_shared: Lab) -> None:
    """What a rollback leaves is fit for the next migration, and for its rollback."""
    for _ in range(20):
        killed_at(guests_lab_shared, "host", "vmbeamd:swap-half")
