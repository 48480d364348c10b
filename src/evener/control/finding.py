"""Find the instance that a command is meant for, or what is left of one.

Rules kept here (PROCESS.md, "Run directory"):
- A command takes the instance it was told, else the only living one there is.
- What this user may not talk to is in the way only where nothing else lives.
- A supervisor lives while it holds its lock: what a dead one left never counts, except for workers
  that serve on, which are said.
Not known here: what an instance serves. Imports stay light: every command passes here.
"""

import os
import socket
import struct
from pathlib import Path

from evener.control import instance
from evener.control.errors import ControlError, NoInstanceError, NotAllowedError, OrphanError
from evener.control.instance import admin_of, identity_of, worker_sockets


def find(run: str | None = None, config: str | None = None) -> Path:
    """The run directory of the instance a command is meant for.

    Args:
        run: The directory, if the person named it.
        config: The configuration file of the instance, if the person named that.

    Raises:
        NoInstanceError: there is none.
        OrphanError: there is none, but workers of one that died.
        ControlError: there are several and nothing says which.
        NotAllowedError: the only ones that live are not ours to talk to.
    """
    if run is not None:
        if not alive(Path(run)):
            _refuse_orphans([Path(run)])
            raise NoInstanceError(f"no instance is running in {run}", "start one with `evener run`")
        return Path(run)
    candidates = instance.candidates()
    ours = candidates
    if config is not None:
        wanted = os.path.realpath(config)
        # What cannot be looked into may be it.
        candidates = [path for path in candidates if _config_of(path) in (wanted, None)]
        ours = [path for path in candidates if _config_of(path) == wanted]
    living, barred = _living(candidates)
    living = [path for path in living if path in ours]
    if not living:
        _refuse_orphans(ours)
        if barred:
            raise barred[0]
        what = f" of {config}" if config else ""
        raise NoInstanceError(
            f"no instance{what} is running",
            "start one with `evener run`, or name its directory with --run",
        )
    if len(living) > 1:
        names = ", ".join(f"{path} ({_config_of(path) or 'quick'})" for path in living)
        raise ControlError(f"several instances are running: {names}", "choose one with --run")
    return living[0]


def alive(path: Path) -> bool:
    """Whether an instance listens for commands in `path`.

    Raises:
        NotAllowedError: one does, and this user may not talk to it.
    """
    try:
        instance.knock(admin_of(path))
    except PermissionError:
        # The kernel says so of a dead one's socket, too.
        if not _locked(path):
            return False
        raise NotAllowedError(
            f"{admin_of(path)}: this user may not talk to the instance",
            "run the command as its user, as root, or as a member of group evener-admin",
        ) from None
    except (TimeoutError, BlockingIOError):
        return True  # so many wait that there is no place in its queue
    except OSError:
        return False
    return True


def orphans(path: Path) -> list[int]:
    """The process ids of workers that serve on in `path` although their supervisor is dead."""
    if _locked(path):
        return []
    return [pid for _, control in worker_sockets(path) if (pid := worker_at(control))]


def worker_at(control: Path) -> int:
    """The process id of the worker that listens there (SO_PEERCRED, unix(7)); 0 if none does."""
    credentials = struct.Struct("3i")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        try:
            sock.connect(str(control))  # who says nothing disturbs nobody
            raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
        except OSError:
            return 0
    return int(credentials.unpack(raw)[0])


def _living(candidates: list[Path]) -> tuple[list[Path], list[NotAllowedError]]:
    """Those that listen, and why some that do are not ours to talk to."""
    living, barred = [], []
    for path in candidates:
        try:
            if alive(path):
                living.append(path)
        except NotAllowedError as error:
            barred.append(error)
    return living, barred


def _refuse_orphans(candidates: list[Path]) -> None:
    found = {path: workers for path in candidates if (workers := orphans(path))}
    if len(found) > 1:
        names = ", ".join(map(str, found))
        text = f"workers of several dead supervisors serve on: in {names}"
        raise ControlError(text, "choose one with --run")
    for path, workers in found.items():
        raise OrphanError(path, workers)


def _locked(path: Path) -> bool:
    """Whether a supervisor holds the lock in `path`; True where that cannot be seen.

    Source: proc_locks(5). To try the lock would be in the way of a supervisor that starts.
    """
    try:
        inode = (path / "lock").stat().st_ino
        rows = Path("/proc/locks").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    # By inode alone: the device there and that of stat(2) differ on some file systems.
    return any(cell.endswith(f":{inode}") for row in rows for cell in row.split())


def _config_of(path: Path) -> str | None:
    """The file of the instance in `path`; empty if it has none, None if it does not say."""
    identity = identity_of(path)
    if identity is None:
        return None
    return os.path.realpath(identity.config) if identity.config else ""
