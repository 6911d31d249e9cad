"""The errors that a training prints are those of the files that ``forecast`` writes, with the model
that they are of: the held-out one.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Cli
from numpy.typing import NDArray

from forecaster.evaluation.metrics import QUANTILES

HORIZON, ROWS, SAMPLES = 3, 100, 20
# levels at which a quantile is one of the samples
RANKS = [i / (SAMPLES + 1) for i in range(1, SAMPLES + 1)]
TINY = {
    "nlinear": (),
    "residual-bootstrap": (),
    "s2dbm": ("model.network.width=8", "trainer.stage_epochs=2", "trainer.stage_batches=20"),
    "quantile-linear": (),
    "csdi": (
        "model.network.channels=4",
        "model.network.heads=2",
        "model.network.layers=1",
        "model.condition.steps=8",
        "model.schedule.steps=4",
        "model.sampler.steps=4",
        "model.sampler.point_steps=4",
    ),
}
MEDIANS = {"quantile-linear", "csdi"}


@pytest.fixture(scope="module")
def weekly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two series with a week in them and skewed noise."""
    generator, days = np.random.default_rng(0), np.arange(ROWS)
    week = np.array([5.0, 3, 2, 2, 4, 9, 8])[days % 7]
    values = np.stack([week, 2 * week + days / 10]) + generator.exponential(1.5, (2, ROWS))
    frame = pd.DataFrame(values.T.round(3), columns=["north", "south"])
    frame.insert(0, "day", pd.date_range("2024-01-01", periods=ROWS).strftime("%Y-%m-%d"))
    path = tmp_path_factory.mktemp("weekly") / "sales.csv"
    frame.to_csv(path, index=False)
    return path


SLOW = {"residual-bootstrap", "csdi"}  # as s2dbm, but for the coordinates and the centre


@pytest.fixture(
    scope="module",
    params=[pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in TINY],
)
def trained(
    request: pytest.FixtureRequest, cli: Cli, weekly: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, dict[str, float]]:
    """A model's name, its folder and what its training printed."""
    folder = tmp_path_factory.mktemp("model") / request.param
    settings = (
        f"trainer.score_samples={SAMPLES}",
        "trainer.score_windows=32",
        "trainer.max_steps=3",
        "trainer.refit=none",
        *TINY[request.param],
    )
    sizes = ("--horizon", HORIZON, "--lookback", 14, "--model", request.param)
    sets = [part for setting in settings for part in ("--set", setting)]
    done = cli("train", "--csv", weekly, *sizes, *sets, "--output", folder, "--json")
    return request.param, folder, json.loads(done.stdout)["metrics"]


def forecasts(cli: Cli, folder: Path, csv: Path, *options: object) -> pd.DataFrame:
    output = csv.with_suffix(".forecast.csv")
    cli("forecast", "--model", folder, "--csv", csv, "--output", output, *options)
    return pd.read_csv(output)


def truncated(csv: Path, rows: int, folder: Path) -> Path:
    path = folder / f"{rows}.csv"
    path.write_text("".join(csv.read_text().splitlines(keepends=True)[: rows + 1]))
    return path


def fair_crps(samples: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    count = len(samples)
    spread = np.abs(samples[:, None] - samples[None]).sum((0, 1)) / (2 * count * (count - 1))
    return float((np.abs(samples - truth).mean(0) - spread).mean())


def test_printed_metrics_are_those_of_the_forecast_files(
    cli: Cli, weekly: Path, trained: tuple[str, Path, dict[str, float]], tmp_path: Path
) -> None:
    """From every origin of the last fifth, of the file as it was then, with options of no kind but
    the number of samples and the quantiles that tell all of them.
    """
    name, folder, printed = trained
    values = pd.read_csv(weekly)[["north", "south"]].to_numpy()
    levels = list(QUANTILES) if name == "quantile-linear" else [0.05, *RANKS, 0.95]
    options = ("--samples", SAMPLES, "--quantiles", ",".join(map(repr, sorted(levels))))
    errors, held, crps = [], [], []
    for row in range(ROWS - ROWS // 5, ROWS - HORIZON + 1):
        found = forecasts(cli, folder, truncated(weekly, row, tmp_path), *options)
        truth = values[row : row + HORIZON].T.ravel()
        errors.append(truth - found["median" if name in MEDIANS else "mean"])
        held.append((found["0.05"] <= truth) & (truth <= found["0.95"]))
        if name != "quantile-linear":
            samples = found.drop(
                columns=["item_id", "timestamp", "mean", "median", "0.05", "0.95"], errors="ignore"
            )
            assert samples.shape == (2 * HORIZON, SAMPLES)
            paths = samples.to_numpy().T
            crps.append(fair_crps(paths, truth))
    assert printed["test/windows"] == printed["test/probabilistic_windows"] == len(errors)
    assert printed["test/mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-6)
    assert printed["test/mse"] == pytest.approx(np.square(errors).mean(), rel=1e-6)
    assert printed["test/coverage/90"] == pytest.approx(np.mean(held), rel=1e-9)
    if crps:
        assert printed["test/crps"] == pytest.approx(np.mean(crps), rel=1e-6)


def test_a_point_file_has_the_columns_of_the_probabilistic_one(
    cli: Cli, weekly: Path, trained: tuple[str, Path, dict[str, float]], tmp_path: Path
) -> None:
    name, folder, _ = trained
    both = [
        forecasts(cli, folder, truncated(weekly, 90, tmp_path), "--samples", SAMPLES, *options)
        for options in ((), ("--mode", "point"), ("--seed", 1))
    ]
    centres = ["mean", "median"] if name in MEDIANS else ["mean"]
    assert list(both[0]) == ["item_id", "timestamp", *centres, "0.05", "0.5", "0.95"]
    pd.testing.assert_frame_equal(both[1], both[0][["item_id", "timestamp", *centres]])
    if name in MEDIANS:
        pd.testing.assert_series_equal(both[0]["median"], both[0]["0.5"], check_names=False)
    else:  # it is no mean of samples
        pd.testing.assert_series_equal(both[0]["mean"], both[2]["mean"])
        assert not both[0]["0.5"].equals(both[2]["0.5"])
