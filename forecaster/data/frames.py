"""Frames in memory and GluonTS data sets, converted to cells that are read like a file."""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.data.cells import Text
from forecaster.data.reading import RawTable, read_frame
from forecaster.data.timestamps import looks_like_time
from forecaster.errors import UserError

# the names of sources in messages
FRAME = "the frame"
DATASET = "the data set"
# GluonTS' fields of covariates, and what is known of them
_FIELDS = {
    "feat_dynamic_real": "known",
    "feat_dynamic_cat": "known",
    "past_feat_dynamic_real": "past",
    "past_feat_dynamic_cat": "past",
    "feat_static_real": "static",
    "feat_static_cat": "static",
}


def read_source(source: object) -> Path | RawTable:
    """A path, or the cells of a pandas or polars frame or of a GluonTS data set.

    The levels of an index become columns, unless they are numbers without a name. Raises UserError
    for other objects.
    """
    if isinstance(source, str | Path):
        return Path(source)
    if isinstance(source, RawTable):
        return source
    if _is_polars(source):
        source = source.to_pandas()  # type: ignore[attr-defined]
        return _cells(_no_series(source), FRAME)
    if isinstance(source, pd.DataFrame):
        return _cells(with_index(source, FRAME), FRAME)
    _no_series(source)
    if isinstance(source, Iterable) and not isinstance(source, Mapping | bytes | np.ndarray):
        entries = list(source)
        if any(isinstance(entry, Mapping) for entry in entries):
            return _cells(_from_entries(entries), DATASET)
    raise UserError(f"{_kind(source)} is no data: {_REMEDY}")


def _no_series(source: Any) -> Any:
    if isinstance(source, pd.Series):
        raise UserError("a Series has no column names; give series.to_frame()")
    return source


_REMEDY = "give a path, a pandas or polars frame, or a GluonTS data set"


def _kind(source: object) -> str:
    return f"{type(source).__module__}.{type(source).__qualname__}".removeprefix("builtins.")


def _is_polars(source: object) -> bool:
    """Whether it is a polars frame, by its class's module, so that polars is not imported."""
    return _kind(source).startswith("polars.") and hasattr(source, "to_pandas")


def with_index(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The frame with the levels of its index as first columns, unless they are row numbers.

    ``name``: of the frame, in messages. Raises UserError for an index called like a column.
    """
    index = frame.index
    if _is_text_of_times(index):
        index = index.rename(index.name or "timestamp")
    elif isinstance(index, pd.DatetimeIndex | pd.PeriodIndex) and index.name is None:
        index = index.rename("timestamp")
    elif not isinstance(index, pd.MultiIndex) and _numbers_rows(index):
        return _as_times(frame)
    duplicates = [name for name in index.names if name in frame.columns]
    if duplicates:
        raise UserError(
            f"{name}: '{duplicates[0]}' is an index and a column, too; drop one of them"
        )
    return _as_times(frame.set_axis(index).reset_index())


def _numbers_rows(index: pd.Index) -> bool:
    """Whether an index is no column: numbers without a name."""
    return index.name is None and pd.api.types.is_numeric_dtype(index.dtype)


def _is_text_of_times(index: pd.Index) -> bool:
    if isinstance(index, pd.MultiIndex) or not pd.api.types.is_string_dtype(index.dtype):
        return False
    texts = ["" if pd.isna(value) else str(value) for value in index]
    return looks_like_time(str(index.name or "timestamp"), Text.of(texts))


def _as_times(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert periods to their start times."""
    periods = [name for name, kind in frame.dtypes.items() if isinstance(kind, pd.PeriodDtype)]
    return frame.assign(**{str(name): frame[name].dt.start_time for name in periods})


def _cells(frame: pd.DataFrame, name: str) -> RawTable:
    if frame.columns.empty:
        raise UserError(f"{name}: there are no columns and no rows; give a table")
    raw = read_frame(frame, name)
    return dataclasses.replace(raw, digest=_digest(frame))


def _digest(frame: pd.DataFrame) -> str:
    """SHA-256 of the frame's names and cells, in hexadecimal."""
    digest = hashlib.sha256(repr([str(label) for label in frame.columns]).encode())
    for i in range(frame.shape[1]):
        digest.update(
            pd.util.hash_pandas_object(frame.iloc[:, i], index=False).to_numpy().tobytes()
        )
    return digest.hexdigest()


def _from_entries(entries: list[Any]) -> pd.DataFrame:
    """GluonTS entries as a long frame; a single entry without a name as a wide one.

    Columns: ``item_id, timestamp, target``, or ``target_0, target_1, …`` of several channels, and
    likewise the fields of covariates.
    """
    valid = [isinstance(entry, Mapping) and {"start", "target"} <= {*entry} for entry in entries]
    if not entries or not all(valid):
        raise UserError(f"{DATASET}: its entries need 'start' and 'target'; {_REMEDY}")
    named = len(entries) > 1 or entries[0].get("item_id") is not None
    frames = [_entry(entry) for entry in entries]
    if named:
        names = [e.get("item_id") for e in entries]
        items = [str(i if name is None else name) for i, name in enumerate(names)]
        for item, frame in zip(items, frames, strict=True):
            frame.insert(0, "item_id", item)
    return pd.concat(frames, ignore_index=True)


def _entry(entry: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of an entry, those of the future of what is known ahead with blank targets."""
    target = np.atleast_2d(np.asarray(entry["target"], dtype=np.float64))  # (K, n)
    start, count = entry["start"], target.shape[1]
    if not isinstance(start, pd.Period):
        raise UserError(f"{DATASET}: 'start' is a {_kind(start)}; it needs to be a pandas Period")
    features = {name: _features(entry, name, count) for name in _FIELDS if name in entry}
    rows = max([count, *(values.shape[1] for values in features.values())])
    stamps = pd.period_range(start, periods=rows).to_timestamp(how="start")
    columns = {"timestamp": stamps, **_columns("target", target, rows)}
    for name, values in features.items():
        columns |= _columns(name, values, rows)
    return pd.DataFrame(columns)


def _features(entry: Mapping[str, Any], name: str, count: int) -> NDArray[np.float64]:
    """The features (F, rows) of a field; raises UserError if there are fewer than values."""
    values = np.asarray(entry[name], dtype=np.float64)
    if _FIELDS[name] == "static":
        return np.repeat(values.reshape(-1, 1), count, axis=1)
    values = np.atleast_2d(values)
    if values.shape[1] < count:
        raise UserError(
            f"{DATASET}: '{name}' has {values.shape[1]} steps for {count} of the target; give all"
        )
    return values if _FIELDS[name] == "known" else values[:, :count]


def _columns(name: str, values: NDArray[np.float64], rows: int) -> dict[str, Any]:
    """The columns of a field (F, n), blank in further rows, by its name, and by number of many."""
    padded = np.full((len(values), rows), np.nan)
    padded[:, : values.shape[1]] = values
    names = [name] if len(values) == 1 else [f"{name}_{k}" for k in range(len(values))]
    return dict(zip(names, padded, strict=True))


def roles_of_fields(source: Path | RawTable) -> dict[str, tuple[str, ...]]:
    """What the fields of a GluonTS data set say of its columns, as roles; {} of other sources."""
    found: dict[str, tuple[str, ...]] = {}
    if isinstance(source, RawTable) and source.path == DATASET:
        for column in source.columns:
            field = next((name for name in _FIELDS if _is_of(column, name)), None)
            if field is not None:
                roles = [_FIELDS[field], *(["categorical"] if field.endswith("_cat") else [])]
                found |= {role: (*found.get(role, ()), column) for role in roles}
    return found


def _is_of(column: str, field: str) -> bool:
    """Whether a column is one of a field."""
    return column == field or column.rpartition("_")[0] == field
