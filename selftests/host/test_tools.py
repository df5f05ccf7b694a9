# SPDX-License-Identifier: GPL-2.0
"""The test that the patch adds to Xen's own tools/tests."""

from vmbeam_lab.lab import Lab


def test_p2m_swap(host_lab: Lab) -> None:
    host_lab.run("host", "/lab/stop && /lab/selftests/host/test-p2m-swap")
