"""Time zones and the changes of daylight-saving time."""

import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data.clock import Clock
from forecaster.data.tables import read_table
from forecaster.errors import UserError
from forecaster.workflows.train_steps import _last

ZONE = "Europe/Berlin"


def local_csv(first: str, hours: int, style: str) -> str:
    stamps = pd.date_range(first, periods=hours, freq="h", tz="UTC").tz_convert(ZONE)
    rows = [f"{stamp.strftime(style)},{i}" for i, stamp in enumerate(stamps)]
    return "time,x\n" + "\n".join(rows) + "\n"


@pytest.mark.parametrize("first", ["2024-03-30 12:00", "2024-10-26 12:00"], ids=["forward", "back"])
@pytest.mark.parametrize(
    "style", ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S%z"], ids=["naive", "offset"]
)
def test_change_of_the_clock_is_no_gap_and_no_duplicate(write, first: str, style: str) -> None:
    table = read_table(write(local_csv(first, 30, style)), Columns(timezone=ZONE))
    assert table.interval.alias == "h"
    assert table.series[0].values[:, 0].tolist() == list(range(30))
    assert table.series[0].first == pd.Timestamp(first)  # UTC
    written = table.clock.write(table.interval.stamps(table.series[0].first, 30))
    expected = pd.date_range(first, periods=30, freq="h", tz="UTC").tz_convert(ZONE)
    assert written == [stamp.isoformat(sep=" ") for stamp in expected]


@pytest.mark.parametrize("minutes", [60, 30])
@pytest.mark.parametrize("items", [1, 2])
def test_the_hour_that_comes_twice_in_a_file_with_the_latest_row_first(
    write, minutes: int, items: int
) -> None:
    start = pd.Timestamp("2024-10-26 12:00", tz="UTC")
    stamps = pd.date_range(start, periods=60, freq=f"{minutes}min").tz_convert(ZONE)
    rows = [
        f"{stamp:%Y-%m-%d %H:%M},{item},{i}"
        for i, stamp in reversed(list(enumerate(stamps)))
        for item in "ab"[:items]
    ]
    path = write("time,item,x\n" + "\n".join(rows) + "\n")
    table = read_table(path, Columns(timezone=ZONE, item_id=("item",)))
    for series in table.series:
        assert series.first == start.tz_localize(None)
        assert series.values[:, 0].tolist() == list(range(60))


def test_the_hour_that_comes_twice_is_open_where_rows_are_in_no_order(write) -> None:
    lines = local_csv("2024-10-26 12:00", 30, "%Y-%m-%d %H:%M").splitlines()
    mixed = [lines[0], *lines[1:][::2], *lines[2:][::2][::-1]]
    with pytest.raises(UserError, match="2024-10-27 02:00:00 occurs twice, and the rows are not"):
        read_table(write("\n".join(mixed)), Columns(timezone=ZONE))
    # two files one below the other are in order in each
    joined = [lines[0], *lines[16:], *lines[1:16]]
    values = read_table(write("\n".join(joined)), Columns(timezone=ZONE)).series[0].values
    assert values[:, 0].tolist() == list(range(30))
    days = [line for day in ("28", "27", "26") for line in lines[1:] if f"10-{day}" in line]
    values = (
        read_table(write("\n".join([lines[0], *days])), Columns(timezone=ZONE)).series[0].values
    )
    assert values[:, 0].tolist() == list(range(30))
    summer = local_csv("2024-07-26 12:00", 30, "%Y-%m-%d %H:%M").splitlines()
    summer = [summer[0], *summer[1:][::2], *summer[2:][::2][::-1], summer[3]]
    columns = Columns(timezone=ZONE, on_duplicate="first")
    assert len(read_table(write("\n".join(summer)), columns).series[0].values) == 30


def test_what_is_said_of_a_file_is_in_its_own_times(write) -> None:
    """A gap, twice the same time, and a clock that has no zone."""
    lines = local_csv("2024-07-01 12:00", 30, "%Y-%m-%d %H:%M").splitlines(keepends=True)
    missing = read_table(
        write("".join(lines[:5] + lines[8:])), Columns(timezone=ZONE, on_gap="fill")
    )
    assert missing.report.facts["gaps"] == [
        "3 time(s) are missing in 1 gap(s), first between 2024-07-01 17:00:00+02:00 and "
        "2024-07-01 21:00:00+02:00 (lines 5 and 6)"
    ]
    twice = "".join([*lines[:5], lines[4], *lines[5:]])
    columns = Columns(timezone=ZONE, on_duplicate="first")
    assert read_table(write(twice), columns).report.facts["duplicates"] == [
        "1 time(s) occur more than once, first 2024-07-01 17:00:00+02:00 (lines 5 and 6)"
    ]
    stamp = pd.Timestamp("2024-07-01 15:00")
    assert missing.clock.said(stamp) == "2024-07-01 17:00:00+02:00"
    assert Clock(False, ZONE, True).said(stamp.normalize()) == "2024-07-01 00:00:00"
    assert _last({"a": str(stamp), "b": str(stamp)}, missing.clock) == "2024-07-01 17:00:00+02:00"
    assert _last({"a": "2024-07-01 14:00:00", "b": str(stamp)}, missing.clock) == (
        "2024-07-01 17:00:00+02:00, the earliest series until 2024-07-01 16:00:00+02:00"
    )
    assert _last({"": "2024-07-01 00:00:00"}, Clock(False, None, True)) == "2024-07-01"


def test_local_time_without_a_zone_is_refused_with_a_hint(write) -> None:
    with pytest.raises(UserError, match="where the clock goes forward, give --timezone Europe/Ber"):
        read_table(write(local_csv("2024-03-30 12:00", 30, "%Y-%m-%d %H:%M")), Columns())


UTC = ", or --timezone UTC if the file's clock never changes"
AUTUMN = ("2023-10-29 01:00", "2023-10-29 02:00", "2023-10-29 02:00", "2023-10-29 03:00")


@pytest.mark.parametrize(
    ("times", "remedy"),
    [
        (("2024-03-31 01:00", "2024-03-31 02:00", "2024-03-31 03:00"), f"remove the row{UTC}"),
        (("2024-03-31 01:00", "2024-03-31 02:00", "2024-03-31 04:00"), f"correct the time{UTC}"),
        ((*AUTUMN, "2024-03-31 02:00", "2024-03-31 03:00"), "remove the row"),
        ((*AUTUMN, "2024-03-31 02:00", "2024-03-31 04:00"), "correct the time"),
        (("2024-03-31 02:00", "2024-04-01 03:00", "2024-04-01 03:00"), f"correct the time{UTC}"),
    ],
    ids=["both", "one", "both, on this clock", "one, on this clock", "another time twice"],
)
def test_hour_that_does_not_exist_is_refused(write, times, remedy) -> None:
    text = "time,x\n" + "".join(f"{time},{i}\n" for i, time in enumerate(times))
    with pytest.raises(UserError) as refused:
        read_table(write(text), Columns(timezone=ZONE))
    line = 2 + times.index("2024-03-31 02:00")
    assert str(refused.value).endswith(
        f", line {line}, column 'time': 2024-03-31 02:00:00 does not exist in Europe/Berlin, where "
        f"the clock goes forward and it is 2024-03-31 03:00:00 then; {remedy}"
    )


def test_a_clock_that_skips_half_an_hour(write) -> None:
    text = "time,x\n2024-10-06 01:45,1\n2024-10-06 02:15,2\n2024-10-06 03:15,3\n"
    with pytest.raises(UserError, match="forward and it is 2024-10-06 02:45:00 then; correct the"):
        read_table(write(text), Columns(timezone="Australia/Lord_Howe"))


def test_an_hour_of_another_series_is_not_there(write) -> None:
    text = "id,time,x\na,2024-03-31 01:00,1\na,2024-03-31 02:00,2\n"
    text += "b,2024-03-31 03:00,3\nb,2024-03-31 04:00,3\n"
    with pytest.raises(UserError, match="correct the time"):
        read_table(write(text), Columns(timezone=ZONE, item_id="id"))


def test_one_offset_is_used_and_changing_ones_fall_back_to_utc(write) -> None:
    fixed = "time,x\n" + "".join(f"2024-01-01T{h:02d}:00:00+05:30,{h}\n" for h in range(5))
    table = read_table(write(fixed), Columns())
    assert table.clock.write(table.interval.stamps(table.series[0].first, 1)) == [
        "2024-01-01 00:00:00+05:30"
    ]
    changing = read_table(
        write(local_csv("2024-03-30 12:00", 30, "%Y-%m-%dT%H:%M:%S%z")), Columns()
    )
    assert changing.clock.write(changing.interval.stamps(changing.series[0].first, 1)) == [
        "2024-03-30 12:00:00+00:00"
    ]
    assert "written in UTC" in changing.report.facts["clock"]


def test_days_are_calendar_steps_across_the_change(write) -> None:
    stamps = pd.date_range("2024-03-28", periods=8, freq="D", tz=ZONE)
    text = "time,x\n" + "".join(f"{s.isoformat()},{i}\n" for i, s in enumerate(stamps))
    table = read_table(write(text), Columns(timezone=ZONE))
    assert table.interval.alias == "D"
    assert table.clock.write(table.interval.stamps(table.series[0].first, 8)) == [
        s.isoformat(sep=" ") for s in stamps
    ]


def test_dates_stay_dates(write) -> None:
    table = read_table(write("time,x\n2024-01-30,1\n2024-01-31,2\n"), Columns())
    assert table.clock.write(table.interval.stamps(table.series[0].first, 3)) == [
        "2024-01-30",
        "2024-01-31",
        "2024-02-01",
    ]
