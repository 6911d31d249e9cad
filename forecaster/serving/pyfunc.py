"""A saved model behind MLflow's pyfunc and its scoring protocol, without pickle."""

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel

from forecaster.errors import UserError
from forecaster.inference.custom_code import custom_code
from forecaster.inference.saved_model import SavedModel, load_model
from forecaster.serving.request import forecast_request

_log = logging.getLogger("forecaster")


class RequestError(MlflowException):
    """An error response of one line.

    MLflow's scoring server sets the message anew, with the whole posted table in front; the setter
    ignores that.
    """

    def __init__(self, line: str, code: int = INVALID_PARAMETER_VALUE) -> None:
        self._line = line
        super().__init__(line, code)

    @property
    def message(self) -> str:
        """The error in one line."""
        return self._line

    @message.setter
    def message(self, value: str) -> None:
        pass


class RequestHandler:
    """Handles one request at a time: one uses all cores, and a model need not be thread-safe.

    ``notify`` is called with each decision about the data.
    """

    def __init__(self, saved: SavedModel, notify: Callable[[str], object]) -> None:
        self._saved, self._notify, self._lock = saved, notify, threading.Lock()

    def __call__(self, frame: pd.DataFrame, params: Mapping[str, Any] | None) -> pd.DataFrame:
        """The forecast of a table.

        Over HTTP a mistake in the request is status 400; any other error is logged, and status 500.
        """
        try:
            with self._lock:
                forecast, decisions = forecast_request(self._saved, frame, params or {})
        except UserError as error:
            raise RequestError(str(error)) from error
        except Exception as error:
            _log.exception("a forecast failed")
            raise RequestError(
                "the forecast failed; see the server's log for the cause", INTERNAL_ERROR
            ) from error
        for decision in decisions:
            self._notify(f"note: {decision}")
        return forecast


class SavedPyfunc(PythonModel):
    """The logged model: a saved model's folder is among its artifacts."""

    def load_context(self, context: Any) -> None:
        folder = Path(context.artifacts["saved"])
        if any(custom_code(folder)):
            raise UserError(
                "this model runs code of its own, which MLflow's pyfunc does not; serve it with: "
                "forecaster serve --trust-code"
            )
        self._handle = RequestHandler(load_model(folder), _log.info)

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """The forecast of a table of history, or of each row's table where cells are arrays."""
        return self._handle(model_input, params)
