# SPDX-License-Identifier: GPL-2.0
"""The client of lab/channel/channeld.c: commands and files, over one connection to each system that is kept open."""

import select
import socket
import struct
from typing import Callable

from .errors import LabError
from .wait import Watch

CHUNK = 32768


class ChannelLost(LabError):
    """The connection to a system ended, or none could be made."""


class Channel:
    def __init__(self, system: str, port: int) -> None:
        self.system, self.port = system, port
        self.sock: socket.socket | None = None

    def close(self) -> None:
        if self.sock:
            self.sock.close()
        self.sock = None

    def _send(self, kind: bytes, data: bytes) -> None:
        assert self.sock
        try:
            self.sock.sendall(kind + struct.pack(">I", len(data)) + data)
        except OSError as e:
            raise ChannelLost(f"{self.system}: the channel broke: {e}") from e

    def _receive(self, n: int, watch: Watch) -> bytes:
        assert self.sock
        data = b""
        ready = select.poll()   # select() knows no descriptor beyond 1023
        ready.register(self.sock, select.POLLIN)
        while len(data) < n:
            if not ready.poll(500):
                watch.look("no answer yet")
                continue
            try:
                part = self.sock.recv(n - len(data))
            except OSError as e:
                raise ChannelLost(f"{self.system}: the channel broke: {e}") from e
            if not part:
                raise ChannelLost(f"{self.system}: nobody serves the channel")
            data += part
            watch.moved()
        return data

    def _request(self, kind: bytes, text: str, data: bytes | None, watch: Watch,
                 take: Callable[[bytes, bytes], None]) -> int:
        """One request; take() gets each piece of the reply. A connection that broke is not made again behind the
        caller's back: the command might run twice."""
        if not self.sock:
            try:
                self.sock = socket.create_connection(("127.0.0.1", self.port), timeout=10)
                self.sock.settimeout(None)
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as e:
                self.sock = None
                raise ChannelLost(f"{self.system}: no connection: {e}") from e
        try:
            self._send(kind, text.encode())
            if kind != b"G":
                for at in range(0, len(data or b""), CHUNK):
                    assert data
                    self._send(b"I", data[at:at + CHUNK])
                    watch.moved()
                self._send(b"E", b"")
            while True:
                head = self._receive(5, watch)
                body = self._receive(struct.unpack(">I", head[1:])[0], watch)
                if head[:1] == b"X":
                    return int(struct.unpack(">I", body)[0])
                take(head[:1], body)
        except BaseException:
            self.close()
            raise

    def run(self, command: str, data: bytes | None, watch: Watch, take: Callable[[bytes, bytes], None]) -> int:
        return self._request(b"C", command, data, watch, take)

    def get(self, path: str, watch: Watch) -> bytes:
        parts: list[bytes] = []
        error = self._request(b"G", path, None, watch, lambda _, body: parts.append(body))
        if error:
            raise LabError(f"{self.system}:{path} cannot be read: error {error}")
        return b"".join(parts)

    def put(self, path: str, data: bytes, executable: bool, watch: Watch) -> None:
        error = self._request(b"A" if executable else b"P", path, data, watch, lambda *_: None)
        if error:
            raise LabError(f"{self.system}:{path} cannot be written: error {error}")
