"""Columns that tell a part of the time are read as such or asked for, never taken for names."""

import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data.cells import Text
from forecaster.data.many import in_parts
from forecaster.data.tables import read_table
from forecaster.data.times.parts import holds
from forecaster.errors import UserError

YEARS = range(2000, 2012)


def yearly(head: str, *parts: str) -> str:
    """A row a year and part, whose value counts."""
    rows = [f"{year},{part}" for year in YEARS for part in parts]
    return "\n".join([f"year,{head},x", *(f"{row},{i}" for i, row in enumerate(rows))]) + "\n"


def dated(times: pd.DatetimeIndex, minutes: int, head: str = "Settlement Period") -> str:
    """A date, and the number of the part of the day, of so many minutes."""
    numbers = (times.hour * 60 + times.minute) // minutes + 1
    rows = [f"{t:%Y-%m-%d},{n},{i}" for i, (t, n) in enumerate(zip(times, numbers, strict=True))]
    return "\n".join([f"day,{head},x", *rows]) + "\n"


@pytest.mark.parametrize(
    ("head", "minutes"),
    [("Settlement Period", 30), ("HALF-HOUR", 30), ("quarter_hour", 15), ("Viertelstunde", 15)],
)
@pytest.mark.parametrize("periods", [9, 300])
def test_numbered_parts_of_a_day_are_times(write, head: str, minutes: int, periods: int) -> None:
    times = pd.date_range("2024-03-05 20:00", periods=periods, freq=f"{minutes}min")
    columns = Columns(timestamp=f"day,{head}") if periods < 10 else Columns()
    for rows in (slice(None), slice(None, None, -1)):
        lines = dated(times, minutes, head).splitlines()
        table = read_table(write("\n".join([lines[0], *lines[1:][rows]])), columns)
        (series,) = table.series
        assert list(table.interval.stamps(series.first, len(times))) == list(times)
        assert series.values[:, 0].tolist() == list(range(len(times)))


def test_a_day_whose_periods_end_an_hour_early_is_refused(write) -> None:
    times = pd.date_range("2024-03-29", periods=48 * 4, freq="30min")
    lines = dated(times, 30).splitlines()
    kept = [line for line in lines if not line.startswith(("2024-03-31,47,", "2024-03-31,48,"))]
    path = write("\n".join(kept))
    with pytest.raises(UserError, match=r"'Settlement Period' tells apart \('1' to '48'\); if"):
        read_table(path, Columns())
    with pytest.raises(UserError, match="a day is an hour short"):
        read_table(path, Columns(timestamp="day,Settlement Period"))
    # the first day of a file may begin late, and the last one end early
    inner = read_table(write("\n".join([lines[0], *lines[30:-2]])), Columns())
    assert (inner.series[0].first, len(inner.series[0].values)) == (times[29], 161)


@pytest.mark.parametrize("head", ["slot", "interval", "period", "INTERVAL"])
@pytest.mark.parametrize("count", [24, 48, 96])
def test_numbers_of_any_slots_may_be_names(write, head: str, count: int) -> None:
    rows = [f"2024-01-{day:02d},{n},{n}" for day in range(1, 31) for n in range(1, count + 1)]
    with pytest.raises(UserError, match=f"which '{head}' tells apart .*; if it names series, give"):
        read_table(write("\n".join([f"day,{head},x", *rows])), Columns())


@pytest.mark.parametrize(
    ("head", "parts"),
    [
        ("period", [f"M{n:02d}" for n in range(1, 14)]),
        ("period", [f"Q{n:02d}" for n in range(1, 6)]),
        ("Half", ["H1", "H2"]),
        ("Trimester", ["T1", "T2", "T3"]),
        ("Season", ["Winter", "Spring", "Summer", "Autumn"]),
        ("season", ["DJF", "MAM", "JJA", "SON"]),
        ("quarter", ["Jan-Mar", "Apr-Jun", "Jul-Sep", "Oct-Dec"]),
        ("quarter", ["1st", "2nd", "3rd", "4th"]),
        ("semester", ["I", "II"]),
        ("month", ["J", "F", "M", "A", "MJ", "JY", "AU", "S", "O", "N", "D", "JA"]),
        ("Tag", ["FIC101.PV", "TIC205.PV"]),
        ("x2", [f"M{n}" for n in range(1, 13)]),
        ("x2", [f"Q{n}" for n in range(1, 5)]),
        ("x2", [f"W{n}" for n in range(1, 53)]),
        ("dekad", ["1", "2", "3"]),
        ("Fiscal Week", [str(n) for n in range(1, 53)]),
        ("HE", [f"{n:02d}00" for n in range(1, 26)]),
    ],
)
def test_parts_are_asked_for(write, head: str, parts: list[str]) -> None:
    path = write(yearly(head, *parts))
    with pytest.raises(UserError, match=f"which '{head}' tells apart .*if that is a part of the"):
        read_table(path, Columns())
    assert len(read_table(path, Columns(item_id=head)).series) == len(parts)
    (summed,) = read_table(path, Columns(aggregate="sum", target="x")).series
    assert summed.values[0, 0] == sum(range(len(parts)))


@pytest.mark.parametrize(
    ("head", "parts"),
    [
        ("store", ["1", "2", "3"]),
        ("product", ["P1", "P2", "P3"]),
        ("who", ["Ann", "Bob"]),
        ("kind", ["a1", "a2"]),
        ("kind", ["T1", "T2", "T3"]),
        ("kind", ["Q1", "Q2", "Q3", "Q4", "Q5"]),
        ("sector", ["S1", "S2", "S3"]),
        ("parameter", ["Sommer", "Winter"]),
    ],
)
def test_names_are_names(write, head: str, parts: list[str]) -> None:
    table = read_table(write(yearly(head, *parts)), Columns())
    assert [series.item_id for series in table.series] == sorted(parts)


def test_letters_and_numbers_beside_days_are_names(write) -> None:
    rows = [f"2024-01-{day:02d},T{n},{day}" for day in range(1, 31) for n in (1, 2, 3)]
    table = read_table(write("\n".join(["day,turbines,x", *rows])), Columns())
    assert [series.item_id for series in table.series] == ["T1", "T2", "T3"]


@pytest.mark.parametrize(
    ("head", "parts", "interval"),
    [
        ("Periode", [f"{n:03d}" for n in range(1, 13)], "MS"),
        ("fiscal period", [str(n) for n in range(1, 13)], "MS"),
    ],
)
def test_what_makes_a_time_with_the_year_is_offered(
    write, head: str, parts: list[str], interval: str
) -> None:
    path = write(yearly(head, *parts))
    with pytest.raises(UserError) as refused:
        read_table(path, Columns())
    offered = str(refused.value).partition("--timestamp ")[2].partition(";")[0].strip("'")
    table = read_table(path, Columns(timestamp=offered))
    assert (table.interval.alias, len(table.series[0].values)) == (interval, 12 * len(YEARS))
    assert table.series[0].first == pd.Timestamp("2000-01-01")


@pytest.mark.parametrize(
    ("head", "parts", "interval"),
    [
        ("MO", [str(n) for n in range(1, 13)], "MS"),
        ("Kalenderwoche", [f"KW {n:02d}" for n in range(1, 53)], "W-MON"),
        ("Week", [f"Week {n}" for n in range(1, 53)], "W-MON"),
    ],
)
def test_names_of_parts(write, head: str, parts: list[str], interval: str) -> None:
    text = yearly(head, *parts)
    columns = Columns(on_gap="fill") if interval == "W-MON" else Columns()
    assert read_table(write(text), columns).interval.alias == interval


def test_months_in_another_language_beside_the_year(write) -> None:
    months = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"
    path = write(yearly("Monat", *months.split()))
    with pytest.raises(UserError, match="such as 'Januar 2000'; give --locale de"):
        read_table(path, Columns())
    table = read_table(path, Columns(locale="de"))
    assert (table.interval.alias, len(table.series[0].values)) == ("MS", 12 * len(YEARS))


@pytest.mark.parametrize("cell", ["{year}0{n}", "{year}-{n}", "{year}-0{n}", "{n}/{year}"])
def test_quarters_are_not_read_as_months(write, cell: str) -> None:
    cells = [cell.format(year=year, n=n) for year in YEARS for n in range(1, 5)]
    rows = [f"{each},{i}" for i, each in enumerate(cells)]
    path = write("\n".join(["Quarter,x", *rows]))
    with pytest.raises(UserError, match="no number is above 4; write quarters as 2000-Q4") as found:
        read_table(path, Columns())
    style = str(found.value).rpartition(" ")[2]
    months = read_table(path, Columns(date_format=style, on_gap="fill"))
    assert months.interval.alias == "MS"
    year = [f"{2000 + i // 12}-{1 + i % 12:02d},{i}" for i in range(36)]
    assert read_table(write("\n".join(["quarter,x", *year])), Columns()).interval.alias == "MS"


def test_a_number_below_an_hour_is_no_time_of_day() -> None:
    """``30`` of ``hhmm`` is 00:30 beside 1200, and a number of its own beside none."""
    assert holds("hhmm", Text.of(["30", "1200"]))
    assert holds("hhmm", Text.of(["30", "100"]))
    assert not holds("hhmm", Text.of(["30", "59"]))


def test_the_only_values_are_no_key(write) -> None:
    rows = [f"{year},{'ab'[k]},{100 * year + k}" for year in YEARS for k in (0, 1, 0)]
    with pytest.raises(UserError) as refused:
        read_table(write("\n".join(["year,kind,cases", *rows])), Columns())
    assert "--item-id cases" not in str(refused.value)


@pytest.mark.parametrize("head", ["tz", "tz_cd", "time zone", "utc_offset"])
@pytest.mark.parametrize("style", ["%Y-%m-%d %H:%M,", "%d.%m.%Y,%H:%M,"])
def test_a_column_of_zones_is_part_of_the_time(write, head: str, style: str) -> None:
    times = pd.date_range("2023-10-28 12:00", periods=40, freq="h", tz="UTC")
    zone = "%z" if head == "utc_offset" else "%Z"
    local = times.tz_convert("Europe/Berlin")
    rows = [f"{time.strftime(style + zone)},{i}" for i, time in enumerate(local)]
    heads = ["day", "clock", head, "x"] if style.count(",") == 2 else ["time", head, "x"]
    table = read_table(write("\n".join([",".join(heads), *rows])), Columns())
    (series,) = table.series
    assert table.names == ("x",)
    assert series.first == times[0].tz_localize(None)
    assert series.values[:, 0].tolist() == list(range(40))
    named = Columns(timestamp=",".join(heads[:-1]), timezone="Europe/Berlin")
    assert (
        read_table(write("\n".join([",".join(heads), *rows])), named).clock.zone == named.timezone
    )


def test_a_zone_tells_apart_the_rows_of_items_too(write) -> None:
    times = pd.date_range("2023-10-28 12:00", periods=40, freq="h", tz="UTC")
    local = times.tz_convert("Europe/Berlin")
    rows = [f"{t:%Y-%m-%d %H:%M},{t:%Z},{item},{i}" for item in "ab" for i, t in enumerate(local)]
    table = read_table(write("\n".join(["time,tz,shop,x", *rows])), Columns())
    assert [series.item_id for series in table.series] == ["a", "b"]
    assert [len(series.values) for series in table.series] == [40, 40]


@pytest.mark.parametrize(
    ("head", "cells", "names"),
    [
        ("zone", ["EST", "PST"], ["EST", "PST"]),
        ("tz", ["EST", "PST"], ["EST", "PST"]),
        ("tz", ["N", "S"], ["N", "S"]),
        ("zone", ["-1", "+1"], ["-1", "+1"]),
    ],
)
def test_zones_of_all_times_are_names(write, head: str, cells: list[str], names) -> None:
    rows = [f"2024-01-{day:02d} 12:00,{cell},{day}" for day in range(1, 31) for cell in cells]
    table = read_table(write("\n".join([f"time,{head},x", *rows])), Columns())
    assert [series.item_id for series in table.series] == names


@pytest.mark.parametrize(
    ("head", "cells", "values"),
    [
        ("tz", ["CST"], ["x"]),
        ("tz", ["CET"], ["x"]),
        ("tz", ["CET", "", "CET"], ["x"]),
        ("UTC offset", ["+0200"], ["x"]),
        ("offset", ["-1", "+0", "+1"], ["offset", "x"]),
        ("utc_offset", ["-1", "+0", "+1"], ["utc_offset", "x"]),
    ],
)
def test_a_zone_that_is_none_or_stays_is_no_part(write, head: str, cells, values) -> None:
    rows = [f"2024-01-01 {h:02d}:00,{cells[h % len(cells)]},{h}" for h in range(24)]
    table = read_table(write("\n".join([f"time,{head},x", *rows])), Columns())
    assert (list(table.names), table.report.facts["time column"]) == (values, "time")


def test_a_half_hour_without_its_number_is_refused_with_its_line(write) -> None:
    times = pd.date_range("2024-03-05", periods=200, freq="30min")
    lines = dated(times, 30).splitlines()
    lines[150] = "2024-03-08,,9"
    with pytest.raises(UserError, match="line 151, column 'day,Settlement Period'"):
        read_table(write("\n".join(lines)), Columns())


@pytest.mark.parametrize("zoned", [True, False])
def test_a_large_file_of_one_zone_in_its_first_rows_is_not_read_in_parts(
    tmp_path, zoned: bool
) -> None:
    days = pd.date_range("2024-01-01 12:00", periods=40).strftime("%Y-%m-%d %H:%M")
    frame = pd.DataFrame({"time": [*days, *days], "shop": ["a"] * 40 + ["b"] * 40, "x": range(80)})
    frame.assign(**({"tz": "CET"} if zoned else {})).to_parquet(tmp_path / "data.parquet")
    with in_parts(tmp_path / "data.parquet", Columns(), few=True) as parts:
        assert (parts is None) is zoned
