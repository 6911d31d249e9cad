"""Times are read as they are written, whole columns at once; what is open is refused."""

import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data import timestamps
from forecaster.data.cells import Text
from forecaster.data.reading import RawTable
from forecaster.data.tables import read_table
from forecaster.data.times import month_names
from forecaster.data.times.readings import Stamps
from forecaster.data.timestamps import parse_stamps
from forecaster.errors import UserError


def column(cells, name: str = "date") -> RawTable:
    cells = Text.of(cells) if isinstance(cells, list) else cells
    places = np.arange(2, len(cells) + 2)
    return RawTable("data.csv", {name: cells}, places, "line", "", ())


def looks_like_time(name: str, cells, columns: Columns = timestamps.AS_DEFAULT) -> bool:
    return timestamps.looks_like_time(name, column(cells).columns["date"], columns)


def read(cells, name: str = "date", usual: str | None = None, **given: str) -> Stamps:
    return parse_stamps(column(cells, name), name, Columns(**given), usual)


DAYS = pd.date_range("2019-12-28", periods=40)
HOURS = pd.date_range("2019-12-28", periods=60, freq="h")
MONTHS = pd.date_range("1998-11-01", periods=40, freq="MS")
QUARTERS = pd.date_range("1998-10-01", periods=20, freq="QS")
WEEKS = pd.date_range("2020-01-06", periods=60, freq="W-MON")
YEARS = pd.date_range("1700-01-01", periods=120, freq="YS")
# style of the cells, by strftime; the times; the column's name
WRITTEN = [
    *[(f, DAYS, "x") for f in ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y")],
    *[(f, DAYS, "x") for f in ("%m/%d/%Y", "%m-%d-%Y", "%m.%d.%Y", "%d-%m-%y", "%m/%d/%y")],
    *[(f, DAYS, "x") for f in ("%y/%m/%d", "%d %m %Y", "%Y-%j", "%Y-%d-%m", "%Y年%m月%d日")],
    *[(f, DAYS, "x") for f in ("%d-%b-%y", "%b-%d-%Y", "%d%b%Y", "%d. %B %Y", "%B %d, %Y")],
    *[(f, DAYS, "x") for f in ("%a, %d %b %Y", "%A, %B %d, %Y", "%d %b %Y %a", "%Y %b %d")],
    *[(f, DAYS, "date") for f in ("%Y%m%d", "%y%m%d", "%d%m%Y", "%Y%j")],
    *[(f, MONTHS, "x") for f in ("%Y-%m", "%b-%y", "%b-%Y", "%B %Y", "%Y %b", "%YM%m", "%Y:%m")],
    *[(f, MONTHS, "x") for f in ("%m/%Y", "%m-%Y", "%Y/%m", "%b %y", "%Y年%m月")],
    *[(f, MONTHS, "month") for f in ("%Y%m", "%Y.%m")],
    *[(f, WEEKS, "x") for f in ("%G-W%V", "%GW%V", "%G-W%V-%u", "W%V %G", "%G KW%V")],
    *[(f, WEEKS, "week") for f in ("%G%V", "%V/%G", "%V-%G", "%V.%G", "%G-%V", "%G/%V", "%G %V")],
    *[(f, YEARS, "year") for f in ("%Y", "%Y.0")],
    *[(f, HOURS, "x") for f in ("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H")],
    *[(f, HOURS, "x") for f in ("%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%m/%d/%Y %I:%M:%S %p")],
    *[(f, HOURS, "x") for f in ("%d/%m/%Y %H.%M.%S", "%d.%m.%y %H:%M")],
    *[
        (f, HOURS, "x")
        for f in ("%Y%m%dT%H%M%S", "%Y%m%d %H:%M", "%b %d %Y %I%p", "%Y-%m-%d %I %p")
    ],
    *[(f, HOURS, "timestamp") for f in ("%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y%m%d%H")],
]


@pytest.mark.parametrize(("style", "times", "name"), WRITTEN)
def test_what_strftime_writes_is_read(style: str, times: pd.DatetimeIndex, name: str) -> None:
    cells = list(times.strftime(style))
    assert looks_like_time(name, cells)
    stamps = read(cells, name)
    assert list(stamps.wall) == list(times)
    assert stamps.offsets is None
    assert stamps.date_only == (times is not HOURS)
    # what is written as in the training is read so, even a row alone
    alone = read(cells[:1], name, usual=stamps.date_style)
    assert list(alone.wall) == list(times[:1])
    given = read(cells[:1], name, date_format=stamps.date_style)
    assert list(given.wall) == list(times[:1])


def test_a_number_and_a_year_are_a_week_where_the_column_says_so() -> None:
    for count in (1, 10, 12):
        cells = [f"{number:02d}/2021" for number in range(1, count + 1)]
        mondays = list(pd.date_range("2021-01-04", periods=count, freq="W-MON"))
        found = read(cells, "week")
        assert list(found.wall) == mondays
        assert found.decisions == (
            "column 'week': '01/2021' is read as 4 January 2021, as the column is called a week "
            "(otherwise --date-format %m/%Y)",
        )
        assert list(read(cells, "KW", date_format="iso-week").wall) == mondays
        months = list(pd.date_range("2021-01-01", periods=count, freq="MS"))
        assert list(read(cells, "week", date_format="%m/%Y").wall) == months
        assert list(read(cells, "month").wall) == months
    named = read([f"2021.{number:02d}" for number in range(1, 53)], "week")
    assert list(named.wall) == list(pd.date_range("2021-01-04", periods=52, freq="W-MON"))


@pytest.mark.parametrize("step", [1, 3, 12])
def test_months_of_several_years_are_no_weeks_whatever_the_column_is_called(step: int) -> None:
    months = pd.date_range("2021-01-01", periods=40, freq=f"{step}MS")
    found = read([f"{day.month:02d}/{day.year}" for day in months], "week")
    assert list(found.wall) == list(months)
    assert "by which the times are regular (otherwise --date-format iso-week)" in found.decisions[0]
    seasons = read([f"{year}/{(year + 1) % 100:02d}" for year in range(2009, 2024)], "week")
    assert list(seasons.wall) == list(pd.date_range("2009-01-01", periods=15, freq="YS"))


def test_a_name_that_is_a_format_is_one_of_times() -> None:
    cells = [f"{day:%Y%m%d}" for day in pd.date_range("2024-01-01", periods=60)]
    for name in ("YYYYMMDD", "AAAAMMJJ", "jjjj-mm-tt", "DDMMYYYY", "aaaa_mm"):
        assert looks_like_time(name, cells)
    for name in ("aaaa", "mm", "comma", "summary"):
        assert not looks_like_time(name, cells)


def test_a_number_and_a_year_without_a_name_are_a_week_if_told() -> None:
    later, whole = [[f"{n}/2021" for n in range(first, 40)] for first in (13, 1)]
    for cells in (later, whole):
        assert not looks_like_time("ticket", cells)
        assert looks_like_time("weekly", cells)
        assert looks_like_time("ticket", cells, Columns(date_format="iso-week"))
        with pytest.raises(UserError, match="if these are weeks, give --date-format iso-week"):
            read(cells)
        assert read(cells, date_format="iso-week").wall[-1] == pd.Timestamp("2021-09-27")
    # of a year without a fifty-third week: the row that is none
    with pytest.raises(UserError, match=r"line 54, .*'53/2021' is not a time like '1/2021'"):
        read([f"{number}/2021" for number in range(1, 54)], "week")


@pytest.mark.parametrize(
    "style", ["{y}-Q{q}", "{y}Q{q}", "{y} Q{q}", "{y}:Q{q}", "Q{q} {y}", "Q{q}-{y}", "{q}Q{y}"]
)
def test_quarters(style: str) -> None:
    cells = [style.format(y=day.year, q=day.quarter) for day in QUARTERS]
    assert looks_like_time("x", cells)
    assert list(read(cells).wall) == list(QUARTERS)


@pytest.mark.parametrize(
    "style",
    ["{y}-S{h}", "{y}S{h}", "{y}-H{h}", "{y} H{h}", "H{h} {y}", "H{h}/{y}", "{h}H{y}", "{h}H {y}"],
)
def test_half_years(style: str) -> None:
    halves = pd.date_range("2010-01-01", periods=15, freq="6MS")
    cells = [style.format(y=day.year, h=1 + day.month // 7) for day in halves]
    assert looks_like_time("x", cells)
    stamps = read(cells)
    assert (list(stamps.wall), stamps.date_style) == (list(halves), "half-year")
    with pytest.raises(UserError, match=r"is (not a time like|in another format)"):
        read([*cells, style.format(y=2020, h=3)])


CLOCK_FIRST = [
    "%H:%M %d/%m/%Y",
    "%H:%M:%S %Y-%m-%d",
    "%I:%M %p %m/%d/%Y",
    "%I:%M:%S%p, %d %B %Y",
    "%H:%M  %d.%m.%Y",
]


@pytest.mark.parametrize("style", CLOCK_FIRST)
def test_a_time_of_day_before_its_date(style: str) -> None:
    hours = pd.date_range("2023-03-01 05:00", periods=600, freq="h")
    stamps = read([f"{hour:{style}}" for hour in hours], "when")
    assert list(stamps.wall) == list(hours)


@pytest.mark.parametrize(("unit", "per_second"), [("s", 1), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)])
def test_times_since_1970_are_utc(unit: str, per_second: float) -> None:
    cells = [str(int(hour.value // 10**9 * per_second)) for hour in HOURS]
    assert looks_like_time("timestamp", cells)
    assert not looks_like_time("visits", cells)
    stamps = read(cells, "timestamp")
    assert (list(stamps.wall), stamps.date_style) == (list(HOURS), f"epoch-{unit}")
    assert stamps.offsets is not None
    assert set(stamps.offsets) == {0}


def test_fractions_of_seconds_since_1970() -> None:
    wall = read(["1577836800.25", "1577836801.5"], "timestamp").wall
    assert list(wall.microsecond) == [250_000, 500_000]
    # the integers of nanoseconds keep all digits, which a float would not
    assert read(["1577836800123456789"], "timestamp").wall[0].value == 1577836800123456789


@pytest.mark.parametrize("decimal", [".", ","])
def test_serial_numbers_of_a_spreadsheet(decimal: str) -> None:
    days = (HOURS - pd.Timestamp("1899-12-30")) / pd.Timedelta(days=1)
    cells = [f"{day:.7f}".replace(".", decimal) for day in days]
    stamps = parse_stamps(column(cells, "Datum"), "Datum")
    assert (list(stamps.wall), stamps.date_style) == (list(HOURS), "excel")
    assert not looks_like_time("time", [str(number) for number in range(43000, 43100)])


def test_numbers_of_five_digits_may_be_days_since_1970_or_of_a_spreadsheet() -> None:
    with pytest.raises(
        UserError, match=r"1 January 2020 \(--date-format epoch-days\) and as 30 December 1949"
    ):
        read(["18262", "18263"])
    assert read(["18262"], date_format="epoch-days").wall[0] == pd.Timestamp("2020-01-01")
    assert read(["18262"], date_format="excel").wall[0] == pd.Timestamp("1949-12-30")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([f"{y + m / 12:.3f}" for y in (1949, 1950) for m in range(12)], "MS"),
        ([f"{y + m / 12:.2f}" for y in (1949, 1950) for m in range(12)], "MS"),
        ([f"{y + (m + 0.5) / 12:.3f}" for y in (1949, 1950) for m in range(12)], "MS"),
        ([f"{y + q / 4:.2f}" for y in (1949, 1950) for q in range(4)], "QS"),
    ],
)
def test_decimal_years(cells: list[str], expected: str) -> None:
    assert looks_like_time("Time", cells)
    assert list(read(cells, "Time").wall) == list(
        pd.date_range("1949-01-01", periods=len(cells), freq=expected)
    )


def test_decimal_years_of_days() -> None:
    days = pd.date_range("2019-12-29", periods=8)
    years = [day.year + (day.dayofyear - 1) / (366 if day.is_leap_year else 365) for day in days]
    assert list(read([f"{year:.4f}" for year in years], "year").wall) == list(days)


def test_months_as_decimals_lose_the_zero_of_october() -> None:
    months = pd.date_range("1871-01-01", periods=36, freq="MS")
    cells = [month.strftime("%Y.%m").removesuffix("0") for month in months]
    assert cells[9] == "1871.1"
    assert list(read(cells, "Date").wall) == list(months)


def test_years_that_run_over_the_end_of_a_calendar_year() -> None:
    for style in ("{0}-{1:02d}", "{0}/{1:02d}"):
        cells = [style.format(y, (y + 1) % 100) for y in range(1995, 2012)]
        assert list(read(cells, "x").wall) == list(pd.date_range("1995", periods=17, freq="YS"))
    assert list(read(["2010/2011", "2011/2012"], "season").wall.year) == [2010, 2011]


def test_two_digits_of_years_stay_together() -> None:
    for first, last in ((1960, 1999), (1995, 2005), (1999, 2040)):
        cells = [f"Jan-{year % 100:02d}" for year in range(first, last + 1)]
        assert list(read(cells).wall.year) == list(range(first, last + 1))


@pytest.mark.parametrize(
    ("zone", "minutes"),
    [
        *[("Z", 0), (" UTC", 0), (" GMT", 0), (" CET", 60), (" EST", -300), ("+01:00", 60)],
        *[("-0530", -330), ("+00", 0), (" UTC+1", 60), (" GMT-03:30", -210)],
        *[("+01:00[Europe/Berlin]", 60)],
    ],
)
def test_zones_after_times(zone: str, minutes: int) -> None:
    cells = list(HOURS.strftime("%Y-%m-%dT%H:%M:%S") + zone)
    stamps = read(cells)
    assert stamps.offsets is not None
    assert (list(stamps.wall), set(stamps.offsets)) == (list(HOURS), {minutes})


@pytest.mark.parametrize("order", ["%d%m%y", "%m%d%y", "%y%m%d"])
@pytest.mark.parametrize("count", [31, 200])
def test_days_in_six_digits(order: str, count: int) -> None:
    times = pd.date_range("2012-12-01", periods=count)
    assert list(read([day.strftime(order) for day in times]).wall) == list(times)


def test_days_in_six_digits_with_the_year_first_are_not_doubted() -> None:
    for times in (pd.date_range("2024-03-01", periods=10), pd.date_range("2024-02-25", periods=60)):
        stamps = read([day.strftime("%y%m%d") for day in times.delete([4, 7])])
        assert (list(stamps.wall), stamps.decisions) == (list(times.delete([4, 7])), ())


@pytest.mark.parametrize("mark", "/.")
@pytest.mark.parametrize("day", ["01", "04"])
def test_a_day_of_many_years_is_one(mark: str, day: str) -> None:
    cells = [f"01{mark}{day}{mark}{year:02d}" for year in range(1, 25)]
    years = read(cells, date_format="dmy").wall
    assert years[-1] == pd.Timestamp(2024, int(day), 1)
    if day != "01":
        assert list(read(cells).wall) == list(years)


def test_days_of_a_month_or_one_day_of_many_years_are_asked_for() -> None:
    cells = [f"12-01-{day:02d}" for day in range(1, 32)]
    with pytest.raises(UserError, match="can be read as") as refused:
        read(cells)
    assert "--date-format mdy" in str(refused.value)
    assert "--date-format ymd" in str(refused.value)
    assert read(cells, date_format="ymd").wall[-1] == pd.Timestamp("2012-01-31")
    assert read([f"12-01-{year}" for year in range(40, 60)]).wall[-1] == pd.Timestamp("1959-12-01")


@pytest.mark.parametrize("style", ["%b %d", "%b-%d", "%B %d"])
def test_days_without_their_year_are_no_years_of_two_digits(style: str) -> None:
    for days in (
        pd.date_range("2001-03-01", periods=31),
        pd.date_range("2001-02-20", "2001-05-29"),
    ):
        with pytest.raises(UserError, match="may be days without their year"):
            read([day.strftime(style) for day in days])


def test_months_with_years_of_two_digits_are_read_as_such() -> None:
    for months in (
        pd.date_range("2001-01-01", "2004-12-01", freq="MS"),
        pd.date_range("2001-02-01", "2030-12-01", freq="QS"),
        pd.date_range("2001-01-01", "2029-01-01", freq="6MS"),
        pd.date_range("1985-05-01", "2032-05-01", freq="YS-MAY"),
    ):
        assert list(read([month.strftime("%b %y") for month in months]).wall) == list(months)
    months = pd.date_range("2005-01-01", periods=20, freq="MS").delete(7)
    for times in (months, months[::-1]):
        assert list(read([month.strftime("%b %y") for month in times]).wall) == list(times)
    panel = [
        month for _ in range(40) for month in pd.date_range("2001-01-01", periods=3, freq="MS")
    ]
    assert list(read([month.strftime("%b-%y") for month in panel]).wall) == panel


def test_names_of_several_zones_need_the_place_or_their_sibling() -> None:
    winter, summer = "2024-01-01 10:00 CST", "2024-07-01 10:00 CDT"
    with pytest.raises(UserError, match="--timezone America/Chicago"):
        read([winter])
    assert read([winter], timezone="America/Chicago").offsets.tolist() == [-360]
    assert read([winter], timezone="Asia/Shanghai").offsets.tolist() == [480]
    assert read([winter, summer]).offsets.tolist() == [-360, -300]


@pytest.mark.parametrize(
    "style",
    [
        "%d.%m.%Y %H:%M - %d.%m.%Y %H:%M",
        "%d/%m/%Y %H:%M:%S - %d/%m/%Y %H:%M:%S",
        "%Y-%m-%dT%H:%M/%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M to %Y-%m-%d %H:%M",
    ],
)
def test_the_start_of_an_interval_counts(style: str) -> None:
    middle = next(mark for mark in (" - ", "/%Y", " to ") if mark in style)
    end = style.index(middle) + len(middle) - 2 * (middle == "/%Y")
    cells = [a.strftime(style[:end]) + b.strftime(style[end:]) for a, b in pairwise(HOURS)]
    assert looks_like_time("MTU (CET/CEST)", cells)
    stamps = read(cells, "MTU (CET/CEST)")
    assert list(stamps.wall) == list(HOURS[:-1])
    assert "the start counts" in stamps.decisions[0]


def test_midnights_without_a_time_of_day() -> None:
    cells = [f"{hour:%d/%m/%Y %H:%M:%S}".removesuffix(" 00:00:00") for hour in HOURS]
    assert list(read(cells).wall) == list(HOURS)
    with pytest.raises(UserError, match="line 26, column 'date': '29/12/2019' is in another form"):
        read([f"{HOURS[0]:%d/%m/%Y %H:%M:%S}", *cells[1:]])


@pytest.mark.parametrize(
    ("locale", "cells"),
    [
        ("de", ["1. Januar 2020", "2. März 2020", "31. Dezember 2020"]),
        ("de", ["1-Jan-20", "2-Mrz-20", "31-Dez-20"]),
        ("fr", ["1 janvier 2020", "2 mars 2020", "31 décembre 2020"]),
        ("fr", ["mer. 1 janv. 2020", "lun. 2 mars 2020", "jeu. 31 déc. 2020"]),
        ("es", ["1 de enero de 2020", "2 de marzo de 2020", "31 de diciembre de 2020"]),
    ],
)
def test_names_of_months_in_the_language_asked_for(locale: str, cells: list[str]) -> None:
    expected = [pd.Timestamp(day) for day in ("2020-01-01", "2020-03-02", "2020-12-31")]
    assert list(read(cells, locale=locale).wall) == expected
    assert looks_like_time("x", cells, Columns(locale=locale))
    with pytest.raises(UserError, match=f"--locale {locale}"):
        read(cells)


def test_unknown_languages_are_refused() -> None:
    with pytest.raises(UserError, match="--locale xx: no such language; give one like de"):
        read(["1. Januar 2020"], locale="xx")


def test_without_babel_one_line_says_what_to_install(monkeypatch) -> None:
    month_names._names.cache_clear()
    monkeypatch.setitem(sys.modules, "babel", None)
    with pytest.raises(UserError, match=r"--locale de: needs .* pip install babel$"):
        read(["1. Januar 2020"], locale="de")
    with pytest.raises(UserError, match=r"or tell their format with --date-format$"):
        read(["1. Januar 2020"])


def mdy(times: pd.DatetimeIndex) -> list[str]:
    return [f"{day.month}/{day.day}/{day.year}" for day in times]


JANUARY = pd.date_range("2015-01-01", periods=12, freq="MS")


def test_first_days_of_months_are_likelier_than_twelve_days_of_january() -> None:
    for months in (JANUARY, pd.date_range("2015-01-01", periods=36, freq="MS")):
        stamps = read(mdy(months))
        assert list(stamps.wall) == list(months)
        assert "'2/1/2015' is read as 1 February 2015" in stamps.decisions[0]
        assert "otherwise --date-format dmy" in stamps.decisions[0]
    # the same cells, if it is said that they are days
    assert list(read(mdy(JANUARY), date_format="dmy").wall) == list(
        pd.date_range("2015-01-01", periods=12)
    )


@pytest.mark.parametrize("style", ["%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"])
def test_steps_of_hours_tell_the_day_from_the_month(style: str) -> None:
    hours = pd.date_range("2024-03-01", periods=60, freq="h")
    assert list(read(list(hours.strftime(style))).wall) == list(hours)


def test_what_both_readings_allow_is_open() -> None:
    for cells in (mdy(JANUARY[:11]), list(DAYS[5:12].strftime("%d/%m/%Y"))):
        with pytest.raises(UserError, match=r"can be read as .*dmy\) and as .*mdy"):
            read(cells)
        orders = {order: read(cells, date_format=order).wall for order in ("dmy", "mdy")}
        assert not orders["dmy"].equals(orders["mdy"])
        for order, wall in orders.items():
            assert list(read(cells, usual=f"%{order[0]}/%{order[1]}/%Y").wall) == list(wall)


def test_equal_readings_are_not_ambiguous() -> None:
    stamps = read([f"01/01/{year}" for year in range(1950, 1990)])
    assert list(stamps.wall.year) == list(range(1950, 1990))
    assert stamps.decisions == ()


def test_one_row_decides_for_all() -> None:
    assert list(read(["03/04/2024", "04/04/2024", "13/04/2024"]).wall.day) == [3, 4, 13]
    assert list(read(["04/03/2024", "04/04/2024", "04/13/2024"]).wall.day) == [3, 4, 13]


def test_the_usual_style_is_no_rule() -> None:
    """A file that is written in another style than the training file is read by its own."""
    assert list(read(["2024-04-03"], usual="%d/%m/%Y").wall.month) == [4]
    assert list(read(["12/31/2024"], usual="%d/%m/%Y").wall.month) == [12]
    assert list(read(["2020", "2021"], "year", usual="epoch-s").wall.year) == [2020, 2021]


@pytest.mark.parametrize(
    ("given", "cells"),
    [
        ("%H:%M %d.%m.%Y", ["10:30 31.12.2019", "11:30 01.01.2020"]),
        ("%d%m%Y%H%M", ["311220191030", "010120201130"]),
        ("%d/%m/%Y %H:%M", ["31/12/2019 10:30", "1/1/2020 11:30"]),
        ("%d.%m.%Y", ["31.12.2019 10:30", "01.01.2020 11:30"]),
        ("%m|%d|%Y", ["12|31|2019 10:30", "01|01|2020 11:30"]),
        ("%Y-%m-%d %H:%M:%S%z", ["2019-12-31 11:30:00+0100", "2020-01-01 12:30:00+0100"]),
    ],
)
def test_formats_of_ones_own(given: str, cells: list[str]) -> None:
    stamps = read(cells, date_format=given)
    assert list(stamps.wall) == [pd.Timestamp("2019-12-31 10:30"), pd.Timestamp("2020-01-01 11:30")]
    assert looks_like_time("x", cells, Columns(date_format=given))
    assert list(read(cells[:1], usual=stamps.date_style).wall) == [stamps.wall[0]]


BAD = [
    (["2024-01-01", ""], {}, "line 3, column 'date': the time is missing"),
    (["2024-01-01", "01.02.2024"], {}, "line 3, column 'date': '01.02.2024' is in another format"),
    (["31/12/2024", "12/31/2024"], {}, "line 3, column 'date': '12/31/2024' is in another format"),
    (["2024-01-01 10:00", "2024-01-01 25:00"], {}, "'2024-01-01 25:00' has no such time of day"),
    (["2024-01-01 10:00", "2024-01-01 10:75"], {}, "line 3, column 'date': '2024-01-01 10:75' is"),
    (["1/1/2024 0:30 AM", "1/13/2024 1:30 AM"], {}, "'1/1/2024 0:30 AM' has no such time of day"),
    (["2024-01-01 10:00Z", "2024-01-01 11:00"], {}, "'2024-01-01 11:00' is in another format"),
    (["2024-01-01 10:00+19:00"] * 2, {}, "has no such offset from UTC"),
    (["2024-02-30"], {}, "'2024-02-30' is not a time"),
    (["2024-W54"], {}, "'2024-W54' is not a time"),
    (["1677", "1678"], {}, "line 2, column 'date': '1677' is outside the years 1678 to 2261"),
    (["1500-01-01", "1678-01-01"], {}, "'1500-01-01' is outside the years 1678 to 2261"),
    (["2024-01-01", "9999-12-31"], {}, "line 3, column 'date': '9999-12-31' is outside the years"),
    (["2024-01-01", "2262-01-01"], {}, "line 3, column 'date': '2262-01-01' is outside the years"),
    (["31/12/2024"], {"date_format": "mdy"}, "'31/12/2024' is not a time written as mdy"),
    (["2024-12-31"], {"date_format": "%d.%m.%Y"}, "'2024-12-31' is not a time written as %d.%m.%Y"),
    (["x"], {"date_format": "%Q"}, "--date-format %Q: no such format; give dmy, mdy or ymd"),
    (["x"], {"date_format": "euro"}, "--date-format euro: no such format"),
]


@pytest.mark.parametrize(("cells", "given", "message"), BAD)
def test_bad_times_are_refused_with_their_place(
    cells: list[str], given: dict, message: str
) -> None:
    with pytest.raises(UserError) as caught:
        read(cells, **given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_years_too_early_are_recognised_as_years() -> None:
    assert looks_like_time("year", [str(year) for year in range(1600, 1700)])
    assert not looks_like_time("response", [str(year) for year in range(1600, 1700)])
    assert not looks_like_time("response_time", [str(number) for number in range(1600, 1700)])


def test_floats_may_be_years() -> None:
    years = np.arange(1700.0, 1720.0)
    assert looks_like_time("YEAR", years)
    assert list(read(years, "YEAR").wall.year) == list(range(1700, 1720))
    assert not looks_like_time("t", np.arange(20.0))


@pytest.mark.parametrize(
    "form",
    ["Q{q} {y}", "q{q}-{y}", "Q{q}/{y}", "Q{q}'{y}", "Q{q} '{y}", "{q}Q{y}", "{y}Q{q}", "{y}-Q{q}"],
)
@pytest.mark.parametrize("first", [1996, 2010])
def test_quarters_of_years_of_two_digits(write, form: str, first: int) -> None:
    quarters = [(year, q) for year in range(first, first + 10) for q in range(1, 5)]
    rows = [f"{form.format(q=q, y=f'{y % 100:02d}')},{i}" for i, (y, q) in enumerate(quarters)]
    table = read_table(write("\n".join(["period,x", *rows])), Columns())
    assert table.interval.alias == "QS-JAN"
    assert table.series[0].first == pd.Timestamp(first, 1, 1)
    assert table.series[0].values[:, 0].tolist() == list(range(40))


@pytest.mark.parametrize("cells", [["Q110", "Q210"], ["Q1 10", "Q2 2010"], ["Q5 10", "Q6 10"]])
def test_other_texts_with_a_q_are_no_quarters(write, cells: list[str]) -> None:
    path = write("\n".join(["period,x", *(f"{cell},{i}" for i, cell in enumerate(cells))]))
    with pytest.raises(UserError, match=r"is not a time|another format"):
        read_table(path, Columns(timestamp="period"))


@pytest.mark.parametrize(
    "cells", [["1949013", "1949014"], ["19490230", "19490231"], ["12345678", "23456789"]]
)
def test_other_numbers_are_not_proposed_as_days(write, cells: list[str]) -> None:
    path = write("\n".join(["a,b", *(f"{cell},{i}" for i, cell in enumerate(cells))]))
    with pytest.raises(UserError, match="no column holds times"):
        read_table(path, Columns())
