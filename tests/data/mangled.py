"""Files as they come: tables of every shape, then cells, lines and bytes that went wrong."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

STARTS = [
    "2024-01-01",
    "2023-12-31 22:00",
    "2024-03-30 20:00",
    "2024-10-26 20:00",
    "2024-02-28",
    "2024-01-31",
    "0001-01-01",
    "1677-09-21",
    "1969-12-30",
    "2262-03-23",
    "9999-12-01",
]
STEPS = [
    timedelta(days=1),
    timedelta(hours=1),
    timedelta(minutes=15),
    timedelta(days=7),
    timedelta(days=31),
    timedelta(0),
    timedelta(days=365),
    timedelta(microseconds=1),
    timedelta(seconds=7),
    -timedelta(days=1),
]
STYLES = [
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%SZ",
    "%d.%m.%Y %H:%M",
    "%m/%d/%Y",
    "%Y%m%d",
    "%Y-%m-%d %H:%M:%S.%f+02:00",
    "%d/%m/%y",
    "%Y",
    "%b %d, %Y",
    "%Y-%m",
    "%I:%M %p",
]
NAMES = [
    "a",
    "b",
    "value",
    "Wert (€/kWh)",
    "日付",
    "x=1",
    "=1+1",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "a/b",
    "C:\\x",
    "a.b",
    "%s{0}$x$",
    "time",
    "date",
    "id",
    "nan",
    "a b\tc",
    "-",
    "🌡",
    "n" * 300,
    "$\\frac{$",
    "\x1b[31m",
    "__proto__",
    "null",
    "1e5",
]
CELLS = [
    "",
    "-",
    "NA",
    "nan",
    "inf",
    "-Infinity",
    "1e308",
    "-1e308",
    "3.5e38",
    "1e39",
    "1e-320",
    "1e999",
    "0",
    "-0.0",
    "1,5",
    "1.234,5",
    "1,234.5",
    "1 000",
    "1_000",
    "0x1F",
    "١٢",
    "５",
    "½",
    "true",
    "12%",
    "€5",
    "--",
    "1e",
    "+1",
    ".5",
    "5.",
    "=1+1",
    "x\ny",
    'a"b',
    "None",
    "\x00",
    "\ufeff1",
    "2024-13-45",
    "0000-00-00",
    "2024-02-30",
    "9999-12-31",
    "0000-01-01",
    "24:00",
    "2024-01-01 25:61",
    "2024-01-01 00:00:00+99:99",
    "2024-01-01T00:00:00.1234567890123Z",
    "99999999999999999999",
    "1700000000",
    "45292",
    "2024-W03",
    "2024Q5",
    "9" * 400,
    "a" * 70_000,
]
OPTIONS: list[list[str]] = [
    [],
    [],
    [],
    [],
    ["--on-gap", "fill"],
    ["--on-duplicate", "mean"],
    ["--on-duplicate", "last", "--on-gap", "fill"],
    ["--timezone", "Europe/Berlin"],
    ["--timezone", "../../etc/passwd"],
    ["--timezone", "UTC", "--on-gap", "fill"],
    ["--freq", "D"],
    ["--freq", "h", "--on-gap", "fill"],
    ["--freq", "ns"],
    ["--freq", "YE", "--on-gap", "fill"],
    ["--freq", "B"],
    ["--freq", "0D"],
    ["--target", "a"],
    ["--target", "a,a"],
    ["--target", ""],
    ["--item-id", "a"],
    ["--timestamp", "b"],
    ["--timestamp", "time", "--item-id", "time"],
]
Rows = list[list[str]]


def plain(rows: int = 40) -> Rows:
    """A good file of two daily series."""
    first = datetime(2024, 1, 1)
    body = [
        [f"{first + timedelta(days=i):%Y-%m-%d}", str(i % 7), str(0.5 * (i * 2 % 5))]
        for i in range(rows)
    ]
    return [["time", "a", "b"], *body]


@st.composite
def tables(draw: Callable[..., Any]) -> Rows:
    """A table of another shape, mostly a sensible one."""
    pick = lambda values: draw(st.sampled_from(values))  # noqa: E731
    start, step, style = pick(STARTS), pick(STEPS), pick(STYLES)
    rows, width = pick([1, 2, 3, 9, 14, 20, 40, 120]), pick([1, 1, 2, 3])
    names = draw(
        st.lists(
            st.one_of(st.sampled_from(NAMES), st.text(max_size=8)),
            min_size=width,
            max_size=width,
            unique=True,
        )
    )
    items = pick(
        [[], [], [], ["x", "y"], ["../x", "<b>"], [str(i) for i in range(9)], ["=cmd()", "nan"]]
    )
    spread, level = pick([1.0, 1e-300, 1e30, 1e150, 0.0, 1e-9]), pick([0.0, 1e12, -1e300, 5.0])
    kind = pick(["number", "number", "number", "constant", "missing", "comma", "text"])
    write = {
        "number": lambda i: repr(level + spread * (i * 7 % 11)),
        "constant": lambda i: "3",
        "missing": lambda i: "",
        "comma": lambda i: f"{i % 9},{i % 7}",
        "text": lambda i: f"t{i % 3}",
    }[kind]
    body = []
    for item in items or [None]:
        for i in range(rows):
            body.append(
                [
                    _stamp(start, step * i, style),
                    *([item] if item else []),
                    *(write(i + k) for k in range(width)),
                ]
            )
    return [[pick(["time", "date", "t", "日付", ""]), *(["item"] if items else []), *names], *body]


def _stamp(start: str, ahead: timedelta, style: str) -> str:
    try:
        return (datetime.fromisoformat(start) + ahead).strftime(style)
    except OverflowError:
        return "10000-01-01"


def _cell(rows: Rows, a: int, b: int, c: int) -> Rows:
    if rows and rows[a % len(rows)]:
        row = rows[a % len(rows)] = list(rows[a % len(rows)])
        row[b % len(row)] = CELLS[c % len(CELLS)]
    return rows


def _column(rows: Rows, a: int, b: int, c: int) -> Rows:
    return [
        [CELLS[c % len(CELLS)] if i and k == b % len(row) else v for k, v in enumerate(row)]
        for i, row in enumerate(rows)
    ]


def _name(rows: Rows, a: int, b: int, c: int) -> Rows:
    return (
        [
            [NAMES[c % len(NAMES)] if k == b % len(rows[0]) else v for k, v in enumerate(rows[0])],
            *rows[1:],
        ]
        if rows
        else rows
    )


def _shift(rows: Rows, a: int, b: int, c: int) -> Rows:
    place = a % max(len(rows), 1)
    return [*rows[:place], *rows[place + 1 + b % 3 :]]


def _turn(rows: Rows, a: int, b: int, c: int) -> Rows:
    body = rows[1:]
    k = a % max(len(body), 1)
    return [
        *rows[:1],
        *[
            body[::-1],
            body[k:] + body[:k],
            body + body[: b % 3],
            [row for row in body for _ in (0, 1)],
        ][c % 4],
    ]


def _width(rows: Rows, a: int, b: int, c: int) -> Rows:
    k = b % max(len(rows[0]), 1) if rows else 0
    changes: list[Callable[[list[str]], list[str]]] = [
        lambda r: [*r, ""],
        lambda r: r[:-1],
        lambda r: [*r, r[k] if k < len(r) else ""],
        lambda r: r[:k] + r[k + 1 :],
    ]
    change = changes[c % 4]
    return [
        change(row) if a % 2 or i == a % max(len(rows), 1) else row for i, row in enumerate(rows)
    ]


def _scale(rows: Rows, a: int, b: int, c: int) -> Rows:
    """From some row on a column's values are of another size."""
    power = ["e30", "e38", "e-30", "e-310", "e200", "e15"][c % 6]
    k = b % max(len(rows[0]), 1) if rows else 0
    return [
        [v + power if j == k and i > a % max(len(rows), 1) else v for j, v in enumerate(row)]
        for i, row in enumerate(rows)
    ]


def _zone(rows: Rows, a: int, b: int, c: int) -> Rows:
    zones = ["Z", "+02:00", " -0530", "+14:00", " UTC", " CET", " 02:30", "T03:00+01:00"]
    every = b % 3 + 1
    return [
        [row[0] + zones[c % len(zones)], *row[1:]] if i and row and i % every == 0 else row
        for i, row in enumerate(rows)
    ]


CHANGES = [_cell, _cell, _cell, _column, _name, _shift, _turn, _width, _scale, _zone]
numbers = st.tuples(st.integers(0, 200), st.integers(0, 20), st.integers(0, 200))
changes = st.lists(st.tuples(st.sampled_from(CHANGES), numbers), max_size=4)


def _quoted(cell: str, delimiter: str) -> str:
    return (
        '"' + cell.replace('"', '""') + '"'
        if any(mark in cell for mark in (delimiter, "\n", '"'))
        else cell
    )


def _encoded(text: str, encoding: str) -> bytes:
    return text.encode(encoding, errors="replace")


@st.composite
def byte_changes(draw: Callable[..., Any], content: bytes) -> bytes:
    """Bytes that were turned, lost, doubled or put in."""
    for kind in draw(
        st.lists(st.sampled_from(["turn", "cut", "put", "double", "mark"]), max_size=3)
    ):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        if kind == "turn" and content:
            content = (
                content[:place]
                + bytes([content[place] ^ draw(st.integers(1, 255))])
                + content[place + 1 :]
            )
        elif kind == "cut":
            content = content[:place]
        elif kind == "put":
            content = content[:place] + draw(st.binary(min_size=1, max_size=4)) + content[place:]
        elif kind == "double":
            content = content[:place] + content[place // 2 :]
        else:
            put = draw(
                st.sampled_from(
                    [
                        b'"',
                        b"\x00",
                        b"\r",
                        b"\n\n",
                        b";",
                        b",",
                        b"\xef\xbb\xbf",
                        b"\xff\xfe",
                        b"\x1a",
                        b"\x85",
                    ]
                )
            )
            content = content[:place] + put + content[place:]
    return content


@st.composite
def files(draw: Callable[..., Any], fitting: bool = False) -> bytes:
    """The bytes of a file; ``fitting``: most often one with the columns and the interval of
    ``plain``.
    """
    rows = plain() if draw(st.integers(0, 9)) < (9 if fitting else 4) else draw(tables())
    for change, (a, b, c) in draw(changes):
        rows = change(rows, a, b, c)
    delimiter = draw(st.sampled_from([",", ",", ",", ";", "\t", "|"]))
    ending = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    text = (
        ending.join(delimiter.join(_quoted(cell, delimiter) for cell in row) for row in rows)
        + ending
    )
    encoding = draw(
        st.sampled_from(["utf-8"] * 8 + ["utf-8-sig", "utf-16", "latin-1", "utf-16-le", "cp1252"])
    )
    content = _encoded(text, encoding)
    return draw(byte_changes(content)) if draw(st.integers(0, 3)) == 0 else content
