"""A saved model over HTTP, by MLflow's scoring protocol.

This process has the model and computes; another one speaks HTTP (``front``).
"""

import json
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from typing import Any

import numpy as np

from forecaster.errors import UserError
from forecaster.inference.saved_model import SavedModel
from forecaster.io.deadline import deadline
from forecaster.io.interrupts import uninterrupted
from forecaster.serving import front, log
from forecaster.serving.bodies import read_body
from forecaster.serving.follow import Follower
from forecaster.serving.hosts import Hosts
from forecaster.serving.limits import SECONDS, RefusedError, TooMuchError
from forecaster.serving.messages import Answer, refused, split
from forecaster.serving.request import check_served, forecast_request
from forecaster.serving.source import Served, Source
from forecaster.serving.token import Token

_log = logging.getLogger("forecaster")
_END_SECONDS = 10.0  # for the front to end


def serve(
    source: Source,
    host: str,
    port: int,
    names: Iterable[str] = (),
    token: Token | None = None,
    form: log.Form = "text",
) -> None:
    """Serve forecasts over HTTP until interrupted; ``port`` 0 takes a free one.

    The log, in this ``form``, has the address, the requests, every exchange of the model, and the
    decisions about each request's data. ``names``: further names by which the server is asked;
    ``token``: what clients have to know.
    """
    spawn = get_context("spawn")
    told, news = spawn.Pipe(duplex=False)
    follower = Follower(source, log.tell, news)
    listening = _listen(host, port)
    address = f"[{host}]" if ":" in host else host
    address = f"http://{address}:{listening.getsockname()[1]}/invocations"
    front_end = (listening, told, Hosts(host, names), follower.served.about, token, form)
    with _front(spawn, *front_end) as link, follower.following():
        log.tell(f"forecasts: {address}  (Ctrl-C ends the server)")
        while True:
            try:
                request = link.recv_bytes()
                with uninterrupted():
                    link.send_bytes(_answer(follower.served, request, log.tell).to_bytes())
            except (EOFError, ConnectionError) as error:
                raise UserError("the process that speaks HTTP has ended; serve again") from error


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
    except OSError as error:
        raise UserError(
            f"{host}, port {port}: cannot listen there ({os.strerror(error.errno or 0)}); choose "
            "another --host or --port"
        ) from error


@contextmanager
def _front(
    spawn: SpawnContext,
    listening: socket.socket,
    told: Connection,
    hosts: Hosts,
    about: Mapping[str, Any],
    token: Token | None,
    form: log.Form,
) -> Iterator[Connection]:
    """The process that speaks HTTP, and the pipe to it; it takes what it is given over."""
    ours, theirs = spawn.Pipe()
    given = (listening, theirs, told, hosts, about, token, form)
    process = spawn.Process(target=front.run, args=given, daemon=True)
    ctrl_c = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends when this process says so
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, ctrl_c)
    for over in (theirs, told, listening):
        over.close()
    try:
        yield ours
    finally:
        ours.close()
        process.terminate()
        process.join(_END_SECONDS)
        process.kill()


def _answer(served: Served, request: bytes, notify: Callable[[str], object]) -> Answer:
    """The answer of the model in service, named."""
    answer = respond(served.saved, *split(request), notify)
    return replace(answer, model=served.label, run_id=served.about["run_id"] or "")


def respond(saved: SavedModel, kind: bytes, body: bytes, notify: Callable[[str], object]) -> Answer:
    """The answer to a table; a cause of status 500 is logged."""
    try:
        with deadline(SECONDS):
            source, params = read_body(kind, body, saved.config.data.header)
            forecast, decisions = forecast_request(saved, source, params, check_served)
        content = json.dumps({"predictions": forecast.to_dict("records")}, allow_nan=False)
    except RefusedError as refusal:
        return refused(refusal.status, refusal.line)
    except TimeoutError:
        return refused(422, f"it takes more than {SECONDS} seconds; ask for less at a time")
    except UserError as error:
        return refused(422 if isinstance(error, TooMuchError) else 400, str(error))
    except Exception:
        _log.exception("a forecast failed")
        return refused(500, "the forecast failed; see the server's log for the cause")
    for decision in decisions:
        notify(f"note: {decision}")
    rows = int(forecast["mean"].map(np.size).sum())  # a cell may be a whole table's
    return Answer(200, content.encode(), rows=rows)
