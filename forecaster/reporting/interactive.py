"""A forecast as a page to explore, drawn with Plotly: one file, which needs no network."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from forecaster.reporting.fans import Fan, Picture, Values
from forecaster.reporting.html import template
from forecaster.reporting.numbers import figure

_PAST, _LINE = "#808a94", "#2b83cf"  # legible on light and on dark pages
# dates with their year at any zoom; what follows \n is written where it changes
_DATES = (
    (None, 86_400_000, "%H:%M\n%Y-%m-%d"),
    (86_400_000, "M1", "%Y-%m-%d"),
    ("M1", "M12", "%Y-%m"),
    ("M12", None, "%Y"),
)
_SHADE = 0.22  # the opacity of an interval
_ID = "forecast"


def page(picture: Picture) -> str:
    """The page: a chart of the first series, and a list to choose another from."""
    from plotly import graph_objects, io

    chart = graph_objects.Figure(layout=_layout())
    for number, fan in enumerate(picture.fans):
        for trace in _traces(fan):
            chart.add_trace(
                graph_objects.Scatter(**trace, meta=number, visible=number == 0, mode="lines")
            )
    config = {
        "responsive": True,
        "displaylogo": False,
        "modeBarButtonsToRemove": ["sendChartToCloud"],
    }
    body = io.to_html(
        chart, config, include_plotlyjs=True, full_html=False, div_id=_ID, default_height="100%"
    )
    names = [fan.title for fan in picture.fans]
    return template("forecast.html").render(names=names, about=picture.about, chart=body, id=_ID)


def _traces(fan: Fan) -> list[dict[str, Any]]:
    """The lines of a series, and its intervals as closed shapes behind them."""
    ahead, past = _times(fan.ahead), _times(fan.past_stamps)
    shapes: list[dict[str, Any]] = []
    for number, (share, ends) in enumerate(fan.bands.items(), start=1):
        low, high = fan.joined(ends)
        shape = {"x": [*ahead, *ahead[::-1]], "y": _numbers(np.concatenate([low, high[::-1]]))}
        drawn: dict[str, Any] = {
            "name": f"{share} interval",
            "fill": "toself",
            "line": {"width": 0},
            "hoverinfo": "skip",
            "legendgroup": share,
            "legendrank": 1000 - number,
        }
        shapes.append({**drawn, **shape, "fillcolor": _blue(_SHADE), "showlegend": False})
        # the legend shows it as it looks on top of the wider ones
        shapes.append(
            {**drawn, "x": [None], "y": [None], "fillcolor": _blue(1 - (1 - _SHADE) ** number)}
        )
    lines = [
        _line("history", past, fan.past, list(map(figure, fan.past)), _PAST, 1.3),
        _line("forecast", ahead, fan.joined(fan.point), _said(fan), _LINE, 2),
    ]
    return shapes + lines


def _said(fan: Fan) -> list[str]:
    """The point forecast of each step in figures, and the ends of its intervals."""
    said = list(map(figure, fan.point))
    for share, (low, high) in list(fan.bands.items())[::-1]:
        for step, ends in enumerate(zip(low, high, strict=True)):
            said[step] += f"<br>{share}: {' to '.join(map(figure, ends))}"
    return said


def _blue(opacity: float) -> str:
    return f"rgba(43,131,207,{opacity:.3g})"


def _line(
    name: str, times: Sequence[str], values: Values, texts: Sequence[str], colour: str, width: float
) -> dict[str, Any]:
    """A line; ``texts`` belong to its last values."""
    return {
        "name": name,
        "x": times,
        "y": _numbers(values),
        "text": [""] * (len(times) - len(texts)) + list(texts),
        "hovertemplate": f"%{{x}}<br>{name} %{{text}}<extra></extra>",
        "line": {"color": colour, "width": width},
        "legendrank": 990,
    }


def _times(stamps: pd.DatetimeIndex) -> list[str]:
    """Wall-clock times, as Plotly reads them."""
    return [stamp.strftime("%Y-%m-%d %H:%M:%S") for stamp in stamps]


def _numbers(values: Values) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def _layout() -> dict[str, Any]:
    grid = {"gridcolor": "rgba(128,138,148,.25)", "zeroline": False, "automargin": True}
    stops = [{"dtickrange": [low, high], "value": style} for low, high, style in _DATES]
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "margin": {"l": 10, "r": 16, "t": 34, "b": 10},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": _PAST, "activecolor": _LINE},
        "hoverlabel": {"bgcolor": "#1d2733", "font": {"color": "#fff"}, "align": "left"},
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        "xaxis": {**grid, "tickformatstops": stops, "hoverformat": "%Y-%m-%d %H:%M"},
        "yaxis": {**grid, "tickformat": ",.12~g"},
    }
