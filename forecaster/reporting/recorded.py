"""What runs recorded of their forecasts, as charts."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from forecaster.io.output_tables import level_columns, point_column
from forecaster.reporting.charts import fan, fans_together
from forecaster.reporting.svg import Chart
from forecaster.tracking.record import Record, file_name

_DRAWN = 4  # series that have a chart


def dataset_of(record: Record) -> str:
    """The named data set, or the file's name."""
    named = (
        record.params.get("data.dataset")
        or record.params.get("data.csv")
        or record.tags.get("dataset", "?")
    )
    return file_name(named)


class _Series(NamedTuple):
    """A series' history, and the rows of its forecast, oldest first."""

    past: list[float]
    rows: pd.DataFrame
    stamps: list[str]

    @property
    def point(self) -> list[float]:
        return list(self.rows[point_column(self.rows)])


def drawn(records: Sequence[Record]) -> list[str]:
    """The series that are drawn of all runs, in the order of the first that kept a forecast."""
    names = [name for record in records for name in _names(record)]
    return list(dict.fromkeys(names))[:_DRAWN]


def fans(record: Record, names: Sequence[str]) -> tuple[list[Chart], int]:
    """The forecasts of some series after the end of the data; how many more there are."""
    charts = []
    for name, series in _series(record, names).items():
        levels = {level: series.rows[level].tolist() for level in level_columns(series.rows)}
        charts.append(fan(name, series.past, series.point, levels, series.stamps))
    return charts, _count(record) - len(charts)


def together(records: Mapping[str, Record]) -> tuple[list[Chart], int]:
    """The forecasts of several runs after the end of the same data, by the runs' keys."""
    names = drawn(list(records.values()))
    found = {key: _series(record, names) for key, record in records.items()}
    charts = []
    for name in names:
        kept = [each[name] for each in found.values() if name in each]
        if not kept:
            continue
        series = max(kept, key=lambda each: len(each.past))
        means = {
            key: each[name].point
            for key, each in found.items()
            if name in each and list(each[name].rows["timestamp"]) == list(series.rows["timestamp"])
        }
        charts.append(fans_together(name, series.past, means, series.stamps))
    return charts, max(map(_count, records.values())) - len(charts)


def _count(record: Record) -> int:
    forecast = record.forecast("forecasts/forecast.csv")
    return 0 if forecast.empty else forecast["item_id"].nunique()


def _names(record: Record) -> list[str]:
    """The series of which a run kept a history, the worst first."""
    past = record.forecast("forecasts/history.csv")
    return [] if past.empty else list(dict.fromkeys(past["item_id"]))


def _series(record: Record, names: Sequence[str]) -> dict[str, _Series]:
    """Those of some series that a run has kept, by name."""
    past = record.forecast("forecasts/history.csv")
    forecast = record.forecast("forecasts/forecast.csv")
    if past.empty or forecast.empty:
        return {}
    found = {}
    for name in (name for name in names if (past["item_id"] == name).any()):
        history, rows = past[past["item_id"] == name], forecast[forecast["item_id"] == name]
        stamps = [*history["timestamp"], *_oldest_first(rows)["timestamp"]]
        found[name] = _Series(history["value"].tolist(), _oldest_first(rows), stamps)
    return found


def _oldest_first(rows: pd.DataFrame) -> pd.DataFrame:
    """The forecast of a file in descending order is in descending order, too."""
    times = pd.to_datetime(rows["timestamp"], utc=True)
    return rows.iloc[::-1] if len(rows) > 1 and times.iloc[0] > times.iloc[-1] else rows
