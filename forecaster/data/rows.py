"""Parsing of further rows in the format of a file: a line of text → item, time and values."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.config.schema import Columns
from forecaster.data.cells import Column, Text
from forecaster.data.covariates import Covariates, read_row
from forecaster.data.numbers import Styles, numbers
from forecaster.data.reading import RawTable
from forecaster.data.roles import Layout
from forecaster.data.times.parts import Parts
from forecaster.data.times.readings import Stamps
from forecaster.data.timestamps import parse_stamps
from forecaster.errors import UserError


@dataclass(frozen=True)
class Row:
    """A row: its place in words, item (None in a wide file), local time, and values (K,).

    ``offset``: minutes east of UTC, None if the row has none. ``covariates`` (C,): known, past and
    static ones, nan where missing; ``new``: texts of theirs that the file does not hold, by column.
    """

    where: str
    item: str | None
    wall: pd.Timestamp
    offset: int | None
    values: NDArray[np.float64]
    covariates: NDArray[np.float64]
    new: Mapping[str, str]


@dataclass(frozen=True)
class RowFormat:
    """The format of a CSV file's rows: header, marks, roles of columns and style of times.

    ``covariates``: those in the file itself.
    """

    header: tuple[str, ...]
    names: tuple[str, ...]
    delimiter: str
    styles: Styles
    layout: Layout
    columns: Columns
    style: str
    parts: Parts | None
    covariates: Covariates

    def parse(self, line: str, number: int, source: str) -> Row | None:
        """Parse line ``number`` of ``source``; None for a blank line or a header on line 1."""
        try:
            cells = [
                cell.strip() for cell in next(csv.reader([line], delimiter=self.delimiter), [])
            ]
        except csv.Error as error:
            raise UserError(
                f"{source}, line {number}: not a well-formed CSV row ({error}); check its quotes"
            ) from error
        if not any(cells) or (number == 1 and tuple(cells) == self.header):
            return None
        while len(cells) > len(self.names) and not cells[-1]:
            cells.pop()  # the line ends with a delimiter
        if len(cells) != len(self.names):
            raise UserError(
                f"{source}, line {number}: {len(cells)} fields where the header has "
                f"{len(self.names)}; correct the line (a missing or an unquoted delimiter)"
            )
        texts = map(Text.of, ([cell] for cell in cells))
        columns: dict[str, Column] = dict(zip(self.names, texts, strict=True))
        if self.parts is not None:
            columns = self.parts.join(columns)
        raw = RawTable(source, columns, [number], "line", "", ())
        name = self.layout.timestamp
        stamps = parse_stamps(raw, name, self.columns)
        if stamps.style != self.style:
            raise UserError(
                f"{raw.where(0, name)}: '{columns[name][0]}' is not written as {self.style}; "
                "correct it"
            )
        values = numbers(raw, self.layout.targets, self.columns, self.styles).values[0]
        offset = None if stamps.offsets is None else int(stamps.offsets[0])
        item = "/".join(str(columns[name][0]) for name in self.layout.items) or None
        given, new = read_row(raw, [*self.covariates], self.columns, self.styles)
        return Row(raw.where(0), item, stamps.wall[0], offset, values, given, new)


def row_format(
    raw: RawTable,
    names: tuple[str, ...],
    layout: Layout,
    columns: Columns,
    stamps: Stamps,
    styles: Styles,
    parts: Parts | None,
    covariates: Covariates,
) -> RowFormat | None:
    """The format of a CSV file's rows, with columns of these names; None for other files."""
    if not raw.delimiter:
        return None
    columns = columns.model_copy(update={"date_format": stamps.date_style})
    return RowFormat(
        raw.header, names, raw.delimiter, styles, layout, columns, stamps.style, parts, covariates
    )
