"""Every remedy that a refusal of times names leads on: applied to the very input, it succeeds, or
another message follows. Each message of these modules has a refusal below.
"""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from refusals import ROOM, Refusal, check_remedies, not_refused

# streamed rows are tested in test_rows.py
MODULES = [
    *("clock.py", "exchanges.py", "grid.py", "intervals.py", "resampling.py", "timestamps.py"),
    *(f"times/{path.name}" for path in sorted((ROOM / "times").glob("*.py"))),
]


def csv(times: Any, style: str = "%Y-%m-%d %H:%M:%S", head: str = "time") -> str:
    rows = [f"{time.strftime(style)},{i % 7}" for i, time in enumerate(times)]
    return "\n".join([f"{head},x", *rows]) + "\n"


def rows(*cells: str, head: str = "date") -> str:
    return "\n".join([f"{head},x", *(f"{cell},{i}" for i, cell in enumerate(cells))]) + "\n"


def local(first: str, hours: int, zone: str) -> pd.DatetimeIndex:
    stamps = pd.date_range(first, periods=hours, freq="h", tz="UTC").tz_convert(zone)
    return stamps.tz_localize(None)


RANDOM = np.random.default_rng(0)
HOURS = pd.date_range("2024-01-01", periods=50, freq="h")
DAYS = pd.date_range("2024-01-01", periods=50)
LATE = pd.to_timedelta(RANDOM.integers(-40, 40, 50), unit="s")
EVENTS = pd.Timestamp("2024-01-01") + pd.to_timedelta(
    np.sort(RANDOM.uniform(0, 90 * 86_400, 300)).round(), unit="s"
)
# by day alone: sales at any time, readings every 25 minutes or so, and events that are too rare
SALES = sorted(
    day + pd.Timedelta(minutes=float(late)).round("s")
    for day in DAYS
    for late in RANDOM.uniform(480, 720, 30)
)
BY_DAY = [
    day + pd.Timedelta(minutes=480 + 24.5 * i + float(late)).round("s")
    for day in DAYS
    for i, late in enumerate(RANDOM.uniform(-3, 3, 20))
]
RARE = EVENTS[::2]
MIDMONTH = [pd.Timestamp(2020, month, 10 + month % 5) for month in range(1, 13)]
TWELVE = rows(*(f"{month}/1/2015" for month in range(1, 12)))
BUSY = [day + pd.Timedelta(hours=9 + i) for day in DAYS for i in range(3) for _ in range(2)]
MIDNIGHTS = pd.date_range("2024-03-20", periods=30, tz="Europe/Berlin")
EPOCHS = rows(*(str(int(time.timestamp())) for time in MIDNIGHTS), head="timestamp")
GERMAN = rows("30. Dezember 2019", "31. Dezember 2019", "1. Januar 2020")
A_DAY_TWICE = rows("2024-01-01", "2024-01-02", "2024-01-02", "2024-01-03")
GAP = rows("2024-01-01", "2024-01-02", "2024-01-04", "2024-01-05")
TWO = rows("2024-01-01 10:00", "2024-01-01 11:00")
CLOSED = pd.DatetimeIndex(["2024-05-27", "2024-06-19", "2024-07-04"])  # in New York
NO_TIME = pd.DataFrame({"time": [DAYS[0], pd.NaT, DAYS[2]], "x": [1, 2, 3]})

SKIES = "date,x,sky\n2024-01-01,0,sun\n2024-01-02,1,rain\n2024-01-02,2,sun\n2024-01-03,3,sun\n"

DATE = {"timestamp": "date"}
WEEK_NUMBERS = [f"{week}/2021" for week in range(1, 40)]
REFUSALS = [
    Refusal(
        "texts have no mean",
        SKIES,
        {"known": ("sky",), "on_duplicate": "mean"},
        (SKIES.replace("1,rain", "1,sun"),),
    ),
    # times that are not written as times
    Refusal("the time is missing", rows("2024-01-01", "", "2024-01-03"), mended=(TWO,)),
    Refusal("has no such time of day", rows("2024-01-01 10:00", "2024-01-01 25:00"), mended=(TWO,)),
    Refusal("is in another format", rows("2024-01-01 10:00", "1.1.2024 11:00"), mended=(TWO,)),
    Refusal(
        "is in another format", rows("2024-01-01", "2024-01-02", "2024-01-03 11:00"), mended=(TWO,)
    ),
    Refusal("is not a time like", rows("2024-01-01 10:00", "later"), {"timestamp": "date"}, (TWO,)),
    Refusal("like '1/2021' in the first row; if these are weeks", rows(*WEEK_NUMBERS), DATE),
    Refusal("is not a time; if these are weeks", rows(*WEEK_NUMBERS[12:]), DATE),
    Refusal(
        "is not a time; write",
        rows("10:30|31.12.2019", "11:30|31.12.2019"),
        {"timestamp": "date"},
        (TWO,),
        {"date-format": "%H:%M|%d.%m.%Y"},
    ),
    Refusal("is not a time; give the language", GERMAN, {"timestamp": "date"}),
    Refusal(
        "no such language", GERMAN, {"timestamp": "date", "locale": "xx"}, values={"locale": "de"}
    ),
    Refusal(
        "is no interval like",
        rows("2024-01-01 10:00 - 2024-01-01 11:00", "2024-01-01 11:00", head="time"),
        mended=(TWO,),
    ),
    Refusal(
        "has no such offset",
        rows("2024-01-01 10:00+25:00", "2024-01-01 11:00+25:00"),
        mended=(TWO,),
    ),
    Refusal("names a zone that several", rows("2024-01-01 10:00 CST", "2024-01-01 11:00 CST")),
    Refusal(
        "outside the years",
        rows("1677", "1678", "1679", head="year"),
        mended=(rows("1678", "1679", head="year"),),
    ),
    Refusal("outside the years", rows("2262-01-01", "2262-01-02"), mended=(TWO,)),
    Refusal("can be read as", TWELVE),
    Refusal(
        "is a month, but the column is called like quarters",
        rows(*(f"{year}-{n}" for year in (2001, 2002) for n in range(1, 5)), head="quarter"),
        {"on_gap": "fill"},
        mended=(rows(*(f"{y}-Q{n}" for y in (2001, 2002) for n in range(1, 5)), head="quarter"),),
    ),
    Refusal(
        "a day is an hour short",
        "day,half_hour,x\n"
        + "".join(
            f"2024-03-{day},{n},{n}\n"
            for day, last in ((30, 48), (31, 46), (29, 48))
            for n in range(1, last + 1)
        ),
        {"timestamp": "day,half_hour"},
        mended=(TWO,),
        values={"timestamp": "time"},
    ),
    Refusal(
        "occurs twice, and the rows are not in the order of time",
        rows(*(f"2024-10-27 {hour:02d}:00" for hour in (1, 4, 2, 3, 0, 2, 5))),
        {"timezone": "Europe/Berlin"},
        mended=(
            rows(*(f"2024-10-27 {hour:02d}:00" for hour in (0, 1, 2, 2, 3, 4, 5))),
            rows(
                *("2024-10-27 01:00+02:00", "2024-10-27 04:00+01:00", "2024-10-27 02:00+02:00"),
                *("2024-10-27 03:00+01:00", "2024-10-27 02:00+01:00"),
            ),
        ),
    ),
    Refusal(
        "may be days without their year",
        rows(*(f"Mar {day:02d}" for day in range(1, 31))),
        mended=(rows(*(f"Mar {day:02d}, 2024" for day in range(1, 31))),),
    ),
    Refusal("can be read as", rows("18262", "18263", "18264")),
    Refusal(
        "not a time written as mdy",
        rows("31/12/2024", "30/12/2024"),
        {"date_format": "mdy"},
        values={"date-format": "dmy"},
    ),
    Refusal(
        "not a time written as",
        rows("31~12~2024"),
        {"date_format": "%d_%m_%Y", "timestamp": "date"},
        values={"date-format": "%d~%m~%Y"},
    ),
    Refusal("no such format", TWELVE, {"date_format": "euro"}, values={"date-format": "mdy"}),
    Refusal("the time is missing", NO_TIME, mended=(TWO,)),
    # several columns
    Refusal(
        "no column 'Clock'",
        rows("2024-01-01,10:00", head="Date,Time"),
        {"timestamp": "Date,Clock"},
        values={"timestamp": "Date,Time"},
    ),
    Refusal(
        "do not make a time",
        "Date,Time,x\n2024-01-01,10:00,9999\n2024-01-01,11:00,9999\n",
        {"timestamp": "Date,x"},
        values={"timestamp": "Date,Time"},
    ),
    # zones
    Refusal(
        "no such time zone",
        csv(HOURS),
        {"timezone": "Mars/Base"},
        values={"timezone": "Europe/Berlin"},
    ),
    Refusal(
        "remove the row, or --timezone UTC",
        rows("2024-03-31 01:00", "2024-03-31 02:00", "2024-03-31 03:00"),
        {"timezone": "Europe/Berlin"},
        mended=(rows("2024-03-31 01:00", "2024-03-31 03:00", "2024-03-31 04:00"),),
    ),
    Refusal(
        "correct the time, or --timezone UTC",
        rows("2024-03-31 01:00", "2024-03-31 02:00", "2024-03-31 04:00"),
        {"timezone": "Europe/Berlin"},
        mended=(rows("2024-03-31 01:00", "2024-03-31 03:00", "2024-03-31 04:00"),),
    ),
    *(
        Refusal(f"where the clock goes {way}, give --timezone {zone}", csv(local(first, 60, zone)))
        for way, first, zone in [
            ("back", "2024-10-26", "Europe/Berlin"),
            ("back", "2024-11-02", "America/New_York"),
            ("back", "2024-04-06", "Australia/Sydney"),
            ("forward", "2024-03-30", "Europe/Berlin"),
            ("forward", "2024-03-30", "Europe/London"),
            ("forward", "2024-03-09", "America/New_York"),
        ]
    ),
    Refusal("if these are days of another zone", EPOCHS),
    # times that are on no grid
    Refusal("give --snap h", csv(HOURS + LATE)),
    Refusal("give --snap 10min", csv(pd.date_range("2024-01-01", periods=50, freq="10min") + LATE)),
    Refusal(
        "give --snap min --on-gap fill",
        csv((pd.date_range("2024-01-01", periods=50, freq="min") + LATE / 8).delete([7, 8, 30])),
    ),
    Refusal(
        "of events with --resample D --aggregate sum --on-gap zero, of measurements with --resample "
        "D --aggregate mean --on-gap fill$",
        csv(EVENTS),
    ),
    Refusal(
        "of events with --resample D --aggregate sum, of measurements with --resample D "
        "--aggregate mean$",
        csv(SALES),
    ),
    Refusal(
        "with --resample D --aggregate sum --on-gap zero, of",
        csv([time for time in SALES if time.weekday() < 5]),
    ),
    Refusal("--resample 12h --aggregate mean \\(or sum, last", csv(BY_DAY)),
    Refusal("--resample D --aggregate mean --on-gap fill \\(or sum, last", csv(RARE)),
    Refusal("--resample MS --aggregate last", csv(MIDMONTH, "%Y-%m-%d")),
    Refusal("more gaps than data", csv([*HOURS[:3], DAYS[30]])),
    Refusal("more than 292 years", rows("1690-01-01", "1690-01-02", "2240-01-01"), mended=(TWO,)),
    Refusal("put the rows of each MS together", csv(DAYS, "%Y-%m-%d"), {"freq": "MS"}),
    Refusal("one time only", rows("2024-01-01"), mended=(TWO,), values={"freq": "D"}),
    Refusal("no such exchange", csv(DAYS), {"calendar_of": "XXXX"}, values={"calendar-of": "XNYS"}),
    Refusal(
        "trading days of an exchange",
        csv(pd.bdate_range("2024-05-20", periods=60).drop(CLOSED), "%Y-%m-%d"),
    ),
    Refusal("are missing in", GAP, mended=(csv(DAYS),)),
    Refusal("--on-gap zero where nothing happened", GAP, {"aggregate": "sum"}),
    Refusal("remove them or give --on-duplicate", A_DAY_TWICE, mended=(csv(DAYS),)),
    Refusal("with --aggregate sum \\(or", csv([day for day in DAYS for _ in range(3)])),
    Refusal("with --aggregate sum --freq D", csv(BUSY)),
    Refusal("of events with --resample D --aggregate", csv([*EVENTS, EVENTS[5]])),
    Refusal("put the rows of a step together", csv(HOURS + LATE), {"snap": "3h"}),
    # steps
    Refusal(
        "--freq fortnight: no such interval",
        csv(HOURS),
        {"freq": "fortnight"},
        values={"freq": "h"},
    ),
    Refusal("--snap some: no such interval", csv(HOURS), {"snap": "some"}, values={"snap": "h"}),
    Refusal(
        "--snap MS: only to steps shorter", csv(HOURS + LATE), {"snap": "MS"}, values={"snap": "h"}
    ),
    Refusal("say how the rows of a step", csv(HOURS), {"resample": "D"}),
    Refusal(
        "go beyond the year 2262",
        csv(pd.date_range("2240", periods=22, freq="YS"), "%Y-%m-%d"),
        mended=(csv(DAYS),),
    ),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.message[:40])
def test_every_remedy_leads_on(tmp_path, case: Refusal) -> None:
    check_remedies(case, tmp_path / "data.csv")


def test_every_message_of_these_modules_has_a_refusal(tmp_path) -> None:
    assert not_refused(MODULES, REFUSALS, tmp_path / "data.csv") == []
