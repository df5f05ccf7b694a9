# SPDX-License-Identifier: GPL-2.0
"""The lab's command channel: channeld.c over the loopback interface, and its client."""
import contextlib
import errno
import os
import random
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vmbeam_lab.channel import CHUNK, Channel, ChannelLost
from vmbeam_lab.errors import LabDied, LabError, Stalled
from vmbeam_lab.paths import LAB, TOP
from vmbeam_lab.wait import Waiter, Watch

BUILT = TOP / "build/selftests/channel"
PATIENCE_S = 60


class Alive:
    def pid(self) -> int | None:
        return None

    def check_alive(self, waiting_for: str) -> None:
        pass


def watch(patience: float = PATIENCE_S) -> Watch:
    return Waiter(Alive()).watch("an answer", patience=patience)


def wait_until(done: Callable[[], object]) -> None:
    Waiter(Alive()).until("it", done, patience=PATIENCE_S, pause=0.02)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a server under ASan and UBSan; it lives as long as the file's tests, which it must survive."""
    BUILT.mkdir(parents=True, exist_ok=True)
    program = BUILT / "channeld"
    subprocess.run(["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-g", "-O1", "-fsanitize=address,undefined",
                    "-fno-sanitize-recover=all", "-o", program, LAB / "channel/channeld.c"], check=True)
    with socket.create_server(("127.0.0.1", 0)) as s:
        number: int = s.getsockname()[1]
    log = BUILT / "stderr"
    # What it leaves to its connections' ends is a few bytes, and is meant to be: no search for leaks.
    with log.open("wb") as stderr:
        server = subprocess.Popen([program, str(number)], stderr=stderr, env=os.environ | {"ASAN_OPTIONS": "detect_leaks=0"})

    def listens() -> bool:
        assert server.poll() is None, log.read_text(encoding="utf-8")
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", number)) == 0

    wait_until(listens)
    yield number
    ended = server.poll()
    server.kill()
    server.wait()
    text = log.read_text(encoding="utf-8", errors="replace")
    assert ended is None, text
    assert "runtime error" not in text and "Sanitizer" not in text, text


@pytest.fixture
def channel(port: int) -> Iterator[Channel]:
    c = Channel("u1", port)
    yield c
    c.close()


class Ran:
    def __init__(self, channel: Channel, command: str, data: bytes | None = None, patience: float = PATIENCE_S) -> None:
        self.out, self.err = b"", b""
        self.status = channel.run(command, data, watch(patience), self._take)

    def _take(self, kind: bytes, body: bytes) -> None:
        if kind == b"O":
            self.out += body
        else:
            assert kind == b"R"
            self.err += body


BYTES = random.Random(1).randbytes(3 * CHUNK + 17)


def test_command(channel: Channel) -> None:
    """Its status and both outputs, again and again over one connection."""
    for status in (0, 1, 42, 255):
        ran = Ran(channel, f"echo out {status}; echo err >&2; exit {status}")
        assert (ran.status, ran.out, ran.err) == (status, f"out {status}\n".encode(), b"err\n")
    assert Ran(channel, "no-such-command").status == 127


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE])
def test_signal_is_a_status(channel: Channel, sig: signal.Signals) -> None:
    assert Ran(channel, f"kill -{sig.value} $$").status == 128 + sig


@pytest.mark.parametrize("data", [None, b"", b"\0", b"a line\n", BYTES], ids=["none", "empty", "zero", "line", "many"])
def test_input(channel: Channel, data: bytes | None) -> None:
    """Whatever bytes; it ends, and comes back as it went."""
    ran = Ran(channel, "exec cat", data)
    assert ran.status == 0 and ran.out == (data or b"")


def test_input_that_nobody_reads(channel: Channel) -> None:
    """What is left of it is not taken for the next request."""
    assert Ran(channel, "exec true", BYTES).status == 0
    assert Ran(channel, "exec <&-; sleep 0.1; echo still here", BYTES).out == b"still here\n"
    assert Ran(channel, "echo next").out == b"next\n"


def test_much_output(channel: Channel) -> None:
    """Of both kinds at once, up to the last byte."""
    ran = Ran(channel, "head -c 3000000 /dev/zero & head -c 2000000 /dev/zero >&2; wait")
    assert (ran.status, len(ran.out), len(ran.err)) == (0, 3000000, 2000000)


def test_child_that_keeps_the_output_is_not_waited_for(channel: Channel) -> None:
    ran = Ran(channel, "setsid sleep 600 & echo $!")
    assert ran.status == 0
    os.kill(int(ran.out), signal.SIGKILL)


@pytest.mark.parametrize("data", [b"", b"\0\xff\n", BYTES], ids=["empty", "few", "many"])
@pytest.mark.parametrize("executable", [False, True])
def test_file(channel: Channel, tmp_path: Path, data: bytes, executable: bool) -> None:
    """There and back, with its mode, in place of what was there."""
    path = tmp_path / "a file"
    path.write_bytes(b"old")
    channel.put(str(path), data, executable, watch())
    assert path.read_bytes() == data and path.stat().st_mode & 0o777 == (0o755 if executable else 0o644)
    assert channel.get(str(path), watch()) == data
    assert [p.name for p in tmp_path.iterdir()] == ["a file"]


def test_file_that_cannot_be(channel: Channel, tmp_path: Path) -> None:
    """The errno; and the connection is good for more."""
    with pytest.raises(LabError, match=f"u1:{tmp_path}/none cannot be read: error {errno.ENOENT}"):
        channel.get(f"{tmp_path}/none", watch())
    with pytest.raises(LabError, match=f"cannot be read: error {errno.EISDIR}"):
        channel.get(str(tmp_path), watch())
    with pytest.raises(LabError, match=f"u1:{tmp_path}/none/x cannot be written: error {errno.ENOENT}"):
        channel.put(f"{tmp_path}/none/x", BYTES, False, watch())
    assert Ran(channel, "echo next").out == b"next\n"


def test_file_without_a_size(channel: Channel) -> None:
    """As those of /proc."""
    assert channel.get("/proc/uptime", watch()).count(b" ") == 1


def test_two_at_once(port: int, tmp_path: Path) -> None:
    """A command on one connection does not keep another from going on."""
    os.mkfifo(tmp_path / "fifo")
    first, second = Channel("u1", port), Channel("u1", port)
    ran: list[Ran] = []
    thread = threading.Thread(target=lambda: ran.append(Ran(first, f"cat {tmp_path}/fifo")), daemon=True)
    thread.start()
    assert Ran(second, f"echo go on >{tmp_path}/fifo").status == 0
    thread.join(PATIENCE_S)
    assert ran[0].out == b"go on\n"
    first.close()
    second.close()


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_its_group_is_killed_when_the_driver_goes_away(port: int) -> None:
    """Children, too; not one that has left the group."""
    lines = b""
    ready = threading.Event()
    channel = Channel("u1", port)

    def take(_: bytes, body: bytes) -> None:
        nonlocal lines
        lines += body
        if lines.count(b"\n") == 3:
            ready.set()

    def run() -> None:
        with pytest.raises((ChannelLost, OSError, ValueError)):
            channel.run("sleep 600 & echo child $!; setsid sh -c 'echo left $$; exec sleep 600' & echo shell $$; wait", None, watch(), take)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(PATIENCE_S)
    child, left, shell = (int(pid) for _, pid in sorted(line.split() for line in lines.splitlines()))
    assert channel.sock and not gone(child) and not gone(shell)
    channel.sock.shutdown(socket.SHUT_RDWR)
    thread.join(PATIENCE_S)
    wait_until(lambda: gone(child) and gone(shell))
    assert not gone(left)
    os.kill(left, signal.SIGKILL)


def test_command_that_is_silent_is_given_up(channel: Channel) -> None:
    """Its connection with it; the next one is made anew, and the command is not run a second time."""
    with pytest.raises(Stalled, match="Gave up waiting for an answer"):
        Ran(channel, "sleep 600", patience=0.5)
    assert channel.sock is None
    assert Ran(channel, "echo next").out == b"next\n"


def test_command_that_says_something_is_not(channel: Channel) -> None:
    ran = Ran(channel, "for i in 1 2 3 4 5; do echo $i; sleep 0.6; done", patience=2.0)
    assert ran.status == 0 and ran.out == b"1\n2\n3\n4\n5\n"


def test_machine_that_dies_ends_the_wait(channel: Channel) -> None:
    class Dead(Alive):
        def check_alive(self, waiting_for: str) -> None:
            raise LabDied("the lab ended")

    with pytest.raises(LabDied):
        channel.run("sleep 600", None, Waiter(Dead()).watch("an answer"), lambda *_: None)


@pytest.mark.parametrize("rubbish", [b"Z" + struct.pack(">I", 0), b"C" + struct.pack(">I", 1 << 30), b"C\0", b"GET / HTTP/1.0\r\n\r\n"],
                         ids=["letter", "long", "short", "http"])
def test_rubbish_ends_its_connection_alone(port: int, channel: Channel, rubbish: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as s:
        s.sendall(rubbish)
        with contextlib.suppress(OSError):     # it has closed it already, with something unread
            s.shutdown(socket.SHUT_WR)
            assert s.recv(1) == b""
    assert Ran(channel, "echo next").out == b"next\n"


def test_nobody_serves(port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as s:
        free = s.getsockname()[1]
    with pytest.raises(ChannelLost, match="u1: no connection: "):
        Ran(Channel("u1", free), "true")


def test_file_is_replaced_as_a_whole(port: int, tmp_path: Path) -> None:
    """Who reads it meanwhile sees the old one."""
    def frame(kind: bytes, data: bytes = b"") -> bytes:
        return kind + struct.pack(">I", len(data)) + data

    path = tmp_path / "file"
    path.write_bytes(b"old")
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as s:
        s.sendall(frame(b"P", str(path).encode()) + frame(b"I", b"new"))
        wait_until(lambda: (tmp_path / "file.channeld").exists() and (tmp_path / "file.channeld").read_bytes() == b"new")
        assert path.read_bytes() == b"old"
        s.sendall(frame(b"I", b"er") + frame(b"E"))
        assert s.recv(9, socket.MSG_WAITALL) == frame(b"X", bytes(4))
    assert path.read_bytes() == b"newer" and [p.name for p in tmp_path.iterdir()] == ["file"]
