"""The run directory, and how commands find an instance."""

import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from evener.control import instance
from evener.control.errors import (
    ControlError,
    InstanceError,
    NoInstanceError,
    NotAllowedError,
    OrphanError,
)
from evener.control.instance import Identity, RunDirectory, find


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The places where instances are looked for, all of this test's own."""
    found = [tmp_path / "run" / "evener", tmp_path / "own" / "evener"]
    monkeypatch.setattr(instance, "_places", lambda: found)
    for place in found:
        place.parent.mkdir()
    return found


@pytest.fixture
def living() -> Iterator[list[tuple[RunDirectory, socket.socket]]]:
    started: list[tuple[RunDirectory, socket.socket]] = []
    yield started
    for directory, sock in started:
        sock.close()
        directory.release()


def start(
    path: Path,
    config: str,
    living: list[tuple[RunDirectory, socket.socket]],
    admin: str | None = None,
) -> RunDirectory:
    directory = RunDirectory.take(path)
    living.append((directory, directory.listen_admin(admin, None)))
    directory.write(Identity(config, "1", os.getpid(), 0, 0, str(directory.admin_socket)))
    return directory


Living = list[tuple[RunDirectory, socket.socket]]


def test_the_only_living_instance_is_taken(places: list[Path], living: Living) -> None:
    start(places[1], "/etc/a.yaml", living)
    assert find() == places[1]


def test_without_any_there_is_an_error_of_its_own(places: list[Path]) -> None:
    with pytest.raises(NoInstanceError, match="no instance is running"):
        find()
    with pytest.raises(NoInstanceError, match="no instance is running in /nowhere"):
        find(run="/nowhere")


def test_several_must_be_told_apart(places: list[Path], living: Living, tmp_path: Path) -> None:
    start(places[0], str(tmp_path / "a.yaml"), living)
    start(places[1].with_name("evener-quick-7"), "", living)
    with pytest.raises(ControlError, match=r"several.*a\.yaml.*quick") as caught:
        find()
    assert "--run" in caught.value.remedy
    assert find(config=str(tmp_path / "a.yaml")) == places[0]
    assert find(run=str(places[0])) == places[0]
    with pytest.raises(NoInstanceError, match=r"of .*b\.yaml"):
        find(config=str(tmp_path / "b.yaml"))


def test_an_admin_socket_elsewhere_is_found(
    places: list[Path], living: Living, tmp_path: Path
) -> None:
    directory = start(places[0], "", living, admin=str(tmp_path / "elsewhere.sock"))
    assert directory.admin_socket == tmp_path / "elsewhere.sock"
    assert find() == places[0]


@pytest.fixture
def barred(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """Run directories of another user: what is put in cannot be talked to."""
    found: set[Path] = set()
    reach = instance._reach

    def refuse(admin: Path) -> None:
        if admin.parent in found:
            raise PermissionError
        reach(admin)

    monkeypatch.setattr(instance, "_reach", refuse)
    return found


def test_another_users_instance_is_in_nobodys_way(
    places: list[Path], living: Living, barred: set[Path], tmp_path: Path
) -> None:
    start(places[0], str(tmp_path / "theirs.yaml"), living)
    barred.add(places[0])
    with pytest.raises(NotAllowedError, match="this user may not"):
        find()
    with pytest.raises(NotAllowedError, match="this user may not"):
        find(run=str(places[0]))
    start(places[1], str(tmp_path / "ours.yaml"), living)
    assert find() == places[1]
    with pytest.raises(NotAllowedError):
        find(config=str(tmp_path / "theirs.yaml"))
    with pytest.raises(NoInstanceError):
        find(config=str(tmp_path / "third.yaml"))


def test_what_a_dead_one_of_another_user_left_never_counts(
    places: list[Path], barred: set[Path]
) -> None:
    dead = RunDirectory.take(places[0])
    dead.listen_admin(None, None).close()
    os.close(dead._lock)  # as its end does, without what a stop clears away
    barred.add(places[0])
    with pytest.raises(NoInstanceError):
        find()
    with pytest.raises(NoInstanceError):
        find(run=str(places[0]))


def test_one_with_a_full_queue_lives(places: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(admin: Path) -> None:
        raise BlockingIOError

    monkeypatch.setattr(instance, "_reach", full)
    assert instance.alive(places[0])


def test_a_worker_without_its_supervisor_is_found(
    places: list[Path], living: Living, tmp_path: Path
) -> None:
    file = str(tmp_path / "a.yaml")
    dead = RunDirectory.take(places[0])
    dead.write(Identity(file, "1", os.getpid(), 0, 0, str(places[0] / "admin.sock")))
    with socket.socket(socket.AF_UNIX) as worker, socket.socket(socket.AF_UNIX) as stale:
        worker.bind(str(dead.worker_socket(3)))
        worker.listen()
        stale.bind(str(dead.worker_socket(2)))
        with pytest.raises(NoInstanceError) as caught:
            find()
        assert not isinstance(caught.value, OrphanError), "its supervisor is just starting"
        os.close(dead._lock)
        for named in ({}, {"run": str(places[0])}, {"config": file}):
            with pytest.raises(
                OrphanError, match=rf"dead, worker {os.getpid()} serves on"
            ) as found:
                find(**named)
            assert found.value.run == places[0] and "`evener run` takes over" in found.value.remedy
        with pytest.raises(NoInstanceError, match=r"of .*b\.yaml"):
            find(config=str(tmp_path / "b.yaml"))
        start(places[1], "", living)
        assert find() == places[1]


def test_the_lock_ends_with_its_holder(tmp_path: Path) -> None:
    first = RunDirectory.take(tmp_path / "run")
    with pytest.raises(InstanceError, match="already running"):
        RunDirectory.take(tmp_path / "run")
    first.release()
    RunDirectory.take(tmp_path / "run").release()


def test_a_temporary_one_goes_with_its_holder(places: list[Path]) -> None:
    path = places[0].with_name("evener-quick-7")
    directory = RunDirectory.take(path, temporary=True)
    directory.listen_admin(None, None).close()
    directory.write(Identity("", "1", os.getpid(), 0, 0, ""))
    for name in ("worker-1.sock", "words.json", ".words.json.7"):
        (path / name).touch()
    directory.release()
    assert not path.exists()


def test_a_sweep_removes_what_quicks_left_that_were_killed(
    places: list[Path], living: Living, tmp_path: Path
) -> None:
    left, lives, theirs, file = (
        places[0].with_name(f"evener-quick-{number}") for number in range(4)
    )
    for path in (left, theirs, places[0]):
        os.close(RunDirectory.take(path)._lock)
    (theirs / "notes").touch()
    start(lives, "", living)
    file.touch()
    link = places[1].with_name("evener-quick-8")
    link.symlink_to(tmp_path)
    instance.sweep()
    assert not left.exists()
    assert (lives / "lock").exists() and (places[0] / "lock").exists()
    assert [path.name for path in theirs.iterdir()] == ["notes"]
    assert file.exists() and link.is_symlink() and tmp_path.exists()


def test_one_that_is_swept_while_it_is_taken_is_taken_all_the_same(
    places: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = places[0].with_name("evener-quick-7")
    monkeypatch.setattr(instance, "_candidates", lambda: [path])
    flock = fcntl.flock
    swept: list[int] = []

    def sweep_first(lock: int, how: int) -> None:
        if not swept:
            swept.append(lock)
            instance.sweep()
        flock(lock, how)

    monkeypatch.setattr(fcntl, "flock", sweep_first)
    directory = RunDirectory.take(path, temporary=True)
    assert (path / "lock").exists()
    directory.release()
    assert not path.exists() and swept


def test_an_admin_socket_takes_the_place_of_nothing_that_lives(
    tmp_path: Path, living: Living
) -> None:
    first = start(tmp_path / "one", "", living, admin=str(tmp_path / "sock"))
    (tmp_path / "file").write_text("mine")
    second = RunDirectory.take(tmp_path / "two")
    for taken in (first.admin_socket, tmp_path / "file"):
        with pytest.raises(InstanceError, match=r"cannot open .*: Address already in use"):
            second.listen_admin(str(taken), None)
    assert (tmp_path / "file").read_text() == "mine" and instance.alive(tmp_path / "one")
    second.admin_socket = tmp_path / "two" / "admin.sock"
    for _ in range(2):
        second.listen_admin(None, None).close()
    second.release()


def test_only_our_user_may_use_the_socket(tmp_path: Path) -> None:
    directory = RunDirectory.take(tmp_path / "run")
    with directory.listen_admin(None, None):
        assert directory.admin_socket.stat().st_mode & 0o777 == 0o600
    directory.release()


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_directory_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "run"
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(InstanceError, match="can be written by others"):
        RunDirectory.take(path)


def test_a_link_is_no_run_directory(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "run").symlink_to(tmp_path / "real")
    with pytest.raises(InstanceError, match="not a directory of this user"):
        RunDirectory.take(tmp_path / "run")


def test_places_follow_who_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert instance.default_run() == Path("/run/user/1000/evener")
    assert instance.quick_run() == Path(f"/run/user/1000/evener-quick-{os.getpid()}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert instance.default_run() == Path("/run/evener")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/other:/run/second")
    assert instance.default_run() == Path("/run/other")
