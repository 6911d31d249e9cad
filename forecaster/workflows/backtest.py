"""``backtest``: compare models on a file from rolling origins, with retraining.

Configurations and a table → scores → ranking → logged run.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from forecaster.config.load import find_config, keys_of, load_config
from forecaster.config.schema import Config
from forecaster.data.dead import without_dead
from forecaster.data.doubtful import doubts
from forecaster.data.problem import load_table, with_season_lookback
from forecaster.data.short import without_short
from forecaster.data.tables import Table
from forecaster.errors import UserError
from forecaster.evaluation.compare import Comparison, against_best, in_words
from forecaster.io.atomic import check_file, write_together
from forecaster.io.output_tables import table_bytes
from forecaster.tracking.provenance import code_version
from forecaster.training.limit import Limit
from forecaster.training.stages import OutOfTimeError
from forecaster.workflows.backtest_scores import (
    Field,
    Plan,
    ScoreBlock,
    Scores,
    by_origin,
    check_length,
    frame_of,
    mean,
    score,
    score_block,
)
from forecaster.workflows.ray_backtest import on_ray
from forecaster.workflows.ray_engine import import_ray
from forecaster.workflows.run_context import RunContext
from forecaster.workflows.settle import settle

__all__ = ["BASELINE", "BacktestOptions", "BacktestResult", "Plan", "backtest", "compete"]

BASELINE = "seasonal-naive"
# what trains the models, given all of them and the field: this process, or Ray
Trainings = Callable[[Mapping[str, Config], Field], AbstractContextManager[ScoreBlock]]
ENGINES: dict[str, Trainings] = {"local": lambda *_: nullcontext(score_block), "ray": on_ray}
_USUAL_ORIGINS = 10


@dataclass(frozen=True)
class BacktestOptions:
    """The options of the command ``backtest``.

    ``origins``: None for ten, or as many as leave half of the shortest series to learn from.
    ``stride``: None for the horizon. ``overrides``: for the configurations of all models.
    ``engine``: a name of ``ENGINES``.
    """

    models: tuple[str, ...]
    origins: int | None
    stride: int | None
    refit_every: int
    overrides: Mapping[str, Any]
    settings: tuple[str, ...]
    by: str
    samples: int
    experiment: str
    run_name: str | None
    output: Path | None
    limit: Limit | None = None
    engine: str = "local"


@dataclass(frozen=True)
class Ranked:
    """A row of the ranking: mean errors over all origins in standard deviations of training rows.

    ``coverage``: of 90 % intervals. Of a model with too few errors to draw samples from ``crps`` is
    the absolute error, and ``coverage`` nan.
    """

    model: str
    mae: float
    crps: float
    coverage: float
    seconds: float


@dataclass(frozen=True)
class BacktestResult:
    """The ranking, best first, and comparisons of the best model with each other one.

    ``origins``: their times, as texts. ``frame``: each model's errors by series and origin.
    ``missing``: the models that no time was left for.
    """

    run_id: str
    ranking: list[Ranked]
    comparisons: list[Comparison]
    origins: list[str]
    frame: pd.DataFrame
    findings: list[str]
    missing: list[str]


def backtest(options: BacktestOptions, notify: Callable[[str], object]) -> BacktestResult:
    """Train and score all models, rank them, and log a run with a child run for each model."""
    configs = load_configs(options.models, options.settings, options.overrides)
    data = next(iter(configs.values())).data
    if options.output is not None:
        read = (data.csv, data.static_file)
        check_file(options.output, (".csv",), *(Path(each) for each in read if each is not None))
    _check_engine(options, configs)
    return compete(configs, load_table(data), options, RunContext(notify=notify))


def _check_engine(options: BacktestOptions, configs: Mapping[str, Config]) -> None:
    if options.engine == "local":
        return
    engine = f"--engine {options.engine}"
    if options.limit is not None:
        raise UserError(
            f"{engine}: --time-limit is shared out from one training to the next, and here they "
            "run side by side; leave one of the two out"
        )
    for name, config in configs.items():
        if config.trainer.devices > 1:
            raise UserError(
                f"{engine}: each training has one device, and model '{name}' asks for "
                f"{config.trainer.devices}; give --set trainer.devices=1, or leave --engine out"
            )
    import_ray()


def compete(
    configs: Mapping[str, Config], table: Table, options: BacktestOptions, context: RunContext
) -> BacktestResult:
    """``backtest`` of configurations, including the baseline's, on a loaded table."""
    table = _without_short(configs, table)
    configs = _settled(configs, table, options)
    configs, table = _without_dead(configs, table, options)
    table.report.decisions += doubts(table, next(iter(configs.values())).data)
    field = _field(configs, table, options)
    for decision in table.report.decisions:
        context.notify(decision)
    file = Path(table.path).stem
    name = options.run_name or f"backtest {file}"
    contestants = _with_season_baseline(configs, table)
    with (
        ENGINES[options.engine](contestants, field) as score_block,
        context.tracker.open(options.experiment, name) as run,
    ):
        tags = {"kind": "backtest", "dataset": file, "code": code_version()}
        run.tags({**tags, "data.sha256": table.digest})
        run.parameters(asdict(field.plan))
        scores, missing = {}, []
        for number, (model, config) in enumerate(contestants.items()):
            with context.tracker.open(
                options.experiment, f"{model} {file}", parent=run.run_id
            ) as child:
                child.tags({"kind": "backtest"})
                limit = _share(options.limit, model, len(contestants) - number)
                try:
                    scores[model] = score(
                        model, config, field, child, context.progress, limit, score_block
                    )
                except OutOfTimeError as error:
                    missing.append(model)
                    child.tags({"stopped_by_time_limit": str(error)})
                    context.notify(f"{model}: {error}; it is missing, give a longer --time-limit")
        result = _ranked(scores, field, options.by, context.notify, run.run_id)
        result = replace(result, missing=missing)
        context.tracker.log_files(run, lambda folder: _write(folder, result))
    _write_output(result, options.output)
    _notify_different_ends(field, context.notify)
    return result


def _without_short(configs: Mapping[str, Config], table: Table) -> Table:
    """The table without series of less than half of the usual rows, if they are to be left out."""
    if not any(config.data.leaves_out_short for config in configs.values()):
        return table
    return without_short(table, math.ceil(median(len(s.values) for s in table.series) / 2))


def _without_dead(
    configs: Mapping[str, Config], table: Table, options: BacktestOptions
) -> tuple[Mapping[str, Config], Table]:
    """The same without series that are dead before the first origin, if that is allowed."""
    policies = {config.data.on_dead for config in configs.values()} - {"error"}
    if not policies:
        return configs, table
    horizon = _horizon(configs)
    plan = _plan(options, table, horizon)
    block = next(plan.blocks())
    ends = [max(plan.borders(len(s.values), horizon, block).train, 0) for s in table.series]
    kept, left = {}, table
    for name, config in configs.items():
        lenient = config.data.model_copy(update={"on_dead": min(policies)})
        data, left = without_dead(lenient, table, ends)
        kept[name] = config.model_copy(update={"data": data})
    table.report.decisions[:] = dict.fromkeys(table.report.decisions)
    return kept, left


def _share(limit: Limit | None, model: str, left: int) -> Limit | None:
    """A model's share of the time left; the baseline, which takes none, comes last without one."""
    return None if limit is None or model == BASELINE else limit.share(1 / max(left - 1, 1))


def _field(configs: Mapping[str, Config], table: Table, options: BacktestOptions) -> Field:
    horizon = _horizon(configs)
    plan = _plan(options, table, horizon)
    for config in configs.values():
        check_length(config, table, plan)
    return Field(table, plan, horizon, options.samples, keys_of(options.settings))


def _plan(options: BacktestOptions, table: Table, horizon: int) -> Plan:
    stride, rows = options.stride or horizon, min(len(s.values) for s in table.series)
    fitting = max(min((rows // 2 - horizon) // stride + 1, _USUAL_ORIGINS), 2)
    return Plan(options.origins or fitting, stride, options.refit_every)


def _settled(
    configs: Mapping[str, Config], table: Table, options: BacktestOptions
) -> dict[str, Config]:
    """The configurations as the rows before the first origin settle them."""

    def train_rows(length: int, horizon: int) -> int:
        plan = _plan(options, table, horizon)
        return plan.borders(length, horizon, next(plan.blocks())).train

    before = list(table.report.decisions)
    settled = {name: settle(config, table, train_rows)[0] for name, config in configs.items()}
    table.report.decisions[:] = dict.fromkeys([*before, *table.report.decisions])
    return settled


def _with_season_baseline(configs: Mapping[str, Config], table: Table) -> dict[str, Config]:
    """The configurations with a lookback of a season at least for the baseline."""
    baseline = configs[BASELINE]
    wider = baseline.model_copy(update={"data": with_season_lookback(baseline.data, table)})
    return {**configs, BASELINE: wider}


def _ranked(
    scores: Mapping[str, Scores],
    field: Field,
    by: str,
    notify: Callable[[str], object],
    run_id: str,
) -> BacktestResult:
    """The models ranked by their mean loss over the origins where all have one."""
    losses = {name: by_origin(getattr(s, by)) for name, s in scores.items()}
    complete = np.isfinite(np.stack(list(losses.values()))).all(0)
    if complete.sum() < 2:
        raise UserError(
            f"{field.table.path}: fewer than two of the origins have a value to score; give more "
            "--origins"
        )
    if not complete.all():
        notify(f"{int((~complete).sum())} origin(s) have no value to score: left out")
    losses = {name: values[complete] for name, values in losses.items()}
    order = sorted(losses, key=lambda name: float(losses[name].mean()))
    comparisons = against_best(losses, -(-field.horizon // field.plan.stride))
    return BacktestResult(
        run_id,
        [_ranked_model(name, scores[name]) for name in order],
        comparisons,
        [max(times) for times in zip(*_all_stamps(field), strict=True)],
        frame_of(scores, field),
        in_words(comparisons, by),
        [],
    )


def _ranked_model(name: str, scores: Scores) -> Ranked:
    mae, crps = mean(by_origin(scores.mae)), mean(by_origin(scores.crps))
    return Ranked(name, mae, crps, scores.coverage, scores.seconds)


def _all_stamps(field: Field) -> list[list[str]]:
    return [field.stamps(number) for number in range(len(field.table))]


def _write(folder: Path, result: BacktestResult) -> None:
    (folder / "backtest.csv").write_bytes(table_bytes(result.frame, ".csv"))
    text = "".join(f"{line}\n" for line in result.findings)
    (folder / "findings.txt").write_text(text, encoding="utf-8")


def _write_output(result: BacktestResult, output: Path | None) -> None:
    if output is not None:
        content = table_bytes(result.frame, ".csv")
        write_together({output: lambda partial: partial.write_bytes(content)})


def _notify_different_ends(field: Field, notify: Callable[[str], object]) -> None:
    stamps = _all_stamps(field)
    if any(each != stamps[0] for each in stamps):
        notify(
            "the series do not end together: an origin is counted back from each one's own "
            "end, its time is the latest"
        )


def load_configs(
    names: Sequence[str], settings: Sequence[str], overrides: Mapping[str, Any]
) -> dict[str, Config]:
    """The configurations of the models and the baseline, by name."""
    paths: dict[str, Path] = {}
    for name in [*names, BASELINE]:
        path = find_config(name)
        if paths.setdefault(path.stem, path).resolve() != path.resolve():
            raise UserError(
                f"--model {path}: another model is called '{path.stem}', too; rename one of the "
                "two files"
            )
    return {name: load_config(path, settings, overrides) for name, path in paths.items()}


def _horizon(configs: Mapping[str, Config]) -> int:
    """The common horizon of all models."""
    horizons = {config.data.horizon for config in configs.values()}
    if len(horizons) > 1:
        raise UserError(
            f"--model: their horizons differ ({', '.join(map(str, sorted(horizons)))}); give one "
            "with --horizon"
        )
    return next(iter(horizons))
