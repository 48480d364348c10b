"""Configuration to plan: names become addresses, defaults become figures.

Rules kept here:
- Pure: what the world knows (addresses of names, descriptor limit, IPv6) comes in as arguments.
- The plan's form is owned by the crate evener-plan; golden files bind both sides.

Not known here: sockets, files, workers; how a plan is sent or served.
"""

from evener.compile.listeners import Socket
from evener.compile.plan import Compiled, Facts, Settings, compile, names
from evener.compile.secrets import Secret

__all__ = [
    "Compiled",
    "Facts",
    "Secret",
    "Settings",
    "Socket",
    "compile",
    "names",
]
