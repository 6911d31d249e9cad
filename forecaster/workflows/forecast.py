"""``forecast``: forecast a file with a saved model, and write the result."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forecaster.config.schema import Columns
from forecaster.data.future import template
from forecaster.data.many import Parts, in_parts
from forecaster.data.reading import RawTable, file_digest
from forecaster.data.tables import Table
from forecaster.errors import UserError
from forecaster.inference import streaming
from forecaster.inference.forecasts import TableForecast, forecast_series
from forecaster.inference.inputs import columns_of, read_input
from forecaster.inference.locate import open_model
from forecaster.inference.predictor import PredictionRequest, default_mode
from forecaster.inference.saved_model import SavedModel, digest
from forecaster.io.atomic import check_file, write_together
from forecaster.io.output_tables import KINDS, kind_of, renamed_items, table_bytes
from forecaster.reporting.fans import MOST, MOST_INTERACTIVE, named
from forecaster.reporting.plots import check_picture, is_page, write_picture
from forecaster.tracking.provenance import versions
from forecaster.workflows.engines import Engine, Recipe, as_asked, local
from forecaster.workflows.forecast_parts import found_before, write_parts
from forecaster.workflows.pictures import picture
from forecaster.workflows.ray_engine import import_ray, on_ray
from forecaster.workflows.spark_engine import import_spark, on_spark

ENGINES: dict[str, Engine] = {"local": local, "ray": on_ray, "spark": on_spark}


@dataclass(frozen=True)
class ForecastOptions:
    """The options of the command ``forecast``.

    ``series``: the names of those to draw. ``engine``: a name of ``ENGINES``.
    """

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
    start: str | None = None
    future: Path | None = None
    series: str | None = None
    engine: str = "local"

    @property
    def settings(self) -> "ForecastSettings":
        """The options without references and paths."""
        names = ForecastSettings.__dataclass_fields__
        return ForecastSettings(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class ForecastSettings:
    """Forecast options that do not depend on the model's and the data's location."""

    mode: str | None
    samples: int
    steps: int | None
    quantiles: tuple[float, ...]
    seed: int
    conformal: bool
    resample_rate: int
    roles: Mapping[str, Any]
    start: str | None = None
    future: Path | RawTable | None = None


@dataclass(frozen=True)
class ForecastResult:
    """The output file, its number of rows, and the content of its ``.meta.json``."""

    output: Path
    rows: int
    meta: dict[str, Any]


@dataclass(frozen=True)
class _Ready:
    """A loaded model, the request, and the roles of the columns of the file to come."""

    saved: SavedModel
    request: PredictionRequest
    columns: Columns
    settings: ForecastSettings

    def read(self, source: Path | RawTable) -> Table:
        """The file."""
        settings = self.settings
        return read_input(self.saved, source, settings.roles, settings.start, settings.future)


def _load(options: ForecastOptions) -> _Ready:
    """Load the model. Raises UserError, too, if an output path cannot be written."""
    _check(options.settings)
    if options.engine == "ray":
        import_ray()
    elif options.engine == "spark":
        import_spark()
    saved = open_model(options.reference, options.accelerator, options.trust_code)
    return _ready(saved, options.settings)


def _read(options: ForecastOptions) -> list[Path]:
    """The files that a forecast reads."""
    static = options.roles.get("static_file")
    given = (options.csv, options.future, None if static is None else Path(static))
    return [path for path in given if path is not None]


def _check(settings: ForecastSettings) -> None:
    if settings.conformal and settings.mode == "point":
        raise UserError("--conformal gives intervals, --mode point has none; leave one of them out")


def _ready(saved: SavedModel, settings: ForecastSettings) -> _Ready:
    saved = as_asked(saved, settings.resample_rate, settings.conformal)
    request = PredictionRequest(
        settings.mode or default_mode(saved),  # type: ignore[arg-type]
        settings.samples,
        settings.steps,
        settings.quantiles,
        settings.seed,
    )
    return _Ready(saved, request, columns_of(saved, settings.roles), settings)


def forecast_with(
    saved: SavedModel, source: Path | RawTable, settings: ForecastSettings
) -> TableForecast:
    """Forecast with a loaded model; nothing is written."""
    _check(settings)
    ready = _ready(saved, settings)
    return forecast_series(ready.saved, ready.read(source), ready.request, ready.columns)


def write_template(options: ForecastOptions, output: Path) -> str:
    """Write the rows of the future that a forecast needs, to be filled in; says what it wrote."""
    check_file(output, (".csv",), *_read(options), option="--template")
    saved = open_model(options.reference, options.accelerator, options.trust_code)
    table = read_input(saved, options.csv, options.roles, options.start, options.future)
    frame = template(table, saved.config.data.horizon)
    # its names are safe for spreadsheets already
    content = frame.to_csv(index=False, lineterminator="\n")
    write_together({output: lambda path: path.write_text(content, encoding="utf-8")})
    lacking = saved.config.data.horizon * len(table.series) - len(frame)
    without = f", without {lacking} at times at which the history has none" if lacking else ""
    return f"{output}: {len(frame)} rows to be filled in, for --future{without}"


@dataclass(frozen=True)
class PreparedForecast:
    """A forecast before it is written, with the contents of its file and ``.meta.json``.

    ``forecast``: None of many series, which are forecast part by part; ``rows``: of the file.
    """

    forecast: TableForecast | None
    rows: int
    content: bytes
    meta: dict[str, Any]


def prepare_forecast(options: ForecastOptions, output: Path) -> PreparedForecast:
    """Forecast, with the content for the file ``output``; nothing is written."""
    ready = _load(options)
    with _parts(ready, options) as parts:
        if parts is None:
            return _prepared(options, ready, output)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / output.name
            rows, meta = _write_parts(options, ready, parts, output, path)
            return PreparedForecast(None, rows, path.read_bytes(), meta)


def _prepared(options: ForecastOptions, ready: _Ready, output: Path) -> PreparedForecast:
    table = ready.read(options.csv)
    if options.series is not None:
        named(options.series, table.labels)
    result = forecast_series(ready.saved, table, ready.request, ready.columns)
    kind = kind_of(output)
    content = table_bytes(result.frame, kind)
    renamed = renamed_items(result.frame["item_id"]) if kind == ".csv" else []
    decisions = table.report.decisions + result.decisions + renamed
    meta = _meta(options, ready, table.digest, output, decisions)
    meta["output_sha256"] = hashlib.sha256(content).hexdigest()
    return PreparedForecast(result, len(result.frame), content, meta)


@contextmanager
def _parts(ready: _Ready, options: ForecastOptions) -> Iterator[Parts | None]:
    """The parts in which a file of many series is forecast; None for the whole at once."""
    together, here = _together(ready, options), options.engine == "local"
    if together is not None:
        if not here:
            raise UserError(
                f"--engine {options.engine}: {together} takes all series together; leave --engine "
                "out"
            )
        yield None
        return
    names = ready.saved.schema.names
    with in_parts(options.csv, ready.columns, names, few=not here) as parts:
        if parts is None and not here and options.csv.exists():
            raise UserError(
                f"{options.csv}: --engine {options.engine} forecasts Parquet files with columns "
                "item, time and values; write it as such a file, or leave --engine out"
            )
        yield parts


def _together(ready: _Ready, options: ForecastOptions) -> str | None:
    """What needs all series at once, if anything does."""
    columns = ready.columns
    found = {
        "--plot": options.plot is not None,
        "--future": options.future is not None,
        "--on-short drop": columns.on_short == "drop",
        "--align end": columns.align == "end",
        "a model with covariates": ready.saved.encoding is not None,
    }
    return next((name for name, there in found.items() if there), None)


def _write_parts(
    options: ForecastOptions, ready: _Ready, parts: Parts, output: Path, path: Path
) -> tuple[int, dict[str, Any]]:
    """Write the forecast of ``parts`` to ``path``, for the file ``output``: its rows, and meta."""
    from forecaster.training.stages import TERMINAL  # imports Lightning, which takes seconds

    roles, lenders = found_before(ready.saved, parts, options.roles, options.start, ready.request)
    recipe = Recipe(
        parts.path,
        parts.digest,
        roles,
        options.start,
        ready.request,
        lenders,
        options.resample_rate,
        options.conformal,
        options.trust_code,
    )
    engine = ENGINES[options.engine]
    written = write_parts(ready.saved, parts, recipe, engine, path, TERMINAL)
    meta = _meta(options, ready, parts.digest, output, written.decisions)
    return written.rows, {**meta, "output_sha256": file_digest(path)}


def forecast(options: ForecastOptions) -> ForecastResult:
    """Forecast, and write the table, its ``.meta.json`` and the plot, if any, atomically."""
    output, plot = (
        options.output if options.output is not None else Path("forecast.csv"),
        options.plot,
    )
    check_file(output, KINDS, *_read(options))
    if plot is not None:
        check_picture(plot, interactive=True)
        check_file(plot, (), *_read(options), option="--plot")
    ready = _load(options)
    with _parts(ready, options) as parts:
        if parts is not None:
            return _forecast_parts(options, ready, parts, output)
    prepared = _prepared(options, ready, output)
    files = files_of(prepared, output)
    if plot is not None:
        assert prepared.forecast is not None
        labels = prepared.forecast.table.labels
        wanted = None if options.series is None else named(options.series, labels)
        drawn = picture(prepared.forecast, wanted, MOST_INTERACTIVE if is_page(plot) else MOST)
        files[plot] = lambda path: write_picture(path, drawn)
    write_together(files)
    return ForecastResult(output, prepared.rows, prepared.meta)


def _forecast_parts(
    options: ForecastOptions, ready: _Ready, parts: Parts, output: Path
) -> ForecastResult:
    found: list[ForecastResult] = []

    def write(path: Path) -> None:
        rows, meta = _write_parts(options, ready, parts, output, path)
        found.append(ForecastResult(output, rows, meta))

    def write_meta(path: Path) -> None:
        _write_meta(path, found[0].meta)

    write_together({output: write, _meta_path(output): write_meta})
    return found[0]


def files_of(prepared: PreparedForecast, output: Path) -> dict[Path, Callable[[Path], object]]:
    """The writers of a forecast's table and its ``.meta.json``, by path."""
    return {
        output: lambda path: path.write_bytes(prepared.content),
        _meta_path(output): lambda path: _write_meta(path, prepared.meta),
    }


def stream(
    options: ForecastOptions,
    lines: Iterable[str],
    out: Callable[[str], object],
    notify: Callable[[str], object],
    as_json: bool,
) -> None:
    """Forecast after each of ``lines``, written to ``out`` or to the output file.

    ``notify`` receives decisions.
    """
    if options.output is not None:
        if options.output.suffix.lower() == ".parquet":
            raise UserError(
                f"{options.output}: --stream writes text, row after row; end the name in .csv or "
                ".json"
            )
        check_file(options.output, (".csv", ".json", ".jsonl"), *_read(options))
    ready = _load(options)
    table = ready.read(options.csv)
    take, decisions = streaming.follow(ready.saved, table, ready.request, ready.columns, notify)
    decisions = table.report.decisions + decisions
    decisions += [] if as_json else renamed_items(table.labels)
    for decision in decisions:
        notify(decision)
    texts = streaming.forecasts(take, lines, streaming.as_json if as_json else streaming.as_csv)
    if options.output is None:
        for text in texts:
            out(text)
    else:
        meta = _meta(options, ready, table.digest, options.output, decisions, stream=True)
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
    ready: _Ready,
    input_sha256: str,
    output: Path,
    decisions: list[str],
    stream: bool = False,
) -> dict[str, Any]:
    saved, request = ready.saved, ready.request
    probabilistic = request.mode == "probabilistic"
    sampled = saved.model.draws_centre or (probabilistic and saved.model.distribution == "samples")
    sampler = getattr(saved.config.model, "sampler", None)
    default_steps = getattr(sampler, "steps" if sampled else "point_steps", None)
    return {
        "command": command_of(options, output, request.mode, stream),
        "folder": str(Path.cwd()),
        "model": options.reference,
        "model_name": saved.config.model.name,
        "model_sha256": digest(saved.folder),
        "run_id": saved.metadata.get("run_id"),
        "trained_on": saved.metadata.get("digest"),
        "input": str(options.csv),
        "input_sha256": input_sha256,
        **_beside(options),
        "seed": request.seed,
        "mode": request.mode,
        "conformal": options.conformal,
        "horizon": saved.config.data.horizon,
        "steps": request.steps if request.steps is not None else default_steps,
        "samples": request.samples if sampled else None,
        "quantiles": list(request.quantiles) if probabilistic else None,
        "resample_rate": options.resample_rate,
        "decisions": decisions,
        "device": saved.model.device.type,
        "versions": versions(),
    }


def _beside(options: ForecastOptions) -> dict[str, str]:
    """The files of the future and of static values, and their digests, if there are any."""
    files = {"future": options.future, "static_file": options.roles.get("static_file")}
    given = {name: path for name, path in files.items() if path is not None}
    digests = {f"{name}_sha256": file_digest(path) for name, path in given.items()}
    return {name: str(path) for name, path in given.items()} | digests


def command_of(
    options: ForecastOptions, output: Path, mode: str, stream: bool = False
) -> list[str]:
    """Command-line arguments that reproduce this forecast, with all relevant options."""
    values: dict[str, Any] = {
        "model": options.reference,
        "csv": options.csv,
        "output": output,
        "future": options.future,
        "start": options.start,
        "mode": mode,
        "samples": options.samples,
        "steps": options.steps,
        "quantiles": ",".join(map(repr, options.quantiles)),
        "seed": options.seed,
        "resample_rate": options.resample_rate,
        "accelerator": options.accelerator,
        **options.roles,
    }
    arguments = ["forecast"]
    for name, value in values.items():
        if isinstance(value, bool):
            arguments.append(f"--{name}" if value else f"--no-{name}")
        elif value is not None:
            text = ",".join(value) if isinstance(value, tuple) else str(value)
            arguments += [f"--{name.replace('_', '-')}", text]
    return arguments + ["--conformal"] * options.conformal + ["--stream"] * stream
