"""``forecaster.train``: train a model on a table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

from forecaster.api.arguments import Seasons, choice, folder_of
from forecaster.api.configs import Accelerator, Bounds, config_of, model_name, overrides_of
from forecaster.api.folders import remove_with, temporary_unless
from forecaster.api.model import Model
from forecaster.api.roles import Roles, read_roles
from forecaster.data.frames import read_source
from forecaster.errors import UserError
from forecaster.inference.locate import open_model
from forecaster.models.base import Forecaster
from forecaster.training.limit import limit_of
from forecaster.training.progress import Silent
from forecaster.workflows.run_context import RunContext
from forecaster.workflows.tracking_target import tracker_of
from forecaster.workflows.train import TrainOptions
from forecaster.workflows.train import train as run_training


def train(
    source: object,
    *,
    preset: str | None = None,
    model: str | Path | type[Forecaster] | None = None,
    horizon: int | None = None,
    lookback: int | None = None,
    seasons: Seasons | None = None,
    seed: int = 0,
    output: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    lower: Bounds | None = None,
    upper: Bounds | None = None,
    accelerator: Accelerator = "auto",
    refit: str = "auto",
    experiment: str = "forecaster",
    run_name: str | None = None,
    tracking: bool = True,
    time_limit: float | str | None = None,
    **roles: Unpack[Roles],
) -> Model:
    """Train a model, evaluate it on held-out windows, train it on all rows, save and track it.

    ``source``: a file's path, a pandas or polars frame, wide (a column for each
    series) or long (with a column of series names), whose index may be the times, or a GluonTS data
    set. ``preset``: a configuration by its name (None: ``s2dbm``); or ``model``: a preset's name, a
    YAML file, a custom subclass of ``forecaster.Forecaster``, or its reference ``FILE.py:Class``.
    ``horizon``, ``lookback``: steps to forecast, and steps of history that the model reads (None:
    by the table's interval and length). ``seasons``: in steps, the main one first, which seasonal
    naive repeats; 1 for none (None: those found in the training rows).
    ``settings``: any configuration keys.
    ``lower``, ``upper``: bounds of all columns or by column; forecasts are clipped to them.
    ``refit``: ``none`` saves the model that was evaluated, without learning from the newest rows.
    ``time_limit``: seconds, or ``"10m"``, for all of it: saved is what is best by then.
    ``output``: the saved model's folder. ``tracking=False`` writes nothing but that folder, by
    default a temporary one. ``roles``: see ``forecaster.api.roles.Roles``.

    Raises UserError for a mistake in the data or in the settings.

    >>> import forecaster, pandas as pd
    >>> frame = pd.read_csv("datasets/seattle_weather.csv", index_col="date", parse_dates=True)
    >>> model = forecaster.train(frame, preset="s2dbm", horizon=3, lookback=14, target="wind",
    ...     lower=0, settings={"trainer.max_steps": 1, "trainer.stage_epochs": 1,
    ...     "trainer.score_windows": 2, "trainer.point_windows": 8}, tracking=False)
    >>> len(model.forecast(frame, samples=5).frame)
    3
    """
    limit = limit_of(time_limit, "time_limit")
    if preset is not None and model is not None:
        raise UserError("give preset or model, not both")
    given = preset if model is None else model
    data, selected = read_source(source), "s2dbm" if given is None else given
    choice("refit", refit, ("auto", "all", "none"))
    config = config_of(
        selected,
        {"trainer.refit": refit}
        | overrides_of(
            data,
            horizon,
            lookback,
            seasons,
            seed,
            accelerator,
            lower,
            upper,
            read_roles(roles, "train", data),
            settings,
        ),
    )
    target = None if output is None else folder_of("output", output)
    frame = None if isinstance(data, Path) else data
    notes: list[str] = []
    context = RunContext(tracker_of(tracking), Silent(), notes.append)
    with temporary_unless(tracking or target is not None) as temporary:
        options = TrainOptions(
            config,
            experiment,
            run_name,
            temporary / "model" if temporary else target,
            source=frame,
            preset=model_name(selected),
            limit=limit,
            asked=tuple(settings or ()),
        )
        folder = run_training(options, context).folder
    saved = open_model(str(folder), accelerator, trust_code=True)
    trained = Model(saved, context.tracker, frame, notes)
    remove_with(trained, temporary)
    return trained
