"""Flags behind the values of Eurostat's tables: ``1.7 p`` is 1.7, provisional."""

import re
from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from forecaster.data.cells import Text
from forecaster.data.layout.keys import is_corner
from forecaster.data.reading import RawTable

CORNER = r"geo\TIME_PERIOD"  # of such a table
# break, confidential, definition differs, estimated, forecast, not significant, provisional,
# revised, Eurostat's estimate, unreliable, not applicable; several together: bp
_FLAGGED = r"^(?P<value>[+-]?\d+(?:\.\d*)? |: ?) *(?P<flags>[bcdefnprsuz]{1,4})$"


def has_flags(cell: str) -> bool:
    """Whether a cell is a value, or a mark of a missing one, with flags behind."""
    return re.search(_FLAGGED, cell) is not None


def without_flags(raw: RawTable) -> RawTable:
    """The table with its values alone, if it is Eurostat's; how many had flags is a decision.

    ``:`` stays, which stands for a missing value.
    """
    corner = next((name for name in raw.columns if is_corner(name)), None)
    if corner is None:
        return raw
    columns, values, missing = dict(raw.columns), Counter[str](), Counter[str]()
    for name, column in raw.columns.items():
        if name == corner or not isinstance(column, Text):
            continue
        cells = column.arrow.combine_chunks()
        parts = pc.extract_regex(cells, _FLAGGED)
        if parts.null_count == len(parts):
            continue
        bare = pc.utf8_trim_whitespace(pc.struct_field(parts, "value"))
        absent = pc.equal(bare, ":")
        flags = pc.struct_field(parts, "flags")
        missing.update(flags.filter(absent).to_pylist())
        values.update(flags.filter(pc.invert(absent)).to_pylist())
        columns[name] = Text(pa.chunked_array([pc.coalesce(bare, cells)]))
    said = [
        f"{counts.total()} {what} with flags ({_listed(counts)}){how}"
        for counts, what, how in [
            (values, "value(s)", ": read as numbers"),
            (missing, "missing value(s)", ""),
        ]
        if counts
    ]
    return replace(raw, columns=columns, decisions=(*raw.decisions, *said))


def _listed(counts: Counter[str]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{flag} {count}" for flag, count in ordered)
