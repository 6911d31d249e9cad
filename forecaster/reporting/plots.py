"""Figures of forecasts and of their evaluation, drawn with matplotlib."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.config.program import install_extra
from forecaster.errors import UserError
from forecaster.reporting.fans import Fan, Picture
from forecaster.reporting.numbers import figure as in_figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Figure

PICTURES = (".png", ".svg", ".pdf")
_PAST, _LINE = "#444", "#10528c"
_LONGEST = 44  # letters of a panel's title


def check_picture(path: Path, interactive: bool = False, option: str = "--plot") -> None:
    """Raise UserError unless ``--plot PATH`` names a kind of file that can be drawn here.

    ``interactive``: HTML, too.
    """
    if is_page(path) and interactive:
        if importlib.util.find_spec("plotly") is None:
            raise UserError(f"{option} {path} needs Plotly: {install_extra('plots')}")
    elif path.suffix.lower() not in PICTURES:
        others = ".png, .svg, .pdf or .html" if interactive else ".png, .svg or .pdf"
        raise UserError(f"{option} {path}: cannot draw that kind of file; end the name in {others}")


def is_page(path: Path) -> bool:
    """Whether a picture of this name is a page to explore."""
    return path.suffix.lower() == ".html"


def write_picture(path: Path, picture: Picture) -> None:
    """Draw a forecast into a file of the kind that its name ends in."""
    if is_page(path):
        from forecaster.reporting.interactive import page

        path.write_text(page(picture), encoding="utf-8")
    else:
        draw_forecast(picture).savefig(path, dpi=110)


def draw_forecast(picture: Picture) -> "Figure":
    """A panel a series: its history, the forecast that goes on from it, and the intervals."""
    count = max(len(picture.fans), 1)
    columns = 1 if count < 3 else 2 if count < 7 else 3
    figure, grid = _grid(-(-count // columns), columns, (9.0, 6.5, 4.8)[columns - 1])
    axes = grid.ravel()
    for axis in axes[len(picture.fans) :]:
        axis.set_visible(False)
    for axis, fan in zip(axes, picture.fans, strict=False):
        _draw_fan(axis, fan, 6 if columns < 3 else 4)
    entries: dict[str, Any] = {}
    for axis in axes:
        handles, labels = axis.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    bands = [f"{share} interval" for share in picture.shares[::-1]]
    order = [name for name in ("history", "forecast", *bands) if name in entries]
    figure.legend(
        [entries[name] for name in order],
        order,
        loc="outside lower center",
        ncols=len(order) or 1,
        fontsize=9,
        frameon=False,
    )
    if picture.about:
        figure.suptitle(picture.about, fontsize=9)
    return figure


def _draw_fan(axis: Any, fan: Fan, dates: int) -> None:
    """Draw a series on an axis with at most so many ``dates``."""
    from matplotlib import colormaps
    from matplotlib.ticker import FuncFormatter

    ahead, darkness = fan.ahead, np.linspace(0.2, 0.5, len(fan.bands))
    for (share, ends), shade in zip(fan.bands.items(), darkness, strict=True):
        colour, label = colormaps["Blues"](shade), f"{share} interval"
        axis.fill_between(ahead, *fan.joined(ends), color=colour, lw=0, label=label)
    axis.plot(fan.past_stamps, fan.past, color=_PAST, lw=1, label="history")
    line = fan.joined(fan.point)
    marker = "." if np.isfinite(line).sum() == 1 else None
    axis.plot(ahead, line, color=_LINE, lw=1.4, marker=marker, label="forecast")
    axis.set_title(_short(fan.title), fontsize=10, loc="left", parse_math=False)
    axis.tick_params(labelsize=8)
    axis.margins(x=0.01)
    axis.grid(axis="y", color="#e4e4e4", lw=0.6)
    axis.set_axisbelow(True)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: in_figures(value, 12)))
    _write_dates(axis, fan, dates)


def _write_dates(axis: Any, fan: Fan, count: int) -> None:
    """Ticks of at most ``count`` dates with their year, none nearer to the next than others are."""
    from matplotlib.dates import AutoDateLocator, date2num, num2date

    stamps = pd.DatetimeIndex(fan.past_stamps.append(fan.stamps))
    if stamps.empty:
        return
    locator = AutoDateLocator(tz=stamps.tz, minticks=2, maxticks=count)
    low, high = axis.get_xlim()
    span = [num2date(edge, stamps.tz) for edge in (low, high)]
    places = [place for place in locator.tick_values(*span) if low <= place <= high]
    if len(places) < 2 and len(stamps) > 1:
        places = [float(date2num(stamp)) for stamp in (stamps[0], stamps[-1])]
    kept: list[float] = []
    for place in places:
        if not kept or place - kept[-1] > 0.6 * float(np.median(np.diff(places))):
            kept.append(place)
    axis.set_xticks(kept, date_labels([num2date(place, stamps.tz) for place in kept]))


def date_labels(times: Sequence[datetime]) -> list[str]:
    """Times as short as tells them apart: years, months, days, or hours with their days below."""
    for style, rest, none in (
        ("%Y", "%m-%d %H:%M:%S", "01-01 00:00:00"),
        ("%Y-%m", "%d %H:%M:%S", "01 00:00:00"),
        ("%Y-%m-%d", "%H:%M:%S", "00:00:00"),
    ):
        if all(time.strftime(rest) == none for time in times):
            return [time.strftime(style) for time in times]
    days = ["", *(time.strftime("%Y-%m-%d") for time in times)]
    clock = "%H:%M:%S" if any(time.second for time in times) else "%H:%M"
    return [
        time.strftime(clock) + (f"\n{day}" if day != before else "")
        for time, day, before in zip(times, days[1:], days[:-1], strict=True)
    ]


def _short(text: str) -> str:
    """A text in one line, of a long one its beginning and its end."""
    text = " ".join(text.split())
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]}…{text[-half:]}"


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
    """A panel a model, data set and metric: the metric against the number of steps, a curve for
    each s.

    ``rows``: data, model, steps, s if there is one, and the metrics, of which means over the seeds
    are drawn.
    """
    parts = list(rows.groupby(["model", "data"], sort=False))
    figure, axes = _grid(len(parts), len(metrics))
    for number, ((model, data), part) in enumerate(parts):
        for axis, metric in zip(axes[number], metrics, strict=True):
            curves: list[tuple[Any, Any]] = [(None, part)]
            curves = list(part.groupby("s")) if "s" in rows else curves
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
            axis.set_title(f"{model}, {data}: {metric}", fontsize=10, loc="left")
            axis.set_xlabel("network calls", fontsize=8)
            axis.tick_params(labelsize=8)
    if "s" in rows:
        axes[0][0].legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)


def plot_behind(path: Path, rows: pd.DataFrame, metric: str) -> None:
    """How far each model's metric is above the lowest at its horizon, in per cent: a line a model,
    a mark a horizon.

    ``rows``: model, horizon and the metric of one data set, of which means over the seeds are
    drawn. The axis is linear up to 10 % and logarithmic above.
    """
    means = rows.groupby(["model", "horizon"], sort=False)[metric].mean().unstack()
    behind = 100 * (means / means.min() - 1)
    behind = behind.loc[behind.mean(axis=1).sort_values(ascending=False).index]
    import matplotlib

    figure, axes = _grid(1, 1)
    axis = axes[0][0]
    figure.set_size_inches(8, 1.2 + 0.26 * len(behind))
    for order, horizon in enumerate(sorted(behind.columns)):
        axis.plot(behind[horizon], range(len(behind)), "os^D"[order % 4], ms=5, label=str(horizon))
    most = float(np.nanmax(behind.to_numpy(), initial=0.0))
    axis.set_yticks(range(len(behind)), behind.index, fontsize=8, parse_math=False)
    axis.set_xscale("symlog", linthresh=10)
    axis.set_xlim(-0.5, 1.15 * most + 0.5)
    ticks = [tick for tick in (0, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if tick <= most]
    axis.set_xticks(ticks, [f"{tick} %" for tick in ticks], fontsize=8)
    axis.set_xlabel(f"{metric} above the lowest at its horizon", fontsize=8)
    axis.grid(axis="x", lw=0.4, color="#ccc")
    axis.legend(title="horizon", fontsize=8, title_fontsize=8, frameon=False)
    with matplotlib.rc_context({"svg.hashsalt": "forecaster"}):  # the same file each time
        figure.savefig(path, metadata={"Date": None})


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
