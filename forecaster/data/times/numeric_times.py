"""Times written as plain numbers: seconds since 1970, serial numbers of a spreadsheet, years."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from forecaster.data.times.styles import FIRST_YEAR, LAST_YEAR

EXCEL, DECIMAL_YEAR, EPOCH_DAYS = "excel", "decimal-year", "epoch-days"
# the units in nanoseconds, and the values from 1973 to 2286, or of days from 1997 on
_EPOCHS = {
    "epoch-s": (10**9, 10**8, 10**10),
    "epoch-ms": (10**6, 10**11, 10**13),
    "epoch-us": (10**3, 10**14, 10**16),
    "epoch-ns": (1, 10**17, 2**63 - 1),
    EPOCH_DAYS: (86_400 * 10**9, 10_000, 30_000),
}
KINDS = (*_EPOCHS, EXCEL, DECIMAL_YEAR)
_SERIALS = (10_000, 75_000)  # 1927 to 2105
_NUMBER = r"^-?\d+([.,]\d+)?$"
_FAR = 2**63 - 1
_MONTH_DIGITS = 0.12  # of a month: years of two digits after the point, days of mid-months


def is_plain_number(text: str) -> bool:
    """Whether a text is a number, with a decimal mark or none."""
    return re.match(_NUMBER, text) is not None


def whole_numbers(texts: pa.StringArray) -> pa.StringArray | None:
    """Texts that are all numbers, with a decimal point, whole ones without it; else None."""
    if not pc.all(pc.match_substring_regex(texts, _NUMBER)).as_py():
        return None
    return pc.replace_substring_regex(pc.replace_substring(texts, ",", "."), r"\.0+$", "")


def fitting_numbers(numbers: pa.StringArray) -> list[str]:
    """The kinds of numeric times that all of these can be."""
    values = pc.cast(numbers, pa.float64()).to_numpy(zero_copy_only=False)
    low, high = values.min(), values.max()
    found = [kind for kind, (_, least, most) in _EPOCHS.items() if least <= low and high < most]
    if _SERIALS[0] <= low and high < _SERIALS[1]:
        found.append(EXCEL)
    with_fraction = bool((values != np.floor(values)).any())
    if with_fraction and low >= FIRST_YEAR and high < LAST_YEAR:
        found = [DECIMAL_YEAR]
    return [kind for kind in found if not (with_fraction and kind in {EPOCH_DAYS, "epoch-ns"})]


def read_numbers(numbers: pa.StringArray, kind: str) -> pd.DatetimeIndex:
    """Times from numbers of a kind, NaT beyond the years that can be told; epochs' are in UTC."""
    if kind in _EPOCHS:
        return _since_1970(numbers, _EPOCHS[kind][0])
    values = pc.cast(numbers, pa.float64()).to_numpy(zero_copy_only=False)
    return _from_serials(values) if kind == EXCEL else _from_years(values)


def is_utc(kind: str) -> bool:
    """Whether numbers of this kind count from a moment, not from a local day."""
    return kind in _EPOCHS and kind != EPOCH_DAYS


def _since_1970(numbers: pa.StringArray, unit: int) -> pd.DatetimeIndex:
    whole = pc.replace_substring_regex(numbers, r"\..*", "")
    rest = pc.cast(pc.replace_substring_regex(numbers, r"^-?\d+", "0"), pa.float64())
    far = pc.match_substring_regex(whole, r"\d{20}|^-?9[2-9]\d{17}")
    counts = pc.cast(pc.if_else(far, str(_FAR), whole), pa.int64()).to_numpy(zero_copy_only=False)
    limit = _FAR // unit
    inside = np.abs(counts) < limit
    fraction = np.round(rest.to_numpy(zero_copy_only=False) * unit).astype(np.int64)
    total = np.where(inside, counts, 0) * unit + fraction
    return pd.DatetimeIndex(np.where(inside, total, np.iinfo(np.int64).min).view("M8[ns]"))


def _from_serials(values: NDArray[np.float64]) -> pd.DatetimeIndex:
    """Days since 30 December 1899, to the minute if all are within a second of one."""
    seconds = np.round(values * 86_400)
    minutes = np.round(seconds / 60) * 60
    seconds = minutes if np.abs(seconds - minutes).max() <= 1 else seconds
    return pd.DatetimeIndex(
        np.datetime64("1899-12-30", "ns") + seconds.astype(np.int64).astype("m8[s]")
    )


def _from_years(values: NDArray[np.float64]) -> pd.DatetimeIndex:
    """Years with a fraction: their months where all are starts or middles of months, else days."""
    years = np.floor(values + 1e-9).astype(np.int64)
    months = (values - years) * 12
    starts = np.abs(months - np.round(months)) < _MONTH_DIGITS
    middles = np.abs(months - np.floor(months) - 0.5) < _MONTH_DIGITS
    first = years.astype(str).astype("M8[Y]") if len(years) else np.array([], "M8[Y]")
    if starts.all() or middles.all():
        month = np.round(months) if starts.all() else np.floor(months)
        counted = (years - 1970) * 12 + month.astype(np.int64)
        return pd.DatetimeIndex(counted.astype("M8[M]").astype("M8[ns]"))
    begin, end = first.astype("M8[D]"), (first + 1).astype("M8[D]")
    days = (values - years) * (end - begin).astype(np.int64)
    return pd.DatetimeIndex((begin + np.floor(days + 0.02).astype(np.int64)).astype("M8[ns]"))
