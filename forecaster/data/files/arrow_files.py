"""Files of typed columns: Parquet, Feather and Arrow, JSON lines."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.json as arrow_json
import pyarrow.parquet as pq

from forecaster.data.files.containers import LARGEST, Opened, too_large, unreadable
from forecaster.errors import UserError

TableT = TypeVar("TableT", pa.Table, pd.DataFrame)

_MOST_CELLS = 2**30
_UNNAMED = re.compile(r"__index_level_(\d+)__")  # what pandas calls an index without a name


def read_parquet(opened: Opened) -> pa.Table:
    """A Parquet file, the columns of a frame's index first."""
    try:
        file = pq.ParquetFile(io.BytesIO(opened.content))
        _check_cells(opened.name, file.metadata.num_rows * file.metadata.num_columns)
        return index_first(file.read())
    except (pa.ArrowException, OSError) as error:
        raise unreadable(opened.name, "Parquet", error) from error


def parquet_files(path: str) -> ds.Dataset:
    """The Parquet files of a folder; ``year=2024`` in their paths is a column."""
    files = sorted(
        str(file) for ending in ("parquet", "pq") for file in Path(path).rglob(f"*.{ending}")
    )
    if not files:
        raise UserError(f"{path}: a folder without Parquet files; give the path of a file")
    return ds.dataset(files, format="parquet", partitioning="hive", partition_base_dir=path)


def read_folder(path: str) -> pa.Table:
    """The Parquet files of a folder as one table."""
    try:
        found = parquet_files(path)
        _check_cells(path, found.count_rows() * len(found.schema))
        return index_first(found.to_table())
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, "Parquet", error) from error


def read_arrow(opened: Opened) -> pa.Table:
    """A Feather or Arrow file, or a stream of Arrow's."""
    try:
        return index_first(pa.Table.from_batches(_batches(opened)))
    except (pa.ArrowException, OSError) as error:
        raise unreadable(opened.name, "Arrow", error) from error


def _batches(opened: Opened) -> Iterator[pa.RecordBatch]:
    """The record batches, as far as they are not too large together."""
    source, size = pa.BufferReader(opened.content), 0
    try:
        file = pa.ipc.open_file(source)
        batches = (file.get_batch(number) for number in range(file.num_record_batches))
    except pa.ArrowInvalid:
        batches = iter(pa.ipc.open_stream(pa.BufferReader(opened.content)))
    for batch in batches:
        size += batch.nbytes
        if size > LARGEST:
            raise too_large(opened.name)
        yield batch


def _check_cells(name: str, cells: int) -> None:
    if cells > _MOST_CELLS:
        raise too_large(name)


def index_first(table: pa.Table) -> pa.Table:
    """The table with the columns that were a frame's index first, as in the frame."""
    kept = (table.schema.pandas_metadata or {}).get("index_columns", [])
    index = [name for name in kept if isinstance(name, str) and name in table.column_names]
    rest = [name for name in table.column_names if name not in index]
    table = table.select([*index, *rest]) if index else table
    return table.rename_columns([_UNNAMED.sub(r"level_\1", name) for name in table.column_names])


def read_json(opened: Opened) -> pa.Table | pd.DataFrame:
    """JSON lines, or a list of objects; what lies within an object is named ``a.b``."""
    content = opened.content.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not content.startswith(b"["):
        try:
            return _several(opened.name, _json_lines(content))
        except pa.ArrowInvalid:
            pass  # values of several types, or a fault, whose line is named below
    records = _records(opened.name, content)
    if not all(isinstance(record, dict) for record in records):
        raise _no_rows(opened.name)
    return _several(opened.name, pd.json_normalize(records))  # type: ignore[arg-type]


def _several(name: str, table: TableT) -> TableT:
    """The table; raises UserError if it is one object, which holds columns or a further table."""
    if len(table) == 1:
        raise _no_rows(name)
    return table


def _no_rows(name: str) -> UserError:
    return UserError(f"{name}: not a list of objects; write a line {{…}} for every row")


def _json_lines(content: bytes) -> pa.Table:
    """The lines by Arrow's reader, times as text, for Arrow drops their offsets from UTC."""
    options = arrow_json.ReadOptions(block_size=max(len(content), 1))
    table = arrow_json.read_json(pa.BufferReader(content), options)
    schema = pa.schema(_with_texts(field) for field in table.schema)
    if schema != table.schema:
        parse = arrow_json.ParseOptions(explicit_schema=schema)
        table = arrow_json.read_json(pa.BufferReader(content), options, parse)
    while any(pa.types.is_struct(kind) for kind in table.schema.types):
        table = table.flatten()
    return table


def _with_texts(field: pa.Field) -> pa.Field:
    if pa.types.is_timestamp(field.type):
        return field.with_type(pa.string())
    if pa.types.is_struct(field.type):
        return field.with_type(pa.struct([_with_texts(each) for each in field.type]))
    return field


def _records(name: str, content: bytes) -> list[object]:
    """The objects in a list, or in lines."""
    if content.startswith(b"["):
        found = _parsed(name, content, 1)
        return list(found) if isinstance(found, list) else [found]
    lines = enumerate(content.splitlines(), start=1)
    return [_parsed(name, text, line) for line, text in lines if text.strip()]


def _parsed(name: str, text: bytes, line: int) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name}, line {line}: not JSON ({error}); correct it") from error
