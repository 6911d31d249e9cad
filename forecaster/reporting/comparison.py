"""The section of a report that compares several runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forecaster.reporting.charts import curves, reliability
from forecaster.reporting.numbers import figure
from forecaster.reporting.recorded import together
from forecaster.reporting.run_section import LAST, LEADS, Row, baseline_of, coverages, metric_names
from forecaster.reporting.svg import Chart
from forecaster.tracking.record import Record, file_name

_COMPARED = ("mase", "mae", "rmse", "crps", "wql", "coverage/80", "coverage/90", "width/90", *LAST)
_WITHOUT_BEST = ("width/90", *LAST)
_CALLED = {"probabilistic_windows": "windows of intervals"}
_LONGEST = 40  # characters of a parameter's value


@dataclass(frozen=True)
class Comparison:
    """The section that compares several runs; ``marked``: whether a best value is marked.

    ``head``: the runs' keys. ``caution``: why the figures do not compare, '' if they do. ``fans``:
    their forecasts in one picture each of a series, if they are of the same data.
    """

    head: list[str]
    metrics_head: list[str]
    caution: str
    metrics: list[Row]
    marked: bool
    fans: list[Chart]
    more: int
    charts: list[Chart]
    parameters: list[Row]


def compare(records: Mapping[str, Record]) -> Comparison:
    """The comparison of runs by their keys."""
    runs = list(records.values())
    faults = _faults(runs)
    caution = f"These runs do not compare: they {_listed(faults)}." if faults else _roughness(runs)
    naive = [] if faults else [runs[0]]
    known = {key: 0.0 for run in runs for key in run.metrics if key.startswith("test/")}
    rows = []
    for name in sorted(set(metric_names(known)) & set(_COMPARED), key=_COMPARED.index):
        values = [run.metrics.get(f"test/{name}") for run in runs]
        values += [baseline_of(run, name) for run in naive]
        best = frozenset[int]() if faults else _best(name, values)
        rows.append(Row(_CALLED.get(name, name), [figure(value) for value in values], best))
    same = len({(run.digest, run.params.get("data.horizon")) for run in runs}) == 1
    charts, more = together(records) if same else ([], 0)
    head = ["", *records]
    return Comparison(
        head,
        [*head, *("seasonal naive" for _ in naive)],
        caution,
        rows,
        any(row.best for row in rows),
        charts,
        more,
        _charts(records),
        _differing(runs),
    )


def _listed(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _faults(records: Sequence[Record]) -> list[str]:
    """Reasons why the runs' metrics are not comparable."""
    checks: list[tuple[str, Callable[[Record], Any]]] = [
        ("were not trained and tested on the same data (the digests differ)", lambda r: r.digest),
        ("forecast different numbers of steps", lambda r: r.params.get("data.horizon")),
        ("were scored on different numbers of test windows", _windows),
    ]
    return [text for text, of in checks if len({of(record) for record in records}) > 1]


def _windows(record: Record) -> float | None:
    return record.metrics.get("test/windows")


def _roughness(records: Sequence[Record]) -> str:
    """What compares roughly at best, of runs on the same windows."""
    probabilistic = {run.metrics.get("test/probabilistic_windows") for run in records} - {None}
    rough = []
    if len({run.scores.get(f"{run.prefix}/windows") for run in records}) > 1:
        rough.append("the curves")
    if len(probabilistic) > 1:
        rough.append("intervals and CRPS")
    if not rough:
        return ""
    what = _listed(rough)
    return (
        f"{what[0].upper()}{what[1:]} of these runs are of different numbers of windows: they "
        "compare roughly at best."
    )


def _best(name: str, values: Sequence[float | None]) -> frozenset[int]:
    if name in _WITHOUT_BEST:
        return frozenset()
    target = int(name.removeprefix("coverage/")) / 100 if name.startswith("coverage/") else None
    distances = {
        i: v if target is None else abs(v - target)
        for i, v in enumerate(values)
        if v is not None and np.isfinite(v)
    }
    if len(set(distances.values())) < 2:  # all are equal, or there is nothing to be better than
        return frozenset()
    best = min(distances.values())
    return frozenset(i for i, v in distances.items() if v == best)


def _charts(records: Mapping[str, Record]) -> list[Chart]:
    """The runs' curves over the lead times, and their coverages, where any run has them."""
    tables = {key: record.table("evaluation/by_lead.csv") for key, record in records.items()}
    charts = []
    for metric, text in LEADS.items():
        lines = {
            key: table[metric].tolist() if metric in table else [] for key, table in tables.items()
        }
        if any(lines.values()):
            charts.append(curves(text, lines))
    shares = {key: coverages(record) for key, record in records.items()}
    return [*charts, reliability(shares)] if any(shares.values()) else charts


def _differing(records: Sequence[Record]) -> list[Row]:
    keys = sorted({key for record in records for key in record.params})
    differing = [key for key in keys if len({record.params.get(key) for record in records}) > 1]
    return [
        Row(key, [_shown(key, record.params.get(key, "")) for record in records])
        for key in differing
    ]


def _shown(key: str, value: str) -> str:
    text = file_name(value) if key == "data.csv" else value
    if key == "data.sha256":
        return f"{text[:12]}…" if len(text) > 12 else text
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
