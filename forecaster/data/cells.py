"""The columns of a table: text, numbers or times."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import SupportsIndex, overload

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from forecaster.data.missing import is_missing

_HEAD = 20
_AT_ONCE = 65_536  # cells made into Python strings at once


class Text(Sequence[str]):
    """A column of text (n,) in Arrow's memory; a Python string is made only where it is asked for.

    ``arrow``: the cells, none of them null.
    """

    def __init__(self, arrow: pa.ChunkedArray) -> None:
        self.arrow = arrow

    @classmethod
    def of(cls, cells: Iterable[str]) -> "Text":
        """A column of Python strings."""
        return cls(pa.chunked_array([pa.array(list(cells), pa.string())]))

    def __len__(self) -> int:
        return len(self.arrow)

    @overload
    def __getitem__(self, row: SupportsIndex) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: SupportsIndex | slice) -> str | list[str]:
        cells = self.arrow[row if isinstance(row, slice) else int(row)]
        return cells.to_pylist() if isinstance(row, slice) else cells.as_py()

    def __iter__(self) -> Iterator[str]:
        for begin in range(0, len(self), _AT_ONCE):
            yield from self.arrow.slice(begin, _AT_ONCE).to_pylist()

    @cached_property
    def head(self) -> list[str]:
        """The first cells."""
        return self[:_HEAD]

    @cached_property
    def present(self) -> list[str]:
        """Those of the first cells that are not missing."""
        return [cell for cell in self.head if not is_missing(cell)]

    @cached_property
    def first(self) -> str:
        """The first cell that is not blank, or ''."""
        return (self[0] if len(self) else "") or next(filter(None, self), "")

    def distinct(self) -> tuple["Text", NDArray[np.int64], NDArray[np.int64]]:
        """The distinct texts (m,) in their order, the first row of each, and each row's (n,)."""
        coded = self.arrow.combine_chunks().dictionary_encode()
        codes = coded.indices.to_numpy().astype(np.int64)
        first = np.flatnonzero(np.diff(np.maximum.accumulate(codes), prepend=-1))
        return Text(pa.chunked_array([coded.dictionary])), first, codes

    def repeats(self) -> bool:
        """Whether a text occurs more than once."""
        cells = self.arrow.combine_chunks()
        ascending = pc.all(pc.less(cells[:-1], cells[1:])).as_py()  # as times mostly are
        return not ascending and pc.count_distinct(cells).as_py() < len(cells)


Column = Text | NDArray[np.float64] | pd.DatetimeIndex
