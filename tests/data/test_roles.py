"""Which columns are the time, the series' names and the values."""

import numpy as np
import pandas as pd
import pytest

from forecaster.api.roles import Roles
from forecaster.commands.columns import COLUMNS
from forecaster.config.schema import Columns
from forecaster.data.tables import read_table
from forecaster.errors import UserError
from forecaster.serving.request import Params

DAYS = [f"2024-01-{day:02d}" for day in range(1, 9)]


def long(head: str, items: list[str]) -> str:
    rows = [f"{item},{day},{i}" for item in items for i, day in enumerate(DAYS)]
    return head + "\n" + "\n".join(rows) + "\n"


def test_every_way_in_has_every_option() -> None:
    names = set(Columns.model_fields)
    assert names == set(COLUMNS)
    assert names == set(Roles.__annotations__)
    assert names < set(Params.model_fields)


@pytest.mark.parametrize(
    "names", [["S1-2001", "S2-2001"], ["H1 2020", "H2 2020"], ["1801S1", "1801S2"]]
)
def test_beside_a_time_half_years_are_names(write, names: list[str]) -> None:
    table = read_table(write(long("lot,date,x", names)), Columns())
    assert [s.item_id for s in table.series] == names
    assert table.series[1].first == pd.Timestamp(DAYS[0])


def test_a_column_that_holds_one_time_is_no_rival_of_the_time(write) -> None:
    rows = [f"14/02/24 23:00:00,{day},{i}" for i, day in enumerate(DAYS)]  # in either order of days
    table = read_table(write("\n".join(["LAST UPDATE,TIME_PERIOD,x", *rows])), Columns())
    assert (table.names, table.series[0].first) == (("x",), pd.Timestamp(DAYS[0]))
    assert table.report.decisions[0] == (
        "column 'TIME_PERIOD' is the time; 'LAST UPDATE' follow from it: left out"
    )


@pytest.mark.parametrize("given", ["store,dept", ("store", "dept"), ("store", " dept")])
def test_two_columns_name_the_series(write, given) -> None:
    path = write(long("store,dept,date,sales", ["1,1", "1,2", "2,1"]))
    table = read_table(path, Columns(item_id=given))
    assert [s.item_id for s in table.series] == ["1/1", "1/2", "2/1"]
    assert table.names == ("sales",)
    assert table.series[1].values[:, 0].tolist() == list(range(8))


def test_names_that_would_be_joined_alike_are_refused(write) -> None:
    path = write(long("a,b,date,x", ["p/q,r", "p,q/r"]))
    with pytest.raises(UserError, match="two series would both be called 'p/q/r'"):
        read_table(path, Columns(item_id=("a", "b")))


def test_a_name_with_a_comma_is_one_column(write) -> None:
    rows = "".join(f"{day};{i};{2 * i}\n" for i, day in enumerate(DAYS))
    path = write("Datum;Leistung, kW;b\n" + rows)
    table = read_table(path, Columns(target=("Leistung", "kW")))
    assert table.names == ("Leistung, kW",)
    with pytest.raises(UserError, match="no column 'kW'; the columns are 'Datum', 'Leistung, kW'"):
        read_table(path, Columns(target=("kW", "Leistung")))


def test_names_that_are_numbers_keep_every_digit(tmp_path) -> None:
    items = [7234567.0, 7234568.0, 12345678901234.0, 0.5]
    frame = pd.DataFrame(
        {
            "meter": np.repeat(items, len(DAYS)),
            "date": pd.to_datetime(DAYS * len(items)),
            "x": np.arange(len(items) * len(DAYS), dtype=float),
        }
    )
    frame.to_parquet(tmp_path / "data.parquet")
    table = read_table(tmp_path / "data.parquet", Columns(item_id=("meter",)))
    assert [s.item_id for s in table.series] == ["7234567", "7234568", "12345678901234", "0.5"]


NOTES = [f"note {chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(65)]
HINT = "; --known reads what is known ahead"


@pytest.mark.parametrize(
    ("texts", "hint"),
    [
        (["open", "closed"], HINT),
        (["open"], ""),  # nothing to learn from
        (["open", " open"], ""),
        (["open", ""], HINT),
        (["open", "NA"], HINT),
        (NOTES[:64], HINT),
        ([*NOTES[:64], ""], HINT),
        (NOTES, ""),
    ],
    ids=["two", "one", "one, padded", "a flag", "a flag, coded", "64", "64 and blanks", "65"],
)
def test_a_text_that_could_be_a_covariate_is_left_out_with_a_hint(write, texts, hint) -> None:
    """What the hint names reads the column, and beside it another one has none."""
    days = pd.date_range("2024-01-01", periods=130, freq="D")
    rows = [
        f"{day.date()},{i % 7},{texts[i % len(texts)]},{NOTES[i % 65]}\n"
        for i, day in enumerate(days)
    ]
    path = write("day,sales,weather,remark\n" + "".join(rows))
    said = [each for each in read_table(path, Columns()).report.decisions if "left out" in each]
    if hint:
        assert said == [f"column 'weather' left out: text{HINT}", "column 'remark' left out: text"]
        table = read_table(path, Columns(known=("weather",)))
        assert [each.name for each in table.covariates.known] == ["weather"]
        assert all("left out: text;" not in each for each in table.report.decisions)
    else:
        assert said == ["column 'weather', 'remark' left out: text"]


@pytest.mark.parametrize(
    ("texts", "is_text"),
    [
        (["2016A000011124"], True),
        (["2016A000011124", "2021S0503001"], True),
        (["2002=100"], True),
        (["2002=100", "2015=100"], False),
        (["5 kW", "300 W"], False),
        (["5h30", "12h45"], False),
    ],
)
def test_identifiers_and_one_text_are_no_numbers(write, texts: list[str], is_text: bool) -> None:
    rows = [f"{day},{texts[i % len(texts)]},{i}" for i, day in enumerate(DAYS)]
    path = write("\n".join(["day,what,x", *rows]) + "\n")
    if is_text:
        table = read_table(path, Columns())
        assert table.names == ("x",)
        assert any(
            each.startswith("column 'what' left out: text") for each in table.report.decisions
        )
    else:
        with pytest.raises(UserError, match=f"column 'what': '{texts[0]}' "):
            read_table(path, Columns())


def test_one_row_does_not_tell_that_a_column_is_text(write) -> None:
    with pytest.raises(UserError, match="column 'what': '2002=100' is not a number"):
        read_table(write(f"day,what,x\n{DAYS[0]},2002=100,5\n"), Columns())
