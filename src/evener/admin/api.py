"""The routes of the API: each a few lines between HTTP and the supervisor.

Rules kept here:
- Bodies are JSON objects, and short; an error is `{"error": words, "remedy": words}` with a status
  that says whose fault it is: 400 the asker's, 404 nothing of that name, 409 refused, 503 that
  there is no worker.
- GET only reads.
Not known here: sockets, and who may ask.
"""

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from evener.admin.scene import exposition, scene_of
from evener.admin.status import policy_of, server_tree, status
from evener.admin.why import weighed_by_hand, why
from evener.control.errors import ControlError, LinkLostError
from evener.control.keeper import now_ms
from evener.control.supervisor import Supervisor

Handler = Callable[[Request], Awaitable[Response]]

#: Words a person may say of a server here. `maint` stands in the file only, for now.
WORDS = ("ready", "drain")
#: Seconds for which strangers get the same page; nobody scrapes more often.
FRESH = 1.0
#: Bytes of a body: many times what anything that can be said here takes.
_MOST_BODY = 64 << 10
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def admin_app(supervisor: Supervisor) -> Starlette:
    """The whole API."""
    handlers = _Handlers(supervisor)
    routes = [
        Route("/v1/status", handlers.status),
        Route("/v1/config", handlers.config),
        Route("/v1/plan", handlers.plan),
        Route("/v1/servers", handlers.servers),
        Route("/v1/servers/{pool}/{server:path}", handlers.server),
        Route("/v1/servers/{pool}/{server:path}", handlers.say, methods=["PUT"]),
        Route("/v1/reload", handlers.reload, methods=["POST"]),
        Route("/v1/stop", handlers.stop, methods=["POST"]),
        Route("/v1/metrics", handlers.metrics),
        Route("/metrics", handlers.metrics),
    ]
    return Starlette(
        routes=routes,
        exception_handlers={
            ControlError: _said,
            LinkLostError: _no_worker,
            HTTPException: _not_so,
        },
    )


def metrics_app(supervisor: Supervisor) -> Starlette:
    """The Prometheus page alone, for a TCP address."""
    page = Page(lambda: exposition(supervisor))

    async def metrics(_: Request) -> Response:
        return _as_metrics(page.at(time.monotonic()))

    return Starlette(routes=[Route("/metrics", metrics)])


class Page:
    """The page for strangers: made once in `FRESH` seconds, however many ask.

    Of 10,000 servers it takes 0.2 s, in which the supervisor does nothing else.
    """

    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make
        self._made: tuple[float, str] | None = None

    def at(self, now: float) -> str:
        """The page, or the last one while that is fresh; `now` in seconds of a steady clock."""
        if self._made is None or now - self._made[0] >= FRESH:
            self._made = now, self._make()
        return self._made[1]


class _Handlers:
    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    async def status(self, _: Request) -> Response:
        return JSONResponse(status(await scene_of(self._supervisor)))

    async def config(self, request: Request) -> Response:
        resolved = request.query_params.get("resolved") == "1"
        loaded = self._supervisor.serving.loaded
        return PlainTextResponse(loaded.text(resolved))

    async def plan(self, _: Request) -> Response:
        return JSONResponse(self._supervisor.keeper.sent)

    async def servers(self, _: Request) -> Response:
        scene = await scene_of(self._supervisor)
        return JSONResponse([server_tree(scene.view, each) for each in scene.servers.values()])

    async def server(self, request: Request) -> Response:
        pool, name = request.path_params["pool"], request.path_params["server"]
        scene = await scene_of(self._supervisor)
        facts = scene.servers.get((pool, name))
        plan = next((each for each in scene.plan["pools"] if each["name"] == pool), None)
        if facts is None or plan is None:
            return _nothing(f"there is no server {pool}/{name}", _near(scene.servers, pool))
        warned = self._supervisor.warnings.get((pool, name))
        lines = why(dict(facts), dict(plan), scene.now, warned, policy_of(scene, pool))
        if weighed := self._supervisor.words.said(pool, name, "weight"):
            lines.append(weighed_by_hand(weighed.said, weighed.file))
        tree = {**server_tree(scene.view, facts), "warning": warned and warned._asdict()}
        return JSONResponse({**tree, "why": lines})

    async def say(self, request: Request) -> Response:
        pool, name = request.path_params["pool"], request.path_params["server"]
        body = await _body(request)
        if len(body) != 1 or not body.keys() <= {"admin", "weight"}:
            return _wrong('the body says one thing: {"admin": WORD} or {"weight": NUMBER}')
        [(about, word)] = body.items()
        if about == "admin" and word not in WORDS:
            return _wrong(f"admin is {word!r}, expected one of {', '.join(WORDS)}")
        if about == "weight" and type(word) is not int:
            return _wrong(f"weight is {word!r}, expected a whole number")
        if (pool, name) not in self._supervisor.keeper.health:
            return _nothing(
                f"there is no server {pool}/{name}", _near(self._supervisor.keeper.health, pool)
            )
        if about == "weight":
            return JSONResponse(await self._supervisor.weigh(pool, name, word))
        return JSONResponse(await self._supervisor.say(pool, name, word))

    async def reload(self, _: Request) -> Response:
        outcome = await self._supervisor.reload()
        if outcome.errors:
            return JSONResponse({"errors": list(outcome.errors)}, 409)
        return JSONResponse(dict(outcome.answer))

    async def stop(self, request: Request) -> Response:
        body = await _body(request)
        now = body.get("now", False)
        if body.keys() - {"now"} or not isinstance(now, bool):
            return _wrong('the body is empty, or {"now": true}')
        self._supervisor.ask_stop(now)
        return JSONResponse({"stopping": True, "at": now_ms()}, 202)

    async def metrics(self, _: Request) -> Response:
        return _as_metrics(exposition(self._supervisor))


def _as_metrics(page: str) -> Response:
    return Response(page, headers={"content-type": _PROMETHEUS})


async def _body(request: Request) -> dict[str, Any]:
    text = bytearray()
    async for piece in request.stream():
        text += piece
        if len(text) > _MOST_BODY:
            raise HTTPException(413, f"the body has more than {_MOST_BODY} bytes")
    try:
        body = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise HTTPException(400, "the body is not a JSON object")
    return body


def _near(servers: Any, pool: str) -> str:
    names = [server for each, server in servers if each == pool]
    if names:
        return f"pool {pool} has {', '.join(names[:5])}{' …' if len(names) > 5 else ''}"
    pools = sorted({each for each, _ in servers})
    return f"pools: {', '.join(pools)}"


def _nothing(text: str, remedy: str) -> Response:
    return JSONResponse({"error": text, "remedy": remedy}, 404)


def _wrong(text: str) -> Response:
    return JSONResponse({"error": text, "remedy": ""}, 400)


async def _said(_: Request, error: Exception) -> Response:
    remedy = getattr(error, "remedy", "")
    return JSONResponse({"error": str(error), "remedy": remedy}, 409)


async def _not_so(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = {"error": error.detail, "remedy": ""}
    return JSONResponse(answer, error.status_code, headers=error.headers)


async def _no_worker(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error), "remedy": ""}, 503)
