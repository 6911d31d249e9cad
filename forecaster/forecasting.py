"""``forecast``: from a reference to a saved model and a file to what is written."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from forecaster import streaming, tracking
from forecaster.data.tables import Report, Table, read_table
from forecaster.errors import UserError
from forecaster.files import check_folder, write_together
from forecaster.plots import plot_forecast
from forecaster.predictor import Request, forecast_table
from forecaster.saved import SavedModel, load_model, versions


@dataclass(frozen=True)
class Asked:
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


@dataclass(frozen=True)
class Written:
    """What was written: where, the number of rows and the content of the ``.meta.json``."""

    output: Path
    rows: int
    meta: dict[str, Any]


def find_model(reference: str) -> Path:
    """A folder, ``runs:/ID/model``, ``models:/NAME/VERSION``, ``models:/NAME@ALIAS``, or ``latest`` → a folder."""
    if reference == "latest":
        known = sorted(tracking.MODELS.glob("*/metadata.json"), key=lambda path: path.stat().st_mtime)
        if not known:
            raise UserError("--model latest: nothing has been trained yet; train a model first")
        return known[-1].parent
    if reference.startswith(("runs:/", "models:/")):
        return tracking.download_model(reference)
    return Path(reference)


def open_model(reference: str, accelerator: str | None) -> SavedModel:
    """Find and load a saved model onto the asked-for device."""
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("--accelerator gpu: no CUDA device is available here; use cpu or auto")
    device = "cuda" if torch.cuda.is_available() and accelerator != "cpu" else "cpu"
    return load_model(find_model(reference), device)


@dataclass(frozen=True)
class _Prepared:
    """The model, the file and what is wanted of them."""

    saved: SavedModel
    table: Table
    request: Request
    fill: bool


def _prepare(asked: Asked) -> _Prepared:
    if asked.conformal and asked.mode == "point":
        raise UserError("--conformal gives intervals, --mode point has none; leave one of them out")
    saved = open_model(asked.reference, asked.accelerator)
    saved = saved.resampled(asked.resample_rate) if asked.resample_rate > 1 else saved
    saved = saved.conformal() if asked.conformal else saved
    for path in (asked.output, asked.plot):
        if path is not None:
            check_folder(path.parent)
    given = {name: value for name, value in asked.roles.items() if value is not None}
    columns = saved.config.data.columns.model_copy(update=given)
    # the training file's interval is the model's affair: it is compared, not imposed
    columns = columns if "freq" in given else columns.model_copy(update={"freq": None})
    table = read_table(asked.csv, columns, Report())
    mode = asked.mode or ("point" if saved.model.distribution == "none" else "probabilistic")
    request = Request(mode, asked.samples, asked.steps, asked.quantiles, asked.seed)  # type: ignore[arg-type]
    return _Prepared(saved, table, request, columns.on_gap == "fill")


def forecast(asked: Asked) -> Written:
    """Forecast and write the table, its ``.meta.json`` and, if asked for, the picture; all of them or none."""
    made = _prepare(asked)
    saved, table, output = made.saved, made.table, asked.output if asked.output is not None else Path("forecast.csv")
    frame, decisions = forecast_table(saved, table, made.request)
    meta = _meta(asked, made, decisions)
    files: dict[Path, Callable[[Path], object]] = {
        output: lambda path: _write_table(path, frame),
        _meta_path(output): lambda path: _write_meta(path, meta),
    }
    if asked.plot is not None:
        if asked.plot.suffix.lower() not in {".png", ".svg", ".pdf"}:
            raise UserError(f"--plot {asked.plot}: cannot draw that kind of file; end the name in .png, .svg or .pdf")
        files[asked.plot] = lambda path: plot_forecast(path, table, frame, history=3 * saved.config.data.horizon)
    write_together(files)
    return Written(output, len(frame), meta)


def stream(
    asked: Asked, lines: Iterable[str], out: Callable[[str], object], say: Callable[[str], object], as_json: bool
) -> None:
    """Forecast after each of ``lines``, to ``out`` or to the output, each row's forecast whole; ``say`` gets decisions."""
    if asked.output is not None and asked.output.suffix.lower() == ".parquet":
        raise UserError(f"{asked.output}: --stream writes text, row after row; end the name in .csv or .json")
    made = _prepare(asked)
    take, decisions = streaming.follow(made.saved, made.table, made.request, made.fill)
    for decision in made.table.report.decisions + decisions:
        say(decision)
    texts = streaming.forecasts(take, lines, streaming.as_json if as_json else streaming.as_csv)
    if asked.output is None:
        for text in texts:
            out(text)
    else:
        meta = _meta(asked, made, decisions)
        write_together({_meta_path(asked.output): lambda path: _write_meta(path, meta)})
        with asked.output.open("w", encoding="utf-8") as file:
            for text in texts:
                file.write(text)
                file.flush()


def _meta_path(output: Path) -> Path:
    return output.with_name(output.name + ".meta.json")


def _write_meta(path: Path, meta: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(meta, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_table(path: Path, frame: Any) -> None:
    if path.suffix.lower() == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False, float_format="%.8g")


def _meta(asked: Asked, made: _Prepared, decisions: list[str]) -> dict[str, Any]:
    saved, request = made.saved, made.request
    sampled = request.mode == "probabilistic" and saved.model.distribution == "samples"
    sampler = getattr(saved.config.model, "sampler", None)
    own_steps = getattr(sampler, "steps" if sampled else "point_steps", None)
    return {
        "model": asked.reference,
        "model_name": saved.config.model.name,
        "run_id": saved.metadata.get("run_id"),
        "trained_on": saved.metadata.get("digest"),
        "input": str(asked.csv),
        "input_sha256": made.table.digest,
        "seed": request.seed,
        "mode": request.mode,
        "conformal": asked.conformal,
        "horizon": saved.config.data.horizon,
        "steps": request.steps if request.steps is not None else own_steps,
        "samples": request.samples if sampled else None,
        "quantiles": list(request.quantiles) if request.mode == "probabilistic" else None,
        "resample_rate": asked.resample_rate,
        "decisions": made.table.report.decisions + decisions,
        "versions": versions(),
    }
