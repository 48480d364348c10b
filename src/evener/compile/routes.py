"""Routes: their part of the plan, and the readable names that their counters have."""

from __future__ import annotations

from typing import Any

from evener.config.schema import HeaderEdits, Match, Redirect, Respond, Route

LONGEST_NAME = 120


def routes(rules: tuple[Route, ...]) -> list[dict[str, Any]]:
    """The routes of one listener, each with a name of its own."""
    taken: set[str] = set()
    made = []
    for rule in rules:
        name = _unique(_name(rule.match), taken)
        made.append(
            {
                "name": name,
                "match": _match(rule.match),
                "answer": _answer(rule),
                "request_headers": _edits(rule.request_headers),
                "response_headers": _edits(rule.response_headers),
            }
        )
    return made


def redirect_all(to: str | None) -> dict[str, Any] | None:
    """A listener's redirect of everything: its status follows the method."""
    if to is None:
        return None
    return {"to": "https://{host}{uri}" if to == "https" else to, "status": None}


def _match(match: Match) -> dict[str, Any]:
    return {
        "host": list(match.host),
        "path": [{kind: text} for kind, text in match.path],
        "method": list(match.method),
        "header": [
            {"name": name, "value": {kind: list(value) if kind == "any_of" else value}}
            for name, (kind, value) in match.header.items()
        ],
        "not": None if match.not_ is None else _match(match.not_),
    }


def _answer(rule: Route) -> dict[str, Any]:
    if rule.pool is not None:
        return {"pool": rule.pool}
    if rule.respond is not None:
        return {"respond": _respond(rule.respond)}
    assert rule.redirect is not None, "a route that was read has exactly one answer"
    return {"redirect": _redirect(rule.redirect)}


def _respond(respond: Respond) -> dict[str, Any]:
    needs = respond.needs
    return {
        "status": respond.status,
        "body": respond.body,
        "type": respond.type,
        "needs": None if needs is None else {"pool": needs.pool, "up": needs.up},
    }


def _redirect(redirect: Redirect) -> dict[str, Any]:
    return {"to": redirect.to, "status": int(redirect.status)}


def _edits(edits: HeaderEdits | None) -> dict[str, Any] | None:
    if edits is None or not (edits.set or edits.add or edits.remove):
        return None
    return {
        "set": _lines(edits.set),
        "add": _lines(edits.add),
        "remove": list(edits.remove),
    }


def _lines(fields: dict[str, tuple[str, ...]]) -> list[dict[str, str]]:
    """A line for each value, in the order written."""
    return [{"name": name, "value": value} for name, values in fields.items() for value in values]


def _name(match: Match) -> str:
    """What the match says, as short as it can be told: `GET a.example/api/*`."""
    words = []
    if match.method:
        words.append(_some(match.method))
    place = _some(match.host) + _some(tuple(_path(*path) for path in match.path))
    if place:
        words.append(place)
    words += [f"{name}:{_value(*value)}" for name, value in match.header.items()]
    if match.not_ is not None:
        words.append(f"not({_name(match.not_)})")
    return " ".join(words)[:LONGEST_NAME] or "*"


def _some(values: tuple[str, ...]) -> str:
    """The first of several, and how many more there are."""
    more = f"+{len(values) - 1}" if len(values) > 1 else ""
    return values[0] + more if values else ""


def _path(kind: str, text: str) -> str:
    return {"within": f"{text}/*", "below": f"{text}*", "regex": f"~{text}"}.get(kind, text)


def _value(kind: str, value: Any) -> str:
    if kind == "any_of":
        return _some(value)
    if kind == "present":
        return "present" if value else "absent"
    return f"{value}*" if kind == "prefix" else f"~{value}"


def _unique(name: str, taken: set[str]) -> str:
    """The name, numbered from the second on."""
    number, unique = 1, name
    while unique in taken:
        number += 1
        unique = f"{name}#{number}"
    taken.add(unique)
    return unique
