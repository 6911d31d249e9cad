"""Columns of a table as numbers."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from forecaster.config.schema import Columns
from forecaster.data.cells import Column, Text
from forecaster.data.digits import shortest
from forecaster.data.layout.words import listed, or_without
from forecaster.data.marks import NumberStyle, find, given_style, proves_decimal
from forecaster.data.missing import Codes
from forecaster.data.reading import RawTable
from forecaster.data.written import (
    Written,
    has_numbers,
    infinite,
    read_alike,
    read_written,
    side_of_limit,
)
from forecaster.errors import UserError

LARGEST = 1e36  # below float32's maximum of 3e38, so that sums do not overflow
_AT_ONCE = 1 << 20  # cells converted at once
_NAMED = 3  # columns that a decision names
_POINT = re.compile(proves_decimal("."))

Styles = Mapping[str, NumberStyle]


@dataclass(frozen=True)
class Numbers:
    """Values (n, K), nan where missing; the styles of the columns, and what to tell of them."""

    values: NDArray[np.float64]
    styles: Styles
    decisions: tuple[str, ...]


def is_text(column: Column) -> bool:
    """Whether a column has values, none of which is a number (with the unit of the others)."""
    return isinstance(column, Text) and has_numbers(column) is False


def numbers(
    raw: RawTable, names: Sequence[str], columns: Columns, known: Styles | None = None
) -> Numbers:
    """Columns as float64; raises UserError for cells that are neither numbers nor missing.

    ``known``: the styles of the columns of a file whose further rows these are.
    """
    codes, given = Codes(columns.missing or ()), given_style(columns.decimal, columns.thousands)
    styles = {name: (known or {}).get(name, given) for name in names}
    usual = NumberStyle()  # of the column before
    # that a value column can be left out for; of a table on its side all columns are one
    others = names if columns.layout in {None, "wide", "long"} else ()
    values, examples = np.empty((len(raw.places), len(names))), dict[str, str]()
    unusual = dict[str, Mapping[str, tuple[str, int]]]()
    for begin, end in _batches(len(raw.places), len(names)):
        batch = names[begin:end]
        if (plain := _plain(raw, batch, styles, codes)) is not None:
            values[:, begin:end] = plain.T
            continue
        for k, name in enumerate(batch, start=begin):
            found = _column(raw, name, styles[name], codes, usual, others)
            values[:, k], styles[name], examples[name] = found.values, found.style, found.example
            unusual[name] = found.unusual
            usual = styles[name] if known is None else usual
    decisions = [*_in_words(examples, styles), *_unusual(unusual)]
    decisions += _leave_out(raw, names, values, codes)
    _check_sizes(raw, names, values)
    return Numbers(values, _with_common_mark(styles), tuple(decisions))


def _batches(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    width = max(1, _AT_ONCE // max(rows, 1))
    for begin in range(0, columns, width):
        yield begin, min(begin + width, columns)


def _plain(
    raw: RawTable, names: Sequence[str], styles: dict[str, NumberStyle], codes: Codes
) -> NDArray[np.float64] | None:
    """Columns (K, n) of text in which a point, if there is one, is decimal; None for others."""
    texts = [text for name in names if isinstance(text := raw.columns[name], Text)]
    if len(texts) < len(names):
        return None
    cells = pa.chunked_array([chunk for text in texts for chunk in text.arrow.chunks])
    missing = codes.usual(cells)
    if pc.any(missing).as_py():
        cells = pc.if_else(missing, "nan", cells)
    try:
        values = cells.cast(pa.float64()).to_numpy().reshape(len(texts), -1)
    except pa.ArrowInvalid:
        return None
    found = [_with_point(text, styles[name]) for name, text in zip(names, texts, strict=True)]
    plain = [style for style in found if style is not None]
    if len(plain) < len(found):
        return None
    styles |= zip(names, plain, strict=True)
    return values


def _with_point(text: Text, known: NumberStyle) -> NumberStyle | None:
    """The style of plain numbers; None where a point may be no decimal one, or a unit is due."""
    if known.unit:
        return None
    if known.decimal == ".":
        return known
    some = (text.first,) if _POINT.search(text.first) else text.head
    if not known.decimal and any(map(_POINT.search, some)):
        return replace(known, decimal=".")
    if not pc.any(pc.match_substring(text.arrow, ".")).as_py():
        return known
    proven = not known.decimal and find(text.arrow, proves_decimal(".")) is not None
    return replace(known, decimal=".") if proven else None


def _column(
    raw: RawTable,
    name: str,
    style: NumberStyle,
    codes: Codes,
    usual: NumberStyle,
    others: Sequence[str],
) -> Written:
    """A column of any kind; ``style``: what is known of it.

    ``others``: the value columns, one of which can be left out; none where all are one.
    """
    column = raw.columns[name]
    if isinstance(column, np.ndarray):
        return Written(column, style, "")
    if isinstance(column, Text) and not style.unit:
        alike = read_alike(column, codes, usual)
        if alike is not None:
            return alike
    unless = or_without(name, others)
    if isinstance(column, pd.DatetimeIndex):
        raise UserError(
            f"{raw.path}, column '{name}': holds dates, not numbers; give numbers{unless}"
        )
    styles = {name: style}
    if (plain := _plain(raw, [name], styles, codes)) is not None:
        return Written(plain[0], styles[name], "")
    return read_written(raw, name, codes, style, unless)


def _with_common_mark(styles: Styles) -> Styles:
    """Columns without a decimal mark have that of all others, as further rows will."""
    marks = {style.decimal for style in styles.values()} - {""}
    if len(marks) != 1:
        return styles
    (mark,) = marks
    return {
        name: style if style.decimal or style.thousands == mark else replace(style, decimal=mark)
        for name, style in styles.items()
    }


def _in_words(examples: Mapping[str, str], styles: Styles) -> Iterator[str]:
    """A line for each style with a thousands mark or a unit, with an example."""
    shown = {name: example for name, example in examples.items() if example}
    for style, count in Counter(styles[name] for name in shown).items():
        name = next(name for name in shown if styles[name] == style)
        others = f" (and in {count - 1} more columns)" if count > 1 else ""
        yield f"column '{name}': {shown[name]}, with {style.in_words}{others}"


def _unusual(found: Mapping[str, Mapping[str, tuple[str, int]]]) -> Iterator[str]:
    """A line for each way of a program's own, with an example."""
    for way in dict.fromkeys(way for ways in found.values() for way in ways):
        columns = {name: ways[way] for name, ways in found.items() if way in ways}
        example = next(iter(columns.values()))[0]
        count = sum(count for _, count in columns.values())
        yield f"{example}, {way}: {count} time(s) in column {_shown([*columns])}"


def _shown(names: Sequence[str]) -> str:
    return listed(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")


def _leave_out(
    raw: RawTable, names: Sequence[str], values: NDArray[np.float64], codes: Codes
) -> Iterator[str]:
    """Take the numbers that a user named as missing, and say how many cells were codes."""
    for text, number in codes.named:
        found = values == number
        values[found] = np.nan
        cells = [_equal(raw.columns[name], text) for name in names]
        counts = found.sum(axis=0) + [len(each) for each in cells]
        where = [name for name, count in zip(names, counts, strict=True) if count]
        if where:
            side = side_of_limit(text)
            known = "" if side is None else f", although these values are known to be {side}"
            written = next((each[0].as_py() for each in cells if len(each)), text)
            times = f"{counts.sum()} time(s) in column {_shown(where)}"
            yield f"{written} taken as missing: {times}{known}"


def _equal(column: Column, text: str) -> pa.ChunkedArray:
    """The cells that are this text, in capital or in small letters."""
    if not isinstance(column, Text):
        return pa.chunked_array([], pa.string())
    return column.arrow.filter(pc.equal(pc.utf8_lower(column.arrow), text))


def _check_sizes(raw: RawTable, names: Sequence[str], values: NDArray[np.float64]) -> None:
    largest = np.maximum(np.fmax.reduce(values), -np.fmin.reduce(values))
    for name, size, column in zip(names, largest.tolist(), values.T):
        if not size > LARGEST:
            continue
        if np.isinf(size):
            raise infinite(raw.where(int(np.argmax(np.isinf(column))), name))
        row = int(np.argmax(np.abs(column) > LARGEST))
        raise UserError(
            f"{raw.where(row, name)}: {shortest(column[row])} is beyond {LARGEST:g}, too large to "
            "compute with; correct it, or leave it blank for missing"
        )
