"""How commands find an instance, or what is left of one."""

import os
import socket
from pathlib import Path

import pytest

from evener.control import finding, instance
from evener.control.errors import ControlError, NoInstanceError, NotAllowedError, OrphanError
from evener.control.finding import find
from evener.control.instance import Identity, RunDirectory

from .instances import Living, start


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
    reach = instance.knock

    def refuse(admin: Path) -> None:
        if admin.parent in found:
            raise PermissionError
        reach(admin)

    monkeypatch.setattr(instance, "knock", refuse)
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

    monkeypatch.setattr(instance, "knock", full)
    assert finding.alive(places[0])


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
