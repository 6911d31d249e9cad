"""Probabilistic time-series forecasting with series-to-series diffusion bridges.

    import forecaster

    model = forecaster.train("sales.csv", horizon=28)
    forecast = model.forecast("sales.csv")

What is named here is imported when it is first used.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forecaster.api.checking import CheckReport, check
    from forecaster.api.comparing import Leaderboard, backtest
    from forecaster.api.evaluation import Evaluation
    from forecaster.api.forecast import Forecast
    from forecaster.api.model import Model, load
    from forecaster.api.training import train
    from forecaster.config.parts import register
    from forecaster.config.sections import Section
    from forecaster.errors import UserError
    from forecaster.models.base import Forecaster

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

__version__ = "0.1.0"

__all__ = [
    "CheckReport",
    "Evaluation",
    "Forecast",
    "Forecaster",
    "Leaderboard",
    "Model",
    "Section",
    "UserError",
    "__version__",
    "backtest",
    "check",
    "load",
    "register",
    "train",
]

# where each public name is defined
_HOMES = {
    **dict.fromkeys(("CheckReport", "check"), "forecaster.api.checking"),
    **dict.fromkeys(("Model", "load"), "forecaster.api.model"),
    "train": "forecaster.api.training",
    "Forecast": "forecaster.api.forecast",
    "Evaluation": "forecaster.api.evaluation",
    **dict.fromkeys(("Leaderboard", "backtest"), "forecaster.api.comparing"),
    "Forecaster": "forecaster.models.base",
    "Section": "forecaster.config.sections",
    "UserError": "forecaster.errors",
    "register": "forecaster.config.parts",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'forecaster' has no attribute '{name}'")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
