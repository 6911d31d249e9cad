"""Eurostat's tables: the numbers without their flags, which are counted and said."""

import numpy as np
import pytest

from forecaster.config.schema import Columns
from forecaster.data.tables import read_table
from forecaster.errors import UserError

ACROSS = Columns(layout="dates-across")
TIMES = {
    "YS-JAN": ["2019", "2020", "2021", "2022"],
    "QS-JAN": ["2021-Q3", "2021-Q4", "2022-Q1", "2022-Q2"],
    "MS": ["2021-11", "2021-12", "2022-01", "2022-02"],
}
CORNERS = [
    "freq,unit,geo\\TIME_PERIOD",
    "geo\\TIME_PERIOD",
    "unit,na_item,geo\\time",
    "nace_r2\\TIME_PERIOD",
]
ROWS = {"AT": [": c", "12.3 b", "-1.5 p", "1.75 bp"], "BE": ["0 n", ":z", ": ", "7 p"]}


def tsv(head: list[str], rows: dict[str, list[str]] = ROWS) -> str:
    lines = [head, *([name, *cells] for name, cells in rows.items())]
    return "\n".join(" \t".join(cells) for cells in lines) + "\n"


@pytest.mark.parametrize("interval", TIMES)
@pytest.mark.parametrize("corner", CORNERS)
def test_flags_are_no_units(write, corner: str, interval: str) -> None:
    path = write(tsv([corner, *TIMES[interval]]))
    with pytest.raises(UserError, match="a row is a series; give --layout dates-across"):
        read_table(path, Columns())
    table = read_table(path, ACROSS)
    assert table.interval.alias == interval
    assert [series.item_id for series in table.series] == ["AT", "BE"]
    np.testing.assert_array_equal(table.series[0].values[:, 0], [12.3, -1.5, 1.75])
    np.testing.assert_array_equal(table.series[1].values[:, 0], [0, np.nan, np.nan, 7])
    assert table.report.decisions[:2] == [
        "5 value(s) with flags (p 2, b 1, bp 1, n 1): read as numbers",
        "2 missing value(s) with flags (c 1, z 1)",
    ]


@pytest.mark.parametrize("flag", [*"bcdefnprsuz", "de", "bdep"])
def test_each_flag_is_known(write, flag: str) -> None:
    cells = {"AT": ["1.5", f"1.6 {flag}", "1.7", "1.8"], "BE": ["1", "2", f": {flag}", "4"]}
    table = read_table(write(tsv(["geo\\TIME_PERIOD", *TIMES["MS"]], cells)), ACROSS)
    assert table.series[0].values[:, 0].tolist() == [1.5, 1.6, 1.7, 1.8]
    np.testing.assert_array_equal(table.series[1].values[:, 0], [1, 2, np.nan, 4])


def test_a_table_without_flags_is_said_to_have_none(write) -> None:
    cells = {"AT": ["1.5", "1.6", "1.7", "1.8"], "BE": ["1", "2", ":", "4"]}
    table = read_table(write(tsv(["geo\\TIME_PERIOD", *TIMES["MS"]], cells)), ACROSS)
    assert not any("flags" in decision for decision in table.report.decisions)


@pytest.mark.parametrize("cell", ["1.6 x", "1.6p", "1.6 P", "1,6 p", "1.6 p e", "p"])
def test_other_texts_stay_refused(write, cell: str) -> None:
    cells = {"AT": ["1.5", cell, "1.7", "1.8"], "BE": ["1", "2", "3", "4"]}
    with pytest.raises(UserError, match=r"column '2021-12'|no columns stand so"):
        read_table(write(tsv(["geo\\TIME_PERIOD", *TIMES["MS"]], cells)), ACROSS)


@pytest.mark.parametrize("corner", ["geo", "key", "TIME_PERIOD", "geo/TIME_PERIOD", "\\TIME"])
def test_only_eurostat_s_tables_have_flags(write, corner: str) -> None:
    cells = {"AT": ["1.5", "1.6", "1.7 p", "1.8"], "BE": ["1", "2", "3", "4"]}
    path = write(tsv([corner, *TIMES["QS-JAN"]], cells))
    with pytest.raises(UserError, match="are in different units; write all in one"):
        read_table(path, ACROSS)


def test_an_ordinary_file_has_units(write) -> None:
    path = write("date,x\n2024-01-01,1.7 p\n2024-01-02,1.8\n2024-01-03,1.9\n")
    with pytest.raises(UserError, match="are in different units; write all in one"):
        read_table(path, Columns())


@pytest.mark.parametrize("interval", TIMES)
@pytest.mark.parametrize("cell", ["1.6 p", ": c", "closed", "1.6 x", "$5", "x" * 41])
def test_columns_named_as_times_without_plain_numbers_are_told(
    write, interval: str, cell: str
) -> None:
    """With what reads them, or says which cell is no number."""
    cells, names = {"AT": ["1.5", ":", "1.7", "1.8"], "BE": ["1", cell, "3", "4"]}, TIMES[interval]
    path = write(tsv(["geo", *names], cells))
    shown = cell if len(cell) < 41 else "x" * 40 + "…"
    also = ", or, for Eurostat's flags, name the first one as there, 'geo\\TIME_PERIOD'"
    with pytest.raises(UserError) as refused:
        read_table(path, Columns())
    assert str(refused.value) == (
        f"{path}: no column holds times; the names of 4 columns are times, '{names[0]}' to "
        f"'{names[-1]}', but '{names[1]}' holds no plain numbers ('{shown}'); if a row is a series, "
        f"give --layout dates-across{also if cell in {'1.6 p', ': c'} else ''}"
    )
    with pytest.raises(UserError, match=r"is not a number; correct|; write all in one unit$"):
        read_table(path, ACROSS)
    if cell in {"1.6 p", ": c"}:
        table = read_table(write(tsv(["geo\\TIME_PERIOD", *names], cells)), ACROSS)
    else:
        table = read_table(path, Columns(layout="dates-across", missing=(cell,)))
    assert table.series[0].values[:, 0][[0, 2, 3]].tolist() == [1.5, 1.7, 1.8]
    assert table.series[1].values[:, 0][[0, 2, 3]].tolist() == [1, 3, 4]


def test_columns_of_one_value_are_in_one_unit(write) -> None:
    cells = {"AT": ["$1", "$2", "$3", "$4"], "BE": ["$5", "$6", "$7", ""]}
    table = read_table(write(tsv(["geo", *TIMES["MS"]], cells)), ACROSS)
    assert table.series[1].values[:, 0].tolist() == [5, 6, 7]
    cells |= {"AT": ["$1", "2", "$3", "$4"], "BE": ["$5", "6", "$7", ""]}
    path = write(tsv(["geo", *TIMES["MS"]], cells))
    with pytest.raises(UserError) as refused:
        read_table(path, ACROSS)
    assert str(refused.value) == (
        f"{path}: column '2021-11' is written with '$', column '2021-12' without a unit; write all "
        "in one unit"
    )
    cells |= {"AT": ["$1", "", "$3", "$4"], "BE": ["$5", "", "$7", ""]}
    table = read_table(write(tsv(["geo", *TIMES["MS"]], cells)), ACROSS)
    assert table.series[0].values[:, 0][[0, 2, 3]].tolist() == [1, 3, 4]


@pytest.mark.parametrize("first", ["late", "1"])
def test_a_file_with_a_time_beside_such_columns_is_read(write, first: str) -> None:
    rows = [f"2024010{day},{first},{day},1,2" for day in range(1, 10)]
    path = write("\n".join(["k,2019,2020,2021,2022", *rows]) + "\n")
    remedy = "--timestamp k" if first == "late" else "--layout dates-across"
    with pytest.raises(UserError, match=rf"give {remedy}$"):
        read_table(path, Columns())
    table = read_table(path, Columns(timestamp="k"))
    assert table.names == ("2019", "2020", "2021", "2022")[first == "late" :]
