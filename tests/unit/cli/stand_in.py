"""In place of the extension: its configuration reader is the real one, its worker is this file.

The worker speaks the control protocol and answers every HTTP request with its process id, so that
real processes, signals and descriptors can be tested without the engine.
"""

import contextlib
import importlib.machinery
import importlib.util
import json
import os
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

import evener

_HELLO = {"protocol": 1, "build": "0.1.0", "schema": "s", "layout": "l"}
_REAL = next(
    found for place in evener.__path__ for found in sorted(Path(place).glob("_engine.*.so"))
)
_loader = importlib.machinery.ExtensionFileLoader("evener._engine", str(_REAL))
_spec = importlib.util.spec_from_loader("evener._engine", _loader)
assert _spec is not None
_real = importlib.util.module_from_spec(_spec)
_loader.exec_module(_real)
yaml_events, YamlError = _real.yaml_events, _real.YamlError
pattern_refusal, pem_refusal = _real.pattern_refusal, _real.pem_refusal
plan_refusals = _real.plan_refusals
__version__ = evener.__version__


def hello() -> dict[str, Any]:
    return _HELLO


class Segments:
    def __init__(self, living: list[int], retired: list[int]) -> None:
        self._living = living

    def stamps(self) -> list[int]:
        return [time.monotonic_ns() for _ in self._living]

    def totals_json(self) -> str:
        return "{}"

    def prometheus(self, facts: str) -> str:
        return f"evener_plan_generation {json.loads(facts)['generation']}\n"


def serve(path: str) -> None:
    _Worker().serve(path)


class _Worker:
    def __init__(self) -> None:
        self._plan: dict[str, Any] = {"pools": [], "generation": 0}
        self._waiting: list[int] = []
        self._sockets: list[socket.socket] = []

    def serve(self, path: str) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            while True:
                link, _ = listener.accept()
                with contextlib.suppress(OSError):  # a supervisor that died is no reason to
                    self._send(link, {"hello": _HELLO})
                    self._converse(link)

    def _converse(self, link: socket.socket) -> None:
        held = bytearray()
        while True:
            piece, descriptors, _, _ = socket.recv_fds(link, 1 << 16, 253)
            if not piece:
                return
            held += piece
            self._waiting += descriptors
            while len(held) >= 8:
                length, count = struct.unpack_from("<II", held)
                if len(held) < 8 + length:
                    break
                message = json.loads(held[8 : 8 + length])
                del held[: 8 + length]
                mine, self._waiting = self._waiting[:count], self._waiting[count:]
                if "do" in message:
                    self._obey(link, message, mine)

    def _obey(self, link: socket.socket, message: dict[str, Any], descriptors: list[int]) -> None:
        ok: dict[str, Any] = {}
        match message["do"]:
            case "sockets":
                for descriptor in descriptors:
                    sock = socket.socket(fileno=descriptor)
                    self._sockets.append(sock)
                    threading.Thread(target=_accept, args=(sock,), daemon=True).start()
            case "plan":
                self._plan = message["plan"]
                servers = sum(len(pool["servers"]) for pool in self._plan["pools"])
                ok = {
                    "generation": self._plan["generation"],
                    "build_ms": 0,
                    "kept": 0,
                    "added": servers,
                    "removed": 0,
                }
            case "facts" | "status":
                ok = {"servers": self._facts(), "connections": 0, "in_flight": 0, "parked": 0}
            case "stop":
                os._exit(0)
        self._send(link, {"re": message["id"], "ok": ok})
        if message["do"] == "drain":
            if os.environ.get("STAND_IN_HANGS"):
                return
            self._send(link, {"event": "drained", "cut": 0})
            os._exit(0)

    def _facts(self) -> list[dict[str, Any]]:
        return [
            {
                "pool": pool["name"],
                "server": server["id"],
                "address": server["address"],
                "weight": server["weight"],
                "tier": server["tier"],
                "admin": server["admin"],
                "health": "unchecked",
                "ejected_until": 0,
                "changed": 0,
                "state": "up",
                "reason": "",
                "in_flight": 0,
                "check": None,
            }
            for pool in self._plan["pools"]
            for server in pool["servers"]
        ]

    def _send(self, link: socket.socket, message: dict[str, Any]) -> None:
        text = json.dumps(message).encode()
        link.sendall(struct.pack("<II", len(text), 0) + text)


def _accept(listener: socket.socket) -> None:
    listener.setblocking(True)
    body = str(os.getpid()).encode()
    head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    while True:
        client, _ = listener.accept()
        with contextlib.suppress(OSError), client:
            client.recv(4096)
            client.sendall(head + body)
