"""Clients that ask all the time and check every answer.

Rules kept here:
- An answer counts only if it is whole and belongs to what was asked; all else is a failure, with
  its words.
- Nothing is asked again: what Evener cannot hide is seen.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

CLIENTS = 8
#: Seconds a client rests between two requests.
REST = 0.02
#: Seconds an answer may take.
PATIENCE = 10.0


@dataclass
class Tally:
    """What came of the requests so far."""

    by_server: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0

    @property
    def asked(self) -> int:
        """Requests that have ended, well or not."""
        return self.by_server.total() + len(self.failures)


class Crowd:
    """The clients, each a thread with one connection that it keeps."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tally = Tally()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask_on, args=(number,), daemon=True)
            for number in range(CLIENTS)
        ]

    def start(self) -> None:
        """All begin to ask."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Each ends after the answer it waits for."""
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE + 1)

    def tally(self) -> Tally:
        """What came of it so far."""
        with self._lock:
            now = self._tally
            return Tally(now.by_server.copy(), now.failures.copy(), now.slowest)

    def _ask_on(self, client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        number = 0
        while not self._over.wait(REST):
            number += 1
            path, began = f"/{client}/{number}", time.monotonic()
            try:
                server, failure = _ask(connection, path), ""
            except (OSError, http.client.HTTPException, ValueError) as error:
                connection.close()
                server, failure = "", f"{path}: {error!r}"
            with self._lock:
                self._tally.slowest = max(self._tally.slowest, time.monotonic() - began)
                if failure:
                    self._tally.failures.append(failure)
                else:
                    self._tally.by_server[server] += 1
        connection.close()


def _ask(connection: http.client.HTTPConnection, path: str) -> str:
    """The name of the server that answered, and answered this request."""
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read().decode()
    server, _, echo = body.strip().partition(" ")
    if answer.status != 200 or echo != path:
        raise ValueError(f"status {answer.status}, body {body!r}")
    return server
