"""A small web server that says its name: what the demo balances.

Usage: server.py NAME PORT
"""

from __future__ import annotations

import random
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers each GET with the server's name and what was asked for."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave in one piece: who dies has sent all of an answer or nothing

    def do_GET(self) -> None:
        time.sleep(random.uniform(0.001, 0.006))  # stands for work
        body = f"{sys.argv[1]} {self.path}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing: the terminal is the demo's."""


class Server(ThreadingHTTPServer):
    """Takes many connections at once, and no offence at those that break."""

    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing of a peer that hangs up: a check may do so."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # as it came


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
