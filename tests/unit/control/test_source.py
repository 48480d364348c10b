"""A configuration as the supervisor takes it: what is wrong between its parts has its place."""

from pathlib import Path

import pytest

from evener.control.errors import ConfigRefusedError
from evener.control.source import FileSource


def lines(tmp_path: Path, text: str) -> tuple[str, ...]:
    """What keeps this file from being compiled."""
    file = tmp_path / "evener.yaml"
    file.write_text(text + "pools: {app: ['10.0.0.1:80']}\n")
    try:
        FileSource(str(file)).load().compile({})
    except ConfigRefusedError as error:
        return error.lines
    return ()


@pytest.mark.parametrize(
    ("metrics", "listens"),
    [
        ("127.0.0.1:9901", "127.0.0.1:9901"),
        (":9901", "127.0.0.1:9901"),
        ("127.0.0.1:9901", "0.0.0.0:9901"),
    ],
)
def test_metrics_on_an_address_of_a_listener_are_an_error_that_names_both(
    tmp_path: Path, metrics: str, listens: str
) -> None:
    text = f"evener: {{metrics: {{bind: '{metrics}'}}}}\n"
    text += f"listeners: {{web: {{bind: '{listens}', pool: app}}}}\n"
    (line,) = lines(tmp_path, text)
    assert line.startswith(f"{tmp_path}/evener.yaml:1:") and "evener.metrics.bind" in line
    assert "listeners.web.bind[0]" in line


def test_an_admin_socket_at_a_listeners_path_is_an_error_that_names_both(tmp_path: Path) -> None:
    text = "evener: {admin: {bind: 'unix:/run/one.sock'}}\n"
    text += "listeners: {web: {bind: 'unix:/run/one.sock', pool: app}}\n"
    (line,) = lines(tmp_path, text)
    assert "evener.admin.bind" in line and "listeners.web.bind[0]" in line


def test_what_does_not_overlap_stands_side_by_side(tmp_path: Path) -> None:
    text = "evener: {metrics: {bind: '127.0.0.1:9901'}, admin: {bind: 'unix:/run/one.sock'}}\n"
    binds = "['127.0.0.2:9901', '[::]:9901', ':80', '127.0.0.1:80', 'unix:/run/two.sock']"
    text += f"listeners: {{web: {{bind: {binds}, pool: app}}}}\n"
    assert lines(tmp_path, text) == ()
    assert lines(tmp_path, "listeners: {web: {bind: ':80', pool: app}}\n") == ()
