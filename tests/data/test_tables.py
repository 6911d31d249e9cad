"""What is read from files, and what is refused, with its place and its remedy."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import SHARED, needs_shared, wide_csv

from forecaster.config.schema import Columns, DataConfig
from forecaster.data.catalog import catalog
from forecaster.data.problem import load_problem
from forecaster.data.reading import file_digest
from forecaster.data.report import IntakeReport
from forecaster.data.splits import Scaling
from forecaster.data.tables import read_table
from forecaster.errors import UserError

DAYS = pd.date_range("2024-01-01", periods=6)


def read(path, **columns):
    return read_table(path, Columns(**columns))


EXPECTED = np.array([[1.5, 10.0], [2.5, np.nan], [-3.0, 30.0]])


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("day,a,b\n2024-01-01,1.5,10\n2024-01-02,2.5,\n2024-01-03,-3,30\n", "utf-8"),
        ("day,a,b\n2024-01-01,1.5,10\n2024-01-02,2.5,NA\n2024-01-03,-3,30\n", "utf-8-sig"),
        ("day;a;b\n01.01.2024;1,5;10\n02.01.2024;2,5;-\n03.01.2024;-3;30\n", "latin-1"),
        ("day\ta\tb\n2024/1/1\t1.5\t10\n2024/1/2\t2.5\tNaN\n2024/1/3\t-3\t30\n", "utf-16"),
        ("day|a|b\n1 Jan 2024|1.5|10\n2 Jan 2024|2.5|nan\n3 Jan 2024|-3|30", "utf-8"),
        (',day,a,b\n0,2024-01-01,1.5,10\n1,2024-01-02,2.5,N/A\n2,2024-01-03,-3,"30"\n', "utf-8"),
        (
            "day,a,b\r\n2024-01-03,-3,30\r\n2024-01-01,1.5,10\r\n\r\n2024-01-02,2.5,null\r\n",
            "utf-8",
        ),
        ("a,b,day\n1.5,10,20240101\n2.5,,20240102\n-3,30,20240103\n", "utf-8"),
    ],
)
def test_many_ways_to_write_one_table(write, text: str, encoding: str) -> None:
    table = read(write(text, encoding=encoding))
    assert table.names == ("a", "b")
    assert table.interval.alias == "D"
    np.testing.assert_array_equal(table.series[0].values, EXPECTED)
    assert table.series[0].first == pd.Timestamp("2024-01-01")


def test_long_files_keep_the_order_of_their_items(write) -> None:
    text = "shop,date,sales\nzoo,2024-01-01,1\nzoo,2024-01-02,2\nark,2024-01-01,3\nark,2024-01-02,4\nark,2024-01-03,5\n"
    table = read(write(text))
    assert [s.item_id for s in table.series] == ["zoo", "ark"]
    assert [s.values[:, 0].tolist() for s in table.series] == [[1, 2], [3, 4, 5]]
    assert table.report.decisions == [
        "column 'shop' names the series",
        "1 of 2 series end before 2024-01-03, the last time: a forecast of 'zoo' begins at "
        "2024-01-03; --align end lets all begin at one time",
    ]


def test_numbered_items_and_several_values(write) -> None:
    rows = [
        f"{day:%Y-%m-%d},{item},{item * 10 + i},{i}"
        for item in (7, 8)
        for i, day in enumerate(DAYS)
    ]
    table = read(write("date,item_id,x,y\n" + "\n".join(rows)))
    assert [s.item_id for s in table.series] == ["7", "8"]
    assert table.channel_label(table.series[1], 1) == "8/y"


def test_parquet_is_read_like_csv(tmp_path) -> None:
    frame = pd.DataFrame({"time": DAYS, "a": [1.0, 2, np.nan, 4, 5, 6], "b": range(6)})
    frame.to_parquet(tmp_path / "data.parquet")
    table = read(tmp_path / "data.parquet")
    np.testing.assert_array_equal(table.series[0].values, frame[["a", "b"]].to_numpy(float))


def test_gaps_and_duplicates_are_handled_as_asked(write) -> None:
    path = write("t,x\n2024-01-01,1\n2024-01-02,2\n2024-01-02,4\n2024-01-03,5\n2024-01-06,6\n")
    for policy, value in (("first", 2.0), ("last", 4.0), ("mean", 3.0)):
        table = read(path, on_gap="fill", on_duplicate=policy)
        np.testing.assert_array_equal(
            table.series[0].values[:, 0], [1, value, 5, np.nan, np.nan, 6]
        )
        assert len(table.report.decisions) == 2


def test_newest_first_is_noticed(write) -> None:
    table = read(write(wide_csv(DAYS[::-1], style="%Y-%m-%d")))
    assert table.newest_first
    assert table.series[0].values[:, 0].tolist() == [50, 40, 30, 20, 10, 0]


BAD = [
    ("", {}, "the file is empty"),
    ("  \n\n", {}, "the file is empty"),
    ("time,x\n", {}, "there is a header but no data; add rows below line 1"),
    ("time\n2024-01-01\n", {}, "line 1: only one column"),
    ("2024-01-01,5\n2024-01-02,6\n", {}, "line 1: '2024-01-01', '5' look like a row of data"),
    ("time,x,x\n2024-01-01,1,2\n", {}, "line 1: column 'x' occurs twice"),
    ("time,x\n2024-01-01,1\n2024-01-02,2,3\n", {}, "line 3: 3 fields where the header has 2"),
    ("a,b\n1,2\n3,4\n", {}, "no column holds times (columns: 'a', 'b'); name it with --timestamp"),
    (
        "t1,t2,x\n2024-01-01,2024-01-05,1\n2024-01-02,2024-01-03,2\n",
        {},
        "'t1', 't2' could each be the time; choose with --timestamp t1 or --timestamp t2",
    ),
    ("time,x\n2024-01-01,1\n2024-01-02,abc\n", {}, "line 3, column 'x': 'abc' is not a number"),
    (
        'time,x\n2024-01-01,1\n\n"2024-01-02",1.2.3\n',
        {},
        "line 4, column 'x': '1.2.3' is not a number",
    ),
    ("time,x\n2024-01-01,1\n2024-01-02,inf\n", {}, "line 3, column 'x': an infinite value"),
    ("time,x\n2024-01-01,1\n2024-01-02,1e999\n", {}, "line 3, column 'x': an infinite value"),
    ("time,x\n2024-01-01,1\n", {"target": ("y",)}, "no column 'y'; the columns are 'time', 'x'"),
    ("time,x\n2024-01-01,1\n", {"timestamp": "when"}, "no column 'when'"),
    ("time,x\n2024-01-01,1\n", {"item_id": "shop"}, "no column 'shop'"),
    (
        "time,x\n2024-01-01,1\n2024-01-02,2\n03.01.2024,3\n2024-01-04,4\n",
        {"timestamp": "time"},
        "line 4, column 'time'",
    ),
    (
        "time,x\n2024-01-01,1\nyesterday,2\n2024-01-03,3\n",
        {"timestamp": "time"},
        "line 3, column 'time': 'yesterday' is not",
    ),
    (
        "time,x\n2024-01-01,1\n2024-01-02 01:00,2\n2024-01-03,3\n",
        {},
        "line 3, column 'time': '2024-01-02 01:00' is in another format than '2024-01-01'",
    ),
    ("time,x\n2024-01-01,1\n,2\n2024-01-03,3\n", {}, "line 3, column 'time': the time is missing"),
    (
        "time,x\n2024-01-01 25:00,1\n2024-01-01 26:00,1\n",
        {},
        "'2024-01-01 25:00' has no such time of day",
    ),
    ("time,x\n03/04/2024,1\n04/05/2024,2\n", {}, "can be read as"),
    (
        "time,x\n2024-01-01,1\n2024-01-02,2\n2024-01-04,3\n2024-01-05,3\n",
        {},
        "1 time(s) are missing in 1 gap(s), first between "
        "2024-01-02 00:00:00 and 2024-01-04 00:00:00 (lines 3 and 4); add the rows, or give --on-gap fill",
    ),
    (
        "time,x\n2024-01-01,1\n2024-01-02,2\n2024-01-02,3\n2024-01-03,3\n",
        {},
        "(lines 3 and 4); remove them or give --on-duplicate",
    ),
    (
        "time,x\n2024-01-01 00:00,1\n2024-01-01 01:00,2\n2024-01-01 02:00,2\n2024-01-01 02:10,3\n",
        {},
        "line 5: the time 2024-01-01 02:10:00 is not on the grid of interval h",
    ),
    (
        "time,x,y\n2024-01-01,1,\n2024-01-02,2,-\n",
        {"target": ("x", "y")},
        "column 'y': all values are missing; fill them in, or leave the column out with --target x",
    ),
    ("time,x\n2024-01-01,1\n", {}, "one time only"),
    (
        "time,x\n2024-01-01,1\n2024-01-02,1\n",
        {"freq": "fortnight"},
        "--freq fortnight: no such interval",
    ),
    (
        "time,x\n2024-01-01 00:00,1\n2024-01-01 01:00,1\n",
        {"timezone": "Mars/Base"},
        "no such time zone",
    ),
    (
        "shop,time,x\na,2024-01-01,1\n,2024-01-02,1\na,2024-01-02,1\n",
        {"item_id": "shop"},
        "line 3, column 'shop': the item has",
    ),
    (
        "time,x\n2024-01-01," + "9" * 140_000 + "\n",
        {},
        "not a well-formed CSV file (field larger than field limit",
    ),
    (
        "time,x\n2024-01-01,1\n2024-01-02,-1e37\n",
        {},
        "line 3, column 'x': -1e+37 is beyond 1e+36, too large to compute with",
    ),
    (
        "time,x\n2024-01-01,1\n2262-01-01,2\n",
        {},
        "line 3, column 'time': '2262-01-01' is outside the years 1678 to 2261",
    ),
    (
        "time,x\n1690-01-01,1\n1690-01-02,1\n2240-01-01,2\n",
        {},
        "is more than 292 years, too long for steps of D",
    ),
    (
        "time,x\n2024-01-01 00:00+99:99,1\n2024-01-01 01:00+99:99,1\n",
        {},
        "line 2, column 'time': '2024-01-01 00:00+99:99' has no such",
    ),
    (
        "time,x\n2024-01-01 00:00,1\n2024-01-01 01:00,1\n",
        {"timezone": "posixrules"},
        "no such time zone",
    ),
    (
        "item,time,a/b,b\nx,2024-01-01,1,1\nx,2024-01-02,1,1\nx/a,2024-01-01,1,1\nx/a,2024-01-02,1,1\n",
        {},
        "two series would both be called 'x/a/b' in a forecast",
    ),
]


@pytest.mark.parametrize(("text", "columns", "message"), BAD)
def test_bad_input_is_reported_in_one_line(write, text: str, columns: dict, message: str) -> None:
    path = write(text)
    with pytest.raises(UserError) as caught:
        read(path, **columns)
    said = str(caught.value)
    assert message in said
    assert "\n" not in said
    if not said.startswith("--"):
        assert str(path) in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x00\x01\x02binary\x00", "not a text file"),
        (b"PK\x03\x04\x00\x00", "not a readable .zip file"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "not a text file"),
        (b"%PDF-1.7\n\xe2\xe3\xcf\xd3\n\x00\x01", "not a text file"),
    ],
)
def test_what_is_not_text_is_refused(tmp_path, content: bytes, message: str) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read(path)
    broken = tmp_path / "data.parquet"
    broken.write_bytes(content)
    with pytest.raises(UserError, match="not a readable Parquet file"):
        read(broken)


def test_places_survive_blank_lines_and_line_breaks_in_quotes(write) -> None:
    text = 'shop,time,x\n"a\nb",2024-01-01,1\n\n"a\nb",2024-01-02,oops\n'
    with pytest.raises(UserError, match="line 5, column 'x': 'oops'"):
        read(write(text), item_id="shop")


def test_a_message_is_one_line_of_some_length_and_cannot_steer_a_terminal(write) -> None:
    with pytest.raises(UserError) as caught:
        read(write("time,x\n2024-01-01,1\n2024-01-02,\x1b[2J" + 70_000 * "a" + "\n"))
    said = str(caught.value)
    assert "'\\x1b[2Jaaa" in said
    assert len(said) < 1100
    assert said.endswith("or leave it blank for missing (or name the text with --missing)")


@pytest.mark.parametrize(
    ("cell", "side", "such_as"),
    [
        ("<1", "low", "the limit itself or half of it"),
        ("≤ 0.5", "low", "the limit itself or half of it"),
        ("<=1.5", "low", "the limit itself or half of it"),
        (">100", "high", "the limit itself"),
        (">= 7", "high", "the limit itself"),
    ],
)
def test_a_limit_of_detection_is_no_number_and_is_not_missing_without_a_word(
    write, cell: str, side: str, such_as: str
) -> None:
    days = [f"2024-01-{day:02},{day}" for day in range(1, 9)]
    path = write("\n".join(["time,x", *days[:5], f'2024-01-06,"{cell}"', *days[6:]]) + "\n")
    with pytest.raises(UserError) as caught:
        read(path)
    assert str(caught.value).endswith(
        f"line 7, column 'x': '{cell}' is a limit, not a number; write a number in its place, such "
        f"as {such_as}, or leave it blank for missing, although it is known to be {side} (or name "
        "the text with --missing)"
    )
    table = read(path, missing=cell)
    assert np.isnan(table.series[0].values[5, 0])
    assert table.report.decisions[0] == (
        f"{cell} taken as missing: 1 time(s) in column 'x', although these values are known to be "
        f"{side}"
    )


@pytest.mark.parametrize("cell", ["<b>", "< none", "a<1", "=1"])
def test_other_texts_are_no_limits(write, cell: str) -> None:
    days = [f"2024-01-{day:02},{day}" for day in range(1, 9)]
    with pytest.raises(UserError, match="is not a number; correct it"):
        read(write("\n".join(["time,x", *days, f"2024-01-09,{cell}"]) + "\n"))


def test_a_forecast_past_the_last_year_is_refused(write) -> None:
    table = read(
        write("year,x\n" + "".join(f"{year},1\n" for year in range(2240, 2262)), "old.csv"),
        timestamp="year",
    )
    assert len(table.interval.stamps(table.series[0].first, 22)) == 22
    with pytest.raises(UserError, match="go beyond the year 2262"):
        table.interval.stamps(table.series[0].first, 40)


def test_three_centuries_of_years_are_read(write) -> None:
    table = read(
        write("year,x\n" + "".join(f"{year},{year}\n" for year in range(1700, 2009))),
        timestamp="year",
    )
    assert (table.interval.alias, len(table.series[0].values)) == ("YS-JAN", 309)


@pytest.mark.parametrize("level", [3.0, 1e20, -1e36])
def test_constant_columns_have_z_scores_near_0_whatever_their_size(level: float) -> None:
    values = np.full((40, 1), level)
    assert np.abs(Scaling.fit(values, "x", ("x",)).apply(values)).max() < 1e-3


def test_values_too_many_deviations_off_are_refused(write) -> None:
    cells = [*(i % 5 for i in range(39)), 1e20]
    path = write(
        "time,x\n"
        + "".join(
            f"{d:%Y-%m-%d},{v}\n"
            for d, v in zip(pd.date_range("2024-01-01", periods=40), cells, strict=True)
        )
    )
    with pytest.raises(
        UserError,
        match=r"column 'x' holds 1e\+20, more than 1e\+12 standard deviations from the mean 1.89286 of",
    ):
        load_problem(DataConfig(csv=str(path), horizon=2, lookback=4))


def test_constant_column_works(write) -> None:
    table = read(write("time,x\n2024-01-01,5\n2024-01-02,5\n2024-01-03,5\n"))
    assert table.report.facts["constant columns"] == ["x"]


def test_report_is_filled_even_if_the_file_is_refused(write) -> None:
    report = IntakeReport()
    path = write("time,x\n2024-01-01,1\n2024-01-02,2\n2024-01-04,3\n2024-01-05,3\n")
    with pytest.raises(UserError):
        read_table(path, Columns(), report)
    assert report.facts["interval"] == "D"
    assert len(report.facts["gaps"]) == 1


def test_table_is_a_gluonts_dataset(write) -> None:
    from gluonts.transform import AddObservedValuesIndicator

    table = read(write("time,x,y\n2024-01-01,1,2\n2024-01-02,,3\n2024-01-03,4,5\n"))
    entry = next(iter(AddObservedValuesIndicator("target", "observed").apply(table, is_train=True)))
    assert len(table) == 1
    assert entry["start"] == pd.Period("2024-01-01", "D")
    assert entry["target"].shape == (2, 3)
    assert entry["observed"].tolist() == [[1, 0, 1], [1, 1, 1]]


@needs_shared
@pytest.mark.parametrize("name", list(catalog()))
def test_benchmark_files_are_what_the_catalogue_says(name: str) -> None:
    entry = catalog()[name]
    path = SHARED / entry.file
    assert file_digest(path) == entry.sha256
    table = read_table(path, Columns(freq=entry.interval), by_row=True)
    raw = pd.read_csv(path, encoding="latin-1", float_precision="round_trip")
    np.testing.assert_array_equal(table.series[0].values, raw.iloc[:, 1:].to_numpy(float))
    assert table.interval.stamps(table.series[0].first, len(raw))[-1] == pd.to_datetime(
        raw.iloc[-1, 0]
    )
    border = entry.split(len(raw))
    assert border.train < border.validation < border.test <= len(raw)


def test_what_is_done_to_many_series_is_told_once(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=12).delete(5).strftime("%Y-%m-%d")
    rows = [f"s{k},{day},{k + n}" for k in range(40) for n, day in enumerate(days)]
    path = tmp_path / "many.csv"
    path.write_text("\n".join(["item_id,date,y", *rows]))
    told = read_table(path, Columns(on_gap="fill")).report.decisions
    assert [text for text in told if "missing" in text] == [
        "series 's0': 1 time(s) are missing in 1 gap(s), first between 2024-01-05 00:00:00 and "
        "2024-01-07 00:00:00 (lines 6 and 7): taken as missing values (and 39 more like this)"
    ]
