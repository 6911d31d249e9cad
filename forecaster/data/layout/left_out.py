"""Which columns hold values, and which are left out: row numbers and text."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from forecaster.config.schema import Columns
from forecaster.data.cells import Column, Text
from forecaster.data.covariates import MOST_LEVELS
from forecaster.data.layout.calendar_columns import could_repeat, repeats_the_calendar
from forecaster.data.layout.codes import coded, grades_quality, holds_codes, is_words
from forecaster.data.layout.keys import names_series
from forecaster.data.layout.row_numbers import could_number, numbers_rows
from forecaster.data.layout.words import listed
from forecaster.data.missing import Codes
from forecaster.data.numbers import numbers
from forecaster.data.reading import RawTable
from forecaster.data.timestamps import looks_like_time
from forecaster.errors import UserError

TIMES, TEXT, ROW_NUMBERS = "holds times", "text", "numbers the rows"
EMPTY, CODES = "has no values", "holds codes, no quantities"
FLAGS = "holds flags, no quantities"
CALENDAR, ONE = "repeats the time", "is the same in all rows"
# what says where or by which clock values are measured, if it is the same in all rows
_OF_ALL_ROWS = re.compile(
    r"alti(?:tude)?|elev(?:ation)?|(?:(?:utc|gmt|tz|time[ _]?zone)[ _]?)?offset", re.IGNORECASE
)
_MEASURED = re.compile(r"\W{0,3}\d")
_IDENTIFIER = re.compile(r"\d+[A-Za-z_]+\d{3}")  # 2016A000011124


@dataclass(frozen=True)
class Values:
    """The value columns, and why others are left out, by name.

    ``categories``: the texts among these that a covariate could be.
    """

    targets: tuple[str, ...]
    left_out: Mapping[str, str]
    categories: Collection[str] = ()

    @property
    def decisions(self) -> list[str]:
        """What is said of the columns left out."""
        named = dict[str, list[str]]()
        for name, why in self.left_out.items():
            hint = "; --known reads what is known ahead" if name in self.categories else ""
            named.setdefault(why + hint, []).append(name)
        return [f"column {listed(names)} left out: {why}" for why, names in named.items()]


def find_values(
    raw: RawTable,
    times: tuple[str, ...],
    items: tuple[str, ...],
    columns: Columns,
    wanted: Collection[str] = (),
) -> Values:
    """The value columns; raises UserError for none.

    ``times``: the time column, and those that follow from it. ``wanted``: columns that a model
    reads, which are not left out.
    """
    rest = [name for name in raw.columns if name not in {*times, *items}]
    words = [name for name in rest if is_words(raw.columns[name])]
    left_out, codes = {}, Codes(columns.missing or ())
    for name in rest:
        if name not in wanted and _is_empty(raw.columns[name], codes):
            left_out[name] = EMPTY
        elif _holds_times(raw.columns[name], name in words, columns):
            left_out[name] = TIMES
        elif name in words and name not in wanted and _is_label(raw, name):
            left_out[name] = TEXT
    values = [name for name in rest if name not in left_out]
    free = [name for name in values if name not in wanted]
    no_series = {name: why for name in free if (why := _no_series(raw, name, items, columns))}
    if len(no_series) < len(values):
        left_out |= no_series
    targets = tuple(name for name in values if name not in left_out)
    if not targets:
        beside = f" ({listed(left_out)}: {TEXT})" if left_out else ""
        raise UserError(
            f"{raw.path}: no value column beside {listed([*times, *items])}{beside}; add one"
        )
    categories = [] if wanted else _categories(raw, left_out, codes)
    return Values(targets, left_out, categories)


def _categories(raw: RawTable, left_out: Mapping[str, str], codes: Codes) -> list[str]:
    """The texts, and the flags of yes or no, that a covariate could be."""
    return [
        name
        for name, why in left_out.items()
        if (why == TEXT or (why == FLAGS and coded(raw.columns[name]).are_flags))
        and _is_category(raw.columns[name], codes)
    ]


def _is_empty(column: Column, codes: Codes) -> bool:
    """Whether all values of a column are missing."""
    if isinstance(column, Text):
        if column.first.lower() not in codes.folded:
            return False
        return bool(pc.all(codes.any(column.arrow)).as_py())
    return bool(pd.isna(column).all())


def _holds_times(column: Column, is_text: bool, columns: Columns) -> bool:
    """Whether a column holds times as such or as text, whatever it is called."""
    if isinstance(column, pd.DatetimeIndex):
        return True
    return is_text and looks_like_time("", column, columns)


def _is_label(raw: RawTable, name: str) -> bool:
    """Whether a column is text that does not look like numbers that could not be read.

    Nor do identifiers, and one text in all rows.
    """
    found = coded(raw.columns[name])
    if found.count == 1 < len(found.codes):
        return True
    measured = [value for value in found.values if _MEASURED.match(value)]
    measured = [value for value in measured if not _IDENTIFIER.match(value)]
    return 2 * len(measured) < found.count


def _is_category(column: Column, missing: Codes) -> bool:
    """Whether the texts of a column are few enough to be learnt from, and no single one."""
    found = {each.strip() for each in coded(column).values}
    texts = {each for each in found if each and each.lower() not in missing.folded}
    return len(found) > 1 and len(texts) <= MOST_LEVELS["known"]


def _no_series(raw: RawTable, name: str, items: tuple[str, ...], columns: Columns) -> str:
    """Why a column of numbers is no series, told by its name and its values; '' if it is one."""
    if grades_quality(name, raw.columns[name], [other for other in raw.columns if other != name]):
        return FLAGS
    is_first = name == next(iter(raw.columns))
    is_named = names_series(name) or _OF_ALL_ROWS.fullmatch(name) is not None
    if not (could_number(name, is_first) or is_named or could_repeat(name)):
        return CODES if holds_codes(name, raw.columns[name]) else ""
    try:
        values = numbers(raw, [name], columns).values[:, 0]
    except UserError:
        return ""
    if repeats_the_calendar(name, values):
        return CALENDAR
    if is_named and (values == values[0]).all():
        return ONE
    if _counts(raw, name, items, values, is_first):
        return ROW_NUMBERS
    return CODES if holds_codes(name, raw.columns[name]) else ""


def _counts(
    raw: RawTable, name: str, items: tuple[str, ...], values: NDArray[np.float64], is_first: bool
) -> bool:
    if not could_number(name, is_first):
        return False
    groups = np.zeros(len(values), np.int64)
    for item in items:
        codes = coded(raw.columns[item])
        groups = groups * codes.count + codes.codes
    return numbers_rows(name, values, groups, is_first)
