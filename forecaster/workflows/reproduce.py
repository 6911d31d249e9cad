"""``reproduce``: the same forecast again from its ``.meta.json``, and whether it is the same to the
last byte.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import BaseModel, Field, ValidationError

from forecaster.errors import UserError
from forecaster.inference.locate import find_model
from forecaster.inference.saved_model import FILES, digest
from forecaster.io.atomic import write_together
from forecaster.io.tables import kind_of, read_table_bytes
from forecaster.tracking import store
from forecaster.tracking.provenance import versions
from forecaster.workflows.forecast import ForecastOptions, PreparedForecast, files_of, make

SUFFIX = ".meta.json"


class Lineage(BaseModel):
    """What of a ``.meta.json`` leads back to a forecast's origin."""

    command: list[str]
    folder: str
    input_sha256: str
    model: str
    model_sha256: str
    run_id: Annotated[str, Field(pattern=r"^\w+$")] | None
    output_sha256: str | None = None
    device: str
    versions: dict[str, str]


@dataclass(frozen=True)
class ReproductionResult:
    """Whether the file came out the same: ``difference`` is None, or says what differs. ``notes``:
    versions, device.
    """

    output: str
    rows: int
    sha256: str
    difference: str | None
    notes: list[str]


def reproduce(
    path: Path, parse: Callable[[list[str]], ForecastOptions], output: Path | None
) -> ReproductionResult:
    """Make the forecast that ``path`` tells of again, into ``output`` or nowhere, and compare.

    ``parse``: the arguments of a command line → its options. Raises UserError where it cannot be
    made: the input or the model gone or changed, or a file that holds no command.
    """
    lineage = read_lineage(path)
    if lineage.output_sha256 is None:
        raise UserError(
            f"{path}: written row by row (--stream), its rows came from standard input; nothing to "
            "make again"
        )
    asked = parse(lineage.command)
    original = path.with_name(path.name.removesuffix(SUFFIX))
    kind = kind_of(asked.output or original)
    if output is not None and kind_of(output) != kind:
        raise UserError(
            f"--output {output}: the forecast was written as {kind.removeprefix('.')}; end the "
            f"name in {kind}"
        )
    csv = _find_input(path, asked.csv, lineage)
    with_paths = dataclasses.replace(
        asked, csv=csv, reference=_find_model(path, lineage), output=output, plot=None
    )
    made = make(with_paths, output or original)
    if output is not None:
        write_together(files_of(made, output))
    found = made.meta["output_sha256"]
    notes = _elsewhere(lineage, made)
    difference = None
    if found != lineage.output_sha256:
        difference = "; ".join([_differs(original, kind, lineage, made), *notes])
    elif original.is_file() and hashlib.sha256(original.read_bytes()).hexdigest() != found:
        difference = (
            f"{original} was changed after it was written: the forecast made again has the "
            "recorded SHA-256, it has not"
        )
    return ReproductionResult(original.name, len(made.frame), found, difference, notes)


def read_lineage(path: Path) -> Lineage:
    """The lineage that a ``.meta.json`` holds."""
    try:
        return Lineage.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); give the .meta.json beside a forecast"
        ) from error
    except (ValidationError, UnicodeDecodeError) as error:
        key = (
            ".".join(map(str, error.errors()[0]["loc"]))
            if isinstance(error, ValidationError)
            else ""
        )
        missing = f"'{key}' is missing or wrong" if key else "it is not JSON"
        raise UserError(
            f"{path}: not the .meta.json of a forecast that can be made again ({missing}); "
            "forecast anew"
        ) from error


def _places(path: Path, name: Path, lineage: Lineage) -> Iterator[Path]:
    """Where a file may lie: where it lay, the same from here, and beside the ``.meta.json``."""
    yield from dict.fromkeys(
        [
            Path(lineage.folder) / name,
            Path.cwd() / name,
            path.parent / name,
            path.parent / name.name,
        ]
    )


def _find_input(path: Path, name: Path, lineage: Lineage) -> Path:
    there = [place for place in _places(path, name, lineage) if place.is_file()]
    for place in there:
        if hashlib.sha256(place.read_bytes()).hexdigest() == lineage.input_sha256:
            return place
    if there:
        raise UserError(
            f"{there[0]}: changed since the forecast of {path} was made (SHA-256 differs); put "
            "that file back"
        )
    raise UserError(
        f"{name}: the input of {path} is gone, it was in {Path(lineage.folder) / name.parent}; put "
        "it back"
    )


def _find_model(path: Path, lineage: Lineage) -> str:
    """The folder of the very model: where the reference leads to, or else the one that its run
    kept.
    """
    there: list[str] = []
    for reference in _models(path, lineage):
        try:
            folder = find_model(reference)
        except UserError:
            continue
        if all((folder / name).is_file() for name in FILES):
            there.append(reference)
            if digest(folder) == lineage.model_sha256:
                return str(folder)
    if there:
        raise UserError(
            f"{there[0]}: not the model that {path} was made with (SHA-256 differs); put that "
            "model back"
        )
    raise UserError(
        f"{lineage.model}: the model of {path} is gone, and its run {lineage.run_id} is not in the "
        "store; put it back"
    )


def _models(path: Path, lineage: Lineage) -> Iterator[str]:
    if lineage.model == "latest" or lineage.model.startswith(("runs:/", "models:/")):
        yield lineage.model
    else:
        yield from map(str, _places(path, Path(lineage.model), lineage))
    if lineage.run_id is not None:
        yield str(store.MODELS / lineage.run_id)
        yield f"runs:/{lineage.run_id}/model"


def _elsewhere(lineage: Lineage, made: PreparedForecast) -> list[str]:
    """What is not as it was: versions, the device."""
    now = versions()
    changed = [
        f"{n} {v}, now {now.get(n, 'none')}" for n, v in lineage.versions.items() if now.get(n) != v
    ]
    notes = [f"versions differ: {', '.join(changed)}"] if changed else []
    if made.meta["device"] != lineage.device:
        notes.append(f"made on {lineage.device}, now on {made.meta['device']}")
    return notes


def _differs(original: Path, kind: str, lineage: Lineage, made: PreparedForecast) -> str:
    """In what the forecast made again differs from the file, if that is still as it was written."""
    told = "the forecast made again differs (SHA-256)"
    if not original.is_file():
        return f"{told}; {original} is gone, so values cannot be compared"
    content = original.read_bytes()
    if hashlib.sha256(content).hexdigest() != lineage.output_sha256:
        return f"{told}; {original} was changed after it was written, so values cannot be compared"
    try:
        return largest_difference(
            read_table_bytes(content, kind), read_table_bytes(made.content, kind)
        )
    except (ValueError, KeyError) as error:
        return f"{told}; {original} cannot be read ({error})"


def largest_difference(before: pd.DataFrame, after: pd.DataFrame) -> str:
    """In words: other rows or columns, or the largest difference between two values and its
    place.
    """
    if list(before.columns) != list(after.columns):
        return f"columns differ: {', '.join(before.columns)}, now {', '.join(after.columns)}"
    keys = ["item_id", "timestamp"]
    if not before[keys].equals(after[keys]):
        return f"rows differ: {len(before)}, now {len(after)}, or other series and times"
    apart = (before.drop(columns=keys) - after.drop(columns=keys)).abs().to_numpy()
    if np.nansum(apart) == 0:
        return "values are the same, the bytes differ"
    row, column = divmod(int(np.nanargmax(apart)), apart.shape[1])
    name, stamp = before["item_id"].iloc[row], before["timestamp"].iloc[row]
    place = f"{before.columns[2 + column]} of '{name}', {stamp}"
    return f"values differ by {apart[row, column]:.3g} at most ({place})"
