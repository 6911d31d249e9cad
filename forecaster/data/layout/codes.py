"""What is asked of a column as a whole: its different values, and their kind."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.data.cells import Column, Text
from forecaster.data.marks import is_number
from forecaster.data.missing import is_missing
from forecaster.data.numbers import is_text

_PROBE = 20
_WHOLE = re.compile(r"[-+]?\d{1,15}(?:\.0+)?")
_CLOCK = re.compile(
    r"\d{1,2}(?::\d{2}){1,2}(?:[.,]\d+)?(?:\s?[ap]\.?m\.?)?|\d{1,2}\.\d{2}\.\d{2}", re.I
)
_CODES = re.compile(
    r"(?:^|[\W_])(?:id|ids|uid|uuid|code|key|sku|zip|zipcode|postcode|plz|ean|gtin|isbn)$", re.I
)
_QUALITY = re.compile(
    r"(?:^|.*_)(?:qc|qn_?\d*|flags?|(?:quality|qc)_(?:flag|code|control|level)|"
    r"qualit(?:ä|ae)ts?_?(?:niveau|byte|kennung|flag))|.+(?<!air)(?<!water)_quality"
)
_GRADES = 12  # of quality, at most
_FLAGS = frozenset(
    "true false t f yes no y n ja nein j oui non si sim on off 0 1".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Coded:
    """The different values of a column in their order, and the number of each row's (n,)."""

    values: Sequence[str]
    codes: NDArray[np.int64]

    @property
    def count(self) -> int:
        """The number of different values."""
        return len(self.values)

    @property
    def has_blanks(self) -> bool:
        """Whether a row has no value."""
        return any(map(is_missing, self.values))

    @property
    def are_flags(self) -> bool:
        """Whether all values say yes or no."""
        return {value.lower() for value in self.values} <= _FLAGS

    @property
    def are_clock_times(self) -> bool:
        """Whether all values are times of day."""
        return all(_CLOCK.fullmatch(value) for value in self.values)

    @property
    def are_numbers(self) -> bool:
        """Whether all values are numbers or missing."""
        return all(is_number(value) or is_missing(value) for value in self.values)

    @property
    def are_whole(self) -> bool:
        """Whether all values are whole numbers."""
        return all(_WHOLE.fullmatch(value) for value in self.values)

    def determines(self, other: "Coded") -> bool:
        """Whether rows that are alike here are alike there."""
        pairs = self.codes * other.count + other.codes
        return len(pd.unique(pairs)) == self.count


def coded(column: Column) -> Coded:
    """The values of a column as text, blank where one is missing."""
    if isinstance(column, Text):
        values, _, codes = column.distinct()
        return Coded(values, codes)
    codes, found = pd.factorize(column, use_na_sentinel=False)
    return Coded(["" if pd.isna(v) else _as_text(v) for v in found], codes.astype(np.int64))


def repeats(column: Column) -> bool:
    """Whether a value occurs more than once."""
    return column.repeats() if isinstance(column, Text) else not pd.Index(column).is_unique


def _as_text(value: object) -> str:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(float(value))
    return str(value)


def _first_values(column: Text) -> list[str]:
    """The values among the first cells, or the first values at all."""
    return column.present or [
        cell for cell in column.distinct()[0][:_PROBE] if not is_missing(cell)
    ]


def starts_whole(column: Column) -> bool:
    """Whether the first values are whole numbers."""
    if isinstance(column, pd.DatetimeIndex):
        return False
    if isinstance(column, np.ndarray):
        return bool((column[:_PROBE] % 1 == 0).all())
    present = _first_values(column)
    return bool(present) and all(map(_WHOLE.fullmatch, present))


def starts_numeric(column: Column) -> bool:
    """Whether the first values are numbers."""
    if isinstance(column, pd.DatetimeIndex):
        return False
    if isinstance(column, np.ndarray):
        return True
    present = _first_values(column)
    return bool(present) and all(map(is_number, present))


def _words(name: str) -> str:
    """A name in lower case, its words apart: ``dataQuality`` is ``data_quality``."""
    return re.sub(r"\W+", "_", re.sub(r"([a-z])([A-Z])", r"\1_\2", name)).lower()


def holds_codes(name: str, column: Column) -> bool:
    """Whether a column of whole numbers is called like a code: ``CustomerID``, ``zip``."""
    if _CODES.search(_words(name)) is None:
        return False
    return starts_whole(column) and all(
        _WHOLE.fullmatch(value) or is_missing(value) for value in coded(column).values
    )


def grades_quality(name: str, column: Column, others: Collection[str]) -> bool:
    """Whether a column of few whole numbers is called like a flag, of quality or of another column.

    ``QN_9``, ``temp_qc``; ``QTX`` beside ``TX``.
    """
    of_another = name[:1] == "Q" and name.isupper() and name[1:] in others
    if not (of_another or _QUALITY.fullmatch(_words(name))) or not starts_whole(column):
        return False
    found = coded(column)
    values = [value for value in found.values if not is_missing(value)]
    few = min(_GRADES, len(found.codes) // 3)
    return len(values) <= few and all(map(_WHOLE.fullmatch, values))


def starts_with_words(column: Column) -> bool:
    """Whether the first values are text without a number."""
    if not isinstance(column, Text):
        return False
    present = _first_values(column)
    return bool(present) and not any(map(is_number, present))


def is_words(column: Column) -> bool:
    """Whether a column is text, told by its different values."""
    return isinstance(column, Text) and starts_with_words(column) and is_text(column.distinct()[0])
