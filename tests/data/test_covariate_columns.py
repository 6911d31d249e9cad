"""Covariates of a file: read, put on the grid, cut with the series, and encoded."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data.covariates import Covariate
from forecaster.data.encoding import ColumnCode, Encoding
from forecaster.data.future import template, with_future
from forecaster.data.tables import Table, read_table
from forecaster.errors import UserError

DAYS = [f"2024-01-{day:02d}" for day in range(1, 11)]
WIDE = "date,y,price,event,wind\n" + "".join(
    f"{day},{i if i < 7 else ''},{10 + i},{'fair' if i % 4 == 0 else ''},{i / 2}\n"
    for i, day in enumerate(DAYS)
)
LONG = "shop,date,y,price,region\n" + "".join(
    f"{shop},{day},{i},{i * scale},{region}\n"
    for shop, scale, region in (("a", 1, "north"), ("b", 2, "south"))
    for i, day in enumerate(DAYS)
)
KNOWN = Columns(known=("price", "event"), past=("wind",))


def refused(path: object, columns: Columns, start: str | None = None) -> str:
    with pytest.raises(UserError) as error:
        read_table(str(path), columns, start=start)
    return str(error.value)


def test_rows_below_the_last_value_are_the_future_of_known_columns(write) -> None:
    table = read_table(write(WIDE), KNOWN)
    (series,) = table.series
    assert table.names == ("y",)
    assert series.values[:, 0].tolist() == list(range(7))
    assert series.known[:, 0].tolist() == list(range(10, 20))
    assert series.past[:, 0].tolist() == [i / 2 for i in range(7)]
    assert [(c.name, c.levels) for c in table.covariates] == [
        ("price", None),
        ("event", ("fair",)),
        ("wind", None),
    ]
    assert np.isnan(series.known[:, 1]).tolist() == [i % 4 != 0 for i in range(10)]


def test_static_columns_are_those_of_each_series(write) -> None:
    table = read_table(write(LONG), Columns(known="price", static="region"))
    assert [s.item_id for s in table.series] == ["a", "b"]
    assert [s.static.tolist() for s in table.series] == [[0.0], [1.0]]
    assert table.series[1].known[:, 0].tolist() == [2.0 * i for i in range(10)]
    changed = LONG.replace("2024-01-04,3,6,south", "2024-01-04,3,6,north")
    path = write(changed)
    assert refused(path, Columns(static="region")) == (
        f"{path}, line 15, column 'region': series 'b': changes from 'south' to 'north', but "
        "--static columns stay the same in a series; correct it, or give it with --known region "
        "or --past region"
    )
    for remedy in ({"known": "region"}, {"past": "region"}):
        assert len(read_table(path, Columns(**remedy)).series) == 2


def test_covariates_are_sorted_and_filled_with_their_series(write) -> None:
    head, *lines = WIDE.splitlines()
    shuffled = [lines[i] for i in (3, 0, 9, 1, 8, 2, 6, 5, 7)]  # without the fifth day
    path = write("\n".join([head, *shuffled]) + "\n")
    for policy, filled in (("fill", np.nan), ("zero", 0.0)):
        (series,) = read_table(path, KNOWN.model_copy(update={"on_gap": policy})).series
        whole = [10.0, 11, 12, 13, np.nan, 15, 16, 17, 18, 19]
        np.testing.assert_array_equal(series.known[:, 0], whole)
        np.testing.assert_array_equal(series.values[:, 0], [0, 1, 2, 3, filled, 5, 6])


def test_an_earlier_start_leaves_the_known_rows_after_it(write) -> None:
    (series,) = read_table(write(WIDE), KNOWN, start="2024-01-04").series
    assert (len(series.values), len(series.past)) == (3, 3)
    assert series.known[:, 0].tolist() == list(range(10, 20))
    (later,) = read_table(
        write(WIDE), KNOWN.model_copy(update={"on_gap": "fill"}), start="2024-01-12"
    ).series
    assert (len(later.values), len(later.past)) == (11, 11)
    np.testing.assert_array_equal(later.known[:, 0], [*range(10, 20), np.nan])


def test_series_that_end_together_keep_the_known_rows_after_it(write) -> None:
    short = LONG.replace("a,2024-01-10,9,9,north\n", "")
    table = read_table(write(short), Columns(known="price", align="end"))
    assert [len(s.values) for s in table.series] == [9, 9]
    assert [len(s.known) for s in table.series] == [9, 10]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"known": "prise"}, "no column 'prise' (--known) (did you mean 'price'?)"),
        ({"prior_column": "plan"}, "no column 'plan' (--prior-column); the columns are"),
        ({"target": "y", "past": "y"}, "column 'y' is given with --target and --past; leave one"),
        ({"known": "date", "timestamp": "date"}, "is given with --timestamp and --known"),
        ({"known": "date"}, "no column holds times"),
        ({"known": "price", "past": "price"}, "given with --known and --past; leave one of them"),
        ({"known": "price", "aggregate": "sum"}, "says nothing of covariates ('price')"),
    ],
)
def test_a_wrong_role_is_refused(write, columns: dict[str, str], words: str) -> None:
    assert words in refused(write(WIDE), Columns(**columns))


def test_numbers_become_scores_and_texts_one_feature_each(write) -> None:
    table = read_table(write(WIDE), KNOWN)
    encoding = Encoding.fit(table, [4])
    (features,) = encoding.encode(table, ahead=3)
    price = np.arange(10, 20.0)
    scores = (price - price[:4].mean()) / price[:4].std()
    np.testing.assert_allclose(features.known[:, 0], scores)
    assert features.known[:, 1].tolist() == [1.0 * (i % 4 == 0) for i in range(10)]
    assert features.past.shape == (7, 1)
    assert Encoding.from_json(json.loads(json.dumps(encoding.to_json()))) == encoding


def test_numbers_with_blank_training_rows_have_a_feature_that_says_where() -> None:
    """A blank is as the mean in the first feature; in one that is always 5 nothing else is."""
    column, given = Covariate("price"), np.array([7.0, np.nan, 5.0])
    for values, scores in (([1.0, np.nan, 3.0], [5.0, 0, 3.0]), ([5.0, np.nan, 5.0], [0, 0, 0])):
        code = ColumnCode.fit(column, np.array(values), "known")
        np.testing.assert_array_equal(
            code.features(given, column), np.stack([scores, [0, 1, 0]], axis=1)
        )
        assert Encoding(known=(code,)).constant == []
    for values, kind in (([1.0, 3.0], "known"), ([1.0, np.nan, 3.0], "static")):
        code = ColumnCode.fit(column, np.array(values), kind)
        assert code.features(given, column).tolist() == [[5.0], [0.0], [3.0]]
    assert ColumnCode.fit(column, np.full(3, np.nan), "known").width == 1


def test_an_encoding_saved_before_blanks_were_told_has_no_feature_for_them() -> None:
    encoding = Encoding(known=(ColumnCode("price", 2.0, 1.0, blanks=True),))
    content = json.loads(json.dumps(encoding.to_json()))
    assert Encoding.from_json(content) == encoding
    del content["known"][0]["blanks"]
    assert Encoding.from_json(content).sizes.known == 1


def test_only_training_rows_shape_the_encoding(write) -> None:
    table = read_table(write(WIDE.replace("2024-01-09,,18,fair", "2024-01-09,,1e6,party")), KNOWN)
    usual = read_table(write(WIDE), KNOWN)
    assert Encoding.fit(table, [4]) == Encoding.fit(usual, [4])
    (features,) = Encoding.fit(usual, [4]).encode(table, ahead=3)
    assert features.known[8, 1] == 0  # a text that is not known
    assert Encoding.fit(usual, [4]).unknown(table) == [
        "column 'event': 'party' was not in the training, 1 time(s): taken as unknown"
    ]


def test_texts_where_numbers_were_learnt_are_refused(write) -> None:
    usual, other = (
        read_table(write(text), Columns(known="price", target="y"))
        for text in (WIDE, re.sub(r",(1\d),", r",low \1,", WIDE))
    )
    for fitted, given, words in (
        (usual, other, "column 'price' holds texts, the model knows numbers"),
        (other, usual, "column 'price' holds numbers, the model knows texts"),
    ):
        with pytest.raises(UserError, match=words):
            Encoding.fit(fitted, [7]).encode(given)


def cut(table: Table, rows: int) -> Table:
    """The table with ``rows`` of its known covariates."""
    return replace(table, series=tuple(replace(s, known=s.known[:rows]) for s in table.series))


def test_a_file_of_the_future_gives_the_same_table(write, tmp_path) -> None:
    table = read_table(write(WIDE), KNOWN)
    lines = WIDE.splitlines()
    future = tmp_path / "future.csv"
    future.write_text("\n".join([lines[0], *lines[8:], lines[5]]) + "\n")  # one row of the history
    (found,) = with_future(cut(table, 7), future, KNOWN).series
    np.testing.assert_array_equal(found.known, table.series[0].known)


def test_texts_of_the_future_are_new_ones_too(write, tmp_path) -> None:
    table = cut(read_table(write(WIDE), KNOWN), 7)
    future = tmp_path / "future.csv"
    future.write_text("date,event,price\n2024-01-08,art,1\n2024-01-09,fair,2\n2024-01-10,,3\n")
    found = with_future(table, future, KNOWN)
    assert found.covariates.known[1].levels == ("fair", "art")
    np.testing.assert_array_equal(found.series[0].known[7:], [[1, 1], [2, 0], [3, np.nan]])
    np.testing.assert_array_equal(found.series[0].known[:7], table.series[0].known)


def test_a_template_filled_in_is_the_future(write, tmp_path) -> None:
    """Of a long file with two columns of names, and of times of the day in a zone."""
    times = pd.date_range("2024-03-30 20:00", periods=12, freq="h", tz="Europe/Berlin")
    lines = [
        f"{shop},{dept},{time.isoformat()},{i},{price}"
        for shop, dept in (("a", "x"), ("b", "y"))
        for i, time in enumerate(times)
        for price in [i + 1]
    ]
    path = write("shop,dept,time,y,price\n" + "\n".join(lines) + "\n")
    columns = Columns(known="price", item_id="shop,dept", timezone="Europe/Berlin")
    table = read_table(path, columns)
    rows = template(table, 3)
    assert list(rows.columns) == ["time", "shop", "dept", "price"]
    assert rows["time"].tolist()[:3] == [
        "2024-03-31 09:00:00+02:00",
        "2024-03-31 10:00:00+02:00",
        "2024-03-31 11:00:00+02:00",
    ]
    rows["price"] = range(6)
    rows.to_csv(tmp_path / "future.csv", index=False)
    found = with_future(table, tmp_path / "future.csv", columns)
    assert [s.known[12:, 0].tolist() for s in found.series] == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("date,price\n2024-01-08,1\n", "no column 'event', which the future has to have"),
        (
            "date,price,Event\n2024-01-08,1,x\n",
            "no column 'event' (did you mean 'Event'?), which the future has to have",
        ),
        (
            "date,price,event\n2024-01-08 06:00,1,x\n2024-01-09 06:00,2,x\n",
            "is not on the grid of interval D",
        ),
        (
            "date,price,event\n2024-01-08,1,x\n2024-01-08,2,x\n",
            "2024-01-08 occurs more than once; leave one row",
        ),
        ("date,price,event\n2024-01-08,low,x\n", "holds numbers in"),
    ],
)
def test_a_future_that_does_not_fit_is_refused(write, tmp_path, text: str, words: str) -> None:
    table = cut(read_table(write(WIDE), KNOWN), 7)
    (tmp_path / "future.csv").write_text(text)
    with pytest.raises(UserError) as error:
        with_future(table, tmp_path / "future.csv", KNOWN)
    assert words in str(error.value)


def test_no_known_column_needs_no_future(write, tmp_path) -> None:
    table = read_table(write(WIDE), Columns(past="wind", target="y"))
    with pytest.raises(UserError, match="no covariates that are known ahead; leave it out"):
        with_future(table, tmp_path / "future.csv", Columns(past="wind"))
    with pytest.raises(UserError, match="no covariates that are known ahead"):
        template(table, 3)
