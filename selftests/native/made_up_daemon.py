# SPDX-License-Identifier: GPL-2.0
"""A vmbeamd that is made up: a socket that says what a test wants, and remembers what it was asked."""
import json
import queue
import socket
import threading
from pathlib import Path

from made_up_agent import Json

# Far beyond anything that the command does at its own pace.
PATIENCE_S = 60


class Asked:
    """A request, and whoever waits for its answer."""

    def __init__(self, request: Json, client: socket.socket) -> None:
        self.request = request
        self._client = client

    def say(self, *lines: Json) -> None:
        self._client.sendall(b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    def result(self, outcome: str, **others: object) -> None:
        self.say({"result": {"outcome": outcome, **others}})

    def hang_up(self) -> None:
        # Another thread is in a recv() on it, which close() alone would not end.
        self._client.shutdown(socket.SHUT_RDWR)


class MadeUpDaemon:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests: list[Json] = []
        self._answers: dict[str, tuple[Json, ...]] = {}
        self._unanswered: dict[str, queue.Queue[Asked]] = {}
        self._clients: list[socket.socket] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def answer(self, cmd: str, *lines: Json) -> None:
        """What is said to each request of that name from now on."""
        self._answers[cmd] = lines

    def asked(self, cmd: str) -> Asked:
        """Waits for a request that has no answer."""
        return self._queue(cmd).get(timeout=PATIENCE_S)

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for client in self._clients:
            # Its reader has it open, too, and ends by this.
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass    # it has gone
            client.close()

    def _queue(self, cmd: str) -> "queue.Queue[Asked]":
        return self._unanswered.setdefault(cmd, queue.Queue())

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self._clients.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            for line in client.makefile("rb"):
                request = json.loads(line)
                self.requests.append(request)
                asked = Asked(request, client)
                if request["cmd"] in self._answers:
                    asked.say(*self._answers[request["cmd"]])
                else:
                    self._queue(request["cmd"]).put(asked)
        except OSError:
            # The client has gone.
            pass
