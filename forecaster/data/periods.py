"""Spans of the calendar in steps of an interval, and in words: a day, 2 weeks, a year."""

import pandas as pd

from forecaster.data.intervals import Interval

_MINUTE, _HOUR, _DAY = pd.Timedelta(minutes=1), pd.Timedelta(hours=1), pd.Timedelta(days=1)
_NOTHING = pd.Timedelta(0)
_SPANS = {"minute": _MINUTE, "hour": _HOUR, "day": _DAY, "week": 7 * _DAY}
_YEAR_DAYS = 365.25
# periods of calendar intervals in a year: business days, weeks, months, quarters, years
_IN_A_YEAR = {"B": 261, "W": 52, "M": 12, "Q": 4, "Y": 1}
_STEPS = {"B": "business day", "W": "week", "M": "month", "Q": "quarter", "Y": "year"}
_KINDS = {"B": "business-day", "W": "weekly", "M": "monthly", "Q": "quarterly", "Y": "yearly"}
# hours and minutes are no seasons of coarser steps than twelve to one of them
_FEWEST = 12


def kind_of(interval: Interval) -> str:
    """The letter of a calendar interval, such as ``M`` for months; '' for a fixed length."""
    if interval.tick is not None:
        return ""
    if interval.of_business_days:
        return "B"
    return interval.offset.name.partition("-")[0].removeprefix("B")[:1] or "B"


def spans(interval: Interval) -> dict[str, int]:
    """Steps of each span of the calendar of more than a step, by its name, in ascending order."""
    tick, kind, every = interval.tick, kind_of(interval), int(interval.offset.n)
    if tick is not None:
        found = {n: int(span / tick) for n, span in _SPANS.items() if span % tick == _NOTHING}
        found["year"] = round(_YEAR_DAYS * (_DAY / tick))
    else:
        found = {"week": 5} if kind == "B" and every == 1 else {}
        if kind in {"B", "W"} or _IN_A_YEAR[kind] % every == 0:
            found["year"] = _IN_A_YEAR[kind] // every
    return {name: steps for name, steps in found.items() if steps > 1}


def calendar_seasons(interval: Interval) -> tuple[int, ...]:
    """The seasons in steps that the calendar gives an interval, ascending."""
    return tuple(
        steps
        for name, steps in spans(interval).items()
        if name not in {"minute", "hour"} or steps >= _FEWEST
    )


def span_name(interval: Interval, steps: int) -> str | None:
    """The calendar's name of this number of steps, such as ``week``, if it has one."""
    return next((name for name, n in spans(interval).items() if n == steps), None)


def season_in_words(interval: Interval, steps: int) -> str:
    """A season: ``a day (24 steps)``, ``11 steps``."""
    name = span_name(interval, steps)
    return f"{steps} steps" if name is None else f"{_one(name)} ({steps} steps)"


def seasons_in_words(interval: Interval, seasons: tuple[int, ...]) -> str:
    """Seasons, the main one first: ``a week (168 steps) and a day (24 steps)``."""
    if seasons == (1,):
        return "none"
    named = [season_in_words(interval, steps) for steps in seasons]
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)


def repeated(interval: Interval, season: int) -> str:
    """What seasonal naive repeats: ``last week``, ``last value``, ``last 11 steps``."""
    if season == 1:
        return "last value"
    return f"last {span_name(interval, season) or f'{season} steps'}"


def in_words(interval: Interval, steps: int) -> str:
    """A number of steps as a span: ``2 days``, ``a year``, ``13 weeks``, ``7 steps``."""
    known = {**_single(interval), **spans(interval)}
    for name, size in sorted(known.items(), key=lambda item: -item[1]):
        if steps % size == 0:
            count = steps // size
            return _one(name) if count == 1 else f"{count} {name}s"
    return f"{steps} steps" if steps > 1 else "a step"


def _single(interval: Interval) -> dict[str, int]:
    """The name of one step, if it has one."""
    tick = interval.tick
    if interval.offset.n != 1 and tick is None:
        return {}
    if tick is None:
        return {_STEPS[kind_of(interval)]: 1}
    names = {**_SPANS, "second": pd.Timedelta(seconds=1)}
    return {name: 1 for name, span in names.items() if span == tick}


def adjective(interval: Interval) -> str:
    """What data of this interval are called: ``hourly``, ``15-minute``, ``monthly``."""
    tick, every = interval.tick, int(interval.offset.n)
    if tick is None:
        return _KINDS[kind_of(interval)] if every == 1 else interval.alias
    for name, kind, span in (("day", "daily", _DAY), ("hour", "hourly", _HOUR)):
        if tick % span == _NOTHING:
            return kind if tick == span else f"{tick // span}-{name}"
    for name, span in (("minute", _MINUTE), ("second", pd.Timedelta(seconds=1))):
        if tick % span == _NOTHING:
            return f"{tick // span}-{name}"
    return interval.alias


def _one(name: str) -> str:
    return f"an {name}" if name == "hour" else f"a {name}"
