"""Metrics in a table for people: the few that tell most, or all."""

import math
import statistics
from collections.abc import Mapping, Sequence

from forecaster.data.tables import Table
from forecaster.evaluation.accumulate import Accumulator
from forecaster.reporting.numbers import figure

# the head of a training's table
TRAINING = ("metric", "validation", "test", "seasonal naive, test")
# scale-free errors first, then those in units, then the distribution and its intervals
FEW = ("mase", "mae", "rmse", "wql", "crps", "coverage/80", "coverage/90", "width/90")


def metric_rows(columns: Sequence[Mapping[str, float]], every: bool = False) -> list[list[str]]:
    """A row a metric, with its figure in each of the ``columns`` (metrics without their prefix).

    ``every``: all of them instead of ``FEW``.
    """
    known = dict.fromkeys(name for column in columns for name in column)
    names = known if every else [name for name in FEW if name in known]
    return [[name, *(figure(column.get(name)) for column in columns)] for name in names]


def of_split(metrics: Mapping[str, float], prefix: str) -> dict[str, float]:
    """The metrics of a split, ``test`` or ``val``, without that prefix."""
    return {
        name.removeprefix(f"{prefix}/"): value
        for name, value in metrics.items()
        if name.startswith(f"{prefix}/")
    }


def training_columns(
    metrics: Mapping[str, float], baseline: Mapping[str, float]
) -> list[dict[str, float]]:
    """The columns of a training's table: validation, test, and seasonal naive on test."""
    return [of_split(metrics, "val"), of_split(metrics, "test"), of_split(baseline, "test")]


def beside_own(metrics: Mapping[str, float]) -> str:
    """A line about the error of one's own forecast and that of the model on the same windows."""
    own, found = metrics["test/own_forecast/mae"], metrics["test/mae"]
    by = f", {100 * abs(1 - found / own):.0f} % {'less' if found <= own else 'more'}" if own else ""
    return f"your own forecast has a test MAE of {figure(own)}, the model {figure(found)}{by}"


def coverage_by_series(table: Table, totals: Accumulator) -> str | None:
    """A line about the coverage of 90 % intervals by series and channel; None of a single one."""
    shares = totals.by_series().get("coverage/90", [])
    known = [pair for pair in zip(shares, table.labels, strict=False) if pair[0] == pair[0]]
    if len(known) < 2:
        return None
    (low, least), (high, most) = min(known), max(known)
    middle = statistics.median(share for share, _ in known)
    ends = f"{100 * low:.0f} % ({least}) to {100 * high:.0f} % ({most})"
    return f"90 % intervals by series: {ends}, median {100 * middle:.0f} %"


def mase_by_series(table: Table, totals: Accumulator) -> dict[str, float]:
    """The MASE of each series and channel by its name; those without one are left out."""
    found = zip(table.labels, totals.by_series().get("mase", []), strict=False)
    return {name: value for name, value in found if math.isfinite(value)}
