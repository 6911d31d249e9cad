"""Pictures of forecasts."""

from pathlib import Path

import numpy as np
import pandas as pd

from forecaster.data.tables import Table

_MOST_PANELS = 8


def plot_forecast(path: Path, table: Table, forecast: pd.DataFrame, history: int) -> None:
    """One panel a series (the first eight): the last ``history`` values, the mean, and the fan of quantiles."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels = list(dict.fromkeys(forecast["item_id"]))[:_MOST_PANELS]
    columns = 1 if len(labels) < 3 else 2
    rows = -(-len(labels) // columns)
    figure = Figure(figsize=(6.5 * columns, 2.6 * rows + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    past = {table.channel_label(series, k): (series, k) for series in table.series for k in range(len(table.names))}
    for axis, label in zip(axes, labels, strict=False):
        series, channel = past[label]
        length = len(series.values)
        ahead = forecast[forecast["item_id"] == label]
        ahead = ahead.iloc[::-1] if table.newest_first else ahead
        stamps = table.interval.stamps(series.first, length + len(ahead))
        recent = slice(max(length - history, 0), length)
        axis.plot(stamps[recent], series.values[recent, channel], color="#444", lw=1, label="history")
        levels = [name for name in ahead.columns if name not in {"item_id", "timestamp", "mean"}]
        levels.sort(key=float)
        for low, high in zip(levels, reversed(levels), strict=True):
            if float(low) < float(high):
                axis.fill_between(
                    stamps[length:], ahead[low], ahead[high], color="#1f77b4", alpha=0.25, lw=0,
                    label=f"{100 * (float(high) - float(low)):.0f} % interval",
                )  # fmt: skip
        axis.plot(stamps[length:], ahead["mean"], color="#1f77b4", lw=1.4, label="forecast")
        axis.set_title(label, fontsize=10, loc="left")
        axis.tick_params(labelsize=8)
        axis.margins(x=0.01)
    for axis in axes[len(labels) :]:
        axis.set_visible(False)
    axes[0].legend(fontsize=8, loc="upper left", frameon=False)
    total = len(np.unique(forecast["item_id"]))
    if total > len(labels):
        figure.suptitle(f"the first {len(labels)} of {total} series", fontsize=9)
    figure.savefig(path, dpi=110)
