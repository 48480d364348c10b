"""Pieces: `include`, what it merges and what it refuses; and files that can't be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from evener.config import Config, ConfigError

LISTENS = "\nlisteners: {web: {bind: ':80', redirect: https}}\n"


def write(folder: Path, **texts: str) -> Path:
    """Writes NAME.yaml for each name; the path of main.yaml."""
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / "main.yaml"


def errors(path: Path) -> list[str]:
    problems = Config.load(path, env={}).problems()
    return [str(each).replace(f"{path.parent}/", "") for each in problems]


@pytest.mark.leaf("include")
def test_pieces_join_in_sorted_order_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    write(tmp_path / "conf.d", b="pools: {b: 10.0.0.2}", a="pools: {a: 10.0.0.1}")
    main = write(tmp_path, main=f"include: conf.d/*.yaml\npools: {{main: 10.0.0.3}}{LISTENS}")
    assert [*Config.load(main).settings.pools] == ["main", "a", "b"]


def test_a_piece_may_include_others_and_one_pattern_may_be_many(tmp_path: Path) -> None:
    write(tmp_path / "sub", a="include: b.yaml", b="listeners: {b: {bind: ':80'}}")
    main = write(tmp_path, c="pools: {c: 10.0.0.1}", main="include: [sub/a.yaml, c.yaml]")
    settings = Config.load(main).settings
    assert ([*settings.listeners], [*settings.pools]) == (["b"], ["c"])


def test_hidden_files_are_left_to_their_editors(tmp_path: Path) -> None:
    write(tmp_path / "conf.d", a="pools: {a: 10.0.0.1}")
    (tmp_path / "conf.d" / ".a.yaml").write_text("not: [yaml")
    assert errors(write(tmp_path, main=f"include: conf.d/*.yaml{LISTENS}")) == []


def test_defaults_hold_for_pieces_too(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main=f"include: a.yaml\ndefaults: {{pool: {{initial: down}}}}{LISTENS}",
        a="pools: {a: 10.0.0.1}",
    )
    assert Config.load(main).settings.pools["a"].initial == "down"


def test_the_same_name_twice_is_an_error_that_names_both_places(tmp_path: Path) -> None:
    main = write(tmp_path, main=f"include: a.yaml\npools: {{a: h}}{LISTENS}", a="pools:\n  a: g\n")
    assert errors(main) == [
        "a.yaml:2:3: pools.a: found the name `a` twice, expected each name once "
        "(it stands first at main.yaml:2:9)"
    ]


def test_only_named_maps_stand_in_a_piece(tmp_path: Path) -> None:
    main = write(tmp_path, main=f"include: a.yaml{LISTENS}", a="evener: {shards: 1}")
    assert errors(main) == [
        "a.yaml:1:1: evener: found `evener` in a piece, expected only `listeners` and `pools` "
        "(`evener` stands in the file that includes the others)"
    ]


def test_a_file_that_is_named_must_exist_and_a_pattern_may_match_nothing(tmp_path: Path) -> None:
    main = write(tmp_path, main=f"include: [nothing.yaml, nothing.d/*.yaml]{LISTENS}")
    assert errors(main) == [
        "main.yaml:1:11: include: found `nothing.yaml`, expected a file that exists"
    ]


def test_a_pattern_that_matches_nothing_is_warned_of(tmp_path: Path) -> None:
    config = Config.load(write(tmp_path, main=f"include: [conf.d/*.yaml]{LISTENS}"))
    assert config.warnings() == (
        f"{tmp_path}/main.yaml:1:11: include: `conf.d/*.yaml` matches no file",
    )


@pytest.mark.parametrize("pattern", ["/", "//", ".", "a**", "**a/*.yaml"])
def test_what_is_no_pattern_is_told_where_it_stands(tmp_path: Path, pattern: str) -> None:
    assert errors(write(tmp_path, main=f"include: '{pattern}'{LISTENS}")) == [
        f"main.yaml:1:10: include: found `{pattern}`, expected a path such as conf.d/*.yaml"
    ]


def test_a_circle_is_an_error(tmp_path: Path) -> None:
    main = write(tmp_path, main=f"include: a.yaml{LISTENS}", a="include: main.yaml")
    (only,) = errors(main)
    assert only.startswith("a.yaml:1:10: include: found `")
    assert only.endswith("main.yaml`, which includes this file, expected other files")


def test_a_link_to_itself_is_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("a.yaml")
    with pytest.raises(ConfigError, match="Too many levels of symbolic links"):
        Config.load(write(tmp_path, main=f"include: '*.yaml'{LISTENS}"))


def test_errors_name_the_file_they_stand_in(tmp_path: Path) -> None:
    main = write(
        tmp_path, main=f"include: a.yaml{LISTENS}", a="pools:\n  a: {servers: h, initial: x}\n"
    )
    assert errors(main) == ["a.yaml:2:28: pools.a.initial: found `x`, expected up or down"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ": found a file that can't be read: No such file or directory, expected a"),
        (b"a: \xff", ":1:4: found a byte that is not UTF-8, expected UTF-8 text"),
        (
            "b: é\r\n# caf".encode() + b"\xe9\n",
            ":2:6: found a byte that is not UTF-8, expected UTF-8 text",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_told(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "main.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        Config.load(path)
    assert str(caught.value).startswith(f"{path}{words}")


@pytest.mark.parametrize("text", ["", "# listeners: {}\n", "\n\n"])
def test_a_file_with_nothing_in_it_is_an_error(tmp_path: Path, text: str) -> None:
    alone, piece = write(tmp_path, main=text), tmp_path / "piece.yaml"
    with pytest.raises(ConfigError) as caught:
        Config.load(alone)
    assert str(caught.value).startswith(f"{alone}:1:1: found nothing, expected a configuration (")
    piece.write_text(text)
    with pytest.raises(ConfigError, match=f"{piece}:1:1: found nothing"):
        Config.load(write(tmp_path, main=f"include: piece.yaml{LISTENS}"))


@pytest.mark.parametrize(
    ("text", "place"),
    [("pools: {app: h}", "1:1"), ("pools: {}\nlisteners: {}", "2:12"), ("{}", "1:1")],
)
def test_a_file_that_listens_nowhere_is_an_error(tmp_path: Path, text: str, place: str) -> None:
    assert errors(write(tmp_path, main=text)) == [
        f"main.yaml:{place}: listeners: found no listener, expected at least one "
        '(for example `listeners: {web: {bind: ":80", pool: app}}`)'
    ]


def test_listeners_may_all_stand_in_pieces(tmp_path: Path) -> None:
    assert errors(write(tmp_path, main="include: a.yaml", a=LISTENS)) == []
