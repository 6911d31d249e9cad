"""TiDE: what its forecast depends on, and what it learns from covariates."""

from dataclasses import replace

import pytest
import torch
from pydantic import TypeAdapter

from forecaster.config.parts import ForecasterPart
from forecaster.data.encoding import NO_SIZES, Sizes
from forecaster.data.windows import Batch, BatchCovariates
from forecaster.models.adjusted import uses_covariates
from forecaster.models.base import Forecaster, Shape
from forecaster.models.size import build_model

LOOKBACK, HORIZON, CHANNELS = 20, 5, 2
SHAPE = Shape(CHANNELS, LOOKBACK, HORIZON, 7, covariates=Sizes(known=2, past=1, static=3))
SMALL = {"name": "tide", "hidden": 16, "decoder_output": 4, "temporal_hidden": 8, "dropout": 0.0}


def build(shape: Shape = SHAPE, **settings: object) -> Forecaster:
    torch.manual_seed(0)
    config = TypeAdapter(ForecasterPart).validate_python({**SMALL, **settings})
    return build_model(config, shape).eval()


def batch(size: int = 3, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)

    def normal(*sizes: int) -> torch.Tensor:
        return torch.randn(size, *sizes, generator=generator)

    past, future, index = normal(CHANNELS, LOOKBACK), normal(CHANNELS, HORIZON), torch.arange(size)
    covariates = BatchCovariates(
        normal(2, LOOKBACK + HORIZON), normal(1, LOOKBACK), normal(3), normal(0, LOOKBACK + HORIZON)
    )
    masks = torch.ones_like(past), torch.ones_like(future)
    return Batch(past, masks[0], future, masks[1], index, index, index, None, covariates)


def test_weights_saved_without_additive_effects_give_the_same_forecast() -> None:
    model, other = build(), build(hidden=16)
    state = {name: w for name, w in model.state_dict().items() if "adjustment" not in name}
    assert len(state) < len(model.state_dict())
    for name, weight in other.named_parameters():
        if "adjustment" not in name:
            torch.nn.init.normal_(weight)
    other.load_state_dict(state)
    assert torch.equal(other.predict(batch()), model.predict(batch()))


def changed(given: Batch, **values: torch.Tensor) -> Batch:
    assert given.covariates is not None
    return replace(given, covariates=replace(given.covariates, **values))


@pytest.mark.parametrize("label", [0, 4])
@pytest.mark.parametrize("sizes", [NO_SIZES, Sizes(known=2), Sizes(past=1), Sizes(static=3)])
def test_it_forecasts_with_any_covariates_or_none(label: int, sizes: Sizes) -> None:
    model = build(replace(SHAPE, label=label, covariates=sizes))
    given = batch()
    assert given.covariates is not None
    kinds = {"known": sizes.known, "past": sizes.past, "static": sizes.static}
    few = {kind: getattr(given.covariates, kind)[:, :count] for kind, count in kinds.items()}
    found = model.predict_with_label(changed(given, **few))
    assert found.shape == (3, CHANNELS, label + HORIZON)
    assert uses_covariates(model) is bool(sizes)
    model.loss(changed(given, **few)).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_every_covariate_counts_and_channels_are_apart() -> None:
    model, given = build(), batch()
    assert given.covariates is not None
    whole = model.predict(given)
    for kind in ("known", "past", "static"):
        values = getattr(given.covariates, kind)
        assert not torch.allclose(model.predict(changed(given, **{kind: values + 1})), whole)
    past = given.past.clone()
    past[:, 0] += torch.arange(LOOKBACK)
    other = model.predict(replace(given, past=past))
    assert torch.equal(other[:, 1], whole[:, 1])
    assert not torch.allclose(other[:, 0], whole[:, 0])


def test_the_level_and_scale_of_a_window_carry_over() -> None:
    model, given = build(), batch()
    moved = model.predict(replace(given, past=3 * given.past + 5))
    torch.testing.assert_close(moved, 3 * model.predict(given) + 5, rtol=1e-3, atol=1e-3)


def test_what_is_masked_has_no_say() -> None:
    model, given = build(), batch()
    mask = given.past_mask.clone()
    mask[:, :, :6] = 0
    one, other = (
        model.predict(
            replace(given, past=(given.past * mask + fill * (1 - mask)) * mask, past_mask=mask)
        )
        for fill in (0.0, 9.0)
    )
    assert torch.equal(one, other)


@pytest.mark.slow
def test_a_known_square_is_learnt() -> None:
    """y = x², where nothing in the history tells x of the future."""
    errors = {}
    for sizes in (NO_SIZES, Sizes(known=1)):
        model = build(replace(SHAPE, channels=1, covariates=sizes), norm="none", temporal_hidden=32)
        optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
        generator = torch.Generator().manual_seed(1)
        for step in range(600):
            x = 4 * torch.rand(128, 1, LOOKBACK + HORIZON, generator=generator) - 2
            y = x**2 - 4 / 3
            known = x[:, : sizes.known]
            covariates = BatchCovariates(known, x[:, :0, :LOOKBACK], x[:, 0, :0], x[:, :0])
            past, future = y.split([LOOKBACK, HORIZON], dim=2)
            index = torch.arange(128)
            ones = torch.ones_like(past), torch.ones_like(future)
            given = Batch(past, ones[0], future, ones[1], index, index, index, None, covariates)
            if step < 599:
                optimiser.zero_grad()
                model.loss(given).backward()
                optimiser.step()
        errors[bool(sizes)] = float(model.loss(given).detach())
    assert errors[False] > 1.2  # the variance of x² is 64/45
    assert errors[True] < 0.1


def test_a_bridge_starts_from_it() -> None:
    prior = {"name": "residual-copula", "base": SMALL}
    config = {
        "name": "diffusion",
        "coordinates": "residual",
        "prior": prior,
        "prior_training": "first",
        "predicts": "innovation",
        "label": 0,
    }
    shape = replace(SHAPE, series=3)
    model = build_model(TypeAdapter(ForecasterPart).validate_python(config), shape).eval()
    assert model.predict(batch()).shape == (3, CHANNELS, HORIZON)
