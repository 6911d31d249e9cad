"""Times in several columns are found, joined and said; other columns of times of day are not."""

import pandas as pd
import pyarrow as pa
import pytest

from forecaster.config.schema import Columns
from forecaster.data.cells import Text
from forecaster.data.reading import read_frame
from forecaster.data.tables import Table, read_table
from forecaster.data.times.numeric_times import read_numbers
from forecaster.data.times.parts import holds
from forecaster.errors import UserError

HOURS = pd.date_range("2024-02-28 22:00", periods=60, freq="h")
QUARTER_HOURS = pd.date_range("2024-02-28 22:00", periods=200, freq="15min")
DAYS = pd.date_range("2019-11-20", periods=60)
MONTHS = pd.date_range("2019-11-01", periods=30, freq="MS")
QUARTERS = pd.date_range("2019-10-01", periods=12, freq="QS")
WEEKS = pd.date_range("2020-01-06", periods=60, freq="W-MON")


def csv(head: str, style: str, times: pd.DatetimeIndex, mark: str = ",") -> str:
    """Rows of what strftime makes of ``style``, and a value."""
    rows = [f"{time.strftime(style)}{mark}{i}" for i, time in enumerate(times)]
    return "\n".join([f"{head}{mark}x", *rows]) + "\n"


def check(table: Table, times: pd.DatetimeIndex, name: str) -> None:
    assert table.names == ("x",)
    assert table.report.facts["time column"] == name
    columns = ", ".join(f"'{part}'" for part in name.split(","))
    assert f"columns {columns} give the time together" in table.report.decisions
    (series,) = table.series
    assert series.values[:, 0].tolist() == list(range(len(times)))
    assert list(table.interval.stamps(series.first, len(times))) == list(times)


CASES = [
    ("Date,Time", "%d/%m/%Y,%H:%M:%S", HOURS),
    ("Date,Time", "%d/%m/%Y,%H.%M.%S", HOURS),
    ("Date,Time", "%m/%d/%y,%I:%M %p", HOURS),
    ("Datum,Uhrzeit", "%d.%m.%Y,%H:%M", QUARTER_HOURS),
    ("day,hour", "%Y-%m-%d,%-H", HOURS),
    ("date,hour,minute", "%Y-%m-%d,%-H,%M", QUARTER_HOURS),
    ("date,hhmm", "%Y-%m-%d,%-H%M", QUARTER_HOURS),
    ("date,TIME", "%Y%m%d,%H%M", QUARTER_HOURS),
    ("date,start", "%d-%b-%Y,%H:%M", HOURS),
    ("Date,Time", "%d/%m/%Y,%H:%M - %H:59", HOURS),
    ("year,month,day,hour", "%Y,%-m,%-d,%-H", HOURS),
    ("YEAR,MO,DY".replace("MO", "MM").replace("DY", "DD"), "%Y,%-m,%-d", DAYS),
    ("#YY,MM,DD,hh,mm".replace("YY", "yyyy"), "%Y,%m,%d,%H,%M", QUARTER_HOURS),
    ("year,month,day,time", "%Y,%m,%d,%H:%M", QUARTER_HOURS),
    ("Jahr,Monat", "%Y,%m", MONTHS),
    ("Year,Month", "%Y,%B", MONTHS),
    ("year,month", "%Y,%b", MONTHS),
    ("year,period", "%Y,M%m", MONTHS),
    ("year,week", "%G,%-V", WEEKS),
    ("year,doy", "%Y,%-j", DAYS),
]


@pytest.mark.parametrize(("head", "style", "times"), CASES)
def test_parts_are_found_and_joined(write, head: str, style: str, times) -> None:
    check(read_table(write(csv(head, style, times)), Columns()), times, head)


@pytest.mark.parametrize("quarter", ["{}", "Q{}", "q{}"])
def test_quarters(write, quarter: str) -> None:
    rows = [f"{day.year},{quarter.format(day.quarter)},{i}" for i, day in enumerate(QUARTERS)]
    path = write("\n".join(["Year,Quarter,x", *rows]) + "\n")
    check(read_table(path, Columns()), QUARTERS, "Year,Quarter")


def test_hours_that_end_at_24(write) -> None:
    rows = [
        f"{day:%Y-%m-%d},{hour},{24 * i + hour - 1}"
        for i, day in enumerate(DAYS[:3])
        for hour in range(1, 25)
    ]
    table = read_table(write("\n".join(["Date,Hour Ending,x", *rows]) + "\n"), Columns())
    check(table, pd.date_range("2019-11-20 01:00", periods=72, freq="h"), "Date,Hour Ending")
    rows = [
        f"{day:%d.%m.%Y},{hour:02d}:00,{24 * i + hour - 1}"
        for i, day in enumerate(DAYS[:3])
        for hour in range(1, 25)
    ]
    table = read_table(write("\n".join(["Date,Time,x", *rows]) + "\n"), Columns())
    check(table, pd.date_range("2019-11-20 01:00", periods=72, freq="h"), "Date,Time")


@pytest.mark.parametrize(
    ("given", "head", "style", "times"),
    [
        ("a,b", "a,b", "%d/%m/%Y,%H:%M", HOURS),
        ("a, b", "a,b", "%d/%m/%Y,%H:%M", HOURS),
        ("b,c,a", "a,b,c", "%d,%Y,%m", DAYS),
        ("y,m,d,h", "y,m,d,h", "%Y,%m,%d,%H", HOURS),
        ("y,q", "y,q", "%Y,%m", MONTHS),
    ],
)
def test_parts_that_are_named(write, given: str, head: str, style: str, times) -> None:
    table = read_table(write(csv(head, style, times)), Columns(timestamp=given))
    check(table, times, given.replace(" ", ""))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("Date,Clock", "no column 'Clock'; the columns are 'Date', 'Time', 'x'"),
        ("Date,x", "--timestamp Date,x: these columns do not make a time"),
        ("Time,x", "--timestamp Time,x: these columns do not make a time"),
        ("Date,Date", "--timestamp Date,Date: these columns do not make a time"),
    ],
)
def test_wrong_parts_are_refused(write, given: str, message: str) -> None:
    text = csv("Date,Time", "%d/%m/%Y,%H:%M", HOURS).replace(",0\n", ",9999\n")
    with pytest.raises(UserError, match=message):
        read_table(write(text), Columns(timestamp=given))


def test_a_name_with_a_comma_is_one_column(write) -> None:
    path = write(
        csv("Date, local,Time".replace("Date, local", '"Date, local"'), "%Y-%m-%d,0", DAYS)
    )
    table = read_table(path, Columns(timestamp="Date, local", target=("x",)))
    assert table.report.facts["time column"] == "Date, local"


def test_the_day_is_told_from_the_month_by_the_whole_time(write) -> None:
    """Dates alone would be regular both ways: five days of March, or the third of five months."""
    hours = pd.date_range("2024-03-01", periods=20, freq="6h")
    check(
        read_table(write(csv("Date,Time", "%d/%m/%Y,%H:%M:%S", hours)), Columns()),
        hours,
        "Date,Time",
    )


def test_items_keep_their_name(write) -> None:
    rows = [
        f"{hour:%Y-%m-%d},{hour:%H:%M},{shop},1" for hour in HOURS for shop in ("north", "south")
    ]
    table = read_table(write("\n".join(["Date,Time,shop,x", *rows])), Columns())
    assert [series.item_id for series in table.series] == ["north", "south"]
    assert table.interval.alias == "h"


def test_times_of_day_beside_different_days_are_no_part(write) -> None:
    rows = [f"{day:%Y-%m-%d},0{i % 3 + 5}:3{i % 10},{i}" for i, day in enumerate(DAYS)]
    path = write("\n".join(["date,sunrise,x", *rows]))
    table = read_table(path, Columns(target=("x",)))
    assert (table.interval.alias, table.report.facts["time column"]) == ("D", "date")


def test_a_year_beside_a_date_is_no_part(write) -> None:
    path = write(csv("Date,year,month", "%Y-%m-%d,%Y,%m", DAYS))
    table = read_table(path, Columns(timestamp="Date", target=("x",)))
    assert table.interval.alias == "D"
    assert not any("together" in decision for decision in table.report.decisions)


def test_a_wrong_part_is_named_with_its_line(write) -> None:
    text = csv("year,month,day", "%Y,%-m,%-d", DAYS).replace("2019,11,30,", "2019,11,31,")
    with pytest.raises(UserError, match="line 12, column 'year,month,day': '2019-11-31'"):
        read_table(write(text), Columns())
    blank = csv("Date,Time", "%d/%m/%Y,%H:%M", HOURS).replace("29/02/2024,01:00,3", "29/02/2024,,3")
    with pytest.raises(UserError, match="line 5, column 'Date,Time': the time is missing"):
        read_table(write(blank), Columns())


def test_frames_have_parts_too() -> None:
    frame = pd.DataFrame({"date": HOURS.normalize(), "hour": HOURS.hour, "x": range(60)})
    table = read_table(read_frame(frame, "the frame"), Columns())
    check(table, HOURS, "date,hour")
    floats = pd.DataFrame({"year": HOURS.year * 1.0, "month": HOURS.month * 1.0})
    frame = floats.assign(day=HOURS.day * 1.0, time=HOURS.time, x=range(60))
    check(read_table(read_frame(frame, "the frame"), Columns()), HOURS, "year,month,day,time")


def test_further_rows_are_joined_likewise(write) -> None:
    rows = read_table(write(csv("Date,Time", "%d/%m/%Y,%H.%M.%S", HOURS)), Columns()).rows
    assert rows is not None
    row = rows.parse("02/03/2024,10.00.00,7", 2, "input")
    assert (row.wall, row.values.tolist()) == (pd.Timestamp("2024-03-02 10:00"), [7])
    with pytest.raises(UserError, match="line 2, column 'Date,Time'"):
        rows.parse("2024-03-02,10.00.00,7", 2, "input")


@pytest.mark.parametrize("kind", ["year", "month", "day", "hour", "hhmm", "minute", "quarter"])
def test_numbers_beyond_int64_are_no_parts_of_a_time(kind: str) -> None:
    assert not holds(kind, Text.of(["9" * 20] * 5))
    assert not holds(kind, Text.of(["-" + "9" * 20, "1"]))


@pytest.mark.parametrize(("kind", "second"), [("epoch-s", 1), ("epoch-ns", 10**9)])
def test_counts_beyond_int64_are_no_times(kind: str, second: int) -> None:
    good = 1_700_000_000 * second
    texts = [str(good), "9" * 20, "-" + "9" * 20, str(2**63 - 1), str(good + second)]
    found = read_numbers(pa.array(texts), kind)
    assert found.isna().tolist() == [False, True, True, True, False]
    assert [str(found[0]), str(found[-1])] == ["2023-11-14 22:13:20", "2023-11-14 22:13:21"]
