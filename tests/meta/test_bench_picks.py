"""The bench reads what a pick costs, and holds each scheduler to its own bound."""

from bench.picks import read, table

TEXT = """ns per pick with its report and its lease's end, 64 leases held
servers                                10 4 threads      100    10000
nginx/round_robin                      50      200       60       70
nginx/round_robin 1-9                 101      200       60       70
evener/rendezvous 1-9                  60      200       90     9000
lvs/lblc                               60      200       90     1001
"""


def test_rows_are_read_and_judged() -> None:
    costs = read(TEXT)
    assert [(cost.name, cost.held) for cost in costs] == [
        ("nginx/round_robin", True),
        ("nginx/round_robin 1-9", False),
        ("evener/rendezvous 1-9", True),
        ("lvs/lblc", False),
    ]
    assert costs[0].contended == 200


def test_a_scan_is_said_to_be_one() -> None:
    lines = table(read(TEXT)).splitlines()
    assert "a scan: each server" in lines[4]
    assert "above its bound" in lines[3]
