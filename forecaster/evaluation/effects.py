"""What a covariate does to a forecast: the change when it alone is another one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float64, Int
from numpy.typing import NDArray
from torch import Tensor

from forecaster.data.covariates import KINDS
from forecaster.data.digits import shortest
from forecaster.data.encoding import ColumnCode
from forecaster.data.problem import Problem
from forecaster.data.windows import Batch, Windows, loader_of
from forecaster.evaluation.units import Units
from forecaster.models.adjusted import uses_covariates
from forecaster.models.base import Forecaster

COLUMNS = ("covariate", "change", "column", "effect", "percent")
_WINDOWS = 64
_LEVELS = 8  # the most frequent texts of a column
_BATCH = 16


@dataclass(frozen=True)
class _Change:
    """The features ``place`` of a kind with values ``to`` (width,) against those ``before``.

    None: as they are in the data; ``shift``: added to what they are there. ``blanks``: the feature
    that is 1 where the column is blank, and stays so.
    """

    name: str
    words: str
    kind: str
    place: slice
    before: NDArray[np.float64] | None
    to: NDArray[np.float64] | None
    shift: float = 0.0
    blanks: int | None = None


def effects_of(
    model: Forecaster, problem: Problem, windows: Windows, numbers: Int[Tensor, " W"]
) -> pd.DataFrame:
    """The mean change of the point forecast for each column of covariates and value column.

    A column of numbers is moved by one standard deviation of its training rows, one of 0 and 1 set
    to 1 against 0, and each text against the most frequent one: known ones in all steps of the
    forecast, past ones in all of the history. ``effect``: in the file's units; ``percent``: of the
    mean forecast. ``numbers``: the windows, of which up to 64 evenly spaced ones are used.
    No rows for a model without covariates.
    """
    changes = [] if problem.encoding is None or not uses_covariates(model) else [*_changes(problem)]
    if not changes:
        return pd.DataFrame(columns=list(COLUMNS))
    places = np.unique(np.linspace(0, len(numbers) - 1, _WINDOWS).round().astype(np.int64))
    chosen, units = numbers[torch.from_numpy(places)], Units(problem, windows, model.device)
    total = torch.zeros(len(changes), problem.channels, dtype=torch.float64)
    level = torch.zeros(problem.channels, dtype=torch.float64)
    with torch.no_grad():
        for cpu_batch in loader_of(windows, chosen, _BATCH):
            batch = cpu_batch.to(model.device)
            usual = units.restore(model.predict(batch), batch.index)
            level += usual.mean(2).sum(0).cpu()
            std = units.rows_of(units.std, batch.index, 3)
            for number, change in enumerate(changes):
                before = _with(batch, change, change.before, 0.0)
                after = _with(batch, change, change.to, change.shift)
                moved = model.predict(after).double() - model.predict(before).double()
                total[number] += (moved * std).mean(2).sum(0).cpu()
    return _table(problem, changes, total / len(chosen), level / len(chosen))


def _table(
    problem: Problem,
    changes: list[_Change],
    effects: Float64[Tensor, "C K"],
    level: Float64[Tensor, " K"],
) -> pd.DataFrame:
    rows = [
        (each.name, each.words, name, effect, 100 * effect / abs(mean) if mean else np.nan)
        for each, row in zip(changes, effects.tolist(), strict=True)
        for name, effect, mean in zip(problem.table.names, row, level.tolist(), strict=True)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _changes(problem: Problem) -> Iterator[_Change]:
    """The changes of each column from which something is learnt."""
    encoding = problem.encoding
    assert encoding is not None
    for kind in KINDS:
        begin = 0
        for number, code in enumerate(getattr(encoding, kind)):
            place = slice(begin, begin + code.width)
            begin += code.width
            if code.std:
                values = [
                    np.atleast_2d(getattr(series, kind))[:, number]
                    for series in problem.table.series
                ]
                levels = getattr(problem.table.covariates, kind)[number].levels
                yield from _of_column(code, kind, place, np.concatenate(values), levels)


def _of_column(
    code: ColumnCode,
    kind: str,
    place: slice,
    values: NDArray[np.float64],
    levels: tuple[str, ...] | None,
) -> Iterator[_Change]:
    given = values[~np.isnan(values)]
    if code.levels is None:
        first = slice(place.start, place.start + 1)
        blanks = place.start + 1 if code.blanks else None
        if set(np.unique(given).tolist()) == {0.0, 1.0}:
            off, on = (np.array([(value - code.mean) / code.std]) for value in (0, 1))
            yield _Change(code.name, "1 against 0", kind, first, off, on, 0.0, blanks)
        else:
            words = f"{shortest(float(f'{code.std:.3g}'))} more"
            yield _Change(code.name, words, kind, first, None, None, 1.0, blanks)
        return
    counts = pd.Series([(levels or ())[int(value)] for value in given]).value_counts()
    known = [text for text in counts.index if text in code.levels][:_LEVELS]
    unit = np.eye(code.width)
    for text in known[1:]:
        before, to = (unit[code.levels.index(each)] for each in (known[0], text))
        yield _Change(code.name, f"'{text}' against '{known[0]}'", kind, place, before, to)


def _with(batch: Batch, change: _Change, values: NDArray[np.float64] | None, shift: float) -> Batch:
    """The batch with the features of a column changed: known ones in the future alone."""
    assert batch.covariates is not None
    features = getattr(batch.covariates, change.kind).clone()
    steps = slice(batch.past.shape[2], None) if change.kind == "known" else slice(None)
    index = (slice(None), change.place, steps)[: features.ndim]
    usual = features[index].clone()
    if values is not None:
        new = torch.from_numpy(values).to(features)
        features[index] = new[:, None] if features.ndim == 3 else new
    features[index] += shift
    if change.blanks is not None:
        blank = features[:, change.blanks, steps][:, None] > 0
        features[index] = torch.where(blank, usual, features[index])
    return replace(batch, covariates=replace(batch.covariates, **{change.kind: features}))
