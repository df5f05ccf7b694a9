# SPDX-License-Identifier: GPL-2.0
"""What measurements carry into the lab: its figures, against what a test does to it."""

import ctypes
import json
import math
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Iterator, cast

import pytest

from vmbeam_lab import bench_cpu, bench_pain, guests
from vmbeam_lab.bench_migrate import Beside, Migrations, Values
from vmbeam_lab.bench_runs import CUT, VALUES
from vmbeam_lab.errors import LabError
from vmbeam_lab.lab import Lab

LAB = Path(__file__).parents[2] / "lab"
PR_SET_TIMERSLACK = 29


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("probe")
    subprocess.run(["make", "-s", "-C", LAB / "bench", f"O={out}"], check=True)
    return out / "probe"


@pytest.fixture
def port() -> Iterator[int]:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        free = int(s.getsockname()[1])
    yield free


def ended(p: "subprocess.Popen[str]") -> dict[str, Any]:
    p.send_signal(signal.SIGTERM)
    out, _ = p.communicate()
    assert p.returncode == 0
    got: dict[str, Any] = json.loads(out.splitlines()[-1])
    return got


def start(*command: object) -> "subprocess.Popen[str]":
    return subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)


def pauses(p: "subprocess.Popen[Any]") -> int:
    """How often it gave the processor away by itself."""
    text = Path(f"/proc/{p.pid}/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("voluntary_ctxt")))


def test_beats(probe: Path, port: int) -> None:
    """The longest gap is how long the sender was stopped; a sender comes back to the next follower."""
    sender = start(probe, "beat", "127.0.0.1", port, 5)
    for pause in (0.0, 0.5):
        follower = start(probe, "follow", port)
        assert follower.stdout and follower.stdout.readline() == "connected\n"
        began = time.monotonic()
        if pause:
            sender.send_signal(signal.SIGSTOP)
            time.sleep(pause)
            sender.send_signal(signal.SIGCONT)
        time.sleep(0.2)
        took = (time.monotonic() - began) * 1000
        got = ended(follower)
        assert got["beats"] > 0 and got["lost"] == 0 and got["broke"] is False
        assert pause * 1000 <= got["longest_ms"] + 10 and got["longest_ms"] <= took
    sender.terminate()
    assert sender.wait() == 0


def test_each_beat_in_both_ways(probe: Path, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as s, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", port))
        sender = start(probe, "beat", "127.0.0.1", port, 5)
        with s.accept()[0] as connection:
            for n in range(3):
                number = n.to_bytes(8, "little")
                assert connection.recv(8, socket.MSG_WAITALL) == number and datagrams.recv(64) == number
            sender.terminate()
    assert sender.wait() == 0


def test_datagrams_tell_the_gap(probe: Path, port: int) -> None:
    """TCP may still wait when the network is there again: that is not the guest VM's downtime. Nor do datagrams alone count as
    beats."""
    follower = start(probe, "follow", port)
    assert follower.stdout
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", port))
                break
            except ConnectionRefusedError:
                time.sleep(0.01)
        with connection:
            connection.sendall(bytes(8))
            assert follower.stdout.readline() == "connected\n"
            began = time.monotonic()
            while time.monotonic() < began + 1:
                datagrams.sendto(bytes(8), ("127.0.0.1", port))
                time.sleep(0.005)
            connection.sendall((1).to_bytes(8, "little"))
            time.sleep(0.1)
            got = ended(follower)
    assert got["beats"] == 1 and got["lost"] == 0 and got["broke"] is False
    assert got["longest_ms"] < 1000


def test_sender_ends(probe: Path, port: int) -> None:
    """A connection that broke is said to have."""
    sender, follower = start(probe, "beat", "127.0.0.1", port, 5), start(probe, "follow", port)
    assert follower.stdout and follower.stdout.readline() == "connected\n"
    sender.terminate()
    out, _ = follower.communicate()
    assert json.loads(out)["broke"] is True and sender.wait() == 0


def test_stalls(probe: Path) -> None:
    """Each tick in a stall counts, and a window is cut out by the time since the boot."""
    def up() -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def lasts(seconds: float) -> None:
        until = up() + seconds
        while up() < until:
            time.sleep(0.01)

    p = subprocess.Popen([probe, "stalls", "1000"], stdout=subprocess.PIPE)
    assert p.stdout
    head = p.stdout.readline()
    lasts(0.2)
    stopped = up()
    p.send_signal(signal.SIGSTOP)
    lasts(0.5)
    p.send_signal(signal.SIGCONT)
    going = up()
    lasts(0.2)
    end = up()
    lasts(0.01)
    p.send_signal(signal.SIGTERM)
    data = head + p.communicate()[0]
    assert p.returncode == 0
    late = bench_pain.window(data, stopped - 0.1, end)
    assert len(late) == pytest.approx((end - stopped + 0.1) * 1000, abs=2)
    assert (going - stopped - 0.02) * 1e6 <= max(late) <= (end - stopped) * 1e6
    # Half of the ticks in the stall were late by more than half of it.
    half = (going - stopped) / 2
    assert sum(us >= half * 1e6 for us in late) >= half * 1000 - 20
    assert bench_pain.window(data, stopped - 0.1, stopped - 0.09)
    with pytest.raises(LabError, match="not all of the window"):
        bench_pain.window(data, stopped - 0.1, end + 1)


def test_stalls_of_a_coarse_timer(probe: Path) -> None:
    """Each sleep takes much longer than the time between two ticks. It is in time again after each all the same, and ends."""
    slack_ms = 50
    p = subprocess.Popen([probe, "stalls", "1000"], stdout=subprocess.PIPE,
                         preexec_fn=lambda: ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, slack_ms * 1000000, 0, 0, 0))
    assert p.stdout
    head = p.stdout.readline()
    while pauses(p) < 10:
        time.sleep(0.01)
    p.send_signal(signal.SIGTERM)
    before = pauses(p)
    while p.poll() is None and pauses(p) < before + 10:
        time.sleep(0.01)
    if p.poll() is None:
        p.kill()
    data = head + p.communicate()[0]
    assert p.returncode == 0, "it goes on sleeping"
    assert len(data) > len(head)


def test_speed(probe: Path) -> None:
    """As many passes as were asked for, at the pace that was asked for; a larger memory takes longer."""
    def one(mib: int) -> dict[str, Any]:
        out = subprocess.run([probe, "speed", str(mib), "20", "5"], stdout=subprocess.PIPE, text=True, check=True).stdout
        got: dict[str, Any] = json.loads(out)
        return got

    began = time.monotonic()
    small = one(1)
    assert small["passes"] == 5 and 0 < small["p50_us"] <= small["most_us"] and time.monotonic() - began >= 0.08
    assert one(32)["p50_us"] > 4 * small["p50_us"]


def test_speed_ends(probe: Path) -> None:
    """Passes that were not made have no figures."""
    p = subprocess.Popen([probe, "speed", "1", "60000", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while Path(f"/proc/{p.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "S":
        time.sleep(0.01)
    p.terminate()
    out, err = p.communicate()
    assert p.returncode == 1 and not out and "after 1 passes of 2" in err


def ran(p: "subprocess.Popen[str]") -> int:
    """Ticks that it had a processor for."""
    return int(Path(f"/proc/{p.pid}/stat").read_text(encoding="ascii").split()[13])


@pytest.mark.parametrize("ms", [0, 200])
def test_dirty(probe: Path, ms: int) -> None:
    """It has what it is to write to, and goes on writing. With pauses it hardly needs the processor, but each ends a portion."""
    p = start(probe, "dirty", 16, ms)
    progress = pauses if ms else ran

    def resident() -> int:
        return int(Path(f"/proc/{p.pid}/statm").read_text(encoding="ascii").split()[1])

    while resident() < 16 << 8 and p.poll() is None:
        time.sleep(0.01)
    before = progress(p)
    while progress(p) < before + 5 and p.poll() is None:
        time.sleep(0.01)
    p.terminate()
    assert p.wait() == 0


def test_dirty_pauses(probe: Path) -> None:
    """Others get the processor in between: it gives it away by itself."""
    p = start(probe, "dirty", 1, 500)

    while pauses(p) < 10 and ran(p) < 50 and p.poll() is None:
        time.sleep(0.01)
    assert pauses(p) >= 10
    p.terminate()
    assert p.wait() == 0


class HereLab:
    """All of its systems are this one. Each has a /run of its own, and in its /lab the probe."""

    def __init__(self, probe: Path, run: Path) -> None:
        self.probe, self.run_dir, self.waiter = probe, run, self
        self.started: dict[str, int] = {}

    def here(self, system: str, text: str) -> str:
        (self.run_dir / system).mkdir(exist_ok=True)
        text = text.replace("/lab/guestvm", str(LAB / "image/lab/guestvm")).replace("/lab/probe", str(self.probe))
        return text.replace("/run/", f"{self.run_dir}/{system}/")

    def run(self, system: str, command: str, patience: float = 0) -> str:
        if command.startswith(bench_cpu.TOOLS):
            return json.dumps({"ns": time.monotonic_ns(), "busy_ns": 0, "domains": {"0": 0}})
        out = subprocess.run(self.here(system, command), shell=True, stdout=subprocess.PIPE, text=True, check=True).stdout
        if command.startswith("setsid"):
            self.started[system] = int(out)
        return out

    def succeeds(self, system: str, command: str) -> bool:
        return subprocess.run(self.here(system, command), shell=True).returncode == 0

    def read(self, system: str, path: str) -> bytes:
        return Path(self.here(system, path)).read_bytes()

    def text(self, system: str, path: str) -> str:
        return self.read(system, path).decode(errors="replace").strip()

    def until(self, _: str, done: Callable[[], object]) -> None:
        while not done():
            time.sleep(0.01)


class HereMigrations:
    """A migration takes a second, and stops the probe of hv2 for the second half of it."""
    host = bench_cpu.Host({0: "host"})
    mib = 16

    def __init__(self, lab: HereLab) -> None:
        self.lab = lab

    def where(self) -> tuple[str, str]:
        return "hv1", "hv2"

    def one(self, how: str, beside: Beside, limit_s: float) -> Values:
        assert how == "live"
        time.sleep(0.3)         # ticks that do not count
        with beside:
            began = time.monotonic_ns()
            time.sleep(0.5)
            pid = self.lab.started[bench_pain.PROBES["hv2"]]
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.5)
            os.kill(pid, signal.SIGCONT)
            used = bench_cpu.Account(time.monotonic_ns() - began, 0, {0: 0})
        return {"seconds": used.ns / 1e9, **self.host.values(used), "bytes": 0.0, CUT: float(limit_s < math.inf)}


def test_pain(probe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the start of the probes to the values of a run."""
    monkeypatch.setattr(bench_pain, "PASSES", 3)
    monkeypatch.setattr(bench_pain, "PASS_MS", 10)
    monkeypatch.setattr(bench_pain, "QUIET_S", 1)
    lab = HereLab(probe, tmp_path)
    pain = bench_pain.Pain(cast(Migrations, HereMigrations(lab)), there=True)
    assert pain.lab is cast(Lab, lab)
    for case in ("quiet", "live-idle"):
        v = pain.one(case, math.inf)
        assert set(v) == set(VALUES["pain"]) and 0.9 <= v["seconds"] and v["slower"] > 0
        assert v["ticks"] == pytest.approx(2000 * v["seconds"], rel=0.1)
    # The stall is a quarter of the ticks of both, and none of those at the source.
    assert v["p90_s"] >= 0.2 and v["most_s"] >= 0.45 and v["p99_dest_s"] > 0.4 > v["p99_source_s"]
    # Of one that was ended with its guest VM there is no speed afterwards.
    v = pain.one("live-idle", 1.0)
    assert set(v) == set(VALUES["pain"]) and v["slower"] == 0 and v["p99_s"] > 0.4


def test_timer(probe: Path, tmp_path: Path) -> None:
    """The image's script, with nothing changed but how far apart the kernel's timer interrupts are."""
    lab = cast(Lab, HereLab(probe, tmp_path))
    assert guests.guestvm(lab, "hv1", "u4", 0) == "/lab/guestvm"
    assert guests.guestvm(lab, "hv1", "u4", 10) == "bash /run/guestvm.u4"
    old, new = ((LAB / "image/lab/guestvm").read_text(encoding="ascii").splitlines(), lab.text("hv1", "/run/guestvm.u4").splitlines())
    changed = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
    assert len(changed) == 1 and changed[0][1] == changed[0][0].replace("xen_timer_slop=100000000 ", "xen_timer_slop=10000000 ")


@pytest.mark.parametrize("words", [(), ("beat", "1", "2"), ("dirty", "0", "0"), ("dirty", "1"), ("dirty", "1", "x"),
                                   ("stalls", "x"), ("speed", "1", "0", "1"), ("follow",)])
def test_misuse(probe: Path, words: tuple[str, ...]) -> None:
    assert subprocess.run([probe, *words], stderr=subprocess.DEVNULL).returncode == 2
