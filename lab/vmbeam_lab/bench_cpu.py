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

    def values(self, names: Mapping[int, str]) -> dict[str, float]:
        """The columns of the CSV files; names are those of domains."""
        by_name = {names[d]: ns for d, ns in self.domains.items() if d in names}
        return {"wall_s": self.ns / 1e9, "cpu_s": sum(self.domains.values()) / 1e9, "busy_s": self.busy_ns / 1e9,
                **{f"cpu_{n}_s": by_name.get(n, 0) / 1e9 for n in ("host", "hv1", "hv2")}}


def domain_names(listed: str) -> dict[int, str]:
    """From what xl list prints."""
    words = (line.split() for line in listed.splitlines()[1:])
    return {int(w[1]): "host" if w[1] == "0" else w[0] for w in words}


def names(lab: Lab) -> dict[int, str]:
    return domain_names(lab.run("host", "xl list"))


def account(lab: Lab) -> Account:
    return Account.parse(json.loads(lab.run("host", f"{TOOLS}/host_cpu")))
