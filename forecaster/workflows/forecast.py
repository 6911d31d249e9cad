"""``forecast``: from a reference to a saved model and a file to what is written."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from forecaster.data.reading import RawTable
from forecaster.data.report import IntakeReport
from forecaster.data.tables import Table, read_table
from forecaster.errors import UserError
from forecaster.inference import streaming
from forecaster.inference.locate import open_model
from forecaster.inference.predictor import (
    PredictionRequest,
    TableForecast,
    columns_of,
    default_mode,
    forecast_series,
)
from forecaster.inference.saved_model import SavedModel, digest
from forecaster.io.atomic import check_folder, write_together
from forecaster.io.output_tables import kind_of, renamed_items, table_bytes
from forecaster.reporting.plots import plot_forecast
from forecaster.tracking.provenance import versions


@dataclass(frozen=True)
class ForecastOptions:
    """The options of the command ``forecast``."""

    reference: str
    csv: Path
    output: Path | None
    mode: str | None
    samples: int
    steps: int | None
    quantiles: tuple[float, ...]
    seed: int
    plot: Path | None
    accelerator: str | None
    conformal: bool
    resample_rate: int
    roles: Mapping[str, Any]
    trust_code: bool = False

    @property
    def settings(self) -> "ForecastSettings":
        """Those of them that do not say where anything lies."""
        names = ForecastSettings.__dataclass_fields__
        return ForecastSettings(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class ForecastSettings:
    """What is asked of a forecast, whichever the model and the data."""

    mode: str | None
    samples: int
    steps: int | None
    quantiles: tuple[float, ...]
    seed: int
    conformal: bool
    resample_rate: int
    roles: Mapping[str, Any]


@dataclass(frozen=True)
class ForecastResult:
    """What was written: where, the number of rows and the content of the ``.meta.json``."""

    output: Path
    rows: int
    meta: dict[str, Any]


@dataclass(frozen=True)
class _Prepared:
    """The model, the file and what is wanted of them."""

    saved: SavedModel
    table: Table
    request: PredictionRequest
    fill: bool


def _prepared(options: ForecastOptions) -> _Prepared:
    """The options' model and file; places that cannot be written are refused."""
    _check(options.settings)
    saved = open_model(options.reference, options.accelerator, options.trust_code)
    for path in (options.output, options.plot):
        if path is not None:
            check_folder(path.parent)
    return _prepare(saved, options.csv, options.settings)


def _check(settings: ForecastSettings) -> None:
    if settings.conformal and settings.mode == "point":
        raise UserError("--conformal gives intervals, --mode point has none; leave one of them out")


def _prepare(saved: SavedModel, source: Path | RawTable, settings: ForecastSettings) -> _Prepared:
    saved = saved.resampled(settings.resample_rate) if settings.resample_rate > 1 else saved
    saved = saved.conformal() if settings.conformal else saved
    columns = columns_of(saved, settings.roles)
    table = read_table(source, columns, IntakeReport())
    request = PredictionRequest(
        settings.mode or default_mode(saved),  # type: ignore[arg-type]
        settings.samples,
        settings.steps,
        settings.quantiles,
        settings.seed,
    )
    return _Prepared(saved, table, request, columns.on_gap == "fill")


def forecast_with(
    saved: SavedModel, source: Path | RawTable, settings: ForecastSettings
) -> TableForecast:
    """The forecast by a model that is loaded; nothing is written."""
    _check(settings)
    prepared = _prepare(saved, source, settings)
    return forecast_series(prepared.saved, prepared.table, prepared.request)


@dataclass(frozen=True)
class PreparedForecast:
    """A forecast before it is written: the table, the content of its file and of its
    ``.meta.json``.
    """

    table: Table
    frame: pd.DataFrame
    content: bytes
    meta: dict[str, Any]
    horizon: int


def make(options: ForecastOptions, output: Path) -> PreparedForecast:
    """The forecast that is asked for, as the file ``output`` would hold it; nothing is written."""
    prepared = _prepared(options)
    made = forecast_series(prepared.saved, prepared.table, prepared.request)
    frame, decisions = made.frame, made.decisions
    kind = kind_of(output)
    content = table_bytes(frame, kind)
    meta = _meta(
        options,
        prepared,
        output,
        decisions + (renamed_items(frame["item_id"]) if kind == ".csv" else []),
    )
    meta["output_sha256"] = hashlib.sha256(content).hexdigest()
    return PreparedForecast(
        prepared.table, frame, content, meta, prepared.saved.config.data.horizon
    )


def forecast(options: ForecastOptions) -> ForecastResult:
    """Forecast and write the table, its ``.meta.json`` and, if asked for, the picture; all of them
    or none.
    """
    output, plot = (
        options.output if options.output is not None else Path("forecast.csv"),
        options.plot,
    )
    if plot is not None and plot.suffix.lower() not in {".png", ".svg", ".pdf"}:
        raise UserError(
            f"--plot {plot}: cannot draw that kind of file; end the name in .png, .svg or .pdf"
        )
    made = make(options, output)
    files = files_of(made, output)
    if plot is not None:
        files[plot] = lambda path: plot_forecast(
            path, made.table, made.frame, history=3 * made.horizon
        )
    write_together(files)
    return ForecastResult(output, len(made.frame), made.meta)


def files_of(made: PreparedForecast, output: Path) -> dict[Path, Callable[[Path], object]]:
    """What writes a forecast's table to ``output`` and its ``.meta.json`` beside it."""
    return {
        output: lambda path: path.write_bytes(made.content),
        _meta_path(output): lambda path: _write_meta(path, made.meta),
    }


def stream(
    options: ForecastOptions,
    lines: Iterable[str],
    out: Callable[[str], object],
    notify: Callable[[str], object],
    as_json: bool,
) -> None:
    """Forecast after each of ``lines``, to ``out`` or to the output, each row's forecast whole;
    ``notify`` gets decisions.
    """
    if options.output is not None and options.output.suffix.lower() == ".parquet":
        raise UserError(
            f"{options.output}: --stream writes text, row after row; end the name in .csv or .json"
        )
    made = _prepared(options)
    take, decisions = streaming.follow(made.saved, made.table, made.request, made.fill)
    decisions += [] if as_json else renamed_items(made.table.labels)
    for decision in made.table.report.decisions + decisions:
        notify(decision)
    texts = streaming.forecasts(take, lines, streaming.as_json if as_json else streaming.as_csv)
    if options.output is None:
        for text in texts:
            out(text)
    else:
        meta = _meta(options, made, options.output, decisions, stream=True)
        write_together({_meta_path(options.output): lambda path: _write_meta(path, meta)})
        with options.output.open("w", encoding="utf-8") as file:
            for text in texts:
                file.write(text)
                file.flush()


def _meta_path(output: Path) -> Path:
    return output.with_name(output.name + ".meta.json")


def _write_meta(path: Path, meta: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(meta, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _meta(
    options: ForecastOptions,
    made: _Prepared,
    output: Path,
    decisions: list[str],
    stream: bool = False,
) -> dict[str, Any]:
    saved, request = made.saved, made.request
    sampled = request.mode == "probabilistic" and saved.model.distribution == "samples"
    sampler = getattr(saved.config.model, "sampler", None)
    own_steps = getattr(sampler, "steps" if sampled else "point_steps", None)
    return {
        "command": command_of(options, output, request.mode, stream),
        "folder": str(Path.cwd()),
        "model": options.reference,
        "model_name": saved.config.model.name,
        "model_sha256": digest(saved.folder),
        "run_id": saved.metadata.get("run_id"),
        "trained_on": saved.metadata.get("digest"),
        "input": str(options.csv),
        "input_sha256": made.table.digest,
        "seed": request.seed,
        "mode": request.mode,
        "conformal": options.conformal,
        "horizon": saved.config.data.horizon,
        "steps": request.steps if request.steps is not None else own_steps,
        "samples": request.samples if sampled else None,
        "quantiles": list(request.quantiles) if request.mode == "probabilistic" else None,
        "resample_rate": options.resample_rate,
        "decisions": made.table.report.decisions + decisions,
        "device": saved.model.device.type,
        "versions": versions(),
    }


def command_of(
    options: ForecastOptions, output: Path, mode: str, stream: bool = False
) -> list[str]:
    """The arguments of the command line that makes this forecast again, every setting that matters
    written out.
    """
    values: dict[str, Any] = {
        "model": options.reference,
        "csv": options.csv,
        "output": output,
        "mode": mode,
        "samples": options.samples,
        "steps": options.steps,
        "quantiles": ",".join(map(repr, options.quantiles)),
        "seed": options.seed,
        "resample_rate": options.resample_rate,
        "accelerator": options.accelerator,
        **options.roles,
    }
    found = ["forecast"]
    for name, value in values.items():
        if value is not None:
            text = ",".join(value) if isinstance(value, tuple) else str(value)
            found += [f"--{name.replace('_', '-')}", text]
    return found + ["--conformal"] * options.conformal + ["--stream"] * stream
