"""Conformal intervals on errors that are exchangeable by construction."""

from dataclasses import replace

import pytest
import torch
from conftest import seasonal_naive

from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws
from forecaster.errors import UserError
from forecaster.models.base import Forecaster, empty_future
from forecaster.models.conformal import Conformal
from forecaster.models.held_out import HeldOut

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
        model = Conformal(seasonal_naive(1, H), HeldOut.of(errors))
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
    found = Conformal(seasonal_naive(1, H), HeldOut.of(errors)).quantiles(
        zero_forecast(1), [0.1, 0.5, 0.9]
    )[0]
    assert found[:, 1, 0].tolist() == [20.0, 100.0, 180.0]  # the 2nd, 10th and 18th of 19
    assert found[:, 0, 2].tolist() == [6.0, 30.0, 54.0]
    assert found[:, 0, 0].tolist() == [1.0, 9.0, 18.0]  # ⌊1.9⌋, ⌊9.5⌋, ⌈17.1⌉ of 18


def test_quantiles_of_another_batch_are_not_those_of_the_last_one() -> None:
    """Of one's own series errors weigh more, and other levels have other quantiles."""
    errors, times = torch.randn(80, K, H).exp(), torch.arange(80) * H
    errors[40:] *= 9
    owners = torch.tensor([0] * 40 + [1] * 40)
    held_out = HeldOut(errors, times, owners)
    model = Conformal(seasonal_naive(1, H), held_out, 2)

    def asked(model: Conformal, series: list[int], levels: list[float]) -> torch.Tensor:
        return model.shifts(torch.tensor(series), levels)

    for series, levels in (([0, 0], [0.5]), ([1], [0.5]), ([1, 0], [0.5]), ([0], [0.1])):
        anew = Conformal(seasonal_naive(1, H), held_out, 2)
        assert torch.equal(asked(model, series, levels), asked(anew, series, levels))
    assert (asked(model, [1], [0.5]) > asked(model, [0], [0.5])).all()


def test_levels_beyond_the_errors_are_refused() -> None:
    model = Conformal(seasonal_naive(1, H), HeldOut.of(torch.randn(18, K, H)))
    model.quantiles(zero_forecast(1), [0.1, 0.9])
    with pytest.raises(
        UserError, match=r"--conformal: level 0\.05 needs 19 validation windows, there are 18"
    ):
        model.quantiles(zero_forecast(1), [0.05])


def test_steps_other_than_the_models_own_are_refused() -> None:
    with pytest.raises(UserError, match="leave --steps out"):
        Conformal(seasonal_naive(1, H), HeldOut.of(torch.randn(18, K, H))).check_steps(3)


def test_samples_are_the_point_forecast_plus_whole_error_paths() -> None:
    errors = torch.arange(1.0, 4).expand(18, K, H).clone()
    errors[3, 1] = float("nan")  # counts as 0
    drawn = Conformal(seasonal_naive(1, H), HeldOut.of(errors)).sample(
        zero_forecast(2), Draws(99, [1, 2])
    )
    assert drawn[:, :, 0].flatten(0, 1).unique(dim=0).tolist() == [[1.0, 2.0, 3.0]]
    assert drawn[:, :, 1].flatten(0, 1).unique(dim=0).tolist() == [[0.0] * 3, [1.0, 2.0, 3.0]]


class Skewed(Forecaster):
    """A point forecast that is the median of sample paths."""

    centre = "median"

    def sample(self, batch: Batch, draws: Draws) -> torch.Tensor:
        return torch.tensor([1.0, 2.0, 9.0]).view(1, 3, 1, 1).expand(len(batch), 3, K, H)


def test_the_centre_is_the_models_own() -> None:
    model = Conformal(Skewed(), HeldOut.of(torch.ones(39, K, H)))
    found = model.outlook(zero_forecast(1), Draws(3, [0]), [0.1, 0.9])
    assert (found.median == 2).all()
    assert (found.mean == 4).all()
    assert (found.point == 2).all()
    assert found.quantiles is not None
    assert (found.quantiles == 3).all()
    assert (model.sample(zero_forecast(1), Draws(3, [0])) == 3).all()
    exact = Conformal(seasonal_naive(1, H), HeldOut.of(torch.ones(39, K, H)))
    found = exact.outlook(zero_forecast(1), Draws(3, [0]), [0.1, 0.9])
    assert found.median is None
    assert (found.mean == 0).all()
    assert (exact.quantiles(zero_forecast(1), [0.1, 0.9]) == found.quantiles).all()


def test_too_few_errors_of_medians_need_more_scored_windows() -> None:
    with pytest.raises(
        UserError, match=r"needs 9 .* are 2; .* \(and a trainer\.score_windows of 9 or more\)"
    ):
        Conformal(Skewed(), HeldOut.of(torch.ones(2, K, H))).outlook(
            zero_forecast(1), Draws(3, [0]), [0.1]
        )


def of_two_series(count: int) -> HeldOut:
    """Errors 1 … count of the first series, ten times as large ones of the second, without
    overlap.
    """
    sizes = torch.arange(1.0, count + 1)
    errors = torch.cat([sizes, 10 * sizes])[:, None, None].expand(-1, K, H)
    return HeldOut(errors, torch.arange(count).repeat(2) * H, torch.arange(2 * count) // count)


def window_of(series: int) -> Batch:
    return replace(zero_forecast(1), series=torch.tensor([series]))


def test_a_series_has_its_own_size_of_error() -> None:
    """Of many windows nearly all of it; an unknown series has the geometric mean of the two."""
    model = Conformal(seasonal_naive(1, H), of_two_series(100), series=2)
    small, large, unknown = (
        model.quantiles(window_of(series), [0.1, 0.5, 0.9])[0, :, 0, 0] for series in (0, 1, -1)
    )
    torch.testing.assert_close(large / small, torch.full((3,), 10.0), rtol=0.1, atol=0)
    torch.testing.assert_close(small, torch.tensor([10.0, 50, 91]), rtol=0.1, atol=1)
    torch.testing.assert_close(unknown, small * 10**0.5, rtol=0.1, atol=0)
    drawn = model.sample(window_of(1), Draws(4000, [0])).abs().mean()
    assert float(drawn) == pytest.approx(505, rel=0.1)


def test_a_series_own_errors_count_more() -> None:
    """Of the same size but of opposite sign: the median leans to the own ones."""
    held = of_two_series(100)
    held = replace(held, errors=held.errors.abs().sign() * torch.where(held.owners == 0, 1, -1)[
        :, None, None])  # fmt: skip
    model = Conformal(seasonal_naive(1, H), held, series=2)
    ends = [model.quantiles(window_of(s), [0.3, 0.7])[0, :, 0, 0].tolist() for s in (0, 1, -1)]
    assert ends[0] == pytest.approx([1.0, 1.0], abs=0.05)
    assert ends[1] == pytest.approx([-1.0, -1.0], abs=0.05)
    assert ends[2] == pytest.approx([-1.0, 1.0], abs=0.05)
