"""`evener check`: what a start or a reload would refuse, told before, and told as they tell it."""

import errno
import os
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner, Result

import evener
from evener import dataplane
from evener.cli.start import check, quick, run
from evener.control.errors import ConfigRefusedError
from evener.control.surroundings import SurveyedFile

LISTENER = "listeners: {web: {bind: 'unix:/tmp/e', pool: app}}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "evener.yaml"


def checked(file: Path, text: str) -> Result:
    file.write_text(text)
    return CliRunner().invoke(check, [str(file)])


def refused(file: Path, text: str) -> str:
    """What `check` says of a text that is wrong, without the file's directory."""
    done = checked(file, text)
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    return done.stderr.replace(f"{file.parent}/", "")


def test_what_is_right_is_ok_and_counted(file: Path) -> None:
    done = checked(file, LISTENER + "pools: {app: [10.0.0.1]}\n")
    assert (done.exit_code, done.stdout) == (0, "ok: 1 listener, 1 pool, 1 server\n")


def test_all_that_this_machine_lacks_is_told_with_its_place(file: Path) -> None:
    said = refused(
        file,
        "evener:\n"
        "  log: {to: /nowhere/a.log, access: {to: /tmp}}\n"
        "  admin: {bind: 'unix:/nowhere/admin.sock'}\n"
        "listeners:\n"
        "  a: {bind: {address: 'unix:/nowhere/a', group: nobodys}, redirect: https}\n"
        f"  b: {{bind: [':80', 'unix:{file}'], redirect: https}}\n",
    )
    places = [line.strip() for line in said.splitlines() if "  at " in line]
    assert places == [
        "at evener.yaml:2:13, evener.log.to",
        "at evener.yaml:2:42, evener.log.access.to",
        "at evener.yaml:3:17, evener.admin.bind",
        "at evener.yaml:5:23, listeners.a.bind[0].address",
        "at evener.yaml:5:49, listeners.a.bind[0].group",
        "at evener.yaml:6:21, listeners.b.bind[1].address",
    ]
    for code in (errno.ENOENT, errno.EISDIR, errno.EEXIST):
        assert os.strerror(code) in said
    assert "found `nobodys`, expected a group of this machine" in said


def test_nothing_is_made_by_looking(file: Path) -> None:
    logs = "evener: {log: {to: %s, access: {to: %s}}}\n"
    log, access = file.parent / "a.log", file.parent / "b.log"
    assert checked(file, logs % (log, access) + LISTENER + "pools: {app: h}").exit_code == 0
    assert [*file.parent.iterdir()] == [file]


def test_a_reload_is_told_the_same_before_anything_is_changed(file: Path) -> None:
    file.write_text("evener: {log: {to: /nowhere/a.log}}\n" + LISTENER + "pools: {app: h}\n")
    with pytest.raises(ConfigRefusedError) as caught:
        SurveyedFile(str(file)).load()
    assert str(caught.value) == (
        f"{file}:1:20: evener.log.to: found `/nowhere/a.log`, which can't be written: "
        "No such file or directory, expected a file that can be, `stdout` or `stderr`"
    )


@pytest.mark.parametrize(
    ("keys", "place", "words"),
    [
        ("{cert: a.pem, key: b.key}", "1:56", "the key belongs to another certificate"),
        ("{cert: none.pem}", "1:56", "none.pem`, which can't be read"),
        ("{cert: a.pem}", "1:56", "no private key in"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_told(
    file: Path, keys: str, place: str, words: str
) -> None:
    here = file.parent
    for name in ("a", "b"):
        issued = trustme.CA().issue_cert(f"{name}.example")
        issued.cert_chain_pems[0].write_to_path(str(here / f"{name}.pem"))
        issued.private_key_pem.write_to_path(str(here / f"{name}.key"))
    keys = keys.replace(": ", f": {here}/")
    said = refused(file, f"listeners: {{web: {{bind: ':443', redirect: https, tls: [{keys}]}}}}\n")
    assert words in said and f"at evener.yaml:{place}, listeners.web.tls" in said


def test_what_only_the_engine_knows_is_told_where_the_thing_stands(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["pool app: a rule: nobody knows", "an odd thing"]
    monkeypatch.setattr(dataplane, "plan_refusals", lambda *_: words)
    said = refused(file, LISTENER + "pools:\n  app: [10.0.0.1]\n")
    assert "what it refuses: a rule: nobody knows" in said
    assert "at evener.yaml:3:8, pools.app" in said and "an odd thing" in said


def test_the_engine_itself_is_asked(file: Path) -> None:
    """A glob is text to the configuration; the engine makes a regular expression of it."""
    route = f"{{path: {{glob: '/{'?' * 200_000}'}}, respond: 200}}"
    said = refused(file, f"listeners: {{web: {{bind: ':80', routes: [{route}]}}}}")
    assert "size limit" in said and "at evener.yaml:1:18, listeners.web" in said


def test_quick_says_what_was_typed(file: Path) -> None:
    done = CliRunner().invoke(quick, [":80x", "10.0.0.1", "10.0.0.1", "http://h:1"])
    assert done.exit_code == 2 and "(Python)" not in done.stderr
    line = "evener quick :80x 10.0.0.1 10.0.0.1 http://h:1"
    places = [each.strip() for each in done.stderr.splitlines() if "  at " in each]
    assert places == [f"at {line}, BIND", f"at {line}, SERVER 2", f"at {line}, SERVER 3"]


def test_run_in_python_takes_the_path_of_a_file(file: Path) -> None:
    file.write_text("evener: {log: {to: /nowhere/a.log}}\n" + LISTENER + "pools: {app: h}\n")
    for path in (str(file), file):
        with pytest.raises(ConfigRefusedError, match=f"{file}:1:20: evener.log.to"):
            evener.run(path)


def test_check_and_run_end_alike(file: Path) -> None:
    wrong = (
        "listeners: {a: {bind: ':80', pool: app}, b: {bind: ':80', pool: ap}}\n",
        "evener: {log: {to: /nowhere/a.log}}\nlisteners: {a: {bind: ':80', redirect: https}}\n",
        "listeners: {a: {bind: ':80', redirect: https, tls: /nowhere/a.pem}}\n",
    )
    for text in wrong:
        said = refused(file, text + "pools: {app: h}\n")
        done = CliRunner().invoke(run, ["--run", str(file.parent / "run"), str(file)])
        assert done.exit_code == 2
        assert done.stderr.replace(f"{file.parent}/", "") == said
