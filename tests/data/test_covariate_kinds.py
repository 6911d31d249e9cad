"""Flags and codes among covariates, GluonTS' fields, and names that a spreadsheet would compute."""

import numpy as np
import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data.encoding import Encoding
from forecaster.data.frames import read_source
from forecaster.data.future import template, with_future
from forecaster.data.leaks import suspected_leaks
from forecaster.data.tables import read_table
from forecaster.errors import UserError

DAYS = [f"{day:%Y-%m-%d}" for day in pd.date_range("2024-01-01", periods=12)]


def daily(head: str, cells: list[str]) -> str:
    """Ten rows with values, and two to forecast."""
    values = [*map(str, range(10)), "", ""]
    rows = (f"{d},{v},{c}" for d, v, c in zip(DAYS, values, cells, strict=True))
    return "\n".join([f"date,y,{head}", *rows]) + "\n"


@pytest.mark.parametrize(
    "cells",
    [
        ["0", "1"] * 6,
        ["False", "True"] * 6,
        ["0", "1"] * 3 + ["false", "TRUE"] * 3,
        ["FALSE", "1"] * 6,
    ],
)
def test_true_and_false_are_1_and_0_however_they_are_written(write, cells: list[str]) -> None:
    table = read_table(write(daily("open", cells)), Columns(known="open"))
    assert table.covariates.known[0].levels is None
    assert table.series[0].known[:, 0].tolist() == [0, 1] * 6
    frame = pd.DataFrame({"date": DAYS, "y": 1.0, "open": [False, True] * 6})
    read = read_table(read_source(frame), Columns(known="open", target="y"))
    assert read.series[0].known[:, 0].tolist() == [0, 1] * 6


def test_flags_and_other_texts_are_categories_and_blank_ones_missing(write) -> None:
    cells = ["True", "", "False", "maybe"] * 3
    (column,) = read_table(write(daily("open", cells)), Columns(known="open")).covariates.known
    assert column.levels == ("False", "True", "maybe")
    blank = ["True", "", "False", "NA"] * 3
    table = read_table(write(daily("open", blank)), Columns(known="open"))
    np.testing.assert_array_equal(table.series[0].known[:, 0], [1, np.nan, 0, np.nan] * 3)


def test_a_text_that_is_blank_is_told_and_another_word_is_a_category(write) -> None:
    cells = ["none", "sale", "", "fair", "none", "NA"] * 2
    table = read_table(write(daily("event", cells)), Columns(known="event"))
    assert table.covariates.known[0].levels == ("fair", "sale")
    told = [each for each in table.report.decisions if each.startswith("column 'event': ")]
    assert told == [
        f"column 'event': '{text}' is blank, in {count} row(s); if it says something, write "
        "another word"
        for text, count in (("none", 4), ("NA", 2))
    ]
    words = [cell.replace("none", "no event").replace("NA", "") for cell in cells]
    table = read_table(write(daily("event", words)), Columns(known="event"))
    assert table.covariates.known[0].levels == ("fair", "no event", "sale")
    assert not any(each.startswith("column 'event': ") for each in table.report.decisions)


def test_codes_are_categories_where_they_are_named(write, tmp_path) -> None:
    cells = [f"{code},{code}" for code in ["7", "12", "7", "30"] * 3]
    columns = Columns(known="store,size", categorical="store")
    table = read_table(write(daily("store,size", cells)), columns)
    assert [each.levels for each in table.covariates.known] == [("12", "30", "7"), None]
    assert Encoding.fit(table, [10]).sizes.known == 4
    # floats of a typed file are the same codes
    frame = pd.DataFrame({"date": DAYS, "y": 1.0, "store": [7.0, 12.0] * 6, "size": 1.0})
    frame.to_parquet(tmp_path / "f.parquet")
    read = read_table(tmp_path / "f.parquet", columns)
    assert read.covariates.known[0].levels == ("12", "7")
    # in a file of the future, too
    (tmp_path / "future.csv").write_text(f"date,store,size\n{DAYS[10]},30,1\n{DAYS[11]},99,2\n")
    history = read_table(
        write("\n".join(daily("store,size", cells).splitlines()[:11]) + "\n"), columns
    )
    found = with_future(history, tmp_path / "future.csv", columns)
    levels = found.covariates.known[0].levels
    assert [levels[int(v)] for v in found.series[0].known[10:, 0]] == ["30", "99"]
    with pytest.raises(UserError, match=r"--categorical stor: no covariate .*did you mean 'store'"):
        read_table(write(daily("store,size", cells)), Columns(known="store", categorical="stor"))


def test_codes_of_a_static_file(write, tmp_path) -> None:
    rows = "".join(f"{shop},{day},{i}\n" for shop in "ab" for i, day in enumerate(DAYS))
    (tmp_path / "static.csv").write_text("shop,region\na,1\nb,2\n")
    columns = Columns(static_file=tmp_path / "static.csv", categorical="region")
    table = read_table(write("shop,day,y\n" + rows), columns)
    assert table.covariates.static[0].levels == ("1", "2")
    wrong = columns.model_copy(update={"categorical": ("area",)})
    with pytest.raises(UserError, match="--categorical area: no covariate is called so"):
        read_table(write("shop,day,y\n" + rows), wrong)


def test_entries_have_the_fields_of_gluonts(write) -> None:
    cells = [f"{i},{sky},{-i},{sky}" for i, sky in enumerate(["sun", "", "rain"] * 4)]
    columns = Columns(known="price,sky", past="wind,haze", target="y")
    path = write(daily("price,sky,wind,haze", cells))
    (entry,) = read_table(path, columns)
    assert entry["target"].tolist() == [list(range(10))]
    assert entry["feat_dynamic_real"].tolist() == [list(range(12))]
    assert entry["feat_dynamic_cat"].tolist() == [[1, 2, 0] * 4]  # 2: missing
    assert entry["past_feat_dynamic_real"].tolist() == [[-i for i in range(10)]]
    assert entry["past_feat_dynamic_cat"].tolist() == [([1, 2, 0] * 4)[:10]]
    rows = [f"{s},{d},{i},{s}x,{n}" for n, s in enumerate("ab") for i, d in enumerate(DAYS)]
    long = write("shop,day,y,area,size\n" + "\n".join(rows) + "\n")
    entries = list(read_table(long, Columns(static="area,size", target="y")))
    assert [each["feat_static_cat"].tolist() for each in entries] == [[0], [1]]
    assert [each["feat_static_real"].tolist() for each in entries] == [[0.0], [1.0]]
    assert set(next(iter(read_table(long, Columns(target="y"))))) == {"item_id", "start", "target"}


def test_a_template_holds_no_formula_and_comes_back_with_the_same_names(write, tmp_path) -> None:
    names = ["=1+1", "@shop", "'quoted", "'=known", "-5", "plain"]
    rows = [f"{n},{d},{i},{i}" for n in names for i, d in enumerate(DAYS)]
    columns = Columns(known="price", target="y", item_id="shop")
    table = read_table(write("shop,day,y,price\n" + "\n".join(rows) + "\n"), columns)
    blank = template(table, 2)
    assert blank["shop"].unique().tolist() == ["'=1+1", "'@shop", *names[2:]]
    blank.assign(price=range(len(blank))).to_csv(tmp_path / "future.csv", index=False)
    found = with_future(table, tmp_path / "future.csv", columns)
    assert [s.known[12:, 0].tolist() for s in found.series] == [
        [2 * n, 2 * n + 1] for n in range(len(names))
    ]


def test_a_leak_of_ones_own_forecast_names_its_option(write) -> None:
    y = np.random.default_rng(0).normal(size=60).round(3)
    days = pd.date_range("2024-01-01", periods=60).strftime("%Y-%m-%d")
    path = write(pd.DataFrame({"date": days, "y": y, "plan": y}).to_csv(index=False))
    table = read_table(path, Columns(prior_column="plan", target="y"))
    (said,) = suspected_leaks(table, 7, ("plan",))
    assert said.startswith("column 'plan' (--prior-column) repeats 'y', or a multiple of it, in")
    assert said.endswith("leave it out, or give forecasts made before")
