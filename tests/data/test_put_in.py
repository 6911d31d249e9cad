"""Rows that a file lacks, and where --on-gap zero puts a 0 in."""

import numpy as np
import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data.future import template, with_future
from forecaster.data.put_in import put_in_ahead, usually_put_in
from forecaster.data.tables import Table, read_table
from forecaster.errors import UserError

ZERO = Columns(known="price", target="y", on_gap="zero", freq="D")
MONDAY = pd.Timestamp("2024-01-01")
NAN = np.nan


def shop(rows: int, open_on: str) -> pd.DataFrame:
    """Of so many days from a Monday on those at which a shop is open, by their weekdays."""
    days = pd.date_range(MONDAY, periods=rows)
    days = days[[str(day) in open_on for day in days.weekday]]
    return pd.DataFrame({"date": days.strftime("%Y-%m-%d"), "y": 5.0, "price": 2.0})


def read(write, frame: pd.DataFrame, columns: Columns = ZERO) -> Table:
    return read_table(write(frame.to_csv(index=False)), columns)


@pytest.mark.parametrize(
    ("rows", "open_on", "lacking"),
    [
        (62, "012345", [0, 7]),  # nine weeks up to a Saturday, so that a Sunday comes first
        (34, "012345", [0, 7]),  # four Sundays
        (27, "012345", []),  # three
        (61, "01234", [0, 1, 7, 8]),
        (58, "01245", [1, 4, 8, 11]),  # up to a Tuesday: Thursday and Sunday
        (62, "0123456", []),
    ],
)
def test_days_of_the_week_without_rows_are_found(write, rows, open_on, lacking) -> None:
    table = read(write, shop(rows, open_on))
    found = usually_put_in(table, table.series[0], 14)
    assert np.flatnonzero(found).tolist() == lacking


@pytest.mark.parametrize(("week", "found"), [(3, True), (4, False), (11, False)])
def test_a_row_among_the_last_eight_is_a_usual_one(write, week, found) -> None:
    """Twelve weeks up to a Saturday have eleven Sundays."""
    sunday = MONDAY + pd.Timedelta(days=7 * week - 1)
    one = pd.DataFrame({"date": [f"{sunday:%Y-%m-%d}"], "y": [1.0], "price": [2.0]})
    table = read(write, pd.concat([shop(83, "012345"), one]))
    assert usually_put_in(table, table.series[0], 1)[0] == found


def test_hours_of_a_week_without_rows_are_found(write) -> None:
    """Open from 9 to 17, Monday to Friday: the first Saturday at 9 is none of the usual hours."""
    hours = pd.date_range(MONDAY, periods=24 * 7 * 6, freq="h")
    hours = hours[(hours.hour >= 9) & (hours.hour < 17) & (hours.weekday < 5)]
    frame = pd.DataFrame({"date": hours, "y": 5.0, "price": 2.0})
    table = read(write, frame, ZERO.model_copy(update={"freq": "h"}))
    ahead = pd.date_range(hours[-1], periods=24 * 7 + 1, freq="h")[1:]
    found = usually_put_in(table, table.series[0], len(ahead))
    closed = (ahead.hour < 9) | (ahead.hour >= 17) | (ahead.weekday >= 5)
    np.testing.assert_array_equal(found, closed)


def test_rows_of_the_future_are_put_in_between_rows_and_where_they_are_usual(write, tmp_path):
    """62 days up to a Saturday; of the future one Wednesday and the last Saturday are left out."""
    table = read(write, shop(62, "012345"))
    days = pd.date_range("2024-03-03", periods=14)
    keep = [day for day in days if day.weekday() != 6 and day not in (days[3], days[13])]
    frame = pd.DataFrame({"date": keep, "price": 3.0})
    frame.to_csv(tmp_path / "future.csv", index=False)
    found = with_future(table, tmp_path / "future.csv", ZERO)
    (series,) = found.series
    rows = put_in_ahead(found, series, 15)
    # step 13 is the Saturday at the end, 14 the Sunday after it
    assert np.flatnonzero(rows).tolist() == [0, 3, 7, 14]


def ahead(write, tmp_path, table: Table, days: pd.DatetimeIndex, steps: int) -> list[int]:
    """The steps that count as put in, of a future with these days."""
    pd.DataFrame({"date": days, "price": 3.0}).to_csv(tmp_path / "future.csv", index=False)
    found = with_future(table, tmp_path / "future.csv", ZERO)
    return np.flatnonzero(put_in_ahead(found, found.series[0], steps)[:steps]).tolist()


def test_a_gap_longer_than_those_of_the_history_is_not_put_in(write, tmp_path) -> None:
    """Up to a Saturday; three days in a row were closed once, the first of them a Sunday."""
    history = shop(62, "012345")
    history = history[~history["date"].isin(["2024-02-12", "2024-02-13"])]  # after a Sunday
    table = read(write, history)
    days = pd.date_range("2024-03-03", periods=21)
    assert ahead(write, tmp_path, table, days[3:], 7) == [0, 1, 2]
    assert ahead(write, tmp_path, table, days[4:], 7) == [0, 1, 2, 3]  # a Sunday besides
    assert ahead(write, tmp_path, table, days[5:], 7) == [0]  # the Sunday alone
    assert ahead(write, tmp_path, table, days[18:], 7) == [0]  # a future that begins too late
    assert ahead(write, tmp_path, table, days[[1, 2, 3, 6, 8]], 8) == [0, 4, 5, 7]
    assert ahead(write, tmp_path, table, days[:2], 7) == []  # those after the last one


def test_a_future_that_is_a_whole_calendar_leaves_the_history_as_it_is(write, tmp_path) -> None:
    table = read(write, shop(62, "012345"))
    pd.DataFrame({"date": pd.date_range(MONDAY, periods=80), "price": 3.0}).to_csv(
        tmp_path / "future.csv", index=False
    )
    (before,), (after,) = table.series, with_future(table, tmp_path / "future.csv", ZERO).series
    rows = len(before.values)
    np.testing.assert_array_equal(after.known[:rows], before.known)
    np.testing.assert_array_equal(after.put_in, [*before.put_in, *[False] * (80 - rows)])


def test_the_hours_are_those_of_the_clock(write) -> None:
    """Summer time begins on the Sunday after the last row."""
    hours = pd.date_range("2024-02-05 09:00", "2024-03-30 17:00", freq="h")
    hours = hours[(hours.hour >= 9) & (hours.hour < 18) & (hours.weekday < 6)]
    frame = pd.DataFrame({"date": hours, "y": 5.0, "price": 2.0})
    berlin = ZERO.model_copy(update={"freq": "h", "timezone": "Europe/Berlin"})
    asked = template(read(write, frame, berlin), 40)["date"].tolist()
    assert asked[0] == "2024-04-01 09:00:00+02:00"


def test_one_closure_makes_no_open_hour_a_usual_gap(write) -> None:
    """Closed for twelve days, which end on the second morning before the last row."""
    hours = pd.date_range("2023-10-02 09:00", "2024-01-03 10:00", freq="h")
    hours = hours[(hours.hour >= 9) & (hours.hour < 18) & (hours.weekday < 6)]
    hours = hours[(hours < "2023-12-22") | (hours >= "2024-01-03")]
    frame = pd.DataFrame({"date": hours, "y": 5.0, "price": 2.0})
    asked = template(read(write, frame, ZERO.model_copy(update={"freq": "h"})), 48)["date"]
    assert len(asked) == 7 + 9 + 2  # the rest of the day, the next one, and two hours
    minutes = pd.date_range("2024-01-01 09:00", "2024-02-14 09:20", freq="5min")
    minutes = minutes[(minutes.hour >= 9) & (minutes.hour < 18)]
    frame = pd.DataFrame({"date": minutes, "y": 5.0, "price": 2.0})
    assert len(template(read(write, frame, ZERO.model_copy(update={"freq": "5min"})), 24)) == 24


def test_rows_after_the_last_of_the_file_say_nothing_of_a_week(write) -> None:
    """With --start eight weeks later the days at which there are rows are those before."""
    text = shop(62, "012345").to_csv(index=False)
    table = read_table(write(text), ZERO, start="2024-04-29")
    (series,) = table.series
    assert len(series.put_in) == len(series.values) == len(series.known)
    assert series.put_in[62:].all()
    assert np.flatnonzero(usually_put_in(table, series, 7)).tolist() == [6]
    cut = series.between(50, 60)
    np.testing.assert_array_equal(cut.put_in, series.put_in[50:])


def test_a_row_whose_covariates_are_known_is_in_the_template(write) -> None:
    """Of the Sundays to come the first has a price already."""
    text = shop(62, "012345").to_csv(index=False) + "2024-03-03,,7.0\n"
    rows = template(read_table(write(text), ZERO), 14)
    assert rows["date"].tolist()[0] == "2024-03-03"
    assert rows["price"].tolist()[:2] == ["7", ""]
    assert len(rows) == 13


def test_without_the_policy_no_row_is_put_in(write) -> None:
    for columns in (
        ZERO.model_copy(update={"on_gap": "fill"}),
        Columns(target="y", on_gap="zero", freq="D"),
        Columns(target="y", prior_column="price", on_gap="zero", freq="D"),
    ):
        table = read(write, shop(62, "012345"), columns)
        assert not len(table.series[0].put_in)
        assert not usually_put_in(table, table.series[0], 7).any()


def test_the_template_has_the_days_on_which_there_are_rows(write) -> None:
    table = read(write, shop(62, "012345"))
    days = template(table, 14)["date"].tolist()
    assert len(days) == 12
    assert {pd.Timestamp(day).weekday() for day in days} == set(range(6))
    with pytest.raises(UserError, match="forecast without --future"):
        template(table, 1)


def test_a_zero_is_put_between_the_first_and_the_last_value_of_each_column(write) -> None:
    """`late` begins and `early` ends within the file, and `never` has no value."""
    text = """date,all,late,early,never
2024-01-01,1,,3,
2024-01-03,1,,3,
2024-01-05,1,2,,
2024-01-07,1,2,,
"""
    table = read_table(write(text), Columns(on_gap="zero", freq="D", on_dead="skip"))
    np.testing.assert_array_equal(
        table.series[0].values.T,
        [[1, 0, 1, 0, 1, 0, 1], [NAN, NAN, NAN, NAN, 2, 0, 2], [3, 0, 3, NAN, NAN, NAN, NAN]],
    )
