"""Features of the calendar at times whose places are known."""

import numpy as np
import pandas as pd
import pytest

from forecaster.data.calendar_features import calendar_features, calendar_groups, calendar_width
from forecaster.data.intervals import Interval
from forecaster.errors import UserError

PERIODIC = ["hour", "weekday", "day_of_year"]
GROUPS = (*PERIODIC, "month_end", "time")


def features(group: str, *times: str) -> np.ndarray:
    return calendar_features(pd.DatetimeIndex(times), [group])


@pytest.mark.parametrize(
    ("alias", "groups"),
    [
        ("15min", ("hour", "weekday", "day_of_year")),
        ("h", ("hour", "weekday", "day_of_year")),
        ("12h", ("hour", "weekday", "day_of_year")),
        ("D", ("weekday", "day_of_year", "month_end")),
        ("B", ("weekday", "day_of_year", "month_end")),
        ("2D", ("day_of_year",)),
        ("W-TUE", ("day_of_year",)),
        ("MS", ("day_of_year",)),
        ("BME", ("day_of_year",)),
        ("QE-DEC", ("day_of_year",)),
        ("12MS", ()),
        ("YE-DEC", ()),
        ("YS-OCT", ()),
        ("2YS-JAN", ()),
    ],
)
def test_auto_takes_what_varies_and_a_list_may_add_the_time(alias: str, groups: tuple) -> None:
    interval = Interval(alias)
    assert calendar_groups(interval, "auto") == groups
    assert calendar_groups(interval, ",".join(("time", *reversed(groups)))) == (*groups, "time")
    for other in {*GROUPS} - {*groups, "time"}:
        with pytest.raises(UserError, match=f"there is no '{other}' for steps of {alias}; "):
            calendar_groups(interval, other)


def test_trading_days_are_days() -> None:
    pytest.importorskip("exchange_calendars")
    assert calendar_groups(Interval("exchange:XSWX"), "auto") == calendar_groups(
        Interval("B"), "auto"
    )


@pytest.mark.parametrize("wanted", [None, "none"])
def test_none_are_asked_for(wanted: str | None) -> None:
    assert calendar_groups(Interval("h"), wanted) == ()
    assert calendar_features(pd.DatetimeIndex(["2020-01-01"] * 3), ()).shape == (3, 0)
    assert calendar_width(()) == 0


def test_a_list_is_read_with_blanks() -> None:
    assert calendar_groups(Interval("D"), "weekday, month_end,weekday") == ("weekday", "month_end")


@pytest.mark.parametrize("wanted", ["weekdays", "weekday,", "auto,time", ""])
def test_unknown_groups_are_told_with_the_possible_ones(wanted: str) -> None:
    with pytest.raises(UserError) as caught:
        calendar_groups(Interval("W-SUN"), wanted)
    name = {"weekday,": "weekday", "auto,time": "auto"}.get(wanted, wanted)
    assert str(caught.value) == (
        f"--calendar {wanted}: there is no '{name}' for steps of W-SUN; give auto, none, or some "
        "of 'day_of_year', 'time'"
    )


def test_features_stand_side_by_side_in_the_order_of_their_groups() -> None:
    stamps = pd.date_range("2023-12-25 05:00", periods=50, freq="7h")
    joined = calendar_features(stamps, GROUPS)
    assert joined.dtype == np.float64
    assert joined.shape == (50, 3 * 4 + 2) == (50, calendar_width(GROUPS))
    parts = [calendar_features(stamps, [group]) for group in GROUPS]
    np.testing.assert_array_equal(joined, np.hstack(parts))


@pytest.mark.parametrize(
    ("group", "start", "quarter", "half"),
    [
        ("hour", "2021-03-04 00:00", "2021-03-04 06:00", "2021-03-04 12:00"),
        ("hour", "2024-12-31 00:00", "2024-12-31 06:00", "2024-12-31 12:00"),
    ],
)
def test_quarters_of_a_day(group: str, start: str, quarter: str, half: str) -> None:
    """sin and cos of 2πp and 4πp at p = 0, 1/4, 1/2."""
    expected = [[0, 0, 1, 1], [1, 0, 0, -1], [0, 0, -1, 1]]
    np.testing.assert_allclose(features(group, start, quarter, half), expected, atol=1e-12)


def test_minutes_and_seconds_count() -> None:
    angle = 2 * np.pi * (7 + 30 / 60 + 36 / 3600) / 24
    (row,) = features("hour", "2021-03-04 07:30:36")
    np.testing.assert_allclose(
        row, [np.sin(angle), np.sin(2 * angle), np.cos(angle), np.cos(2 * angle)]
    )


def test_a_weekday_is_one_all_day_long_from_monday_on() -> None:
    monday, late, thursday = features("weekday", "2024-01-01", "2024-01-01 23:59", "2024-01-04")
    np.testing.assert_array_equal(monday, [0, 0, 1, 1])
    np.testing.assert_array_equal(monday, late)
    angle = 2 * np.pi * 3 / 7
    np.testing.assert_allclose(
        thursday, [np.sin(angle), np.sin(2 * angle), np.cos(angle), np.cos(2 * angle)]
    )


def test_a_leap_year_is_a_day_longer() -> None:
    """1 July 2023 is 181 days of 365 on; 2 July 2024 is half of 366 days on."""
    half = features("day_of_year", "2024-07-02")
    np.testing.assert_allclose(half, [[0, 0, -1, 1]], atol=1e-12)
    (day,) = features("day_of_year", "2023-07-01 18:00")
    angle = 2 * np.pi * 181 / 365
    np.testing.assert_allclose(
        day, [np.sin(angle), np.sin(2 * angle), np.cos(angle), np.cos(2 * angle)]
    )


@pytest.mark.parametrize(
    ("group", "first", "last", "step"),
    [
        ("hour", "2024-02-29", "2024-02-29 23:45", "15min"),
        ("weekday", "2024-02-26", "2024-03-03", "D"),
        ("day_of_year", "2023-01-01", "2023-12-31", "D"),
        ("day_of_year", "2024-01-01", "2024-12-31", "D"),
    ],
)
def test_harmonics_of_a_whole_period_are_orthogonal_with_mean_0(
    group: str, first: str, last: str, step: str
) -> None:
    rows = calendar_features(pd.date_range(first, last, freq=step), [group])
    np.testing.assert_allclose(rows.sum(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(rows.T @ rows, len(rows) / 2 * np.eye(4), atol=1e-9)


@pytest.mark.parametrize(
    ("group", "time", "later"),
    [
        ("hour", "2021-03-04 17:15", "2022-08-09 17:15"),
        ("weekday", "2021-03-04", "2022-08-11"),
        ("day_of_year", "2021-03-04", "2023-03-04"),
        ("day_of_year", "2020-12-25", "2024-12-25"),
    ],
)
def test_equal_places_have_equal_values(group: str, time: str, later: str) -> None:
    one, other = features(group, time, later)
    np.testing.assert_array_equal(one, other)


def test_ends_of_months() -> None:
    days = pd.date_range("2023-01-01", "2024-12-31", freq="D")
    (ends,) = calendar_features(days, ["month_end"]).T
    expected = [*(f"2023-{end}" for end in ENDS), *(f"2024-{end}" for end in ENDS)]
    expected[1], expected[13] = "2023-02-28", "2024-02-29"
    assert list(days[ends == 1].strftime("%Y-%m-%d")) == expected
    assert set(ends) == {0, 1}


ENDS = [
    "01-31",
    "02-??",
    "03-31",
    "04-30",
    "05-31",
    "06-30",
    "07-31",
    "08-31",
    "09-30",
    "10-31",
    "11-30",
    "12-31",
]


def test_time_is_counted_in_years() -> None:
    times = ["2000-01-01", "2001-01-01", "1999-01-01", "2000-07-02", "2023-12-31 12:00"]
    (years,) = features("time", *times).T
    np.testing.assert_allclose(years, [0, 1, -1, 0.5, 24 - 0.5 / 365], rtol=1e-15)
