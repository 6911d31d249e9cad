"""Sheets of workbooks are read as files of text are, with their rows named."""

import datetime
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from workbook_files import Cell, letters, ods, xlsx, xlsx_sheet

from forecaster.config.schema import Columns
from forecaster.data.tables import Table, read_table
from forecaster.errors import UserError

DAYS = [datetime.date(2024, 1, 1) + datetime.timedelta(i) for i in range(40)]
VALUES = [i % 7 + 0.125 for i in range(40)]
PLAIN: list[list[Cell]] = [["date", "a"], *([d, v] for d, v in zip(DAYS, VALUES, strict=True))]
KINDS = {"t.xlsx": xlsx, "t.ods": ods}


def read(tmp_path: Path, content: bytes, name: str = "t.xlsx", **columns: object) -> Table:
    (tmp_path / name).write_bytes(content)
    return read_table(tmp_path / name, Columns.model_validate(columns))


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_sheet_is_read(tmp_path: Path, kind: str) -> None:
    table = read(tmp_path, KINDS[kind]({"Data": PLAIN, "Empty": []}), kind)
    assert table.path == f"{tmp_path / kind}::Data"
    assert (table.interval.alias, table.series[0].first) == ("D", pd.Timestamp(DAYS[0]))
    assert table.series[0].values[:, 0].tolist() == VALUES


def test_a_workbook_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    for name, content in (("x", xlsx({"D": PLAIN})), ("y.zip", ods({"D": PLAIN}))):
        assert read(tmp_path, content, name).series[0].values[:, 0].tolist() == VALUES


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_stands_around_the_table_is_skipped(tmp_path: Path, kind: str) -> None:
    rows: list[list[Cell]] = [
        ["Sales of the north"],
        [],
        ["date", "a", "b"],
        [None, "kWh", "°C"],
        *([day, value, 5.0] for day, value in zip(DAYS, VALUES, strict=True)),
        ["Total", sum(VALUES), 200.0],
    ]
    table = read(tmp_path, KINDS[kind]({"Data": rows}), kind)
    assert table.names == ("a", "b")
    assert table.series[0].values[:, 0].tolist() == VALUES
    assert table.report.decisions == [
        "row 1 skipped, above the names of the columns: 'Sales of the north'",
        "row 4 skipped, above the rows of data: 'kWh, °C'",
        "row 45 skipped, below the table: 'Total, 120, 200'",
    ]


@pytest.mark.parametrize("kind", list(KINDS))
def test_years_among_months_are_skipped(tmp_path: Path, kind: str) -> None:
    months = pd.date_range("2021-01", periods=40, freq="MS").strftime("%Y %b")
    rows: list[list[Cell]] = [
        ["Title", "Prices"],
        ["Unit", "Index"],
        ["Next release", datetime.date(2024, 6, 1)],
        *([year, 5.5] for year in (2021, 2022, 2023)),
        *([month, value] for month, value in zip(months, VALUES, strict=True)),
    ]
    table = read(tmp_path, KINDS[kind]({"Data": rows}), kind)
    assert table.names == ("Prices",)
    assert (table.interval.alias, table.series[0].first) == ("MS", pd.Timestamp("2021-01-01"))
    assert table.series[0].values[:, 0].tolist() == VALUES
    assert table.report.decisions == [
        "rows 2 to 3 skipped, above the rows of data: 'Unit, Index'",
        "rows 4, 5, 6 skipped: years, beside shorter periods",
    ]


@pytest.mark.parametrize("kind", list(KINDS))
def test_totals_between_the_rows_are_skipped(tmp_path: Path, kind: str) -> None:
    rows = [PLAIN[0], ["Total", 120.0], *PLAIN[1:8], ["Subtotal", 20.0], *PLAIN[8:]]
    table = read(tmp_path, KINDS[kind]({"Data": rows}), kind)
    assert table.series[0].values[:, 0].tolist() == VALUES
    assert table.report.decisions == [
        "row 2 skipped: 'Total, 120'",
        "row 10 skipped: 'Subtotal, 20'",
    ]


def test_times_of_day_are_joined_to_dates(tmp_path: Path) -> None:
    start = datetime.datetime(2024, 1, 1)
    hours = [start + datetime.timedelta(hours=i) for i in range(72)]
    rows: list[list[Cell]] = [["Date", "Time", "v"]]
    rows += [[hour.date(), hour.time(), i % 24 * 1.5] for i, hour in enumerate(hours)]
    for kind, write in KINDS.items():
        table = read(tmp_path, write({"D": rows}), kind)
        assert (table.interval.alias, len(table.series[0].values)) == ("h", 72)


def test_codes_for_missing_stand_beside_numbers(tmp_path: Path) -> None:
    rows = [list(row) for row in PLAIN]
    rows[4][1], rows[5][1] = "n/a", None
    values = read(tmp_path, xlsx({"D": rows}), decimal=",").series[0].values[:, 0]
    assert np.isnan(values[3:5]).all()
    assert [*values[:3], *values[5:]] == [*VALUES[:3], *VALUES[5:]]


@pytest.mark.parametrize("text", ["0,5", "1.234,5", "1,5"])
def test_a_text_with_a_decimal_comma_is_refused_beside_numbers(tmp_path: Path, text: str) -> None:
    rows = [list(row) for row in PLAIN]
    rows[3][1] = text
    with pytest.raises(UserError, match=rf"'{text}' \(rows 2 and 4\) differ in their decimal mark"):
        read(tmp_path, xlsx({"D": rows}))


@pytest.mark.parametrize("text", ["1,234", "-12.345"])
def test_a_text_whose_mark_is_open_is_refused_beside_numbers(tmp_path: Path, text: str) -> None:
    rows = [list(row) for row in PLAIN]
    rows[3][1] = text
    with pytest.raises(UserError, match=rf"column 'a', row 4: '{text}' is a text, which could be"):
        read(tmp_path, xlsx({"D": rows}))


def test_a_fault_is_named_with_its_row(tmp_path: Path) -> None:
    rows = [["About"], [], *(list(row) for row in PLAIN)]
    rows[9][1] = "x"
    with pytest.raises(UserError, match=r"t.xlsx::D, row 10, column 'a': 'x' is not a number"):
        read(tmp_path, xlsx({"D": rows}))


def test_a_sheet_is_named_as_the_message_says(tmp_path: Path) -> None:
    sheets = {"About": [["Sales"]], "My data": PLAIN}
    with pytest.raises(
        UserError, match=r"2 sheets \('About', 'My data'\); name one: --csv '(.*)'$"
    ) as caught:
        read(tmp_path, xlsx(sheets))
    named = str(caught.value).split("--csv ")[1].strip("'")
    assert read_table(named, Columns()).series[0].values[:, 0].tolist() == VALUES
    with pytest.raises(UserError, match=r"no sheet 'x'; it has 'About', 'My data'$"):
        read_table(f"{tmp_path / 't.xlsx'}::x", Columns())


def test_numbers_that_name_items_keep_their_digits(tmp_path: Path) -> None:
    rows: list[list[Cell]] = [["date", "shop", "a"]]
    rows += [[day, shop, 1.5 * shop] for shop in (7001, 7002) for day in DAYS]
    table = read(tmp_path, xlsx({"D": rows}), item_id="shop")
    assert [series.item_id for series in table.series] == ["7001", "7002"]


def test_an_empty_workbook(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the workbook is empty"):
        read(tmp_path, xlsx({"D": []}))
    with pytest.raises(UserError, match="there is a header but no data"):
        read(tmp_path, xlsx({"D": [["date", "a"]]}))


def test_a_sheet_that_spans_too_many_cells_is_refused(tmp_path: Path) -> None:
    """A workbook of a kilobyte may span 17 billion cells."""
    corners = xlsx_sheet({1: '<c r="A1"><v>1</v></c>', 2**20: f'<c r="{letters(2**14)}1048576"/>'})
    with pytest.raises(UserError, match=r"unpacks to more than"):
        read(tmp_path, xlsx({}, {"D": corners}))
    cell = '<table:table-cell office:value-type="float" office:value="1" {}/>'
    row = "<table:table-row table:number-rows-repeated='1000000'>{}</table:table-row>"
    wide = cell.format('table:number-columns-repeated="16384"')
    raw = f'<table:table table:name="D">{row.format(wide)}</table:table>'
    with pytest.raises(UserError, match=r"unpacks to more than"):
        read(tmp_path, ods({}, raw), "t.ods")


def test_blank_cells_to_the_last_row_and_column_are_no_span(tmp_path: Path) -> None:
    """Spreadsheets write that the rest of a sheet is blank."""
    content = ods({"D": PLAIN})
    blank = (
        '<table:table table:name="E"><table:table-row table:number-rows-repeated="1048576">'
        '<table:table-cell table:number-columns-repeated="16384"/></table:table-row></table:table>'
    )
    assert len(read(tmp_path, content, "t.ods").series[0].values) == 40
    assert len(read(tmp_path, ods({"D": PLAIN}, blank), "t.ods").series[0].values) == 40


def test_damaged_workbooks_are_one_line(tmp_path: Path) -> None:
    for kind, write in KINDS.items():
        content = write({"D": PLAIN})
        for cut in (60, len(content) // 2, len(content) - 5):
            with pytest.raises(UserError, match=rf"{kind}: not a readable workbook"):
                read(tmp_path, content[:cut], kind)


def test_without_the_package_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(UserError, match=r"further package; install it with: pip install .*excel\]"):
        read(tmp_path, xlsx({"D": PLAIN}))
