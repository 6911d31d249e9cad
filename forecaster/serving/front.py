"""The process that speaks HTTP. It holds no model, so it answers whatever is being computed.

Requests within its limits go over a pipe to the process with the model, one at a time.
"""

import asyncio
import importlib.metadata
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any
from urllib.parse import quote

import uvicorn

from forecaster.serving import log
from forecaster.serving.connection import WatchedConnection
from forecaster.serving.hosts import Hosts
from forecaster.serving.limits import BYTES, HELD, WAITING, RefusedError
from forecaster.serving.messages import Answer, kind_of, pack, refused
from forecaster.serving.metrics import Metrics
from forecaster.serving.token import OPEN, Token

BODY_SECONDS = 60.0  # in which a body has to come
_GONE = 499  # nginx's status of a request whose client did not wait
_LAST_SECONDS = 5  # for answers that are under way when the server ends
_METHODS = {
    "/ping": ("GET", "HEAD"),
    "/health": ("GET", "HEAD"),
    "/version": ("GET", "HEAD"),
    "/metrics": ("GET", "HEAD"),
    "/invocations": ("POST",),
}

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _GoneError(Exception):
    """The client has closed the connection."""


class _Body:
    """The body of a request, all of which has to come in time."""

    def __init__(self, receive: Receive) -> None:
        self.content = bytearray()
        self._receive, self._more = receive, True

    async def read(self, take: Callable[[bytearray, bytes], None]) -> None:
        """Read to the end; ``take`` adds what comes to the content, or refuses it."""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while self._more:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise _GoneError
                    self._more = message.get("more_body", False)
                    take(self.content, message.get("body", b""))
        except TimeoutError as error:
            self._more = False
            line = f"the body did not come in {BODY_SECONDS:g} seconds"
            raise RefusedError(408, line) from error


class Front:
    """The ASGI application. ``link``: the pipe to the process with the model.

    ``about``: what ``/health`` tells of the model. ``token``: what clients have to know, if any.
    """

    def __init__(
        self, link: Connection, hosts: Hosts, about: Mapping[str, Any], token: Token | None = None
    ) -> None:
        self._link, self._hosts, self.about, self._token = link, hosts, about, token
        self._begun = monotonic()
        self._turn = asyncio.Lock()
        self._waiting = self._held = 0  # requests, and bytes of bodies
        self._metrics = Metrics(about, lambda: self._waiting - self._turn.locked())

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        begun = monotonic()
        with self._metrics.in_progress.track_inprogress():
            try:
                answer = await self._answer(scope, receive)
            except RefusedError as refusal:
                answer = refused(refusal.status, refusal.line)
            except _GoneError:
                answer = Answer(_GONE, b"")
            if answer.status != _GONE:
                await _send(send, answer)
        self._done(scope, answer, monotonic() - begun)

    def unreadable(self, client: tuple[str, int] | None) -> None:
        """Take note of what was no HTTP, which the connection itself has refused."""
        self._done({"client": client, "method": "-", "path": "-"}, Answer(400, b""), 0.0)

    def hear(self, news: Mapping[str, Any] | None) -> None:
        """Take what is told of a new model; None: it could not be exchanged."""
        self.about = news or self.about
        self._metrics.exchanged(news)

    def _done(self, scope: Message, answer: Answer, seconds: float) -> None:
        path = scope["path"]
        self._metrics.answered(path if path in _METHODS else "other", answer, seconds)
        log.request(scope, answer, seconds)

    async def _answer(self, scope: Message, receive: Receive) -> Answer:
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        body = _Body(receive)
        try:
            self._check(scope, headers)
            if scope["path"] != "/invocations":
                return self._told(scope["path"])
            kind = kind_of(headers.get("content-type", []))
            await body.read(self._keep)
            return await self._forecast(pack(kind, body.content), receive)
        except RefusedError:
            if "expect" not in headers:  # a client that expects nothing sends all of it first
                await body.read(lambda content, part: None)
            raise
        finally:
            self._held -= len(body.content)

    def _check(self, scope: Message, headers: dict[str, list[str]]) -> None:
        """Raise RefusedError for a request whose first lines show that it is none to answer."""
        hosts, methods = headers.get("host", []), _METHODS.get(scope["path"])
        if len(hosts) != 1 or not self._hosts.allow(hosts[0]):
            raise RefusedError(403, "not a name of this server; start it with --allow-host NAME")
        allowed = self._token is None or self._token.allows(headers.get("authorization", []))
        if scope["path"] != OPEN and not allowed:
            raise RefusedError(
                401, "this server asks for a token; send Authorization: Bearer TOKEN"
            )
        if methods is None:
            raise RefusedError(404, f"no such address; there are {', '.join(_METHODS)}")
        if scope["method"] not in methods:
            raise RefusedError(405, f"not a method of this address; use {methods[0]}")
        if "transfer-encoding" in headers and "content-length" in headers:
            raise RefusedError(400, "a body has one length; leave Content-Length or chunks out")
        if any(int(length[:20]) > BYTES for length in headers.get("content-length", [])):
            raise _too_long()

    def _keep(self, body: bytearray, part: bytes) -> None:
        """Take a part of a body, if it is not too long, nor all of them together."""
        if len(body) + len(part) > BYTES:
            raise _too_long()
        if self._held + len(part) > HELD:
            raise _busy()
        body += part
        self._held += len(part)

    async def _forecast(self, request: bytes, receive: Receive) -> Answer:
        if self._waiting >= WAITING:
            raise _busy()
        self._waiting += 1
        gone = asyncio.ensure_future(receive())
        try:
            async with self._turn:
                if gone.done():
                    raise _GoneError
                return Answer.from_bytes(await asyncio.to_thread(self._exchange, request))
        except (EOFError, OSError) as error:
            raise RefusedError(503, "the server is ending") from error
        finally:
            self._waiting -= 1
            gone.cancel()

    def _exchange(self, request: bytes) -> bytes:
        self._link.send_bytes(request)
        return self._link.recv_bytes()

    def _told(self, path: str) -> Answer:
        """What is told at an address that takes no table."""
        if path == "/metrics":
            return self._metrics.answer()
        if path == "/health":
            up = round(monotonic() - self._begun, 3)
            content = {"status": "ok", **self.about, "uptime_seconds": up}
            return Answer(200, json.dumps(content).encode())
        version = path == "/version"
        return Answer(200, importlib.metadata.version("mlflow").encode() if version else b"\n")


async def _send(send: Send, answer: Answer) -> None:
    lines = [(name.encode(), value.encode()) for name, value in _headers(answer).items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": lines})
    await send({"type": "http.response.body", "body": answer.body})


def _headers(answer: Answer) -> dict[str, str]:
    headers = {
        "content-type": answer.kind,
        "content-length": str(len(answer.body)),
        "x-content-type-options": "nosniff",
    }
    if answer.model:
        headers["x-forecaster-model"] = quote(answer.model, safe="/:")
    if answer.run_id:
        headers["x-forecaster-run"] = quote(answer.run_id)
    headers |= {"connection": "close"} if answer.status in {408, 413} else {}
    headers |= {"www-authenticate": "Bearer"} if answer.status == 401 else {}
    headers |= {"retry-after": "5"} if answer.status == 503 else {}
    return headers


def _too_long() -> RefusedError:
    return RefusedError(413, f"a body of more than {BYTES >> 20} MiB; send less of it at a time")


def _busy() -> RefusedError:
    return RefusedError(503, "too many requests are waiting; try again later")


def run(
    listening: socket.socket,
    link: Connection,
    told: Connection,
    hosts: Hosts,
    about: Mapping[str, Any],
    token: Token | None,
    form: log.Form,
) -> None:
    """Serve until the process with the model ends, or ends this one.

    ``told``: the pipe that tells of every exchange of the model. ``form``: of the log.
    """
    log.to_standard_error(form)
    front = Front(link, hosts, about, token)
    server = uvicorn.Server(
        uvicorn.Config(
            front,
            http=WatchedConnection,
            ws="none",
            lifespan="off",
            log_level="critical",
            server_header=False,
            proxy_headers=False,  # which any client may write
            timeout_graceful_shutdown=_LAST_SECONDS,
        )
    )

    def end_with_parent() -> None:
        parent = parent_process()
        assert parent is not None
        parent.join()
        server.should_exit = True

    def hear() -> None:
        with suppress(EOFError, OSError):
            while True:
                front.hear(json.loads(told.recv_bytes()))

    for work in (end_with_parent, hear):
        threading.Thread(target=work, daemon=True).start()
    with suppress(KeyboardInterrupt), listening:
        server.run(sockets=[listening])
