"""A forecast of many series, part by part: read, forecast, written, forgotten."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecaster.data.many import Parts
from forecaster.data.report import briefly
from forecaster.errors import UserError
from forecaster.inference.forecasts import forecast_series
from forecaster.inference.inputs import columns_of, read_input
from forecaster.inference.outcome import Lenders
from forecaster.inference.predictor import PredictionRequest
from forecaster.inference.saved_model import SavedModel
from forecaster.io.output_tables import TableWriter, kind_of, renamed_items
from forecaster.training.plan import Part

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
    saved: SavedModel,
    parts: Parts,
    roles: Mapping[str, Any],
    start: str | None,
    request: PredictionRequest,
    path: Path,
    progress: "Monitor",
) -> Written:
    """Forecast each part of a file, and append it to ``path``.

    The numbers are those of the whole file at once. Raises UserError if no series can be forecast.
    """
    given = {name: getattr(parts.columns, name) for name in ("timestamp", "item_id", "target")}
    roles, decisions = {**roles, **given}, [list(parts.decisions)]
    lenders: Lenders = {}
    done, forecast_any = 0, False
    with (
        TableWriter(path, kind_of(path)) as writer,
        progress.overall([Part("forecasting", parts.series)]),
    ):
        progress.start("forecasting", parts.series)
        for raw in parts:
            table = read_input(saved, raw, roles, start)
            result = forecast_series(
                saved, table, request, columns_of(saved, roles), earlier=lenders
            )
            writer.write(result.frame)
            lenders, found = result.lenders, table.report.decisions + result.decisions
            forecast_any |= bool(result.frame["mean"].notna().any())
            if kind_of(path) != ".parquet":
                found = found + renamed_items(result.frame["item_id"])
            decisions.append(found)
            done += len(table.series)
            if done < parts.series:
                progress.advance(done, f"{done:,} of {parts.series:,} series")
            if table.interval.tick is not None:
                roles["freq"] = table.interval.alias  # a part of single rows has none of its own
            del raw, table, result  # before the next part is read
    told = merged(decisions)
    if not forecast_any:
        skipped = next(text for text in told if " series skipped: " in text)
        raise UserError(f"{parts.path}: no series can be forecast; {skipped}; add rows with values")
    return Written(writer.rows, told)


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
