"""Talk to an instance: HTTP over its admin socket.

Rules kept here:
- Light: http.client and no more; every command that talks starts in a moment.
- An answer that says no becomes a ControlError with the instance's own words.
- Who waits is told for what: once, on stderr, since an answer is data.
"""

import http.client
import json
import select
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

from evener.cli.words import USAGE, fail, say
from evener.control.errors import ControlError, LinesError, NoInstanceError
from evener.control.finding import find
from evener.control.instance import admin_of, identity_of

#: Seconds an answer may take; a reload of a large file takes a few.
PATIENCE = 60.0
#: Seconds of silence after which it is said what is waited for.
SILENCE = 2.0


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("evener", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Client:
    """An instance, as commands see it.

    Args:
        run: Its run directory, if the person named one.
        config: Its file, if the person named that.

    Raises:
        NoInstanceError: there is none.
    """

    def __init__(self, run: str | None = None, config: str | None = None) -> None:
        self.run = find(run or _run_of(config), config)

    def read(self, path: str) -> Any:
        """The JSON at a path."""
        return json.loads(self.text(path))

    def text(self, path: str) -> str:
        """The text at a path."""
        return self._ask("GET", path, None).decode()

    def tell(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Has something done; the JSON that was answered."""
        return json.loads(self._ask(method, path, body))

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> bytes:
        connection = _Connection(admin_of(self.run))
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"content-type": "application/json"})
            if not select.select([connection.sock], [], [], SILENCE)[0]:
                say(_waits_for(self.run))
            answer = connection.getresponse()
            text = answer.read()
        except TimeoutError:
            raise ControlError(f"the instance in {self.run} does not answer") from None
        except (OSError, http.client.HTTPException) as error:
            raise NoInstanceError(f"the instance in {self.run} is gone: {error}") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise _refusal(text, answer.status)
        return text


def _waits_for(run: Path) -> str:
    identity = identity_of(run)
    pid = identity.pid if identity else 0
    who = f"the instance in {run}" + (f" (pid {pid})" if pid else "")
    stopped = f"; it is stopped, `kill -CONT {pid}` lets it go on" if _is_stopped(pid) else ""
    return f"waiting for {who} to answer, {PATIENCE:g} s at most{stopped}"


def _is_stopped(pid: int) -> bool:
    """Whether a process was stopped by a signal (proc_pid_stat(5): the state behind its name)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def _run_of(config: str | None) -> str | None:
    """The run directory that a file names, if it does; a file with errors names none."""
    if config is None:
        return None
    from evener.config import Config, ConfigError

    try:
        return Config.load(config).settings.evener.run
    except ConfigError:
        return None


def server_path(name: str) -> str:
    """The API's path of `POOL/SERVER`; ends the command where the name has not that form."""
    pool, slash, server = name.partition("/")
    if not (pool and slash and server):
        fail(f"{name!r} is not POOL/SERVER", "`evener show servers` lists the names", USAGE)
    return f"/v1/servers/{quote(pool, safe='')}/{quote(server, safe='/')}"


def _refusal(text: bytes, status: int) -> ControlError:
    try:
        said = json.loads(text)
    except ValueError:
        return ControlError(f"the instance answered {status}: {text.decode(errors='replace')}")
    if errors := said.get("errors"):
        return LinesError(errors)
    return ControlError(str(said.get("error", said)), str(said.get("remedy", "")))
