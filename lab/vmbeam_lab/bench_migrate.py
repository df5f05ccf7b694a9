# SPDX-License-Identifier: GPL-2.0
"""Whole migrations of the same guest VM between the same two nested systems: VMBeam's, and stock xl's, live and not."""

import contextlib
import json
import math
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator

from . import guests
from .bench_cpu import Account, Host, account
from .bench_runs import CUT, PHASES, Row
from .config import ADDRESSES, HOSTVMS, Config
from .errors import LabError
from .lab import Lab
from .migrate import vmbeam_migrate
from .paths import LAB, TOP

SIZES = (128, 256, 512, 1024)
STOCK = ("live", "saved")
HOWS = ("vmbeam", *STOCK)
LOADS = ("idle", "busy")
GUEST = "u3"
# Its own checkers look at little: the memory is for the writer.
CHECKERS_MIB = 8
BEAT_MS = 20
BEAT_PORT = 7103
STREAM_PORT = 7800
# xl says nothing for as long as memory is under way.
PATIENCE = 3600.0
# How often it is seen whether one takes too long: seconds on the wall.
LOOK_S = 2.0
PROBE = TOP / "build/bench-probe/probe"

Values = dict[str, float]
# In seconds of the lab: when the migration of a row is ended.
Limit = Callable[[Row], float]
Beside = contextlib.AbstractContextManager[None]


def writer_mib(mib: int) -> int:
    """How much of a guest VM its memory writer dirties again and again."""
    return mib // 4


def writer_ms(c: Config) -> int:
    """In what time it writes to each page; 0: as fast as it can. An emulator whose clock counts instructions would give it most
    of the time then (docs/performance.md). Once in a second is still many times as fast as the network there carries them."""
    return 1000 if c.icount else 0


def sender(how: str, dest: str) -> str:
    """In the guest management VM that has it. No cryptography: what is compared is the method, not ssh."""
    to = f"TCP:{ADDRESSES[dest]}:{STREAM_PORT},nodelay"
    if how == "live":
        return f"xl migrate -s '' {GUEST} 'exec socat -b 262144 STDIO {to}'"
    return f"bash -o pipefail -c 'xl save {GUEST} /dev/stdout | socat -u -b 262144 STDIN {to}'"


def receiver(how: str) -> str:
    """In the other one."""
    at = f"TCP-LISTEN:{STREAM_PORT},reuseaddr"
    if how == "live":
        # xl gets the connection itself, nothing is between.
        return f"socat {at} EXEC:'xl migrate-receive',nofork"
    return f"bash -o pipefail -c 'socat -u -b 262144 {at} STDOUT | xl restore /dev/stdin'"


def listens(table: str, port: int) -> bool:
    """From /proc/net/tcp."""
    return any(words[1].endswith(f":{port:04X}") and words[3] == "0A" for words in map(str.split, table.splitlines()[1:]))


def followed(text: str) -> float:
    """What probe follow printed: the longest gap, in seconds, less the time between two beats."""
    lines = text.splitlines()
    try:
        got: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, json.JSONDecodeError) as e:
        raise LabError(f"the heartbeat's follower did not print its figures, but: {text!r}") from e
    if got["broke"] or got["lost"]:
        raise LabError(f"the heartbeat's connection did not survive the migration: {lines[-1]}")
    return max(0.0, float(got["longest_ms"]) - BEAT_MS) / 1000


def resent(sent: float, mib: int) -> float:
    """Pages that went more than once, by the bytes of the stream: each page that goes, goes whole."""
    return max(0.0, round(sent / 4096) - mib * 256)


def carried(report: dict[str, Any]) -> float:
    """What vmbeam's agents send over their serial ports, where others use the network: the save's stream, which is nearly
    all of it."""
    return float(report.get("stream_bytes", 0))


def phases(report: dict[str, Any]) -> Values:
    """Of vmbeam's report, or of none."""
    told = report.get("phases_ms", {})
    if told and set(told) != set(PHASES):
        raise LabError(f"vmbeam's report has the phases {', '.join(told)}, the bench knows {', '.join(PHASES)}")
    return {f"phase_{name}_s": told.get(name, 0.0) / 1000 for name in PHASES}


def fitting(sizes: Iterable[int], free: int, c: Config, what: str = "migrations", beside: int = 0) -> tuple[list[int], list[str]]:
    """Those that both host VMs have memory for, and what to say of the others. beside: what each needs besides."""
    fit, no = [], []
    for mib in sizes:
        lacking = mib + beside + 64 - free
        if lacking <= 0:
            fit.append(mib)
        else:
            enough = c.hostvm_mib + (lacking + 511) // 512 * 512
            no.append(f"no {what} of {mib} MiB: a host VM has {free} MiB free; LAB_HOSTVM_MIB={enough} gives each enough, "
                      "and LAB_MIB must have room for both")
    return fit, no


def carry_probe(lab: Lab, system: str, directory: str) -> None:
    """Builds it, and puts it into a system."""
    subprocess.run(["make", "-s", "-C", LAB / "bench", f"O={PROBE.parent}"], check=True)
    lab.write(system, f"{directory}/probe", Path(PROBE).read_bytes(), True)


def background(lab: Lab, system: str, command: str, out: str) -> str:
    """Starts a program that outlives the command channel; its pid."""
    return lab.run(system, f"setsid {command} >{out} 2>&1 </dev/null & echo $!").strip()


def end(lab: Lab) -> None:
    """No guest VM of this bench is there any more, nor the writer in it, nor who hears its heartbeat or waits for it."""
    lab.status("host", "pkill -x probe")
    for h in HOSTVMS:
        lab.status(h, "pkill -x socat")
        # The other one is what xl has of a live migration whose bench was killed: the next one would fail for its name.
        for guest in (GUEST, f"{GUEST}--incoming"):
            if guests.has_guest(lab, h, guest):
                guests.guest_destroy(lab, h, guest)


@dataclass(frozen=True)
class Took:
    """What a migration has taken when it was over, or when it was ended for taking too long."""
    used: Account
    sent: int               # over the network
    report: dict[str, Any]
    cut: bool = False

    def values(self, host: Host, mib: int, how: str, downtime_s: float) -> Values:
        """By the clock of the lab: an emulator has one of its own."""
        return {"seconds": self.used.ns / 1e9, **host.values(self.used), "bytes": self.sent + carried(self.report),
                "downtime_s": downtime_s, "told_downtime_s": self.report.get("downtime_ms", 0.0) / 1000,
                "pages_resent": resent(self.sent, mib) if how == "live" else 0.0, CUT: float(self.cut), **phases(self.report)}


@dataclass
class Migrations:
    lab: Lab
    host: Host
    mib: int = 0            # of the guest VM that is there

    def guest(self, mib: int) -> None:
        """One of this size, new for each session: who knows what an older one went through."""
        if self.mib == mib:
            return
        self.mib = 0
        end(self.lab)
        guests.guest_create(self.lab, "hv1", GUEST, mib, 1, CHECKERS_MIB, timer_ms=BEAT_MS)
        carry_probe(self.lab, "host", "/run")
        carry_probe(self.lab, GUEST, "/lab")
        background(self.lab, GUEST, f"/lab/probe beat {ADDRESSES['host']} {BEAT_PORT} {BEAT_MS}", "/run/beat.log")
        self.mib = mib

    def where(self) -> tuple[str, str]:
        """The host VM that has it, and the other one."""
        here = [h for h in HOSTVMS if guests.has_guest(self.lab, h, GUEST)]
        if len(here) != 1:
            raise LabError(f"{GUEST} should be on one host VM; it is on: {', '.join(here) or 'none'}")
        return here[0], next(h for h in HOSTVMS if h != here[0])

    @contextlib.contextmanager
    def writer(self) -> Iterator[None]:
        """Dirties memory of the guest VM all the while."""
        mib = writer_mib(self.mib)
        pid = background(self.lab, GUEST, f"/lab/probe dirty {mib} {writer_ms(self.lab.config)}", "/run/dirty.log")

        def resident() -> int:
            return int(self.lab.text(GUEST, f"/proc/{pid}/statm").split()[1])

        self.lab.waiter.until(f"{GUEST}'s memory writer to have {mib} MiB", lambda: resident() >= mib << 8, resident)
        yield
        if self.mib:
            self.lab.run(GUEST, f"kill {pid}")

    def network_bytes(self) -> int:
        """What both host VMs have sent."""
        return sum(int(self.lab.text("host", f"/sys/class/net/tap-{h}/statistics/rx_bytes")) for h in HOSTVMS)

    def takes_longer(self, sending: "Future[str]", limit_s: float) -> bool:
        """Waits until it has ended, or that is seen."""
        def uptime() -> float:
            return float(self.lab.text("host", "/proc/uptime").split()[0])

        if limit_s == math.inf:
            wait([sending])         # with no look at it: that costs the lab something, too
            return False
        began = uptime()
        while wait([sending], LOOK_S).not_done:
            if uptime() - began > limit_s:
                return True
        return False

    def stock(self, how: str, source: str, dest: str, beside: Beside, limit_s: float) -> Took:
        """By xl. The receiving side waits for it before the time begins."""
        lab = self.lab
        with ThreadPoolExecutor(2) as pool:
            receiving = pool.submit(lab.run, dest, receiver(how), patience=PATIENCE)
            try:
                lab.waiter.until(f"{dest} to listen for {GUEST}",
                                 lambda: receiving.done() or listens(lab.text(dest, "/proc/net/tcp"), STREAM_PORT))
                with beside:
                    before, sent = account(lab), self.network_bytes()
                    sending = pool.submit(lab.run, source, sender(how, dest), patience=PATIENCE)
                    cut = self.takes_longer(sending, limit_s)
                    if not cut:
                        sending.result()
                        receiving.result()
                    took = Took(account(lab).since(before), self.network_bytes() - sent, {}, cut)
                if cut:
                    lab.run(source, "pkill -x socat")       # both xl end without it
                return took
            except BaseException:
                lab.status(dest, f"fuser -k -n tcp {STREAM_PORT}")      # or its end would be waited for
                raise

    def vmbeam(self, source: str, dest: str, beside: Beside) -> Took:
        with beside:
            before, sent = account(self.lab), self.network_bytes()
            rc, report, said = vmbeam_migrate(self.lab, GUEST, source, dest)
            if rc:
                raise LabError(f"vmbeam migrate {source}/{GUEST} {dest}: status {rc}\n{said}")
            return Took(account(self.lab).since(before), self.network_bytes() - sent, report)

    def beats_came(self) -> int:
        return self.lab.text("host", "/run/follow").count("beats")

    def one(self, how: str, beside: Beside = contextlib.nullcontext(), limit_s: float = math.inf) -> Values:
        """To the other host VM. beside: what is watched meanwhile, from just before the command to just after. A stock
        migration that takes longer than the limit is ended, and its guest VM is used no more: its downtime is not known."""
        lab, (source, dest) = self.lab, self.where()
        follower = background(lab, "host", f"/run/probe follow {BEAT_PORT}", "/run/follow")
        lab.waiter.until(f"{GUEST}'s heartbeat", lambda: self.beats_came() > 0)
        identity = guests.guest_state(lab, GUEST).identity
        took = self.vmbeam(source, dest, beside) if how == "vmbeam" else self.stock(how, source, dest, beside, limit_s)
        if took.cut:
            mib, self.mib = self.mib, 0     # the next row ends it: in an emulator that takes longer than the row did
            return took.values(self.host, mib, how, 0.0)
        lab.waiter.until(f"{GUEST} to answer on {dest}", lambda: lab.answers(GUEST))
        if how != "vmbeam":
            # A kernel says it once, at boot, and xl does not carry it over: so the next vmbeam migrate would refuse.
            lab.run(dest, f"xenstore-write /local/domain/$(xl domid {GUEST})/control/feature-suspend 1")
        came = self.beats_came()
        lab.waiter.until(f"{GUEST}'s heartbeat", lambda: self.beats_came() >= came + 2)
        lab.run("host", f"kill {follower}")
        lab.waiter.until("the heartbeat's follower to end", lambda: "{" in lab.text("host", "/run/follow"))
        after = guests.guest_state(lab, GUEST)
        if after.identity != identity or after.memory_errors:
            raise LabError(f"{GUEST} is not unhurt after {how}: {identity}, then {after}")
        return took.values(self.host, self.mib, how, followed(lab.text("host", "/run/follow")))

    def measure(self, rows: list[Row], take: Callable[[Row, Values], None], limit: Limit) -> None:
        """Rows of one size, each once."""
        for row in rows:
            limit_s = limit(row)
            self.guest(row.mib)
            how, load = row.case.split("-")
            with self.writer() if load == "busy" else contextlib.nullcontext():
                values = self.one(how, limit_s=limit_s)
            take(row, values)


def rows(sizes: Iterable[int]) -> list[Row]:
    return [Row("migration", mib, f"{how}-{load}") for mib in sizes for load in LOADS for how in HOWS]
