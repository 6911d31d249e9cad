"""A process whose predictive distribution is known: the recommended bridge has to find it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from forecaster.config.load import find_config, load_config
from forecaster.config.parts import build
from forecaster.data.windows import Windows
from forecaster.diffusion.drawing import Draws
from forecaster.models.base import Shape
from forecaster.training.data_module import WindowData
from forecaster.training.fit import fit

pytestmark = pytest.mark.slow

SEASON, LOOKBACK, HORIZON, PHI = 12, 36, 12, 0.8
PART = 6000


def deviation(time: torch.Tensor) -> torch.Tensor:
    """The innovation's standard deviation, a wave over the season from .3 to 1.7."""
    return 1 + 0.7 * torch.sin(2 * torch.pi * time / SEASON)


def known_process(rows: int) -> np.ndarray:
    """y_t = .8·y_{t−1} + σ(t)·e_t, two independent channels."""
    generator = torch.Generator().manual_seed(0)
    shocks = (
        torch.randn(rows, 2, generator=generator, dtype=torch.float64)
        * deviation(torch.arange(rows))[:, None]
    )
    values = torch.zeros(rows, 2, dtype=torch.float64)
    for t in range(1, rows):
        values[t] = PHI * values[t - 1] + shocks[t]
    return values.numpy()


def true_deviations(time: torch.Tensor) -> torch.Tensor:
    """(B, H): √Σ_j φ^{2(h−j)}·σ²(t+j), for windows whose first target is at ``time``."""
    lead = torch.arange(HORIZON)
    innovations = deviation(time[:, None] + lead).double() ** 2
    weights = PHI ** (2.0 * (lead[:, None] - lead).clamp(min=0)) * (lead[:, None] >= lead)
    return (innovations @ weights.double().T).sqrt()


@pytest.fixture(scope="module")
def forecasts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    values = known_process(3 * PART)
    train, validation, test = (
        Windows([values], [(a, a + PART)], LOOKBACK, HORIZON, [0])
        for a in (LOOKBACK, PART, 2 * PART)
    )
    # window normalisation keeps the level, so it could not forecast a return to the mean
    settings = [
        "model.prior.phase_window=0",
        "model.prior.base={name: linear, norm: none, loss: l1}",
        "model.norm=none",
        "trainer.max_epochs=6",
        "trainer.stage_epochs=30",
        "trainer.stage_learning_rate=0.001",
        "trainer.accelerator=cpu",
    ]
    config = load_config(find_config("s2dbm"), settings)
    torch.manual_seed(0)
    model = build(config.model, Shape(2, LOOKBACK, HORIZON, SEASON))
    fit(
        model,
        WindowData(train, validation, 32, 0, 512),
        config.trainer,
        Path(tmp_path_factory.mktemp("fit")),
    )
    batch = test[torch.arange(0, len(test), 5)]
    with torch.no_grad():
        samples = model.sample(batch, Draws(200, batch.index.tolist()))
        point = model.predict(batch)
    return {
        "samples": samples,
        "point": point,
        "y": batch.future,
        "last": batch.past[..., -1:],
        "time": batch.time,
    }


def test_samples_have_the_true_deviation_at_every_lead_time(forecasts) -> None:
    true = true_deviations(forecasts["time"])
    found = forecasts["samples"].double().var(1).mean(1)  # (B, H)
    ratio = (found.mean(0) / (true**2).mean(0)).sqrt()
    assert ((ratio > 0.9) & (ratio < 1.1)).all(), ratio


def test_samples_widen_and_narrow_with_the_season(forecasts) -> None:
    """One step ahead the true deviation runs from .3 to 1.7: place by place in the season, within a
    tenth.
    """
    phase = forecasts["time"] % SEASON
    for place in range(SEASON):
        found = forecasts["samples"][phase == place, :, :, 0].double().var(1).mean().sqrt()
        true = float(deviation(torch.tensor(float(place))))
        assert float(found) == pytest.approx(true, rel=0.1), place


def test_interval_holds_its_level(forecasts) -> None:
    low, high = forecasts["samples"].quantile(torch.tensor([0.05, 0.95]), dim=1)
    held = ((low <= forecasts["y"]) & (forecasts["y"] <= high)).double().mean()
    assert 0.87 < float(held) < 0.93


def test_point_forecast_is_nearly_optimal(forecasts) -> None:
    optimal = forecasts["last"] * PHI ** torch.arange(1.0, HORIZON + 1)
    best = ((optimal - forecasts["y"]) ** 2).mean()
    found = ((forecasts["point"] - forecasts["y"]) ** 2).mean()
    assert float(found / best) < 1.02
