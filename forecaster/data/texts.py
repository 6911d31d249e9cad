"""A column of a file as an Arrow array of texts, for whole-column operations."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from forecaster.data.cells import Column, Text

_BITS = 53  # beyond them float64 has no fraction


def as_texts(column: Column | list[str]) -> pa.StringArray:
    """The cells as a file would have them, '' where one is missing; whole numbers without .0."""
    if isinstance(column, Text):
        return column.arrow.combine_chunks()
    if isinstance(column, pd.DatetimeIndex):
        return _from_times(column)
    if isinstance(column, np.ndarray):
        texts = [_of_number(float(value)) for value in column]
        return pa.array(texts, pa.string())
    return pc.fill_null(pa.array(column, pa.string()), "")


def _of_number(value: float) -> str:
    if not np.isfinite(value):
        return ""
    return str(int(value)) if value == int(value) and abs(value) < 2.0**_BITS else repr(value)


def _from_times(column: pd.DatetimeIndex) -> pa.StringArray:
    style = "%Y-%m-%d" if bool((column == column.normalize()).all()) else "%Y-%m-%d %H:%M:%S%z"
    return pc.fill_null(pa.array(column.strftime(style), pa.string(), from_pandas=True), "")


def distinct(texts: pa.StringArray) -> list[str]:
    """The different cells, in the order of their first appearance."""
    return texts.unique().to_pylist()


def joined(columns: list[pa.StringArray], separator: str) -> pa.StringArray:
    """The cells of each row in one, '' where one of them is blank."""
    whole = pc.binary_join_element_wise(*columns, separator)
    for cells in columns:
        whole = pc.if_else(pc.equal(cells, ""), "", whole)
    return whole
