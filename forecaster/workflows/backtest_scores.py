"""Backtest of a model, retrained for each block of origins."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.config.schema import Config
from forecaster.data.problem import Problem, check_bounds, scaled_problem
from forecaster.data.splits import Borders
from forecaster.data.tables import Table
from forecaster.errors import UserError
from forecaster.evaluation.score import Mode, Scoring, score_windows
from forecaster.models.base import Forecaster, problem_shape
from forecaster.models.held_out import calibration
from forecaster.models.residual_paths import in_service
from forecaster.models.seen import Widened, measured
from forecaster.tracking import labels
from forecaster.training.calendar_choice import choose_calendar
from forecaster.training.ensemble import train_model
from forecaster.training.limit import Limit
from forecaster.training.progress import Monitor
from forecaster.training.stages import OutOfTimeError
from forecaster.workflows.settle import settle_width
from forecaster.workflows.tracking_target import Run


@dataclass(frozen=True)
class Plan:
    """The origins: their number and ``stride``; the targets of the last one end with the file.

    Models are retrained at the first and then at every ``refit_every``-th origin.
    """

    origins: int
    stride: int
    refit_every: int

    def blocks(self) -> Iterator[tuple[int, int]]:
        """The first and the last origin of each block that shares a training."""
        for first in range(0, self.origins, self.refit_every):
            yield first, min(first + self.refit_every, self.origins) - 1

    def borders(self, length: int, horizon: int, block: tuple[int, int]) -> Borders:
        """The training, validation and test rows of a block.

        Validation takes a tenth of the rows before the first origin, a horizon at least.
        """
        end = length - (self.origins - 1 - block[1]) * self.stride
        start = end - horizon - (block[1] - block[0]) * self.stride
        return Borders(start - max(start // 10, horizon), start, end)


@dataclass(frozen=True)
class Field:
    """The setting of a backtest: table, origins, horizon, and number of ``samples``.

    ``asked``: the configuration keys that the user set.
    """

    table: Table
    plan: Plan
    horizon: int
    samples: int
    asked: tuple[str, ...] = ()

    def stamps(self, number: int) -> list[str]:
        """The time of the first target of each origin of a series, as texts."""
        table, plan, series = self.table, self.plan, self.table.series[number]
        rows = len(series.values)
        firsts = rows - self.horizon - plan.stride * np.arange(plan.origins)[::-1]
        return list(table.clock.write(table.interval.stamps(series.first, rows)[firsts]))


@dataclass(frozen=True)
class Scores:
    """A model's errors by series and origin (N, O), in standard deviations of training rows.

    ``coverages`` (O,): that of each origin's block, nan without a distribution.
    """

    mae: NDArray[np.float64]
    crps: NDArray[np.float64]
    coverages: NDArray[np.float64]
    seconds: float

    @property
    def coverage(self) -> float:
        """The mean coverage over the origins."""
        return mean(self.coverages)


def check_length(config: Config, table: Table, plan: Plan) -> None:
    """Raise UserError if the first origin of a series leaves no training window."""
    data = config.data
    check_bounds(data, table)
    for series in table.series:
        rows = len(series.values)
        border = plan.borders(rows, data.horizon, next(plan.blocks()))
        missing = data.lookback + data.horizon - border.train
        if missing > 0:
            name = "" if series.item_id is None else f", series '{series.item_id}'"
            raise UserError(
                f"{table.path}{name}: {rows} rows; {plan.origins} origins {plan.stride} steps "
                "apart leave "
                f"{max(border.train, 0)} to learn from before the first, "
                f"{data.lookback + data.horizon} are needed "
                "(lookback + horizon); give fewer --origins, a smaller --stride, --horizon or "
                "--lookback"
            )


@dataclass(frozen=True)
class Refit:
    """One of several trainings in a run; ``prefix``: of the names of its losses."""

    run: Run
    prefix: str
    progress: Monitor
    limit: Limit | None


class ScoreBlock(Protocol):
    """What trains the model ``name`` and scores it from a block of origins."""

    def __call__(
        self, name: str, config: Config, field: Field, block: tuple[int, int], refit: Refit
    ) -> Scores:
        """The scores of the block."""


def prefix_of(number: int) -> str:
    """What goes before the names of the losses of a model's training, counted from 1."""
    return f"refit{number}/"


def score(
    name: str,
    config: Config,
    field: Field,
    run: Run,
    progress: Monitor,
    limit: Limit | None,
    score_block: ScoreBlock,
) -> Scores:
    """Train a model at the start of each block and score it from the block's origins.

    The trainings share the time of ``limit``. Raises OutOfTimeError if none is left for one.
    """
    blocks, block_scores = list(field.plan.blocks()), []
    for number, block in enumerate(blocks, start=1):
        progress.say(
            f"{name}: training {number} of {len(blocks)}, origins {block[0] + 1} to {block[1] + 1}"
        )
        if limit is not None and limit.over():
            raise OutOfTimeError(f"no time was left for training {number} of {len(blocks)}")
        share = None if limit is None else limit.share(1 / (len(blocks) - number + 1))
        refit = Refit(run, prefix_of(number), progress, share)
        block_scores.append(score_block(name, config, field, block, refit))
    scores = _concatenated(block_scores)
    _log_scores(run, scores)
    return scores


def score_block(
    name: str, config: Config, field: Field, block: tuple[int, int], refit: Refit
) -> Scores:
    """Train and score in this process."""
    started = time.monotonic()
    config, problem, model = _trained(config, _problem(config, field, block), refit, field.asked)
    refit.run.tags(labels.tags(config, problem, model))
    seconds = time.monotonic() - started
    windows, stride = problem.windows("test"), field.plan.stride
    shape = (len(field.table.series), block[1] - block[0] + 1)
    mode: Mode = "point" if model.distribution == "none" else "probabilistic"
    scoring = Scoring(mode, field.samples, seed=config.trainer.seed, stride=stride)
    found = score_windows(model, problem, windows, scoring)
    mae, crps = (each.numpy().reshape(shape) for each in (found.absolute, found.errors))
    coverages = np.full(shape[1], found.pooled().get("coverage/90", np.nan))
    return Scores(mae, crps, coverages, seconds)


def _concatenated(blocks: list[Scores]) -> Scores:
    mae, crps = (
        np.concatenate([getattr(block, name) for block in blocks], axis=1)
        for name in ("mae", "crps")
    )
    coverages = np.concatenate([block.coverages for block in blocks])
    return Scores(mae, crps, coverages, sum(block.seconds for block in blocks))


def _log_scores(run: Run, scores: Scores) -> None:
    curves = {"mae": by_origin(scores.mae), "crps": by_origin(scores.crps)}
    run.curves({f"by_origin/{name}": values.tolist() for name, values in curves.items()})
    finals = {name: mean(values) for name, values in curves.items()}
    finals["coverage/90"] = scores.coverage
    finite = {f"backtest/{name}": value for name, value in finals.items() if value == value}
    run.metrics(finite | {"train_seconds": scores.seconds})


def mean(values: NDArray[np.float64]) -> float:
    """The mean of the finite values, nan without any."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else np.nan


def by_origin(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, O) → (O,), the mean over the series with a finite error, nan without any."""
    finite = np.isfinite(errors)
    return np.where(
        finite.any(0), np.where(finite, errors, 0).sum(0) / np.maximum(finite.sum(0), 1), np.nan
    )


def _problem(config: Config, field: Field, block: tuple[int, int]) -> Problem:
    table, horizon = field.table, config.data.horizon
    borders = [field.plan.borders(len(s.values), horizon, block) for s in table.series]
    return scaled_problem(config.data, table, borders)


def _trained(
    config: Config, problem: Problem, refit: Refit, asked: tuple[str, ...]
) -> tuple[Config, Problem, Forecaster]:
    """The model, with the configuration and problem that its calendar was chosen for."""

    def report(losses: Mapping[str, float], epoch: int) -> None:
        refit.run.metrics({refit.prefix + name: value for name, value in losses.items()}, epoch)

    progress, limit = refit.progress, refit.limit
    config, decisions = settle_width(config, problem, asked)
    for decision in decisions:
        progress.say(decision)
    with tempfile.TemporaryDirectory() as checkpoints:
        chosen = choose_calendar(config, problem, Path(checkpoints), report, progress, limit)
        if chosen.words is not None:
            progress.say(chosen.words)
        config, problem = chosen.config, chosen.problem
        trained = train_model(config, problem, chosen.folder, report, progress, limit)
        config, model = trained.config, trained.model
    if trained.stopped:
        stages = ", ".join(trained.stopped)
        progress.say(f"time limit: {stages} stopped; used are the best weights so far")
    if model.distribution != "none":
        widened = Widened(model, measured(model, problem, config.trainer), own=True)
        return config, problem, widened
    errors = calibration(model, problem, config.trainer)
    return config, problem, in_service(model, errors, problem_shape(problem))


def frame_of(scores: Mapping[str, Scores], field: Field) -> pd.DataFrame:
    """A row for each model, series and origin: the time of its first target, and its errors."""
    rows: list[pd.DataFrame] = []
    for name, model_scores in scores.items():
        for number, series in enumerate(field.table.series):
            columns = {"mae": model_scores.mae[number], "crps": model_scores.crps[number]}
            keys = {"model": name, "item_id": series.item_id, "origin": field.stamps(number)}
            rows.append(pd.DataFrame({**keys, **columns}))
    return pd.concat(rows, ignore_index=True)
