"""The process that speaks HTTP, asked without a network and without a model."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from forecaster.serving import front
from forecaster.serving.front import Front
from forecaster.serving.hosts import Hosts
from forecaster.serving.limits import BYTES
from forecaster.serving.messages import Answer

ABOUT = {
    "model": "models:/été/2",
    "name": "été",
    "version": 2,
    "alias": "champion",
    "run_id": "ab12",
    "trained_until": None,
    "loaded_at": "2026-01-02T03:04:05.500+00:00",
}
POST = {"host": "localhost", "content-type": "text/csv"}


class Link:
    """A pipe to a model that answers with the length of what it is sent, when it may."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send_bytes(self, message: bytes) -> None:
        self.sent.append(message)

    def recv_bytes(self) -> bytes:
        body = b"%d" % len(self.sent[-1])
        return Answer(200, body, "models:/été/3", "ab12", 3).to_bytes()


class Exchange:
    """One request: what the client sends, part by part, and what it is answered."""

    def __init__(
        self,
        parts: Iterable[bytes] = (b"",),
        headers: dict[str, str] | None = None,
        method: str = "POST",
        path: str = "/invocations",
        client: tuple[str, int] | None = ("192.168.0.7", 51234),
    ) -> None:
        headers = POST if headers is None else headers
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        self.scope = {"type": "http", "method": method, "path": path, "headers": pairs}
        self.scope["client"] = client
        self.parts, self.gone = list(parts), asyncio.Event()
        self.status, self.headers, self.body = 0, {}, b""

    async def receive(self) -> dict[str, Any]:
        if not self.parts:
            await self.gone.wait()
            return {"type": "http.disconnect"}
        part = self.parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(self.parts)}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.body += message["body"]

    async def by(self, app: Front) -> "Exchange":
        await app(self.scope, self.receive, self.send)
        return self

    @property
    def line(self) -> str:
        assert b"\n" not in self.body
        return json.loads(self.body)["message"]


def answered(
    make: Callable[[], Exchange], link: Any = None, hosts: Hosts | None = None
) -> Exchange:
    async def ask() -> Exchange:
        return await make().by(Front(link or Link(), hosts or Hosts("127.0.0.1"), ABOUT))

    return asyncio.run(ask())


def test_a_body_goes_to_the_model_whole_with_its_kind() -> None:
    link = Link()
    done = answered(lambda: Exchange([b"a,", b"b\n", b"1"]), link)
    assert (done.status, done.body, link.sent) == (200, b"7", [b"c\na,b\n1"])


def test_answers_name_the_model_that_computed_them() -> None:
    named = answered(Exchange).headers
    assert named[b"x-forecaster-model"] == b"models:/%C3%A9t%C3%A9/3"
    assert named[b"x-forecaster-run"] == b"ab12"
    refused = answered(lambda: Exchange(path="/docs")).headers
    assert not {b"x-forecaster-model", b"x-forecaster-run"} & refused.keys()


def test_health_tells_of_the_model_that_is_served_now() -> None:
    async def ask() -> list[dict[str, Any]]:
        app, told = Front(Link(), Hosts("127.0.0.1"), ABOUT), []
        for news in (None, ABOUT | {"model": "models:/été/3"}, None):
            app.hear(news)
            told.append(json.loads((await Exchange(method="GET", path="/health").by(app)).body))
        return told

    for told, number in zip(asyncio.run(ask()), (2, 3, 3), strict=True):
        assert told.pop("uptime_seconds") >= 0
        assert told == {"status": "ok"} | ABOUT | {"model": f"models:/été/{number}"}


@pytest.mark.parametrize(
    ("changes", "status", "line"),
    [
        (
            {"path": "/docs"},
            404,
            "no such address; there are /ping, /health, /version, /metrics, /invocations",
        ),
        ({"method": "PUT"}, 405, "not a method of this address; use POST"),
        ({"method": "POST", "path": "/ping"}, 405, "not a method of this address; use GET"),
        (
            {"headers": {"host": "localhost"}},
            415,
            "Content-Type has to be one of text/csv, application/json, "
            "application/vnd.apache.parquet",
        ),
        (
            {"headers": POST | {"content-type": "text/csv; charset=latin-1"}},
            415,
            "Content-Type: write text/csv alone, or with charset=utf-8",
        ),
        (
            {"headers": POST | {"content-length": "3", "transfer-encoding": "chunked"}},
            400,
            "a body has one length; leave Content-Length or chunks out",
        ),
        (
            {"headers": POST | {"host": "evil.example"}},
            403,
            "not a name of this server; start it with --allow-host NAME",
        ),
        (
            {"headers": {"content-type": "text/csv"}},
            403,
            "not a name of this server; start it with --allow-host NAME",
        ),
        (
            {"headers": POST | {"content-length": str(BYTES + 1)}},
            413,
            "a body of more than 32 MiB; send less of it at a time",
        ),
        (
            {"parts": [b"x" * (BYTES // 2)] * 2 + [b"x"]},
            413,
            "a body of more than 32 MiB; send less of it at a time",
        ),
    ],
)
def test_what_is_refused_never_reaches_the_model(
    changes: dict[str, Any], status: int, line: str
) -> None:
    link = Link()
    exchange = answered(lambda: Exchange(**changes), link)
    assert (exchange.status, exchange.line, link.sent) == (status, line, [])
    assert exchange.parts == []  # a client that has to send all of it first can read the answer


def test_a_client_that_waits_for_leave_is_refused_before_it_sends() -> None:
    headers = POST | {"content-length": str(BYTES + 1), "expect": "100-continue"}
    exchange = answered(lambda: Exchange([b"x"], headers))
    assert (exchange.status, exchange.parts) == (413, [b"x"])


def test_a_body_of_the_largest_size_is_taken() -> None:
    headers = POST | {"content-length": str(BYTES)}
    assert answered(lambda: Exchange([b"x" * BYTES], headers)).body == b"%d" % (BYTES + 2)


def test_a_body_that_stalls_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "BODY_SECONDS", 0.01)

    class Stalling(Exchange):
        async def receive(self) -> dict[str, Any]:
            await asyncio.Event().wait()
            raise AssertionError

    exchange = answered(Stalling)
    assert (exchange.status, exchange.line) == (408, "the body did not come in 0.01 seconds")
    assert exchange.headers[b"connection"] == b"close"


class SlowLink(Link):
    """A model that answers only when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self.begun, self.ready = asyncio.Event(), asyncio.Event()

    def recv_bytes(self) -> bytes:
        async def wait() -> None:
            self.begun.set()
            await self.ready.wait()

        asyncio.run_coroutine_threadsafe(wait(), self.loop).result()
        return super().recv_bytes()


async def under_way(app: Front, link: SlowLink) -> asyncio.Task[Exchange]:
    first = asyncio.create_task(Exchange([b"first"]).by(app))
    await link.begun.wait()
    return first


def run(test: Callable[[Front, SlowLink], Awaitable[None]]) -> None:
    async def main() -> None:
        link = SlowLink()
        await test(Front(link, Hosts("127.0.0.1"), ABOUT), link)

    asyncio.run(main())


def test_pings_are_answered_while_a_forecast_is_computed() -> None:
    async def test(app: Front, link: SlowLink) -> None:
        first = await under_way(app, link)
        ping = await Exchange(method="GET", path="/ping").by(app)
        assert (ping.status, ping.body) == (200, b"\n")
        assert (await Exchange(method="GET", path="/health").by(app)).status == 200
        assert not first.done()
        link.ready.set()
        assert (await first).status == 200

    run(test)


def test_requests_wait_up_to_a_number_and_are_then_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "WAITING", 3)

    async def test(app: Front, link: SlowLink) -> None:
        others = [await under_way(app, link)]
        others += [asyncio.create_task(Exchange([b"more"]).by(app)) for _ in range(2)]
        await asyncio.sleep(0)
        refused = await Exchange().by(app)
        assert refused.status == 503
        assert refused.line == "too many requests are waiting; try again later"
        assert refused.headers[b"retry-after"] == b"5"
        link.ready.set()
        assert [(await other).status for other in others] == [200] * 3
        assert (await Exchange().by(app)).status == 200

    run(test)


def test_bodies_that_wait_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "HELD", 8)

    async def test(app: Front, link: SlowLink) -> None:
        first = await under_way(app, link)  # 5 bytes
        assert (await Exchange([b"four"]).by(app)).status == 503
        second = asyncio.create_task(Exchange([b"two"]).by(app))
        link.ready.set()
        assert [(await first).status, (await second).status] == [200, 200]
        assert (await Exchange([b"eight by", b""]).by(app)).status == 200

    run(test)


def test_a_client_that_has_gone_costs_no_forecast() -> None:
    async def test(app: Front, link: SlowLink) -> None:
        first = await under_way(app, link)
        second = Exchange([b"second"])
        waiting = asyncio.create_task(second.by(app))
        await asyncio.sleep(0)
        second.gone.set()
        await asyncio.sleep(0)
        link.ready.set()
        await first
        await waiting
        assert (second.status, link.sent) == (0, [b"c\nfirst"])

    run(test)


def test_a_model_that_has_ended_is_status_503() -> None:
    class Ended(Link):
        def recv_bytes(self) -> bytes:
            raise EOFError

    exchange = answered(Exchange, Ended())
    assert (exchange.status, exchange.line) == (503, "the server is ending")


@pytest.mark.parametrize(
    ("host", "header", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1:5001", True),
        ("127.0.0.1", "LocalHost", True),
        ("127.0.0.1", "localhost.:5001", True),
        ("127.0.0.1", "[::1]:5001", True),
        ("127.0.0.1", "also.here:80", True),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "evil.example:5001", False),
        ("127.0.0.1", "192.168.0.7", False),
        ("127.0.0.1", "", False),
        ("box.lan", "box.lan", True),
        ("0.0.0.0", "192.168.0.7:5001", True),
        ("::", "[fe80::1]", True),
        ("0.0.0.0", "192.168.0.7.evil.example", False),
        ("0.0.0.0", "this-machine", True),
    ],
)
def test_a_server_is_asked_by_its_own_names_alone(
    host: str, header: str, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "this-machine")
    assert Hosts(host, ["Also.Here"]).allow(header) == allowed
