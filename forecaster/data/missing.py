"""Codes for missing values: those that are known, those that a user names, and suspected ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from forecaster.data.digits import shortest
from forecaster.data.layout.words import option

MISSING = frozenset(
    {"", "-", "--", "---", "–", "—", ".", "..", "...", "…", "?", ":", "\\n", "na", "<na>", "n/a"}
    | {"n.a.", "nan", "-nan", "nat", "null", "<null>", "(null)", "nil", "none", "missing"}
    | {"#n/a", "#n/a n/a", "#na", "#div/0!", "#value!", "#ref!", "#num!", "#name?", "#null!"}
    | {"1.#qnan", "-1.#ind", "-1.#qnan", "1.#ind"}
)
# numbers that programs write in place of a value
_USUAL = frozenset(
    sign * number
    for number in (99, 999, 9999, 99999, 999999, 9999999, 99.9, 999.9, 9999.9, 99.99, 999.99)
    for sign in (-1.0, 1.0)
) | {-200.0, -888.0, -8888.0, -32768.0, 32767.0, 65535.0, 1e20, -1e20, 9.96921e36}


@dataclass(frozen=True)
class Codes:
    """The texts and numbers that stand for a missing value; ``more``: those that a user names."""

    more: tuple[str, ...] = ()

    @cached_property
    def folded(self) -> frozenset[str]:
        """All of them in small letters."""
        return MISSING | {code.strip().lower() for code in self.more}

    @cached_property
    def _spellings(self) -> pa.Array:
        ways = (str.lower, str.upper, str.capitalize, str.title)
        named = {code.strip() for code in self.more}
        nan = {"NaN", "-NaN", "NaT", "<Na>"}
        return pa.array(sorted({way(code) for code in self.folded for way in ways} | named | nan))

    @cached_property
    def _small(self) -> pa.Array:
        return pa.array(sorted(self.folded))

    @property
    def named(self) -> Iterator[tuple[str, float]]:
        """Those that a user names, as text and as number (nan for no number)."""
        for code in self.more:
            try:
                yield code.lower(), float(code)
            except ValueError:
                yield code.lower(), np.nan

    def usual(self, cells: pa.ChunkedArray) -> pa.ChunkedArray:
        """Which cells are codes in a usual spelling, such as NA and NaN but not nA."""
        return pc.is_in(cells, value_set=self._spellings)

    def any(self, cells: pa.ChunkedArray) -> pa.ChunkedArray:
        """Which cells are codes, in capital or in small letters."""
        return pc.is_in(pc.utf8_lower(cells), value_set=self._small)


def is_missing(cell: str) -> bool:
    """Whether a cell stands for a missing value, such as a blank, NA, ``-`` or ``?``."""
    return cell.lower() in MISSING


def is_usual(number: float) -> bool:
    """Whether programs are known to write a number in place of a value."""
    return number in _USUAL


@dataclass(frozen=True)
class Suspect:
    """A number that seems to stand for missing values, and how often it occurs."""

    value: float
    count: int

    @property
    def is_usual(self) -> bool:
        """Whether programs are known to write it in place of a value."""
        return is_usual(self.value)


def suspected_codes(values: NDArray[np.float64]) -> list[Suspect]:
    """The lowest or highest of ``values`` (n,), if it repeats and lies far off all others.

    Far is more than the range of the others for numbers that programs write (-200, -999, 9999 …),
    and more than ten times that for other whole numbers.
    """
    values = values[np.isfinite(values)]
    found = []
    for sign in (1.0, -1.0, 1.0):  # again: the highest may have hidden the lowest
        signed = sign * values
        code = float(signed.min(initial=np.inf))
        usual, count = sign * code in _USUAL, int((signed == code).sum())
        if count < 2 or count == len(signed) or not (usual or code.is_integer()):
            continue
        rest = signed[signed > code]
        gap, spread = float(rest.min()) - code, float(rest.max() - rest.min())
        if gap > spread if usual else gap > 10 * spread > 0 and count <= len(rest):
            found.append(Suspect(sign * code, count))
            values = values[values != sign * code]
    return sorted(found, key=lambda suspect: suspect.value)


def suspicion(name: str, suspects: Sequence[Suspect], named: Sequence[str] = ()) -> str:
    """What to tell about the suspected codes of a column; ``named``: codes that are named already,
    which the option takes besides.
    """
    counts = ", ".join(f"{shortest(each.value)} ({each.count} times)" for each in suspects)
    codes = option("missing", [*named, *(shortest(each.value) for each in suspects)])
    return (
        f"column '{name}': {counts} lies far off all other values; if that stands for missing "
        f"values, give {codes}"
    )
