"""Time zones and the changes of daylight-saving time."""

import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data.tables import read_table
from forecaster.errors import UserError

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


def test_local_time_without_a_zone_is_refused_with_a_hint(write) -> None:
    with pytest.raises(UserError, match="where the clock goes forward, give --timezone Europe/Ber"):
        read_table(write(local_csv("2024-03-30 12:00", 30, "%Y-%m-%d %H:%M")), Columns())


def test_hour_that_does_not_exist_is_refused(write) -> None:
    text = "time,x\n2024-03-31 01:00,1\n2024-03-31 02:00,2\n2024-03-31 03:00,3\n"
    with pytest.raises(
        UserError,
        match="line 3, column 'time': 2024-03-31 02:00:00 does not exist in Europe/Berlin",
    ):
        read_table(write(text), Columns(timezone=ZONE))


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
