"""Small charts as shapes in SVG coordinates; the report's template draws and colours them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

WIDTH, HEIGHT = 360, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 352.0, 8.0, 186.0


@dataclass(frozen=True)
class Tick:
    """A grid line at ``at`` with its label."""

    at: float
    label: str


@dataclass(frozen=True)
class Shape:
    """A path; ``style``: its CSS classes, ``label``: its entry in the legend ('' for none)."""

    path: str
    style: str
    label: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart; ``about`` is its text alternative, for screen readers."""

    title: str
    about: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    shapes: list[Shape]
    x_label: str = ""
    legend: list[Shape] = field(default_factory=list)


class _Frame:
    """The mapping from data to SVG coordinates."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.x0, self.x1 = x
        self.y0, self.y1 = _widened(*y)

    def x(self, value: float) -> float:
        return round(_LEFT + (value - self.x0) / (self.x1 - self.x0 or 1.0) * (_RIGHT - _LEFT), 1)

    def y(self, value: float) -> float:
        return round(_BOTTOM - (value - self.y0) / (self.y1 - self.y0) * (_BOTTOM - _TOP), 1)

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
        from matplotlib.ticker import MaxNLocator

        values = [
            v
            for v in MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(self.y0, self.y1)
            if self.y0 <= v <= self.y1
        ]
        labels = distinct(values)
        return [Tick(self.y(v), label) for v, label in zip(values, labels, strict=True)]


def distinct(values: Sequence[float]) -> list[str]:
    """Numbers in four significant digits, or as many more as tell different ones apart."""
    for digits in range(4, 18):
        texts = [f"{value:.{digits}g}" for value in values]
        if len(set(texts)) == len(set(values)):
            break
    return texts


def _widened(low: float, high: float) -> tuple[float, float]:
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, 1.0
    margin = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
    return low - margin, high + margin


def _span(*lines: Sequence[float]) -> tuple[float, float]:
    known = [v for line in lines for v in line if math.isfinite(v)]
    return (min(known), max(known)) if known else (math.nan, math.nan)


def fan(
    title: str,
    past: Sequence[float],
    mean: Sequence[float],
    levels: Mapping[str, Sequence[float]],
    stamps: Sequence[str],
) -> Chart:
    """A history (n), the mean (H) and quantiles by level (H each); ``stamps``: n + H times."""
    n, horizon = len(past), len(mean)
    frame = _Frame((0, n + horizon - 1), _span(past, mean, *levels.values()))
    steps = list(range(n, n + horizon))
    names = sorted(levels, key=float)
    bands: list[Shape] = []
    for low, high in zip(names, reversed(names), strict=True):
        if float(low) < float(high):
            share = f"{100 * (float(high) - float(low)):.4g} % interval"
            bands.append(
                Shape(
                    frame.band(steps, levels[low], levels[high]),
                    f"band b{min(len(bands), 1)}",
                    share,
                )
            )
    lines = [
        Shape(frame.line(range(n), past), "past", "history"),
        Shape(frame.line(steps, mean), "line c0", "forecast"),
    ]
    places = [round(i * (n + horizon - 1) / 3) for i in range(4)]
    x_ticks = [Tick(frame.x(place), _short(stamps[place])) for place in dict.fromkeys(places)]
    about = (
        f"{title}: {n} values of history, then {horizon} steps of forecast "
        f"from {stamps[n]} to {stamps[-1]}"
    )
    return Chart(
        title,
        about,
        x_ticks,
        frame.y_ticks(),
        bands + lines,
        legend=[s for s in lines + bands if s.path],
    )


def history(
    title: str, steps: Sequence[int], values: Sequence[float], stamps: Sequence[str]
) -> Chart:
    """The values (n) of a series at some of its steps (n); ``stamps``: times at even distances."""
    frame = _Frame((steps[0], steps[-1]), _span(values))
    last = max(len(stamps) - 1, 1)
    places = [steps[0] + i * (steps[-1] - steps[0]) / last for i in range(len(stamps))]
    x_ticks = [Tick(frame.x(x), _short(text)) for x, text in zip(places, stamps, strict=True)]
    shapes = [Shape(frame.line(steps, values), "line c0")]
    return Chart(title, f"{title}: {stamps[0]} to {stamps[-1]}", x_ticks, frame.y_ticks(), shapes)


def _short(stamp: str) -> str:
    """The date of a time at midnight; of others month, day, hours and minutes."""
    day, _, clock = stamp.partition(" ")
    return day if clock[:5] in {"", "00:00"} else f"{day[5:]} {clock[:5]}"


def curves(title: str, lines: Mapping[str, Sequence[float]], target: float | None = None) -> Chart:
    """A line a run over the lead times 1…; ``target``: the nominal value, drawn dashed."""
    longest = max((len(line) for line in lines.values()), default=1)
    frame = _Frame((1, max(longest, 2)), _span(*lines.values(), [] if target is None else [target]))
    shapes = (
        []
        if target is None
        else [Shape(frame.line([1, longest], [target, target]), "aim", "nominal")]
    )
    for i, (name, line) in enumerate(lines.items()):
        if line:
            shapes.append(Shape(frame.line(range(1, len(line) + 1), line), f"line c{i % 6}", name))
    steps = dict.fromkeys([1, *(round(longest * q / 4) for q in (1, 2, 3)), longest])
    x_ticks = [Tick(frame.x(step), str(step)) for step in steps if step >= 1]
    ranges = [
        f"{name} from {line[0]:.4g} to {line[-1]:.4g}" for name, line in lines.items() if line
    ]
    about = f"{title} by lead time, steps 1 to {longest}: {'; '.join(ranges)}"
    return Chart(
        title,
        about,
        x_ticks,
        frame.y_ticks(),
        shapes,
        "steps ahead",
        [s for s in shapes if s.label],
    )


def reliability(lines: Mapping[str, Mapping[int, float]]) -> Chart:
    """The coverage (0…1) of the central p % intervals by p, a line a run; the diagonal is ideal."""
    frame = _Frame((0, 100), (0.0, 100.0))
    shapes = [Shape(frame.line([0, 100], [0, 100]), "aim", "nominal")]
    summaries = []
    for i, (name, coverages) in enumerate(lines.items()):
        if not coverages:
            continue
        nominal = sorted(coverages)
        actual = [100 * coverages[percent] for percent in nominal]
        pairs = list(zip(nominal, actual, strict=True))
        dots = "".join(f"M{frame.x(p):g} {frame.y(c):g}h0" for p, c in pairs)
        shapes += [
            Shape(frame.line(nominal, actual), f"line c{i % 6}", name),
            Shape(dots, f"dot c{i % 6}"),
        ]
        summaries.append(f"{name} " + ", ".join(f"{c:.0f} for {p}" for p, c in pairs))
    ticks = [Tick(frame.x(p), f"{p} %") for p in (0, 50, 80, 95)]
    marks = [Tick(frame.y(p), f"{p} %") for p in (0, 25, 50, 75, 100)]
    about = "coverage of central intervals in per cent: " + "; ".join(summaries)
    return Chart(
        "Coverage of the intervals",
        about,
        ticks,
        marks,
        shapes,
        "nominal",
        [s for s in shapes if s.label],
    )


def histogram(title: str, shares: Sequence[float]) -> Chart:
    """Bars over equal bins from 0 to 1; the dashed line is a uniform distribution."""
    count, uniform = len(shares), 1 / len(shares)
    frame = _Frame((0, 1), (0.0, max(*shares, uniform)))
    frame.y0 = 0.0
    edges = [frame.x(i / count) for i in range(count + 1)]
    bars = "".join(
        f"M{edges[i] + 0.5:g} "
        f"{frame.y(0):g}V{frame.y(share):g}H{edges[i + 1] - 0.5:g}V{frame.y(0):g}Z"
        for i, share in enumerate(shares)
    )
    shapes = [Shape(bars, "bars"), Shape(frame.line([0, 1], [uniform, uniform]), "aim", "uniform")]
    x_ticks = [Tick(frame.x(v), f"{v:g}") for v in (0, 0.25, 0.5, 0.75, 1)]
    about = (
        f"{title}: {count} bins hold {min(shares):.3g} to {max(shares):.3g} each, "
        f"{uniform:.3g} would be uniform"
    )
    return Chart(
        title, about, x_ticks, frame.y_ticks(), shapes, legend=[s for s in shapes if s.label]
    )
