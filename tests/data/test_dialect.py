"""What stands around a table: found, skipped and said; what is a fault stays one."""

import pandas as pd
import pytest
from conftest import SHARED

from forecaster.config.schema import Columns
from forecaster.data.files.delimited import Delimited, read_delimited
from forecaster.data.tables import read_table
from forecaster.errors import UserError

CASES = SHARED.parent / "cases" / "intake"
ROWS = [f"2024-01-{day:02d};{day},5;{day}" for day in range(1, 8)]
DATA = "\n".join(ROWS) + "\n"


def read(text: str | bytes, encoding: str = "utf-8", header: bool = True) -> Delimited:
    return read_delimited(
        "f", text.encode(encoding) if isinstance(text, str) else text, header=header
    )


AROUND = [
    ("", "t;a;b", DATA, []),
    ("Report;;\nStation: 5 Berlin\n\n", "t;a;b", DATA, ["lines 1 to 2 skipped, above the names"]),
    (
        "Station;Berlin;x\n",
        "t;a;b",
        DATA,
        ["line 1 skipped, above the names of the columns: 'Stat"],
    ),
    ("Station;Berlin;\nHeight;34;m\n", "t;a;b", DATA, ["lines 1 to 2 skipped, above the names"]),
    ("sep=;\n", "t;a;b", DATA, ["delimiter semicolon, by the first line"]),
    ("# by x\n# 2024-01-01\n", "t;a;b", DATA, ["lines 1 to 2 skipped, above the names"]),
    ("", "# t;a;b", DATA, []),
    ("", "t;a;b", ";kW;°C\n" + DATA, ["line 2 skipped, above the rows of data: 'kW, °C'"]),
    (
        "",
        "t;a;b",
        "[-];[kW];[m/s]\n" + DATA,
        ["line 2 skipped, above the rows of data: '[-], [kW]"],
    ),
    ("", "t;a;b", "Ticker;X;X\nDate;;\n" + DATA, ["lines 2 to 3 skipped, above the rows of data"]),
    ("", "t;a;b", DATA + "# end\n", ["line 9 skipped, below the table: '# end'"]),
    ("", "t;a;b", DATA + "Total;28;7\n", ["line 9 skipped, below the table: 'Total, 28, 7'"]),
    ("", "t;a;b", DATA + ";Summe;7\nMittel;;1\n", ["lines 9 to 10 skipped, below the table"]),
    ("", "t;a;b", DATA + "\nSource: x\n", ["line 10 skipped, below the table: 'Source: x'"]),
    ("", "t;a;b", DATA + "Quelle: x;;\n;;\n", ["line 9 skipped, below the table: 'Quelle: x'"]),
    ("", "t;a;b", DATA + ";;\n;;\n", []),
    ("", "t;a;b", DATA.replace("\n", "\n\n"), []),
    ("", "t;a;b", DATA + "\nSource: x; y; z; 2024\n", ["line 10 skipped, below the table: 'Sour"]),
    ("", "t;a;b;", DATA.replace("\n", ";\n"), ["lines end with a delimiter: columns without"]),
    ("", "t;a;b", DATA.replace("\n", ";\n"), ["lines end with a delimiter: columns without"]),
    ("", "t;a;b", DATA.replace("\n", ";\n", 5), ["lines end with a delimiter: columns without"]),
    ("", "t;a;b;;;", DATA.replace("\n", ";;;\n"), ["delimiters in a row: columns without a name"]),
    ("", "t;a;b;", DATA, []),
    ("", '"t";"a";"b"', DATA.replace("2024-01-03", '"2024-01-03"'), []),
]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(("above", "head", "below", "said"), AROUND)
def test_what_stands_around_a_table_is_skipped_and_said(
    above: str, head: str, below: str, said: list[str], ending: str
) -> None:
    text = above + head + "\n" + below
    found = read(text.replace("\n", ending))
    rows = [";".join(cells) for cells in zip(*found.columns, strict=True)]
    assert found.names == ["t", "a", "b"]
    assert rows == ROWS
    lines = text.splitlines()
    assert found.header_line == lines.index(head) + 1
    placed = [lines[line - 1].replace('"', "") for line in found.lines]
    assert [line.rstrip(";") for line in placed] == ROWS
    assert len(found.decisions) == len(said)
    for decision, start in zip(found.decisions, said, strict=True):
        assert decision.startswith(start)


LEVELS = ";Close;Close;Volume;Volume\nTicker;X;Y;X;Y"
TOGETHER = [
    f"Price{LEVELS}\nDate;;;;",  # yfinance
    f"{LEVELS}\nDate;;;;",
    LEVELS.replace("Ticker", "Date"),
]
MERGED = ";North;;South;\ndate;sold;stock;sold;stock"


def test_names_in_several_lines_are_joined_and_said() -> None:
    rows = "".join(f"2024-01-0{day};{day};2;3;4\n" for day in range(1, 8))
    names = ["date", "North sold", "North stock", "South sold", "South stock"]
    found = read(f"Report\n{MERGED}\n{rows}")
    assert found.names == names
    assert list(found.columns[1]) == [*"1234567"]
    assert found.header_line == 3
    assert found.decisions == (
        "line 1 skipped, above the names of the columns: 'Report'",
        "lines 2 to 3 name the columns together, such as 'North sold'",
    )
    found = read(f"{MERGED}\n;t;t;t;t\n{rows}")  # with a line of units
    assert found.names == names


@pytest.mark.parametrize("head", TOGETHER)
def test_lines_of_names_of_a_data_frame_are_joined(head: str) -> None:
    found = read(head + "\n" + "".join(f"{row};8;9\n" for row in ROWS))
    assert found.names == ["Date", "Close X", "Close Y", "Volume X", "Volume Y"]
    assert [";".join(cells) for cells in zip(*found.columns, strict=True)] == [
        f"{row};8;9" for row in ROWS
    ]
    last = head.count("\n") + 1
    assert found.header_line == last
    assert found.decisions == (f"lines 1 to {last} name the columns together, such as 'Close X'",)


@pytest.mark.parametrize("head", ["t;a;a", "x;a;a\nt;b;b", "t;a;a\n\n;x;x"])
def test_names_that_repeat_in_every_line_stay_a_fault(head: str, write) -> None:
    with pytest.raises(UserError, match="occurs twice"):
        read_table(write(head + "\n" + DATA), Columns())


def test_names_that_one_line_gives_alone_are_not_joined() -> None:
    found = read("Group;North;North\nt;a;b\n" + DATA)
    assert found.names == ["t", "a", "b"]
    assert found.decisions == (
        "line 1 skipped, above the names of the columns: 'Group, North, North'",
    )


ABOUT = [
    ("", "Title;Prices;Wages", "CDID;L5;L6\nPreUnit;;\nUnit;%;a, b\nRelease date;14-02-2024;14-02-2024"),
    ("", ";X.D;X.D_FLAGS", ";Rate;\nEinheit;USD;\nStand vom;22.02.2024;"),
    ("Report\n", ";X.D;Y.D", ";Rate;\nunit:;USD;EUR\nlast update;2024-05-30;2024-05-30"),
    ("", "a;x;y", "Unit;%;kg\nImportant notes;;"),
]  # fmt: skip


@pytest.mark.parametrize(("above", "head", "about"), ABOUT)
def test_lines_that_tell_of_the_columns_stand_below_the_names(
    above: str, head: str, about: str
) -> None:
    found = read(f"{above}{head}\n{about}\n{DATA}")
    assert found.names == head.split(";")
    assert [";".join(cells) for cells in zip(*found.columns, strict=True)] == ROWS
    first, last = above.count("\n") + 2, above.count("\n") + 2 + about.count("\n")
    assert found.decisions[-1].startswith(f"lines {first} to {last} skipped, above the rows of d")


NO_FACTS = [
    "Kontonummer;DE12X\nInhaber;Meier\nStand;Saldo",
    "Country;Germany;Ifo\nRelease date;Actual;Forecast",
    "Filiale;Nord;Sued\nStand;Kasse;Bank",
    "Plant;Line1;Line2\nSource;North;South",
    "Series;Turnover\nUnit;kg\nFrequency;Month\nSeries ID;A33R",
    "TITLE;Credit\nPublication date;31-Jan-2022\nSeries ID;DGF",
    "AAPL;momentum\nDate;20d",
]


@pytest.mark.parametrize("head", NO_FACTS)
def test_the_line_next_to_the_data_has_the_names_unless_it_has_dates_or_blanks(head: str) -> None:
    names = head.splitlines()[-1].split(";")
    rows = "".join(
        f"2024-01-0{d};" + ";".join(["5"] * (len(names) - 1)) + "\n" for d in range(1, 8)
    )
    assert read(f"{head}\n{rows}").names == names


def test_a_row_that_is_called_like_a_fact_stays_one() -> None:
    for name in ("Units", "Notes", "Source"):
        rows = [f"{item};100;107;108" for item in (name, "1003", "1004", "1005")]
        found = read("\n".join(["Product;2018-01;2018-02;2018-03", *rows]))
        assert [";".join(cells) for cells in zip(*found.columns, strict=True)] == rows


def test_rows_of_numbers_with_units_whose_name_is_one_stay_rows() -> None:
    rows = ["EUR;1%;8%;6%", "USD;4%;2%;9%", "JPY;7%;5%;3%", "CHF;1%;8%;6%"]
    found = read("\n".join(["Currency;X2018;X2019;X2020", *rows]))
    assert [";".join(cells) for cells in zip(*found.columns, strict=True)] == rows


NOT_JOINED = [
    "Date;;Sales;Cost\nTarget;110;110;95",
    "Date;Amount;Amount;Rate\nOpening balance;100;200;200",
    "Date;N;N;S\nTotal;500;;20",
    ";Sales;;Rain\nDate;Min;Max;Min",
    ";North;;South\nDate;Min;Max;Rain",
    ";;Germany;\nDate;A;A;B",
    "Sales;;Private;\nDate;A;B;A",
]


@pytest.mark.parametrize("head", NOT_JOINED)
def test_lines_are_not_joined_to_names_that_are_not_theirs(head: str) -> None:
    rows = "".join(f"2024-01-0{day};1;2;3\n" for day in range(1, 8))
    found = read(f"{head}\n{rows}")
    assert not any("together" in said for said in found.decisions)
    assert not any(" " in name or name.isdigit() for name in found.names)


@pytest.mark.parametrize(
    "head",
    ["Date;Amount;Amount\nb/f;100;200", "Sales overview;;\nDate;Sold;Sold", "Date;A;A\nUTC;kg;kg"],
)
def test_names_that_repeat_are_a_fault_whatever_is_below_them(head: str, write) -> None:
    with pytest.raises(UserError, match="occurs twice"):
        read_table(write(head + "\n" + DATA), Columns())


def test_names_that_their_units_tell_apart_are_joined_with_them() -> None:
    found = read("Date;Flow;Flow\nUTC;m3/s;l/s\n" + DATA)
    assert found.names == ["Date", "Flow m3/s", "Flow l/s"]


def test_a_column_called_unit_is_named_where_no_times_are_below() -> None:
    rows = "".join(f"kg;2024-01-0{day};{day}\n" for day in range(1, 8))
    found = read(f"Report;of;all\nunit;time;value\n{rows}")
    assert found.names == ["unit", "time", "value"]


def test_a_line_of_formats_is_no_row_of_data() -> None:
    found = read("id\tt\ta\tc\n5s\t20d\t14n\t10s\n" + "G\t2024-01-01\t1\tA\n" * 4)
    assert found.names == ["id", "t", "a", "c"]
    assert list(found.columns[2]) == [*"1111"]
    assert found.decisions == ("line 2 skipped, above the rows of data: '5s, 20d, 14n, 10s'",)


YEARS, QUARTERS = ["2022;20", "2023;21"], [f"2023 Q{q};9" for q in range(1, 5)]
STARTS = pd.date_range("2022-01-01", periods=25, freq="MS")
MONTHS = [f"{day:%Y %b};{i}".upper() for i, day in enumerate(STARTS)]
IN_FOUR = [f"{y}-Q{q};{q}" for y in (2022, 2023) for q in range(1, 5)]
PERIODS = [
    (YEARS, MONTHS, "years"),
    (YEARS, [f"{day:%Y-%m};{i}" for i, day in enumerate(STARTS)], "years"),
    (YEARS, [f"{day:%B %Y};{i}" for i, day in enumerate(STARTS)], "years"),
    ([*YEARS, *QUARTERS], MONTHS, "quarters and years"),
    (YEARS, IN_FOUR, "years"),
    ([*YEARS, "2023-H2;1"], IN_FOUR, "half-years and years"),
]


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize(("coarse", "fine", "said"), PERIODS)
def test_longer_periods_than_the_shortest_are_skipped_and_said(
    coarse: list[str], fine: list[str], said: str, mixed: bool
) -> None:
    rows = [*fine[:1], *coarse, *fine[1:]] if mixed else [*coarse, *fine]
    found = read("\n".join(["t;a", *rows, ""]))
    assert [";".join(cells) for cells in zip(*found.columns, strict=True)] == fine
    lines = ", ".join(str(rows.index(row) + 2) for row in coarse[:5])
    more = ", …" if len(coarse) > 5 else ""
    assert found.decisions == (f"lines {lines}{more} skipped: {said}, beside shorter periods",)


UNCOVERED = [
    ["2024;1"],  # of which one month is there
    ["2021;1"],
    ["2024 Q1;1"],
    ["2024-H1;1"],
    [*YEARS, "x;1"],
]


@pytest.mark.parametrize("coarse", UNCOVERED)
def test_longer_periods_without_all_their_parts_stay_rows(coarse: list[str]) -> None:
    found = read("\n".join(["t;a", *coarse, *MONTHS, ""]))
    assert len(found.lines) == len(coarse) + len(MONTHS)


def test_periods_of_several_series_and_numbers_that_look_like_them_stay_rows() -> None:
    three = "t;a;b\n" + "".join(f"{row};1\n" for row in [*YEARS, *MONTHS])
    assert len(read(three).lines) == len(YEARS) + len(MONTHS)
    codes = [f"{year}{month:02d};1" for year in (2022, 2023) for month in range(1, 13)]
    assert len(read("\n".join(["sku;a", *YEARS, *codes, ""])).lines) == 26


@pytest.mark.parametrize(("letter", "count"), [("M", 12), ("Q", 4), ("S", 2)])
def test_annual_figures_among_numbered_periods_are_skipped_and_said(
    letter: str, count: int, write
) -> None:
    rows = [
        f"CU1  \t{year}\t{letter}{n:02d}\t  {year + n / 8}\t"
        for year in range(2010, 2020)
        for n in range(1, count + 2)
    ]
    text = "\n".join(["series_id\tyear\tperiod\tvalue\tfootnote_codes", *rows, ""])
    values = [year + n / 8 for year in range(2010, 2020) for n in range(1, count + 1)]
    found = read(text)
    assert list(map(float, found.columns[3])) == values
    lines = ", ".join(str(2 + count + year * (count + 1)) for year in range(5))
    assert found.decisions[-1] == f"lines {lines}, … skipped: years, beside shorter periods"
    if letter == "M":
        assert read_table(write(text), Columns()).interval.alias == "MS"
    # periods that are no numbers, or of other tables: nothing is taken for a year
    one = f"CU2\t2010\t{letter}{count + 1:02d}\t5\t\n"  # a series of years alone
    for other in (text.replace(f"{letter}01", "x1"), text.replace("series_id", "shop")):
        assert len(read(other).lines) == len(rows)
    assert len(read(text + one).lines) == len(rows) + 1


@pytest.mark.parametrize(
    "text",
    [
        "t;a\n2022;1\n2023;2\n2024;3\n",  # all are years
        "t;a\n2023 NOV;1\n2023 DEC;2\n2024;3\nX;4\n",  # and something else
        "geo;t;a\nA;2023;1\nA;2023-Q3;2\nA;2023-Q4;2\n",  # a series of each
        "t;geo;a\n2023;A;1\n2023-Q3;A;2\n2023-Q4;A;2\n",
    ],
)
def test_periods_of_other_files_are_all_read(text: str) -> None:
    found = read(text)
    assert len(found.lines) == text.count("\n") - 1


def test_a_blank_column_without_a_name_is_left_out() -> None:
    found = read(";t;;a\n" + "".join(f";2024-01-0{day};;{day}\n" for day in range(1, 8)))
    assert found.names == ["t", "a"]
    assert list(found.columns[1]) == [*"1234567"]
    assert found.decisions == (
        "delimiters in a row: columns without a name and without cells are left out",
    )


@pytest.mark.parametrize("ending", ["", "\x00" * 5])
def test_blanks_before_quotes_are_no_part_of_a_cell(ending: str) -> None:
    rows = "".join(f'"2024-01-0{day}", "{day},5", {day}\n' for day in range(1, 8))
    found = read('"t", "a, b", "c"\n' + rows + ending)
    assert found.names == ["t", "a, b", "c"]
    assert list(found.columns[1]) == [f"{day},5" for day in range(1, 8)]


TITLES = [
    ("About;\n", "date;a"),  # 'a' could be a unit, and a title could be a name
    ("About;x\nOf;y\n", "date;value"),
    ("Report;2024-01-01\n", "t;x"),
]
TIMES = ["20240{}01 05:30", "0{}/2024", "2024-0{}", "2024-0{}-01 5:00 PM", "{} Mar 2024"]


@pytest.mark.parametrize(("above", "head"), TITLES)
@pytest.mark.parametrize("time", TIMES)
def test_names_are_found_below_a_title(above: str, head: str, time: str) -> None:
    rows = [f"{time.format(number)};{number}" for number in range(1, 8)]
    found = read(f"{above}{head}\n" + "\n".join([*rows[:4], head, *rows[4:], "Total;28"]))
    assert found.names == head.split(";")
    assert [";".join(cells) for cells in zip(*found.columns, strict=True)] == rows


KEYS = [
    '"Data Source","WDI",\n\n"Last Updated Date","2024-05-30",\n\n',
    "Data Source,WDI\nLast Updated Date,2024-05-30\n",
    "Data Source,WDI,,,,\nLast Updated Date,2024-05-30,,,,\n",
    "Population, total, both sexes\n\n",
    "\ufeffPopulation\n# of all ages\n",
]
NAMED_BY_TIMES = [
    ["2019", "2020", "2021", "2022"],
    ["2022", "2021", "2020", "2019"],
    ["X2019", "X2020", "X2021", "X2022"],
    ["2019 [YR2019]", "2020 [YR2020]", "2021 [YR2021]", "2022 [YR2022]"],
    ["202401", "202402", "202403", "202404"],
    ["20240131", "20240201", "20240202", "20240203"],
    ["2024-01", "2024-02", "2024-03", "2024-04"],
    ["1/30/20", "1/31/20", "2/1/20", "2/2/20"],
    ["2023-Q3", "2023-Q4", "2024-Q1", "2024-Q2"],
    ["Jan 2024", "Feb 2024", "Mar 2024", "Apr 2024"],
]


@pytest.mark.parametrize("end", ["", ","])
@pytest.mark.parametrize("times", NAMED_BY_TIMES, ids=lambda times: times[0])
@pytest.mark.parametrize("above", KEYS)
def test_names_that_are_times_are_found_below_keys_and_titles(
    above: str, times: list[str], end: str
) -> None:
    head = ["Country Name", "Code", *times]
    rows = ['"Aruba, isle",ABW,101,,103,', "Italy,ITA,601,602,603,", "Kosovo,XKX,,302,303,"]
    found = read(above + f"{','.join(head)}{end}\n" + "".join(f"{row}{end}\n" for row in rows))
    assert found.names == head
    assert list(zip(*found.columns, strict=True)) == [
        ("Aruba, isle", "ABW", "101", "", "103", ""),
        ("Italy", "ITA", "601", "602", "603", ""),
        ("Kosovo", "XKX", "", "302", "303", ""),
    ]
    assert found.header_line == above.count("\n") + 1
    assert "skipped, above the names of the columns" in found.decisions[0]


def test_a_world_bank_file_is_read_as_without_what_stands_above(write) -> None:
    years = [str(year) for year in range(2012, 2024)]
    rows = [
        [country, code, "Population, total", "SP.POP.TOTL", *map(str, range(n, n + 11)), ""]
        for country, code, n in [("Aruba", "ABW", 101), ("Italy", "ITA", 601)]
    ]
    head = ["Country Name", "Country Code", "Indicator Name", "Indicator Code", *years]
    lines = ['"' + '","'.join(cells) + '",' for cells in [head, *rows]]
    tables = []
    for above in ["\ufeff" + KEYS[0], ""]:
        path = write("\n".join([above + lines[0], *lines[1:]]) + "\n")
        with pytest.raises(UserError, match="'2012' to '2023': a row is a series; give --layout"):
            read_table(path, Columns())
        tables.append(read_table(path, Columns(layout="dates-across")))
    assert tables[0].interval.alias == "YS-JAN"
    assert tables[0].report.decisions[0].startswith("lines 1 to 3 skipped, above the names")
    for found, plain in zip(tables[0].series, tables[1].series, strict=True):
        assert (found.item_id, found.first) == (plain.item_id, plain.first)
        assert found.values.tolist() == plain.values.tolist()


# rows that may be data, below names that do not fit them
NOT_NAMES = [
    "Name,Old,New\nx,1990,2000,2010\ny,1991,2001,2011\nz,1992,2002,2012\n",
    "Name,Old\nx,1990,2010,2000\ny,1991,2001,2011\nz,1992,2002,2012\n",
    "Name,Old\nx,990,1000,1010\ny,991,1001,1011\nz,992,1002,1012\n",
    "Name,Old\nx,2000,2000,2010\ny,2000,2001,2011\nz,2000,2002,2012\n",
    "Name,Old\nx,2000.5,2001.5,2002.5\ny,2000.7,2001.5,2011\nz,2000,2002,2012\n",
    "Name,Old\nx,2000,2001\ny,2000,2001\nz,2001,2002\n",
]


@pytest.mark.parametrize("text", NOT_NAMES)
def test_numbers_are_no_names_below_names_of_another_width(text: str) -> None:
    with pytest.raises(UserError, match=r"line 2: \d fields where the header has"):
        read(text)


TOTALS = [
    "Total;28,5;7",
    "Subtotal;;7",
    "sub total;5;",
    "SUMME;28,5;7",
    "Zwischensumme;28,5;7",
    "Gesamt;28,5;7",
    "Total général;28,5;7",
    "Sous-total;28,5;7",
    "Jan Total;28,5;7",
    "2024 total;28,5;7",
    "Mittelwert;28,5;7",
    "Итого;28,5;7",
    "Max;28,5;7",
]


@pytest.mark.parametrize("line", TOTALS)
@pytest.mark.parametrize("where", [[0], [3], [3, 5], [0, 7], [0, 1, 2, 3, 4, 5, 6, 7]])
def test_totals_are_skipped_and_said_wherever_they_stand(line: str, where: list[int]) -> None:
    lines = [*ROWS]
    for place in reversed(where):
        lines.insert(place, line)
    found = read("\n".join(["t;a;b", *lines, ""]))
    assert (found.names, found.header_line) == (["t", "a", "b"], 1)
    assert [";".join(cells) for cells in zip(*found.columns, strict=True)] == ROWS
    assert list(found.lines) == [lines.index(row) + 2 for row in ROWS]
    skipped = "; ".join(found.decisions)
    assert all(str(i + 2) in skipped or i > 5 for i, row in enumerate(lines) if row == line)
    assert f"'{', '.join(filter(None, line.split(';')))}'" in skipped


def test_the_label_may_stand_behind_the_name_of_an_item() -> None:
    rows = [f"{shop},2024-01-0{day},{day}" for shop in ("North", "South") for day in range(1, 7)]
    lines = [*rows[:6], "North,Total,21", *rows[6:], "South,Total,21"]
    found = read("\n".join(["shop,date,sold", *lines]))
    assert [",".join(cells) for cells in zip(*found.columns, strict=True)] == rows
    assert found.decisions == ("lines 8, 15 skipped: totals ('North, Total, 21')",)


def test_a_total_below_names_that_could_be_units_is_no_name() -> None:
    found = read("date;a\nTotal;28\n" + "".join(f"2024-01-0{day};{day}\n" for day in range(1, 8)))
    assert found.names == ["date", "a"]
    assert list(found.columns[1]) == [*"1234567"]


WITHIN = [
    ("t;a;b", "lines 5, 9 skipped: the names again"),
    (";;", "lines 5, 9 skipped: blank"),
    ("#2024-01-09;1;1", "lines 5, 9 skipped: comments"),
    ("# changed here", "lines 5, 9 skipped: comments"),
]


@pytest.mark.parametrize(("line", "said"), WITHIN)
def test_what_stands_between_the_rows_is_skipped_and_said(line: str, said: str) -> None:
    found = read("\n".join(["t;a;b", *ROWS[:3], line, *ROWS[3:6], line, ROWS[6]]))
    assert [";".join(cells) for cells in zip(*found.columns, strict=True)] == ROWS
    assert list(found.lines) == [2, 3, 4, 6, 7, 8, 10]
    assert found.decisions == (said,)


def test_many_lines_are_not_all_named() -> None:
    found = read("t;a;b\n" + "".join(f"{row}\n;;\n" for row in [*ROWS, *ROWS]))
    assert found.decisions == ("lines 3, 5, 7, 9, 11, … skipped: blank",)
    assert len(found.lines) == 14


def test_a_long_file_s_end_is_found() -> None:
    rows = "".join(f"{year}-01-01;{year};{'x' * 90}\n" for year in range(1000, 3000))
    found = read("t;a;b\n" + rows + "Total;5;\n")
    assert len(found.lines) == 2000
    assert found.decisions[-1] == "line 2002 skipped, below the table: 'Total, 5'"


KEPT = [
    ("item,t,a\n", [f"{n},2024-01-{d:02d},{d}" for n in ("North", "Total") for d in (1, 2, 3)]),
    ("item,t,a\n", ["A,2024-01-01,1", "A,2024-01-02,2", "Total,2024-01-01,5", "Total,2024-01-02,NA"]),
    ("item,t,a\n", ["#1,2024-01-01,1", "#1,2024-01-02,2", "#2,2024-01-01,3", "#2,2024-01-02,3"]),
    ("time,x\n", ["yesterday,1", "2024-01-02,2", "2024-01-03,3", "2024-01-04,4"]),
    ("time,x\n", ["2024-01-02,2", "2024-01-03,3", "2024-01-04,4", "tomorrow,1"]),
    ("#,x\n", ["1,2", "2,3", "3,4"]),
    ("item,t,a\n", ["Total,2024-01-01,1", "Max Frei,2024-01-01,2", "Total,2024-01-02,3"]),
    ("item,a,t\n", ["A,1,2024-01-01", "A,max,2024-01-02", "Total,NA,2024-01-03", "A,4,2024-01-04"]),
    ("t,sky,a\n", ["2024-01-01,total,1", "2024-01-02,max,2", "2024-01-03,sun,3"]),
    ("country,1960,1961\n", ["A,5,6", "Total,6,7", "Total men,,9", "B,8,9"]),
    ("month,2023,2024\n", ["Jan,5,6", "Total,6,7", "Feb,8,9"]),
    ("date,1,2,3\n", ["2024-01-01,5,6,7", "2024-01-02,5,6,7", "2024-01-03,5,6,7"]),
    ("country,1960,1961\n", ["A,5,6", "B,6,7", "C,8,9"]),
    ("time,t,h\n", ["2024-01-01,5,6", "2024-01-02,5,6"]),
    ("day,V\n", ["2024-01-01,5", "2024-01-02,5"]),
    ("t,a\n", ["2024-01-01,NA", "2024-01-02,NA", "2024-01-03,3", "2024-01-04,3"]),
    ("t,a,b\n", ["2024-01-01,1,", "2024-01-02,2,", "2024-01-03,3,"]),
]  # fmt: skip


@pytest.mark.parametrize(("head", "rows"), KEPT)
def test_rows_of_a_table_are_never_skipped(head: str, rows: list[str]) -> None:
    found = read(head + "\n".join(rows) + "\n")
    assert found.names == head.strip().split(",")
    assert [",".join(cells) for cells in zip(*found.columns, strict=True)] == rows
    assert found.decisions == ()


FAULTS = [
    ("t;a;b\n" + DATA + "2024-01-09;1\n", "line 9: 2 fields where the header has 3"),
    ("t;a;b\n" + DATA + "2024-", "line 9: 1 fields where the header has 3"),
    ("t;a;b\n" + DATA + "1;2;3;4\n" + DATA, "line 9: 4 fields where the header has 3"),
    ("t;a;b\n" + DATA + "x;1\n" + DATA, "line 9: 2 fields where the header has 3"),
    ("t;a\n" + DATA, "line 2: 3 fields where the header has 2"),
    ("t;a;b;c;d\n" + DATA, "line 2: 3 fields where the header has 5"),
    ("t;a;b\n" + DATA.replace("\n", ";\n") + "2024-01-09;1;2;5\n", "line 9: 4 fields where the"),
]


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_rows_of_another_width_are_refused_with_their_line(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(text)


DELIMITED = [
    ("Datum;Leistung, kW", ";", "{0};1,{1}"),
    ("Datum,Leistung; kW", ",", "{0},1.{1}"),
    ("a, b, c;x", ";", "{0};{1}"),
    ("time;a;b", ";", "{0};1.234,5;2,{1}"),
    ("time\ta, b", "\t", "{0}\t1,{1}"),
    ("time|a, b", "|", "{0} 00:00|1,5"),
    ("when;note, more;x", ";", "Jan {1}, 2024;a, b;5"),
    ("t,a", ",", "{0},'5;6;7'"),
]


@pytest.mark.parametrize(("head", "delimiter", "row"), DELIMITED)
def test_the_delimiter_is_the_one_of_the_lines_with_numbers(
    head: str, delimiter: str, row: str
) -> None:
    rows = [row.format(f"2024-01-{day:02d}", day) for day in range(1, 8)]
    found = read("\n".join([head, *rows]))
    assert found.names == head.split(delimiter)
    assert list(zip(*found.columns, strict=True)) == [tuple(r.split(delimiter)) for r in rows]


ENCODED = [
    ("utf-8", "Größe;日付;b", "utf-8"),
    ("utf-8-sig", "Größe;日付;b", "utf-8-sig"),
    ("utf-16", "Größe;日付;b", "utf-16"),
    ("utf-32", "Größe;日付;b", "utf-32"),
    ("utf-16-le", "t;a;b", "utf-16-le"),
    ("utf-16-be", "t;ä;b", "utf-16-be"),
    ("latin-1", "Größe;T in °C;Überschuß", "latin-1"),
    ("cp1252", "Prix en €;“a”;b – c", "cp1252"),
    ("cp1251", "Дата;Температура;Влажность", "cp1251"),
    ("shift_jis", "日付;気温;湿度", "cp932"),
    ("big5", "日期;溫度;濕度", "big5"),
]


@pytest.mark.parametrize(("encoding", "head", "said"), ENCODED)
def test_encodings(encoding: str, head: str, said: str) -> None:
    found = read(head + "\n" + DATA, encoding)
    assert found.names == head.split(";")
    assert found.encoding == said
    assert list(found.columns[1]) == [row.split(";")[1] for row in ROWS]


def test_damaged_letters_are_replaced_and_said() -> None:
    content = ("Größe;Überschuß;b\n" + DATA).encode() + b"2024-01-08;\xff;1\n"
    found = read(content)
    assert found.names == ["Größe", "Überschuß", "b"]
    assert found.encoding == "utf-8 (1 damaged letters replaced)"


def test_without_a_line_of_names_the_first_row_is_data() -> None:
    found = read("# from here\n" + DATA, header=False)
    assert (found.names, found.header_line) == (["column_1", "column_2", "column_3"], 0)
    assert [";".join(cells) for cells in zip(*found.columns, strict=True)] == ROWS


def test_what_is_skipped_stands_in_the_report(write) -> None:
    path = write("Report\n\nt;a;b\n" + DATA + "Sum;5;5\n")
    report = read_table(path, Columns()).report
    assert report.decisions[:2] == [
        "line 1 skipped, above the names of the columns: 'Report'",
        "line 11 skipped, below the table: 'Sum, 5, 5'",
    ]


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not beside the project")
def test_cases_of_a_preamble_and_of_a_comma_in_a_name() -> None:
    table = read_table(CASES / "preamble.csv", Columns())
    assert table.names == ("shoes: (Worldwide)",)
    assert table.interval.alias == "W-SUN"
    assert table.report.decisions[0].startswith("line 1 skipped, above the names")
    table = read_table(CASES / "delimiter_tie.csv", Columns())
    assert table.names == ("Leistung, kW",)
    assert table.series[0].values[:3, 0].tolist() == [1.0, 1.1, 1.2]
