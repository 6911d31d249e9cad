"""The errors that intervals come from: of which forecast, window, time and series."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import seasonal_naive

from forecaster.config.parts import build
from forecaster.config.schema import DataConfig, TrainerConfig
from forecaster.data.problem import Problem, load_problem
from forecaster.data.splits import PARTS
from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws
from forecaster.models.base import Forecaster, problem_shape
from forecaster.models.held_out import HeldOut, calibration, errors_after, held_out_errors
from forecaster.models.linear import LinearConfig
from forecaster.models.seeds import window_seeds

H = 3
SETTINGS = TrainerConfig(seed=4, score_windows=2, score_samples=7)


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    """Two shops that sell one more each day; the second's day 71 is missing."""
    rows = ["day,shop,sales"]
    for shop, length in (("ark", 100), ("zoo", 80)):
        for n, day in enumerate(pd.date_range("2024-01-01", periods=length)):
            rows.append(f"{day:%Y-%m-%d},{shop},{'' if (shop, n) == ('zoo', 59) else n}")
    path = tmp_path_factory.mktemp("held_out") / "shops.csv"
    path.write_text("\n".join(rows) + "\n")
    return load_problem(DataConfig(csv=str(path), item_id="shop", horizon=H, lookback=10))


def test_errors_are_those_of_the_point_forecast_by_window(problem: Problem) -> None:
    """The last value is 1, 2 and 3 too small. Validation: days 70 to 79, and 56 to 63."""
    found = held_out_errors(seasonal_naive(1, H), problem, SETTINGS)
    days = np.datetime64("2024-01-01").astype(int) + np.array([*range(70, 78), *range(56, 62)])
    assert found.times.tolist() == days.tolist()
    assert found.owners.tolist() == [0] * 8 + [1] * 6
    deviation = torch.tensor([s.std[0] for s in problem.scaling])[found.owners]
    expected = (torch.arange(1, 4) / deviation[:, None]).float()
    whole = torch.ones(14, dtype=torch.bool)
    whole[8:] = torch.tensor([True, False, False, False, False, True])
    torch.testing.assert_close(found.errors[whole, 0], expected[whole], rtol=1e-4, atol=1e-4)
    assert found.errors.isnan().sum() == 3


def test_as_many_windows_as_are_asked_for(problem: Problem) -> None:
    settings = SETTINGS.model_copy(update={"point_windows": 4})
    every, few = (held_out_errors(seasonal_naive(1, H), problem, s) for s in (SETTINGS, settings))
    assert few.times.tolist() == every.times[[0, 4, 9, 13]].tolist()
    assert held_out_errors(seasonal_naive(1, H), problem, SETTINGS, "test").times[0] > 19800


def test_what_learns_nothing_is_held_out_on_training_windows_too(problem: Problem) -> None:
    """On those of all parts, where it goes into service; a model with weights on validation."""
    naive = seasonal_naive(1, H)
    parts = [held_out_errors(naive, problem, SETTINGS, part) for part in PARTS]
    found = calibration(naive, problem, SETTINGS)
    after = errors_after(found, naive, problem, SETTINGS)
    for kept, expected in ((found, parts[:2]), (after, parts)):
        for name in ("errors", "times", "owners"):
            value = torch.cat([getattr(part, name) for part in expected])
            torch.testing.assert_close(getattr(kept, name), value, rtol=0, atol=0, equal_nan=True)
        assert kept.seen == found.seen
    linear = build(LinearConfig(), problem_shape(problem)).eval()
    assert calibration(linear, problem, SETTINGS).times.tolist() == parts[1].times.tolist()


class Drawn(Forecaster):
    """Standard normal samples by the windows' seeds, and a point forecast of 1000."""

    centre = "median"

    def predict(self, batch: Batch, steps: int | None = None) -> torch.Tensor:
        return torch.full_like(batch.future, 1000.0)

    def sample(self, batch: Batch, draws: Draws) -> torch.Tensor:
        assert draws.samples == 7
        sources = [torch.Generator().manual_seed(seed % 2**31) for seed in draws.seeds]
        return torch.stack([torch.randn(7, 1, H, generator=source) for source in sources])


def test_a_centre_of_samples_is_theirs_with_the_seeds_of_the_windows(problem: Problem) -> None:
    """Of as many windows as samples are scored of."""
    model, windows = Drawn(), problem.windows("validation")
    found, numbers = held_out_errors(model, problem, SETTINGS), torch.tensor([0, 13])
    assert found.times.tolist() == windows.times[numbers].tolist()
    draws = Draws(7, window_seeds(problem, windows, numbers, 4))
    expected = windows[numbers].future - model.sample(windows[numbers], draws).median(1).values
    torch.testing.assert_close(found.errors, expected)
    none = SETTINGS.model_copy(update={"score_windows": 0})
    assert len(held_out_errors(model, problem, none).errors) == 1


def test_errors_without_times_are_of_no_known_series_and_long_ago() -> None:
    found = HeldOut.of(torch.zeros(5, 1, H))
    assert found.owners.tolist() == [-1] * 5
    assert int(found.times.max()) < -(10**12)


def test_seeds_are_those_that_the_file_of_a_model_gives(tmp_path: Path, problem: Problem) -> None:
    """Known numbers: forecasts of models in use keep their samples."""
    windows = problem.windows("test")
    zoo = int((windows.owners == 1).nonzero()[0])
    found = window_seeds(problem, windows, torch.tensor([zoo]), 0)
    assert found == [int.from_bytes(bytes.fromhex("46f3b9c739de29"), "big")]
