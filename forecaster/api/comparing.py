"""``forecaster.backtest``: compare several models on a table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from reprlib import repr as short
from typing import Any, Literal, Unpack

import pandas as pd

from forecaster.api.arguments import Seasons, choice, whole, whole_or_none
from forecaster.api.configs import (
    Accelerator,
    Bounds,
    config_of,
    is_reference,
    model_name,
    overrides_of,
)
from forecaster.api.model import Model
from forecaster.api.roles import Roles, read_roles
from forecaster.config.schema import Config
from forecaster.data.frames import read_source
from forecaster.data.tables import read_table
from forecaster.errors import UserError
from forecaster.models.base import Forecaster
from forecaster.tracking.labels import title
from forecaster.training.limit import limit_of
from forecaster.training.progress import Silent
from forecaster.workflows.backtest import BacktestOptions, compete, load_configs
from forecaster.workflows.run_context import RunContext
from forecaster.workflows.tracking_target import tracker_of

Candidate = str | Path | type[Forecaster] | Model
_TYPES = (str, Path, type, Model)
_KINDS = "give a preset, a YAML file or a class"


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

    def __repr__(self) -> str:
        names = ", ".join(self.frame["model"])
        return f"Leaderboard({names}; {len(self.origins)} origins)"


def backtest(
    source: object,
    models: Candidate | Sequence[Candidate],
    *,
    horizon: int | None = None,
    lookback: int | None = None,
    seasons: Seasons | None = None,
    origins: int | None = None,
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
    time_limit: float | str | None = None,
    **roles: Unpack[Roles],
) -> Leaderboard:
    """Backtest several models on a table from rolling origins, with retraining.

    ``models``: names of presets, YAML files, custom classes or their references ``FILE.py:Class``,
    or trained models, which are trained anew with their settings. ``settings`` apply to all.
    ``origins``: the number of forecast origins, ``stride`` steps apart (None: the horizon), by
    default ten, or as many as leave half of the rows to learn from;
    ``refit_every``: the number of origins that share a training. ``by``: the metric of the ranking.
    ``time_limit``: seconds, or ``"10m"``, that all trainings share; models without a rest of it are
    missing, and ``notes`` says so. For the rest see ``train``.

    >>> import forecaster
    >>> board = forecaster.backtest("datasets/seattle_weather.csv", ["seasonal-naive"], horizon=7,
    ...     lookback=14, origins=3, target="wind", tracking=False)
    >>> board.frame.model.tolist(), [f"{time:.10}" for time in board.origins]
    (['seasonal-naive'], ['2015-12-11', '2015-12-18', '2015-12-25'])
    """
    limit = limit_of(time_limit, "time_limit")
    choice("by", by, ("mae", "crps"))
    data = read_source(source)
    columns = read_roles(roles, "backtest", data)
    overrides = overrides_of(
        data, horizon, lookback, seasons, seed, accelerator, lower, upper, columns, settings
    )
    configs = _configs(models, overrides)
    table = read_table(data, next(iter(configs.values())).data.columns)
    options = BacktestOptions(
        models=tuple(configs),
        origins=whole_or_none("origins", origins, 2),
        stride=whole_or_none("stride", stride, 1),
        refit_every=whole("refit_every", refit_every, 1),
        overrides=overrides,
        settings=tuple(settings or ()),
        by=by,
        samples=whole("samples", samples, 2),
        experiment=experiment,
        run_name=run_name,
        output=None,
        limit=limit,
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


def _configs(models: object, overrides: Mapping[str, Any]) -> dict[str, Config]:
    """The configurations by name: custom ones first, the baseline last."""
    field = _field(models)
    custom: dict[str, Config] = {}
    for model in field:
        if not _is_preset(model):
            name, config = _custom(model, overrides)
            _check_new(name, custom)
            custom[name] = config
    presets = load_configs([str(model) for model in field if _is_preset(model)], (), overrides)
    for name in presets:
        _check_new(name, custom)
    return {**custom, **presets}


def _field(models: object) -> list[Candidate]:
    """The models as a list; a single one is a list of one."""
    single = isinstance(models, _TYPES)
    if not single and not isinstance(models, Iterable):
        raise UserError(f"models: {short(models)} is none; {_KINDS}")
    field: list[Any] = [models] if single else list(models)  # type: ignore[call-overload]
    for model in field:
        if not isinstance(model, _TYPES):
            raise UserError(f"models: {short(model)} is none; {_KINDS}")
    return field


def _is_preset(model: Candidate) -> bool:
    return isinstance(model, str | Path) and not is_reference(model)


def _custom(model: Candidate, overrides: Mapping[str, Any]) -> tuple[str, Config]:
    if isinstance(model, Model):
        config = model._config(overrides)
        return title(config), config
    return model_name(model), config_of(model, overrides)


def _check_new(name: str, custom: Mapping[str, Config]) -> None:
    if name in custom:
        raise UserError(f"models: two are called '{name}'; leave one out, or rename your class")
