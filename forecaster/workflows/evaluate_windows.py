"""The windows of an evaluation: those of a split, or of the last origins of a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from forecaster.config.schema import DataConfig
from forecaster.data.problem import (
    Problem,
    TooShortError,
    load_problem,
    load_table,
    rolling_problem,
)
from forecaster.data.reading import RawTable
from forecaster.data.splits import Part
from forecaster.data.tables import Table
from forecaster.errors import UserError
from forecaster.evaluation.score import Mode, Scoring
from forecaster.inference.checks import check_schema
from forecaster.inference.forecasts import in_model_order
from forecaster.inference.inputs import read_input
from forecaster.inference.saved_model import SavedModel
from forecaster.workflows.evaluate_report import Prepared


@dataclass(frozen=True)
class Rolling:
    """The last ``origins`` of a file, ``stride`` steps apart (None: the horizon)."""

    origins: int
    stride: int | None


@dataclass(frozen=True)
class EvaluateOptions:
    """The options of the command ``evaluate``. ``csv``: a file, or cells in memory.

    ``mode``: of ``scoring``, None for that of ``forecast`` (``default_mode``).
    """

    reference: str
    csv: Path | RawTable | None
    dataset: str | None
    split: str
    rolling: Rolling | None
    mode: Mode | None
    scoring: Scoring
    conformal: bool
    resample_rate: int
    accelerator: str | None
    experiment: str
    run_name: str | None
    roles: Mapping[str, Any]
    trust_code: bool = False


def prepare(
    saved: SavedModel, options: EvaluateOptions, notify: Callable[[str], object]
) -> Prepared:
    """Read and split the data; ``notify`` receives remarks about them."""
    if options.conformal and options.split == "validation":
        notify(
            "--conformal: the intervals come from the errors on these very windows, so their "
            "coverage here is that of the "
            "calibration and says nothing about new data; see --split test"
        )
    own_errors = saved.draws_errors and options.mode != "point"
    if own_errors and options.split == "validation":
        notify(
            "the samples are made of the errors on these very windows (of those that do not "
            "overlap, where there are any), so they say little about new data; see --split test"
        )
    source = _source(saved.config.data, options)
    if options.scoring.windows == "published" and source.dataset is None:
        raise UserError(
            "--windows published: figures are published of the named data sets only; give "
            "--dataset, or --windows all"
        )
    table = _read(saved, source, options, notify)
    check_schema(saved, table)
    problem, scoring, which = _problem(saved, in_model_order(saved, table), source, options)
    _notify_unknown_series(saved, problem, notify)
    part: Part = "validation" if options.split == "validation" else "test"
    learnt = _learnt(saved, problem, part)
    return Prepared(saved, problem, problem.windows(part), part, scoring, which, learnt)


def with_held_out(
    prepared: Prepared,
    held_out: SavedModel,
    rolling: Rolling | None,
    notify: Callable[[str], object],
) -> Prepared:
    """The same windows for the held-out model, as that in service has learnt from them.

    ``notify`` is told so, and if the held-out model has learnt from test windows, too.
    """
    saved, problem, part = prepared.saved, prepared.problem, prepared.part
    other = "" if problem.table.digest == saved.metadata.get("digest") else ", if these are its"
    other = f"{other} series" if other else ""
    apart = held_out.model is not saved.model
    if apart:
        notify(
            f"scored is the held-out model: the saved model was trained on all rows until "
            f"{problem.table.clock.said(max(saved.until().values()))}{other}"
            f"{_fresh_origins(saved, problem, rolling)}"
        )
    learnt = _learnt(held_out, problem, part)
    if learnt and part == "test":
        which, remedy = "--origins: the earliest", "give fewer origins or a smaller --stride"
        if rolling is None:
            which = "the test split: its first windows"
            remedy = "give --origins that lie after those rows"
        notify(
            f"{which} lie in the rows that this model was trained on or chosen by{other}, which "
            f"flatters it; {remedy}"
        )
    return replace(prepared, saved=held_out, learnt=learnt, held_out=apart)


def _fresh_origins(saved: SavedModel, problem: Problem, rolling: Rolling | None) -> str:
    """How many origins lie after all rows that a model has learnt from, as the end of a note."""
    until, table, horizon = saved.until(), problem.table, problem.config.horizon
    stride = (rolling.stride if rolling else None) or horizon
    fresh = [
        int((table.interval.stamps(s.first, len(s.values)) > until[s.item_id or ""]).sum())
        for s in table.series
        if (s.item_id or "") in until
    ]
    count = (min(fresh) - horizon) // stride + 1
    if count < 1:
        return ""
    which = f"--origins {count}" + (f" --stride {stride}" if rolling and rolling.stride else "")
    return f"; {which} scores the saved model, on the rows after that"


def _learnt(saved: SavedModel, problem: Problem, part: Part) -> bool:
    """Whether a model has learnt from a target of these windows, or was chosen by it."""
    until, table = saved.until(), problem.table
    for series, border in zip(table.series, problem.borders, strict=True):
        first = table.interval.stamp(series.first, border.part(part)[0])
        last = until.get(series.item_id or "")
        if last is not None and first <= last:
            return True
    return False


def _problem(
    saved: SavedModel, table: Table, source: DataConfig, options: EvaluateOptions
) -> tuple[Problem, Scoring, str]:
    """The problem, its scoring with the stride of the origins, and a description of the windows."""
    if options.rolling is None:
        try:
            problem = load_problem(source, table, saved.scaling, saved.encoding)
        except TooShortError as error:
            raise UserError(
                f"{error.fault}; give --origins in place of --split, or more rows"
            ) from error
        published = ", without its last incomplete batch of 32"
        which = published if options.scoring.windows == "published" else ""
        return problem, options.scoring, f"the {options.split} split{which}"
    origins, stride = options.rolling.origins, options.rolling.stride or source.horizon
    problem = rolling_problem(source, table, origins, stride, saved.scaling, saved.encoding)
    which = f"the last {origins} origins, {stride} steps apart"
    return problem, replace(options.scoring, stride=stride), which


def _notify_unknown_series(
    saved: SavedModel, problem: Problem, notify: Callable[[str], object]
) -> None:
    names = [series.item_id or "" for series in problem.table.series]
    unknown = [name for name in names if name not in saved.scaling]
    if unknown:
        notify(
            f"{len(unknown)} series, such as '{unknown[0]}', were not in the training: scaled by "
            "their own values before "
            "those scored"
        )


def _source(trained: DataConfig, options: EvaluateOptions) -> DataConfig:
    if options.csv is None and options.dataset is None:
        return trained
    roles = {name: value for name, value in options.roles.items() if value is not None}
    # the training file's interval is not imposed: it is compared later
    roles = roles if options.csv is None else {"freq": None, **roles}
    file = str(options.csv) if isinstance(options.csv, Path) else None
    sources = {"csv": file, "dataset": options.dataset}
    return trained.model_copy(update={**roles, **sources})


def _read(
    saved: SavedModel, source: DataConfig, options: EvaluateOptions, notify: Callable[[str], object]
) -> Table:
    if options.csv is None or options.dataset is not None:
        return load_table(source)
    table = read_input(saved, options.csv, options.roles)
    for decision in table.report.decisions:
        notify(decision)
    return table
