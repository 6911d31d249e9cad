"""The section of a report about one run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from forecaster.reporting.charts import curves, histogram, reliability
from forecaster.reporting.numbers import figure
from forecaster.reporting.recorded import dataset_of, fans
from forecaster.reporting.summary import FEW
from forecaster.reporting.svg import Chart
from forecaster.tracking.record import Record, file_name

_INTERVALS = (50, 80, 90, 95)
LEADS = {"mae": "Mean absolute error", "mse": "Mean squared error", "crps": "CRPS"}
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
EFFECTS = ("covariate", "change", "column", "effect", "of the mean")
LAST = ("windows", "probabilistic_windows")


@dataclass(frozen=True)
class Row:
    """A row of a table; ``best``: the indices of the best cells."""

    name: str
    cells: list[str]
    best: frozenset[int] = frozenset()


@dataclass(frozen=True)
class RunSection:
    """The section of the page about one run; ``key``: the letter that stands for it in charts.

    ``more``: how many series have no fan. ``metrics``: the few that tell most, ``rest`` the others.
    """

    key: str
    name: str
    verdict: str | None
    summary: list[tuple[str, str]]
    notes: list[str]
    fans: list[Chart]
    more: int
    units: str
    metrics_head: list[str]
    metrics: list[Row]
    rest: list[Row]
    leads: list[Chart]
    calibration: list[Chart]
    coverage: list[Row]
    effects: list[Row]
    candidates: list[Row]
    data: list[tuple[str, str]]
    lineage: list[tuple[str, str]]
    configuration: str


def section(key: str, name: str, record: Record, series: Sequence[str]) -> RunSection:
    """All that is known of a run; ``series``: those that are drawn."""
    head, metrics = metric_rows(record)
    few = [row for each in FEW for row in metrics if row.name == each]
    charts, more = fans(record, series)
    return RunSection(
        key,
        name,
        record.verdict,
        _summary(record),
        _notes(record),
        charts,
        more,
        _units(record),
        head,
        few,
        [row for row in metrics if row not in few],
        _leads(record),
        _calibration(record),
        _coverage_rows(record),
        effect_rows(record.table("evaluation/effects.csv")),
        candidate_rows(record.table("evaluation/leaderboard.csv")),
        _data(record),
        _lineage(record),
        record.configuration,
    )


def _summary(record: Record) -> list[tuple[str, str]]:
    seconds = record.metrics.get("train_seconds")
    took = "" if seconds is None else f", {figure(round(seconds))} s"
    return [
        ("model", record.tags.get("model", record.params.get("model.name", "?"))),
        ("data", dataset_of(record)),
        ("lookback", f"{record.params.get('data.lookback', '?')} steps"),
        ("horizon", f"{record.params.get('data.horizon', '?')} steps"),
        ("trained", f"{record.started:%Y-%m-%d %H:%M} UTC{took}"),
    ]


def _notes(record: Record) -> list[str]:
    notes = [] if record.status == "FINISHED" else [f"This run did not finish: {record.status}."]
    notes += [record.missing] if record.missing else []
    if record.evaluation is not None:
        count = record.scores.get(f"{record.prefix}/windows", 0)
        notes.append(
            f"Lead times and calibration are those of the evaluation {record.evaluation[:8]} of "
            f"this model on {count:.0f} test windows; the table of metrics is the training's."
        )
    return notes


def _leads(record: Record) -> list[Chart]:
    leads = record.table("evaluation/by_lead.csv")
    charts = [
        curves(text, {"": leads[key].tolist()}) for key, text in LEADS.items() if key in leads
    ]
    if "coverage/90" in leads:
        title = "Coverage of the 90 % interval"
        charts.append(curves(title, {"": leads["coverage/90"].tolist()}, 0.9))
    return charts


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


def baseline_of(record: Record, metric: str) -> float | None:
    """A metric of the baseline, seasonal naive, on the same test windows."""
    return record.metrics.get(f"test/seasonal_naive/{metric}")


def metric_names(metrics: Mapping[str, float]) -> list[str]:
    """Metric names without val/ or test/ and without the baseline's, point metrics first."""
    plain = {name.partition("/")[2] for name in metrics if name.startswith(("val/", "test/"))}
    known = {name for name in plain if not name.startswith(("seasonal_naive/", "loss"))}
    places = {name: i for i, name in enumerate(_ORDER)}
    return sorted(
        known,
        key=lambda name: (name in LAST, places.get(name.partition("/")[0], len(_ORDER)), name),
    )


def metric_rows(record: Record) -> tuple[list[str], list[Row]]:
    """The head and the rows of a run's metrics, with those of seasonal naive."""
    rows = []
    for name in metric_names(record.metrics):
        values = (
            record.metrics.get(f"val/{name}"),
            record.metrics.get(f"test/{name}"),
            baseline_of(record, name),
        )
        rows.append(Row(name, [figure(value) for value in values]))
    return ["", "validation", "test", "seasonal naive, test"], rows


def coverages(record: Record) -> dict[int, float]:
    """The coverage (0…1) of the central p % intervals, by p."""
    names = {percent: f"{record.prefix}/coverage/{percent}" for percent in _INTERVALS}
    return {
        percent: record.scores[name] for percent, name in names.items() if name in record.scores
    }


def _calibration(record: Record) -> list[Chart]:
    shares, pit = coverages(record), record.table("evaluation/pit.csv")
    charts = [reliability({"coverage": shares})] if shares else []
    if "share" in pit:
        charts.append(histogram("Probability integral transform (PIT)", pit["share"].tolist()))
    return charts


def _coverage_rows(record: Record) -> list[Row]:
    return [
        Row(
            f"{percent} %",
            [f"{100 * share:.1f} %", figure(record.scores.get(f"{record.prefix}/width/{percent}"))],
        )
        for percent, share in coverages(record).items()
    ]


def effect_rows(effects: pd.DataFrame) -> list[Row]:
    """The rows of ``EFFECTS``: what each covariate does to the forecast."""
    return [
        Row(
            str(each["covariate"]),
            [
                str(each["change"]),
                str(each["column"]),
                f"{each['effect']:+.4g}",
                "" if pd.isna(each["percent"]) else f"{each['percent']:+.1f} %",
            ],
        )
        for each in effects.to_dict("records")
    ]


def candidate_rows(leaderboard: pd.DataFrame) -> list[Row]:
    """The candidates of an ensemble: CRPS by itself on validation, or why there is none, weight."""
    return [
        Row(str(each["name"]), [str(each["fault"]), ""])
        if not pd.isna(each["fault"])
        else Row(
            str(each["name"]),
            [f"{each['crps']:.4f}", f"{each['weight']:.2f}" if each["weight"] else ""],
        )
        for each in leaderboard.to_dict("records")
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
