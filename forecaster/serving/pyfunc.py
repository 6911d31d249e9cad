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
from forecaster.inference.saved_model import SavedModel, load_model
from forecaster.serving.request import answer

_log = logging.getLogger("forecaster")


class Refused(MlflowException):
    """An answer that is one line. MLflow's scoring server would put the whole table in front of it;
    it stays as it is.
    """

    def __init__(self, line: str, code: int = INVALID_PARAMETER_VALUE) -> None:
        self._line = line
        super().__init__(line, code)

    @property
    def message(self) -> str:
        """The line."""
        return self._line

    @message.setter
    def message(self, value: str) -> None:
        pass


class Answering:
    """Answers one table after the other: the cores have enough to do with one, and a model need not
    be thread-safe.
    """

    def __init__(self, saved: SavedModel, note: Callable[[str], object]) -> None:
        self._saved, self._note, self._lock = saved, note, threading.Lock()

    def __call__(self, frame: pd.DataFrame, params: Mapping[str, Any] | None) -> pd.DataFrame:
        """The forecast of a table. Over HTTP a mistake in it is status 400; what else goes wrong is
        logged, and 500.
        """
        try:
            with self._lock:
                forecast, decisions = answer(self._saved, frame, params or {})
        except UserError as error:
            raise Refused(str(error)) from error
        except Exception as error:
            _log.exception("a forecast failed")
            raise Refused(
                "the forecast failed; the server's log tells why", INTERNAL_ERROR
            ) from error
        for decision in decisions:
            self._note(f"note: {decision}")
        return forecast


class SavedPyfunc(PythonModel):
    """The logged model: a saved model's folder is among its artifacts."""

    def load_context(self, context: Any) -> None:
        """Read the saved model."""
        self._answering = Answering(load_model(Path(context.artifacts["saved"])), _log.info)

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """The forecast of a table of history, or of every row's table where cells are arrays."""
        return self._answering(model_input, params)
