"""The client that checks under load sees every kind of wrong answer, and no right one as wrong."""

from collections.abc import Callable

import pytest

from tests.e2e.rig.checking import CheckingClient
from tests.e2e.rig.origin import Origin, Talk
from tests.e2e.rig.waiting import eventually


def right(talk: Talk) -> None:
    while True:
        talk.answer(f"one {talk.request().target}".encode())


def another_body(talk: Talk) -> None:
    while True:
        talk.answer(f"one {talk.request().target}x".encode())


def another_status(talk: Talk) -> None:
    while True:
        talk.answer(f"one {talk.request().target}".encode(), status="503 Busy")


def another_order(talk: Talk) -> None:
    while True:
        asked = [talk.request().target for _ in range(2)]
        for target in reversed(asked):
            talk.answer(f"one {target}".encode())


def half_an_answer(talk: Talk) -> None:
    target = talk.request().target
    talk.answer(f"one {target}"[:-1].encode(), fields=["Content-Length: 100"], length=False)


def test_right_answers_are_counted_and_nothing_else() -> None:
    origin = Origin(right)
    with CheckingClient(origin.address, connections=2, pipeline=2) as client:
        eventually(lambda: client.account.answered > 20, what="answers")
        account = client.stop()
    origin.close()
    assert not account.anomalies
    assert account.servers == {"one": account.answered}


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [
        (another_body, "wrong body"),
        (another_status, "status 503"),
        (another_order, "wrong body"),
        (half_an_answer, "IncompleteReadError"),
    ],
)
def test_a_wrong_answer_is_counted_by_its_cause(
    behaviour: Callable[[Talk], None], cause: str
) -> None:
    origin = Origin(behaviour)
    with CheckingClient(origin.address, connections=1, pipeline=2) as client:
        eventually(lambda: client.account.anomalies[cause] > 0, what=cause)
        account = client.stop()
    origin.close()
    assert account.anomalies.keys() == {cause}
    assert account.answered == 0


def test_a_refused_connection_is_counted() -> None:
    origin = Origin(right)
    origin.refuse()
    with CheckingClient(origin.address, connections=1) as client:
        eventually(lambda: client.account.anomalies["refused"] > 0, what="a refusal")
    origin.close()
