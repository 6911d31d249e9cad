"""A forecast of many series, part by part: read, forecast, written, forgotten.

What the forecast of a part depends on besides its rows is found once beforehand, so that the parts
can be forecast in any order, by any engine, with the same numbers.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecaster.data.grid import UnknownIntervalError
from forecaster.data.many import Parts, read_part
from forecaster.data.report import briefly
from forecaster.errors import UserError
from forecaster.inference.checks import check_table
from forecaster.inference.inputs import columns_of, read_input
from forecaster.inference.outcome import FALLBACK, Lenders, enough, lenders_of
from forecaster.inference.predictor import PredictionRequest
from forecaster.inference.saved_model import SavedModel
from forecaster.io.output_tables import TableWriter, kind_of, renamed_items
from forecaster.training.plan import Part
from forecaster.workflows.engines import Engine, Recipe

if TYPE_CHECKING:
    from forecaster.training.progress import Monitor

# a decision about some series: how many, what of them, those named, and the others
_SERIES = re.compile(r"(\d+) (series [^:]+): (.+?)(?: and (\d+) more)?", re.DOTALL)
# one about many: how many, the first of them, and what of them
_MANY = re.compile(r"(\d+) series \((.+, …)\) (.+)", re.DOTALL)


@dataclass(frozen=True)
class Written:
    """The rows of a forecast that was written part by part, and all decisions."""

    rows: int
    decisions: list[str]


def write_parts(
    saved: SavedModel, parts: Parts, recipe: Recipe, engine: Engine, path: Path, progress: "Monitor"
) -> Written:
    """Forecast each part of a file by an engine, and append it to ``path``.

    The numbers are those of the whole file at once. Raises UserError if no series can be forecast.
    """
    decisions = [list(parts.decisions)]
    done, forecast_any = 0, False
    with (
        TableWriter(path, kind_of(path)) as writer,
        progress.overall([Part("forecasting", parts.series)]),
    ):
        progress.start("forecasting", parts.series)
        for part in engine(saved, recipe, parts.taken()):
            writer.write(part.frame)
            forecast_any |= bool(part.frame["mean"].notna().any())
            found = part.decisions
            if kind_of(path) != ".parquet":
                found = found + renamed_items(part.frame["item_id"])
            decisions.append(found)
            done += part.series
            if done < parts.series:
                progress.advance(done, f"{done:,} of {parts.series:,} series")
            del part  # before the next one is read
    told = merged(decisions)
    if not forecast_any:
        skipped = next(text for text in told if " series skipped: " in text)
        raise UserError(f"{parts.path}: no series can be forecast; {skipped}; add rows with values")
    return Written(writer.rows, told)


def found_before(
    saved: SavedModel,
    parts: Parts,
    roles: Mapping[str, Any],
    start: str | None,
    request: PredictionRequest,
) -> tuple[dict[str, Any], Lenders]:
    """What all parts have in common: the roles of their columns, and the series that lend errors.

    As many parts are read as these need, the first one as a rule. Raises UserError for one that
    cannot be forecast.
    """
    given = {name: getattr(parts.columns, name) for name in ("timestamp", "item_id", "target")}
    roles, lenders = {**roles, **given}, None
    columns = columns_of(saved, roles)
    lent = FALLBACK in {columns.on_short, columns.on_dead}
    for file in parts.files:
        raw = read_part(parts.path, parts.digest, file.read_bytes())
        try:
            table = read_input(saved, raw, roles, start)
        except UnknownIntervalError:
            continue  # nothing but single rows
        faults = check_table(saved, table, request, columns)[0] if lent else []
        if table.interval.tick is not None:
            roles["freq"] = table.interval.alias  # a part of single rows has none of its own
        lenders = lenders_of(table, faults, lenders) if lent else {}
        if enough(lenders):
            break
    return roles, lenders or {}


def merged(parts: Iterable[Iterable[str]]) -> list[str]:
    """The decisions of all parts, those about some series of each as one about all of these."""
    found: dict[str, str] = {}
    for text in (text for part in parts for text in part):
        if many := _MANY.fullmatch(text):
            first = _MANY.fullmatch(found.get(many[3], text))
            assert first is not None
            total = int(many[1]) + (int(first[1]) if many[3] in found else 0)
            found[many[3]] = f"{total} series ({first[2]}) {many[3]}"
            continue
        series = _SERIES.fullmatch(text)
        before = _SERIES.fullmatch(found.get(series[2], "")) if series else None
        if series and before:
            total, more = int(before[1]) + int(series[1]), int(before[4] or 0) + int(series[1])
            found[series[2]] = f"{total} {series[2]}: {before[3]} and {more} more"
        else:
            found[series[2] if series else text] = text
    return briefly(found.values())
