# SPDX-License-Identifier: GPL-2.0
"""The lab's driver: the machine, its snapshots, the way into each system, and waiting. See docs/lab.md.

It runs in the build tree, where the checkout is /vmbeam and the cache is /cache.
"""
