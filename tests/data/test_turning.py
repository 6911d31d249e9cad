"""Tables turned on their side are recognised, offered and read: each is the same long table."""

import numpy as np
import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data.tables import Table, read_table
from forecaster.errors import UserError

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905


def series(stamps: pd.DatetimeIndex) -> pd.Series:
    return pd.Series(np.random.default_rng(len(stamps)).normal(size=len(stamps)).round(3), stamps)


def refused(path, offer: str) -> None:
    with pytest.raises(UserError) as caught:
        read_table(path, Columns())
    assert offer in str(caught.value)


def is_series(table: Table, expected: pd.Series, number: int = 0) -> None:
    found = table.series[number]
    np.testing.assert_array_equal(found.values[:, 0], expected.to_numpy())
    grid = table.interval.stamps(found.first, len(found.values))
    assert list(grid) == list(expected.index)


def across(expected: pd.Series, down: str, over: str, labels: list[str]) -> pd.DataFrame:
    """The series as a table with a row for each time written as ``down``."""
    frame = pd.DataFrame({"v": expected.to_numpy(), "over": expected.index.strftime(over)})
    frame["down"] = expected.index.strftime(down)
    table = frame.pivot(index="down", columns="over", values="v")
    table = table[sorted(table.columns, key=int)].set_axis(labels, axis=1)
    return table.rename_axis(index="Year", columns=None).reset_index()


HOURS = pd.date_range("2024-01-01", periods=24 * 9, freq="h")
YEARS = pd.date_range("1990-01-01", periods=12 * 6, freq="MS")
PERIODS = [
    ("years and months", YEARS, "%Y", "%m", MONTHS),
    ("years and numbered months", YEARS, "%Y", "%m", [str(m) for m in range(1, 13)]),
    ("years and long months", YEARS, "%Y", "%m", [f"{pd.Timestamp(2024, m, 1):%B}" for m in range(1, 13)]),
    ("days and hours", HOURS, "%Y-%m-%d", "%H", [str(h) for h in range(24)]),
    ("days and hours from 1", HOURS, "%Y-%m-%d", "%H", [f"H{h}" for h in range(1, 25)]),
    ("days and times", HOURS, "%d.%m.%Y", "%H", [f"{h:02d}:00" for h in range(24)]),
    ("months and days", pd.date_range("2023-12-01", "2024-04-30"), "%Y-%m", "%d", [str(d) for d in range(1, 32)]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("stamps", "down", "over", "labels"), [p[1:] for p in PERIODS], ids=[p[0] for p in PERIODS]
)
def test_periods_across(write, stamps, down: str, over: str, labels: list[str]) -> None:
    expected = series(stamps)
    path = write(across(expected, down, over, labels).to_csv(index=False))
    refused(path, "give --layout periods-across")
    table = read_table(path, Columns(layout="periods-across"))
    is_series(table, expected)
    assert (table.names, table.series[0].item_id) == (("value",), None)


def test_quarters_and_weekdays_across(write) -> None:
    quarters = series(pd.date_range("2000-01-01", periods=32, freq="QS"))
    frame = pd.DataFrame(quarters.to_numpy().reshape(8, 4), columns=["Q1", "Q2", "Q3", "Q4"])
    frame.insert(0, "Year", range(2000, 2008))
    table = read_table(write(frame.to_csv(index=False)), Columns(layout="periods-across"))
    is_series(table, quarters)
    days = series(pd.date_range("2023-01-01", periods=70))  # a Sunday
    names = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    frame = pd.DataFrame(days.to_numpy().reshape(10, 7), columns=names)
    frame.insert(0, "Week of", pd.date_range("2023-01-01", periods=10, freq="7D"))
    path = write(frame.to_csv(index=False))
    refused(path, "give --layout periods-across")
    is_series(read_table(path, Columns(layout="periods-across")), days)


def test_years_and_months_are_never_twelve_yearly_series_in_silence(write) -> None:
    path = write(across(series(YEARS), "%Y", "%m", MONTHS).to_csv(index=False))
    refused(path, "or --layout wide for a series a column")
    assert read_table(path, Columns(layout="wide")).names == tuple(MONTHS)


def test_several_places_with_sums_beside_the_months(write) -> None:
    parts = {name: series(YEARS[12 * i :]) for i, name in enumerate(["Oslo", "Rome"])}
    frames = [across(s, "%Y", "%m", MONTHS).assign(city=n) for n, s in parts.items()]
    frame = pd.concat(frames).assign(Annual=lambda f: f[MONTHS].sum(axis=1))
    table = read_table(write(frame.to_csv(index=False)), Columns(layout="periods-across"))
    assert [s.item_id for s in table.series] == ["Oslo", "Rome"]
    for number, expected in enumerate(parts.values()):
        is_series(table, expected, number)


def test_months_to_come_are_no_missing_values(write) -> None:
    frame = across(series(YEARS), "%Y", "%m", MONTHS)
    frame.loc[0, MONTHS[:3]] = np.nan
    frame.loc[2, "May"] = np.nan
    frame.loc[5, MONTHS[7:]] = np.nan
    table = read_table(write(frame.to_csv(index=False)), Columns(layout="periods-across"))
    values = table.series[0].values[:, 0]
    assert table.series[0].first == pd.Timestamp("1990-04-01")
    assert len(values) == 72 - 3 - 5
    assert np.flatnonzero(np.isnan(values)).tolist() == [28 - 3]


def test_a_day_that_is_none_has_no_value(write) -> None:
    frame = across(series(PERIODS[6][1]), "%Y-%m", "%d", PERIODS[6][4])
    frame.loc[2, "30"] = 5.0
    with pytest.raises(
        UserError, match=r"line 4, column '30': a value where there is no such time"
    ):
        read_table(write(frame.to_csv(index=False)), Columns(layout="periods-across"))


NAMES = {
    "days": (pd.date_range("2024-01-01", periods=30), "%Y-%m-%d"),
    "days of us": (pd.date_range("2020-01-22", periods=30), "%-m/%-d/%y"),
    "months": (pd.date_range("2019-01-01", periods=30, freq="MS"), "%Y-%m"),
    "names of months": (pd.date_range("2019-01-01", periods=30, freq="MS"), "%b %Y"),
    "compact months": (pd.date_range("2019-01-01", periods=30, freq="MS"), "%Y%m"),
    "years": (pd.date_range("1990-01-01", periods=30, freq="YS"), "%Y"),
    "years of R": (pd.date_range("1990-01-01", periods=30, freq="YS"), "X%Y"),
    "years of the World Bank": (pd.date_range("1990-01-01", periods=30, freq="YS"), "%Y [YR%Y]"),
    "hours": (pd.date_range("2024-01-01", periods=30, freq="h"), "%Y-%m-%d %H:%M"),
}


@pytest.mark.parametrize(("stamps", "style"), NAMES.values(), ids=list(NAMES))
def test_dates_across(write, stamps, style: str) -> None:
    parts = {"a": series(stamps), "b": series(stamps) + 1, "c": series(stamps) + 2}
    frame = pd.DataFrame(parts).T.set_axis(stamps.strftime(style), axis=1)
    frame.insert(0, "kind", "x")
    path = write(frame.rename_axis("name").reset_index().to_csv(index=False))
    refused(path, "give --layout dates-across")
    table = read_table(path, Columns(layout="dates-across"))
    assert [s.item_id for s in table.series] == ["a", "b", "c"]
    for number, expected in enumerate(parts.values()):
        is_series(table, expected, number)


def test_series_in_dates_across_begin_and_end_with_their_values(write) -> None:
    text = "shop,2024-01-01,2024-01-02,2024-01-03,2024-01-04\nx,,1,,2\ny,3,4,5,\n"
    table = read_table(write(text), Columns(layout="dates-across"))
    assert [s.values[:, 0].tolist() for s in table.series][1] == [3, 4, 5]
    assert table.series[0].first == pd.Timestamp("2024-01-02")
    np.testing.assert_array_equal(table.series[0].values[:, 0], [1, np.nan, 2])


def test_years_across_and_months_down_are_one_series(write) -> None:
    frame = across(series(YEARS), "%Y", "%m", MONTHS).set_index("Year").T
    path = write(frame.rename_axis("month").reset_index().to_csv(index=False))
    refused(path, "and the rows are their months; give --layout dates-across")
    is_series(read_table(path, Columns(layout="dates-across")), series(YEARS))


def test_rows_that_two_columns_tell_apart(write) -> None:
    text = "country,part,2020,2021,2022\nA,x,1,2,3\nA,y,4,5,6\nB,x,7,8,9\nB,y,1,2,4\n"
    with pytest.raises(UserError, match="--item-id country,part"):
        read_table(write(text), Columns(layout="dates-across"))
    table = read_table(write(text), Columns(layout="dates-across", item_id="country,part"))
    assert [s.item_id for s in table.series] == ["A/x", "A/y", "B/x", "B/y"]


def test_rows_without_names_are_named_by_their_line(write) -> None:
    text = "2020,2021,2022,2023\n1.5,2,3,1\n4,5,6,2\n"
    table = read_table(write(text), Columns(layout="dates-across"))
    assert [s.item_id for s in table.series] == ["2", "3"]


def test_series_in_rows(write) -> None:
    """As in the M4 competition: names, then values without times, as many as there are."""
    heads = ",".join(f'"V{i}"' for i in range(1, 32))
    rows = [
        ",".join(["Y1", *map(str, range(30))]),
        ",".join(["Y2", *map(str, range(20))] + [""] * 10),
    ]
    path = write("\n".join([heads, *rows]) + "\n")
    refused(path, "give --layout series-in-rows and their interval, such as --freq D")
    with pytest.raises(UserError, match="give their interval, such as --freq D"):
        read_table(path, Columns(layout="series-in-rows"))
    for freq in ("D", "h", "MS", "ME", "QE-DEC", "W-MON"):
        table = read_table(path, Columns(layout="series-in-rows", freq=freq))
        assert [s.item_id for s in table.series] == ["Y1", "Y2"]
        assert [s.values[:, 0].tolist() for s in table.series] == [[*range(30)], [*range(20)]]
        assert pd.Timestamp("2000-01-01") <= table.series[0].first <= pd.Timestamp("2000-03-31")


def test_series_in_rows_may_tell_their_first_time(write) -> None:
    heads = ",".join(["id", "start", *(f"v{i}" for i in range(10))])
    rows = [
        ",".join([item, start, *map(str, range(10))])
        for item, start in (("a", "2020-01-01"), ("b", "2021-03-05"))
    ]
    path = write("\n".join([heads, *rows]) + "\n")
    table = read_table(path, Columns(layout="series-in-rows", freq="D"))
    assert [s.first for s in table.series] == [
        pd.Timestamp("2020-01-01"),
        pd.Timestamp("2021-03-05"),
    ]


@pytest.mark.parametrize("layout", ["series-in-rows", "dates-across", "periods-across"])
def test_a_layout_that_is_not_there_is_refused(write, layout: str) -> None:
    path = write("date,a\n2024-01-01,1\n2024-01-02,2\n2024-01-03,3\n")
    with pytest.raises(UserError, match=f"--layout {layout}: no columns stand so"):
        read_table(path, Columns(layout=layout))


@pytest.mark.parametrize(
    "head",
    [
        ["date", *(f"x{i}" for i in range(1, 13))],
        ["date", *(f"sensor {i}" for i in range(1, 25))],
        ["date", "temp", "may", "mar"],
        ["date", *(str(i) for i in range(1, 9))],
    ],
    ids=["twelve", "twenty-four", "few", "eight"],
)
def test_wide_tables_are_not_mistaken(write, head: list[str]) -> None:
    days = pd.date_range("2024-01-01", periods=9)
    rows = [
        ",".join([f"{d:%Y-%m-%d}", *(str(i * j) for j in range(1, len(head)))])
        for i, d in enumerate(days)
    ]
    assert read_table(write(",".join(head) + "\n" + "\n".join(rows)), Columns()).names == tuple(
        head[1:]
    )


def test_a_target_that_is_asked_for_leaves_the_table_as_it_stands(write) -> None:
    path = write(across(series(YEARS), "%Y", "%m", MONTHS).to_csv(index=False))
    assert read_table(path, Columns(target=("Jan",))).interval.alias == "YS-JAN"


def test_columns_beside_the_times_are_said_to_be_left_out(write) -> None:
    expected = series(YEARS)
    table = across(expected, "%Y", "%m", MONTHS)
    left = "column 'Total', '03B' left out: holds none of the times across"
    path = write(table.assign(Total=7.0, **{"03B": 1.5}).to_csv(index=False))
    found = read_table(path, Columns(layout="periods-across"))
    is_series(found, expected)
    assert found.report.decisions[1] == left
    plain = read_table(write(table.to_csv(index=False)), Columns(layout="periods-across"))
    assert not any("left out" in said for said in plain.report.decisions)
