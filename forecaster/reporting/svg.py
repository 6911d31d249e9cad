"""Shapes in SVG coordinates, of which charts are made; the template draws and colours them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from forecaster.reporting.numbers import distinct

WIDTH, HEIGHT = 360, 222  # without a second line below the ticks it is lower
_LOW = 208
TOP, BOTTOM = 8.0, 186.0
_CHARACTER = 5.8  # the width of one in a label
_APART = 11.0  # from one label beside a line to the next


@dataclass(frozen=True)
class Tick:
    """A grid line at ``at`` with its label, and a second line of that."""

    at: float
    label: str
    below: str = ""


@dataclass(frozen=True)
class Label:
    """A text beside the end of a line, at the height ``y``; ``style``: see ``Shape``."""

    y: float
    text: str
    style: str


@dataclass(frozen=True)
class Shape:
    """A path; ``style``: its CSS classes, ``label``: its entry in the legend ('' for none)."""

    path: str
    style: str
    label: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart from ``left`` to ``right``; ``about`` is its text alternative, for screen readers."""

    title: str
    about: str
    left: float
    right: float
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    shapes: list[Shape]
    x_label: str = ""
    legend: list[Shape] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)

    @property
    def height(self) -> int:
        """The height of the picture, with room for the labels below."""
        return HEIGHT if any(tick.below for tick in self.x_ticks) else _LOW


class Frame:
    """The mapping from data to SVG coordinates, with room for the labels of both sides.

    ``beside``: the texts at the right. ``before``: those at the left, by default the numbers of y.
    """

    def __init__(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        beside: Iterable[str] = (),
        before: Iterable[str] = (),
    ) -> None:
        self.x0, self.x1 = x
        self.y0, self.y1 = _widened(*y)
        texts = list(before) or [label for _, label in self._marks()]
        marks = max(map(len, texts), default=0)
        self.left = round(12 + _CHARACTER * marks, 1)
        self.right = round(WIDTH - 8 - _CHARACTER * max(map(len, beside), default=0), 1)

    def x(self, value: float) -> float:
        share = (value - self.x0) / (self.x1 - self.x0 or 1.0)
        return round(self.left + share * (self.right - self.left), 1)

    @property
    def sides(self) -> tuple[float, float]:
        return self.left, self.right

    def y(self, value: float) -> float:
        return round(BOTTOM - (value - self.y0) / (self.y1 - self.y0) * (BOTTOM - TOP), 1)

    def line(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        """A path with a gap where a value is missing."""
        parts, pen = [], "M"
        for x, y in zip(xs, ys, strict=True):
            if not math.isfinite(y):
                pen = "M"
                continue
            parts.append(f"{pen}{self.x(x):g} {self.y(y):g}")
            pen = "L"
        return "".join(parts)

    def band(self, xs: Sequence[float], low: Sequence[float], high: Sequence[float]) -> str:
        """A closed path between two lines; points where one is missing are skipped."""
        known = [
            (x, a, b)
            for x, a, b in zip(xs, low, high, strict=True)
            if math.isfinite(a) and math.isfinite(b)
        ]
        upper = [f"{self.x(x):g} {self.y(a):g}" for x, a, _ in known]
        lower = [f"{self.x(x):g} {self.y(b):g}" for x, _, b in reversed(known)]
        return f"M{'L'.join(upper + lower)}Z" if known else ""

    def y_ticks(self) -> list[Tick]:
        return [Tick(self.y(value), label) for value, label in self._marks()]

    def _marks(self) -> list[tuple[float, str]]:
        from matplotlib.ticker import MaxNLocator

        values = [
            v
            for v in MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(self.y0, self.y1)
            if self.y0 <= v <= self.y1
        ]
        return list(zip(values, distinct(values), strict=True))


def _widened(low: float, high: float) -> tuple[float, float]:
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, 1.0
    margin = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
    return low - margin, high + margin


def span_of(*lines: Sequence[float]) -> tuple[float, float]:
    """The least and the largest known value; nan without any."""
    known = [v for line in lines for v in line if math.isfinite(v)]
    return (min(known), max(known)) if known else (math.nan, math.nan)


def times(frame: Frame, stamps: Sequence[str]) -> list[Tick]:
    """Ticks of four times: the date, and under it the time of day, if one is not midnight."""
    places = dict.fromkeys(round(i * (len(stamps) - 1) / 3) for i in range(4))
    return [Tick(frame.x(place), *short_time(stamps[place])) for place in places]


def short_time(stamp: str) -> tuple[str, str]:
    """The date of a time, and its hours and minutes, '' at midnight."""
    day, _, clock = stamp.replace("T", " ").partition(" ")
    return day, "" if clock[:5] in {"", "00:00"} else clock[:5]


def beside(frame: Frame, line: Sequence[float], text: str, style: str) -> list[Label]:
    """The label of a line at its end; none of an empty one."""
    known = [value for value in line if math.isfinite(value)]
    return [Label(frame.y(known[-1]), text, style)] if known else []


def spread(labels: Sequence[Label]) -> list[Label]:
    """Labels from the top down, moved so far that none overprints another."""
    placed: list[Label] = []
    for label in sorted(labels, key=lambda each: each.y):
        least = placed[-1].y + _APART if placed else TOP + 3
        placed.append(replace(label, y=round(max(label.y, least), 1)))
    most = BOTTOM
    for i in reversed(range(len(placed))):
        placed[i] = replace(placed[i], y=min(placed[i].y, round(most, 1)))
        most = placed[i].y - _APART
    return placed
