"""Series that end early are named; short ones block no others."""

import numpy as np
import pandas as pd
import pytest

from forecaster.config.schema import Columns, DataConfig
from forecaster.data.defaults import settle
from forecaster.data.problem import TooShortError, load_problem
from forecaster.data.tables import read_table
from forecaster.errors import UserError


def panel(write, **lengths: int):
    """A daily file of items of these lengths, each value its row."""
    rows = [
        f"{item},{day:%Y-%m-%d},{i}"
        for item, length in lengths.items()
        for i, day in enumerate(pd.date_range("2024-01-01", periods=length))
    ]
    return write("item,date,x\n" + "\n".join(rows) + "\n")


def test_items_that_end_early_are_named_with_where_their_forecasts_begin(write) -> None:
    table = read_table(panel(write, a=20, b=10, c=20, d=19), Columns())
    assert table.report.decisions[-1] == (
        "2 of 4 series end before 2024-01-20, the last time: a forecast of 'b' begins at "
        "2024-01-11, 'd' begins at 2024-01-20; --align end lets all begin at one time"
    )
    assert [len(s.values) for s in table.series] == [20, 10, 20, 19]
    even = read_table(panel(write, a=20, b=20), Columns())
    assert not any("end" in decision for decision in even.report.decisions)


PROMO = "shop,date,sold,my promo\n" + "".join(
    f"{shop},2024-01-{day:02d},{day if day <= 18 or shop == 'c' else ''},{day % 2}\n"
    for shop in "abc"
    for day in range(1, 21 if shop != "c" else 11)
)


def test_columns_that_go_on_where_the_others_end_may_be_known_ahead(write) -> None:
    """And with the option that is named the rows below are those to forecast."""
    said = read_table(write(PROMO), Columns()).report.decisions[-1]
    remedy = "; if 'my promo' is known ahead, a training with --known 'my promo' forecasts 'sold' from there"
    assert said == (
        "2 series without a value at the end: 'a/sold' after 2024-01-18, 'b/sold' after "
        f"2024-01-18; these rows are missing values, --align end leaves them out{remedy}"
    )
    table = read_table(write(PROMO), Columns(known=("my promo",)))
    assert [(len(s.values), len(s.known)) for s in table.series] == [(18, 20), (18, 20), (10, 10)]
    both = PROMO.replace("my promo", "a,b").replace(",0\n", ",0,1\n").replace(",1\n", ",1,2\n")
    both = both.replace(",0,1,2\n", ",0,1\n")
    said = read_table(write(both), Columns()).report.decisions[-1]
    assert said.endswith(
        "; if 'a', 'b' are known ahead, a training with --known a,b forecasts 'sold' from there"
    )


def test_columns_that_end_too_are_not_said_to_be_known(write) -> None:
    short = PROMO.replace("c,2024-01-09,9,1", "c,2024-01-09,9,").replace("10,10,0", "10,10,")
    said = read_table(write(short), Columns()).report.decisions[-1]
    assert said.startswith("3 series without a value at the end: 'a/sold' after 2024-01-18, ")
    assert said.endswith(
        "'c/my promo' after 2024-01-08; these rows are missing values, --align end leaves them out"
    )
    alone = "date,x,y,z\n2024-01-01,1,1,1\n2024-01-02,1,1,1\n2024-01-03,1,,1\n2024-01-04,,,1\n"
    said = read_table(write(alone), Columns()).report.decisions[-1]
    assert said.startswith("1 series without a value at the end: 'y' after 2024-01-02; these rows")
    assert "known ahead" not in said


def test_the_remedy_is_named_where_the_series_have_a_time_in_common(write) -> None:
    text = "item,date,x\n" + "".join(
        f"{item},2024-01-{day:02d},1\n"
        for item, days in (("a", range(1, 5)), ("b", range(8, 12)))
        for day in days
    )
    said = read_table(write(text), Columns()).report.decisions[-1]
    assert said.endswith("time: a forecast of 'a' begins at 2024-01-05")


def test_of_many_items_that_end_early_a_few_are_named(write) -> None:
    table = read_table(panel(write, last=30, **{f"i{n}": 20 for n in range(8)}), Columns())
    said = table.report.decisions[-1]
    assert said.startswith("8 of 9 series end before 2024-01-30")
    assert said.count("begins at") == 5
    assert " and 3 more; " in said


def test_align_ends_all_at_the_last_common_time(write) -> None:
    table = read_table(panel(write, a=20, b=10, c=15), Columns(align="end"))
    assert [s.values[:, 0].tolist() for s in table.series] == [list(range(10))] * 3
    assert table.report.decisions[-1] == (
        "all series end at 2024-01-10, the last time that they have in common: "
        "15 row(s) after it left out"
    )


def test_a_series_that_begins_after_the_common_end_is_refused(write) -> None:
    text = "item,date,x\n" + "".join(
        f"{item},2024-01-{day:02d},1\n"
        for item, days in (("a", range(1, 5)), ("b", range(8, 12)))
        for day in days
    )
    with pytest.raises(
        UserError,
        match=r"series 'b' begins after 2024-01-04, where 'a' ends; leave one of them out of the file, or give no --align",
    ):
        read_table(write(text), Columns(align="end"))


def test_columns_without_values_at_the_end_are_named(write) -> None:
    rows = [
        f"{d:%Y-%m-%d},{i},{i if i < 7 else ''}"
        for i, d in enumerate(pd.date_range("2024-01-01", periods=10))
    ]
    path = write("date,a,b\n" + "\n".join(rows))
    table = read_table(path, Columns())
    assert "1 series without a value at the end: 'b' after 2024-01-07" in table.report.decisions[-1]
    assert len(table.series[0].values) == 10
    aligned = read_table(path, Columns(align="end"))
    np.testing.assert_array_equal(aligned.series[0].values, np.tile(np.arange(7.0)[:, None], 2))


def config(path, **given) -> DataConfig:
    return DataConfig(csv=str(path), horizon=5, lookback=10, **given)


def test_a_short_item_blocks_no_others_if_it_is_left_out(write) -> None:
    path = panel(write, a=60, b=3, c=60, d=24)
    with pytest.raises(
        TooShortError, match=r"leave out 'b' \(3\), 'd' \(24\) with --on-short skip"
    ):
        load_problem(config(path))
    for word in ("skip", "fallback", "drop"):
        problem = load_problem(config(path, on_short=word))
        assert [s.item_id for s in problem.table.series] == ["a", "c"]
        assert len(problem.borders) == len(problem.scaling) == 2
        said = "left out, with fewer than 25 rows: 'b' (3), 'd' (24)"
        assert problem.table.report.decisions[-1] == said


def test_a_file_of_short_items_is_not_emptied(write) -> None:
    path = panel(write, a=12, b=13)
    with pytest.raises(TooShortError) as caught:
        load_problem(config(path, on_short="drop"))
    assert "--on-short skip" not in str(caught.value)


def test_items_to_be_left_out_do_not_shorten_the_horizon(write) -> None:
    table = read_table(panel(write, a=200, b=200, c=60), Columns())
    shortened, _ = settle(DataConfig(), table)
    kept, _ = settle(DataConfig(on_short="drop"), table)
    assert kept.horizon > shortened.horizon
    assert [s.item_id for s in load_problem(kept, table).table.series] == ["a", "b"]


def test_rows_prepared_for_the_future_are_left_out(write) -> None:
    """Of the whole file, and of each item; a blank before a value stays one."""
    days = pd.date_range("2024-01-01", periods=24)
    values = [*range(9), "", *range(10, 20), "", "", "", ""]
    rows = [
        f"{day:%Y-%m-%d},{v},{'' if v == 5 else v}" for day, v in zip(days, values, strict=True)
    ]
    table = read_table(write("date,a,b\n" + "\n".join(rows) + "\n"), Columns())
    known = read_table(write("date,a,b\n" + "\n".join(rows[:20]) + "\n"), Columns())
    np.testing.assert_array_equal(table.series[0].values, known.series[0].values)
    assert table.report.decisions == [
        "4 row(s) without a value at the end, from 2024-01-21 on: left out, forecasts begin there"
    ]
    assert (table.report.facts["length"], table.report.facts["to"]) == (20, "2024-01-20")
    items = [
        f"{i},{day:%Y-%m-%d},{'' if n >= 20 + i else n}"
        for i in (1, 2)
        for n, day in enumerate(days)
    ]
    table = read_table(write("item,date,x\n" + "\n".join(items) + "\n"), Columns(item_id="item"))
    assert [len(series.values) for series in table.series] == [21, 22]
    assert table.report.decisions[0] == (
        "5 row(s) without a value at the end of 2 series, of '1' from 2024-01-22 on: left out, "
        "forecasts begin there"
    )
