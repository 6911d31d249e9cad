"""Random tables, written in random dialects: bytes as they come, beside what they mean."""

import bz2
import csv
import gzip
import io
import lzma
import random
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

NAMES = ["load", "Temp (°C)", "Größe", "price", "count, all", "net;gross", "été", "rain_mm", "x1"]
ITEMS = ["north", "south", "Köln", "shop 7", "A-1"]
CODES = ["", "", "NA", "NaN", "n/a", "-", "?", "..", "NULL", "#N/A", "\\N", "<NA>"]
PROSE = [
    "Monthly report of the works",
    "Exported on 2024-05-06 07:08",
    "Source: own figures",
    "Station: Nord 12",
    "Account 4711, balance 1.234,56 EUR",
    "All values are provisional",
]
ENDS = ["Source: own figures", "* provisional", "Note: figures may be revised", "End of report"]


@dataclass(frozen=True)
class Marks:
    """A decimal mark, and one between thousands ('' for none)."""

    decimal: str
    thousands: str

    def write(self, value: Decimal) -> str:
        """A number as text."""
        text = f"{value:,f}" if self.thousands else f"{value:f}"
        return text.translate({ord(","): self.thousands, ord("."): self.decimal})


MARKS = [
    *[Marks(".", "")] * 3,
    *[Marks(",", "")] * 2,
    Marks(".", ","),
    Marks(",", "."),
    Marks(",", " "),
    Marks(",", "\u00a0"),
    Marks(".", "'"),
]
# by interval: the styles in which its times are written, and the option for those that are open
DAYS = {
    "%Y-%m-%d": "ymd",
    "%d.%m.%Y": "dmy",
    "%d/%m/%Y": "dmy",
    "%m/%d/%Y": "mdy",
    "%d-%b-%Y": "dmy",
    "%b %d, %Y": "mdy",
    "%Y/%m/%d": "ymd",
    "%Y%m%d": "ymd",
    "%d.%m.%y": "dmy",
    "%m/%d/%y": "mdy",
    "%A, %d %B %Y": "dmy",
}
CLOCKS = ["%H:%M", "%H:%M:%S", "%I:%M %p"]
MONTHS = ["%Y-%m", "%b-%y", "%Y%m", "%m/%Y", "%b %Y", "%YM%m", *DAYS]
STYLES: dict[str, Sequence[str]] = {
    "D": [*DAYS],
    "B": [*DAYS],
    "W-MON": [*DAYS],
    "MS": MONTHS,
    "h": [*(f"{day} {clock}" for day in DAYS for clock in CLOCKS), "%Y-%m-%dT%H:%M:%SZ", "epoch"],
    "15min": [*(f"{day} {clock}" for day in DAYS for clock in CLOCKS), "epoch"],
    "YS": ["%Y"],
}


@dataclass
class Written:
    """A file and what it means: ``values`` by item (None in a wide file), each (n, K)."""

    seed: int
    name: str
    content: bytes
    names: list[str]
    times: pd.DatetimeIndex
    values: dict[str | None, NDArray[np.float64]]
    marks: Marks
    order: str
    about: dict[str, object] = field(default_factory=dict)


class Writer:
    """Draws a table and a dialect by a seed, and writes the one in the other."""

    def __init__(self, seed: int) -> None:
        self.seed, self.random = seed, random.Random(seed)

    def chance(self, share: float) -> bool:
        """Whether to, with a probability."""
        return self.random.random() < share

    def draw(self) -> Written:
        """A file."""
        pick = self.random.choice
        freq = pick(list(STYLES))
        rows = self.random.randint(16, 70)
        start = pd.Timestamp(2000, 1, 1) + pd.Timedelta(hours=self.random.randrange(200_000))
        start = start if freq in {"h", "15min"} else start.normalize()
        times = pd.date_range(start.floor("h"), periods=rows, freq=freq)
        items: list[str | None] = [None]
        if self.chance(0.3):
            items = [*self.random.sample(ITEMS, self.random.randint(2, 4))]
        names = self.random.sample(NAMES, self.random.randint(1, 4))
        encoding = pick([*["utf-8"] * 4, "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252"])
        marks, code = pick(MARKS), pick(CODES)
        missing = pick([0.0, 0.0, 0.05, 0.2])
        columns = [self._cells(marks, code, missing, rows * len(items)) for _ in names]
        style = pick(STYLES[freq])
        delimiter = pick([",", ",", ",", ";", ";", "\t", "|"])
        stamps = [self._stamps(times, style)] * len(items)
        head = [pick(["date", "time", "Datum", "timestamp"])]
        cells = [[stamp] for each in stamps for stamp in each]
        if style.count(" ") and style.split(" ")[1] in CLOCKS and self.chance(0.3):
            day, clock = style.split(" ", 1)
            parts = self._stamps(times, day), self._stamps(times, clock)
            cells = [list(pair) for _ in items for pair in zip(*parts, strict=True)]
            head = ["date", "time"]
        if items[0] is not None:
            head.append(pick(["item_id", "shop", "series"]))
            owners = [item for item in items for _ in range(rows)]
            cells = [[*row, str(owner)] for row, owner in zip(cells, owners, strict=True)]
        texts = [[text for text, _ in column] for column in columns]
        cells = [[*row, *more] for row, more in zip(cells, zip(*texts, strict=True), strict=True)]
        numbers = np.array([[value for _, value in column] for column in columns]).T
        values = dict(zip(items, np.split(numbers, len(items)), strict=True))
        if self.chance(0.15):
            cells.reverse()
        about = {
            "freq": freq, "style": style, "delimiter": delimiter, "marks": marks, "code": code,
            "encoding": encoding, "items": items, "rows": rows,
        }  # fmt: skip
        if self.chance(0.08):
            cells = [[f" {cell} " for cell in row] for row in cells]
            about["padded"] = True
        text = self._framed([*head, *names], cells, delimiter, len(names), about)
        content = text.encode(encoding)
        packed, ending = self._packed(content)
        about["ending"] = ending
        order = next((kind for day, kind in DAYS.items() if style.startswith(day)), "")
        return Written(
            self.seed, f"t.csv{ending}", packed, names, times, values, marks, order, about
        )

    def _cells(
        self, marks: Marks, code: str, missing: float, count: int
    ) -> list[tuple[str, float]]:
        """Texts and values of a column, of one size and of one number of decimals."""
        digits = self.random.choice([0, 0, 1, 2, 2, 3, 4])
        size = self.random.choice([1, 30, 900, 5000, 80_000, 3_000_000])
        sign = self.random.choice([0, 0, -size])
        unit = self.random.choice([*["{}"] * 8, "{} kW", "{}%", "${}", "{} EUR"])
        found = []
        for _ in range(count):
            number = Decimal(f"{self.random.uniform(sign, size):.{digits}f}")
            code_here = self.chance(missing)
            text = code if code_here else unit.format(marks.write(number))
            found.append((text, np.nan if code_here else float(number)))
        return found

    def _stamps(self, times: pd.DatetimeIndex, style: str) -> list[str]:
        if style == "epoch":
            return [str(stamp.value // 10**9) for stamp in times]
        return [stamp.strftime(style) for stamp in times]

    def _framed(
        self,
        head: list[str],
        cells: list[list[str]],
        delimiter: str,
        values: int,
        about: dict[str, object],
    ) -> str:
        """The text: what stands above, within and below the table, and the ends of its lines."""
        out, keys = io.StringIO(newline=""), len(head) - values
        ending = self.random.choice(["\n", "\n", "\r\n", "\r"])
        quoting = csv.QUOTE_ALL if self.chance(0.1) else csv.QUOTE_MINIMAL
        trailing = self.random.choice(["", "", "", "all", "rows"])
        rows = csv.writer(out, delimiter=delimiter, lineterminator=ending, quoting=quoting)
        around = {
            "preamble": self.random.randint(1, 4) if self.chance(0.25) else 0,
            "comments": self.random.randint(1, 3) if self.chance(0.15) else 0,
            "sep": delimiter != "\t" and self.chance(0.05),
            "units": self.chance(0.12),
            "again": self.chance(0.1),
            "blank": self.chance(0.1),
            "total": self.chance(0.12),
            "footer": self.chance(0.15),
        }
        about |= {"around": around, "trailing": trailing, "line end": ending}
        if around["sep"]:
            out.write(f"sep={delimiter}{ending}")
        for line in self.random.sample(PROSE, around["preamble"]):
            rows.writerow([line])
        if around["preamble"] and self.chance(0.5):
            out.write(ending)
        for line in self.random.sample(PROSE, around["comments"]):
            out.write(f"# {line}{ending}")
        rows.writerow([*head, ""] if trailing == "all" else head)
        more = [""] if trailing else []
        if around["units"]:
            units = self.random.choices(["kW", "°C", "%", "m/s", "EUR"], k=values)
            rows.writerow([*[""] * keys, *units, *more])
        middle = len(cells) // 2
        for number, row in enumerate(cells):
            if around["again"] and number == middle:
                rows.writerow([*head, ""] if trailing == "all" else head)
            if around["blank"] and number == middle + 2:
                out.write(ending)
            rows.writerow([*row, *more])
        if around["total"]:
            rows.writerow(["Total", *[""] * (keys - 1), *cells[0][keys:], *more])
        if around["footer"]:
            out.write(ending)
            for line in self.random.sample(ENDS, 2):
                rows.writerow([line])
        return out.getvalue()

    def _packed(self, content: bytes) -> tuple[bytes, str]:
        pack: dict[str, Callable[[bytes], bytes]] = {
            ".gz": gzip.compress,
            ".bz2": bz2.compress,
            ".xz": lzma.compress,
            ".zst": _zstd,
            ".zip": _zip,
        }
        ending = self.random.choice(["", "", "", "", *pack])
        return (pack[ending](content), ending) if ending else (content, "")


def _zstd(content: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as packed:
        packed.write(content)
    return out.getvalue().to_pybytes()


def _zip(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.csv", content)
    return out.getvalue()
