"""Samples of point models: paths of their held-out errors around their forecast."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from conftest import seasonal_naive
from jaxtyping import Float
from torch import Tensor

from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws
from forecaster.models.base import Forecaster, Shape, empty_future
from forecaster.models.held_out import HeldOut
from forecaster.models.residual_paths import ResidualPaths, Shuffled, in_service, with_paths

K, H, SEASON = 2, 3, 7
SHAPE = Shape(channels=K, lookback=4, horizon=H, season=SEASON, series=2)


def window(time: int, series: int = 0, level: float = 5.0) -> Batch:
    past = torch.full((1, K, 4), level)
    return empty_future(past, torch.ones(1, K, 4), H, torch.tensor([time]), torch.tensor([series]))


def drawn(model: Forecaster, batch: Batch, count: int = 2000) -> torch.Tensor:
    """(S, K, H), less the forecast."""
    draws = Draws(count, [1])
    return (model.sample(batch, draws) - model.predict(batch)[:, None])[0]


def errors_of(sizes: list[float], times: list[int], owners: list[int]) -> HeldOut:
    """Whole paths of one size each, whose second channel is ten times as large."""
    paths = torch.tensor(sizes)[:, None, None] * torch.tensor([1.0, 10.0])[:, None].expand(K, H)
    return HeldOut(paths, torch.tensor(times), torch.tensor(owners))


def test_samples_are_whole_paths_of_either_sign() -> None:
    """So that their mean and median are the forecast, whatever the bias of the errors."""
    held = errors_of([1.0, 3.0], [0, SEASON], [0, 0])
    model = ResidualPaths(seasonal_naive(1, H), held, SHAPE)
    found = drawn(model, window(10 * SEASON))
    assert (found[:, :, :1] == found).all()
    assert (found[:, 1] == 10 * found[:, 0]).all()
    values, counts = found[:, 0, 0].unique(return_counts=True)
    assert values.tolist() == [-3, -1, 1, 3]
    assert ((counts / 2000 - 0.25).abs() < 0.04).all()
    assert abs(float(found[:, 0, 0].mean())) < 4 * 5**0.5 / 2000**0.5


def test_paths_of_the_same_place_in_the_season_are_drawn_that_do_not_overlap() -> None:
    """Errors of each of 70 times, as large as their phase; one step to either side is near."""
    times = list(range(70))
    held = errors_of([1.0 + t % SEASON for t in times], times, [0] * 70)
    model = ResidualPaths(seasonal_naive(1, H), held, SHAPE)
    size = model.bank.factors[0, 0, 0]
    torch.testing.assert_close(size, torch.tensor(1.0))  # one series has the size of all
    assert drawn(model, window(10 * SEASON + 3))[:, 0, 0].abs().unique().tolist() == [3, 4, 5]
    few = errors_of([1.0, 2.0, 4.0], [SEASON, SEASON + 2, 2 * SEASON], [0, 0, 0])
    model = ResidualPaths(seasonal_naive(1, H), few, SHAPE)
    assert drawn(model, window(SEASON))[:, 0, 0].abs().unique().tolist() == [4]
    # a season of two turns does not choose
    assert drawn(model, window(3 * SEASON))[:, 0, 0].abs().unique().tolist() == [1, 2, 4]


def test_where_all_paths_overlap_all_are_drawn() -> None:
    model = ResidualPaths(seasonal_naive(1, H), errors_of([1.0, 2.0], [4, 5], [0, 0]), SHAPE)
    assert drawn(model, window(4))[:, 0, 0].abs().unique().tolist() == [1, 2]


def test_a_series_draws_its_own_errors_in_its_own_size() -> None:
    """The second series' errors are five times those of the first."""
    times = [n * SEASON for n in range(40)] * 2
    sizes = [(1.0 + n % 2) * (1 if n < 40 else 5) for n in range(80)]
    held = errors_of(sizes, times, [0] * 40 + [1] * 40)
    model = ResidualPaths(seasonal_naive(1, H), held, SHAPE)
    means = [float(drawn(model, window(100 * SEASON, s))[:, 0, 0].abs().mean()) for s in (0, 1, -1)]
    assert means[1] / means[0] == pytest.approx(5, rel=0.15)
    assert means[0] < means[2] < means[1]  # an unknown series has the size of all


def test_the_seed_of_a_window_alone_decides() -> None:
    held = errors_of([1.0, 2.0, 3.0], [0, SEASON, 2 * SEASON], [0, 0, 0])
    model, one = ResidualPaths(seasonal_naive(1, H), held, SHAPE), window(90)
    two = replace(one, **{n: torch.cat([v, v]) for n, v in vars(one).items() if v is not None})
    pair = model.sample(two, Draws(9, [7, 8]))
    assert torch.equal(pair[:1], model.sample(one, Draws(9, [7])))
    assert torch.equal(pair[1:], model.sample(one, Draws(9, [8])))
    assert not torch.equal(pair[0], pair[1])


def test_errors_of_no_known_time_are_all_drawn() -> None:
    """Those of a model saved before times were kept."""
    held = HeldOut.of(errors_of([1.0, 2.0, 3.0], [0] * 3, [0] * 3).errors)
    model = ResidualPaths(seasonal_naive(1, H), held, SHAPE)
    for time in range(20000, 20000 + SEASON):
        assert drawn(model, window(time))[:, 0, 0].abs().unique().tolist() == [1, 2, 3]


def test_only_point_models_with_two_errors_or_more_are_given_samples() -> None:
    point, two = seasonal_naive(1, H), errors_of([1.0, 2.0], [0, 1], [0, 0])
    found = in_service(point, two, SHAPE)
    assert isinstance(found, ResidualPaths)
    assert not found.training
    assert found.centre == "mean"
    assert in_service(found, two, SHAPE) is found
    assert in_service(point, errors_of([1.0], [0], [0]), SHAPE) is point


class _Levels(Forecaster):
    """Uniform quantiles between 0 and 1, of the second channel up to 10."""

    distribution = "quantiles"

    def quantiles(self, batch: Batch, levels: Sequence[float]) -> Float[Tensor, "B Q K H"]:
        sizes = torch.tensor([1.0, 10.0])[:, None].expand(K, H)
        return (torch.tensor(levels)[:, None, None] * sizes).expand(len(batch.past), -1, -1, -1)


def test_samples_of_quantiles_are_put_in_the_order_of_error_paths() -> None:
    """Errors whose second half has the other sign: so have the ranks, and the draws are the same."""
    sizes = torch.tensor([1.0, 2.0, 3.0, 4.0])[:, None, None]
    paths = sizes * torch.tensor([[1.0, 1.0, -1.0], [1.0, 1.0, -1.0]])
    held = HeldOut(paths, torch.arange(0, 4 * SEASON, SEASON), torch.zeros(4, dtype=torch.int64))
    model, draws = _Levels(), Draws(40, [3])
    shuffled = with_paths(model, held, SHAPE)
    assert isinstance(shuffled, Shuffled)
    batch = window(10 * SEASON)
    found, own = shuffled.sample(batch, draws)[0], model.sample(batch, draws)[0]
    assert torch.equal(found.sort(dim=0).values, own.sort(dim=0).values)
    errors = shuffled.errors(batch, draws)[0]
    for channel in range(K):
        for lead in range(H):
            placed = found[:, channel, lead][errors[:, channel, lead].argsort()]
            assert (placed.diff() >= 0).all()
    both = torch.corrcoef(torch.stack([found[:, 0, 0], found[:, 1, 1], found[:, 0, 2]]))
    assert both[0, 1] > 0.8 > -0.8 > both[0, 2]
    point = seasonal_naive(1, H)
    assert type(with_paths(point, held, SHAPE)) is ResidualPaths
    ready = with_paths(point, held, SHAPE)
    assert with_paths(ready, held, SHAPE) is ready
