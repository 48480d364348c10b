"""The table is whole: the page follows it, its tests exist, and each rule has an edit."""

import pytest

from tests.acceptance.names import exists
from tests.acceptance.page import proof
from tests.conformance.http1 import page
from tests.conformance.http1.table import rules, unescaped
from tests.mutants.edits import mutants

#: Rules of which nothing is broken on purpose yet.
UNEDITED = {"edits", "identity-connections"}


def test_the_page_is_what_the_table_says() -> None:
    assert page.PAGE.read_text() == page.page()


def test_tests_that_rules_name_exist() -> None:
    assert [rule.id for rule in rules() if not rule.test] == []
    assert [rule.id for rule in rules() if not exists(proof(rule.test))] == []


def test_every_rule_says_what_we_do() -> None:
    assert [rule.id for rule in rules() if not rule.answer] == []


def test_every_rule_has_an_edit() -> None:
    edited = {mutant.clause for mutant in mutants()}
    assert {rule.id for rule in rules() if f"http.{rule.id}" not in edited} == UNEDITED


def test_bytes_are_unescaped() -> None:
    assert unescaped(r"a\r\n\t\0\\\xfF|") == b"a\r\n\t\0\\\xff|"
    assert unescaped("ä") == "ä".encode()
    with pytest.raises(KeyError):
        unescaped(r"\q")


def test_a_key_that_is_not_known_is_an_error() -> None:
    with pytest.raises(TypeError):
        rules('[[rule]]\nid = "a"\npart = "b"\nside = "c"\nwhat = "d"\nrfc = "e"\nodd = 1\n')
