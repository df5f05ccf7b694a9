# SPDX-License-Identifier: GPL-2.0
"""What the whole host used of its processors, by the outer Xen's accounting: selftests/lib/account.h."""

import json
from dataclasses import dataclass
from typing import Any, Mapping

from .lab import Lab

TOOLS = "/lab/selftests/tools"


@dataclass(frozen=True)
class Account:
    """A state of the accounting, or the difference of two."""
    ns: int
    busy_ns: int
    domains: dict[int, int]

    @staticmethod
    def parse(o: Mapping[str, Any]) -> "Account":
        return Account(int(o["ns"]), int(o["busy_ns"]), {int(d): int(ns) for d, ns in o["domains"].items()})

    def since(self, before: "Account") -> "Account":
        """A domain that is new had used nothing before; one that is gone is left out."""
        return Account(self.ns - before.ns, self.busy_ns - before.busy_ns,
                       {d: ns - before.domains.get(d, 0) for d, ns in self.domains.items()})


@dataclass(frozen=True)
class Host:
    """Whose accounting it is: the names of its domains, and whether its processors run by turns, on one thread. Each
    counts the others' turns as its own then, so that of two that are busy for a second, both used two; but all of them
    together have never used more than what has passed."""
    names: Mapping[int, str]
    by_turns: bool = False

    def values(self, used: Account) -> dict[str, float]:
        """The columns of the CSV files, of a difference of accounts."""
        by_name = {self.names[d]: ns for d, ns in used.domains.items() if d in self.names}
        accounted = sum(used.domains.values())
        return {"wall_s": used.ns / 1e9, "cpu_s": (min(accounted, used.ns) if self.by_turns else accounted) / 1e9,
                "accounted_s": accounted / 1e9, "busy_s": used.busy_ns / 1e9,
                **{f"cpu_{n}_s": by_name.get(n, 0) / 1e9 for n in ("host", "hv1", "hv2")}}


def domain_names(listed: str) -> dict[int, str]:
    """From what xl list prints."""
    words = (line.split() for line in listed.splitlines()[1:])
    return {int(w[1]): "host" if w[1] == "0" else w[0] for w in words}


def host(lab: Lab) -> Host:
    return Host(domain_names(lab.run("host", "xl list")), lab.config.icount)


def account(lab: Lab) -> Account:
    return Account.parse(json.loads(lab.run("host", f"{TOOLS}/host_cpu")))
