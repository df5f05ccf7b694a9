# SPDX-License-Identifier: GPL-2.0
"""What measurements carry into the lab: its figures, against what a test does to it."""

import json
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

LAB = Path(__file__).parents[2] / "lab"


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


def test_sender_ends(probe: Path, port: int) -> None:
    """A connection that broke is said to have."""
    sender, follower = start(probe, "beat", "127.0.0.1", port, 5), start(probe, "follow", port)
    assert follower.stdout and follower.stdout.readline() == "connected\n"
    sender.terminate()
    out, _ = follower.communicate()
    assert json.loads(out)["broke"] is True and sender.wait() == 0


def test_ticks(probe: Path) -> None:
    """Each tick in a stall counts: of 1.5 s, a third of which it was stopped, a fifth of the ticks is late by that much."""
    p = start(probe, "ticks", 1000)
    time.sleep(0.5)
    p.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    p.send_signal(signal.SIGCONT)
    time.sleep(0.5)
    got = ended(p)
    assert 490_000 <= got["most_us"] and got["p90_us"] > 100_000 and got["ticks"] > 1000
    assert got["p50_us"] <= got["p90_us"] <= got["p99_us"] <= got["p999_us"] <= got["most_us"]


def test_dirty(probe: Path) -> None:
    """It has what it is to write to, and goes on writing."""
    p = start(probe, "dirty", 16)

    def resident() -> int:
        return int(Path(f"/proc/{p.pid}/statm").read_text(encoding="ascii").split()[1])

    def ran() -> int:
        return int(Path(f"/proc/{p.pid}/stat").read_text(encoding="ascii").split()[13])

    while resident() < 16 << 8 and p.poll() is None:
        time.sleep(0.01)
    before = ran()
    while ran() < before + 5 and p.poll() is None:
        time.sleep(0.01)
    p.terminate()
    assert p.wait() == 0


@pytest.mark.parametrize("words", [(), ("beat", "1", "2"), ("dirty", "0"), ("ticks", "x"), ("follow",)])
def test_misuse(probe: Path, words: tuple[str, ...]) -> None:
    assert subprocess.run([probe, *words], stderr=subprocess.DEVNULL).returncode == 2
