"""The same of columns, layouts, numbers and splits; every module that names an option is tested."""

import numpy as np
import pandas as pd
import pytest
import test_remedies
from refusals import ROOM, Refusal, check_remedies, modules_with_options, not_refused

MODULES = [
    *("ends.py", "marks.py", "numbers.py", "problem.py", "roles.py", "splits.py", "tables.py"),
    *("series_names.py", "start.py", "written.py"),
    *(f"layout/{path.name}" for path in sorted((ROOM / "layout").glob("*.py"))),
]
# refusals of other commands and of streamed rows, tested with those
ELSEWHERE = {
    "backtest": "origins",
    "covariates": "all columns of a benchmark are values",
    "named data sets": "does not fit its splits",
    "the configuration": "name the data",
    "streamed rows": "is not in '{known}'",
}
# modules that name options without refusing anything themselves
HELPERS = {"remedies.py", "missing.py", "layout/words.py", "catalog.py", "wide.py"}
PARTS = {"files/containers.py", "files/workbooks.py"}  # in test_parts_proposed.py
# in test_covariate_columns.py, test_covariates_in_doubt.py, test_leaks.py, and those of their own
# names
COVARIATES = {"calendar_covariates.py", "covariates.py", "encoding.py", "future.py", "leaks.py"} | {
    *(f"{of}_features.py" for of in ("calendar", "holiday")),
    "static_file.py",
}

DAYS = [f"{day:%Y-%m-%d}" for day in pd.date_range("2024-01-01", periods=40)]
DATES = pd.to_datetime(DAYS)


def csv(head: str, *rows: str) -> str:
    return "\n".join([head, *rows]) + "\n"


def daily(head: str, *cells: str) -> str:
    """A day a row; the cells follow each other."""
    return csv(f"day,{head}", *(f"{day},{cells[i % len(cells)]}" for i, day in enumerate(DAYS)))


def grouped(*names: str) -> str:
    """A row a day and name."""
    return csv(
        "name,day,x", *(f"{name},{day},{i % 7}" for name in names for i, day in enumerate(DAYS))
    )


TURNS = csv("day,sensor,x", *(f"{day},s{i % 3},{i % 3 * 50 + i}" for i, day in enumerate(DAYS)))
PARTED = csv("year,dekad,x", *(f"{2000 + i // 3},{1 + i % 3},{i}" for i in range(36)))
GOOD = daily("x", *map(str, range(7)))
HOURLY = csv("time,x", *(f"{day} {hour:02d}:00,{hour}" for day in DAYS for hour in range(24)))
BEGUN = csv(
    "name,day,x",
    *(f"a,{day},{i % 7}" for i, day in enumerate(DAYS)),
    *(f"b,{day},{i if i > 38 else ''}" for i, day in enumerate(DAYS)),
)
EARLY, LATE = [f"a,{day},1" for day in DAYS[:9]], [f"b,{day},1" for day in DAYS[20:]]
MONTHS = "Jan,Feb,Mar,Apr,May,Jun,Jul,Aug,Sep,Oct,Nov,Dec"
TWELVE = ",".join(map(str, range(12)))
CROSSTAB = csv(f"Year,{MONTHS}", *(f"{year},{TWELVE}" for year in range(2010, 2020)))
ACROSS = csv("name," + ",".join(DAYS), "a," + "1,2,3,4,5" * 1 + ",6" * 35, "b" + ",1" * 40)
M4 = csv("V1," + ",".join(f"V{k}" for k in range(2, 42)), *(f"D{i}" + ",1" * 40 for i in range(3)))
KEYS = csv(
    "store,dept,day,sales",
    *(f"{s},{d},{day},{i % 5}" for s in "12" for d in "12" for i, day in enumerate(DAYS)),
)
BLOCKS = csv(
    "note,day,x", *(f"{'abc'[i // 12]},{day:%Y-%m-%d},1" for i, day in enumerate(DATES[:36]))
)
TWO_TIMES = csv("a,b,x", *(f"{day},{DAYS[(7 * i) % 40]},{i}" for i, day in enumerate(DAYS)))
FRAME = pd.DataFrame({"day": DATES, "due": DATES[::-1], "x": np.arange(40.0)})

GERMAN = """Artikel;Januar 2024;Februar 2024;März 2024;Mai 2024
Brot;1.234;1.301;1.410;1.190
Kuchen;234;301;410;190
"""
STATION = "".join(f"ACW00011604,2024010{day},28{day}\n" for day in range(1, 7))
TWO_DAYS = "a,b,c\n" + "".join(f"{day},2024010{day},2023010{day}\n" for day in range(1, 7))
REFUSALS = [
    # what a file's columns are
    Refusal("no column holds times", daily("x", "1").replace("2024-01", "some"), mended=(GOOD,)),
    Refusal("'column_2' could hold days such as '20240101'", STATION, {"header": False}),
    Refusal("'obs' could hold days such as '20240101'", f"id,obs,x\n{STATION}"),
    Refusal("give --timestamp b or --timestamp c", TWO_DAYS),
    Refusal("give --locale de", GERMAN),
    Refusal(
        "may hold times in another language",
        csv("when,x", *(f"{month} 2000,1" for month in ("Januar", "Februar", "März", "April"))),
    ),
    Refusal("if that is a part of the time, write whole times", PARTED, mended=(GOOD,)),
    Refusal("give --locale de", GERMAN, {"layout": "dates-across"}),
    Refusal("could each be the time", TWO_TIMES),
    Refusal(
        "'2019' holds no plain numbers \\('\\$5'\\); if a row is a series, give --layout dates-across",
        csv("geo,2019,2020,2021,2022", "AT,$5,$1,$2,$3", "BE,$5,$2,$3,$4"),
    ),
    Refusal(
        "; write all in one unit$",
        csv("geo,2019,2020,2021,2022", "AT,$5,1,2,3", "BE,$5,2,3,4"),
        {"layout": "dates-across"},
        mended=(csv("geo,2019,2020,2021,2022", "AT,5,1,2,3", "BE,5,2,3,4"),),
    ),
    Refusal(
        "'n/k' is not a number; correct it, or leave it blank for missing \\(or name the text with "
        "--missing\\)$",
        csv("geo,2019,2020,2021,2022", "AT,n/k,1,2,3", "BE,1,2,3,4"),
        {"layout": "dates-across"},
        mended=(csv("geo,2019,2020,2021,2022", "AT,,1,2,3", "BE,1,2,3,4"),),
        values={"missing": "n/k"},
    ),
    Refusal("no column 'y'", GOOD, {"target": "y"}, values={"target": "x"}),
    Refusal("holds the times, so it cannot be", GOOD, {"target": "day,x"}),
    Refusal(
        "cannot be both", GOOD, {"timestamp": "day", "target": "day,x"}, values={"target": "x"}
    ),
    Refusal("no value column beside 'day'", daily("note", "sun", "rain"), mended=(GOOD,)),
    Refusal("look like a row of data", csv(*GOOD.splitlines()[1:])),
    Refusal(
        "look like a row of data",
        pd.DataFrame([["2024-01-02", 2], ["2024-01-03", 3]], columns=["2024-01-01", "1"]),
        mended=(pd.DataFrame({"day": DATES, "x": 1}),),
    ),
    Refusal("occurs twice", daily("x,x", "1,2"), mended=(GOOD,)),
    # the names of series
    Refusal("together name the series", KEYS),
    Refusal("times repeat in a series", KEYS, {"item_id": "store"}),
    Refusal(
        "but no column makes times unique",
        GOOD,
        {"layout": "long"},
        values={"item-id": "x"},
        without=("layout",),
    ),
    Refusal("has 3 values, one after the other", BLOCKS, values={"target": "x"}),
    Refusal("has 3 values, in turn", TURNS, values={"target": "x"}),
    Refusal("the item has no name", grouped("a", ""), {"item_id": "name"}, (grouped("a", "b"),)),
    Refusal(
        "would both be called 'a/b'",
        csv(
            "p,q,day,x", *(f"{p},{q},{day},1" for p, q in [("a", "b"), ("a/b", "")] for day in DAYS)
        ),
        {"item_id": "p,q"},
        (KEYS.replace("store,dept", "p,q"),),
    ),
    Refusal(
        "would both be called 'a/c/b' in a forecast",
        csv("name,day,b,c/b", *(f"{name},{day},1,2" for name in ("a", "a/c") for day in DAYS)),
        mended=(grouped("a", "b"),),
    ),
    Refusal(
        "begins after 2024-01-09, where 'a' ends",
        csv("name,day,x", *EARLY, *LATE),
        {"align": "end", "item_id": "name"},
        (csv("name,day,x", *LATE),),
        without=("align",),
    ),
    # when forecasts begin
    Refusal("not a time; give it like", GOOD, {"start": "5/6/2024"}, values={"start": DAYS[-1]}),
    Refusal("not a time; give it like", GOOD, {"start": "1500-01"}, values={"start": DAYS[-1]}),
    Refusal("leaves no history", GOOD, {"start": DAYS[0]}, values={"start": DAYS[1]}),
    Refusal(
        "series 'b': begins at 2024-01-21, so that --start 2024-01-10 leaves no history",
        csv("name,day,x", *EARLY, *LATE),
        {"start": "2024-01-10", "item_id": "name"},
        values={"start": "2024-01-22"},
    ),
    Refusal("more than the file has rows", GOOD, {"start": "2025"}, values={"start": "2024-03"}),
    Refusal(r"5 row\(s\) missing between 2024-02-09 and", GOOD, {"start": "2024-02-15"}),
    Refusal(
        "have no zone; leave out the offset",
        HOURLY,
        {"start": f"{DAYS[1]} 00:00Z"},
        values={"start": f"{DAYS[1]} 00:00", "timezone": "UTC"},
    ),
    Refusal(
        "skips this time; give a later one",
        HOURLY,
        {"start": "2024-03-31 02:30", "timezone": "Europe/Berlin", "on_gap": "fill"},
        values={"start": "2024-03-31 03:00"},
    ),
    # tables on their side
    Refusal("are the months of 'Year'", CROSSTAB),
    Refusal("a row is a series; give --layout dates-across", ACROSS),
    Refusal("give --layout series-in-rows and their interval", M4),
    Refusal("steps have no times", M4, {"layout": "series-in-rows"}),
    Refusal("no columns stand so", GOOD, {"layout": "dates-across"}, without=("layout",)),
    Refusal(
        "has one value, 'value'",
        CROSSTAB,
        {"layout": "periods-across", "target": "Jan"},
        without=("target",),
    ),
    Refusal(
        "a value where there is no such time",
        csv(
            "month," + ",".join(map(str, range(1, 32))),
            *(f"2023-{month:02d}" + ",1" * 31 for month in range(1, 5)),
        ),
        {"layout": "periods-across"},
        (
            csv(
                "month," + ",".join(map(str, range(1, 32))),
                *(
                    f"2023-{month:02d}" + ",1" * days + "," * (31 - days)
                    for month, days in [(1, 31), (2, 28), (3, 31), (4, 30)]
                ),
            ),
        ),
    ),
    # numbers
    Refusal(
        "is not a number", daily("x,y", "1,5", "2,6", "3,5", "oops,6"), values={"missing": "oops"}
    ),
    Refusal("is not a number with a decimal comma", daily("x", "1.5"), {"decimal": ","}, (GOOD,)),
    Refusal("an infinite value", daily("x", "1", "inf"), mended=(GOOD,)),
    Refusal("an infinite value", FRAME[["day", "x"]].replace(3.0, np.inf), mended=(GOOD,)),
    Refusal("too large to compute with", daily("x", "1", "1e37"), mended=(GOOD,)),
    Refusal("without the zeros before it$", daily("x", '"+0012,1"', "3"), mended=(GOOD,)),
    Refusal(
        "'10130,1' seems to be a code of several parts; write each part into a column of its own$",
        daily("x,y", '"+0001,1","10130,1"'),
        {"target": "y"},
        (GOOD,),
    ),
    Refusal(
        "leave the column out with --target y; if these are decimals, give --decimal .$",
        daily("x,y", "987,1.5", "1.234,1.5", "12.456,1.5", "123,1.5"),
        mended=(daily("x,y", "987,1.5", "1234,1.5", "12456,1.5", "123,1.5"),),
    ),
    Refusal("a column of its own, or leave", daily("x,y", '"001,1,N,0031,1",2', "3,2")),
    Refusal("are in different units", daily("x", "1 kW", "1 MW"), mended=(GOOD,)),
    Refusal("give --missing -999; write all others in one$", daily("x", "$5", "-999", "$7")),
    Refusal(
        "give --missing n/k,-999,9999; write",
        daily("x", "n/k", "-999", "$7", "9999"),
        {"missing": "n/k"},
    ),
    Refusal(
        "credits and debits; write numbers in their place, those of one kind with a minus$",
        daily("x", "2 CR", "2.5 DR"),
        mended=(daily("x", "2", "-2.5"),),
    ),
    Refusal("differ in their decimal mark", daily("x", '"1,5"', "1.25"), mended=(GOOD,)),
    Refusal("can be read as 1234", daily("x", "1.234", "5.678")),
    Refusal(
        "one mark cannot be both",
        GOOD,
        {"decimal": ",", "thousands": ","},
        values={"thousands": "."},
        without=("decimal", "thousands"),
    ),
    Refusal("holds dates, not numbers", FRAME, {"timestamp": "day", "target": "x,due"}),
    Refusal("all values are missing", daily("x,y", "1,"), {"target": "x,y"}),
    # what a training needs
    Refusal("rows, but training with lookback 30", GOOD, {"horizon": 7, "lookback": 30}),
    Refusal(
        "rows, but training with lookback 9",
        csv(*grouped("a", "b").splitlines()[:60]),
        {"horizon": 5, "lookback": 9, "on_short": "error"},
    ),
    Refusal("outside 2 to inf", GOOD, {"lower": 2.0}, values={"lower": "0"}),
    Refusal("is not below", GOOD, {"lower": "9", "upper": "1"}, values={"lower": "0"}),
    Refusal(
        "has no value in the 28 rows",
        daily("x,y", "1,").replace("2024-02-09,1,", "2024-02-09,1,5"),
        {"horizon": 4, "lookback": 4},
    ),
    Refusal(
        "series 'b': column 'x' has no value in the 28 rows", BEGUN, {"horizon": 4, "lookback": 4}
    ),
    Refusal(
        "standard deviations from the mean",
        daily("x,y", "1,1", "2,2").replace("2024-02-09,2,2", "2024-02-09,2,1e20"),
        {"horizon": 4, "lookback": 4},
    ),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.message[:40])
def test_every_remedy_leads_on(tmp_path, case: Refusal) -> None:
    check_remedies(case, tmp_path / "data.csv")


def test_every_message_of_these_modules_has_a_refusal(tmp_path) -> None:
    silent = not_refused(MODULES, REFUSALS, tmp_path / "data.csv")
    texts = {name: (ROOM / name.partition(":")[0]).read_text().splitlines() for name in silent}
    open_ = [
        place
        for place in silent
        if not any(
            text in "\n".join(texts[place][int(place.partition(":")[2]) - 1 :][:8])
            for text in ELSEWHERE.values()
        )
    ]
    assert open_ == []


def test_every_module_that_names_an_option_is_among_them() -> None:
    known = {*MODULES, *test_remedies.MODULES, *HELPERS, *PARTS, *COVARIATES}
    assert modules_with_options() - known == set()
