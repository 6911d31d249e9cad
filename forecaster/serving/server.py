"""A saved model over HTTP, by MLflow's scoring protocol."""

import os
import socket
from collections.abc import Callable
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc import scoring_server

from forecaster.errors import UserError
from forecaster.inference.saved_model import SavedModel
from forecaster.serving.pyfunc import RequestError, RequestHandler


class _ServedModel:
    """The interface of a model that MLflow's scoring server calls.

    It has no signature, so that tables are checked by the rules for files and not by MLflow.
    """

    def __init__(self, handler: RequestHandler) -> None:
        self.metadata, self._handle = mlflow.models.Model(), handler

    def predict(self, data: Any, params: Any = None) -> pd.DataFrame:
        """The forecast of a posted table."""
        if not isinstance(data, pd.DataFrame):
            raise RequestError("not a table: post it as dataframe_split or dataframe_records")
        if not isinstance(params, dict | None):
            raise RequestError('params: not an object; write {"mode": "point"}')
        return self._handle(data, params)


def serve(saved: SavedModel, host: str, port: int, notify: Callable[[str], object]) -> None:
    """Serve forecasts over HTTP until interrupted; ``port`` 0 takes a free one.

    ``notify`` is called with the address and with the decisions about each request's data.
    """
    import uvicorn

    try:
        listening = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
    except OSError as error:
        raise UserError(
            f"{host}, port {port}: cannot listen there ({os.strerror(error.errno or 0)}); choose "
            "another --host or --port"
        ) from error
    os.environ.setdefault("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "600")
    server = uvicorn.Server(
        uvicorn.Config(
            scoring_server.init(_ServedModel(RequestHandler(saved, notify))), log_level="warning"
        )
    )
    with listening:
        shown = f"[{host}]" if ":" in host else host
        notify(
            f"forecasts: http://{shown}:{listening.getsockname()[1]}/invocations  (Ctrl-C ends the "
            "server)"
        )
        server.run(sockets=[listening])
