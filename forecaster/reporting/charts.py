"""The charts of the report, as shapes."""

import math
from collections.abc import Mapping, Sequence

from forecaster.reporting.fans import intervals
from forecaster.reporting.numbers import figure
from forecaster.reporting.svg import (
    Chart,
    Frame,
    Label,
    Shape,
    Tick,
    beside,
    short_time,
    span_of,
    spread,
    times,
)


def fan(
    title: str,
    past: Sequence[float],
    mean: Sequence[float],
    levels: Mapping[str, Sequence[float]],
    stamps: Sequence[str],
) -> Chart:
    """A history (n), the mean (H) and quantiles by level (H each); ``stamps``: n + H times.

    The forecast begins where the history ends.
    """
    n, horizon = len(past), len(mean)
    shares = intervals(list(levels))
    span = span_of(past, mean, *levels.values())
    frame = Frame((0, n + horizon - 1), span, list(shares))
    steps, joint = _joined(past, horizon)
    bands: list[Shape] = []
    labels: list[Label] = []
    for share, (low, high) in shares.items():
        edges = [joint + list(levels[level]) for level in (low, high)]
        style = f"band b{min(len(bands), 2)}"
        bands.append(Shape(frame.band(steps, *edges), style, f"{share} interval"))
        labels += beside(frame, levels[high], share, "soft")
    lines = [
        Shape(frame.line(range(n), past), "past", "history"),
        Shape(frame.line(steps, joint + list(mean)), "line c0", "forecast"),
    ]
    about = (
        f"{title}: {n} values of history, then {horizon} steps of forecast "
        f"from {stamps[n]} to {stamps[-1]}"
    )
    return Chart(
        title,
        about,
        *frame.sides,
        times(frame, stamps),
        frame.y_ticks(),
        bands + lines,
        legend=[s for s in lines if s.path],
        labels=spread(labels),
    )


def fans_together(
    title: str, past: Sequence[float], means: Mapping[str, Sequence[float]], stamps: Sequence[str]
) -> Chart:
    """A history (n) and the point forecasts (H) of several runs; ``stamps``: n + H times."""
    n, horizon = len(past), len(stamps) - len(past)
    frame = Frame((0, n + horizon - 1), span_of(past, *means.values()), means)
    steps, joint = _joined(past, horizon)
    shapes, labels = [Shape(frame.line(range(n), past), "past", "history")], []
    for i, (name, mean) in enumerate(means.items()):
        shapes.append(Shape(frame.line(steps, joint + list(mean)), f"line c{i % 6}", name))
        labels += beside(frame, mean, name, f"t{i % 6}")
    about = f"{title}: {n} values of history, then {horizon} steps of {len(means)} forecasts"
    ticks = times(frame, stamps)
    sides, marks = frame.sides, frame.y_ticks()
    return Chart(title, about, *sides, ticks, marks, shapes, labels=spread(labels))


def _joined(past: Sequence[float], horizon: int) -> tuple[list[int], list[float]]:
    """The steps of a forecast, and what comes before it: the last value of the history, if any."""
    n = len(past)
    last = [past[-1]] if n and math.isfinite(past[-1]) else []
    return list(range(n - len(last), n + horizon)), last


def history(
    title: str, steps: Sequence[int], values: Sequence[float], stamps: Sequence[str]
) -> Chart:
    """The values (n) of a series at some of its steps (n); ``stamps``: times at even distances."""
    frame = Frame((steps[0], steps[-1]), span_of(values))
    last = max(len(stamps) - 1, 1)
    places = [steps[0] + i * (steps[-1] - steps[0]) / last for i in range(len(stamps))]
    x_ticks = [Tick(frame.x(x), *short_time(text)) for x, text in zip(places, stamps, strict=True)]
    shapes = [Shape(frame.line(steps, values), "line c0")]
    about = f"{title}: {stamps[0]} to {stamps[-1]}"
    return Chart(title, about, *frame.sides, x_ticks, frame.y_ticks(), shapes)


def curves(title: str, lines: Mapping[str, Sequence[float]], target: float | None = None) -> Chart:
    """A line a run over the lead times 1…; ``target``: the nominal value, drawn dashed."""
    longest = max((len(line) for line in lines.values()), default=1)
    aim = [] if target is None else [target]
    frame = Frame((1, max(longest, 2)), span_of(*lines.values(), aim), lines)
    shapes = (
        []
        if target is None
        else [Shape(frame.line([1, longest], [target, target]), "aim", "nominal")]
    )
    labels: list[Label] = []
    for i, (name, line) in enumerate(lines.items()):
        if line:
            shapes.append(Shape(frame.line(range(1, len(line) + 1), line), f"line c{i % 6}", name))
            labels += beside(frame, line, name, f"t{i % 6}") if name else []
    steps = dict.fromkeys([1, *(round(longest * q / 4) for q in (1, 2, 3)), longest])
    x_ticks = [Tick(frame.x(step), str(step)) for step in steps if step >= 1]
    drawn = [(name, line) for name, line in lines.items() if line]
    ranges = [f"{name} from {figure(line[0])} to {figure(line[-1])}" for name, line in drawn]
    about = f"{title} by lead time, steps 1 to {longest}: {'; '.join(ranges)}"
    return Chart(
        title,
        about,
        *frame.sides,
        x_ticks,
        frame.y_ticks(),
        shapes,
        "steps ahead",
        [s for s in shapes if s.style == "aim"],
        spread(labels),
    )


def reliability(lines: Mapping[str, Mapping[int, float]]) -> Chart:
    """The coverage (0…1) of the central p % intervals by p, a line a run; the diagonal is ideal."""
    percents = [f"{percent} %" for percent in (0, 25, 50, 75, 100)]
    frame = Frame((0, 100), (0.0, 100.0), lines if len(lines) > 1 else (), percents)
    shapes = [Shape(frame.line([0, 100], [0, 100]), "aim", "ideal")]
    summaries, labels = [], []
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
        labels += beside(frame, actual, name, f"t{i % 6}") if len(lines) > 1 else []
        summaries.append(f"{name} " + ", ".join(f"{c:.0f} for {p}" for p, c in pairs))
    ticks = [Tick(frame.x(p), f"{p} %") for p in (0, 50, 80, 95)]
    marks = [Tick(frame.y(25 * i), text) for i, text in enumerate(percents)]
    about = "coverage of central intervals in per cent: " + "; ".join(summaries)
    return Chart(
        "Coverage of the intervals",
        about,
        *frame.sides,
        ticks,
        marks,
        shapes,
        "nominal coverage",
        [s for s in shapes if s.style == "aim"],
        spread(labels),
    )


def histogram(title: str, shares: Sequence[float]) -> Chart:
    """Bars over equal bins from 0 to 1; the dashed line is a uniform distribution."""
    count, uniform = len(shares), 1 / len(shares)
    frame = Frame((0, 1), (0.0, max(*shares, uniform)))
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
        title,
        about,
        *frame.sides,
        x_ticks,
        frame.y_ticks(),
        shapes,
        legend=[s for s in shapes if s.label],
    )
