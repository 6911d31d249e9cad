"""``forecaster.backtest``: compare several models on a table."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Unpack

import pandas as pd

from forecaster.api.configs import Accelerator, Bounds, config_of, model_name, overrides_of
from forecaster.api.roles import Roles, read_roles
from forecaster.config.schema import Config
from forecaster.data.frames import read_source
from forecaster.data.tables import read_table
from forecaster.errors import UserError
from forecaster.models.base import Forecaster
from forecaster.training.progress import Silent
from forecaster.workflows.backtest import BASELINE, BacktestOptions, compete, load_configs
from forecaster.workflows.run_context import RunContext
from forecaster.workflows.tracking_target import tracker_of


@dataclass(frozen=True)
class Leaderboard:
    """The result of a backtest of several models, including seasonal naive.

    ``frame``: a row for each model, best first: ``model, mae, crps, coverage/90, seconds``, with
    errors in standard deviations of the training rows; the crps of a point forecast is its mae.
    ``findings``: comparisons of the best model with each other one. ``errors``: each model's by
    series and origin; ``origins``: the times of their first targets; ``notes``: remarks about the
    data.

    >>> import forecaster
    >>> board = forecaster.backtest("datasets/seattle_weather.csv", ["nlinear"], horizon=2,
    ...     lookback=7, origins=2, settings={"trainer.max_steps": 1}, tracking=False)
    >>> sorted(board.frame.model), len(board.errors), len(board.findings)
    (['nlinear', 'seasonal-naive'], 4, 1)
    """

    frame: pd.DataFrame
    findings: tuple[str, ...]
    errors: pd.DataFrame
    origins: tuple[str, ...]
    notes: tuple[str, ...]
    run_id: str | None


def backtest(
    source: object,
    models: Sequence[str | Path | type[Forecaster]],
    *,
    horizon: int | None = None,
    lookback: int | None = None,
    origins: int = 10,
    stride: int | None = None,
    refit_every: int = 5,
    by: Literal["mae", "crps"] = "crps",
    samples: int = 100,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    lower: Bounds | None = None,
    upper: Bounds | None = None,
    accelerator: Accelerator = "auto",
    experiment: str = "forecaster",
    run_name: str | None = None,
    tracking: bool = True,
    **roles: Unpack[Roles],
) -> Leaderboard:
    """Backtest several models on a table from rolling origins, with retraining.

    ``models``: names of presets, YAML files or custom classes; ``settings`` apply to all.
    ``origins``: the number of forecast origins, ``stride`` steps apart (None: the horizon);
    ``refit_every``: the number of origins that share a training. ``by``: the metric of the ranking.
    For the rest see ``train``.

    >>> import forecaster
    >>> board = forecaster.backtest("datasets/seattle_weather.csv", ["seasonal-naive"], horizon=7,
    ...     lookback=14, origins=3, target="wind", tracking=False)
    >>> board.frame.model.tolist(), [f"{time:.10}" for time in board.origins]
    (['seasonal-naive'], ['2015-12-11', '2015-12-18', '2015-12-25'])
    """
    data, columns = read_source(source), read_roles(roles, "backtest")
    overrides = overrides_of(
        data, horizon, lookback, seed, accelerator, lower, upper, columns, settings
    )
    configs = _configs(models, overrides)
    table = read_table(data, next(iter(configs.values())).data.columns)
    options = BacktestOptions(
        models=tuple(configs),
        origins=_at_least("origins", origins, 2),
        stride=None if stride is None else _at_least("stride", stride, 1),
        refit_every=_at_least("refit_every", refit_every, 1),
        overrides=overrides,
        settings=(),
        by=by,
        samples=_at_least("samples", samples, 2),
        experiment=experiment,
        run_name=run_name,
        output=None,
    )
    notes: list[str] = []
    context = RunContext(tracker_of(tracking), Silent(), notes.append)
    result = compete(configs, table, options, context)
    ranking = pd.DataFrame([asdict(row) for row in result.ranking])
    return Leaderboard(
        ranking.rename(columns={"coverage": "coverage/90"}),
        tuple(result.findings),
        result.frame,
        tuple(result.origins),
        tuple(notes),
        result.run_id or None,
    )


def _configs(
    models: Sequence[str | Path | type[Forecaster]], overrides: Mapping[str, Any]
) -> dict[str, Config]:
    """The configurations by name: custom classes first, the baseline last."""
    classes = [model for model in models if isinstance(model, type)]
    named = [str(model) for model in models if not isinstance(model, type)]
    custom = {model_name(model): config_of(model, overrides) for model in classes}
    presets = load_configs(named, (), overrides)
    duplicate = [*(custom.keys() & presets.keys()), BASELINE][0]
    if duplicate in custom:
        raise UserError(f"two models are called '{duplicate}'; rename your class")
    return {**custom, **presets}


def _at_least(name: str, value: int, minimum: int) -> int:
    if value < minimum:
        raise UserError(f"{name}: {value} is too few; give {minimum} at least")
    return value
