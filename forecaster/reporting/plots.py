"""Figures of forecasts and of their evaluation, drawn with matplotlib."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.data.tables import Table
from forecaster.errors import UserError
from forecaster.io.output_tables import level_columns, point_column

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Figure

_MAX_PANELS = 8
PICTURES = (".png", ".svg", ".pdf")


def check_picture(path: Path) -> None:
    """Raise UserError unless ``--plot PATH`` names a kind of file that can be drawn."""
    if path.suffix.lower() not in PICTURES:
        raise UserError(
            f"--plot {path}: cannot draw that kind of file; end the name in .png, .svg or .pdf"
        )


def recent_history(table: Table, forecast: pd.DataFrame, history: int) -> pd.DataFrame:
    """The history that a figure of the forecast shows: ``item_id, timestamp, value``, oldest first.

    The last ``history`` values of each series drawn, at most half of it, since it is stored with a
    run and must not be a copy of the data.
    """
    frames = []
    places = {
        table.channel_label(series, k): (series, k)
        for series in table.series
        for k in range(len(table.names))
    }
    for label in list(dict.fromkeys(forecast["item_id"]))[:_MAX_PANELS]:
        series, channel = places[label]
        length = len(series.values)
        recent = slice(length - min(history, length // 2), length)
        stamps = table.clock.write(table.interval.stamps(series.first, length)[recent])
        frames.append(
            pd.DataFrame(
                {"item_id": label, "timestamp": stamps, "value": series.values[recent, channel]}
            )
        )
    return pd.concat(frames, ignore_index=True)


def plot_forecast(path: Path, table: Table, forecast: pd.DataFrame, history: int) -> None:
    """Draw a forecast into a file."""
    draw_forecast(table, forecast, history).savefig(path, dpi=110)


def draw_forecast(table: Table, forecast: pd.DataFrame, history: int) -> "Figure":
    """A panel a series, of the first eight: the last ``history`` values, forecast and intervals."""
    labels = list(dict.fromkeys(forecast["item_id"]))[:_MAX_PANELS]
    figure, axes = _panels(len(labels))
    past = {
        table.channel_label(series, k): (series, k)
        for series in table.series
        for k in range(len(table.names))
    }
    for axis, label in zip(axes, labels, strict=False):
        series, channel = past[label]
        length = len(series.values)
        ahead = forecast[forecast["item_id"] == label]
        ahead = ahead.iloc[::-1] if table.newest_first else ahead
        stamps = table.interval.stamps(series.first, length + len(ahead))
        recent = slice(max(length - history, 0), length)
        axis.plot(
            stamps[recent], series.values[recent, channel], color="#444", lw=1, label="history"
        )
        levels = sorted(level_columns(ahead), key=float)
        for low, high in zip(levels, reversed(levels), strict=True):
            if float(low) < float(high):
                axis.fill_between(
                    stamps[length:],
                    ahead[low],
                    ahead[high],
                    color="#1f77b4",
                    alpha=0.25,
                    lw=0,
                    label=f"{100 * (float(high) - float(low)):.0f} % interval",
                )
        point = ahead[point_column(ahead)]
        axis.plot(stamps[length:], point, color="#1f77b4", lw=1.4, label="forecast")
        axis.set_title(label, fontsize=10, loc="left", parse_math=False)
        axis.tick_params(labelsize=8)
        axis.margins(x=0.01)
    axes[0].legend(fontsize=8, loc="upper left", frameon=False)
    total = len(np.unique(forecast["item_id"]))
    if total > len(labels):
        figure.suptitle(f"the first {len(labels)} of {total} series", fontsize=9)
    return figure


def _grid(rows: int, columns: int, width: float = 3.8) -> tuple[Any, NDArray[Any]]:
    """A figure with ``rows`` × ``columns`` axes, ``width`` inches wide each."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, 2.6 * rows + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _panels(count: int) -> tuple[Any, NDArray[Any]]:
    """A figure with ``count`` axes, in two columns from three on."""
    columns = 1 if count < 3 else 2
    figure, grid = _grid(-(-count // columns), columns, 6.5)
    axes = grid.ravel()
    for axis in axes[count:]:
        axis.set_visible(False)
    return figure, axes


def plot_leads(path: Path, metrics: Mapping[str, Mapping[str, Sequence[float] | None]]) -> None:
    """A panel a metric: its curve over the lead times, by model."""
    figure, axes = _panels(len(metrics))
    for axis, (name, curves) in zip(axes, metrics.items(), strict=False):
        for (label, curve), colour in zip(curves.items(), ("#1f77b4", "#999"), strict=False):
            if curve is not None:
                axis.plot(
                    range(1, len(curve) + 1),
                    curve,
                    color=colour,
                    lw=1.4,
                    label=label,
                    marker="." if len(curve) == 1 else None,
                )
        if name.startswith("coverage/"):
            axis.axhline(float(name.partition("/")[2]) / 100, color="#444", lw=0.8, ls="--")
        axis.set_title(name, fontsize=10, loc="left")
        axis.set_xlabel("steps ahead", fontsize=8)
        axis.tick_params(labelsize=8)
    axes[0].legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)


def plot_steps(path: Path, rows: pd.DataFrame, metrics: Sequence[str]) -> None:
    """A panel a model and metric: the metric against the number of steps, a curve for each s.

    ``rows``: model, steps, s if there is one, and the metrics, of which means are drawn.
    """
    models = list(dict.fromkeys(rows["model"]))
    figure, axes = _grid(len(models), len(metrics))
    for number, model in enumerate(models):
        of_model = rows[rows["model"] == model]
        for axis, metric in zip(axes[number], metrics, strict=True):
            curves = of_model.groupby("s") if "s" in rows else [(None, of_model)]
            for order, (s, curve) in enumerate(curves):
                means = curve.groupby("steps")[metric].mean()
                label = None if s is None else f"s = {s:g}"
                axis.plot(means.index, means, color=f"C{order}", lw=1.4, marker=".", label=label)
            if metric.startswith("coverage/"):
                axis.axhline(float(metric.partition("/")[2]) / 100, color="#444", lw=0.8, ls="--")
            axis.set_xscale("log")
            ticks = sorted(set(rows["steps"]))
            axis.set_xticks(ticks, [str(tick) for tick in ticks], minor=False)
            axis.set_xticks([], minor=True)
            axis.set_title(f"{model}: {metric}", fontsize=10, loc="left")
            axis.set_xlabel("network calls", fontsize=8)
            axis.tick_params(labelsize=8)
    if "s" in rows:
        axes[0][0].legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)


def plot_pit(path: Path, shares: Sequence[float]) -> None:
    """The PIT histogram: level if calibrated, ∪ if too narrow, ∩ if too wide, sloped if biased."""
    figure, (axis,) = _panels(1)
    axis.bar(
        (np.arange(len(shares)) + 0.5) / len(shares),
        shares,
        width=0.95 / len(shares),
        color="#1f77b4",
    )
    axis.axhline(1 / len(shares), color="#444", lw=0.8, ls="--", label="calibrated")
    axis.set_xlabel("forecast probability of values below the observed one (PIT)", fontsize=8)
    axis.set_ylabel("share of values", fontsize=8)
    axis.legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)


def plot_reliability(path: Path, shares: Sequence[float]) -> None:
    """The share of observed values below each quantile, from the PIT histogram's ``shares``."""
    figure, (axis,) = _panels(1)
    figure.set_size_inches(4.5, 4.5)
    levels = np.arange(1, len(shares)) / len(shares)
    axis.plot([0, 1], [0, 1], color="#444", lw=0.8, ls="--", label="calibrated")
    axis.plot(levels, np.cumsum(shares)[:-1], color="#1f77b4", marker=".", lw=1.4, label="forecast")
    axis.set_xlabel("quantile level", fontsize=8)
    axis.set_ylabel("share of observed values below", fontsize=8)
    axis.set_aspect("equal")
    axis.legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)


@dataclass(frozen=True)
class Panel:
    """A channel of a window: history (n), future (H), and ``ends`` (2, H) of the 90 % interval."""

    title: str
    past_stamps: pd.DatetimeIndex
    stamps: pd.DatetimeIndex
    past: NDArray[np.float64]
    truth: NDArray[np.float64]
    forecast: NDArray[np.float64]
    ends: NDArray[np.float64] | None


def plot_windows(path: Path, panels: Sequence[Panel]) -> None:
    """History, observed values, forecast and interval of each window; no file without panels."""
    if not panels:
        return
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    figure, axes = _panels(len(panels))
    for axis, panel in zip(axes, panels, strict=False):
        axis.plot(panel.past_stamps, panel.past, color="#444", lw=1)
        axis.plot(
            panel.stamps,
            panel.truth,
            color="#444",
            lw=1,
            ls=":",
            marker=".",
            ms=3,
            label="observed",
        )
        if panel.ends is not None:
            axis.fill_between(
                panel.stamps, *panel.ends, color="#1f77b4", alpha=0.25, lw=0, label="90 % interval"
            )
        axis.plot(panel.stamps, panel.forecast, color="#1f77b4", lw=1.4, label="forecast")
        axis.set_title(panel.title, fontsize=10, loc="left")
        locator = AutoDateLocator(maxticks=7)
        axis.xaxis.set_major_locator(locator)
        axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axis.tick_params(labelsize=8)
        axis.margins(x=0.01)
    axes[0].legend(fontsize=8, loc="upper left", frameon=False)
    figure.savefig(path, dpi=110)
