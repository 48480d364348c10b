"""Listening sockets: made here, kept for as long as their address is listened on.

Rules kept here (PROCESS.md, "Listening sockets"):
- One socket per shard and TCP address (SO_REUSEPORT), one per unix path, polled by all shards.
- SO_REUSEPORT lets any process of the same user join unseen, so a socket without it is bound
  first: an address that somebody holds is an error that names the holder. Beside an address of our
  own (`:80` beside `127.0.0.1:80`) that fails; there the kernel's tables tell who else listens.
- The kernel gives a connection to the narrower of two addresses for as long as that is open.
- All or nothing: either every new address is open, or none, and each failure is named.
Not known here: who accepts.
"""

import contextlib
import errno
import grp
import os
import socket
import stat
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from evener.compile import Socket
from evener.control.errors import BindError
from evener.control.holder import holder_of, stranger

#: What listen(2) is asked for; the kernel cuts it to net.core.somaxconn.
BACKLOG = 65535
#: What to do about an address that is taken.
FREE_IT = "end what is there, or choose an address that is free"


@dataclass
class Group:
    """The sockets of one address, with the shard of each; None is all shards."""

    bind: Socket
    bound: str
    sockets: list[tuple[int | None, socket.socket]] = field(default_factory=list)
    inode: int = 0

    def inodes(self) -> set[str]:
        """What the kernel's tables call its sockets."""
        return {str(os.fstat(sock.fileno()).st_ino) for _, sock in self.sockets}

    def close(self) -> None:
        """Stops listening, as far as this process is concerned."""
        for _, sock in self.sockets:
            sock.close()
        self.sockets.clear()


class Listening:
    """All the groups that are open."""

    def __init__(self, shards: int) -> None:
        self._shards = shards
        self._groups: dict[str, Group] = {}

    def prepare(self, binds: Iterable[Socket], *, probe: bool = True) -> list[Group]:
        """Opens the addresses that are not open yet; they are not listed before `adopt`.

        Args:
            probe: Whether an address that another process of this user listens on is refused.

        Raises:
            BindError: at least one cannot be opened; none stays open.
        """
        made: list[Group] = []
        failed: list[str] = []
        remedy = ""
        own = set(self._groups)
        covers = {cover_of(address) for address in own}

        def ours() -> set[str]:
            return {inode for group in [*self.groups(), *made] for inode in group.inodes()}

        for bind in binds:
            if bind.address in self._groups:
                continue
            beside = cover_of(bind.address) in own or bind.address in covers
            try:
                made.append(_open(bind, self._shards, _Look(probe, beside, ours)))
            except _NoSuchFamilyError:
                continue
            except OSError as error:
                failed.append(_why(bind.address, error, ours()))
                remedy = FREE_IT if error.errno == errno.EADDRINUSE else remedy
            else:
                own.add(bind.address)
                covers.add(cover_of(bind.address))
        if failed:
            discard(made)
            raise BindError(failed, remedy)
        return made

    def adopt(self, made: Iterable[Group]) -> None:
        """Lists groups that `prepare` has made."""
        self._groups.update({group.bind.address: group for group in made})

    def keep_only(self, addresses: Iterable[str]) -> list[str]:
        """Closes what is not among `addresses`; returns what was closed."""
        gone = sorted(set(self._groups) - set(addresses))
        for address in gone:
            _discard(self._groups.pop(address))
        return gone

    def covered(self, addresses: Iterable[str]) -> dict[str, str]:
        """Open addresses that are not among these, each with the one of these that takes over."""
        kept = set(addresses)
        heirs = {gone: cover_of(gone) for gone in self._groups if gone not in kept}
        return {gone: heir for gone, heir in heirs.items() if heir is not None and heir in kept}

    def close(self) -> None:
        """Closes all; unix sockets' paths go too."""
        self.keep_only(())

    def addresses(self) -> dict[str, str]:
        """Address in the plan → address it is really bound to (they differ for port 0)."""
        return {address: group.bound for address, group in self._groups.items()}

    def groups(self) -> list[Group]:
        """The open groups."""
        return list(self._groups.values())


def discard(groups: Iterable[Group]) -> None:
    """Closes groups that came to nothing, and removes the paths of unix sockets."""
    for group in groups:
        _discard(group)


class _NoSuchFamilyError(Exception):
    pass


class _Look(NamedTuple):
    """How it is found out that nobody else has an address.

    Attributes:
        asked: Whether it is to be found out.
        beside: Whether an address of our own overlaps with it.
        ours: Tells what the kernel's tables call our sockets.
    """

    asked: bool
    beside: bool
    ours: Callable[[], set[str]]


def _discard(group: Group) -> None:
    group.close()
    path = _unix_path(group.bind.address)
    if path is not None:
        with contextlib.suppress(OSError):
            if path.stat().st_ino == group.inode:
                path.unlink()


def _open(bind: Socket, shards: int, look: _Look) -> Group:
    path = _unix_path(bind.address)
    return _open_tcp(bind, shards, look) if path is None else _open_unix(bind, path, look.asked)


def _open_tcp(bind: Socket, shards: int, look: _Look) -> Group:
    host, port = split(bind.address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    probe = look.asked and not look.beside
    if port and probe:
        _probe(bind, family, host, port)
    elif port and look.asked and stranger(family, host, port, look.ours()):
        raise OSError(errno.EADDRINUSE, "another process listens there")
    group = Group(bind, "")
    try:
        for shard in range(shards):
            sock = _tcp(bind, family)
            group.sockets.append((shard, sock))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind((host, port))
            port = sock.getsockname()[1]
        for _, sock in group.sockets:
            sock.listen(BACKLOG)
    except OSError:
        group.close()
        raise
    group.bound = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return group


def _probe(bind: Socket, family: int, host: str, port: int) -> None:
    with _tcp(bind, family) as probe:
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL and bind.optional:
                raise _NoSuchFamilyError from error
            raise


def _tcp(bind: Socket, family: int) -> socket.socket:
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT and bind.optional:
            raise _NoSuchFamilyError from error
        raise
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


def _open_unix(bind: Socket, path: Path, probe: bool) -> Group:
    if probe:
        _clear_stale(path)
    elif path.is_socket():
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    before = os.umask(0o777)  # nobody gets in before owner and mode are as asked
    try:
        sock.bind(str(path))
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(before)
    group = Group(bind, bind.address, [(None, sock)], path.stat().st_ino)
    try:
        if bind.group is not None:
            os.chown(path, -1, _gid(bind.group))
        path.chmod(bind.mode)
        sock.listen(BACKLOG)
    except OSError:
        _discard(group)
        raise
    return group


def _clear_stale(path: Path) -> None:
    """Removes a socket that nobody listens on any more; anything else is left, and fails."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # one that hangs has no place in its queue
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        except OSError:
            return


def _gid(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise OSError(errno.EINVAL, f"there is no group {group!r}") from None


def _why(address: str, error: OSError, ours: Container[str] = ()) -> str:
    path = _unix_path(address)
    if error.errno == errno.EADDRINUSE:
        if path is not None:
            return f"{address}: {_what_is_at(path)}"
        host, port = split(address)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        holder = holder_of(family, host, port, ours)
        return f"{address}: {holder or 'another process'} listens there"
    if error.errno == errno.EACCES and path is None:
        return f"{address}: ports below 1024 need root or CAP_NET_BIND_SERVICE"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address}: this machine has no such address"
    return f"{address}: {error.strerror}"


def split(address: str) -> tuple[str, int]:
    """Host and port of `192.0.2.1:80` or `[::1]:80`."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _what_is_at(path: Path) -> str:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return "something is there"  # it was when the socket was bound
    if stat.S_ISSOCK(mode):
        return "another process listens there"
    kinds = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "directory"), (stat.S_ISLNK, "link"))
    kind = next((word for is_it, word in kinds if is_it(mode)), "special file")
    return f"a {kind} is there, which is left alone"


def cover_of(address: str) -> str | None:
    """The address that stands for every one of the machine, this one included (`0.0.0.0:80`).

    `None` for one that does so itself, for a unix socket, and where the kernel chooses the port.
    """
    if address.startswith("unix:"):
        return None
    host, port = split(address)
    cover = f"[::]:{port}" if ":" in host else f"0.0.0.0:{port}"
    return cover if port and cover != address else None


def _unix_path(address: str) -> Path | None:
    return Path(address.removeprefix("unix:")) if address.startswith("unix:") else None


def descriptors(groups: Sequence[Group]) -> list[tuple[str, int | None, int]]:
    """Address, shard and descriptor of each socket, in a fixed order."""
    return [
        (group.bind.address, shard, sock.fileno())
        for group in groups
        for shard, sock in group.sockets
    ]


def open_metrics(address: str | None, before: socket.socket | None = None) -> socket.socket | None:
    """The listening socket of the Prometheus page.

    Args:
        address: Where it listens.
        before: The one that it takes over from, which may have a part of the same address.

    Raises:
        BindError: it cannot be opened.
    """
    if address is None:
        return None
    if address.startswith("unix:"):
        why = "expected an address with a port; the admin socket has the page already"
        raise BindError([f"evener.metrics.bind: {address}: {why}"])
    host, port = split(address)
    # `:9901` is every address of both families: of a listener two sockets, here one is enough.
    every = not host and socket.has_dualstack_ipv6()
    host = host or ("::" if every else "0.0.0.0")
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not every)
        with _shared(sock, before):
            sock.bind((host, port))
            sock.listen(128)  # asks for the address once more
    except OSError as error:
        sock.close()
        ours = set() if before is None else {str(os.fstat(before.fileno()).st_ino)}
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        remedy = FREE_IT if error.errno == errno.EADDRINUSE else ""
        raise BindError([f"evener.metrics.bind: {_why(where, error, ours)}"], remedy) from error
    return sock


@contextlib.contextmanager
def _shared(*sockets: socket.socket | None) -> Iterator[None]:
    """Lets these, and others only meanwhile, have one address."""
    ours = [sock for sock in sockets if sock is not None]
    try:
        for sock in ours:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, len(ours) > 1)
        yield
    finally:
        for sock in ours:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
