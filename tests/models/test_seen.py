"""Intervals as wide as the errors from short and holed histories are."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import seasonal_naive

from forecaster.config.schema import DataConfig, TrainerConfig
from forecaster.data.problem import Problem, load_problem
from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws
from forecaster.models.base import Forecaster, Shape, empty_future
from forecaster.models.held_out import HeldOut
from forecaster.models.outlook import Outlook
from forecaster.models.residual_paths import in_service
from forecaster.models.seen import Curve, Seen, Widened, measured

L, H = 32, 8


def curve(knots: list[float], factors: list[float]) -> Curve:
    sizes = torch.tensor(factors).float()[:, None].expand(-1, H)
    return Curve(torch.tensor(knots).float(), sizes, torch.ones_like(sizes))


def seen() -> Seen:
    """Errors are doubled by half of the history, by all gaps, and tripled by an age of 3 steps."""
    half, more = float(np.log1p(L // 2)), float(np.log1p(20))
    return Seen(
        curve([-more, -half], [1, 2]), curve([0, 1], [1, 2]), curve([0, float(np.log(4))], [1, 3])
    )


def observed(*missing: int | slice) -> torch.Tensor:
    mask = torch.ones(1, 1, L)
    for each in missing:
        mask[..., each] = 0
    return mask


def test_a_curve_is_linear_between_its_knots_and_constant_beyond() -> None:
    found = curve([1, 2, 4], [1, 3, 4]).at(torch.tensor([[0.0, 1, 1.5, 2, 3, 4, 9]]))
    assert found[0, :, 0].tolist() == [1, 1, 2, 3, 3.5, 4, 4]
    assert found.shape == (1, 7, H)


def test_what_is_complete_keeps_its_width() -> None:
    assert (seen().factors(observed()) == 1).all()


@pytest.mark.parametrize(
    ("missing", "factor"),
    [
        (slice(0, 16), 2),  # half of the history
        (slice(0, 30), 2),  # less than was measured
        (slice(29, 32), 3),  # an age of 3 steps
        (slice(0, 32), 2),  # nothing at all: no length
    ],
)
def test_each_way_has_its_factor(missing: slice, factor: float) -> None:
    torch.testing.assert_close(
        seen().factors(observed(missing)), torch.full((1, 1, H), float(factor))
    )


def test_the_ways_are_multiplied() -> None:
    both = seen().factors(observed(slice(0, 16), slice(29, 32)))
    torch.testing.assert_close(both, torch.full((1, 1, H), 6.0))


def test_gaps_count_the_more_the_newer_they_are() -> None:
    sizes = [float(seen().factors(observed(slice(t, t + 4)))[0, 0, 0]) for t in (2, 10, 20, 26)]
    assert sizes == sorted(sizes)
    assert 1 < sizes[0] < sizes[-1] < 2
    spread = torch.ones(1, 1, L)
    spread[..., 1:-1:2] = 0  # every other one: half of them, whatever their weights
    assert float(seen().factors(spread)[0, 0, 0]) == pytest.approx(1.5, abs=0.1)


class Told(Forecaster):
    """Mean 10, median 11, and quantiles or paths about it."""

    distribution = "quantiles"
    centre = "median"

    def centred(self, batch: Batch, draws: Draws) -> Outlook:
        ones = torch.ones(*batch.past.shape[:2], H)
        return Outlook(10 * ones, 11 * ones)

    def quantiles(self, batch: Batch, levels: object) -> torch.Tensor:
        return torch.tensor([8.0, 11, 15])[None, :, None, None].expand(len(batch), 3, 1, H)

    def sample(self, batch: Batch, draws: Draws) -> torch.Tensor:
        return self.quantiles(batch, [])


def batch_of(mask: torch.Tensor) -> Batch:
    return empty_future(mask, mask, H, torch.zeros(1, dtype=torch.int64))


def test_quantiles_and_paths_move_away_from_the_point_forecast() -> None:
    model, draws = Widened(Told(), seen(), own=True), Draws(3, [0])
    found = model.outlook(batch_of(observed(slice(29, 32))), draws, [0.1, 0.5, 0.9])
    assert found.quantiles is not None
    torch.testing.assert_close(found.quantiles[0, :, 0, 0], torch.tensor([2.0, 11, 23]))
    assert float(found.point[0, 0, 0]) == 11
    assert float(found.mean[0, 0, 0]) == pytest.approx(8)
    paths = model.sample(batch_of(observed(slice(29, 32))), draws)
    torch.testing.assert_close(paths[0, :, 0, 0], torch.tensor([2.0, 11, 23]))
    whole = model.outlook(batch_of(observed()), draws, [0.1, 0.5, 0.9])
    assert torch.equal(whole.quantiles, Told().quantiles(batch_of(observed()), []))


def test_what_a_model_widens_by_itself_does_not_count_twice() -> None:
    """Half of the history: errors are doubled, and its own quantiles already by a half wider, or
    half as wide.
    """
    history = observed(slice(0, 16))
    for width, factor in ((1.5, 4 / 3), (0.5, 4.0), (3.0, 1.0)):
        length = seen().length
        widths = torch.stack([torch.ones(H), torch.full((H,), width)])
        found = replace(seen(), length=replace(length, widths=widths))
        torch.testing.assert_close(found.own_factors(history), torch.full((1, 1, H), factor))
        torch.testing.assert_close(found.factors(history), torch.full((1, 1, H), 2.0))


class Narrowing(Forecaster):
    """The newest value, and quantiles of half the mean square of the history about it."""

    distribution = "quantiles"

    def quantiles(self, batch: Batch, levels: list[float]) -> torch.Tensor:
        width = batch.past.square().mean(2, keepdim=True).expand(-1, -1, H)
        point = batch.past[..., -1:].expand_as(width)
        return torch.stack([point + width * (level - 0.5) for level in levels], 1)

    def predict(self, batch: Batch, steps: int | None = None) -> torch.Tensor:
        return self.quantiles(batch, [0.5])[:, 0]


def test_the_widths_of_a_models_own_quantiles_are_measured(tmp_path: object) -> None:
    """Noise of variance 1 is estimated by its mean, so that a share of 1 − p of the square is left."""
    problem = long_validation(
        problem_of(np.random.default_rng(0).normal(size=8000), (1,), tmp_path)
    )
    found = measured(Narrowing(), problem, TrainerConfig()).share
    widths = found.widths.mean(1)[:4]
    assert ((widths / torch.tensor([1, 0.9, 0.7, 0.5]) - 1).abs() < 0.25).all()
    assert (widths.diff() < 0).all()


class Walking(Forecaster):
    """Samples of a network that is called ``calls`` times for each; how many windows it has seen."""

    distribution = "samples"
    calls = 1

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.calls, self.points, self.drawn = calls, 0, 0  # type: ignore[misc]

    def predict(self, batch: Batch, steps: int | None = None) -> torch.Tensor:
        self.points = max(self.points, len(batch.past))
        return batch.past[..., -H:]

    def sample(self, batch: Batch, draws: Draws) -> torch.Tensor:
        self.drawn = max(self.drawn, len(batch.past))
        return batch.past[:, None, :, -H:] + torch.randn(draws.samples, 1, H)


@pytest.mark.parametrize(
    ("calls", "points", "drawn"), [(1, 64, 16), (9, 64, 16), (20, 64, 4), (50, 25, 2), (999, 4, 2)]
)
def test_a_model_of_many_calls_is_measured_on_fewer_windows(
    tmp_path: object, calls: int, points: int, drawn: int
) -> None:
    """Windows come 64 at a time."""
    values = np.random.default_rng(0).normal(size=8000)
    model = Walking(calls)
    measured(model, long_validation(problem_of(values, (1,), tmp_path)), TrainerConfig())
    assert (model.points, model.drawn) == (points, drawn)


def problem_of(values: np.ndarray, seasons: tuple[int, ...], tmp_path: object) -> Problem:
    times = pd.date_range("2020-01-01", periods=len(values), freq="h")
    path = f"{tmp_path}/rows.csv"
    pd.DataFrame({"time": times, "a": values}).to_csv(path, index=False)
    config = DataConfig(csv=path, lookback=L, horizon=H, seasons=seasons)
    return load_problem(config)


def long_validation(problem: Problem) -> Problem:
    """Half of the rows for validation, so that the errors are many."""
    border = problem.borders[0]
    half = replace(border, train=border.train // 2)
    return replace(problem, borders=(half,))


def around(sizes: torch.Tensor) -> torch.Tensor:
    """The mean over each lead time and its neighbours."""
    return torch.stack([sizes[:, max(h - 1, 0) : h + 2].mean(1) for h in range(H)], 1)


def test_the_age_of_a_random_walk_counts_as_so_many_steps_more(tmp_path: object) -> None:
    """From its last value, a steps old, a random walk is off by √(h + a) after h steps."""
    walk = np.random.default_rng(0).normal(size=40_000).cumsum()
    problem = long_validation(problem_of(walk, (1,), tmp_path))
    found = measured(seasonal_naive(1, H), problem, TrainerConfig())
    ages = found.age.knots.exp() - 1
    assert ages.round().tolist() == [0, 1, 2, 4, 8, 16, 24, 31]
    leads = torch.arange(1.0, H + 1)
    wanted = around((leads + ages.round()[:, None]).sqrt()) / around(leads.sqrt()[None])
    assert ((found.age.factors / wanted - 1).abs() < 0.15).all()


def test_a_naive_forecast_needs_no_more_than_its_season(tmp_path: object) -> None:
    """Of a season of 6 steps less than 6 rows are too few, and one row is much worse."""
    rng = np.random.default_rng(0)
    values = np.tile([0.0, 5, 9, 2, -7, 4], 1000) + 0.1 * rng.normal(size=6000)
    problem = long_validation(problem_of(values, (6,), tmp_path))
    found = measured(seasonal_naive(6, H), problem, TrainerConfig())
    lengths = (-found.length.knots).exp() - 1
    by_length = dict(zip(lengths.round().int().tolist(), found.length.factors.tolist()))
    assert set(by_length) == {32, 16, 8, 6, 5, 4, 2, 1, 0}
    assert all(by_length[n] == [1] * H for n in (32, 16, 8, 6))
    assert max(by_length[5]) > 3
    assert (found.length.factors.diff(dim=0) >= 0).all()
    assert min(by_length[1]) > 20


def test_a_file_of_few_windows_and_exact_forecasts_has_factors(tmp_path: object) -> None:
    """Errors of none on whole histories, and two windows, whose random gaps are of any share."""
    values = np.tile(np.arange(4.0), 20)
    config = {"lookback": 4, "horizon": 2}
    problem = problem_of(values, (4,), tmp_path)
    problem = replace(problem, config=problem.config.model_copy(update=config))
    for seed in range(10):
        found = measured(seasonal_naive(4, 2), problem, TrainerConfig(seed=seed))
        again = Seen.of(found.tensors(), 2)
        assert again is not None
        assert float(found.length.factors.max()) == 100


def test_what_is_saved_is_read_and_damage_is_not(tmp_path: object) -> None:
    tensors = seen().tensors()
    again = Seen.of(tensors, H)
    assert again is not None
    torch.testing.assert_close(
        again.factors(observed(slice(0, 9))), seen().factors(observed(slice(0, 9)))
    )
    assert Seen.of({}, H) is None
    for name, value in tensors.items():
        bad = value.flip(0) if name.endswith("knots") else value - 3
        for damaged in (torch.full_like(value, torch.nan), value[:1], bad):
            with pytest.raises(RuntimeError, match="holed histories"):
                Seen.of({**tensors, name: damaged}, H)


def test_a_model_is_widened_once_and_only_if_it_was_measured() -> None:
    shape = Shape(1, L, H, 1)
    held = HeldOut.of(torch.zeros(0, 1, H))
    told = Told()
    assert in_service(told, held, shape) is told
    wide = in_service(told, replace(held, seen=seen()), shape)
    assert isinstance(wide, Widened)
    assert in_service(wide, replace(held, seen=seen()), shape) is wide
