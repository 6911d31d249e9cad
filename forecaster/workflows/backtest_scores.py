"""A model trained anew at the start of each stretch of origins, and scored from them."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.config.schema import Config
from forecaster.data.problem import Problem, check_bounds, scaled_problem
from forecaster.data.splits import Borders
from forecaster.data.tables import Table
from forecaster.errors import UserError
from forecaster.evaluation.score import Scoring, score_windows
from forecaster.models.base import Forecaster
from forecaster.tracking import labels
from forecaster.training.fit import fit, new_model, window_data
from forecaster.training.progress import Monitor
from forecaster.workflows.tracking_target import Run


@dataclass(frozen=True)
class Plan:
    """``origins`` of them, ``stride`` steps apart, the targets of the last one ending with the
    file.

    The models are trained anew at the first and then at every ``refit_every``-th origin.
    """

    origins: int
    stride: int
    refit_every: int

    def blocks(self) -> Iterator[tuple[int, int]]:
        """The first and the last origin of each stretch that one training serves."""
        for first in range(0, self.origins, self.refit_every):
            yield first, min(first + self.refit_every, self.origins) - 1

    def borders(self, length: int, horizon: int, block: tuple[int, int]) -> Borders:
        """The rows before the block's first origin, a tenth of them (a horizon at least) to
        validate; the targets.
        """
        end = length - (self.origins - 1 - block[1]) * self.stride
        start = end - horizon - (block[1] - block[0]) * self.stride
        return Borders(start - max(start // 10, horizon), start, end)


@dataclass(frozen=True)
class Field:
    """Where models compete: a table and the origins in it; ``samples`` of each model."""

    table: Table
    plan: Plan
    horizon: int
    samples: int

    def stamps(self, number: int) -> list[str]:
        """The time of the first target of each origin of a series, as written."""
        table, plan, series = self.table, self.plan, self.table.series[number]
        rows = len(series.values)
        firsts = rows - self.horizon - plan.stride * np.arange(plan.origins)[::-1]
        return list(table.clock.write(table.interval.stamps(series.first, rows)[firsts]))


@dataclass(frozen=True)
class Scores:
    """A model's errors by series and origin (N, O), in standard deviations, and at each origin the
    coverage of its block (O,), nan without a distribution.
    """

    mae: NDArray[np.float64]
    crps: NDArray[np.float64]
    coverages: NDArray[np.float64]
    seconds: float

    @property
    def coverage(self) -> float:
        """The mean over the origins."""
        return mean(self.coverages)


def check_room(config: Config, table: Table, plan: Plan) -> None:
    """The first origin of the shortest series leaves a window to learn from."""
    data = config.data
    check_bounds(data, table)
    for series in table.series:
        rows = len(series.values)
        border = plan.borders(rows, data.horizon, next(plan.blocks()))
        lacking = data.lookback + data.horizon - border.train
        if lacking > 0:
            name = "" if series.item_id is None else f", series '{series.item_id}'"
            raise UserError(
                f"{table.path}{name}: {rows} rows; {plan.origins} origins {plan.stride} steps "
                "apart leave "
                f"{max(border.train, 0)} to learn from before the first, "
                f"{data.lookback + data.horizon} are needed "
                "(lookback + horizon); give fewer --origins, a smaller --stride, --horizon or "
                "--lookback"
            )


def score(name: str, config: Config, field: Field, run: Run, progress: Monitor) -> Scores:
    """Train a model at the start of each block and score it from the block's origins."""
    blocks, found = list(field.plan.blocks()), []
    for number, block in enumerate(blocks, start=1):
        progress.say(
            f"{name}: training {number} of {len(blocks)}, origins {block[0] + 1} to {block[1] + 1}"
        )
        found.append(_score_block(config, field, block, _Part(run, f"refit{number}/", progress)))
    scores = _joined(found)
    _log_scores(run, scores)
    return scores


@dataclass(frozen=True)
class _Part:
    """A training among several of a run; ``prefix`` begins the names of its losses."""

    run: Run
    prefix: str
    progress: Monitor


def _score_block(config: Config, field: Field, block: tuple[int, int], part: _Part) -> Scores:
    began = time.monotonic()
    problem = _problem(config, field, block)
    model = _trained(config, problem, part)
    part.run.tags(labels.tags(config, problem, model))
    seconds = time.monotonic() - began
    windows, stride = problem.windows("test"), field.plan.stride
    shape = (len(field.table.series), block[1] - block[0] + 1)
    point = score_windows(model, problem, windows, Scoring("point", stride=stride))
    mae = point.errors.numpy().reshape(shape)
    if model.distribution == "none":
        return Scores(mae, mae, np.full(shape[1], np.nan), seconds)
    scoring = Scoring("probabilistic", field.samples, seed=config.trainer.seed, stride=stride)
    drawn = score_windows(model, problem, windows, scoring)
    covered = np.full(shape[1], drawn.pooled().get("coverage/90", np.nan))
    return Scores(mae, drawn.errors.numpy().reshape(shape), covered, seconds)


def _joined(blocks: list[Scores]) -> Scores:
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
    known = {f"backtest/{name}": value for name, value in finals.items() if value == value}
    run.metrics(known | {"train_seconds": scores.seconds})


def mean(values: NDArray[np.float64]) -> float:
    """Of what is known; nan where nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def by_origin(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, O) → (O,), the mean over the series whose targets have a value; nan where none has."""
    known = np.isfinite(errors)
    return np.where(
        known.any(0), np.where(known, errors, 0).sum(0) / np.maximum(known.sum(0), 1), np.nan
    )


def _problem(config: Config, field: Field, block: tuple[int, int]) -> Problem:
    table, horizon = field.table, config.data.horizon
    borders = [field.plan.borders(len(s.values), horizon, block) for s in table.series]
    return scaled_problem(config.data, table, borders)


def _trained(config: Config, problem: Problem, part: _Part) -> Forecaster:
    model = new_model(config, problem)

    def report(losses: Mapping[str, float], epoch: int) -> None:
        part.run.metrics({part.prefix + name: value for name, value in losses.items()}, epoch)

    windows = window_data(config, problem)
    with tempfile.TemporaryDirectory() as checkpoints:
        fit(model, windows, config.trainer, Path(checkpoints), report, part.progress)
    return model


def frame_of(scores: Mapping[str, Scores], field: Field) -> pd.DataFrame:
    """One row a model, series and origin: the time of its first target, and its errors."""
    rows: list[pd.DataFrame] = []
    for name, found in scores.items():
        for number, series in enumerate(field.table.series):
            columns = {"mae": found.mae[number], "crps": found.crps[number]}
            whose = {"model": name, "item_id": series.item_id, "origin": field.stamps(number)}
            rows.append(pd.DataFrame({**whose, **columns}))
    return pd.concat(rows, ignore_index=True)
