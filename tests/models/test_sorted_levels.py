"""Linear layers of several levels, sorted: their median as a point forecast."""

import pytest
import torch
from pydantic import ValidationError

from forecaster.config.parts import build
from forecaster.data.windows import Batch
from forecaster.models.base import Shape
from forecaster.models.sorted_levels import SortedLevels, SortedLevelsConfig

L, H, LABEL = 6, 2, 3


def batch_of(past: torch.Tensor, future: torch.Tensor) -> Batch:
    index = torch.arange(len(past))
    return Batch(
        past, torch.ones_like(past), future, torch.ones_like(future), index, index, 0 * index
    )


def noise(windows: int = 5) -> Batch:
    return batch_of(torch.randn(windows, 2, L), torch.randn(windows, 2, H))


def model_of(levels: int, norm: str = "none", label: int = 0) -> SortedLevels:
    config = SortedLevelsConfig(levels=levels, norm=norm)
    model = build(config, Shape(2, L, H, 3, label))
    assert isinstance(model, SortedLevels)
    return model


def test_forecast_is_the_median_of_the_layers() -> None:
    model, batch = model_of(5, label=LABEL), noise()
    torch.nn.init.normal_(model.layer.weight)
    each = (batch.past @ model.layer.weight.T + model.layer.bias).unflatten(2, (LABEL + H, 5))
    median = each.median(dim=3).values
    torch.testing.assert_close(model.predict_with_label(batch), median)
    torch.testing.assert_close(model.predict(batch), median[..., LABEL:])
    assert len({int(row) for row in each.argsort(dim=3)[..., 2].flatten()}) == 5


def test_one_level_is_a_layer_trained_on_absolute_error() -> None:
    model, batch = model_of(1, "standard"), noise()
    error = (model.predict(batch) - batch.future).abs().mean()
    torch.testing.assert_close(model.loss(batch), error)


def test_loss_is_the_pinball_loss_in_the_units_of_the_data() -> None:
    """Of forecasts that are always 0 ± the quantiles of the window's own deviation."""
    model, batch = model_of(3, "standard", LABEL), noise()
    torch.nn.init.zeros_(model.layer.weight)
    level, scale = batch.past.mean(2), (batch.past.var(2, correction=0) + 1e-5).sqrt()
    truth = torch.cat([batch.past[..., -LABEL:], batch.future], dim=2)
    losses = []
    for tau in (1 / 6, 1 / 2, 5 / 6):
        quantile = torch.distributions.Normal(level, scale).icdf(torch.tensor(tau))
        error = truth - quantile[..., None]
        losses.append(torch.where(error > 0, 2 * tau * error, 2 * (tau - 1) * error))
    torch.testing.assert_close(model.loss(batch), torch.stack(losses).mean())


def test_every_level_is_trained() -> None:
    model = model_of(9, "standard")
    model.loss(noise(64)).backward()
    gradient = model.layer.weight.grad
    assert gradient is not None
    assert (gradient.unflatten(0, (H, 9)).abs().amax(2) > 0).all()


def trained_error(levels: int) -> float:
    """The error of a forecast of the size of the last value, trained on 500 random windows."""
    past = torch.randn(500, 2, L)
    batch = batch_of(past, past[..., -1:].abs().expand(-1, -1, H).contiguous())
    model = model_of(levels)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(100):
        optimiser.zero_grad()
        model.loss(batch).backward()
        optimiser.step()
    return float((model.predict(batch) - batch.future).abs().mean().detach())


def test_a_bend_is_learnt_that_no_linear_layer_has() -> None:
    """|x| of a normal x is best forecast by its median .674, at an error of .48, if linearly."""
    assert trained_error(1) == pytest.approx(0.48, abs=0.04)
    assert trained_error(3) < 0.2


def test_an_even_number_of_levels_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"an even number has no middle level.*give 9"):
        SortedLevelsConfig(levels=8)
    SortedLevelsConfig(levels=9)
