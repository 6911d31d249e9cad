"""A saved model over HTTP, by MLflow's scoring protocol.

This process has the model and computes; another one speaks HTTP (``front``).
"""

import json
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection

from forecaster.errors import UserError
from forecaster.inference.saved_model import SavedModel
from forecaster.io.deadline import deadline
from forecaster.io.interrupts import uninterrupted
from forecaster.serving import front
from forecaster.serving.bodies import read_body
from forecaster.serving.hosts import Hosts
from forecaster.serving.limits import SECONDS, RefusedError, TooMuchError
from forecaster.serving.messages import error_body, pack, split
from forecaster.serving.request import check_served, forecast_request

_log = logging.getLogger("forecaster")
_END_SECONDS = 10.0  # for the front to end


def serve(
    saved: SavedModel,
    host: str,
    port: int,
    notify: Callable[[str], object],
    names: Iterable[str] = (),
) -> None:
    """Serve forecasts over HTTP until interrupted; ``port`` 0 takes a free one.

    ``notify`` is called with the address and with the decisions about each request's data;
    ``names``: further names by which the server is asked.
    """
    try:
        listening = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
    except OSError as error:
        raise UserError(
            f"{host}, port {port}: cannot listen there ({os.strerror(error.errno or 0)}); choose "
            "another --host or --port"
        ) from error
    address = f"[{host}]" if ":" in host else host
    address = f"http://{address}:{listening.getsockname()[1]}/invocations"
    with _front(listening, Hosts(host, names)) as link:
        notify(f"forecasts: {address}  (Ctrl-C ends the server)")
        while True:
            try:
                request = link.recv_bytes()
                with uninterrupted():
                    status, content = respond(saved, *split(request), notify)
                    link.send_bytes(pack(str(status).encode(), content))
            except (EOFError, ConnectionError) as error:
                raise UserError("the process that speaks HTTP has ended; serve again") from error


@contextmanager
def _front(listening: socket.socket, hosts: Hosts) -> Iterator[Connection]:
    """The process that speaks HTTP, and the pipe to it; it takes ``listening`` over."""
    spawn = get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=front.run, args=(listening, theirs, hosts), daemon=True)
    ctrl_c = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends when this process says so
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, ctrl_c)
    theirs.close()
    listening.close()
    try:
        yield ours
    finally:
        ours.close()
        process.terminate()
        process.join(_END_SECONDS)
        process.kill()


def respond(
    saved: SavedModel, kind: bytes, body: bytes, notify: Callable[[str], object]
) -> tuple[int, bytes]:
    """The status and the body of the answer to a table; a cause of status 500 is logged."""
    try:
        with deadline(SECONDS):
            source, params = read_body(kind, body, saved.config.data.header)
            forecast, decisions = forecast_request(saved, source, params, check_served)
        content = json.dumps({"predictions": forecast.to_dict("records")}, allow_nan=False)
    except RefusedError as refusal:
        return refusal.status, error_body(refusal.status, refusal.line)
    except TimeoutError:
        line = f"it takes more than {SECONDS} seconds; ask for less at a time"
        return 422, error_body(422, line)
    except UserError as error:
        status = 422 if isinstance(error, TooMuchError) else 400
        return status, error_body(status, str(error))
    except Exception:
        _log.exception("a forecast failed")
        return 500, error_body(500, "the forecast failed; see the server's log for the cause")
    for decision in decisions:
        notify(f"note: {decision}")
    return 200, content.encode()
