"""The calendar and its holidays as features of a table's own local times."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data.calendar_covariates import CalendarCovariates
from forecaster.data.calendar_features import calendar_features
from forecaster.data.encoding import Encoding, asked_for
from forecaster.data.intervals import Interval
from forecaster.data.tables import read_table
from forecaster.errors import UserError


def hourly(write, **columns: object):
    stamps = pd.date_range("2024-03-28", periods=24 * 6, freq="h", tz="UTC")
    rows = "".join(f"{stamp.isoformat()},{i % 24}\n" for i, stamp in enumerate(stamps))
    return stamps, read_table(write("time,y\n" + rows), Columns(**columns))


def test_features_are_those_of_the_local_time_and_go_on_ahead(write) -> None:
    """Europe's clocks go forward on 31 March 2024, Easter Monday is 1 April."""
    asked = {"calendar": "hour,weekday", "holidays": "DE", "timezone": "Europe/Berlin"}
    stamps, table = hourly(write, **asked)
    encoding = Encoding.fit(table, [100], Columns(**asked))
    (features,) = encoding.encode(table, ahead=24)
    ahead = stamps.union(pd.date_range(stamps[-1], periods=25, freq="h"))
    local = ahead.tz_convert("Europe/Berlin").tz_localize(None)
    wide = calendar_features(local, ("hour", "weekday")).shape[1]
    np.testing.assert_array_equal(
        features.known[:, :wide], calendar_features(local, ("hour", "weekday"))
    )
    is_holiday = local.normalize().isin(pd.to_datetime(["2024-03-29", "2024-04-01"]))
    np.testing.assert_array_equal(features.known[:, wide], is_holiday)
    assert features.past.shape == (len(stamps), 0)
    assert encoding.sizes.known == features.known.shape[1]
    assert Encoding.from_json(encoding.to_json()) == encoding


def test_nothing_is_known_unless_it_is_asked_for(write) -> None:
    _, table = hourly(write)
    assert not Encoding.fit(table, [100])
    assert not Encoding.fit(table, [100], Columns(calendar="none"))
    assert [asked_for(Columns(calendar=c)) for c in (None, "none", "auto")] == [False, False, True]
    assert asked_for(Columns(holidays="DE"))
    yearly = CalendarCovariates.of(Columns(calendar="auto"), Interval("YS-JAN"))
    assert (yearly.width, bool(yearly)) == (0, False)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"calendar": "hours"}, "there is no 'hours' for steps of D"),
        ({"calendar": "hour"}, "there is no 'hour' for steps of D"),
        ({"holidays": "XX"}, "no country 'XX'"),
        ({"holidays": "DE-XX"}, "DE has no part 'XX'"),
    ],
)
def test_what_the_interval_does_not_have_is_refused(asked: dict[str, str], words: str) -> None:
    with pytest.raises(UserError) as error:
        CalendarCovariates.of(Columns(**asked), Interval("D"))
    assert words in str(error.value)
    with pytest.raises(UserError, match="is for steps of a day or less"):
        CalendarCovariates.of(Columns(holidays="DE"), Interval("W-SUN"))


def test_other_regions_than_the_configurations_are_damage() -> None:
    calendar = CalendarCovariates.of(Columns(holidays="DE"), Interval("D"))
    encoding = Encoding(calendar=calendar)
    calendar.check()
    encoding.check_columns(Columns(calendar="weekday", holidays="DE"))
    with pytest.raises(ValueError, match="other holidays"):
        encoding.check_columns(Columns(calendar="weekday", holidays="FR"))
    with pytest.raises(UserError, match="the holidays of DE have other names than in the training"):
        replace(calendar, holidays=calendar.holidays[:-1]).check()
