"""What a file's configuration leaves open: horizon, lookback and seasons, from the file itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from forecaster.config.schema import DataConfig
from forecaster.data.intervals import Interval
from forecaster.data.periods import adjective, in_words, kind_of
from forecaster.data.seasons import find_seasons
from forecaster.data.splits import tail_borders
from forecaster.data.tables import Table

_HOUR, _DAY = pd.Timedelta(hours=1), pd.Timedelta(days=1)
# horizon and lookback of calendar intervals: business days, weeks, months, quarters, years
_CALENDAR = {"B": (20, 120), "W": (13, 104), "M": (12, 36), "Q": (4, 16), "Y": (3, 10)}
# that many series learn from each other's windows, so that fewer of each are enough
_MANY = 10

# the number of training rows of a series, by its length and the horizon
TrainRows = Callable[[int, int], int]


@dataclass(frozen=True)
class Steps:
    """A horizon and a lookback."""

    horizon: int
    lookback: int


def split_train_rows(length: int, horizon: int) -> int:
    """The training rows of the split of a user's file."""
    return tail_borders(length, horizon).train


def settle(
    config: DataConfig, table: Table, train_rows: TrainRows = split_train_rows
) -> tuple[DataConfig, list[str]]:
    """The configuration with all that a file decides, and each decision with its reason.

    What is given stays, and so does everything about a named data set, which has its protocol.
    """
    if config.dataset is not None:
        return config, []
    given, interval = config.model_fields_set, table.interval
    lengths = [len(series.values) for series in table.series]
    steps = choose_steps(config, lengths, interval, train_rows)
    values: dict[str, Any] = {"horizon": steps.horizon, "lookback": steps.lookback}
    if table.clock.place is not None:
        values["timezone"] = table.clock.place
    decisions = []
    if not {"horizon", "lookback"} <= given:
        decisions.append(_reason(steps, given, interval, lengths))
        short = sum(length < steps.lookback + 3 * steps.horizon for length in lengths)
        if 0 < short < len(lengths) and "on_short" not in given:
            values["on_short"] = "pad"
            decisions.append(
                f"{short} of {len(lengths)} series: fewer rows than lookback + 3 · horizon, so "
                "their history is padded"
            )
    if config.seasons is None:
        ends = [max(train_rows(length, steps.horizon), 0) for length in lengths]
        rows = [s.values[:end] for s, end in zip(table.series, ends, strict=True)]
        found = find_seasons(rows, interval)
        values["seasons"] = found.steps
        decisions.append(found.reason(interval))
    return config.model_copy(update=values), decisions


def usual_steps(interval: Interval) -> Steps:
    """The horizon and lookback of a long series, by its interval."""
    tick, every = interval.tick, int(interval.offset.n)
    if tick is None:
        horizon, lookback = _CALENDAR[kind_of(interval)]
        return Steps(max(horizon // every, 2), max(lookback // every, 6))
    if tick > _DAY:
        return Steps(13, 52)
    if tick == _DAY:
        return Steps(28, 112)
    day = int(_DAY / tick)
    if tick >= _HOUR:
        return Steps(2 * day, 14 * day)
    return Steps(day, 7 * day) if day <= 144 else Steps(60, 480)


def choose_steps(
    config: DataConfig,
    lengths: Sequence[int],
    interval: Interval,
    train_rows: TrainRows = split_train_rows,
) -> Steps:
    """Horizon and lookback: those given, else the usual ones, shortened for short series.

    The shortest series decides, but none of less than half of the median's rows, which would be
    padded. The horizon is a fifth of its rows at most, and as much as a padded series has room for
    if that is more than half of it. Of the training rows before the last horizon, two thirds are
    lookback at most, with many series five sixths; a season, if that leaves more than two windows.
    """
    usual, given = usual_steps(interval), config.model_fields_set
    strict = "on_short" in given and config.on_short == "error"
    least = 0 if strict else np.median(lengths) / 2
    rows = min(length for length in lengths if length >= least)
    horizon = config.horizon
    if "horizon" not in given:
        room = rows // 5
        if "lookback" in given:
            room = min(room, config.lookback // 2, (rows - config.lookback) // 3)
        horizon = max(min(usual.horizon, room), 1)
        padded = (min(lengths) - 2) // 3
        if not config.leaves_out_short and 2 * padded > horizon > padded:
            horizon = padded
    if "lookback" in given:
        return Steps(horizon, config.lookback)
    past, season = train_rows(rows, horizon) - horizon, interval.season
    share = 5 / 6 if len(lengths) >= _MANY else 2 / 3
    longest = max(int(share * past), min(season, past - 2), 1)
    wanted = max(usual.lookback, 2 * horizon)
    whole = longest - longest % season if longest >= season else longest
    return Steps(horizon, min(wanted, whole))


def _reason(steps: Steps, given: set[str], interval: Interval, lengths: Sequence[int]) -> str:
    """The decision, such as ``horizon 4, lookback 16: a year ahead of 4 years of …``."""
    chosen = [n for n in ("horizon", "lookback") if n not in given]
    named = ", ".join(f"{name} {getattr(steps, name)}" for name in chosen)
    ahead, past = in_words(interval, steps.horizon), in_words(interval, steps.lookback)
    rows = f"{min(lengths)} rows" if len(set(lengths)) == 1 else f"{min(lengths)} rows or more"
    usual = usual_steps(interval)
    shortened = [n for n in chosen if getattr(steps, n) < getattr(usual, n)]
    more = ", ".join(f"{name} {getattr(usual, name)}" for name in shortened)
    return f"{named}: {ahead} ahead of {past} of {adjective(interval)} data ({rows})" + (
        f"; for a longer series {more}" if more else ""
    )
