"""Parameters that FastCGI servers get without being told: what php-fpm needs to run a script."""

from __future__ import annotations

from collections.abc import Mapping


def parameters(given: Mapping[str, str]) -> dict[str, str]:
    """The given parameters over the defaults."""
    made = dict(DEFAULTS)
    root = given.get("DOCUMENT_ROOT")
    if root:
        made["SCRIPT_FILENAME"] = root.rstrip("/") + "{path}"
    return {**made, **given}


# CGI's own words about the message itself (REQUEST_METHOD, QUERY_STRING, CONTENT_TYPE,
# CONTENT_LENGTH, SERVER_PROTOCOL, HTTP_*) are the codec's: it has decided the message's framing.
DEFAULTS = {
    "GATEWAY_INTERFACE": "CGI/1.1",
    "SERVER_SOFTWARE": "evener",
    "REQUEST_URI": "{uri}",
    "DOCUMENT_URI": "{path}",
    "SCRIPT_NAME": "{path}",
    "REQUEST_SCHEME": "{scheme}",
    "SERVER_NAME": "{host}",
    "REMOTE_ADDR": "{client.ip}",
    "REMOTE_PORT": "{client.port}",
    # php-cgi and php-fpm built with force-redirect run nothing without it.
    "REDIRECT_STATUS": "200",
}
