"""A backtest: several models on the user's own file from rolling origins, each trained anew as the
origins move on.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.config.load import find_config, load_config
from forecaster.config.schema import Config
from forecaster.data.problem import Problem, check_bounds, load_table, scaled_problem, with_a_season
from forecaster.data.splits import Borders
from forecaster.data.tables import Table
from forecaster.errors import UserError
from forecaster.evaluation.compare import Comparison, against_best, in_words
from forecaster.evaluation.score import Scoring, score_windows
from forecaster.io.atomic import check_folder, write_together
from forecaster.io.tables import table_bytes
from forecaster.models.base import Forecaster
from forecaster.tracking import labels
from forecaster.tracking import run as tracking
from forecaster.tracking.provenance import code_version
from forecaster.training.fit import fit, new_model, window_data

BASELINE = "seasonal-naive"


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
class BacktestOptions:
    """The options of the command ``backtest``; ``overrides`` are laid over each model's
    configuration.

    ``stride``: None for the horizon.
    """

    models: tuple[str, ...]
    origins: int
    stride: int | None
    refit_every: int
    overrides: Mapping[str, Any]
    settings: tuple[str, ...]
    by: str
    samples: int
    experiment: str
    run_name: str | None
    output: Path | None


@dataclass(frozen=True)
class Ranked:
    """A model's place: mean errors over all origins in standard deviations of the training rows.

    ``crps`` is the absolute error where there is a point forecast only; ``coverage`` (90 %) is nan
    there.
    """

    model: str
    mae: float
    crps: float
    coverage: float
    seconds: float


@dataclass(frozen=True)
class BacktestResult:
    """The ranking, best first, and the best model held against each other one; ``origins``: their
    times, as written.
    """

    run_id: str
    ranking: list[Ranked]
    comparisons: list[Comparison]
    origins: list[str]


@dataclass(frozen=True)
class _Scores:
    """A model's errors by series and origin (N, O), in standard deviations, and its coverage in
    each block.
    """

    mae: NDArray[np.float64]
    crps: NDArray[np.float64]
    coverage: float
    seconds: float


def backtest(asked: BacktestOptions, say: Callable[[str], object]) -> BacktestResult:
    """Train and score every model from every origin, rank them, and track it all as one run with a
    part for each model.
    """
    if asked.output is not None:
        check_folder(asked.output.parent)
    configs = _configs(asked)
    [horizon] = {config.data.horizon for config in configs.values()}
    plan = Plan(asked.origins, asked.stride or horizon, asked.refit_every)
    table = load_table(next(iter(configs.values())).data)
    for config in configs.values():
        _check(config, table, plan)
    baseline = configs[BASELINE]
    configs[BASELINE] = baseline.model_copy(update={"data": with_a_season(baseline.data, table)})
    for decision in table.report.decisions:
        say(decision)
    file = Path(table.path).stem
    with tracking.open_run(asked.experiment, asked.run_name or f"backtest {file}") as run:
        run.tags(
            {
                "kind": "backtest",
                "dataset": file,
                "code": code_version(),
                "data.sha256": table.digest,
            }
        )
        run.parameters(asdict(plan))
        scores = {}
        for name, config in configs.items():
            with tracking.open_run(asked.experiment, f"{name} {file}", parent=run.run_id) as part:
                part.tags({"kind": "backtest"})
                scores[name] = _score(name, config, table, plan, asked.samples, part)
        losses = {name: _by_origin(getattr(s, asked.by)) for name, s in scores.items()}
        known = np.isfinite(np.stack(list(losses.values()))).all(0)
        if known.sum() < 2:
            raise UserError(
                f"{table.path}: fewer than two of the origins have a value to score; give more "
                "--origins"
            )
        if not known.all():
            say(f"{int((~known).sum())} origin(s) have no value to score: left out")
        losses = {name: values[known] for name, values in losses.items()}
        ranking = [
            Ranked(
                name,
                _mean(_by_origin(scores[name].mae)),
                _mean(_by_origin(scores[name].crps)),
                scores[name].coverage,
                scores[name].seconds,
            )
            for name in sorted(losses, key=lambda name: float(losses[name].mean()))
        ]
        comparisons = against_best(losses, -(-horizon // plan.stride))
        frame = _frame(scores, table, plan, horizon)
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "backtest.csv"
            path.write_bytes(table_bytes(frame, ".csv"))
            run.file(path)
            path = Path(scratch) / "findings.txt"
            path.write_text(
                "".join(f"{line}\n" for line in in_words(comparisons, asked.by)), encoding="utf-8"
            )
            run.file(path)
        if asked.output is not None:
            output = asked.output
            write_together(
                {output: lambda partial: partial.write_bytes(table_bytes(frame, ".csv"))}
            )
        stamps = [_stamps(table, number, plan, horizon) for number in range(len(table))]
        if any(each != stamps[0] for each in stamps):
            say(
                "the series do not end together: an origin is counted back from each one's own "
                "end, its time is the latest"
            )
        return BacktestResult(
            run.run_id, ranking, comparisons, [max(times) for times in zip(*stamps, strict=True)]
        )


def _configs(asked: BacktestOptions) -> dict[str, Config]:
    """The models' and the baseline's, each by its name."""
    paths: dict[str, Path] = {}
    for name in [*asked.models, BASELINE]:
        path = find_config(name)
        if paths.setdefault(path.stem, path).resolve() != path.resolve():
            raise UserError(
                f"--model {path}: another model is called '{path.stem}', too; rename one of the "
                "two files"
            )
    found = {
        name: load_config(path, asked.settings, asked.overrides) for name, path in paths.items()
    }
    horizons = {config.data.horizon for config in found.values()}
    if len(horizons) > 1:
        raise UserError(
            f"--model: their horizons differ ({', '.join(map(str, sorted(horizons)))}); give one "
            "with --horizon"
        )
    return found


def _check(config: Config, table: Table, plan: Plan) -> None:
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


def _score(
    name: str, config: Config, table: Table, plan: Plan, samples: int, run: tracking.Run
) -> _Scores:
    """Train a model at the start of each block and score it from the block's origins."""
    errors: dict[str, list[NDArray[np.float64]]] = {"mae": [], "crps": []}
    coverages, seconds = [], 0.0
    blocks = list(plan.blocks())
    for number, block in enumerate(blocks, start=1):
        print(
            f"{name}: training {number} of {len(blocks)}, origins {block[0] + 1} to {block[1] + 1}",
            file=sys.stderr,
        )
        began = time.monotonic()
        problem = _problem(config, table, plan, block)
        model = _trained(config, problem, run, f"refit{number}/")
        run.tags(labels.tags(config, problem, model))
        seconds += time.monotonic() - began
        windows, seed = problem.windows("test"), config.trainer.seed
        shape = (len(table.series), block[1] - block[0] + 1)
        point = score_windows(model, problem, windows, Scoring("point", stride=plan.stride))
        errors["mae"].append(point.errors.numpy().reshape(shape))
        if model.distribution == "none":
            errors["crps"].append(errors["mae"][-1])
            continue
        scoring = Scoring("probabilistic", samples, seed=seed, stride=plan.stride)
        drawn = score_windows(model, problem, windows, scoring)
        errors["crps"].append(drawn.errors.numpy().reshape(shape))
        coverages += [drawn.pooled().get("coverage/90", np.nan)] * shape[1]
    found = {key: np.concatenate(parts, axis=1) for key, parts in errors.items()}
    scores = _Scores(found["mae"], found["crps"], _mean(np.array(coverages)), seconds)
    run.curves({f"by_origin/{key}": _by_origin(values).tolist() for key, values in found.items()})
    finals = {key: _mean(_by_origin(values)) for key, values in found.items()} | {
        "coverage/90": scores.coverage
    }
    run.metrics(
        {f"backtest/{key}": value for key, value in finals.items() if value == value}
        | {"train_seconds": seconds}
    )
    return scores


def _mean(values: NDArray[np.float64]) -> float:
    """Of what is known; nan where nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def _by_origin(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, O) → (O,), the mean over the series whose targets have a value; nan where none has."""
    known = np.isfinite(errors)
    return np.where(
        known.any(0), np.where(known, errors, 0).sum(0) / np.maximum(known.sum(0), 1), np.nan
    )


def _problem(config: Config, table: Table, plan: Plan, block: tuple[int, int]) -> Problem:
    return scaled_problem(
        config.data,
        table,
        [plan.borders(len(s.values), config.data.horizon, block) for s in table.series],
    )


def _trained(config: Config, problem: Problem, run: tracking.Run, prefix: str) -> Forecaster:
    model = new_model(config, problem)
    with tempfile.TemporaryDirectory() as checkpoints:
        fit(
            model,
            window_data(config, problem),
            config.trainer,
            Path(checkpoints),
            lambda losses, epoch: run.metrics(
                {prefix + name: value for name, value in losses.items()}, epoch
            ),
        )
    return model


def _frame(scores: Mapping[str, _Scores], table: Table, plan: Plan, horizon: int) -> pd.DataFrame:
    """One row a model, series and origin: the time of its first target, and its errors."""
    rows: list[pd.DataFrame] = []
    for name, found in scores.items():
        for number, series in enumerate(table.series):
            stamps = _stamps(table, number, plan, horizon)
            columns = {"mae": found.mae[number], "crps": found.crps[number]}
            rows.append(
                pd.DataFrame(
                    {"model": name, "item_id": series.item_id, "origin": stamps, **columns}
                )
            )
    return pd.concat(rows, ignore_index=True)


def _stamps(table: Table, number: int, plan: Plan, horizon: int) -> list[str]:
    """The time of the first target of each origin of a series."""
    series = table.series[number]
    firsts = len(series.values) - horizon - plan.stride * np.arange(plan.origins)[::-1]
    return list(table.clock.write(table.interval.stamps(series.first, len(series.values))[firsts]))
