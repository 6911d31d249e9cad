"""The learnt scale of a forecast's errors, on constructed histories."""

import pytest
import torch

from forecaster.data.windows import Batch, Windows
from forecaster.diffusion.drawing import Draws
from forecaster.models.base import Shape, empty_future
from forecaster.models.bootstrap import ResidualBootstrap
from forecaster.models.bootstrap.bank import ResidualBank
from forecaster.models.bootstrap.forecaster import ResidualBootstrapConfig
from forecaster.models.naive import SeasonalNaiveConfig
from forecaster.models.scales import exponents, log_scales

K, L, H, SEASON = 2, 24, 6, 6


def histories(past: torch.Tensor, mask: torch.Tensor | None = None) -> Batch:
    seen = torch.ones_like(past) if mask is None else mask
    return empty_future(past, seen, H, torch.zeros(len(past), dtype=torch.int64))


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_measures_of_a_line() -> None:
    """x_t = 3t: a step is 3, a season's change 18; n values deviate by 3·√((n² − 1)/12)."""
    found = log_scales(histories(3 * torch.arange(float(L)).expand(1, K, L)), SEASON).exp()[0, 0]
    deviations = [3 * ((n**2 - 1) / 12) ** 0.5 for n in (L, SEASON)]
    torch.testing.assert_close(found, torch.tensor([*deviations, 18.0, 3.0]), rtol=1e-4, atol=0)


def test_measures_grow_with_the_history_and_do_not_see_its_level() -> None:
    past = noise(5, K, L)
    found = log_scales(histories(past), SEASON)
    torch.testing.assert_close(
        log_scales(histories(10 * past + 7), SEASON),
        found + torch.tensor(10.0).log(),
        atol=1e-3,
        rtol=0,
    )


@pytest.mark.parametrize("lookback", [1, 2, 5, L])
def test_what_is_missing_has_no_say_in_the_measures(lookback: int) -> None:
    past, mask = noise(5, K, lookback), (noise(5, K, lookback) > -0.5).float()
    mask[0] = 0
    found = log_scales(histories(past, mask), SEASON)
    assert found.isfinite().all()
    assert torch.equal(found, log_scales(histories(torch.where(mask > 0, past, 1e3), mask), SEASON))


def test_known_exponents_are_found() -> None:
    logs, true = noise(4000, K, 4), torch.tensor([[0.5, 0.0, 0.3, -0.2], [1.0, 0.2, 0.0, 0.0]])
    errors = (logs * true).sum(2, keepdim=True).exp() * noise(4000, K, 32)
    torch.testing.assert_close(exponents(logs, errors), true, atol=0.03, rtol=0)


def test_measures_that_say_nothing_get_no_weight() -> None:
    """A constant measure, or four of them, cannot be told from the factor common to all."""
    found = exponents(torch.ones(50, K, 4), noise(50, K, H))
    torch.testing.assert_close(found, torch.zeros(K, 4))


def test_a_learnt_scale_is_a_product_of_powers_of_the_measures() -> None:
    bank, logs = ResidualBank("learnt", None, Shape(K, L, H, SEASON)), noise(50, K, 4)
    paths, zeros = logs[..., :1].exp() * noise(50, K, H), torch.zeros(50)
    bank.fill(paths, torch.arange(50), zeros, logs, zeros.long())
    assert bank.exponents[:, 0].min() > 0.5
    torch.testing.assert_close(bank.scales, logs.exp().pow(bank.exponents).prod(2, keepdim=True))


def swinging(rows: int, seed: int) -> Windows:
    """Noise whose deviation changes faster than the history is long: its last season tells more
    than the whole.
    """
    generator = torch.Generator().manual_seed(seed)
    swing = torch.exp(1.5 * torch.sin(torch.arange(rows) / 8))
    return Windows(
        [(swing[:, None] * torch.randn(rows, K, generator=generator)).numpy()],
        [(L, rows)],
        L,
        H,
        [0],
    )


def learnt(scale: str) -> ResidualBootstrap:
    config = ResidualBootstrapConfig(
        base=SeasonalNaiveConfig(), residuals="train", scale=scale, scale_power="auto", paths=600
    )
    model = ResidualBootstrap(config, Shape(K, L, H, SEASON))
    model.base.predict_with_label = lambda batch: torch.zeros_like(batch.future)
    model.calibrate(swinging(1500, 1), swinging(1500, 2))
    return model


def test_the_learnt_scale_follows_what_the_deviation_cannot() -> None:
    """The paths' scale goes with the size of the truth over all windows of another stretch, as the
    deviation's does not.
    """
    seen = swinging(1500, 3)
    batch = seen[torch.arange(len(seen))]
    size = batch.future.abs().mean((1, 2)).log()
    agreement = {}
    for scale in ("deviation", "learnt"):
        drawn = learnt(scale).sample(batch, Draws(50, batch.index.tolist()))
        agreement[scale] = torch.corrcoef(torch.stack([drawn.abs().mean((1, 2, 3)).log(), size]))[
            0, 1
        ]
    assert agreement["learnt"] > agreement["deviation"] + 0.2, agreement


def test_a_loaded_learnt_scale_draws_the_same() -> None:
    model = learnt("learnt")
    other = ResidualBootstrap(model.config, Shape(K, L, H, SEASON))
    other.base = model.base
    other.load_state_dict(model.state_dict())
    batch = swinging(200, 4)[torch.arange(5)]
    assert torch.equal(
        other.sample(batch, Draws(9, [1, 2, 3, 4, 5])),
        model.sample(batch, Draws(9, [1, 2, 3, 4, 5])),
    )
