"""Conformal intervals on errors that are exchangeable by construction."""

import pytest
import torch
from conftest import seasonal_naive

from forecaster.data.windows import Batch, Windows
from forecaster.diffusion.drawing import Draws
from forecaster.errors import UserError
from forecaster.models.base import empty_future
from forecaster.models.conformal import Conformal, validation_errors

K, H = 2, 3


def zero_forecast(count: int) -> Batch:
    return empty_future(torch.zeros(count, K, 4), torch.ones(count, K, 4), H, torch.arange(count))


def test_interval_holds_its_level_on_average_for_few_errors() -> None:
    """The promise of split conformal prediction, for n = 39 errors: P(y ≤ q_τ) ≥ τ, and at most
    1/(n+1) more.
    """
    torch.manual_seed(0)
    held = []
    for _ in range(400):
        errors, truth = torch.randn(39, K, H).exp(), torch.randn(50, K, H).exp()  # skewed
        model = Conformal(seasonal_naive(1, H), errors)
        low, high = model.quantiles(zero_forecast(1), [0.05, 0.95])[0]
        held.append((((truth <= high).double().mean()), ((truth >= low).double().mean())))
    above, below = torch.tensor(held).mean(0)
    assert 0.945 < float(above) < 0.975 + 0.005
    assert 0.945 < float(below) < 0.975 + 0.005


def test_quantiles_are_order_statistics_of_each_channel_and_lead_time() -> None:
    errors = torch.arange(1.0, 20.0)[:, None, None] * torch.tensor(
        [[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]
    )
    errors = errors[torch.randperm(19)]
    errors[errors[:, 0, 0] == 19, 0, 0] = float("nan")  # 18 are left there
    found = Conformal(seasonal_naive(1, H), errors).quantiles(zero_forecast(1), [0.1, 0.5, 0.9])[0]
    assert found[:, 1, 0].tolist() == [20.0, 100.0, 180.0]  # the 2nd, 10th and 18th of 19
    assert found[:, 0, 2].tolist() == [6.0, 30.0, 54.0]
    assert found[:, 0, 0].tolist() == [1.0, 9.0, 18.0]  # ⌊1.9⌋, ⌊9.5⌋, ⌈17.1⌉ of 18


def test_levels_beyond_the_errors_are_refused() -> None:
    model = Conformal(seasonal_naive(1, H), torch.randn(18, K, H))
    model.quantiles(zero_forecast(1), [0.1, 0.9])
    with pytest.raises(
        UserError, match=r"--conformal: level 0\.05 needs 19 validation windows, there are 18"
    ):
        model.quantiles(zero_forecast(1), [0.05])


def test_steps_other_than_the_models_own_are_refused() -> None:
    with pytest.raises(UserError, match="leave --steps out"):
        Conformal(seasonal_naive(1, H), torch.randn(18, K, H)).check_steps(3)


def test_errors_are_those_of_the_point_forecast_on_validation() -> None:
    values = torch.arange(30.0).repeat(K, 1).T.numpy().copy()
    values[20, 1] = float("nan")
    windows = Windows([values], [(10, 30)], 4, H, [0])
    errors = validation_errors(seasonal_naive(1, H), windows)
    assert errors.shape == (18, K, H)
    assert errors[0, 0].tolist() == [1.0, 2.0, 3.0]
    assert errors[:, 1].isnan().sum() == H
    drawn = Conformal(seasonal_naive(1, H), errors).sample(zero_forecast(2), Draws(9, [1, 2]))
    assert set(drawn[:, :, 0].flatten(0, 1).unique(dim=0).flatten().tolist()) == {1.0, 2.0, 3.0}
