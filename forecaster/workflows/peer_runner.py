"""The forecasts of a peer, in a process of its own: a script for the Python of its environment.

It imports nothing of this project. A folder, its argument, holds ``history.csv`` (``item``,
``time``, ``value``) and ``job.json`` (the fields of ``Job``); it gets ``forecasts.csv``
(``window``, ``item``, ``step`` and a column a level) and ``result.json`` (seconds, memory, lines).
"""

import importlib
import inspect
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# from histories to quantiles (H, Q) of each
Forecast = Callable[[pd.DataFrame], dict[str, NDArray[np.float64]]]


@dataclass(frozen=True)
class Job:
    """What to forecast.

    ``learn``: the rows to learn from, by item. ``windows``: number, item, and rows before the first
    target. ``history``: the newest of those rows, as many as a forecast may read; ``lookback``: as
    many as a network does. ``seconds``: the limit, for a peer that takes one. ``settings``: the
    peer's own.
    """

    peer: str
    horizon: int
    lookback: int
    history: int
    seasons: list[int]
    levels: list[float]
    seed: int
    seconds: float
    learn: dict[str, int]
    windows: list[tuple[int, str, int]]
    settings: dict[str, Any]
    folder: Path
    freq: str


def statistical(job: Job, learn: pd.DataFrame, kind: str) -> Forecast:
    """AutoETS, AutoTheta or MSTL, fitted to each history."""
    from statsforecast import StatsForecast, models

    seasons = [season for season in job.seasons if 2 * season <= job.history] or [1]
    season = seasons if kind == "MSTL" else seasons[0]
    model = getattr(models, kind)(season_length=season, alias="model", **job.settings)
    sides = {q: ("lo" if q < 0.5 else "hi", round(100 * abs(1 - 2 * q))) for q in job.levels}
    names = ["model" if q == 0.5 else "model-{}-{}".format(*sides[q]) for q in job.levels]

    def forecast(pasts: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
        percents = sorted({percent for _, percent in sides.values() if percent})
        forecaster = StatsForecast(models=[model], freq=job.freq)
        found = forecaster.forecast(df=pasts, h=job.horizon, level=percents)
        return {name: rows[names].to_numpy() for name, rows in found.groupby("unique_id")}

    return forecast


def neural(job: Job, learn: pd.DataFrame, kind: str) -> Forecast:
    """NHITS or PatchTST of NeuralForecast, trained on all items."""
    from neuralforecast import NeuralForecast, models
    from neuralforecast.losses.pytorch import MQLoss

    model = getattr(models, kind)(
        h=job.horizon,
        input_size=job.lookback,
        loss=MQLoss(quantiles=job.levels),
        random_seed=job.seed,
        alias="model",
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        **job.settings,
    )
    forecaster = NeuralForecast(models=[model], freq=job.freq)
    forecaster.fit(learn)

    def forecast(pasts: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
        found = forecaster.predict(df=pasts)
        names = [name for name in found if name.startswith("model")]  # in the order of the levels
        return {name: rows[names].to_numpy() for name, rows in found.groupby("unique_id")}

    return forecast


def gluonts(job: Job, learn: pd.DataFrame, kind: str) -> Forecast:
    """DeepAR or PatchTST of GluonTS, trained on all items."""
    import torch
    from gluonts.dataset.common import ListDataset
    from gluonts.torch import DeepAREstimator, PatchTSTEstimator

    def entries(frame: pd.DataFrame) -> ListDataset:
        rows = (
            {"item_id": name, "start": each["ds"].iloc[0], "target": each["y"].to_numpy()}
            for name, each in frame.groupby("unique_id")
        )
        return ListDataset(rows, freq=job.freq)

    torch.manual_seed(job.seed)
    np.random.seed(job.seed)  # which GluonTS cuts its windows by
    settings = {**job.settings}
    trainer = {
        "max_epochs": settings.pop("max_epochs"),
        "accelerator": "cpu",
        "logger": False,
        "enable_progress_bar": False,
        "default_root_dir": str(job.folder),
    }
    common: dict[str, Any] = {"prediction_length": job.horizon, "context_length": job.lookback}
    common |= {"trainer_kwargs": trainer, **settings}
    if kind == "DeepAR":
        estimator = DeepAREstimator(freq=job.freq, **common)
    else:
        estimator = PatchTSTEstimator(patch_len=16, **common)
    predictor = estimator.train(entries(learn))

    def forecast(pasts: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
        torch.manual_seed(job.seed)
        return {
            each.item_id: np.stack([each.quantile(q) for q in job.levels], axis=1)
            for each in predictor.predict(entries(pasts))
        }

    return forecast


def autogluon(job: Job, learn: pd.DataFrame, kind: str) -> Forecast:
    """AutoGluon, which chooses and weighs models in the time it is given."""
    from autogluon.timeseries import TimeSeriesDataFrame, TimeSeriesPredictor

    columns = {"id_column": "unique_id", "timestamp_column": "ds"}
    predictor = TimeSeriesPredictor(
        target="y",
        prediction_length=job.horizon,
        quantile_levels=job.levels,
        freq=job.freq,
        path=str(job.folder / "autogluon"),
        verbosity=0,
    )
    data = TimeSeriesDataFrame.from_data_frame(learn, **columns)
    predictor.fit(data, time_limit=job.seconds / 2, random_seed=job.seed, **job.settings)

    def forecast(pasts: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
        data = TimeSeriesDataFrame.from_data_frame(pasts, **columns)
        found, names = predictor.predict(data, random_seed=job.seed), [str(q) for q in job.levels]
        return {name: rows[names].to_numpy() for name, rows in found.groupby(level=0)}

    return forecast


# the package that a peer is imported from, its function, and the model
PEERS: dict[str, tuple[str, Callable[[Job, pd.DataFrame, str], Forecast], str]] = {
    "auto-ets": ("statsforecast.models", statistical, "AutoETS"),
    "auto-theta": ("statsforecast.models", statistical, "AutoTheta"),
    "mstl": ("statsforecast.models", statistical, "MSTL"),
    "nhits": ("neuralforecast.models", neural, "NHITS"),
    "patchtst": ("neuralforecast.models", neural, "PatchTST"),
    "gluonts-deepar": ("gluonts.torch", gluonts, "DeepAR"),
    "gluonts-patchtst": ("gluonts.torch", gluonts, "PatchTST"),
    "autogluon": ("autogluon.timeseries", autogluon, ""),
}


def run(folder: Path) -> None:
    """Do the job of a folder."""
    history = pd.read_csv(folder / "history.csv", dtype={"item": str}, parse_dates=["time"])
    items = {
        str(name): rows.rename(columns={"item": "unique_id", "time": "ds", "value": "y"})
        for name, rows in history.groupby("item")
    }
    freq = pd.infer_freq(next(iter(items.values()))["ds"])
    if freq is None:
        raise ValueError("the times have no frequency that pandas knows")
    given = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    job = Job(**given, folder=folder, freq=freq)
    learn = pd.concat([items[name][:rows] for name, rows in job.learn.items()])
    pasts = pd.concat(
        [
            items[name][max(rows - job.history, 0) : rows].assign(unique_id=f"{number}/{name}")
            for number, name, rows in job.windows
        ]
    )
    package, train, kind = PEERS[job.peer]
    importlib.import_module(package)  # which takes seconds, and is no part of a training
    began = time.monotonic()
    forecast = train(job, learn.reset_index(drop=True), kind)
    trained = time.monotonic()
    found = forecast(pasts.reset_index(drop=True))
    done = time.monotonic()
    frames = []
    for number, name, _ in job.windows:
        frame = pd.DataFrame(found[f"{number}/{name}"], columns=[str(q) for q in job.levels])
        frame.insert(0, "step", range(1, job.horizon + 1))
        frame.insert(0, "item", name)
        frame.insert(0, "window", number)
        frames.append(frame)
    pd.concat(frames).to_csv(folder / "forecasts.csv", index=False)
    result = {
        "train_seconds": trained - began,
        "forecast_seconds": done - trained,
        "peak_mb": peak_memory(),
        "lines": lines_of(train),
    }
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


def peak_memory() -> float:
    """The peak of this process's resident memory in MB."""
    status = Path("/proc/self/status")
    if status.is_file():  # of the program alone, and not of the one that started it
        found = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return float(found["VmHWM"].split()[0]) / 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 / (1024 if sys.platform == "darwin" else 1)


def lines_of(function: Callable[..., Any]) -> int:
    """The lines of a function's code without its head, documentation, comments and blank ones."""
    lines = [line.strip() for line in inspect.getsource(function).splitlines()]
    return sum(bool(line) and not line.startswith(("#", '"""')) for line in lines[1:])


if __name__ == "__main__":
    run(Path(sys.argv[1]))
