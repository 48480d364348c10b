"""Listening sockets: one per shard, all or nothing, and who holds what is taken."""

import contextlib
import os
import socket
import stat
from pathlib import Path

import pytest

from evener.control.errors import BindError
from evener.control.sockets import Listening, descriptors, open_metrics

from .scene import bind


def taken() -> socket.socket:
    """A socket that listens without SO_REUSEPORT."""
    return socket.create_server(("127.0.0.1", 0))


def test_each_shard_has_a_socket_on_the_same_port() -> None:
    listening = Listening(shards=3)
    listening.adopt(listening.prepare([bind("127.0.0.1:0")]))
    (group,) = listening.groups()
    ports = {sock.getsockname()[1] for _, sock in group.sockets}
    assert len(ports) == 1 and [shard for shard, _ in group.sockets] == [0, 1, 2]
    assert listening.addresses() == {"127.0.0.1:0": f"127.0.0.1:{ports.pop()}"}
    assert len(descriptors(listening.groups())) == 3
    listening.close()


def test_a_taken_address_is_an_error_that_names_its_holder() -> None:
    with taken() as holder:
        port = holder.getsockname()[1]
        with pytest.raises(BindError) as caught:
            Listening(2).prepare([bind(f"127.0.0.1:{port}")])
    name = Path("/proc/self/comm").read_text().strip()
    assert caught.value.lines == (f"127.0.0.1:{port}: {name} (pid {os.getpid()}) listens there",)
    assert caught.value.remedy == "end what is there, or choose an address that is free"


def test_a_holder_that_shares_ports_is_found_too() -> None:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(BindError, match="listens there"):
            Listening(1).prepare([bind(f"127.0.0.1:{port}")])
        own = Listening(1)
        own.adopt(own.prepare([bind(f"127.0.0.1:{port}")], probe=False))
        own.close()


@pytest.mark.parametrize("first", ["127.0.0.1", "0.0.0.0"])
def test_an_address_of_our_own_is_no_obstacle_to_one_that_overlaps(first: str) -> None:
    second = {"127.0.0.1": "0.0.0.0", "0.0.0.0": "127.0.0.1"}[first]
    with taken() as free:
        port = free.getsockname()[1]
    listening = Listening(2)
    listening.adopt(listening.prepare([bind(f"{first}:{port}")]))
    listening.adopt(listening.prepare([bind(f"{second}:{port}"), bind("[::1]:0")]))
    assert set(listening.addresses()) >= {f"{first}:{port}", f"{second}:{port}"}
    kept = [f"{second}:{port}", "[::1]:0"]
    heirs = {f"{first}:{port}": f"{second}:{port}"} if second == "0.0.0.0" else {}
    assert listening.covered(kept) == heirs
    listening.close()


def test_somebody_else_beside_an_address_of_our_own_is_found() -> None:
    with taken() as free:
        port = free.getsockname()[1]
    listening = Listening(1)
    listening.adopt(listening.prepare([bind(f"127.0.0.1:{port}")]))
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.2", port))
        holder.listen()
        with pytest.raises(BindError, match=rf"0\.0\.0\.0:{port}: .*pid {os.getpid()}"):
            listening.prepare([bind(f"0.0.0.0:{port}")])
    listening.adopt(listening.prepare([bind(f"0.0.0.0:{port}")]))
    listening.close()


def test_metrics_on_a_unix_socket_are_an_error() -> None:
    with pytest.raises(BindError, match=r"unix:/m: expected an address with a port"):
        open_metrics("unix:/m")


def test_metrics_may_move_to_an_address_that_has_the_old_one_in_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    first = open_metrics(f"127.0.0.1:{port}")
    assert first is not None
    with first:
        with pytest.raises(BindError, match=rf"evener.metrics.bind: .* \(pid {os.getpid()}\)"):
            open_metrics(f"0.0.0.0:{port}")
        for wider in (f"0.0.0.0:{port}", f":{port}"):
            second = open_metrics(wider, first)
            assert second is not None
            second.close()


def test_all_or_nothing_and_each_failure_is_named(tmp_path: Path) -> None:
    listening = Listening(1)
    path = tmp_path / "sock"
    with taken() as holder:
        port = holder.getsockname()[1]
        with pytest.raises(BindError) as caught:
            listening.prepare(
                [
                    bind(f"unix:{path}"),
                    bind(f"127.0.0.1:{port}"),
                    bind("192.0.2.1:1"),
                    bind(f"unix:{tmp_path}/none/sock"),
                ]
            )
    assert [line.split(": ")[0] for line in caught.value.lines] == [
        f"127.0.0.1:{port}",
        "192.0.2.1:1",
        f"unix:{tmp_path}/none/sock",
    ]
    assert "no such address" in caught.value.lines[1]
    assert not path.exists() and listening.groups() == []


def test_ipv6_sockets_leave_ipv4_to_others() -> None:
    listening = Listening(1)
    listening.adopt(listening.prepare([bind("[::1]:0", optional=True)]))
    for group in listening.groups():
        for _, sock in group.sockets:
            assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    listening.close()


def test_a_unix_socket_is_one_for_all_with_its_permissions(tmp_path: Path) -> None:
    listening = Listening(shards=4)
    path = tmp_path / "sock"
    listening.adopt(listening.prepare([bind(f"unix:{path}", mode=0o600)]))
    (group,) = listening.groups()
    assert [shard for shard, _ in group.sockets] == [None]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    listening.close()
    assert not path.exists()


def test_a_stale_unix_socket_gives_way_and_a_living_one_does_not(tmp_path: Path) -> None:
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(path))
        living.listen()
        with pytest.raises(BindError, match="another process listens"):
            Listening(1).prepare([bind(f"unix:{path}")])
    listening = Listening(1)
    listening.adopt(listening.prepare([bind(f"unix:{path}")]))
    listening.close()


def test_who_listens_on_a_unix_socket_and_accepts_nobody_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "sock"
    with contextlib.ExitStack() as stack:
        hangs = stack.enter_context(socket.socket(socket.AF_UNIX))
        hangs.bind(str(path))
        hangs.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                waits = stack.enter_context(socket.socket(socket.AF_UNIX))
                waits.setblocking(False)
                waits.connect(str(path))
        with pytest.raises(BindError, match="another process listens"):
            Listening(1).prepare([bind(f"unix:{path}")])


@pytest.mark.parametrize("probe", [True, False])
def test_what_is_no_socket_is_never_removed_and_said_by_its_kind(
    tmp_path: Path, probe: bool
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "alias").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    names = ("file", "folder", "alias", "pipe")
    with pytest.raises(BindError) as caught:
        Listening(1).prepare([bind(f"unix:{tmp_path / name}") for name in names], probe=probe)
    kinds = ("file", "directory", "link", "special file")
    assert caught.value.lines == tuple(
        f"unix:{tmp_path / name}: a {kind} is there, which is left alone"
        for name, kind in zip(names, kinds, strict=True)
    )
    assert (tmp_path / "file").read_text() == "mine"


def test_an_unknown_group_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BindError, match="no group 'nobodyhasit'"):
        Listening(1).prepare([bind(f"unix:{tmp_path}/s", group="nobodyhasit")])
    assert not (tmp_path / "s").exists()


def test_what_stays_keeps_its_sockets_and_what_goes_is_closed() -> None:
    listening = Listening(1)
    first = [bind("127.0.0.1:0"), bind("127.0.0.2:0")]
    listening.adopt(listening.prepare(first))
    before = listening.addresses()
    assert listening.prepare(first) == []
    assert listening.keep_only(["127.0.0.1:0"]) == ["127.0.0.2:0"]
    assert listening.addresses() == {"127.0.0.1:0": before["127.0.0.1:0"]}
    host, port = before["127.0.0.2:0"].split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), 1)
    listening.close()


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("", ("127.0.0.1", "::1")),
        ("[::1]", ("::1",)),
        ("[::]", ("::1",)),
        ("127.0.0.1", ("127.0.0.1",)),
    ],
)
def test_metrics_are_where_a_listener_of_that_address_would_be(
    host: str, reached: tuple[str, ...]
) -> None:
    with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as free:
        port = free.getsockname()[1]
    sock = open_metrics(f"{host}:{port}")
    assert sock is not None
    with sock:
        for address in ("127.0.0.1", "::1"):
            with contextlib.closing(socket.socket(_family(address))) as client:
                assert (client.connect_ex((address, port)) == 0) == (address in reached), address


@pytest.mark.parametrize(
    ("first", "second"), [("127.0.0.1", ""), ("", "127.0.0.1"), ("", "[::]"), ("[::1]", "")]
)
def test_metrics_move_to_an_address_that_has_a_part_of_the_one_before(
    first: str, second: str
) -> None:
    with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as free:
        port = free.getsockname()[1]
    before = open_metrics(f"{first}:{port}")
    assert before is not None
    with before:
        with pytest.raises(BindError):
            open_metrics(f"{second}:{port}")  # whoever does not take over
        after = open_metrics(f"{second}:{port}", before)
        assert after is not None
        after.close()
        with pytest.raises(BindError):
            open_metrics(f"{second}:{port}")


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
