"""The first row is a line of names or data; it is never lost."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data.frames import read_source
from forecaster.data.layout.header import with_names
from forecaster.data.reading import read_file
from forecaster.data.tables import read_table
from forecaster.errors import UserError

DAYS = [f"2024-01-{day:02d}" for day in range(1, 9)]
CASES = Path(__file__).parent / "intake"


def rows(line: str) -> str:
    return "".join(line.format(day=day, i=i) + "\n" for i, day in enumerate(DAYS))


WITHOUT = {
    "text, time, number": rows("A,{day},{i}"),
    "time, number": rows("{day},{i}"),
    "time in the middle": rows("{i}.5,{day},A,{i}"),
    "time at the end": rows("north;{i},5;{day}"),
    "a first value missing": rows("A,{day},{i}").replace(",0\n", ",NA\n"),
    "a first value of words": rows("A,{day},{i}").replace(",0\n", ",trace\n"),
    "two texts": rows("A,b,{day},{i}"),
    "repeated cells": rows("5,{day},5,{i}"),
    "years": "".join(f"{1990 + i},{i}.5\n" for i in range(8)),
    "items and years": "".join(f"A,{1990 + i},{i}.5\n" for i in range(8)),
    "compact dates": "".join(f"{day.replace('-', '')},{i}\n" for i, day in enumerate(DAYS)),
    "signs": rows("{day},-{i},$1,12 %"),
}


@pytest.mark.parametrize("text", WITHOUT.values(), ids=list(WITHOUT))
def test_a_file_without_names_is_refused(write, text: str) -> None:
    with pytest.raises(UserError, match=r"line 1: .* look like a row of data.*--no-header"):
        read_table(write(text), Columns())


@pytest.mark.parametrize("name", ["text, time, number", "time, number", "two texts"])
def test_no_header_keeps_the_first_row(write, name: str) -> None:
    table = read_table(write(WITHOUT[name]), Columns(header=False))
    assert table.series[0].first == pd.Timestamp("2024-01-01")
    assert table.series[0].values[:, 0].tolist() == list(range(8))
    number = WITHOUT[name].split("\n")[0].count(",") + 1
    assert table.names == (f"column_{number}",)
    assert "no line of names: columns are named by their place" in table.report.facts["format"]


def test_rows_that_follow_a_file_without_names_have_none_either(write) -> None:
    table = read_table(write(WITHOUT["time, number"]), Columns(header=False))
    assert table.rows is not None
    row = table.rows.parse("2024-01-09,7", 1, "input")
    assert row is not None
    assert (row.wall, row.values.tolist()) == (pd.Timestamp("2024-01-09"), [7.0])


WITH = {
    "years across": "country,1990,1991,1992\nA,1,2,3\nB,2,3,4\n",
    "dates across": "id,2024-01-01,2024-01-02\na,1,2\nb,3,4\n",
    "numbered series": rows("{day},1,{i}").replace("2024-01-01,1,0", "date,1,2", 1),
    "no name for the time": ",1,2\n" + rows("{day},1,{i}"),
    "years and a number": "year,1\n" + "".join(f"{1990 + i},{i}\n" for i in range(8)),
    "only text": "a,b\nx,y\nz,w\n",
}


@pytest.mark.parametrize("text", WITH.values(), ids=list(WITH))
def test_names_that_are_numbers_or_times_are_names(write, text: str) -> None:
    raw = read_file(write(text))
    assert list(with_names(raw, Columns()).columns) == [
        name or "Unnamed: 0" for name in text.splitlines()[0].split(",")
    ]


def test_the_case_without_names() -> None:
    path = CASES / "noheader_long.csv"
    with pytest.raises(UserError, match="give --no-header"):
        read_table(path, Columns())
    table = read_table(path, Columns(header=False))
    assert [series.item_id for series in table.series] == ["A", "B"]
    assert [len(series.values) for series in table.series] == [40, 40]


def test_frames_whose_names_are_a_row_are_refused(tmp_path) -> None:
    (tmp_path / "data.csv").write_text(WITHOUT["text, time, number"])
    lost = pd.read_csv(tmp_path / "data.csv")
    with pytest.raises(UserError, match="read it with header=None"):
        read_table(read_source(lost), Columns())
    kept = pd.read_csv(tmp_path / "data.csv", header=None)
    assert len(read_table(read_source(kept), Columns()).series[0].values) == 8


def test_a_column_without_a_name_is_called_by_its_place(write) -> None:
    text = "date,,b\n" + rows("{day},{i}.5,1")
    table = read_table(write(text), Columns())
    assert table.names == ("Unnamed: 1", "b")
    assert read_table(write(text), Columns(target=("Unnamed: 1",))).names == ("Unnamed: 1",)


def test_times_without_a_name_are_the_time() -> None:
    table = read_table(CASES / "nameless_date.csv", Columns())
    assert table.names == ("a", "b")
    assert (table.series[0].first, len(table.series[0].values)) == (pd.Timestamp("2024-01-01"), 40)
    assert "the column without a name holds times: it is the time" in table.report.decisions


def test_a_frame_and_its_file_are_read_alike(tmp_path) -> None:
    frame = pd.DataFrame({"a": np.arange(8.0)}, index=pd.to_datetime(DAYS))
    frame.to_csv(tmp_path / "data.csv")
    by_file = read_table(tmp_path / "data.csv", Columns())
    by_frame = read_table(read_source(frame), Columns())
    np.testing.assert_array_equal(by_file.series[0].values, by_frame.series[0].values)
    assert by_file.series[0].first == by_frame.series[0].first
