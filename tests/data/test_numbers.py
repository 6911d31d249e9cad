"""How numbers are written: what is read, what is refused with both readings, what is missing."""

import re

import numpy as np
import pandas as pd
import pytest
from conftest import SHARED

from forecaster.config.schema import Columns
from forecaster.data.cells import Text
from forecaster.data.missing import Suspect, suspected_codes, suspicion
from forecaster.data.numbers import is_text, numbers
from forecaster.data.reading import RawTable, read_frame
from forecaster.data.tables import read_table
from forecaster.errors import UserError

CASES = SHARED.parent / "cases" / "intake"


def table(delimiter: str = "", **columns: list[str]) -> RawTable:
    count = len(next(iter(columns.values())))
    cells = {name: Text.of(values) for name, values in columns.items()}
    return RawTable("t", cells, range(2, count + 2), "line", "", (), delimiter=delimiter)


def read(*cells: str, **options: object) -> list[float]:
    return numbers(table(x=[*cells]), ["x"], Columns(**options)).values[:, 0].tolist()


READ = [
    (["997", "1,000", "1,003"], [997, 1000, 1003]),
    (["997", "1.000", "1.003"], [997, 1000, 1003]),
    (["-997", "-1,000"], [-997, -1000]),
    (["1,234,567", "12"], [1234567, 12]),
    (["1.234.567", "12,5"], [1234567, 12.5]),
    (["1,234.5", "1,234"], [1234.5, 1234]),
    (["1.234,5", "1.234"], [1234.5, 1234]),
    (["12,34,567", "5"], [1234567, 5]),
    (["0.125", "1.000"], [0.125, 1]),
    (["0,125", "1,000"], [0.125, 1]),
    (["1234.567", "1.000"], [1234.567, 1]),
    (["1234,567", "1,000"], [1234.567, 1]),
    ([".125", "1.000"], [0.125, 1]),
    (["05.5", "-08.123", "012.5"], [5.5, -8.123, 12.5]),
    (["0012", "000"], [12, 0]),
    (["5.", "1.000"], [5, 1]),
    (["1.25", "1.000"], [1.25, 1]),
    (["1.2345", "1.000"], [1.2345, 1]),
    (["1.234e0", "1.000"], [1.234, 1]),
    (["1e3", "1E-2", "+2"], [1000, 0.01, 2]),
    (["1,5e3", "2,25"], [1500, 2.25]),
    (["1 234,567", "12"], [1234.567, 12]),
    (["1\u00a0234,5", "1\u202f000\u2009000"], [1234.5, 1e6]),
    (["1'234.5", "1’000’000"], [1234.5, 1e6]),
    (["$1,234.50", "-$3.00", "$-4.25", "($2.5)"], [1234.5, -3, -4.25, -2.5]),
    (["1.234,50 €", "-3,00 €"], [1234.5, -3]),
    (["EUR 5", "EUR 6.5"], [5, 6.5]),
    (["12 %", "1.5%"], [12, 1.5]),
    (["(1,234)", "(17)", "17.5"], [-1234, -17, 17.5]),
    (["5 kW", "6,5 kW"], [5, 6.5]),
    (["$ (719)", "$ 2,336", "$(1.5)", "$ -", "-"], [-719, 2336, -1.5, 0, np.nan]),
    (["(5.2)%", "5.2%"], [-5.2, 5.2]),
    (["- 7,50 €", "- €", "—€", "8,50 €"], [-7.5, 0, 0, 8.5]),
    (["EUR -", "EUR -"], [0, 0]),
    (["998,22-", "1.155,41", "17−"], [-998.22, 1155.41, -17]),
    (["5 kWh/m2", "60 kWh/m2"], [5, 60]),
    (["−5", "–6.5"], [-5, -6.5]),
    (["nA", "5", "?", "\\N", "..", "<NA>"], [np.nan, 5, np.nan, np.nan, np.nan, np.nan]),
]


@pytest.mark.parametrize(("cells", "values"), READ)
def test_what_a_column_proves(cells: list[str], values: list[float]) -> None:
    np.testing.assert_array_equal(read(*cells), values)


OPEN = [
    ("12.345", ["12.345", "13.120"], 12345, 12.345),
    ("12,345", ["12,345", "130,120"], 12345, 12.345),
    ("1,234", ["997", "1,234"], 1234, 1.234),
    ("-1.234", ["5", "-1.234"], -1234, -1.234),
    ("$1,234", ["$1,234", "$5"], 1234, 1.234),
]


@pytest.mark.parametrize(("shown", "cells", "whole", "fraction"), OPEN)
def test_what_no_value_tells_is_refused_with_both_readings_and_their_options(
    shown: str, cells: list[str], whole: float, fraction: float
) -> None:
    with pytest.raises(UserError) as caught:
        read(*cells)
    said = str(caught.value)
    assert f"'{shown}' can be read as {whole:g} (thousands" in said
    assert f"and as {fraction:g} (decimal" in said
    found = re.search(r"give (--thousands .) or (--decimal .)$", said)
    assert found is not None
    for option, value in zip(found.groups(), (whole, fraction), strict=True):
        name, mark = option.removeprefix("--").split()
        assert value in read(*cells, **{name: mark})


REFUSED = [
    (["1.5", "1,5"], "'1.5' and '1,5' (lines 2 and 3) differ in their decimal mark"),
    (["1.5", "1.234.567"], "'1.5' and '1.234.567' (lines 2 and 3) differ"),
    (["1.234.567", "1,234,567"], "(lines 2 and 3) differ"),
    (["5 kW", "300 W"], "'5 kW' and '300 W' (lines 2 and 3) are in different units"),
    (["$20.08", "-999"], "stand for missing values, give --missing -999;"),
    (["-999", "5 m", "99.9"], "stand for missing values, give --missing -999,99.9;"),
    (["5 m", "-999", "7"], "different units; write all in one"),
    (["5 m", "7 km"], "different units; write all in one"),
    (["4,910.26 CR", "107.24 DR"], "are credits and debits; write numbers in their place"),
    (["5", "107.24 Dr"], "are credits and debits"),
    (["5 S", "7 H"], "are credits and debits"),
    (["5 s", "7 h"], "different units; write all in one"),
    (["5", "7 Cr"], "different units; write all in one"),
    (["12 %", "0.1"], "'12 %' and '0.1' (lines 2 and 3) are in different units"),
    (["5", "5.-"], "'5.-' is not a number"),
    (["5", "-7-"], "'-7-' is not a number"),
    (["5", "(7-)"], "'(7-)' is not a number"),
    (["5", "((7)"], "'((7)' is not a number"),
    (["5", "(7))"], "'(7))' is not a number"),
    (["$5", "$ (7"], "'$ (7' is not a number"),
    (["$5", "$ -(7)"], "'$ -(7)' is not a number"),
    (["5", "5-kW"], "'5-kW' is not a number"),
    (["5 kW", "- kW"], "'- kW' is not a number"),
    (["5", "x7"], "line 3, column 'x': 'x7' is not a number"),
    (["5", "+-7"], "line 3, column 'x': '+-7' is not a number"),
    (["5", "(7"], "line 3, column 'x': '(7' is not a number"),
    (["5", "(-7)"], "line 3, column 'x': '(-7)' is not a number"),
    (["1.234,5", "1.2345"], "differ in their decimal mark"),
    (["1,234.5", "12,34"], "differ in their decimal mark"),
    (["1 234", "1 23"], "line 3, column 'x': '1 23' is not a number"),
    (["1,5", "-inf"], "line 3, column 'x': an infinite value"),
]


@pytest.mark.parametrize(("cells", "message"), REFUSED)
def test_what_no_style_can_write_is_refused(cells: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        read(*cells)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("cells", "named"),
    [
        (["+0012,1", "+0110,1"], "'+0012,1'"),
        (["-0110,1", "1,5"], "'-0110,1'"),
        (["12,5", "00,5"], "line 3, column 'x': '00,5'"),
        (["5", "000,1,N,0031,1"], "'000,1,N,0031,1'"),
    ],
)
def test_codes_of_several_parts_are_refused_where_commas_part_cells(
    cells: list[str], named: str
) -> None:
    said = re.escape(f"{named} seems to be a code of several parts; write each part")
    with pytest.raises(UserError, match=said):
        numbers(table(",", x=cells), ["x"], Columns())


def test_zeros_before_a_number_are_read_where_no_comma_parts_cells() -> None:
    for mark in ".,":
        cells = [f"+0012{mark}1", f"00{mark}5", f"0101{mark}26"]
        read_so = numbers(table(";", x=cells), ["x"], Columns())
        assert read_so.values[:, 0].tolist() == [12.1, 0.5, 101.26]
    points = numbers(table(",", x=["05.20", "00.00"]), ["x"], Columns())
    assert points.values[:, 0].tolist() == [5.2, 0]
    commas = numbers(table(",", x=["+0012,1", "00,5"]), ["x"], Columns(decimal=","))
    assert commas.values[:, 0].tolist() == [12.1, 0.5]


def test_beside_codes_of_several_parts_a_delimiter_is_no_decimal_mark(write) -> None:
    rows = [f'2024-01-{day:02d},"+00{day},1","101{day},1"' for day in range(10, 30)]
    path = write("\n".join(["day,tmp,slp", *rows]) + "\n")
    with pytest.raises(
        UserError, match="'10110,1' seems to be a code of several parts; write each"
    ):
        read_table(path, Columns(target="slp"))
    assert read_table(path, Columns(target="slp", decimal=",")).series[0].values[0, 0] == 10110.1


def test_options_decide_and_hold_for_every_cell() -> None:
    assert read("1,234", "5", decimal=",") == [1.234, 5]
    assert read("1.234", "5", decimal=",") == [1234, 5]
    assert read("1.234", "5", thousands=".") == [1234, 5]
    assert read("1 234", "1,234", thousands="space", decimal=",") == [1234, 1.234]
    with pytest.raises(UserError, match=r"'1\.5' is not a number with a decimal comma"):
        read("1.5", decimal=",")
    with pytest.raises(UserError, match="'1,23' is not a number with a thousands comma"):
        read("1,23", thousands=",")
    with pytest.raises(UserError, match="one mark cannot be both"):
        read("1", decimal=",", thousands=",")


def test_other_columns_tell_what_a_column_leaves_open() -> None:
    for mark, value in ((".", 1.25), (",", 1250)):
        raw = table(x=["1.250", "2.125"], y=[f"1{mark}5", "2"], z=["north", "1 May"])
        found = numbers(raw, ["x"], Columns())
        assert found.values[0, 0] == value
    raw = table(x=["999", "1.000"], y=["1.5", "2.5"])
    with pytest.raises(UserError, match=r"'1\.000' can be read as 1000 .* and as 1 "):
        numbers(raw, ["x"], Columns())


def test_many_columns_and_one_that_differs() -> None:
    cells = {f"c{k}": ["1.5", "2.25"] for k in range(30)} | {"odd": ["1.234,5", "5"]}
    found = numbers(table(**cells), [*cells], Columns())
    np.testing.assert_array_equal(found.values, [[1.5] * 30 + [1234.5], [2.25] * 30 + [5]])
    assert found.styles["c7"].decimal == "."
    assert found.decisions == (
        "column 'odd': '1.234,5' is 1234.5, with a thousands point and a decimal comma",
    )


def test_numbers_in_the_way_of_a_program_are_told() -> None:
    raw = table(
        a=["$ -", "$5", "$ -"], b=["5-", "7", "1"], c=["$5", "$ -", "$7"], d=["1", "2", "3"]
    )
    assert numbers(raw, ["a", "b", "c", "d"], Columns()).decisions[-2:] == (
        "'$ -' read as 0, as Excel writes it: 3 time(s) in column 'a', 'c'",
        "'5-' read as -5, as SAP writes it: 1 time(s) in column 'b'",
    )


@pytest.mark.parametrize("mark", [".", ","])
def test_three_digits_behind_a_mark_beside_whole_numbers_are_in_doubt(mark: str) -> None:
    def beside(*cells: str, **options: str) -> list[float]:
        raw = table(x=[cell.replace(".", mark) for cell in cells], y=[f"1{mark}5"] * len(cells))
        return numbers(raw, ["x"], Columns(**options)).values[:, 0].tolist()

    doubtful = ["987", "1.234", "12.456", "98"]
    with pytest.raises(UserError) as caught:
        beside(*doubtful)
    said = str(caught.value)
    assert f"line 3, column 'x': '1{mark}234' can be read as 1234 (thousands" in said
    assert "beside whole numbers such as '987' (line 2)" in said
    assert said.endswith(
        f"write the column without marks; if these are decimals, give --decimal {mark}"
    )
    assert beside(*doubtful, decimal=mark) == [987, 1.234, 12.456, 98]
    for cells in (
        [*doubtful, "1.5"],  # other numbers of decimals
        [*doubtful, "0.125"],
        ["97", "1.234", "12.456", "98"],  # no whole number of three digits
        ["987", "1.234", "12.456"],  # one
        ["987", "1.234", "98"],  # one mark
        ["-999", "1.234", "12.456", "999"],  # codes for missing values
        [*doubtful, "1234"],  # thousands without a mark
    ):
        assert beside(*cells) == [float(cell) for cell in cells]


def test_codes_that_a_user_names_are_missing_and_counted() -> None:
    raw = table(a=["-200", "1.5", "-200.0"], b=["5", "cLosed", "-999"])
    found = numbers(raw, ["a", "b"], Columns(missing="-200,-999,Closed"))
    np.testing.assert_array_equal(found.values, [[np.nan, 5], [1.5, np.nan], [np.nan, np.nan]])
    assert found.decisions == (
        "-200 taken as missing: 2 time(s) in column 'a'",
        "-999 taken as missing: 1 time(s) in column 'b'",
        "cLosed taken as missing: 1 time(s) in column 'b'",
    )
    frame = pd.DataFrame({"a": [1.5, -200.0]})
    found = numbers(read_frame(frame, "f"), ["a"], Columns(missing=[-200]))
    np.testing.assert_array_equal(found.values, [[1.5], [np.nan]])


SUSPECTS = [
    ([2.5, -200, 2.5, -200, 2.5], [Suspect(-200, 2)]),
    ([1, 2, 3, -999, -999, 9999, 9999, 9999], [Suspect(-999, 2), Suspect(9999, 3)]),
    ([1, 2, 3, 99.9, 99.9], [Suspect(99.9, 2)]),
    ([1, 2, 3, -4000, -4000], [Suspect(-4000, 2)]),
    ([1, 2, 3, -15, -15], []),  # not far
    ([1, 2, 3, -999], []),  # once
    ([0, 0, 0, 5, 5], []),  # a flag
    ([95, 96, 97, 99, 99, 98], []),
    ([-999, -999, -999], []),
    ([np.nan, np.nan], []),
]


@pytest.mark.parametrize(("values", "suspects"), SUSPECTS)
def test_codes_are_suspected_where_they_repeat_far_off_all_others(values, suspects) -> None:
    assert suspected_codes(np.array(values, dtype=float)) == suspects


def test_a_suspicion_names_the_option() -> None:
    said = suspicion("CO", [Suspect(-200, 17), Suspect(999, 2)])
    assert "-200 (17 times), 999 (2 times)" in said
    assert said.endswith("give --missing -200,999")
    assert suspicion("CO", [Suspect(999, 2)], ("-1", "x")).endswith("give --missing -1,x,999")


UNITS = [
    *("m2", " m3/h", " W/m2", " kWh/m2", "cm-1", " m^2", " W/m2/d", " m3*d", " l/100km", "°C"),
    *(" gCO2/kWh", " kgCO2e", " mmH2O", " PM10", " PM2.5", " cases/100000", " %", " µg/m3"),
    *("kWh/15min", "m3s-1", "USD2015", "x1000", " per100k", " C2H4", "A0503", "A1B"),
]
NO_UNITS = ["A000011124", "S10503", "A1B00001", "=100"]


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        (["a", "b", ""], True),
        (["SKU001", "SKU002"], True),
        (["shop 1", "shop 2"], True),
        (["1 north", "2 south"], True),
        (["01.02.2024", "02.02.2024"], True),
        (["5 kW", "6 kW"], False),
        *((["5" + unit, "6.5" + unit], False) for unit in UNITS),
        *((["5" + no_unit, "5" + no_unit], True) for no_unit in NO_UNITS),
        (["a"] * 30 + ["1.234,5"], False),
        (["", "NA", "?"], False),
        (["7", "8"], False),
    ],
)
def test_text_is_what_has_no_number(cells: list[str], text: bool) -> None:
    assert is_text(Text.of(cells)) == text


def test_further_rows_are_written_like_the_file(write) -> None:
    rows = "".join(f"2024-01-{day:02d};{900 + 50 * day};{day},5;{day} kW\n" for day in (1, 2, 3))
    path = write("t;a;b;c\n" + rows + "2024-01-04;1.100;4,5;4 kW\n")
    table = read_table(path, Columns())
    assert table.rows is not None
    row = table.rows.parse("2024-01-05;1.234;2,125;NA", 6, "input")
    assert row is not None
    np.testing.assert_array_equal(row.values, [1234, 2.125, np.nan])
    for line, message in (
        ("2024-01-05;1.5;1;1 kW", "line 6, column 'a': '1.5' is not a number with a thousands"),
        ("2024-01-05;1;1.5;1 kW", "line 6, column 'b': '1.5' is not a number with a decimal"),
        ("2024-01-05;1;1;1 W", "line 6, column 'c': '1 W' is not in 'kW'"),
    ):
        with pytest.raises(UserError, match=re.escape(message)):
            table.rows.parse(line, 6, "input")


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not beside the project")
@pytest.mark.parametrize("name", ["thousands_semicolon", "thousands_point"])
def test_a_thousand_after_997(name: str) -> None:
    values = read_table(CASES / f"{name}.csv", Columns()).series[0].values[:, 0]
    np.testing.assert_array_equal(values, 940 + 3 * np.arange(40))


@pytest.mark.parametrize("marks", [(",", "."), (".", ","), (",", " "), (".", "'")])
def test_columns_alike_are_read_as_each_by_itself(marks: tuple[str, str]) -> None:
    """Whatever column stands before it, a column has the same values, style and decision."""
    decimal, thousands = marks
    texts = {
        "grouped": ["1,234,567.25", "12.5", "NA", "0.125", "999"],
        "again": ["9,876.5", "", "1,234.75", "-3.5", "7"],
        "small": ["1.5", "2.25", "3", "-", "0.5"],
        "open": ["1,234", "997", "5", "12", "1,000"],
        "one mark": ["1.234", "2.345", "3.456", "4.567", "5.678"],
        "three digits": ["0.5", "1.234", "2.345", "12.25", "3.456"],
        "small again": ["0.25", "12.5", "7", "", "-3.75"],
        "whole": ["1", "2", "3", "4", "5"],
        "unit": ["1,234.5 kW", "2 kW", "3.25 kW", "4 kW", "5 kW"],
    }
    change = str.maketrans({",": thousands, ".": decimal})
    frame = pd.DataFrame({k: [c.translate(change) for c in v] for k, v in texts.items()})
    raw = read_frame(frame, "t")
    both = numbers(raw, list(texts), Columns())
    for k, name in enumerate(texts):
        turned = numbers(raw, [name, *(n for n in texts if n != name)], Columns())
        np.testing.assert_array_equal(turned.values[:, 0], both.values[:, k])
        assert turned.styles[name] == both.styles[name]
