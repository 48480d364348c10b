"""The run directory: whose it is, what is in it, and where it may be."""

import fcntl
import os
from pathlib import Path

import pytest

from evener.config.schema.evener import LONGEST_RUN
from evener.control import finding, instance
from evener.control.errors import InstanceError
from evener.control.instance import Identity, RunDirectory

from .instances import Living, start


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
    monkeypatch.setattr(instance, "candidates", lambda: [path])
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
    assert (tmp_path / "file").read_text() == "mine" and finding.alive(tmp_path / "one")
    for _ in range(2):
        second.listen_admin(None, None).close()
    second.release()


def test_one_that_could_not_open_its_admin_socket_leaves_what_is_there(
    tmp_path: Path, living: Living
) -> None:
    first = start(tmp_path / "one", "", living, admin=str(tmp_path / "sock"))
    second = RunDirectory.take(tmp_path / "two")
    with pytest.raises(InstanceError):
        second.listen_admin(str(tmp_path / "sock"), None)
    second.release()
    assert finding.alive(first.path)


def test_a_temporary_one_that_somebody_has_for_good_is_an_error(
    places: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance, "SWEEPING", 0.02)
    path = places[0].with_name("evener-quick-7")
    first = RunDirectory.take(path, temporary=True)
    with pytest.raises(InstanceError, match="already running"):
        RunDirectory.take(path, temporary=True)
    first.release()


def test_one_too_long_for_the_sockets_of_later_workers_is_refused(tmp_path: Path) -> None:
    room = 107 - len(os.fsencode(tmp_path / "worker-1000000.sock"))
    RunDirectory.take(tmp_path / ("x" * (room - 1))).release()
    with pytest.raises(InstanceError, match="too long for the sockets in it: 88 bytes, 87 at most"):
        RunDirectory.take(tmp_path / ("x" * room))
    assert instance.LONGEST == LONGEST_RUN


def test_a_lock_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to("nowhere")
    tmp_path.chmod(0o700)
    with pytest.raises(InstanceError, match="cannot use the run directory"):
        RunDirectory.take(tmp_path)


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
