"""``reproduce``: repeat a forecast from its ``.meta.json``, and compare it byte by byte."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import BaseModel, Field, ValidationError

from forecaster.data.files.containers import split_name
from forecaster.data.reading import file_digest
from forecaster.errors import UserError
from forecaster.inference.locate import find_model
from forecaster.inference.saved_model import FILES, digest
from forecaster.io.atomic import check_file, write_together
from forecaster.io.output_tables import TEXTS, kind_of, read_table_bytes
from forecaster.tracking import store
from forecaster.tracking.provenance import versions
from forecaster.workflows.forecast import (
    ForecastOptions,
    PreparedForecast,
    files_of,
    prepare_forecast,
)

SUFFIX = ".meta.json"


class Lineage(BaseModel):
    """The entries of a ``.meta.json`` from which a forecast can be repeated."""

    command: list[str]
    folder: str
    input_sha256: str
    future_sha256: str | None = None
    static_file_sha256: str | None = None
    model: str
    model_sha256: str
    run_id: Annotated[str, Field(pattern=r"^\w+$")] | None
    output_sha256: str | None = None
    device: str
    versions: dict[str, str]


@dataclass(frozen=True)
class ReproductionResult:
    """The outcome: ``difference`` is None for identical files, else a description.

    ``notes``: versions and device, where they changed.
    """

    output: str
    rows: int
    sha256: str
    difference: str | None
    notes: list[str]


def reproduce(
    path: Path,
    parse: Callable[[list[str]], ForecastOptions],
    output: Path | None,
    trust_code: bool = False,
) -> ReproductionResult:
    """Repeat the forecast described by ``path``, and compare; written to ``output`` if given.

    ``parse``: the arguments of a command line → its options. Raises UserError if it cannot be
    repeated: the input or the model is missing or changed, or the file holds no command.
    """
    path = _record_of(path)
    lineage = read_lineage(path)
    if lineage.output_sha256 is None:
        raise UserError(
            f"{path}: written row by row (--stream) from standard input, so it cannot be repeated; "
            "forecast anew"
        )
    options = parse(lineage.command)
    original = path.with_name(path.name.removesuffix(SUFFIX))
    kind = kind_of(options.output or original)
    if output is not None and kind_of(output) != kind:
        raise UserError(
            f"--output {output}: the forecast was written as {kind.removeprefix('.')}; end the "
            f"name in {kind}"
        )
    csv = _find_input(path, options.csv, lineage, lineage.input_sha256)
    future = options.future
    if future is not None:
        future = _find_input(path, future, lineage, str(lineage.future_sha256))
    roles, static = dict(options.roles), options.roles.get("static_file")
    if static is not None:
        sha256 = str(lineage.static_file_sha256)
        roles["static_file"] = str(_find_input(path, Path(static), lineage, sha256))
    if output is not None:
        check_file(output, (kind,), csv, future, None if static is None else Path(static), path)
    resolved = dataclasses.replace(
        options,
        roles=roles,
        csv=csv,
        future=future,
        reference=_find_model(path, lineage),
        output=output,
        plot=None,
        trust_code=trust_code,
    )
    forecast = prepare_forecast(resolved, output or original)
    if output is not None:
        write_together(files_of(forecast, output))
    sha256 = forecast.meta["output_sha256"]
    notes = _changed_environment(lineage, forecast)
    difference = None
    if sha256 != lineage.output_sha256:
        difference = "; ".join([_describe(original, kind, lineage, forecast), *notes])
    elif original.is_file() and hashlib.sha256(original.read_bytes()).hexdigest() != sha256:
        difference = (
            f"{original} was changed after it was written: the repeated forecast has the recorded "
            "SHA-256, the file has not"
        )
    return ReproductionResult(original.name, forecast.rows, sha256, difference, notes)


def _record_of(path: Path) -> Path:
    """The ``.meta.json`` beside a forecast that is given itself."""
    beside = path.with_name(path.name + SUFFIX)
    return path if path.name.endswith(SUFFIX) or not beside.is_file() else beside


def read_lineage(path: Path) -> Lineage:
    """Read a ``.meta.json``; raises UserError if it does not describe a forecast."""
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
            f"{path}: not the .meta.json of a forecast that can be repeated ({missing}); "
            "forecast anew"
        ) from error


def _candidates(path: Path, name: Path, lineage: Lineage) -> Iterator[Path]:
    """Where a file may be: the recorded folder, the current one, and that of ``path``."""
    yield from dict.fromkeys(
        [
            Path(lineage.folder) / name,
            Path.cwd() / name,
            path.parent / name,
            path.parent / name.name,
        ]
    )


def _find_input(path: Path, name: Path, lineage: Lineage, sha256: str) -> Path:
    candidates = _candidates(path, name, lineage)
    files = [file for file in candidates if Path(split_name(file)[0]).exists()]
    for file in files:
        if file_digest(file) == sha256:
            return file
    if files:
        raise UserError(
            f"{files[0]}: changed since the forecast of {path} was made (SHA-256 differs); put "
            "that file back"
        )
    raise UserError(
        f"{name}: the input of {path} is missing, it was in {Path(lineage.folder) / name.parent}; "
        "put it back"
    )


def _find_model(path: Path, lineage: Lineage) -> str:
    """The folder of the model with the recorded digest: the one referred to, or that of its run."""
    others: list[str] = []
    for reference in _model_references(path, lineage):
        try:
            folder = find_model(reference)
        except UserError:
            continue
        if all((folder / name).is_file() for name in FILES):
            others.append(reference)
            if digest(folder) == lineage.model_sha256:
                return str(folder)
    if others:
        raise UserError(
            f"{others[0]}: not the model that {path} was made with (SHA-256 differs); put that "
            "model back"
        )
    raise UserError(
        f"{lineage.model}: the model of {path} is missing, and its run {lineage.run_id} is not in "
        "the store; put it back"
    )


def _model_references(path: Path, lineage: Lineage) -> Iterator[str]:
    if lineage.model == "latest" or lineage.model.startswith(("runs:/", "models:/")):
        yield lineage.model
    else:
        yield from map(str, _candidates(path, Path(lineage.model), lineage))
    if lineage.run_id is not None:
        yield str(store.MODELS / lineage.run_id)
        yield f"runs:/{lineage.run_id}/model"


def _changed_environment(lineage: Lineage, forecast: PreparedForecast) -> list[str]:
    """Notes on versions and the device, where they are not the recorded ones."""
    now = versions()
    changed = [
        f"{n} {v}, now {now.get(n, 'none')}" for n, v in lineage.versions.items() if now.get(n) != v
    ]
    notes = [f"versions differ: {', '.join(changed)}"] if changed else []
    if forecast.meta["device"] != lineage.device:
        notes.append(f"made on {lineage.device}, now on {forecast.meta['device']}")
    return notes


def _describe(original: Path, kind: str, lineage: Lineage, forecast: PreparedForecast) -> str:
    """How the repeated forecast differs from the file, unless that was changed later."""
    message = "the repeated forecast differs (SHA-256)"
    if not original.is_file():
        return f"{message}; {original} is missing, so values cannot be compared"
    content = original.read_bytes()
    if hashlib.sha256(content).hexdigest() != lineage.output_sha256:
        return (
            f"{message}; {original} was changed after it was written, so values cannot be compared"
        )
    try:
        return largest_difference(
            read_table_bytes(content, kind), read_table_bytes(forecast.content, kind)
        )
    except (ValueError, KeyError) as error:
        return f"{message}; {original} cannot be read ({error})"


def largest_difference(before: pd.DataFrame, after: pd.DataFrame) -> str:
    """Describe how two tables differ: in rows, columns, or the largest difference of two values."""
    if list(before.columns) != list(after.columns):
        return f"columns differ: {', '.join(before.columns)}, now {', '.join(after.columns)}"
    keys = [name for name in before.columns if name in TEXTS]
    if not before[keys].equals(after[keys]):
        return f"rows differ: {len(before)}, now {len(after)}, or other series and times"
    values = before.drop(columns=keys)
    apart = (values - after.drop(columns=keys)).abs().to_numpy()
    if np.nansum(apart) == 0:
        return "values are the same, the bytes differ"
    row, column = divmod(int(np.nanargmax(apart)), apart.shape[1])
    name, stamp = before["item_id"].iloc[row], before["timestamp"].iloc[row]
    place = f"{values.columns[column]} of '{name}', {stamp}"
    return f"values differ by {apart[row, column]:.3g} at most ({place})"
