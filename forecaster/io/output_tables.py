"""Forecast tables as bytes: Parquet, or CSV whose names no spreadsheet interprets as formulas."""

import io
import re
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

# the columns that hold names from the user's data
_NAMES = ("item_id", "model", "data")
# what a spreadsheet interprets as the start of a formula (OWASP, "CSV injection"), in ASCII and in
# full width
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


_AT_ONCE = 50_000  # rows whose text is in memory

# the kinds of files that a table of forecasts is written as
KINDS = (".csv", ".parquet")
# the columns of a forecast that hold no numbers
TEXTS = ("item_id", "timestamp", "status")
# those that hold numbers, but no quantile
_CENTRES = ("mean", "median")


def point_column(forecast: pd.DataFrame) -> str:
    """The column with the point forecast: the median of models whose centre it is."""
    return "median" if "median" in forecast else "mean"


def level_columns(forecast: pd.DataFrame) -> list[str]:
    """The columns with quantiles, which are named by their levels."""
    names = map(str, forecast.columns)
    return [name for name in names if name not in {*TEXTS, *_CENTRES}]


def spreadsheet_safe(name: str) -> str:
    """``name``, prefixed with ``'`` if a spreadsheet would interpret it as a formula.

    Numbers, such as -5, are unchanged.
    """
    return f"'{name}" if _FORMULA.match(name) and not _NUMBER.fullmatch(name) else name


def plain_name(name: str) -> str:
    """The inverse of ``spreadsheet_safe``."""
    plain = name.removeprefix("'")
    return plain if spreadsheet_safe(plain) == name else name


def csv_text(frame: pd.DataFrame, header: bool = True) -> str:
    """A table as CSV, its names made safe for spreadsheets."""
    names = [name for name in _NAMES if name in frame]
    frame = frame.assign(
        **{
            name: [spreadsheet_safe(n) if isinstance(n, str) else n for n in frame[name]]
            for name in names
        }
    )
    # written with \r\n, so that a name with a lone carriage return is quoted and starts no new row
    text = frame.to_csv(index=False, header=header, lineterminator="\r\n")
    return text.replace("\r\n", "\n")


def table_bytes(frame: pd.DataFrame, kind: str) -> bytes:
    """A table of forecasts as the content of a file of a ``kind``: ``.parquet``, or else CSV."""
    if kind != ".parquet":
        return csv_text(frame).encode()
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


class TableWriter:
    """Writes a table of forecasts part by part, as ``table_bytes`` does a whole one."""

    def __init__(self, path: Path, kind: str) -> None:
        self.path, self.kind, self.rows = path, kind, 0
        self._open = ExitStack()

    def __enter__(self) -> "TableWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def write(self, frame: pd.DataFrame) -> None:
        """Append a part; all have the same columns."""
        if self.kind == ".parquet":
            table = pa.Table.from_pandas(frame, preserve_index=False)
            if not self.rows:
                self._parquet = self._open.enter_context(
                    pq.ParquetWriter(self.path, table.schema, compression="snappy")
                )
            self._parquet.write_table(table)
        else:
            if not self.rows:
                self._text = self._open.enter_context(self.path.open("w", encoding="utf-8"))
            for begin in range(0, max(len(frame), 1), _AT_ONCE):
                header = not self.rows and not begin
                self._text.write(csv_text(frame.iloc[begin : begin + _AT_ONCE], header=header))
        self.rows += len(frame)


def read_table_bytes(content: bytes, kind: str) -> pd.DataFrame:
    """Parse what ``table_bytes`` wrote; names keep their ``'``.

    Raises ValueError or KeyError for any other content.
    """
    if kind == ".parquet":
        return pd.read_parquet(io.BytesIO(content))
    frame = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
    values = {
        name: frame[name].replace("", "nan").astype(float)  # correctly rounded, unlike to_numeric
        for name in frame.columns
        if name not in TEXTS
    }
    return frame.assign(**values)


def kind_of(path: Path) -> str:
    """``.parquet``, or ``.csv`` for every other file extension."""
    return ".parquet" if path.suffix.lower() == ".parquet" else ".csv"


def renamed_items(names: Iterable[str]) -> list[str]:
    """A decision, in words, for each name that CSV holds with a ``'`` before it."""
    return [
        f"series {name!r} is written as {spreadsheet_safe(name)!r}: a spreadsheet would take its "
        "name for a formula"
        for name in dict.fromkeys(names)
        if spreadsheet_safe(name) != name
    ]
