"""Covariates in models: what they add is learnt, and nothing else changes."""

from dataclasses import replace

import pytest
import torch
from pydantic import TypeAdapter

from forecaster.config.parts import ForecasterPart
from forecaster.config.schema import TrainerConfig
from forecaster.data.encoding import Sizes
from forecaster.data.windows import Batch, BatchCovariates
from forecaster.diffusion.drawing import Draws
from forecaster.models.base import Forecaster, Shape
from forecaster.models.linear import LinearConfig
from forecaster.models.size import build_model
from forecaster.training.stages import Training

LOOKBACK, HORIZON, CHANNELS = 24, 6, 2
SHAPE = Shape(CHANNELS, LOOKBACK, HORIZON, 7, covariates=Sizes(known=3, past=2, static=2))
MODELS = {
    "linear": {"name": "linear"},
    "sorted-levels": {"name": "sorted-levels", "levels": 3},
    "quantile-linear": {"name": "quantile-linear"},
    "transformer": {"name": "transformer", "width": 8, "heads": 2, "layers": 1},
    "s4d": {"name": "state-space", "layer": "s4d", "norm": "running", "width": 8, "layers": 1},
}


def model(name: str, shape: Shape = SHAPE) -> Forecaster:
    torch.manual_seed(0)
    config = TypeAdapter(ForecasterPart).validate_python(MODELS.get(name, {"name": name}))
    return build_model(config, shape).eval()


def batch(size: int = 4) -> Batch:
    generator = torch.Generator().manual_seed(1)

    def normal(*sizes: int) -> torch.Tensor:
        return torch.randn(size, *sizes, generator=generator)

    past, future = normal(CHANNELS, LOOKBACK), normal(CHANNELS, HORIZON)
    covariates = BatchCovariates(
        normal(3, LOOKBACK + HORIZON), normal(2, LOOKBACK), normal(2), normal(0, LOOKBACK + HORIZON)
    )
    index = torch.arange(size)
    masks = torch.ones_like(past), torch.ones_like(future)
    return Batch(past, masks[0], future, masks[1], index, index, index, None, covariates)


def of_known(found: Forecaster, weights: torch.Tensor) -> None:
    """Set the effects: each channel is ``weights`` (K, C) times the known features."""
    (linear,) = [
        m.linear for m in found.modules() if hasattr(m, "over_time") and m.linear is not None
    ]
    linear.weight.data = weights


@pytest.mark.parametrize("name", MODELS)
def test_untrained_effects_change_nothing(name: str) -> None:
    plain = model(name, replace(SHAPE, covariates=Sizes()))
    with_effects = model(name)
    with_effects.load_state_dict(plain.state_dict(), strict=False)
    given = batch()
    assert torch.equal(plain.predict(given), with_effects.predict(given))


@pytest.mark.parametrize("name", MODELS)
def test_a_known_effect_is_taken_out_of_the_history_and_added_to_the_future(name: str) -> None:
    """The forecast of y + w·x is that of y, plus w·x, and so is its loss."""
    found, given, weights = model(name), batch(), torch.tensor([[1.0, -2, 0.5], [0, 3, 1]])
    assert given.covariates is not None
    added = torch.einsum("kc,bct->bkt", weights, given.covariates.known)
    before, ahead = added.split([LOOKBACK, HORIZON], dim=2)
    moved = replace(given, past=given.past + before, future=given.future + ahead)
    expected, loss = found.predict(given), found.loss(given)
    of_known(found, weights)
    torch.testing.assert_close(found.predict(moved), expected + ahead, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.loss(moved), loss, rtol=1e-4, atol=1e-4)
    if found.distribution == "quantiles":
        of_known(found, torch.zeros_like(weights))
        levels = found.quantiles(given, [0.1, 0.9])
        of_known(found, weights)
        shifted = found.quantiles(moved, [0.1, 0.9])
        torch.testing.assert_close(shifted, levels + ahead[:, None], rtol=1e-4, atol=1e-4)
        drawn = found.sample(moved, Draws(3, [1, 2, 3, 4]))
        assert drawn.shape == (4, 3, CHANNELS, HORIZON)


def test_masked_values_of_the_history_stay_zero() -> None:
    found, given = model("linear"), batch()
    mask = given.past_mask.clone()
    mask[:, :, ::3] = 0
    of_known(found, torch.ones(CHANNELS, 3))
    adjusted, _ = found.adjustment(replace(given, past=given.past * mask, past_mask=mask))
    assert bool((adjusted.past[mask == 0] == 0).all())
    assert bool((adjusted.past[mask == 1] != 0).all())


def test_a_past_covariate_never_tells_of_the_future_nor_changes_the_history() -> None:
    found, given = model("linear"), batch()
    (effects,) = [m for m in found.modules() if hasattr(m, "over_time")]
    effects.weights.data.fill_(1.0)
    assert given.covariates is not None
    other = replace(given.covariates, past=given.covariates.past + 1)
    first, second = (effects(c.known, c.past, c.static) for c in (given.covariates, other))
    assert torch.equal(first[0], second[0])
    expected = 2 * effects.over_time.weight.sum(1)  # two columns, each one higher
    torch.testing.assert_close(second[1] - first[1], expected.expand_as(first[1]))


@pytest.mark.parametrize("name", MODELS)
def test_every_effect_is_trained(name: str) -> None:
    found = model(name)
    (effects,) = [m for m in found.modules() if hasattr(m, "over_time")]
    with torch.no_grad():
        for parameter in effects.parameters():
            parameter.add_(0.01)
    found.loss(batch()).backward()
    for key, parameter in effects.named_parameters():
        assert parameter.grad is not None, key
        assert bool(parameter.grad.abs().sum() > 0), key


@pytest.mark.parametrize("name", [*MODELS, "tide"])
def test_a_forecast_of_ones_own_is_an_effect(name: str) -> None:
    """The forecast of y + own is that of y, plus own."""
    shape = replace(SHAPE, covariates=Sizes(own=CHANNELS))
    found, given = model(name, shape), batch()
    assert given.covariates is not None
    own = torch.randn(4, CHANNELS, LOOKBACK + HORIZON, generator=torch.Generator().manual_seed(3))
    kept = replace(given.covariates, own=torch.zeros_like(own))
    plain = replace(given, covariates=kept)
    moved = replace(
        given,
        past=given.past + own[..., :LOOKBACK],
        future=given.future + own[..., LOOKBACK:],
        covariates=replace(kept, own=own),
    )
    expected = found.predict(plain) + own[..., LOOKBACK:]
    torch.testing.assert_close(found.predict(moved), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.loss(moved), found.loss(plain), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("rate", "of_effects"), [(0.0003, 0.003), (0.001, 0.003), (0.01, 0.01), (0.0001, 0.001)]
)
def test_effects_learn_ten_times_as_fast_up_to_three_thousandths(
    rate: float, of_effects: float
) -> None:
    model = build_model(LinearConfig(), Shape(2, 8, 3, 7, covariates=Sizes(known=2, past=1)))
    optimizer = Training(model, TrainerConfig(learning_rate=rate)).configure_optimizers()
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    found = {name: rates[id(weight)] for name, weight in model.named_parameters()}
    expected = {name: of_effects if ".effects." in name else rate for name in found}
    assert found == pytest.approx(expected)
    assert len(set(found.values())) == len({of_effects, rate})
