"""Conversion between the times in a file and the working times of the program.

Intervals shorter than a day are processed in UTC wherever a zone or an offset is known, so that a
change of daylight-saving time is neither a gap nor a duplicate. Days and longer are calendar steps
on local dates.
"""

from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.data.reading import RawTable
from forecaster.data.times.readings import Stamps
from forecaster.data.times.zones import check_zone
from forecaster.errors import UserError


@dataclass(frozen=True)
class Clock:
    """How working times are written; ``zone``: a name, or a fixed offset such as ``+01:00``."""

    utc: bool
    zone: str | None
    date_only: bool

    @property
    def place(self) -> str | None:
        """The zone, if it has a name."""
        return None if self.zone is None or self.zone[0] in "+-" else self.zone

    def write(self, stamps: pd.DatetimeIndex) -> list[str]:
        """Working times → the file's local times, ISO 8601, with the offset if a zone is known."""
        if self.utc:
            local = stamps.tz_localize("UTC").tz_convert(self.zone or "UTC")
        elif self.zone is not None and not self.date_only:
            local = stamps.tz_localize(
                self.zone, ambiguous=np.ones(len(stamps), bool), nonexistent="shift_forward"
            )
        else:
            return list(stamps.strftime("%Y-%m-%d" if self.date_only else "%Y-%m-%d %H:%M:%S"))
        return [stamp.isoformat(sep=" ") for stamp in local]

    def said(self, stamp: pd.Timestamp) -> str:
        """A working time in a message: as ``write`` where it is UTC, else as it is."""
        return self.write(pd.DatetimeIndex([stamp]))[0] if self.utc else str(stamp)

    def local(self, stamps: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """Working times → local wall-clock times."""
        if not self.utc:
            return stamps
        return stamps.tz_localize("UTC").tz_convert(self.zone or "UTC").tz_localize(None)

    def read(
        self, wall: pd.Timestamp, offset: int | None, expected: pd.Timestamp
    ) -> pd.Timestamp | None:
        """A local time → the working time; None for a time that daylight saving skips.

        ``offset`` in minutes east of UTC if the row has one. Of two working times that an ambiguous
        local time can mean, the ``expected`` one is preferred.
        """
        if not self.utc:
            return wall
        if offset is not None:
            return wall - pd.Timedelta(minutes=offset)
        walls = pd.DatetimeIndex([wall, wall])
        both = walls.tz_localize(
            self.zone, ambiguous=np.array([True, False]), nonexistent="NaT"
        ).dropna()
        stamps = list(both.tz_convert("UTC").tz_localize(None))
        return next((stamp for stamp in stamps if stamp == expected), stamps[0] if stamps else None)

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values, for ``metadata.json``."""
        return asdict(self)


def working_times(
    raw: RawTable, name: str, stamps: Stamps, groups: NDArray[np.int64], timezone: str | None
) -> tuple[pd.DatetimeIndex, Clock, str]:
    """Times of a file → working times (n,), their clock, and a description of it for the report.

    ``groups`` (n,): the number of each row's series. Within one series, the later occurrence of a
    local time is the one after the end of daylight saving: the second, or, where the latest rows
    stand first, the first one.
    """
    check_zone(timezone)
    zone = timezone
    if stamps.offsets is not None and timezone is None:
        minutes = np.unique(stamps.offsets)
        zone = _fixed(int(minutes[0])) if len(minutes) == 1 else None
    if stamps.offsets is not None and timezone is not None:
        stamps = _in_zone(stamps, timezone)
    # one time of day throughout: a calendar step, which stays on local dates
    if (stamps.wall - stamps.wall.normalize()).nunique() == 1:
        return stamps.wall, Clock(False, zone, stamps.date_only), "local dates"
    if stamps.offsets is not None:
        utc = stamps.wall - pd.to_timedelta(stamps.offsets, unit="min")
        note = "offsets change and no zone is named (--timezone): forecasts are written in UTC"
        return (
            utc,
            Clock(True, zone, False),
            note if zone is None else f"UTC, written back as {zone}",
        )
    if timezone is None:
        return (
            stamps.wall,
            Clock(False, None, stamps.date_only),
            "the file's own clock, no zone known",
        )
    return (
        _localize(raw, name, stamps, groups, timezone),
        Clock(True, zone, False),
        f"UTC, written back as {zone}",
    )


def _fixed(minutes: int) -> str:
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _in_zone(stamps: Stamps, timezone: str) -> Stamps:
    """The same moments as local times of a zone."""
    utc = stamps.wall - pd.to_timedelta(np.asarray(stamps.offsets), unit="min")
    local = utc.tz_localize("UTC").tz_convert(timezone).tz_localize(None)
    offsets = ((local - utc) // pd.Timedelta(minutes=1)).to_numpy(dtype=np.int64)
    return replace(stamps, wall=local, offsets=offsets)


def _localize(
    raw: RawTable, name: str, stamps: Stamps, groups: NDArray[np.int64], timezone: str
) -> pd.DatetimeIndex:
    frame = pd.DataFrame({"wall": stamps.wall, "group": groups})
    first = _are_earlier(raw, name, frame, timezone)
    local = stamps.wall.tz_localize(timezone, ambiguous=first, nonexistent="NaT")
    skipped = np.flatnonzero(local.isna())
    if len(skipped):
        row = int(skipped[0])
        then = _put_forward(stamps.wall[row], timezone)
        there = bool((frame.wall[frame.group == groups[row]] == then).any())
        again = stamps.wall[~first].tz_localize(timezone, ambiguous="NaT", nonexistent="NaT")
        # a file that has both hours of the night when the clock goes back is on that clock
        other = ", or --timezone UTC if the file's clock never changes"
        if np.any(again.isna()):
            other = ""
        raise UserError(
            f"{raw.where(row, name)}: {stamps.wall[row]} does not exist in {timezone}, where the "
            f"clock goes forward and it is {then} then; "
            f"{'remove the row' if there else 'correct the time'}{other}"
        )
    return local.tz_convert("UTC").tz_localize(None)


def _are_earlier(raw: RawTable, name: str, frame: pd.DataFrame, timezone: str) -> NDArray[np.bool_]:
    """Whether each row is the earlier of those of its series with its local time (n,).

    Raises UserError for an hour that comes twice where the rows about it are in no order.
    """
    wall = pd.DatetimeIndex(frame.wall)
    twice = wall.tz_localize(timezone, ambiguous="NaT", nonexistent="shift_forward").isna()
    again = frame.duplicated()
    by_group = frame.groupby("group").wall
    before = by_group.diff().dt.total_seconds() / 3600
    after = -by_group.diff(-1).dt.total_seconds() / 3600
    # the direction of the rows about each hour: of the step to its first row, or from its last
    pairs = [frame.group, frame.wall]
    first = before.where(~again).groupby(pairs).transform("first").to_numpy()
    last = after.where(~frame.duplicated(keep="last")).groupby(pairs).transform("last").to_numpy()
    turns = _near(first) & _near(last) & ((first < 0) != (last < 0))
    step = np.where(_near(first), first, last)
    unordered = again.to_numpy() & twice & (turns | ~_near(step))
    if unordered.any():
        row = int(unordered.argmax())
        raise UserError(
            f"{raw.where(row, name)}: {wall[row]} occurs twice, and the rows are not in the order "
            "of time, which tells the earlier from the later; sort them as they were measured, or "
            "give each time with its offset"
        )
    return np.asarray(~np.where(step < 0, frame.duplicated(keep="last"), again))


def _near(step: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether steps in hours lead to another time of the same day or so."""
    return (step != 0) & (np.abs(step) <= 24)


def _put_forward(wall: pd.Timestamp, timezone: str) -> pd.Timestamp:
    """A skipped local time by the clock that has gone forward: of its two folds one is before."""
    local = wall.to_pydatetime(warn=False).replace(tzinfo=ZoneInfo(timezone))
    before, after = (local.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    return wall + (after - before)
