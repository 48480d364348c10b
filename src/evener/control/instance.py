"""The run directory: identity of an instance, where it may be, and what is in it.

Rules kept here (PROCESS.md, "Run directory"):
- An `evener quick` has a directory of its own, which goes with it; what one that was killed left
  is removed by the next start.
- A lock held for life says that a supervisor lives; the kernel lets go of it however it ends.
- Directories under a shared temporary one must be ours alone, else they are refused.
Not known here: what an instance serves, and how commands find it (`finding`). Imports stay light:
every command passes here.
"""

import contextlib
import fcntl
import json
import os
import re
import socket
import stat
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from evener.control.errors import (
    InstanceError,
)

#: Seconds that a start waits for who sweeps its directory.
SWEEPING = 1.0
#: Bytes of a directory's path with room for the millionth worker's socket: such a path has 107 at
#: most (unix(7)). The schema of `evener.run` says the same, too heavy to be asked here.
LONGEST = 107 - len("/worker-1000000.sock")
#: Where the instance of a system is.
_SYSTEM = Path("/run/evener")
#: How the directory of an `evener quick` is named, behind the name of a place.
_QUICK = re.compile(r"-quick-\d+$")
#: What instances put into a run directory.
_CONTENTS = re.compile(r"lock|\.?instance\.json|\.?words\.json(\.\d+)?|(admin|worker-\d+)\.sock")


@dataclass(frozen=True)
class Identity:
    """What `instance.json` says of the instance."""

    config: str
    build: str
    pid: int
    worker: int
    started: int
    admin: str


class RunDirectory:
    """A run directory that this process holds. Made by `take`."""

    def __init__(self, path: Path, lock: int, temporary: bool = False) -> None:
        self.path = path
        self._lock = lock
        self._temporary = temporary
        #: Where the admin API listens.
        self.admin_socket = path / "admin.sock"

    @classmethod
    def take(cls, path: Path, *, temporary: bool = False) -> "RunDirectory":
        """Makes the directory if need be and takes it.

        Args:
            temporary: Whether it goes with its holder, after whom it is named.

        Raises:
            InstanceError: another supervisor lives in it, or it is not safe to use.
        """
        # Who else holds the lock of a temporary one most likely sweeps it, which takes a moment.
        _refuse_long(path)
        patience = time.monotonic() + (SWEEPING if temporary else 0.0)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        while True:
            _make(path)
            try:
                lock = os.open(path / "lock", flags, 0o600)
            except FileNotFoundError:
                continue  # swept between two steps
            except OSError as error:
                why = f"cannot use the run directory {path}: {error.strerror}"
                raise InstanceError(why) from error
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(lock)
                if time.monotonic() < patience:
                    time.sleep(0.01)
                    continue
                raise InstanceError(
                    f"an instance is already running in {path}{_whose(path)}",
                    "`evener reload` makes it read its file again; `--run DIR` starts another one",
                ) from None
            if _is_at(lock, path / "lock"):
                return cls(path, lock, temporary)
            os.close(lock)

    def restore(self) -> None:
        """Makes the directory anew where somebody has removed it or its lock; else does nothing.

        The admin socket does not come back by this: its door is open, but nobody finds it.

        Raises:
            InstanceError: it cannot be made, or another supervisor has taken it.
        """
        if _is_at(self._lock, self.path / "lock"):
            return
        other = RunDirectory.take(self.path)
        os.close(self._lock)
        self._lock = other._lock

    def worker_socket(self, number: int) -> Path:
        """Where worker `number` of this instance listens for its supervisor."""
        return self.path / f"worker-{number}.sock"

    def worker_sockets(self) -> list[tuple[int, Path]]:
        """The control sockets that are there, by number."""
        return worker_sockets(self.path)

    def listen_admin(self, elsewhere: str | None, group: int | None) -> socket.socket:
        """Opens the admin socket: for our own user, and for `group` if there is one.

        Args:
            elsewhere: Its path, if not `admin.sock` in this directory.
            group: Group that may use it.

        Commands that come before the API is up wait in its queue.

        Raises:
            InstanceError: something stands there that is not a socket of a dead instance.
        """
        path = Path(elsewhere) if elsewhere else self.admin_socket
        if path.is_socket() and not _is_listened_on(path):
            path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            sock.bind(str(path))
        except OSError as error:
            sock.close()
            raise InstanceError(f"cannot open {path}: {error.strerror or error}") from error
        finally:
            os.umask(before)
        self.admin_socket = path  # from now on it is ours, and goes with us
        if group is not None:
            os.chown(path, -1, group)
            path.chmod(0o660)
        sock.listen(128)
        return sock

    def write(self, identity: Identity) -> None:
        """Replaces `instance.json`."""
        temporary = self.path / ".instance.json"
        temporary.write_text(json.dumps(asdict(identity)) + "\n", encoding="utf-8")
        temporary.replace(self.path / "instance.json")

    def release(self) -> None:
        """Gives the directory back: what is in it goes, except the lock's file.

        Where a worker serves on, all that the next supervisor and `evener stop` find it by stays.
        A temporary one goes as a whole.
        """
        workers = [path for _, path in self.worker_sockets()]
        left = [path for path in workers if not _is_listened_on(path)]
        facts = [self.path / "instance.json"] if left == workers else []
        for path in [self.admin_socket, *facts, *left]:
            with contextlib.suppress(OSError):
                path.unlink()
        if self._temporary:
            _remove(self.path)
        os.close(self._lock)


def sweep() -> None:
    """Removes what each `evener quick` of this user that was killed has left."""
    for path in candidates():
        if _QUICK.search(path.name):
            with contextlib.suppress(InstanceError):
                directory = RunDirectory.take(path)
                directory._temporary = True
                directory.release()


def default_run() -> Path:
    """Where `evener run` has its run directory when nothing says otherwise."""
    return _places()[0]


def quick_run() -> Path:
    """A run directory of its own for one `evener quick`."""
    base = _own_places()[0] if os.geteuid() else _SYSTEM
    return base.with_name(f"{base.name}-quick-{os.getpid()}")


def identity_of(path: Path) -> Identity | None:
    """What the instance in `path` says of itself; None if there is nothing to read."""
    try:
        return Identity(**json.loads((path / "instance.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def admin_of(path: Path) -> Path:
    """Where the instance in `path` listens for commands."""
    identity = identity_of(path)
    return Path(identity.admin) if identity else path / "admin.sock"


def _is_listened_on(path: Path) -> bool:
    try:
        knock(path)
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    except OSError:
        return True  # or it cannot be known, and is left alone
    return True


def knock(admin: Path) -> None:
    """Connects to a unix socket and says nothing; raises what that comes to."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(2.0)
        sock.connect(str(admin))


def worker_sockets(path: Path) -> list[tuple[int, Path]]:
    """The control sockets of workers in a run directory, by number."""
    found = []
    with contextlib.suppress(OSError):  # one that cannot be looked into has none
        for control in path.glob("worker-*.sock"):
            number = control.stem.removeprefix("worker-")
            if number.isdigit():
                found.append((int(number), control))
    return sorted(found)


def candidates() -> list[Path]:
    """Run directories that there may be, quick ones behind the place each is beside."""
    found: dict[str, Path] = {}
    for place in _places():
        quick = sorted(place.parent.glob(f"{place.name}-quick-*"))
        for path in [place, *quick]:
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def _places() -> list[Path]:
    """All places a run directory may be in, the one that applies to us first."""
    places = []
    if directory := os.environ.get("RUNTIME_DIRECTORY"):
        places.append(Path(directory.split(":")[0]))
    own = _own_places()
    return places + ([_SYSTEM, *own] if os.geteuid() == 0 else [*own, _SYSTEM])


def _own_places() -> list[Path]:
    """Those of a user without rights, the first is used."""
    places = []
    if directory := os.environ.get("XDG_RUNTIME_DIR"):
        places.append(Path(directory, "evener"))
    return [*places, Path(tempfile.gettempdir(), f"evener-{os.geteuid()}")]


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the file that is open is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    """Removes a run directory and what instances put in it; with anything else in it, it stays."""
    with contextlib.suppress(OSError):
        for file in path.iterdir():
            if _CONTENTS.fullmatch(file.name):
                file.unlink()
        path.rmdir()


def _refuse_long(path: Path) -> None:
    """Refuses one in which the socket of the millionth worker could not be made: unix(7)."""
    size = len(os.fsencode(path))
    if size > LONGEST:
        raise InstanceError(
            f"the path of the run directory {path} is too long for the sockets in it: "
            f"{size} bytes, {LONGEST} at most",
            "set evener.run or --run to a shorter one",
        )


def _make(path: Path) -> None:
    try:
        path.mkdir(mode=0o755 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        facts = os.lstat(path)
    except OSError as error:
        raise InstanceError(
            f"cannot make the run directory {path}: {error.strerror}",
            "set evener.run or --run to a directory this user may write",
        ) from error
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
        raise InstanceError(f"the run directory {path} is not a directory of this user")
    if facts.st_mode & 0o022:
        raise InstanceError(
            f"the run directory {path} can be written by others", f"chmod go-w {path}"
        )


def _whose(path: Path) -> str:
    identity = identity_of(path)
    if identity is None:
        return ""
    return f" (pid {identity.pid}, {identity.config or 'quick'})"
