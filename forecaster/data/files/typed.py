"""Typed values (of Parquet, Arrow, JSON, workbooks and frames) → columns."""

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from forecaster.data.cells import Column, Text


def column_of_arrow(values: pa.ChunkedArray) -> Column:
    """A column of Arrow's types; whole numbers become text, for they may be years or items."""
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        return column_of_objects(values.to_pandas())
    if pa.types.is_dictionary(kind):
        return column_of_arrow(values.cast(kind.value_type))
    if pa.types.is_timestamp(kind):
        return pd.DatetimeIndex(values.to_pandas())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return values.cast(pa.float64()).to_numpy()
    if pa.types.is_boolean(kind):
        texts = pc.if_else(values, "True", "False")
    elif pa.types.is_integer(kind) or pa.types.is_date(kind) or _is_string(kind):
        texts = values.cast(pa.string())
    else:
        return column_of_objects(values.to_pylist())
    return Text(pc.utf8_trim_whitespace(pc.fill_null(texts, "")))


def _is_string(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view()


def column_of_series(values: pd.Series) -> Column:
    """A column of a frame."""
    if isinstance(values.dtype, pd.DatetimeTZDtype) or values.dtype.kind == "M":
        return pd.DatetimeIndex(values)
    if pd.api.types.is_float_dtype(values):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    try:
        found = pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError):
        return column_of_objects(values)
    if isinstance(found.type, pa.BaseExtensionType):
        return column_of_objects(values)
    return column_of_arrow(
        found if isinstance(found, pa.ChunkedArray) else pa.chunked_array([found])
    )


def column_of_objects(values: Iterable[object]) -> Column:
    """A column of Python's values of several types, as text."""
    return Text.of(text_of(value) for value in values)


def text_of(value: object) -> str:
    """A value as text, '' for a missing one; the point of a number is decimal beyond doubt."""
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        text = repr(float(value))
        return text.removesuffix(".0") if "e" in text or text.endswith(".0") else text + "0"
    return str(value).strip()
