"""What a picture of a forecast shows: which series, how much of their history, which intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.config.sections import nearest
from forecaster.data.tables import Table
from forecaster.errors import UserError
from forecaster.io.output_tables import level_columns, point_column

LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)  # the ends of 50, 80 and 95 %
# series that a picture shows unless they are named, and of which a reader picks one at a time
MOST, MOST_INTERACTIVE = 12, 100
MOST_NAMED = 60  # that fit into one picture
_SHORTEST = 60  # a history that is not too long for any horizon
_FEW = 8  # names in a refusal

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Fan:
    """A series: history ``past`` (n), point forecast (H), and the ends (2, H) of its intervals.

    Times are those of the file's clock. ``bands``: by the share that they are to hold, such as
    ``95 %``, the widest first. ``error``: the MASE on held-out windows, if it is known.
    """

    name: str
    past_stamps: pd.DatetimeIndex
    past: Values
    stamps: pd.DatetimeIndex
    point: Values
    bands: Mapping[str, Values]
    error: float | None = None

    @property
    def title(self) -> str:
        """The name, with the error if it is known."""
        return self.name if self.error is None else f"{self.name} (MASE {self.error:.2f})"

    @property
    def ahead(self) -> pd.DatetimeIndex:
        """The times of ``joined``."""
        return pd.DatetimeIndex(self.past_stamps[self._last].append(self.stamps))

    def joined(self, values: Values) -> Values:
        """Values (…, H) of the forecast, begun at the last known value of the history, if any."""
        start = np.broadcast_to(self.past[self._last], (*values.shape[:-1], len(self._last)))
        return np.concatenate([start, values], axis=-1)

    @property
    def _last(self) -> NDArray[np.intp]:
        return np.flatnonzero(np.isfinite(self.past))[-1:]


@dataclass(frozen=True)
class Picture:
    """The series that are shown; ``about``: which of how many, '' if that needs no words."""

    fans: Sequence[Fan]
    about: str

    @property
    def shares(self) -> list[str]:
        """The shares of all intervals that are shown, the widest first."""
        found = {share for fan in self.fans for share in fan.bands}
        return sorted(found, key=lambda share: -float(share.removesuffix(" %")))


@dataclass(frozen=True)
class Choice:
    """The series to show, by name, and words about the choice, '' for all of one series."""

    names: Sequence[str]
    about: str
    errors: Mapping[str, float] = field(default_factory=dict)


def history_length(horizon: int, season: int) -> int:
    """How many values of the history a picture shows before ``horizon`` steps of forecast.

    Two seasons, but two horizons at least, so that the forecast can be seen to go on from them; and
    six horizons at most, so that it stays readable: a forecast of two weeks of days does not stand
    at the end of two years. Sixty values are never too many.
    """
    return min(max(2 * season, 2 * horizon), max(6 * horizon, _SHORTEST))


def named(text: str | Sequence[str], known: Sequence[str], option: str = "--series") -> list[str]:
    """The series of these names, or of a text with commas between them, in that order.

    Raises UserError for one that is not among the ``known``, and for more than ``MOST_NAMED``.
    """
    if isinstance(text, str):
        text = [text] if text in known else [part.strip() for part in text.split(",")]
    for name in text:
        if name not in known:
            others = "" if len(known) <= _FEW else ", …"
            raise UserError(
                f"{option}: no series '{name}'{nearest(str(name), known)}; there are "
                f"{', '.join(known[:_FEW])}{others}"
            )
    found = list(dict.fromkeys(text))
    if len(found) > MOST_NAMED:
        raise UserError(f"{option}: {len(found)} series; name at most {MOST_NAMED}, or none")
    return found


def choose(
    known: Sequence[str],
    errors: Mapping[str, float],
    wanted: Sequence[str] | None = None,
    most: int = MOST,
) -> Choice:
    """The ``wanted`` series, or else the worst of the ``known``, at most so many.

    ``errors``: by name; those without one come last, in their order.
    """
    count = len(known)
    errors = {name: errors[name] for name in known if name in errors}
    if wanted is not None:
        of = f"{len(wanted)} of {count} series" if len(wanted) < count else ""
        return Choice(wanted, of, errors)
    order = sorted(known, key=lambda name: -errors.get(name, -math.inf))
    shown = order[:most]
    few = f"{len(shown)} of {count} series" if len(shown) < count else f"{count} series"
    if count == 1:
        return Choice(shown, "", errors)
    if errors:
        return Choice(shown, f"{few}, the worst first, by their error on held-out windows", errors)
    return Choice(shown, f"the first {few}" if len(shown) < count else "", errors)


def places(table: Table) -> dict[str, tuple[int, int]]:
    """The numbers of each output's series and channel, by its name."""
    return {
        table.channel_label(series, k): (number, k)
        for number, series in enumerate(table.series)
        for k in range(len(table.names))
    }


def picture_of(
    table: Table, forecast: pd.DataFrame, quantiles: pd.DataFrame, choice: Choice, history: int
) -> Picture:
    """The picture of a forecast of the table.

    ``forecast``: its rows, for the point forecast; ``quantiles``: rows of the same series and times
    with columns of quantiles, of which those that lie as far below the median as others above it
    are the ends of intervals. ``history``: the number of values.
    """
    where, fans = places(table), []
    centre, ends = point_column(forecast), intervals(level_columns(quantiles))
    for name in choice.names:
        number, k = where[name]
        series = table.series[number]
        rows, bands = (
            frame[frame["item_id"] == name].iloc[:: -1 if table.newest_first else 1]
            for frame in (forecast, quantiles)
        )
        length = len(series.values)
        stamps = _on_the_clock(table, table.interval.stamps(series.first, length + len(rows)))
        recent = slice(max(length - history, 0), length)
        known = {
            share: bands[[low, high]].to_numpy(np.float64).T for share, (low, high) in ends.items()
        }
        fans.append(
            Fan(
                name,
                stamps[recent],
                series.values[recent, k],
                stamps[length:],
                rows[centre].to_numpy(np.float64),
                {share: both for share, both in known.items() if np.isfinite(both).any()},
                choice.errors.get(name),
            )
        )
    return Picture(fans, choice.about)


def recent_history(table: Table, names: Sequence[str], history: int) -> pd.DataFrame:
    """The last ``history`` values of each series: ``item_id, timestamp, value``, oldest first.

    At most half of a series, since it is stored with a run and must not be a copy of the data.
    """
    frames, where = [], places(table)
    for name in names:
        number, k = where[name]
        series = table.series[number]
        length = len(series.values)
        recent = slice(length - min(history, length // 2), length)
        stamps = table.clock.write(table.interval.stamps(series.first, length)[recent])
        columns = {"item_id": name, "timestamp": stamps, "value": series.values[recent, k]}
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def intervals(levels: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The levels of the ends of central intervals, by the share that they hold, widest first."""
    names = sorted(levels, key=float)
    found = {}
    for low in names:
        high = next((each for each in names if abs(float(low) + float(each) - 1) < 1e-9), low)
        if float(low) < 0.5 < float(high):
            found[f"{100 * (float(high) - float(low)):.4g} %"] = (low, high)
    return found


def _on_the_clock(table: Table, stamps: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Working times as the file's: with their zone where hours of it are known."""
    if not table.clock.utc:
        return stamps
    return stamps.tz_localize("UTC").tz_convert(table.clock.zone or "UTC")
