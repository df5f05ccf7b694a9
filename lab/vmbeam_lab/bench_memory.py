# SPDX-License-Identifier: GPL-2.0
"""Memory alone: what it takes to give it from one domain to another, by each method."""

import json
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable

from .bench_cpu import TOOLS, Account, Host, account
from .bench_runs import Row
from .config import ADDRESSES, Config
from .errors import LabError
from .lab import Lab

SIZES = (128, 256, 512, 1024, 2048)
BY_TOOL = ("swap-2m", "memcpy", "swap-4k", "swap-4k-runs")
CASES = (*BY_TOOL, "network", "background")
# How long the host is left alone to see what it uses by itself.
BACKGROUND_S = 10
# What iperf3 is tried with, on a transfer of this size: the fastest is its best setting.
IPERF3_OPTIONS = ("", "-Z", "-l 1M", "-Z -l 1M")
IPERF3_TRIAL_MIB = 64
# A transfer says nothing until it is over.
TRANSFER_PATIENCE = 1800.0

Values = dict[str, float]


def need_mib(mib: int) -> int:
    """Free memory of the outer Xen that two domains of this size take, with their P2Ms, and some for Xen itself."""
    return 2 * mib + 2 * (2 + mib // 128) + 32


def fitting(sizes: Iterable[int], free: int, c: Config) -> tuple[list[int], list[str]]:
    """Those sizes that can be measured, and what to say of the others."""
    fit, no = [], []
    for mib in sizes:
        lacking = need_mib(mib) - free
        if lacking <= 0:
            fit.append(mib)
            continue
        no.append(f"no memory rows of {mib} MiB: the outer Xen has {free} MiB free, two domains take {need_mib(mib)} MiB; "
                  f"LAB_MIB={c.mib + (lacking + 511) // 512 * 512} gives the lab enough")
    return fit, no


def from_tool(line: str, host: Host) -> tuple[str, Values]:
    """One line of bench_memory: its case, and the values."""
    o: dict[str, Any] = json.loads(line)
    used = Account.parse(o)
    return str(o["case"]), {"seconds": used.ns / 1e9, **host.values(used), "bytes": float(o["mib"] << 20),
                            "frames_in_superpages": float(o["frames_in_superpages"]), "max_pause_ns": float(o["max_pause_ns"])}


def from_iperf3(out: str, used: Account, host: Host, mib: int) -> Values:
    """What iperf3 --json printed. Its time is that of the data, without the start of its processes; the processor time
    is from before its start to after its end. iperf3 ends when the sender has written the last byte: what is in the
    sockets' buffers by then is not counted as received. So the time is that of all bytes at the receiver's rate."""
    o: dict[str, Any] = json.loads(out)
    if "error" in o:
        raise LabError(f"iperf3: {o['error']}")
    sent, received, asked = o["end"]["sum_sent"], o["end"]["sum_received"], mib << 20
    if sent["bytes"] < asked or received["bytes"] < asked // 2:
        raise LabError(f"iperf3 sent {sent['bytes']} and received {received['bytes']} bytes where {asked} were asked for")
    return {"seconds": float(received["seconds"]) * asked / received["bytes"], **host.values(used),
            "bytes": float(received["bytes"]), "frames_in_superpages": 0.0, "max_pause_ns": 0.0}


@dataclass
class Memory:
    lab: Lab
    host: Host
    iperf3: str = ""                # its best options
    tried: dict[str, float] = field(default_factory=dict)

    def serve(self) -> None:
        """iperf3's server, in the guest management VM of hv2."""
        self.lab.run("hv2", "pgrep -x iperf3 >/dev/null || iperf3 -s -D")

    def network(self, mib: int, options: str) -> Values:
        """From the guest management VM of hv1 to that of hv2, over the virtual network between them."""
        self.serve()
        before = account(self.lab)
        rc, out, err = self.lab.status("hv1", f"iperf3 -c {ADDRESSES['hv2']} --json -n {mib}M {options}",
                                       patience=TRANSFER_PATIENCE)
        used = account(self.lab).since(before)
        if rc and not out:
            raise LabError(f"iperf3 failed with status {rc}: {err.decode(errors='replace')}")
        return from_iperf3(out.decode(), used, self.host, mib)

    def choose(self) -> None:
        """The options that iperf3 is fastest with here."""
        self.network(IPERF3_TRIAL_MIB, "")      # the first transfer warms everything up
        self.tried = {o: self.network(IPERF3_TRIAL_MIB, o)["seconds"] for o in IPERF3_OPTIONS}
        self.iperf3 = min(self.tried, key=lambda o: self.tried[o])

    def background(self) -> Values:
        """What the host uses when nobody asks anything of it."""
        before = account(self.lab)
        self.lab.run("host", f"sleep {BACKGROUND_S}")
        used = account(self.lab).since(before)
        return {"seconds": used.ns / 1e9, **self.host.values(used), "bytes": 0.0, "frames_in_superpages": 0.0, "max_pause_ns": 0.0}

    def by_tool(self, row: Row, runs: int) -> list[Values]:
        """All runs of a row at once: to make domains and to look at each frame takes far longer than what is measured."""
        out = self.lab.run("host", f"{TOOLS}/bench_memory {row.mib} {runs} {row.case}", patience=TRANSFER_PATIENCE)
        found = [from_tool(line, self.host) for line in out.splitlines()]
        if [case for case, _ in found] != [row.case] * runs:
            raise LabError(f"bench_memory did not print {runs} runs of {row.case}, but:\n{out}")
        return [values for _, values in found]

    def measure(self, row: Row) -> Values:
        """Of one that is not by the tool."""
        return self.background() if row.case == "background" else self.network(row.mib, self.iperf3)


def rows(sizes: Iterable[int]) -> list[Row]:
    """All of them; the background does not depend on a size."""
    return [Row("memory", mib, case) for mib in sizes for case in CASES if case != "background"] + [Row("memory", 0, "background")]
