"""Covariates that could be read wrongly: doubled hours, two sources, columns that tell nothing."""

import numpy as np
import pandas as pd
import pytest

from forecaster.config.schema import Columns, DataConfig
from forecaster.data.calendar_covariates import CalendarCovariates
from forecaster.data.encoding import ColumnCode, Encoding
from forecaster.data.future import with_future
from forecaster.data.leaks import ended_early
from forecaster.data.problem import load_table
from forecaster.data.tables import read_table
from forecaster.errors import UserError

BERLIN = Columns(known=("price",), timezone="Europe/Berlin")
HOURS = pd.date_range("2023-10-28 18:00", periods=12, freq="h", tz="Europe/Berlin")
AHEAD = 6  # of them, from 24:00 on, with 2 o'clock twice


def shops(order: str) -> pd.DataFrame:
    """Two shops at hours of which one comes twice, with prices that tell shop and hour."""
    parts = [
        pd.DataFrame({"shop": shop, "date": HOURS.strftime("%Y-%m-%d %H:%M"), "y": 1.0, "at": at})
        for shop, at in (("a", range(12)), ("b", range(12)))
    ]
    whole = pd.concat(parts, ignore_index=True)
    whole["price"] = whole["at"] + np.where(whole["shop"] == "b", 100, 0)
    by_time = whole.sort_values("at", kind="stable")
    return {"by shop": whole, "by time": by_time, "newest first": by_time[::-1]}[order]


@pytest.mark.parametrize("order", ["by shop", "by time", "newest first"])
@pytest.mark.parametrize("first", [6, 8, 9])  # 9: the second 2 o'clock
def test_the_hour_that_comes_twice_is_told_apart(write, tmp_path, order: str, first: int) -> None:
    history = shops("by shop").query("at < @first")
    table = read_table(write(history.drop(columns="at").to_csv(index=False)), BERLIN)
    future = shops(order).query("at >= @first")
    future[["shop", "date", "price"]].to_csv(tmp_path / "future.csv", index=False)
    found = with_future(table, tmp_path / "future.csv", BERLIN)
    for series, base in zip(found.series, (0, 100), strict=True):
        assert series.known[:, 0].tolist() == [base + at for at in range(12)]


DAYS = [f"2024-01-{day:02d}" for day in range(1, 11)]


def test_a_future_holds_against_the_rows_to_forecast_not_the_history(write, tmp_path) -> None:
    rows = "".join(f"{d},{i if i < 7 else ''},{10 + i}\n" for i, d in enumerate(DAYS))
    columns = Columns(known=("price",))
    table = read_table(write("date,y,price\n" + rows), columns)
    future = tmp_path / "future.csv"
    future.write_text("date,price\n" + "".join(f"{d},{50 + i}\n" for i, d in enumerate(DAYS[5:9])))
    (series,) = with_future(table, future, columns).series
    assert series.known[:, 0].tolist() == [10, 11, 12, 13, 14, 15, 16, 52, 53, 19]


def test_a_gap_among_the_rows_to_forecast_is_no_value_of_zero(write) -> None:
    kept = [i for i in range(10) if i not in {2, 8}]
    rows = "".join(f"{DAYS[i]},{i if i < 7 else ''},{10 + i}\n" for i in kept)
    columns = Columns(known=("price",), on_gap="zero")
    (series,) = read_table(write("date,y,price\n" + rows), columns).series
    assert series.values[:, 0].tolist() == [0, 1, 0, 3, 4, 5, 6]
    np.testing.assert_array_equal(series.known[7:, 0], [17, np.nan, 19])


def test_different_texts_of_a_time_have_no_mean(write) -> None:
    rows = [f"{day},{i},{'sun' if i % 2 else 'rain'},{i}" for i, day in enumerate(DAYS)]
    columns = Columns(known=("sky", "price"), on_duplicate="mean")
    alike = write("\n".join(["date,y,sky,price", *rows, "2024-01-03,4,rain,4"]) + "\n")
    (series,) = read_table(alike, columns).series
    assert (series.values[2, 0], series.known[2].tolist()) == (3.0, [0.0, 3.0])
    path = write("\n".join(["date,y,sky,price", *rows, "2024-01-03,4,sun,4"]) + "\n")
    with pytest.raises(UserError, match=r"line 12, column 'sky': another text at .*-03 00:00:00"):
        read_table(path, columns)
    for remedy, place in (("first", 0), ("last", 1)):
        found = read_table(path, columns.model_copy(update={"on_duplicate": remedy}))
        assert found.series[0].known[2, 0] == place


def test_a_column_that_is_the_same_in_all_training_rows_tells_nothing(write) -> None:
    rows = "".join(f"{d},{i},5,{9 if i > 6 else ''},{i},a\n" for i, d in enumerate(DAYS))
    columns = Columns(known=("same", "late", "price", "word"))
    path = write("date,y,same,late,price,word\n" + rows)
    table = read_table(path, columns)
    encoding = Encoding.fit(table, [7])
    assert encoding.constant == ["same", "late", "word"]
    assert Encoding.from_json(encoding.to_json()) == encoding
    other = read_table(
        write("date,y,same,late,price,word\n" + rows.replace(",5,", ",70,").replace("a\n", "b\n")),
        columns,
    )
    for each in (table, other):
        known = encoding.encode(each)[0].known
        assert not known[:, [0, 1, 3]].any()
        assert known[:, 2].std() > 0
    assert ColumnCode.fit(table.covariates.known[0], np.array([5.0, 6.0]), "known").std == 0.5


def test_a_column_of_texts_that_is_blank_in_a_file_is_missing(write, tmp_path) -> None:
    def file(texts: list[str]) -> str:
        return "date,y,sky\n" + "".join(
            f"{d},{i},{texts[i]}\n" for i, d in enumerate(DAYS[: len(texts)])
        )

    columns, past = Columns(known=("sky",)), Columns(past=("sky",))
    words = ["sun", "rain"] * 5
    for each in (columns, past):
        encoding = Encoding.fit(read_table(write(file(words)), each), [10])
        (features,) = encoding.encode(read_table(write(file([""] * 7)), each))
        assert not np.concatenate([features.known, features.past], axis=1).any()
    table = read_table(write(file([""] * 7)), columns)
    (tmp_path / "future.csv").write_text("date,sky\n2024-01-08,sun\n2024-01-09,\n")
    found = with_future(table, tmp_path / "future.csv", columns)
    (features,) = Encoding.fit(read_table(write(file(words)), columns), [10]).encode(found, 2)
    assert features.known[-2:].tolist() == [[0.0, 1.0], [0.0, 0.0]]


def test_local_hours_need_a_zone_where_offsets_change(write) -> None:
    hours = pd.date_range("2024-03-30 12:00", periods=48, freq="h", tz="Europe/Berlin")
    path = write("date,y\n" + "".join(f"{h.isoformat()},{i}\n" for i, h in enumerate(hours)))
    columns = Columns(calendar="hour")
    table = read_table(path, columns)
    with pytest.raises(UserError, match=r"no zone is named.*give --timezone"):
        Encoding.fit(table, [48], columns).encode(table)
    zoned = read_table(path, columns.model_copy(update={"timezone": "Europe/Berlin"}))
    known = Encoding.fit(zoned, [48], columns).encode(zoned)[0].known
    asked = CalendarCovariates.of(columns, zoned.interval)
    local = zoned.clock.local(zoned.interval.stamps(zoned.series[0].first, 48))
    assert local.hour.tolist() == hours.hour.tolist()
    np.testing.assert_allclose(known[:, 0], np.sin(2 * np.pi * hours.hour / 24), atol=1e-12)
    assert asked.width == known.shape[1]


def test_a_benchmark_has_no_columns_of_covariates() -> None:
    config = DataConfig(dataset="exchange", known=("1",), past=("2",), horizon=96)
    with pytest.raises(UserError, match="leave out --known, --past, or give the file with --csv"):
        load_table(config)


def test_a_column_that_ends_before_the_values_is_told(write) -> None:
    days = pd.date_range("2024-01-01", periods=30)
    frame = pd.DataFrame({"day": days, "y": range(30), "price": 1.5, "rain": 0.5, "event": ""})
    frame.loc[27:, "price"] = np.nan
    frame.loc[29, "rain"] = np.nan
    frame.loc[:9, "event"] = "fair"  # a text that is blank is none of the texts
    columns = Columns(target=("y",), known=("price", "event"), past=("rain",))
    words = "on, are blank: taken as missing; fill them in, or leave the column out"
    assert ended_early(read_table(write(frame.to_csv(index=False)), columns)) == [
        f"column 'price' (--known): the last 3 row(s), from 2024-01-28 {words}",
        f"column 'rain' (--past): the last 1 row(s), from 2024-01-30 {words}",
    ]
    long = pd.concat([frame.assign(shop=shop) for shop in "abc"])
    long.loc[(long["shop"] == "b").to_numpy(), "price"] = 2.0
    table = read_table(write(long.to_csv(index=False)), columns)
    assert ended_early(table)[0].startswith(
        "column 'price' (--known): the last 3 row(s) of 'a', from 2024-01-28 on (and the last of 1 "
        "more series), are blank"
    )
    assert ended_early(read_table(write(frame[:27].to_csv(index=False)), columns)) == []


def test_rows_of_a_time_are_told_apart_by_a_name_not_summed(write, tmp_path) -> None:
    """What is said to do about them works: there is no sum of rows with covariates."""
    days = pd.date_range("2024-01-01", periods=30).strftime("%Y-%m-%d")
    parts = [pd.DataFrame({"shop": s, "day": days, "y": 1.0, "price": 2.0}) for s in "abc"]
    path = write(pd.concat(parts).to_csv(index=False))
    asked = Columns(target=("y",), known=("price", "shop"))
    with pytest.raises(
        UserError, match=r"; name the series with --item-id, or remove them or give"
    ):
        read_table(path, asked)
    named = asked.model_copy(update={"known": ("price",), "item_id": ("shop",)})
    assert len(read_table(path, named)) == 3
    assert len(read_table(path, asked.model_copy(update={"on_duplicate": "last"}))) == 1
