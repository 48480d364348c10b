"""People's words, kept over restarts."""

from pathlib import Path
from typing import Any

import pytest

from evener.control.errors import ControlError
from evener.control.words import Words, directory_of

from .scene import server


def plan(*servers: dict[str, Any]) -> dict[str, Any]:
    return {"pools": [{"name": "app", "servers": list(servers)}]}


def admin_of(plan: dict[str, Any]) -> list[str]:
    return [each["admin"] for each in plan["pools"][0]["servers"]]


def test_a_word_is_in_the_next_plan_and_outlives_a_restart(tmp_path: Path) -> None:
    file = plan(server("a"), server("b"))
    Words(tmp_path).speak("app", "b", "drain", file)
    assert admin_of(Words(tmp_path).apply(file)) == ["ready", "drain"]
    assert admin_of(file) == ["ready", "ready"]


def test_a_word_stands_while_the_file_says_what_it_said(tmp_path: Path) -> None:
    words = Words(tmp_path)
    words.speak("app", "a", "drain", plan(server("a")))
    other = plan(server("a"), server("new"))
    words.settle(other)
    assert admin_of(words.apply(other)) == ["drain", "ready"]


def test_a_file_that_changes_that_value_takes_the_word_back(tmp_path: Path) -> None:
    words = Words(tmp_path)
    words.speak("app", "a", "drain", plan(server("a")))
    maint = plan(server("a", "maint"))
    assert admin_of(words.apply(maint)) == ["maint"]
    words.settle(maint)
    assert admin_of(Words(tmp_path).apply(plan(server("a")))) == ["ready"]


def test_a_word_that_says_what_the_file_says_is_none(tmp_path: Path) -> None:
    words = Words(tmp_path)
    words.speak("app", "a", "drain", plan(server("a")))
    words.speak("app", "a", "ready", plan(server("a")))
    assert len(words) == 0


def test_a_removed_server_takes_its_word_along(tmp_path: Path) -> None:
    words = Words(tmp_path)
    words.speak("app", "a", "drain", plan(server("a"), server("b")))
    words.settle(plan(server("b")))
    assert len(words) == 0


def test_an_address_of_a_name_may_be_gone_for_a_while(tmp_path: Path) -> None:
    words = Words(tmp_path)
    both = plan(server("web:80@10.0.0.1:80"), server("web:80@10.0.0.2:80"))
    words.speak("app", "web:80@10.0.0.1:80", "drain", both)
    words.settle(plan(server("web:80@10.0.0.2:80")))
    assert admin_of(words.apply(both)) == ["drain", "ready"]


def test_a_word_about_an_unknown_server_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="no server app/c"):
        Words(tmp_path).speak("app", "c", "drain", plan(server("a")))


def test_a_file_that_is_broken_is_named(tmp_path: Path) -> None:
    (tmp_path / "words.json").write_text("{")
    with pytest.raises(ControlError, match=r"words\.json") as caught:
        Words(tmp_path)
    assert "mend" in caught.value.remedy


def test_a_word_that_cannot_be_kept_counts_until_the_end_and_is_kept_when_that_works(
    tmp_path: Path,
) -> None:
    words, file = Words(tmp_path), plan(server("a"))
    (tmp_path / "words.json").mkdir()
    words.speak("app", "a", "drain", file)
    assert "cannot keep this over a restart" in words.unkept and "evener.state" in words.unkept
    assert admin_of(words.apply(file)) == ["drain"]
    (tmp_path / "words.json").rmdir()
    words.settle(file)
    assert words.unkept == "" and admin_of(Words(tmp_path).apply(file)) == ["drain"]


def test_a_state_directory_that_cannot_be_made_is_seen_before_a_word_is_said(
    tmp_path: Path,
) -> None:
    (tmp_path / "taken").write_text("no directory")
    assert Words(tmp_path / "new" / "one").obstacle() == ""
    assert f"{tmp_path}/taken cannot be written" in Words(tmp_path / "taken" / "one").obstacle()
    assert "cannot be written" in Words(Path("/proc/self/state")).obstacle()


def test_words_move_to_another_directory_or_stay(tmp_path: Path) -> None:
    file, old, new = plan(server("a")), tmp_path / "old", tmp_path / "new"
    words = Words(old)
    words.speak("app", "a", "drain", file)
    (tmp_path / "taken").write_text("no directory")
    with pytest.raises(ControlError, match="taken"):
        words.move(tmp_path / "taken")
    assert admin_of(Words(old).apply(file)) == ["drain"]
    words.move(new)
    assert admin_of(Words(old).apply(file)) == ["ready"]
    assert admin_of(Words(new).apply(file)) == ["drain"]


def test_instances_have_places_of_their_own_below_one_state_directory(tmp_path: Path) -> None:
    runs = ["/run/evener", "/run-evener", "/run/evener/2", f"/{'x' * 200}/a", f"/{'x' * 200}/b"]
    places = {directory_of(tmp_path, Path(run)) for run in runs}
    assert len(places) == len(runs)
    assert all(place.parent == tmp_path / "instances" for place in places)
    assert all(len(place.name) < 60 for place in places)
    (tmp_path / "link").symlink_to("/run/evener")
    assert directory_of(tmp_path, tmp_path / "link") in places


def weights_of(plan: dict[str, Any]) -> list[int]:
    return [each["weight"] for each in plan["pools"][0]["servers"]]


def test_a_weight_is_a_word_of_its_own_beside_a_drain(tmp_path: Path) -> None:
    words = Words(tmp_path)
    file = plan(server("a"), server("b"))
    words.speak("app", "b", "drain", file)
    words.speak("app", "b", 7, file, "weight")
    dressed = Words(tmp_path).apply(file)
    assert (weights_of(dressed), admin_of(dressed)) == ([1, 7], ["ready", "drain"])
    assert weights_of(file) == [1, 1]
    words.speak("app", "b", "ready", file)
    assert (weights_of(words.apply(file)), admin_of(words.apply(file))) == ([1, 7], ["ready"] * 2)
    words.speak("app", "b", 1, file, "weight")
    assert len(words) == 0, "that is what the file says"


def test_a_file_that_changes_the_weight_takes_its_word_back_and_no_other(tmp_path: Path) -> None:
    words = Words(tmp_path)
    words.speak("app", "a", 7, plan(server("a")), "weight")
    words.speak("app", "a", "drain", plan(server("a")))
    other = plan({**server("a"), "weight": 3})
    assert weights_of(words.apply(other)) == [3]
    words.settle(other)
    assert weights_of(Words(tmp_path).apply(plan(server("a")))) == [1]
    assert admin_of(words.apply(other)) == ["drain"]


def test_a_word_that_did_not_come_true_is_taken_back(tmp_path: Path) -> None:
    words, file = Words(tmp_path), plan(server("a"))
    words.speak("app", "a", 7, file, "weight")
    before = words.said("app", "a", "weight")
    words.speak("app", "a", 9, file, "weight")
    words.take_back("app", "a", before, "weight")
    assert weights_of(Words(tmp_path).apply(file)) == [7]
    words.take_back("app", "a", None, "weight")
    assert weights_of(Words(tmp_path).apply(file)) == [1]


def test_words_of_a_version_before_are_read(tmp_path: Path) -> None:
    rows = '[{"pool": "app", "server": "a", "admin": "drain", "file": "ready"}]'
    (tmp_path / "words.json").write_text(rows)
    assert admin_of(Words(tmp_path).apply(plan(server("a")))) == ["drain"]
