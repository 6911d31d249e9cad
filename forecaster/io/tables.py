"""Forecast tables as bytes: CSV that no spreadsheet takes for formulas, or Parquet."""

import io
import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

# the columns that hold names from outside
_NAMES = ("item_id", "model", "data")
# what a spreadsheet takes for the beginning of a formula (OWASP, "CSV injection"), in ASCII and in
# full width
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def spreadsheet_safe(name: str) -> str:
    """``name``, with ``'`` before it where a spreadsheet would take it for a formula; numbers stay
    as they are.
    """
    return f"'{name}" if _FORMULA.match(name) and not _NUMBER.fullmatch(name) else name


def csv_text(frame: pd.DataFrame, header: bool = True) -> str:
    """A table as CSV, the names in it safe for spreadsheets."""
    names = [name for name in _NAMES if name in frame]
    frame = frame.assign(
        **{
            name: [spreadsheet_safe(n) if isinstance(n, str) else n for n in frame[name]]
            for name in names
        }
    )
    # cells with a part of the line's end are quoted, so that a name with a lone carriage return
    # begins no row of its own
    return frame.to_csv(
        index=False, header=header, float_format="%.8g", lineterminator="\r\n"
    ).replace("\r\n", "\n")


def table_bytes(frame: pd.DataFrame, kind: str) -> bytes:
    """A table of forecasts as the content of a file that ends in ``kind``: ``.parquet``, or else
    CSV.
    """
    if kind != ".parquet":
        return csv_text(frame).encode()
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def read_table_bytes(content: bytes, kind: str) -> pd.DataFrame:
    """The table that ``table_bytes`` wrote, names as they stand there. Raises ValueError or
    KeyError for anything else.
    """
    if kind == ".parquet":
        return pd.read_parquet(io.BytesIO(content))
    frame = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
    values = {
        name: pd.to_numeric(frame[name], errors="coerce")
        for name in frame.columns.drop(["item_id", "timestamp"])
    }
    return frame.assign(**values)


def kind_of(path: Path) -> str:
    """``.parquet``, or ``.csv`` for every other ending."""
    return ".parquet" if path.suffix.lower() == ".parquet" else ".csv"


def renamed(names: Iterable[str]) -> list[str]:
    """A decision for each name that CSV carries with a ``'``."""
    return [
        f"series {name!r} is written as {spreadsheet_safe(name)!r}: a spreadsheet would take its "
        "name for a formula"
        for name in dict.fromkeys(names)
        if spreadsheet_safe(name) != name
    ]
