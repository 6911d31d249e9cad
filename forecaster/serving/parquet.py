"""A posted Parquet file, of which a few bytes may grow to gigabytes."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from forecaster.data.reading import RawTable, read_arrow_table
from forecaster.errors import UserError
from forecaster.serving.limits import (
    CELLS,
    ODD_CELL,
    UNPACKED,
    RefusedError,
    check_size,
    check_tables,
)

_FOOTER = 8 << 20  # bytes of a text of the footer, and entries of a list
_ROOM = 2 * UNPACKED  # for what the pages hold beside what the footer says


def read_parquet(name: str, body: bytes) -> RawTable | pd.DataFrame:
    """The table in a file's bytes; as a frame where cells are arrays.

    Raises RefusedError beyond the limits, UserError for what is no such file.
    """
    try:
        with bounded_memory(_ROOM):
            table = _read(body)
    except MemoryError as error:  # Arrow's, too
        raise _too_large() from error
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{name}: not a readable Parquet file; write it again") from error
    if any(pa.types.is_nested(field.type) for field in table.schema):
        check_tables(len(table))
        return table.to_pandas()
    return read_arrow_table(name, table)


@contextmanager
def bounded_memory(room: int) -> Iterator[None]:
    """Let the process's memory grow by ``room`` bytes and no more (on Linux)."""
    before, most = resource.getrlimit(resource.RLIMIT_AS)
    bound = psutil.Process().memory_info().vms + room
    if most != resource.RLIM_INFINITY:
        bound = min(bound, most)
    resource.setrlimit(resource.RLIMIT_AS, (bound, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, most))


def _read(body: bytes) -> pa.Table:
    source = pa.BufferReader(body)
    limits = {"thrift_string_size_limit": _FOOTER, "thrift_container_size_limit": _FOOTER}
    about = pq.ParquetFile(source, **limits).metadata
    check_size(about.num_rows, about.num_columns)
    groups = [about.row_group(number) for number in range(about.num_row_groups)]
    if sum(group.total_byte_size for group in groups) > UNPACKED:
        raise _too_large()
    # texts stay words of a dictionary until their size is known
    texts = [about.schema.column(k).path for k in range(about.num_columns)]
    table = pq.ParquetFile(source, read_dictionary=texts, **limits).read(use_threads=False)
    if sum(map(_size, table.columns)) > UNPACKED:
        raise _too_large()
    return table


def _size(column: pa.ChunkedArray) -> int:
    """The bytes of a column with its dictionary written out; raises RefusedError for too many."""
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = pc.list_flatten(column)
    if pa.types.is_nested(column.type):
        raise UserError(ODD_CELL)
    if len(column) > CELLS:
        raise _too_large()
    if pa.types.is_dictionary(column.type):
        return sum(_longest(chunk.dictionary) * len(chunk) for chunk in column.chunks)
    return column.nbytes


def _longest(words: pa.Array) -> int:
    return pc.max(pc.binary_length(words)).as_py() or 0


def _too_large() -> RefusedError:
    return RefusedError(
        413, f"a table that unpacks to more than {UNPACKED >> 20} MiB; send less of it"
    )
