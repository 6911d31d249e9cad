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
from forecaster.serving.pyfunc import Answering, Refused


class _Served:
    """What MLflow's scoring server asks of a model. Without a signature, so that tables reach the
    checks of the files.
    """

    def __init__(self, answering: Answering) -> None:
        self.metadata, self._answering = mlflow.models.Model(), answering

    def predict(self, data: Any, params: Any = None) -> pd.DataFrame:
        """The forecast of a posted table."""
        if not isinstance(data, pd.DataFrame):
            raise Refused("not a table: post it as dataframe_split or dataframe_records")
        if not isinstance(params, dict | None):
            raise Refused('params: not an object; write {"mode": "point"}')
        return self._answering(data, params)


def serve(saved: SavedModel, host: str, port: int, say: Callable[[str], object]) -> None:
    """Answer over HTTP until interrupted; ``port`` 0 takes a free one. ``say`` is told the address
    and the decisions.
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
        uvicorn.Config(scoring_server.init(_Served(Answering(saved, say))), log_level="warning")
    )
    with listening:
        shown = f"[{host}]" if ":" in host else host
        say(
            f"forecasts: http://{shown}:{listening.getsockname()[1]}/invocations  (Ctrl-C ends the "
            "server)"
        )
        server.run(sockets=[listening])
