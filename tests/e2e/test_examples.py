"""Each folder of examples/ does what its README says, with its own file."""

from __future__ import annotations

import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from .rig.certificates import Authority
from .rig.checking import CheckingClient
from .rig.instance import READY, Evener
from .rig.origin import Origin
from .rig.places import fresh_address
from .rig.processes import Process, program
from .rig.programs import Php, Postgres, answers, psql
from .rig.waiting import eventually
from .rig.wire import Wire, get

EXAMPLES = Path(__file__).parents[2] / "examples"
#: Addresses of an example that stand for something in the outer world.
OUTSIDE = re.compile(r'"((?:127|10)\.[\d.]+:\d+|:\d+|unix:[^"]+)"')


def placed(text: str, places: dict[str, str]) -> str:
    """An example's text with its addresses and paths exchanged for the test's."""
    for written, real in places.items():
        assert written in text, f"{written} is not in the example"
        text = text.replace(f'"{written}"', f'"{real}"').replace(f" {written}", f" {real}")
    return text


def begin(
    evener: Evener, name: str, places: dict[str, str], other: dict[str, str] | None = None
) -> None:
    """Starts an example; every address in it must have been given a place. `other` words are
    exchanged, too."""
    text = (EXAMPLES / name / "evener.yaml").read_text()
    for written, real in (other or {}).items():
        assert written in text
        text = text.replace(written, real)
    assert set(OUTSIDE.findall(text)) <= set(places), "an address has no place"
    evener.start(placed(text, places))


def local(origins: Callable[..., Origin], *names: str) -> dict[str, Origin]:
    """Origins for the addresses 127.0.0.1:8001 and on."""
    return {f"127.0.0.1:{8001 + at}": origins(name=name) for at, name in enumerate(names)}


def addresses(servers: dict[str, Origin]) -> dict[str, str]:
    return {written: origin.address for written, origin in servers.items()}


def answered(evener: Evener, count: int, target: str = "/") -> Counter[str]:
    """How often which server answers, on a connection of its own."""
    with Wire(evener.listen) as wire:
        return answers_to(wire, count, target)


def answers_to(wire: Wire, count: int, target: str) -> Counter[str]:
    """How often which server answers."""
    bodies = [wire.ask(target).body.decode() for _ in range(count)]
    return Counter(body.split()[0] for body in bodies)


def test_every_example_is_run_here() -> None:
    folders = {path.parent.name for path in EXAMPLES.glob("*/README.md")} - {"demo"}
    named = r'(?:begin\(\s*evener,|EXAMPLES /)\s+"([\w-]+)"'
    run = set(re.findall(named, Path(__file__).read_text()))
    assert run == folders


@pytest.mark.parametrize("page", sorted(EXAMPLES.glob("*/README.md")), ids=lambda p: p.parent.name)
def test_its_page_is_short(page: Path) -> None:
    assert len(page.read_text().splitlines()) <= 16


def test_headers(evener: Evener, origins: Callable[..., Origin]) -> None:
    servers = local(origins, "api", "api", "site")
    begin(evener, "headers", {":8080": evener.listen, **addresses(servers)})
    api = get(evener.listen, "/api/x", "Cookie: a=b")
    asked = [request for one in servers.values() for request in one.requests]
    assert len(asked) == 1 and not asked[0].all("cookie")
    assert asked[0].value("x-client") == "127.0.0.1"
    assert asked[0].value("x-request-id") == api.value("x-request-id")
    assert api.value("x-served-by") in addresses(servers).values()
    assert api.value("vary") == "Origin"
    site = get(evener.listen, "/", "Cookie: a=b")
    assert site.value("x-content-type-options") == "nosniff" and not site.all("vary")


def test_three_web_servers(evener: Evener, origins: Callable[..., Origin]) -> None:
    servers = local(origins, "alpha", "beta", "gamma")
    alpha, beta, gamma = servers.values()
    begin(evener, "three-web-servers", {":8080": evener.listen, **addresses(servers)})
    assert answered(evener, 9) == {"alpha": 3, "beta": 3, "gamma": 3}
    with CheckingClient(evener.listen) as client:
        beta.refuse()
        eventually(lambda: "beta" in evener_problem(evener, beta), what="the problem is named")
        before = client.account.answered
        eventually(lambda: client.account.answered > before + 100, what="answers go on")
        account = client.stop()
    assert account.anomalies == {}
    assert get(evener.listen, "/up").status == 200
    gamma.refuse()
    eventually(lambda: get(evener.listen, "/up").status == 503, what="/up says that one is left")
    gamma.listen()
    beta.listen()
    for origin in (beta, gamma):
        evener.until(f"web/{origin.address}", "up", within=20.0)
    eventually(lambda: len(answered(evener, 12)) == 3, what="all three answer again")
    assert alpha.requests


def evener_problem(evener: Evener, origin: Origin) -> str:
    """The problem of a server in the status, with the server's own name; empty if there is none."""
    problems = evener.problems()
    return origin.name if f"web/{origin.address} is " in problems else ""


def test_static_beside_app(evener: Evener, origins: Callable[..., Origin], ends: ExitStack) -> None:
    servers = local(origins, "one", "two")
    files = fresh_address()
    static = evener.directory / "files" / "static"
    static.mkdir(parents=True)
    (static / "style.css").write_text("body {}\n")
    written = (EXAMPLES / "static-beside-app" / "nginx.conf").read_text()
    scratch = "".join(
        f"  {kind}_temp_path {evener.directory}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    places = {"127.0.0.1:8101": files, "/srv/files": str(static.parent)}
    conf = evener.directory / "nginx.conf"
    conf.write_text(placed(written, places).replace("http {\n", f"http {{\n{scratch}"))
    settings = f"daemon off; pid {evener.directory}/nginx.pid;"
    command = [program("nginx"), "-c", str(conf), "-e", "stderr", "-g", settings]
    ends.callback(Process("nginx", command, evener.directory).end)
    eventually(lambda: answers(files), what="nginx answers")
    begin(
        evener,
        "static-beside-app",
        {":8080": evener.listen, "127.0.0.1:8101": files, **addresses(servers)},
    )
    style = get(evener.listen, "/static/style.css")
    assert (style.status, style.body) == (200, b"body {}\n")
    assert style.value("content-type") == "text/css"
    assert get(evener.listen, "/favicon.ico").status == 404  # nginx's word: it has none
    assert get(evener.listen, "/staticky").body.split()[0] in (b"one", b"two")
    assert get(evener.listen, "/static/style.css", method="POST").body.split()[0] in (
        b"one",
        b"two",
    )


def test_api_by_path_and_header(evener: Evener, origins: Callable[..., Origin]) -> None:
    servers = local(origins, "v1", "v2", "v2", "preview")
    begin(evener, "api-by-path-and-header", {":8080": evener.listen, **addresses(servers)})

    def said(target: str, *fields: str, method: str = "GET") -> bytes:
        return get(evener.listen, target, *fields, method=method).body

    assert said("/v1/x") == b"v1 /v1/x"
    assert said("/v2/x") == b"v2 /v2/x"
    assert said("//v2/%61") == b"v2 //v2/%61"
    assert said("/v2/x", "X-Preview: yes") == b"preview /v2/x"
    assert said("/v1/x", "X-Preview: yes") == b"v1 /v1/x"
    refused = get(evener.listen, "/v1/x", method="DELETE")
    assert (refused.status, refused.body) == (410, b"version 1 is read-only: use /v2\n")
    with Wire(evener.listen) as wire:
        wire.send("GET /a?b HTTP/1.1\r\nHost: docs.example\r\n\r\n")
        assert wire.answer().value("location") == "https://docs.example.org/a?b"
    assert get(evener.listen, "/else").status == 404
    assert answered(evener, 6, "/v2/") == {"v2": 6}


def test_database(evener: Evener, ends: ExitStack) -> None:
    primary = Postgres(evener.directory)
    ends.callback(primary.process.end)
    replica, other, read = fresh_address(), fresh_address(), fresh_address()
    begin(
        evener,
        "database",
        {
            "127.0.0.1:5432": evener.listen,
            "127.0.0.1:5433": read,
            "10.0.0.10:5432": primary.address,
            "10.0.0.11:5432": replica,
            "10.0.0.12:5432": other,
        },
    )
    assert psql(evener.listen, "create table t as select 7 as n; select n from t") == "SELECT 1\n7"
    # Both replicas are dead: whether the checks know it yet or not, the primary answers.
    assert psql(read, "select n from t") == "7"
    for dead in (replica, other):
        evener.until(f"replicas/{dead}", "down")
    assert psql(read, "select n + 1 from t") == "8"


def test_php_fpm(evener: Evener, ends: ExitStack) -> None:
    site = evener.directory / "site"
    shutil.copytree(EXAMPLES / "php-fpm" / "site", site)  # where php-fpm's user may read
    php = Php(evener.directory, site, unix=True)
    ends.callback(php.process.end)
    places = {
        ":8080": evener.listen,
        "unix:/run/php/php-fpm.sock": php.address,
        "/srv/site": str(site),
    }
    begin(evener, "php-fpm", places)
    said = get(evener.listen, "/?name=world").body.decode().splitlines()
    assert said == ["GET /?name=world", "environment production", "received 0 bytes"]
    with Wire(evener.listen) as wire:
        assert b"received 70000 bytes" in wire.ask(method="POST", body=b"x" * 70_000).body
        assert wire.ask(method="POST", body=b"").status == 200
    over = f"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {20 * 1024 * 1024 + 1}\r\n\r\n"
    with Wire(evener.listen) as wire:
        assert wire.send(over).answer().status == 413


def test_https(evener: Evener, origins: Callable[..., Origin], authority: Authority) -> None:
    servers = local(origins, "one", "two")
    secure = fresh_address()
    certificate = str(authority.issue("site.example"))
    places = {
        ":80": evener.listen,
        ":443": secure,
        "/etc/evener/site.pem,": f"{certificate},",
        "/etc/evener/site.key}": f"{certificate}}}",
    }
    begin(evener, "https", {**places, **addresses(servers)})
    with Wire(evener.listen) as wire:
        wire.send("GET /a?b HTTP/1.1\r\nHost: site.example\r\n\r\n")
        moved = wire.answer()
    assert (moved.status, moved.value("location")) == (301, "https://site.example/a?b")
    with Wire(secure, authority.client(), "site.example") as wire:
        asked = "GET /x HTTP/1.1\r\nHost: site.example\r\nX-Forwarded-Proto: gopher\r\n\r\n"
        assert wire.send(asked).answer().status == 200
    [request] = [one for origin in servers.values() for one in origin.requests]
    assert request.all("x-forwarded-proto") == ["https"]


def test_three_schedulers(evener: Evener, origins: Callable[..., Origin]) -> None:
    servers = local(origins, "app1", "app2", "one", "two", "blue", "green")
    begin(evener, "three-schedulers", {":8080": evener.listen, **addresses(servers)})
    assert answered(evener, 10) == {"app1": 5, "app2": 5}
    with Wire(evener.listen) as wire:
        # On one connection: another's request may still count as running at its server for a
        # moment after its answer has come, and bounded load passes a busy server over.
        caches = [answers_to(wire, 3, f"/static/{at}.css") for at in range(20)]
    assert all(len(each) == 1 for each in caches)
    assert {*caches[0]} | {*caches[1]} | {*sum(caches, Counter())} == {"one", "two"}
    with Wire(evener.listen) as wire:
        homes = set()
        for at in range(20):
            names = set()
            for _ in range(3):
                wire.send(f"GET /account/ HTTP/1.1\r\nHost: h\r\nCookie: session=user{at}\r\n\r\n")
                names.add(wire.answer().body.decode().split()[0])
            assert len(names) == 1
            homes |= names
        assert homes == {"blue", "green"}


def test_policy_in_python(evener: Evener, origins: Callable[..., Origin]) -> None:
    servers = local(origins, "small1", "small2", "big")
    policy = evener.directory / "large_apart.py"
    shutil.copyfile(EXAMPLES / "policy-in-python" / "large_apart.py", policy)
    places = {
        ":8080": evener.listen,
        "/etc/evener/large_apart.py:LargeApart": f"{policy}:LargeApart",
    }
    # A machine that is busy with tests is no machine for 5 ms.
    patient = {"timeout: 5ms": "timeout: 900ms"}
    begin(evener, "policy-in-python", {**places, **addresses(servers)}, patient)
    eventually(lambda: evener.status()["pools"][0]["policy"]["state"] == "asked")
    with Wire(evener.listen) as wire:
        for _ in range(6):
            wire.send("GET / HTTP/1.1\r\nHost: h\r\nX-Size: large\r\n\r\n")
            assert wire.answer().body.split()[0] == b"big"
            assert wire.ask("/").body.split()[0] == b"small1", "the first of equals"
        evener.tell("server", "drain", "app/big")
        wire.send("GET / HTTP/1.1\r\nHost: h\r\nX-Size: large\r\n\r\n")
        assert wire.answer().body.split()[0] == b"small1"
    evener.until_counts(13, "evener_pool_policy_picks_total", by="policy")


def test_spare_server(evener: Evener, origins: Callable[..., Origin]) -> None:
    servers = local(origins, "big", "small", "spare")
    begin(evener, "spare-server", {":8080": evener.listen, **addresses(servers)})
    assert set(answered(evener, 20)) == {"big", "small"}
    evener.tell("server", "drain", "app/big", "--wait", "1m")
    assert answered(evener, 5) == {"small": 5}
    evener.tell("server", "drain", "app/small")
    assert answered(evener, 5) == {"spare": 5}
    evener.tell("server", "ready", "app/big")
    assert answered(evener, 5) == {"big": 5}


def test_from_python(home: Path, origins: Callable[..., Origin], ends: ExitStack) -> None:
    servers = [origins(name=name, host="127.0.0.1") for name in ("alpha", "beta", "gamma")]
    listen = fresh_address()
    ports = ", ".join(str(origin.port) for origin in servers)
    text = (EXAMPLES / "from-python" / "balance.py").read_text()
    script = home / "balance.py"
    script.write_text(placed(text, {":8080": listen}).replace("8001, 8002, 8003", ports))
    environment = {"RUNTIME_DIRECTORY": str(home / "run"), "HOME": str(home)}
    process = Process("balance", [sys.executable, str(script)], home, environment)
    ends.callback(process.end)
    process.until_says(READY)
    with Wire(listen) as wire:
        bodies = Counter(wire.ask().body.decode() for _ in range(6))
    assert bodies == {"alpha /": 2, "beta /": 2, "gamma /": 2}
    process.signal(15)
    assert process.ended() == 0
