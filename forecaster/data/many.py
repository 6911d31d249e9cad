"""Parquet files of many series, read one part of the series after the other.

Two passes over the files sort their rows into temporary files, one a part: the first counts the
rows of each series, the second writes them. So the memory does not grow with the number of series,
but for their names.
"""

import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from numpy.typing import NDArray

from forecaster.config.schema import Columns
from forecaster.data.covariates import covariate_columns
from forecaster.data.files.arrow_files import index_first, parquet_files
from forecaster.data.files.containers import split_name
from forecaster.data.layout.header import with_names
from forecaster.data.layout.turning import turned
from forecaster.data.reading import RawTable, file_digest, read_arrow_table
from forecaster.data.roles import find_layout
from forecaster.data.series_names import groups_of
from forecaster.data.times.find_parts import find_parts
from forecaster.errors import UserError

# the rows of a part, about, and the most parts
ROWS, MOST = 100_000, 256
# parts are of so many series or a multiple, as the series that a model forecasts at once
TOGETHER = 16
_HEAD = 100_000  # rows that tell the roles of the columns
_AT_ONCE = 131_072  # rows that are read at once
_PLACE = "row of the file"


@dataclass(frozen=True)
class Parts:
    """A file or folder in parts of whole series, in its order.

    ``columns``: the roles that the first rows showed; ``decisions``: what is said of them.
    ``series``: their number. ``files``: a temporary file a part.
    """

    path: str
    digest: str
    columns: Columns
    decisions: tuple[str, ...]
    series: int
    files: Sequence[Path]

    def taken(self) -> Iterator[bytes]:
        """The content of each part's file, which is then removed; see ``read_part``."""
        for file in self.files:
            content = file.read_bytes()
            file.unlink()
            yield content


def read_part(path: str, digest: str, content: bytes) -> RawTable:
    """The rows of a part of a file, from the content of its temporary file."""
    with pa.ipc.open_file(content) as reader:
        table = reader.read_all()
    places = table[_PLACE].to_pylist()
    raw = read_arrow_table(path, table.drop_columns(_PLACE))
    return replace(raw, digest=digest, places=places)


@contextmanager
def in_parts(
    source: str | Path, columns: Columns, wanted: Collection[str] = (), few: bool = False
) -> Iterator[Parts | None]:
    """The parts of Parquet files with more rows than one; None of all that is read as a whole.

    ``wanted``: the value columns that a model reads. ``few``: also if all rows are one part. What
    the first rows do not tell, or only all series together, is read as a whole: tables on their
    side, times in several columns, covariates, a common end.
    """
    files = _files(source, few)
    found = None if files is None else _roles(files, columns, wanted)
    if files is None or found is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="forecaster-") as folder:
        try:
            parts = files.sorted_into(Path(folder), found)
        except OSError as error:
            raise UserError(
                f"{error.filename or folder}: cannot be written ({error.strerror}); free some "
                "space, or set TMPDIR to a folder with more"
            ) from error
        yield parts


@dataclass(frozen=True)
class _Roles:
    """The roles of the columns, and what is said of them."""

    columns: Columns
    items: tuple[str, ...]
    used: tuple[str, ...]
    decisions: tuple[str, ...]


@dataclass(frozen=True)
class _Files:
    """Parquet files, ``found`` as a data set."""

    path: str
    found: ds.Dataset

    def head(self) -> RawTable:
        return read_arrow_table(self.path, self.found.head(_HEAD))

    def _tables(self, used: Sequence[str]) -> Iterator[tuple[pa.Table, NDArray[np.int64]]]:
        """The columns used, some rows at once, and the numbers of these rows, from 1."""
        first = 1
        for batch in self.found.to_batches(
            batch_size=_AT_ONCE, batch_readahead=2, fragment_readahead=1
        ):
            if batch.num_rows:
                table = pa.Table.from_batches([batch])
                table = index_first(table.replace_schema_metadata(self.found.schema.metadata))
                yield _plain(table.select(used)), np.arange(first, first + len(table))
                first += len(table)

    def _numbered(
        self, roles: _Roles, names: dict[str, int], used: Sequence[str]
    ) -> Iterator[tuple[pa.Table, NDArray[np.int64], NDArray[np.int64]]]:
        """Tables, their rows' numbers, and the number of each row's series; new ``names`` go in."""
        for table, places in self._tables(used):
            raw = read_arrow_table(self.path, table.select(roles.items))
            groups, items = groups_of(replace(raw, places=places.tolist()), roles.items)
            numbers = [names.setdefault(item or "", len(names)) for item in items]
            yield table, places, np.array(numbers)[groups]

    def sorted_into(self, folder: Path, roles: _Roles) -> Parts:
        """Write the parts."""
        names: dict[str, int] = {}
        rows = np.zeros(0, np.int64)
        for _, _, series in self._numbered(roles, names, roles.items):
            counts = np.bincount(series, minlength=len(names))
            rows = np.pad(rows, (0, len(counts) - len(rows))) + counts
        part_of = parts_of(rows)
        files = [folder / f"{part}.arrow" for part in range(int(part_of[-1]) + 1)]
        with ExitStack() as stack:
            writers: dict[int, pa.RecordBatchFileWriter] = {}
            for table, places, series in self._numbered(roles, names, roles.used):
                table = table.append_column(_PLACE, pa.array(places))
                parts = part_of[series]
                order = np.argsort(parts, kind="stable")
                here, firsts = np.unique(parts[order], return_index=True)
                if len(here) > 1:
                    table = table.take(pa.array(order))
                ends = [*firsts[1:].tolist(), len(table)]
                for part, first, end in zip(here.tolist(), firsts.tolist(), ends, strict=True):
                    if part not in writers:
                        writer = pa.ipc.new_file(str(files[part]), table.schema)
                        writers[part] = stack.enter_context(writer)
                    writers[part].write_table(table.slice(first, end - first))
        digest = file_digest(self.path)
        return Parts(self.path, digest, roles.columns, roles.decisions, len(names), files)


def _plain(table: pa.Table) -> pa.Table:
    """The table without dictionaries, which differ from file to file."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            values = table.column(place).cast(field.type.value_type)
            table = table.set_column(place, field.name, values)
    return table


def parts_of(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of each series' part (N,), by the numbers of their rows (N,)."""
    size = max(ROWS, -(-int(rows.sum()) // MOST))
    before = np.cumsum(rows) - rows
    groups = np.arange(len(rows)) // TOGETHER * TOGETHER
    found: NDArray[np.int64] = np.unique(before[groups] // size, return_inverse=True)[1]
    return found


def _files(source: str | Path, few: bool) -> _Files | None:
    """Parquet files of more rows than a part, or with ``few`` of any number."""
    path, part = split_name(source)
    try:
        if Path(path).is_dir():
            found = parquet_files(path)
        elif Path(path).suffix.lower() in {".parquet", ".pq"} and not part:
            found = ds.dataset(path, format="parquet")
        else:
            return None
        return _Files(path, found) if found.count_rows() > (0 if few else ROWS) else None
    except (pa.ArrowException, OSError, UserError):
        return None  # which is told where it is read as a whole


def _roles(files: _Files, columns: Columns, wanted: Collection[str]) -> _Roles | None:
    """The roles by the first rows; None if the table is not a plain long one."""
    together = columns.align == "end" or columns.aggregate is not None
    if together or columns.static_file is not None or covariate_columns(columns):
        return None
    try:
        raw = with_names(files.head(), columns)
        on_its_side = turned(raw, columns)[2]
        if on_its_side or find_parts(raw, columns, zoned=True) is not None:
            return None
        layout = find_layout(raw, columns, wanted)
    except (pa.ArrowException, OSError, UserError):
        return None
    if not layout.items:
        return None
    given = {"timestamp": layout.timestamp, "item_id": layout.items, "target": layout.targets}
    used = (*layout.items, layout.timestamp, *layout.targets)
    return _Roles(columns.model_copy(update=given), layout.items, used, layout.decisions)
