"""The series' names are found by what makes times unique, not by chance."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data.layout.keys import Candidate, find_keys, names_series
from forecaster.data.tables import read_table
from forecaster.errors import UserError

CASES = Path(__file__).parent / "intake"
DAYS = pd.date_range("2024-01-01", periods=30)


def panel(**items: int) -> pd.DataFrame:
    """All combinations of items, named by numbers, with a row a day."""
    levels = [range(1, count + 1) for count in items.values()]
    index = pd.MultiIndex.from_product([*levels, DAYS], names=[*items, "date"])
    frame = index.to_frame(index=False)
    return frame.assign(x=np.random.default_rng(0).integers(0, 99, len(frame)))


def put(write, frame: pd.DataFrame):
    return write(frame.to_csv(index=False))


def test_the_case_of_two_keys() -> None:
    with pytest.raises(UserError, match=r"'store', 'dept' \(--item-id store,dept\)"):
        read_table(CASES / "two_keys.csv", Columns())
    table = read_table(CASES / "two_keys.csv", Columns(item_id="store,dept"))
    assert [s.item_id for s in table.series] == ["1/1", "1/2", "2/1", "2/2"]
    assert all(s.values[:3, 0].tolist() == [0, 1, 2] for s in table.series)
    assert all(len(s.values) == 40 for s in table.series)


def test_the_case_of_a_flag() -> None:
    table = read_table(CASES / "time_repeated_in_flag.csv", Columns())
    assert [s.item_id for s in table.series] == ["1", "2"]
    assert table.names == ("Sales",)
    assert table.report.decisions[:2] == [
        "column 'Store' names the series",
        "column 'IsHoliday' left out: text; --known reads what is known ahead",
    ]


@pytest.mark.parametrize("given", [None, ("store",), ("dept",)])
def test_a_second_key_is_offered_and_works(write, given) -> None:
    path = put(write, panel(store=3, dept=2))
    with pytest.raises(UserError, match=r"--item-id (store,dept|dept,store)") as caught:
        read_table(path, Columns(item_id=given))
    offered = str(caught.value).partition("--item-id ")[2].partition(")")[0]
    assert len(read_table(path, Columns(item_id=offered)).series) == 6


def test_three_keys_are_offered(write) -> None:
    with pytest.raises(UserError, match="--item-id country,store,item"):
        read_table(put(write, panel(country=2, store=3, item=2)), Columns())


def test_static_columns_beside_the_key_are_no_keys(write) -> None:
    frame = panel(store=4)
    frame["city"] = frame.store.map({1: "Rome", 2: "Oslo", 3: "Rome", 4: "Bonn"})
    frame["holiday"] = np.where(frame.date.dt.day % 7 == 0, "Easter", "none")
    frame["weekday"] = frame.date.dt.day_name()
    table = read_table(put(write, frame), Columns())
    assert [s.item_id for s in table.series] == ["1", "2", "3", "4"]
    assert table.names == ("x",)


def test_a_name_and_its_number_are_one_key(write) -> None:
    frame = panel(station=3).assign(place=lambda f: f.station.map({1: "a", 2: "b", 3: "c"}))
    assert [s.item_id for s in read_table(put(write, frame), Columns()).series] == ["1", "2", "3"]


def test_two_columns_that_could_each_be_the_key_are_asked_for(write) -> None:
    frame = panel(store=4).rename(columns={"store": "one"})
    frame["one"] = frame["one"].map({1: "a", 2: "b", 3: "c", 4: "d"})
    frame["two"] = np.roll(frame["one"], 31)
    with pytest.raises(UserError, match=r"--item-id one\) or 'two' \(--item-id two"):
        read_table(put(write, frame), Columns())


def test_numbers_without_a_telling_name_are_asked_for(write) -> None:
    path = put(write, panel(nr_x=5))
    with pytest.raises(UserError, match="--item-id nr_x"):
        read_table(path, Columns())
    assert len(read_table(path, Columns(item_id=("nr_x",))).series) == 5


@pytest.mark.parametrize(
    "column",
    [
        lambda n: np.where(np.arange(n) % 9 == 0, "TRUE", "FALSE"),
        lambda n: np.array(["N", "E", "S", "W"])[np.arange(n) * 7 % 4],
        lambda n: np.where(np.arange(n) % 10 == 0, "Easter", "none"),
    ],
    ids=["flag", "wind", "holiday"],
)
def test_text_that_happens_to_differ_is_no_name(write, column) -> None:
    """Two rows of one hour, as at the end of daylight saving time."""
    stamps = pd.date_range("2023-10-28", periods=48, freq="h").insert(27, "2023-10-29 02:00")
    frame = pd.DataFrame({"time": stamps, "x": np.arange(49) % 5, "text": column(49)})
    with pytest.raises(UserError, match="occur more than once"):
        read_table(put(write, frame), Columns())


def test_times_of_day_are_no_names(write) -> None:
    frame = pd.DataFrame(
        [(day, hour, i % 7) for i, day in enumerate(DAYS) for hour in ("06:00", "18:00")],
        columns=["date", "when", "x"],
    )
    table = read_table(put(write, frame), Columns())
    assert [(s.item_id, s.values.shape) for s in table.series] == [(None, (60, 1))]


def test_a_sparse_panel_has_a_key() -> None:
    rng = np.random.default_rng(0)
    times, items = np.divmod(rng.permutation(200 * 50)[:1500], 50)
    found = find_keys(pd.factorize(times)[0], {"sku": Candidate(pd.factorize(items)[0], True)})
    assert [key.columns for key in found] == [("sku",)]


def test_a_few_rows_twice_do_not_hide_the_key(write) -> None:
    frame = panel(store=4)
    path = put(write, pd.concat([frame, frame.iloc[[5]]]))
    with pytest.raises(UserError, match="series '1': 1 time"):
        read_table(path, Columns())
    assert len(read_table(path, Columns(on_duplicate="first")).series) == 4


def test_the_one_name_of_a_file_of_one_series_is_its_name(write) -> None:
    for name in (7, "x"):
        table = read_table(put(write, panel(store=1).assign(store=name)), Columns())
        assert [s.item_id for s in table.series] == [str(name)]


def test_text_in_blocks_of_different_times_is_asked_about(write) -> None:
    frame = panel(part=3).drop(columns="date").assign(date=pd.date_range("2024-01-01", periods=90))
    frame["part"] = frame.part.map({1: "a", 2: "b", 3: "c"})
    path = put(write, frame)
    with pytest.raises(UserError, match="--item-id part"):
        read_table(path, Columns())
    assert len(read_table(path, Columns(item_id=("part",))).series) == 3
    assert read_table(path, Columns(target=("x",))).series[0].values.shape == (90, 1)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        *((name, True) for name in ("Store", "sensor_id", "itemId", "SKU", "station 2", "Kunde")),
        *((name, False) for name in ("restored", "value", "IsHoliday", "solid", "Temperature")),
    ],
)
def test_what_a_column_of_names_is_called(column: str, expected: bool) -> None:
    assert names_series(column) is expected


def test_a_layout_that_is_given_is_taken(write) -> None:
    path = put(write, panel(store=3))
    assert len(read_table(path, Columns(layout="long")).series) == 3
    with pytest.raises(UserError, match="occur more than once"):
        read_table(path, Columns(layout="wide"))
    one = write("date,x\n2024-01-01,1\n2024-01-02,2\n")
    with pytest.raises(UserError, match="--layout long, but no column makes times unique"):
        read_table(one, Columns(layout="long"))


def test_single_events_may_be_put_together_in_place_of_keys(write) -> None:
    frame = panel(store=8, dept=8).sample(frac=0.2, random_state=0)
    with pytest.raises(
        UserError, match=r"--item-id store,dept.*or put .* together with --aggregate"
    ):
        read_table(put(write, frame), Columns())
    table = read_table(put(write, frame), Columns(aggregate="sum", target=("x",)))
    assert table.series[0].values.sum() == frame.x.sum()


@pytest.mark.parametrize(
    ("head", "names", "asked"),
    [
        ("sensor", ["humidity", "temperature"], True),
        ("device_id", ["17", "4", "230"], True),
        ("Gauge", ["North Quay", "South Quay"], True),
        ("weekday", ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], False),
        ("sky", ["clear", "cloudy"], False),
        ("level", ["1", "2"], False),
        ("sensor", ["on", "on", "on", "off", "off", "off"], False),
        ("sensor", ["a", "b", "a"], False),
        ("sensor", ["a", "a", "b", "b"], False),
    ],
)
def test_series_that_report_in_turn_are_asked_for(write, head, names, asked: bool) -> None:
    times = pd.date_range("2024-05-01", periods=120, freq="min")
    frame = pd.DataFrame({"time": times, head: [names[i % len(names)] for i in range(120)]})
    frame["x"] = np.arange(120)
    path = put(write, frame)
    if not asked:
        assert len(read_table(path, Columns()).series) == 1
        return
    with pytest.raises(UserError, match=f"column '{head}' has .* values, in turn; if it names"):
        read_table(path, Columns())
    assert len(read_table(path, Columns(target="x")).series) == 1
    assert len(read_table(path, Columns(), wanted=("x",)).series) == 1
    count = len(set(names))
    if len(names) == count:
        series = read_table(path, Columns(item_id=head)).series
        assert sorted(each.values[1, 0] - each.values[0, 0] for each in series) == [count] * count


@pytest.mark.parametrize(
    ("column", "names"), [("item", ("a", "b", "c")), ("Filiale", ("a", "b")), ("store", (1, 2, 3))]
)
def test_a_name_that_is_missing_is_told_and_series_are_not_added(write, column, names) -> None:
    frame = panel(item=len(names)).rename(columns={"item": column})
    frame[column] = [names[number - 1] for number in frame[column]]
    frame = frame.astype({column: object})
    frame.loc[5, column] = None
    words = rf"line 7, column '{column}': the item has no name; fill it in or remove the row"
    with pytest.raises(UserError, match=words):
        read_table(put(write, frame), Columns())
    frame.loc[5, column] = names[0]
    assert len(read_table(put(write, frame), Columns()).series) == len(names)


def test_a_country_whose_code_is_na_is_a_series(write) -> None:
    frame = panel(country=3)
    frame["country"] = frame["country"].map({1: "BW", 2: "NA", 3: "ZA"})
    assert [s.item_id for s in read_table(put(write, frame), Columns()).series] == [
        "BW",
        "NA",
        "ZA",
    ]


def test_a_name_may_lack_beside_other_texts(write) -> None:
    """Store and weather tell the rows apart, too, but not by few names."""
    frame = panel(store=3)
    frame["weather"] = np.random.default_rng(1).choice(["sun", "rain", "fog"], len(frame))
    frame = frame.astype({"store": object})
    frame["store"] = frame["store"].map({1: "a", 2: "b", 3: "c"})
    frame.loc[5, "store"] = None
    with pytest.raises(UserError, match="line 7, column 'store': the item has no name"):
        read_table(put(write, frame), Columns())


TWICE = panel(item=2).drop(columns="item").sort_values("date", kind="stable")


@pytest.mark.parametrize(
    ("marks", "given"),
    [
        (["", "revised"] * 30, {}),  # as many rows without
        (["none", "sale"] * 30, {}),
        (["NA", "b"] + ["a", "b"] * 29, {}),
        (["", "b", "", "b", "", "b", "", "b"] + ["a", "b"] * 26, {}),  # more than one in twenty
        (["", "b"] + ["a", "b"] * 29, {"aggregate": "last"}),
        (["", "b"] + ["a", "b"] * 29, {"on_duplicate": "last"}),
    ],
)
def test_marks_name_no_series(write, marks: list[str], given: dict[str, str]) -> None:
    """Of a time in two rows: the rows of a time are put together, or the times repeat."""
    path = put(write, TWICE.assign(mark=marks))
    if given:
        assert len(read_table(path, Columns(**given)).series) == 1
        return
    with pytest.raises(UserError, match=r"time\(s\) occur more than once"):
        read_table(path, Columns())


def test_a_remark_beside_one_time_that_repeats_names_no_series(write) -> None:
    frame = panel(item=1).drop(columns="item").assign(remark="ok")
    again = frame.iloc[[6]].assign(remark="")
    path = put(write, pd.concat([frame, again]).sort_values("date", kind="stable"))
    with pytest.raises(UserError, match=r"1 time\(s\) occur more than once"):
        read_table(path, Columns())


def test_numbers_with_a_blank_are_names_only_if_they_are_called_so(write) -> None:
    frame = panel(depth=3).astype({"depth": object})
    frame.loc[5, "depth"] = None
    with pytest.raises(UserError, match=r"time\(s\) occur more than once"):
        read_table(put(write, frame), Columns())


def test_of_events_few_names_that_lack_are_no_reason_to_refuse(write) -> None:
    """A user has no row a day: the sum of a day is offered as ever."""
    generator = np.random.default_rng(0)
    users = [f"u{number}" for number in generator.integers(0, 40, 90)]
    frame = pd.DataFrame({"date": np.repeat(DAYS, 3), "user": users, "y": generator.random(90)})
    frame.loc[5, "user"] = ""
    with pytest.raises(UserError, match="--aggregate sum"):
        read_table(put(write, frame), Columns())
