"""``report``: runs as one self-contained HTML page, with inline SVG and without scripts."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from forecaster.errors import UserError
from forecaster.io.atomic import check_folder, write_together
from forecaster.io.output_tables import level_columns, point_column
from forecaster.reporting.svg import Chart, curves, fan, histogram, reliability
from forecaster.tracking.record import Record, file_name, read_run

_TEMPLATES = Path(__file__).parent / "templates"
_INTERVALS = (50, 80, 90, 95)
_LEADS = {"mae": "Mean absolute error", "mse": "Mean squared error", "crps": "CRPS"}
_ORDER = (
    "mse",
    "mae",
    "rmse",
    "mase",
    "smape",
    "nd",
    "crps",
    "crps_sum",
    "energy",
    "wql",
    "coverage",
    "width",
    "interval",
)
_LAST = ("windows", "probabilistic_windows")
# the metrics of a comparison, and those of them without a best value
_COMPARED = (
    "mse",
    "mae",
    "rmse",
    "mase",
    "smape",
    "crps",
    "crps_sum",
    "energy",
    "wql",
    "coverage/90",
    "width/90",
    *_LAST,
)
_WITHOUT_BEST = ("width/90", *_LAST)


@dataclass(frozen=True)
class Row:
    """A row of a table; ``best``: the indices of the best cells."""

    name: str
    cells: list[str]
    best: frozenset[int] = frozenset()


@dataclass(frozen=True)
class RunSection:
    """The section of the page about one run; ``verdict``: its sentence, which begins the page."""

    name: str
    verdict: str | None
    summary: list[tuple[str, str]]
    notes: list[str]
    fans: list[Chart]
    units: str
    metrics_head: list[str]
    metrics: list[Row]
    leads: list[Chart]
    calibration: list[Chart]
    coverage: list[Row]
    data: list[tuple[str, str]]
    lineage: list[tuple[str, str]]
    configuration: str


@dataclass(frozen=True)
class Comparison:
    """The section that compares several runs; ``marked``: whether a best value is marked."""

    head: list[str]
    metrics_head: list[str]
    notes: list[str]
    metrics: list[Row]
    marked: bool
    charts: list[Chart]
    parameters: list[Row]


@dataclass(frozen=True)
class Page:
    """The content of the page; ``comparison`` is None for a single run."""

    title: str
    subtitle: str
    runs: list[RunSection]
    comparison: Comparison | None


def write_report(run_ids: Sequence[str], output: Path) -> None:
    """Write the report about these runs to ``output``."""
    check_folder(output.parent)
    records = [read_run(run_id) for run_id in dict.fromkeys(run_ids)]
    text = render(build(records))
    write_together({output: lambda path: path.write_text(text, encoding="utf-8")})


def render(page: Page) -> str:
    """The page as HTML. Names in it are untrusted, and the template escapes every one."""
    return template("report.html").render(page=page)


def template(name: str) -> Template:
    """A template, which escapes all that it is given."""
    loader = FileSystemLoader(_TEMPLATES)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(name)


def build(records: Sequence[Record]) -> Page:
    """The content of the report; raises UserError without a record."""
    if not records:
        raise UserError("report: name one run at least; see: runs list")
    names = _unique(records)
    first = records[0]
    title = f"Report: {names[0]}" if len(records) == 1 else f"Report: {len(records)} runs"
    subtitle = f"{_dataset(first)}, {first.params.get('data.horizon', '?')} steps ahead"
    same = len({(_dataset(r), r.params.get("data.horizon")) for r in records}) == 1
    sections = [_run_section(name, record) for name, record in zip(names, records, strict=True)]
    comparison = _compare(names, records) if len(records) > 1 else None
    return Page(title, subtitle if same else "of different data or horizons", sections, comparison)


def _unique(records: Sequence[Record]) -> list[str]:
    """The names, with the run's id where two are equal."""
    counts = Counter(record.name for record in records)
    return [
        record.name if counts[record.name] == 1 else f"{record.name} ({record.run_id[:8]})"
        for record in records
    ]


def _dataset(record: Record) -> str:
    named = (
        record.params.get("data.dataset")
        or record.params.get("data.csv")
        or record.tags.get("dataset", "?")
    )
    return file_name(named)


def _run_section(name: str, record: Record) -> RunSection:
    seconds = record.metrics.get("train_seconds")
    summary = [
        ("model", record.tags.get("model", record.params.get("model.name", "?"))),
        ("data", _dataset(record)),
        ("lookback", f"{record.params.get('data.lookback', '?')} steps"),
        ("horizon", f"{record.params.get('data.horizon', '?')} steps"),
        (
            "trained",
            f"{record.started:%Y-%m-%d %H:%M} UTC"
            + (f", {seconds:.0f} s" if seconds is not None else ""),
        ),
    ]
    notes = [] if record.status == "FINISHED" else [f"This run did not finish: {record.status}."]
    if record.evaluation is not None:
        count = record.scores.get(f"{record.prefix}/windows", 0)
        notes.append(
            f"Lead times and calibration are those of the evaluation {record.evaluation[:8]} of "
            f"this model on {count:.0f} "
            "test windows; the table of metrics is the training's."
        )
    head, metrics = _metric_rows(record)
    leads = record.table("evaluation/by_lead.csv")
    charts = [
        curves(text, {"": leads[key].tolist()}) for key, text in _LEADS.items() if key in leads
    ]
    if "coverage/90" in leads:
        charts.append(
            curves(
                "Coverage of the 90 % interval", {"coverage": leads["coverage/90"].tolist()}, 0.9
            )
        )
    return RunSection(
        name,
        record.verdict,
        summary,
        notes,
        _fans(record),
        _units(record),
        head,
        metrics,
        charts,
        _calibration(record),
        _coverage_rows(record),
        _data(record),
        _lineage(record),
        record.configuration,
    )


def _units(record: Record) -> str:
    unit = (
        "of z-scored values, by the data set's protocol"
        if "data.dataset" in record.params
        else "in the file's units"
    )
    return (
        f"Errors are {unit}; lower is better. "
        "Seasonal naive, the baseline, repeats the last season."
    )


def _baseline(record: Record, metric: str) -> float | None:
    """A metric of the baseline, seasonal naive, on the same test windows."""
    return record.metrics.get(f"test/seasonal_naive/{metric}")


def _names(metrics: Mapping[str, float]) -> list[str]:
    """Metric names without val/ or test/ and without the baseline's, point metrics first."""
    plain = {name.partition("/")[2] for name in metrics if name.startswith(("val/", "test/"))}
    known = {name for name in plain if not name.startswith(("seasonal_naive/", "loss"))}
    places = {name: i for i, name in enumerate(_ORDER)}
    return sorted(
        known,
        key=lambda name: (name in _LAST, places.get(name.partition("/")[0], len(_ORDER)), name),
    )


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _metric_rows(record: Record) -> tuple[list[str], list[Row]]:
    rows = []
    for name in _names(record.metrics):
        values = (
            record.metrics.get(f"val/{name}"),
            record.metrics.get(f"test/{name}"),
            _baseline(record, name),
        )
        rows.append(Row(name, [_cell(value) for value in values]))
    return ["", "validation", "test", "seasonal naive, test"], rows


def _fans(record: Record) -> list[Chart]:
    past = record.forecast("forecasts/history.csv")
    forecast = record.forecast("forecasts/forecast.csv")
    if past.empty or forecast.empty:
        return []
    charts = []
    levels, point = level_columns(forecast), point_column(forecast)
    for name in dict.fromkeys(past["item_id"]):
        history, rows = past[past["item_id"] == name], forecast[forecast["item_id"] == name]
        # the forecast of a file in descending order is in descending order, too
        times = pd.to_datetime(rows["timestamp"], utc=True)
        rows = rows.iloc[::-1] if len(rows) > 1 and times.iloc[0] > times.iloc[-1] else rows
        stamps = [*history["timestamp"], *rows["timestamp"]]
        fans = {level: rows[level].tolist() for level in levels}
        charts.append(fan(name, history["value"].tolist(), rows[point].tolist(), fans, stamps))
    return charts


def _coverages(record: Record) -> dict[int, float]:
    """The coverage (0…1) of the central p % intervals, by p."""
    names = {percent: f"{record.prefix}/coverage/{percent}" for percent in _INTERVALS}
    return {
        percent: record.scores[name] for percent, name in names.items() if name in record.scores
    }


def _calibration(record: Record) -> list[Chart]:
    coverages, pit = _coverages(record), record.table("evaluation/pit.csv")
    charts = [reliability({"coverage": coverages})] if coverages else []
    if "share" in pit:
        charts.append(histogram("Probability integral transform (PIT)", pit["share"].tolist()))
    return charts


def _coverage_rows(record: Record) -> list[Row]:
    return [
        Row(
            f"{percent} %",
            [f"{100 * share:.1f} %", _cell(record.scores.get(f"{record.prefix}/width/{percent}"))],
        )
        for percent, share in _coverages(record).items()
    ]


def _data(record: Record) -> list[tuple[str, str]]:
    rows = []
    for key, value in record.json("data.json").items():
        if key == "sha256":
            continue
        if key == "file":
            value = file_name(str(value))
        if isinstance(value, dict):
            value = [f"{name}: {text}" for name, text in value.items()]
        text = "; ".join(map(str, value)) if isinstance(value, list) else str(value)
        rows.append((key, text or "none"))
    return rows


def _lineage(record: Record) -> list[tuple[str, str]]:
    versions = record.json("versions.json")
    rows = {
        "run": record.run_id,
        "evaluation": record.evaluation,
        "data, SHA-256": record.digest,
        "seed": record.params.get("trainer.seed", record.params.get("seed")),
        "code": versions.pop("code", record.tags.get("code")),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }
    return [(key, str(value)) for key, value in rows.items() if value]


def _compare(names: list[str], records: Sequence[Record]) -> Comparison:
    notes = _cautions(records)
    rows = []
    head, naive = ["", *names], [] if notes else [records[0]]
    for name in _names(
        {key: 0.0 for record in records for key in record.metrics if key.startswith("test/")}
    ):
        if name in _COMPARED:
            values = [record.metrics.get(f"test/{name}") for record in records] + [
                _baseline(r, name) for r in naive
            ]
            rows.append(
                Row(
                    name,
                    [_cell(value) for value in values],
                    frozenset() if notes else _best(name, values),
                )
            )
    return Comparison(
        head,
        [*head, *("seasonal naive" for _ in naive)],
        notes,
        rows,
        any(row.best for row in rows),
        _compared_charts(names, records),
        _differing(records),
    )


def _cautions(records: Sequence[Record]) -> list[str]:
    """Reasons why the runs' metrics are not comparable."""
    checks: list[tuple[str, Callable[[Record], Any]]] = [
        ("were not trained and tested on the same data (the digests differ)", lambda r: r.digest),
        ("forecast different numbers of steps", lambda r: r.params.get("data.horizon")),
        (
            "were scored on different numbers of test windows",
            lambda r: r.metrics.get("test/windows"),
        ),
    ]
    notes = [
        f"These runs {text}: their metrics are not comparable."
        for text, of in checks
        if len({of(r) for r in records}) > 1
    ]
    if len({r.scores.get(f"{r.prefix}/windows") for r in records}) > 1 and not notes:
        notes.append(
            "The curves of these runs are of different numbers of windows: they are roughly "
            "comparable at best."
        )
    window_counts = {
        r.metrics["test/probabilistic_windows"]
        for r in records
        if "test/probabilistic_windows" in r.metrics
    }
    if len(window_counts) > 1:
        notes.append(
            "Intervals and CRPS of these runs are of different numbers of test windows: they are "
            "roughly comparable at best."
        )
    return notes


def _best(name: str, values: Sequence[float | None]) -> frozenset[int]:
    if name in _WITHOUT_BEST:
        return frozenset()
    target = int(name.removeprefix("coverage/")) / 100 if name.startswith("coverage/") else None
    distances = {
        i: v if target is None else abs(v - target)
        for i, v in enumerate(values)
        if v is not None and np.isfinite(v)
    }
    best = min(distances.values(), default=None)
    return frozenset(i for i, v in distances.items() if len(distances) > 1 and v == best)


def _compared_charts(names: list[str], records: Sequence[Record]) -> list[Chart]:
    tables = dict(
        zip(names, (record.table("evaluation/by_lead.csv") for record in records), strict=True)
    )
    charts = []
    for key, text in _LEADS.items():
        lines = {
            name: table[key].tolist() if key in table else [] for name, table in tables.items()
        }
        if any(lines.values()):
            charts.append(curves(text, lines))
    coverages = dict(zip(names, map(_coverages, records), strict=True))
    return [*charts, reliability(coverages)] if any(coverages.values()) else charts


def _differing(records: Sequence[Record]) -> list[Row]:
    keys = sorted({key for record in records for key in record.params})
    differing = [key for key in keys if len({record.params.get(key) for record in records}) > 1]
    return [
        Row(key, [_shown(key, record.params.get(key, "")) for record in records])
        for key in differing
    ]


def _shown(key: str, value: str) -> str:
    text = file_name(value) if key == "data.csv" else value
    return text if len(text) <= 60 else text[:59] + "…"
