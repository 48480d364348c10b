"""The language itself: every key, with its type, default, meaning and reasons, declared once.

Adding a key is one declaration here, and the place that obeys it.
"""

from evener.config.schema.affinity import ClientIp
from evener.config.schema.evener import Access, Admin, Evener, Log
from evener.config.schema.listener import (
    HTTP_ONLY,
    HTTP_TIMES,
    UNIX_MODE,
    Bind,
    Certificate,
    Listener,
    ListenerTls,
)
from evener.config.schema.pool import Check, Passive, Pool, PoolTls, Server
from evener.config.schema.root import LISTENER, POOL, ROOT, ROUTE, Root
from evener.config.schema.route import HeaderEdits, Match, Redirect, Respond, Route
from evener.config.schema.scheduler import Scheduler

__all__ = [
    "HTTP_ONLY",
    "HTTP_TIMES",
    "LISTENER",
    "POOL",
    "ROOT",
    "ROUTE",
    "UNIX_MODE",
    "Access",
    "Admin",
    "Bind",
    "Certificate",
    "Check",
    "ClientIp",
    "Evener",
    "HeaderEdits",
    "Listener",
    "ListenerTls",
    "Log",
    "Match",
    "Passive",
    "Pool",
    "PoolTls",
    "Redirect",
    "Respond",
    "Root",
    "Route",
    "Scheduler",
    "Server",
]
