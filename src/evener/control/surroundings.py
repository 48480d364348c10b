"""What a configuration needs of this machine: groups, directories, files that can be written.

Rules kept here:
- Looked at and left as it is: nothing is opened, made or bound, so that `evener check` may ask.
- All that is missing at once, each as a problem at the key that names it.
Not known here: ports that others hold; they may be free by the time of a start.
"""

import errno
import grp
import os
import stat
from collections.abc import Iterator

from evener.config import Config, ConfigError, Place, Problem
from evener.config.report import nearest
from evener.control.errors import ConfigRefusedError
from evener.control.source import FileSource, LoadedConfig

_STREAMS = ("stdout", "stderr")


def missing(config: Config) -> list[Problem]:
    """What a right configuration needs and does not find here."""
    return [*_logs(config), *_sockets(config)]


class SurveyedFile(FileSource):
    """A file, read anew at each reload, and what it needs of this machine."""

    def load(self) -> LoadedConfig:
        """As `Source`."""
        loaded = super().load()
        if problems := missing(loaded.config):
            wrong = ConfigError(problems)
            raise ConfigRefusedError([str(problem) for problem in wrong.problems]) from wrong
        return loaded


def _logs(config: Config) -> Iterator[Problem]:
    log = config.settings.evener.log
    named: dict[tuple[str, ...], str] = {("evener", "log", "to"): log.to}
    if log.access.format != "off":
        named["evener", "log", "access", "to"] = log.access.to
    for path, to in named.items():
        if to not in _STREAMS and (code := _unwritable(to)):
            got = f"`{to}`, which can't be written: {os.strerror(code)}"
            expected = "a file that can be, `stdout` or `stderr`"
            yield Problem(config.place(*path), ".".join(path), got, expected)


def _sockets(config: Config) -> Iterator[Problem]:
    settings = config.settings
    for name, listener in settings.listeners.items():
        for index, bind in enumerate(listener.bind):
            where = ("listeners", name, "bind", index)
            path = f"listeners.{name}.bind[{index}]"
            if bind.address.kind == "unix" and (code := _no_socket(bind.address.host)):
                place = config.place(*where, "address")
                yield _socket_problem(place, f"{path}.address", str(bind.address), code)
            if bind.group is not None and not _is_group(bind.group):
                known = nearest(bind.group, (group.gr_name for group in grp.getgrall()))
                place = config.place(*where, "group")
                expected = "a group of this machine"
                yield Problem(place, f"{path}.group", f"`{bind.group}`", expected, known)
    admin = settings.evener.admin.bind
    if admin is not None and (code := _no_socket(admin.host)):
        place = config.place("evener", "admin", "bind")
        yield _socket_problem(place, "evener.admin.bind", str(admin), code)


def _socket_problem(place: Place, path: str, address: str, code: int) -> Problem:
    got = f"`{address}`, which can't be made: {os.strerror(code)}"
    return Problem(place, path, got, "a path in a directory that is there and can be written")


def _unwritable(path: str) -> int:
    """Why a file cannot be written or made, as an errno; 0 if it can."""
    if os.path.isdir(path):
        return errno.EISDIR
    if os.path.exists(path):
        return 0 if os.access(path, os.W_OK) else errno.EACCES
    return _closed(path)


def _no_socket(path: str) -> int:
    """Why a unix socket cannot be made, as an errno; 0 if it can, or is there."""
    if os.path.exists(path) and not stat.S_ISSOCK(os.stat(path).st_mode):
        return errno.EEXIST
    return _closed(path)


def _closed(path: str) -> int:
    """Why nothing can be made at a path, as an errno."""
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        return errno.ENOTDIR if os.path.exists(folder) else errno.ENOENT
    return 0 if os.access(folder, os.W_OK | os.X_OK) else errno.EACCES


def _is_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True
