"""``evaluate``: a saved model on a split, or on rolling origins of a file, as one tracked run with
tables and pictures.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from forecaster.config.schema import DataConfig
from forecaster.data.problem import (
    Problem,
    TooShortError,
    load_problem,
    load_table,
    rolling_problem,
)
from forecaster.data.report import IntakeReport
from forecaster.data.splits import Part
from forecaster.data.tables import Table, read_table
from forecaster.data.windows import Windows
from forecaster.errors import UserError
from forecaster.evaluation.score import (
    Scoring,
    Units,
    WindowScores,
    chosen,
    interval_ends,
    score_seasonal_naive,
    score_windows,
    worst_windows,
)
from forecaster.inference.locate import open_model
from forecaster.inference.predictor import check_form, in_model_order
from forecaster.inference.saved_model import SavedModel
from forecaster.io.tables import table_bytes
from forecaster.reporting.plots import Panel, plot_leads, plot_pit, plot_reliability, plot_windows
from forecaster.tracking import labels
from forecaster.tracking import run as tracking
from forecaster.tracking.provenance import code_version, versions
from forecaster.training.progress import scoring_bar

# the metrics whose values at each lead time are tracked as steps; by_lead.csv holds all
CURVES = ("mse", "mae", "crps", "wql", "coverage/90", "width/90")


@dataclass(frozen=True)
class Rolling:
    """The last ``origins`` of a file in place of a split, ``stride`` steps apart (None: the
    horizon).
    """

    origins: int
    stride: int | None


@dataclass(frozen=True)
class EvaluateOptions:
    """The options of the command ``evaluate``."""

    reference: str
    csv: Path | None
    dataset: str | None
    split: str
    rolling: Rolling | None
    scoring: Scoring
    conformal: bool
    resample_rate: int
    accelerator: str | None
    experiment: str
    run_name: str | None
    roles: Mapping[str, Any]


@dataclass(frozen=True)
class EvaluationResult:
    """Metrics named ``test/…`` or ``val/…``, those of seasonal naive on the same windows, and what
    they mean.
    """

    run_id: str
    metrics: dict[str, float]
    baseline: dict[str, float]
    season: int
    about: str


@dataclass(frozen=True)
class _Prepared:
    saved: SavedModel
    problem: Problem
    windows: Windows
    part: Part
    scoring: Scoring
    which: str

    @property
    def prefix(self) -> str:
        """The beginning of the metrics' names."""
        return "val" if self.part == "validation" else "test"


def evaluate_saved(asked: EvaluateOptions, say: Callable[[str], object]) -> EvaluationResult:
    """Score, log the run with its tables and pictures; ``say`` gets what people should know of the
    figures.
    """
    made = _prepare(asked, say)
    problem, scoring = made.problem, made.scoring
    season = problem.table.interval.season
    with tracking.open_run(asked.experiment, asked.run_name or _run_name(asked, made)) as run:
        _log_start(run, asked, made, season)
        found = score_windows(made.saved.model, problem, made.windows, scoring, watch=scoring_bar)
        if not found.errors.isfinite().any():
            raise UserError(
                f"{problem.table.path}: {_about(made, len(found.numbers))}: none has a value to "
                "score; see check"
            )
        whole = len(chosen(made.windows, replace(scoring, limit=None)))
        if len(found.numbers) < whole:
            say(
                f"--limit: scored {len(found.numbers)} of {whole} windows, evenly spaced from the "
                "first to the last"
            )
        naive = score_seasonal_naive(problem, made.part, scoring)
        metrics = {f"{made.prefix}/{name}": value for name, value in found.pooled().items()}
        baseline = {f"{made.prefix}/{name}": value for name, value in naive.pooled().items()}
        run.metrics(metrics)
        run.metrics(
            {
                f"{made.prefix}/seasonal_naive/{name}": value
                for name, value in naive.pooled().items()
            }
        )
        leads = found.totals.by_lead()
        run.curves(
            {f"by_lead/{made.prefix}/{name}": leads[name] for name in CURVES if name in leads}
        )
        with tempfile.TemporaryDirectory() as scratch:
            summary = {
                "metrics": metrics,
                "seasonal_naive": baseline,
                "season": season,
                "versions": versions(),
            }
            _write_tables(Path(scratch), found, made, summary)
            run.folder(Path(scratch), "evaluation")
        with tempfile.TemporaryDirectory() as scratch:
            _draw(Path(scratch), found, naive, made)
            run.folder(Path(scratch), "plots")
        return EvaluationResult(
            run.run_id, metrics, baseline, season, _about(made, len(found.numbers))
        )


def _prepare(asked: EvaluateOptions, say: Callable[[str], object]) -> _Prepared:
    if asked.conformal and asked.scoring.mode == "point":
        raise UserError(
            "--conformal gives intervals, --mode point has none; ask for --mode probabilistic"
        )
    saved = open_model(asked.reference, asked.accelerator)
    saved = saved.resampled(asked.resample_rate) if asked.resample_rate > 1 else saved
    saved = saved.conformal() if asked.conformal else saved
    if asked.scoring.mode == "probabilistic" and saved.model.distribution == "none":
        cause = f"model '{saved.config.model.name}'" if saved.rate == 1 else "--resample-rate"
        raise UserError(f"{cause} gives a point forecast only; ask for --mode point")
    saved.model.check_steps(asked.scoring.steps)
    if asked.conformal and asked.split == "validation":
        say(
            "--conformal: the intervals come from the errors on these very windows, so their "
            "coverage here is that of the "
            "calibration and says nothing about new data; see --split test"
        )
    source = _source(saved.config.data, asked)
    table = _read(source, asked, say)
    check_form(saved, table)
    table = in_model_order(saved, table)
    scoring, which = asked.scoring, f"the {asked.split} split"
    if asked.rolling is None:
        try:
            problem = load_problem(source, table, saved.scaling)
        except TooShortError as error:
            raise UserError(
                f"{error.what}; give --origins in place of --split, or more rows"
            ) from error
    else:
        origins, stride = asked.rolling.origins, asked.rolling.stride or source.horizon
        problem, scoring = (
            rolling_problem(source, table, origins, stride, saved.scaling),
            replace(scoring, stride=stride),
        )
        which = f"the last {origins} origins, {stride} steps apart"
    unknown = [
        name
        for name in (series.item_id or "" for series in table.series)
        if name not in saved.scaling
    ]
    if unknown:
        say(
            f"{len(unknown)} series, such as '{unknown[0]}', were not in the training: scaled by "
            "their own values before "
            "those scored"
        )
    part: Part = "validation" if asked.split == "validation" else "test"
    windows = problem.windows(part)
    if part == "test":
        _tell_what_was_seen(saved, problem, asked.rolling is not None, say)
    return _Prepared(saved, problem, windows, part, scoring, which)


def _tell_what_was_seen(
    saved: SavedModel, problem: Problem, rolling: bool, say: Callable[[str], object]
) -> None:
    """Windows in the rows that the model was trained on or chosen by flatter it."""
    table, seen = problem.table, False
    try:
        until = {
            name: pd.Timestamp(last)
            for name, last in saved.metadata.get("learnt_until", {}).items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(
            f"{saved.folder / 'metadata.json'}: learnt_until is damaged; copy the model again"
        ) from error
    for series, border in zip(table.series, problem.borders, strict=True):
        first = table.interval.stamps(series.first, border.part("test")[0] + 1)[-1]
        known = until.get(series.item_id or "")
        seen |= known is not None and first <= known
    if seen:
        other = "" if table.digest == saved.metadata.get("digest") else ", if these are its series"
        which, remedy = "--origins: the earliest", "give fewer origins or a smaller --stride"
        if not rolling:
            which, remedy = (
                "the test split: its first windows",
                "give --origins that lie after those rows",
            )
        say(
            f"{which} lie in the rows that this model was trained on or chosen by{other}, which "
            f"flatters it; {remedy}"
        )


def _source(trained: DataConfig, asked: EvaluateOptions) -> DataConfig:
    if asked.csv is None and asked.dataset is None:
        return trained
    given = {name: value for name, value in asked.roles.items() if value is not None}
    # the training file's interval is the model's affair: it is compared, not imposed
    given = given if asked.csv is None else {"freq": None, **given}
    places = {"csv": None if asked.csv is None else str(asked.csv), "dataset": asked.dataset}
    return trained.model_copy(update={**given, **places})


def _read(source: DataConfig, asked: EvaluateOptions, say: Callable[[str], object]) -> Table:
    if asked.csv is None or asked.dataset is not None:
        return load_table(source)
    table = read_table(asked.csv, source.columns, IntakeReport())
    for decision in table.report.decisions:
        say(decision)
    return table


def _data_name(made: _Prepared) -> str:
    return made.problem.config.dataset or Path(made.problem.table.path).name


def _run_name(asked: EvaluateOptions, made: _Prepared) -> str:
    which = asked.split if asked.rolling is None else f"{asked.rolling.origins} origins"
    return f"evaluate {labels.title(made.saved.config)} {_data_name(made)} {which}"


def _about(made: _Prepared, count: int) -> str:
    scale = "in the file's own units" if made.problem.protocol is None else "on z-scored values"
    ahead = f"{made.problem.config.horizon} steps ahead"
    return f"{count} windows of {_data_name(made)}, {made.which}, {ahead}, {scale}"


def _log_start(run: tracking.Run, asked: EvaluateOptions, made: _Prepared, season: int) -> None:
    problem, saved, scoring = made.problem, made.saved, made.scoring
    config, sampled = problem.config, scoring.mode == "probabilistic"
    values = {
        "model": labels.title(saved.config),
        "reference": asked.reference,
        "model.name": saved.config.model.name,
        "data.csv": config.csv and Path(config.csv).name,
        "data.dataset": config.dataset,
        "data.sha256": problem.table.digest,
        "data.horizon": config.horizon,
        "data.lookback": config.lookback,
        "windows": made.which,
        "mode": scoring.mode,
        "samples": scoring.samples if sampled else None,
        "steps": scoring.steps,
        "limit": scoring.limit,
        "seed": scoring.seed if sampled else None,
        "conformal": asked.conformal,
        "resample_rate": saved.rate,
        "season": season,
    }
    run.parameters({name: value for name, value in values.items() if value is not None})
    source = labels.data_source(problem)
    run.dataset(
        labels.dataset_name(problem),
        problem.table.digest,
        source,
        problem.table.names,
        "evaluation",
    )
    run.tags(
        {
            **labels.tags(saved.config.model_copy(update={"data": config}), problem, saved.model),
            "mode": scoring.mode,
            "kind": "evaluation",
            "evaluated_run": str(saved.metadata.get("run_id")),
            "code": code_version(),
        }
    )


def _write_tables(
    folder: Path, found: WindowScores, made: _Prepared, summary: Mapping[str, Any]
) -> None:
    """metrics.json; by_lead.csv, by_series.csv, windows.csv; pit.csv and ranks.csv where there is a
    distribution.
    """
    table, windows = made.problem.table, made.windows
    (folder / "metrics.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    frames = {
        "by_lead": pd.DataFrame({"lead": range(1, windows.horizon + 1), **found.totals.by_lead()})
    }
    names = [
        table.channel_label(series, k) for series in table.series for k in range(len(table.names))
    ]
    frames["by_series"] = pd.DataFrame({"item_id": names, **found.totals.by_series()})
    owners, rows = windows.owners[found.numbers].numpy(), windows.rows[found.numbers].numpy()
    grids = [table.interval.stamps(s.first, len(s.values)) for s in table.series]
    stamps = [grids[owner][row] for owner, row in zip(owners, rows, strict=True)]
    items = [table.series[owner].item_id or "" for owner in owners]
    frames["windows"] = pd.DataFrame(
        {"item_id": items, "first_target": stamps, "error": found.errors.numpy()}
    )
    for name, file in (("pit", "pit"), ("rank", "ranks")):
        if name in found.totals.sums:
            shares = found.totals.histogram(name)
            frames[file] = pd.DataFrame(
                {"from": np.arange(len(shares)) / len(shares), "share": shares}
            )
    for name, frame in frames.items():
        (folder / f"{name}.csv").write_bytes(table_bytes(frame, ".csv"))


def _draw(folder: Path, found: WindowScores, naive: WindowScores, made: _Prepared) -> None:
    title, leads = labels.title(made.saved.config), found.totals.by_lead()
    names = [name for name in ("mae", "mse", "crps", "coverage/90") if name in leads]
    plot_leads(
        folder / "by_lead.png",
        {n: {title: leads[n], "seasonal naive": naive.totals.by_lead().get(n)} for n in names},
    )
    if "pit" in found.totals.sums:
        shares = found.totals.histogram("pit")
        plot_pit(folder / "pit.png", shares)
        plot_reliability(folder / "reliability.png", shares)
    plot_windows(folder / "worst.png", _panels(found, made))


def _panels(found: WindowScores, made: _Prepared) -> list[Panel]:
    """The worst windows, each by the channel that is furthest off."""
    model, table, windows, scoring = (
        made.saved.model,
        made.problem.table,
        made.windows,
        made.scoring,
    )
    numbers = worst_windows(found, windows)
    if not len(numbers):
        return []
    batch = windows[numbers].to(model.device)
    units = Units(made.problem, windows, model.device)
    with torch.no_grad():
        point = units.restore(model.predict(batch, scoring.steps), batch.index)
        ends = (
            interval_ends(model, batch, scoring, units) if scoring.mode == "probabilistic" else None
        )
    past, y = units.restore(batch.past, batch.index), units.truth(batch.index)
    past, y = (
        torch.where(batch.past_mask > 0, past, torch.nan),
        torch.where(batch.future_mask > 0, y, torch.nan),
    )
    off = (
        torch.nan_to_num((point - y).abs() / units.of(units.deviation, batch.index, 3))
        .sum(2)
        .argmax(1)
    )
    measure = "absolute error" if scoring.mode == "point" else "CRPS"
    errors, panels = dict(zip(found.numbers.tolist(), found.errors.tolist(), strict=True)), []
    for i, number in enumerate(numbers.tolist()):
        series, row, k = (
            table.series[int(windows.owners[number])],
            int(windows.rows[number]),
            int(off[i]),
        )
        grid = table.interval.stamps(series.first, len(series.values))
        length = min(2 * windows.horizon, windows.lookback, row)
        panels.append(
            Panel(
                f"{table.channel_label(series, k)}: window {i + 1}, {measure} {errors[number]:.2f} "
                "standard deviations",
                grid[row - length : row],
                grid[row : row + windows.horizon],
                past[i, k, windows.lookback - length :].cpu().numpy(),
                y[i, k].cpu().numpy(),
                point[i, k].cpu().numpy(),
                None if ends is None else ends[i, :, k].cpu().numpy(),
            )
        )
    return panels
