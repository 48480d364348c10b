"""Parameters that FastCGI servers get without being told: what php-fpm needs to run a script.

What says how long the message is and where it came in (CONTENT_LENGTH, SERVER_PROTOCOL,
SERVER_ADDR, SERVER_PORT, HTTPS, HTTP_*) is not here: the engine decided it and sends it.
"""

from __future__ import annotations

from collections.abc import Mapping

# RFC 3875 section 4.1, and the names beyond it that nginx's fastcgi_params has made usual.
DEFAULTS = {
    "GATEWAY_INTERFACE": "CGI/1.1",
    "SERVER_SOFTWARE": "evener",
    "SERVER_NAME": "{host}",
    "REQUEST_METHOD": "{method}",
    "REQUEST_SCHEME": "{scheme}",
    "REQUEST_URI": "{uri}",
    "QUERY_STRING": "{query}",
    "CONTENT_TYPE": "{header.content-type}",
    "DOCUMENT_URI": "{path}",
    "SCRIPT_NAME": "{path}",
    "REMOTE_ADDR": "{client.ip}",
    "REMOTE_PORT": "{client.port}",
    # php built with force-cgi-redirect runs nothing without it.
    "REDIRECT_STATUS": "200",
}

SCRIPT = ("DOCUMENT_ROOT", "SCRIPT_FILENAME")
"""Parameters of which one must be given: they say where the scripts are."""


def of_pool(given: Mapping[str, str]) -> dict[str, str]:
    """The given parameters of a pool over the defaults."""
    return {**DEFAULTS, **_script(given), **given}


def of_server(given: Mapping[str, str], pool: Mapping[str, str]) -> dict[str, str]:
    """A server's own parameters: its scripts are in its own root, unless the pool names them."""
    return {**({} if "SCRIPT_FILENAME" in pool else _script(given)), **given}


def _script(given: Mapping[str, str]) -> dict[str, str]:
    root = given.get("DOCUMENT_ROOT")
    return {"SCRIPT_FILENAME": root.rstrip("/") + "{path}"} if root else {}
