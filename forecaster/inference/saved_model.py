"""A saved model: a folder of plain files, without pickle and without the training data.

config.yaml  weights.safetensors  calibration.safetensors  scaling.json  schema.json  metadata.json

A model that was trained on all rows has beside it, in ``held_out/``, the weights and the
calibration of the one that was fitted without the newest rows and scored on them.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.torch
import torch
from pydantic import ValidationError

from forecaster.config.load import check_config, dump_content, read_yaml
from forecaster.config.schema import Config, DataConfig
from forecaster.data.clock import Clock
from forecaster.data.encoding import Encoding, asked_for
from forecaster.data.intervals import Interval, read_interval
from forecaster.data.problem import Problem
from forecaster.data.seasons import slower
from forecaster.data.splits import Scaling
from forecaster.errors import UserError
from forecaster.inference.custom_code import custom_code, store_custom_code, trust_of
from forecaster.inference.tensor_files import (
    as_damaged,
    check_sizes,
    numbers_in,
    read_sizes,
    read_tensors,
)
from forecaster.models.base import Forecaster, Shape, Streamable, shape_of
from forecaster.models.conformal import Conformal
from forecaster.models.held_out import HeldOut
from forecaster.models.residual_paths import ResidualPaths, in_service
from forecaster.models.seen import Seen, Widened
from forecaster.models.size import LARGEST, build_model
from forecaster.tracking.provenance import versions

FORMAT = 2
FILES = (
    "config.yaml",
    "weights.safetensors",
    "calibration.safetensors",
    "scaling.json",
    "schema.json",
    "metadata.json",
)
HELD_OUT = "held_out"
COVARIATES = "covariates.json"  # of a model with covariates
_LONGEST = 64 << 20  # bytes of a JSON file
_SPARE = 1 << 20  # numbers that a model may need while it is built


@dataclass(frozen=True)
class Schema:
    """Value columns, layout and interval of the training file, which other files have to match.

    ``date_style``: how it writes dates, which other files may, and ``units``: what stands beside
    the numbers of its columns; None of older models.
    """

    names: tuple[str, ...]
    layout: str
    interval: Interval
    date_style: str | None = None
    units: Mapping[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        """The content of ``schema.json``."""
        return {
            "columns": list(self.names),
            "layout": self.layout,
            "interval": self.interval.alias,
            "dates": self.date_style,
            "units": self.units,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Schema":
        """The schema of ``schema.json``."""
        names, interval = tuple(content["columns"]), read_interval(content["interval"])
        return cls(names, content["layout"], interval, content.get("dates"), content.get("units"))


@dataclass(frozen=True)
class SavedModel:
    """A loaded model with its configuration, schema and scaling.

    ``scaling``: by item id ('' in a wide file). ``held_out``: the point forecast's errors on
    validation windows, for conformal intervals and the samples of point models. ``encoding``: of
    covariates, None without any. ``rate``: see ``resampled``.
    """

    folder: Path
    config: Config
    model: Forecaster
    schema: Schema
    scaling: Mapping[str, Scaling]
    metadata: Mapping[str, Any]
    held_out: HeldOut
    encoding: Encoding | None = None
    rate: int = 1

    def __post_init__(self) -> None:
        if self.rate == 1:
            object.__setattr__(self, "model", in_service(self.model, self.held_out, self.shape))

    @property
    def shape(self) -> Shape:
        """The sizes of the model."""
        return _shape(self.config, self.schema, self.scaling, self.encoding)

    @property
    def core(self) -> Forecaster:
        """The model itself, without the intervals or samples made of its errors."""
        model = self._unwidened
        return model.model if isinstance(model, Conformal | ResidualPaths) else model

    @property
    def draws_errors(self) -> bool:
        """Whether its samples are made of its errors on validation."""
        return isinstance(self._unwidened, ResidualPaths)

    @property
    def _unwidened(self) -> Forecaster:
        return self.model.model if isinstance(self.model, Widened) else self.model

    def around(self, state: Forecaster) -> Forecaster:
        """A streaming state of the core, with the intervals or samples that this model has."""
        if isinstance(self._unwidened, Conformal):
            state = Conformal(state, self.held_out, len(self.scaling))
        return in_service(state.to(self.core.device).eval(), self.held_out, self.shape)

    def resampled(self, rate: int) -> "SavedModel":
        """The same weights at ``rate`` times the interval, with a lookback of the same duration."""
        step, data = self.schema.interval.tick, self.config.data
        if step is None:
            raise UserError(
                f"--resample-rate {rate}: the model was trained on {self.schema.interval.alias}, "
                "which is a step of the "
                "calendar; only intervals of a fixed length can be resampled"
            )
        core = self.core
        if not isinstance(core, Streamable):
            raise UserError(
                "this model knows one sampling interval only (--resample-rate); train a "
                "state-space model, such as s4d"
            )
        core.resample(rate)
        coarse = Interval(pd.tseries.frequencies.to_offset(rate * step).freqstr)  # type: ignore[call-overload]
        data = data.model_copy(
            update={"lookback": -(-data.lookback // rate), "seasons": slower(data.seasons, rate)}
        )
        config = self.config.model_copy(update={"data": data})
        schema = replace(self.schema, interval=coarse)
        return replace(self, model=core, config=config, schema=schema, rate=rate)

    def scored(self) -> "SavedModel":
        """The model that the figures of the training are of; itself if it learnt no further rows.

        Raises UserError if its files are missing or damaged.
        """
        if "trained_until" not in self.metadata:
            return self
        folder, config = self.folder / HELD_OUT, self.config
        names = ("weights.safetensors", "calibration.safetensors")
        _check_files(self.folder, [f"{HELD_OUT}/{name}" for name in names])
        model = _read_weights(folder, config, self.shape)
        errors = _read_errors(folder, config, self.schema, len(self.scaling))
        metadata = {key: self.metadata[key] for key in self.metadata if key != "trained_until"}
        model = model.to(self.model.device).eval()
        return replace(self, model=model, held_out=errors, metadata=metadata)

    def until(self) -> dict[str, pd.Timestamp]:
        """The last working time that it has learnt from or was chosen by, by item id."""
        key = "trained_until" if "trained_until" in self.metadata else "learnt_until"
        try:
            last = self.metadata.get(key, {}).items()
            return {name: pd.Timestamp(text) for name, text in last}
        except (AttributeError, TypeError, ValueError) as error:
            raise self._damaged(key) from error

    def _damaged(self, key: str) -> UserError:
        path = self.folder / "metadata.json"
        return UserError(f"{path}: {key} is damaged; copy the model again")

    def said_until(self) -> dict[str, pd.Timestamp]:
        """``until`` in the file's own times, with their zone where the working times are UTC."""
        until, known = self.until(), self.metadata.get("clock")
        if known is None:  # a model of earlier code
            return until
        try:
            clock = Clock(**known)
            if not clock.utc:
                return until
            zone = clock.zone or "UTC"
            return {item: at.tz_localize("UTC").tz_convert(zone) for item, at in until.items()}
        except (TypeError, ValueError, KeyError) as error:
            raise self._damaged("clock") from error

    def conformal(self) -> "SavedModel":
        """The same model with conformal intervals in place of its distribution."""
        if self.rate != 1:
            raise UserError(
                "--conformal: the errors kept are of the training's interval; leave it out, or "
                "--resample-rate"
            )
        conformal = Conformal(self.core, self.held_out, len(self.scaling))
        return replace(self, model=conformal.to(self.core.device).eval())


def digest(folder: Path) -> str:
    """The SHA-256 of all files that determine forecasts: everything but the metadata."""
    total = hashlib.sha256()
    names = [name for name in FILES if name != "metadata.json"]
    names += [COVARIATES] if (folder / COVARIATES).is_file() else []
    for path in [*(folder / name for name in names), *custom_code(folder)]:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return total.hexdigest()


def save_model(
    folder: Path,
    config: Config,
    model: Forecaster,
    problem: Problem,
    held_out: HeldOut,
    metadata: Mapping[str, Any],
    scored: tuple[Forecaster, HeldOut] | None = None,
) -> None:
    """Write all files of a saved model into ``folder``, with CPU tensors.

    ``held_out``: the errors that intervals are made of. ``scored``: the model that was scored and
    its errors, if ``model`` learnt from further rows.
    """
    table = problem.table
    facts = table.report.facts
    schema = Schema(
        table.names, facts["layout"], table.interval, table.date_style, dict(table.units)
    )
    scaling = {
        s.item_id or "": scale.to_json()
        for s, scale in zip(table.series, problem.scaling, strict=True)
    }
    content = store_custom_code(config.model_dump(mode="json"), folder)
    (folder / "config.yaml").write_text(dump_content(content), encoding="utf-8")
    _write_tensors(folder, model, held_out)
    if scored is not None:
        (folder / HELD_OUT).mkdir()
        _write_tensors(folder / HELD_OUT, *scored)
    _write_json(folder / "scaling.json", scaling)
    _write_json(folder / "schema.json", schema.to_json())
    if asked_for(config.data):
        _write_json(folder / COVARIATES, (problem.encoding or Encoding()).to_json())
    record = {"format": FORMAT, "versions": versions(), "files": _checksums(folder), **metadata}
    _write_json(folder / "metadata.json", record)


def _checksums(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of a saved model but its metadata, by path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path != folder / "metadata.json"
    }


def _check_sums(folder: Path, metadata: Mapping[str, Any]) -> None:
    """Raise UserError for a file that is not as it was saved; older models kept no checksums."""
    saved = metadata.get("files", {})
    if not isinstance(saved, dict):
        raise UserError(f"{folder / 'metadata.json'}: files is damaged; copy the model again")
    found = _checksums(folder)
    for name, checksum in found.items():
        if saved.get(name, checksum) != checksum:
            raise UserError(
                f"{folder / name}: not as it was saved (SHA-256); train or copy the model again"
            )


def _write_tensors(folder: Path, model: Forecaster, errors: HeldOut) -> None:
    weights = {
        name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
    }
    safetensors.torch.save_file(weights, folder / "weights.safetensors")
    tensors = {"errors": errors.errors, "times": errors.times, "owners": errors.owners}
    tensors |= {} if errors.seen is None else errors.seen.tensors()
    calibration = {name: value.contiguous() for name, value in tensors.items()}
    safetensors.torch.save_file(calibration, folder / "calibration.safetensors")


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LONGEST:
            raise ValueError(f"longer than {_LONGEST} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged ({error}); train or copy the model again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: damaged (not an object); train or copy the model again")
    return content


def _check_files(folder: Path, names: Sequence[str] = FILES) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such saved model; give the folder that training printed")
    for name in names:
        if not (folder / name).is_file():
            raise UserError(
                f"{folder}: incomplete, {name} is missing; train or copy the model again"
            )
        if (folder / name).resolve() != folder.resolve() / name:
            raise UserError(
                f"{folder / name}: a link to outside the saved model; put the file itself there"
            )


@dataclass(frozen=True)
class ModelRecord:
    """The data configuration, value columns and metadata of a saved model."""

    data: DataConfig
    names: tuple[str, ...]
    metadata: Mapping[str, Any]


def read_record(folder: Path) -> ModelRecord:
    """Read a saved model's record without building the model."""
    _check_files(folder)
    content = read_yaml(folder / "config.yaml").get("data", {})
    names = tuple(_read_json(folder / "schema.json").get("columns", ()))
    try:
        return ModelRecord(
            DataConfig.model_validate(content), names, _read_json(folder / "metadata.json")
        )
    except ValidationError as error:
        raise UserError(
            f"{folder / 'config.yaml'}: damaged; train or copy the model again"
        ) from error


def load_model(
    folder: Path, device: torch.device | str = "cpu", trust_code: bool = False
) -> SavedModel:
    """Load a saved model onto ``device``, whichever device it was trained on.

    The code of custom parts runs only with ``trust_code``.
    """
    _check_files(folder)
    metadata = _read_json(folder / "metadata.json")
    if metadata.get("format") != FORMAT:
        raise UserError(
            f"{folder}: saved in format {metadata.get('format')}, this program reads format "
            f"{FORMAT}; "
            "update the program or train the model again"
        )
    content, source = read_yaml(folder / "config.yaml"), str(folder / "config.yaml")
    config = check_config(content, source, trust_of(folder, trust_code))
    try:
        schema = Schema.from_json(_read_json(folder / "schema.json"))
        scaling = {
            item: Scaling.from_json(s) for item, s in _read_json(folder / "scaling.json").items()
        }
        for item, scale in scaling.items():
            valid = (
                scale.mean.shape == scale.std.shape == (len(schema.names),)
                and np.isfinite(scale.mean).all()
            )
            if not valid or not (np.isfinite(scale.std) & (scale.std > 0)).all():
                raise ValueError(f"the scaling of '{item}'")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{folder}: schema.json or scaling.json is damaged ({error}); train the model again"
        ) from error
    errors = _read_errors(folder, config, schema, len(scaling))
    encoding = _read_encoding(folder, config)
    model = (
        _read_weights(folder, config, _shape(config, schema, scaling, encoding)).to(device).eval()
    )
    _check_sums(folder, metadata)
    return SavedModel(folder, config, model, schema, scaling, metadata, errors, encoding)


def _shape(
    config: Config, schema: Schema, scaling: Mapping[str, Scaling], encoding: Encoding | None
) -> Shape:
    known = scaling.values()
    return shape_of(config.data, schema.interval, len(schema.names), len(known), encoding, known)


def _read_encoding(folder: Path, config: Config) -> Encoding | None:
    """The encoding of covariates, of a model that has any."""
    if not asked_for(config.data):
        return None
    try:
        found = Encoding.from_json(_read_json(folder / COVARIATES))
        found.check_columns(config.data)
        found.calendar.check()
        return found if found else None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{folder / COVARIATES}: damaged ({error}); train or copy the model again"
        ) from error


def _read_errors(folder: Path, config: Config, schema: Schema, series: int) -> HeldOut:
    with as_damaged(folder / "calibration.safetensors") as path:
        sizes = read_sizes(path)["errors"]
        if sizes[1:] != (len(schema.names), config.data.horizon):
            raise RuntimeError(f"errors of sizes {sizes}")
        saved = read_tensors(path)
        errors = saved["errors"]
        if errors.isinf().any():
            raise RuntimeError("an error is not finite")
        if "times" not in saved:
            return HeldOut.of(errors)
        times, owners = saved["times"], saved["owners"]
        whole = times.dtype == owners.dtype == torch.int64
        if not whole or not times.shape == owners.shape == errors.shape[:1]:
            raise RuntimeError("times or series of errors that are not there")
        if ((owners < -1) | (owners >= series)).any():
            raise RuntimeError("an error of an unknown series")
        return HeldOut(errors, times, owners, Seen.of(saved, config.data.horizon))


def _read_weights(folder: Path, config: Config, shape: Shape) -> Forecaster:
    """The model with its weights, on the CPU, frozen."""
    with as_damaged(folder / "weights.safetensors") as path:
        sizes = read_sizes(path)
        model = build_model(config.model, shape, min(LARGEST, _SPARE + 2 * numbers_in(sizes)))
        check_sizes(sizes, model.state_dict())
        tensors = read_tensors(path)
        model.load_state_dict(tensors)
        for name, tensor in tensors.items():
            if not tensor.isfinite().all():
                raise RuntimeError(f"'{name}' holds a number that is not finite")
        return model.requires_grad_(False)
