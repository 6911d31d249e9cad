"""From z-scores to what is reported, and which windows are scored, on a constructed file."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

from forecaster.config.schema import DataConfig, TrainerConfig
from forecaster.data.problem import Problem, load_problem
from forecaster.data.splits import Scaling
from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws
from forecaster.evaluation.accumulate import Accumulator
from forecaster.evaluation.metrics import QUANTILES
from forecaster.evaluation.score import (
    Mode,
    PublishedErrors,
    Scoring,
    WindowScores,
    evaluate,
    interval_ends,
    published_count,
    score_batch,
    score_windows,
    scorings_of,
    selected_windows,
    worst_windows,
)
from forecaster.evaluation.units import Units
from forecaster.models.base import Forecaster

L, H, K = 10, 4, 2
CPU = torch.device("cpu")
LOW, HIGH = {"sales": 0.0, "load": -30.0}, {"sales": 40.0}


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    """Two series, ``sales`` between 0 and 40 and ``load`` above −30."""
    generator, rows = np.random.default_rng(0), ["day,shop,sales,load"]
    for shop, length, size in (("ark", 80, 1.0), ("zoo", 60, 5.0)):
        for day in np.datetime64("2024-01-01") + np.arange(length):
            sales, load = size * generator.uniform(0.5, 5), size * generator.normal()
            rows.append(f"{day},{shop},{sales:.4f},{load:.4f}")
    path = tmp_path_factory.mktemp("bounded") / "shops.csv"
    path.write_text("\n".join(rows) + "\n")
    config = DataConfig(csv=str(path), item_id="shop", horizon=H, lookback=L, lower=LOW, upper=HIGH)
    return load_problem(config)


class Fixed(Forecaster):
    """Says the same of every window: paths (S, K, H), their first as the deterministic forecast."""

    def __init__(
        self, paths: torch.Tensor, distribution: str = "samples", centre: str = "mean"
    ) -> None:
        super().__init__()
        self.paths, self.distribution, self.centre = paths, distribution, centre
        self.draws: list[Draws] = []

    def predict(self, batch: Batch, steps: int | None = None) -> torch.Tensor:
        assert not self.training
        return self.paths[0].expand(len(batch), -1, -1)

    def sample(self, batch: Batch, draws: Draws) -> torch.Tensor:
        self.draws.append(draws)
        return self.paths.expand(len(batch), -1, -1, -1)

    def quantiles(self, batch: Batch, levels: tuple[float, ...]) -> torch.Tensor:
        normal = torch.distributions.Normal(0.0, 1.0)
        found = normal.icdf(torch.tensor(levels)).view(1, -1, 1, 1)
        return found.expand(len(batch), -1, K, H)


def of_series(problem: Problem) -> tuple[torch.Tensor, Units]:
    """A window of each series, the second first."""
    windows = problem.windows("test")
    index = torch.tensor([int((windows.owners == n).nonzero()[1]) for n in (1, 0)])
    return index, Units(problem, windows, CPU)


def test_forecasts_in_the_file_s_units_keep_the_bounds_of_the_data(bounded: Problem) -> None:
    index, units = of_series(bounded)
    z = torch.tensor([-1e3, -0.5, 0.5, 1e3]).expand(2, 3, K, H)
    for values in (z, z[:, 0]):  # samples and points
        found = units.restore(values, index)
        assert found.dtype == torch.float64
        for place, series in enumerate((1, 0)):
            scaling = bounded.scaling[series]
            inside = scaling.mean[:, None] + scaling.std[:, None] * np.array([-0.5, 0.5])
            for each in found[place].reshape(-1, K, H):
                np.testing.assert_allclose(each[:, 1:3], inside)
                assert each[0, [0, 3]].tolist() == [0.0, 40.0]  # sales, to the last digit
                assert float(each[1, 0]) == -30.0  # load, which may grow
                assert float(each[1, 3]) > 900


def test_z_scores_of_a_protocol_keep_the_same_bounds(bounded: Problem) -> None:
    """The protocol's unit is another one than the model's."""
    protocol = tuple(Scaling(s.mean + 1, 2 * s.std) for s in bounded.scaling)
    index, units = of_series(replace(bounded, protocol=protocol))
    _, own = of_series(bounded)
    z = torch.tensor([-1e3, -0.5, 0.5, 1e3]).expand(2, K, H)
    plain = own.restore(z, index).numpy()
    for place, series in enumerate((1, 0)):
        expected = protocol[series].apply(plain[place].T).T
        low = (np.array([0.0, -30.0]) - protocol[series].mean) / protocol[series].std
        np.testing.assert_allclose(expected[:, 0], low)
        np.testing.assert_allclose(units.restore(z, index)[place], expected)
        truth = protocol[series].apply(own.truth(index)[place].numpy().T).T
        np.testing.assert_allclose(units.truth(index)[place], truth)


def test_mase_is_in_seasonal_errors_and_window_errors_in_deviations(bounded: Problem) -> None:
    _, units = of_series(bounded)
    for number, (series, border) in enumerate(
        zip(bounded.table.series, bounded.borders, strict=True)
    ):
        rows = series.values[: border.train]
        np.testing.assert_allclose(units.scale[number], np.abs(rows[7:] - rows[:-7]).mean(0))
        np.testing.assert_allclose(units.deviation[number], rows.std(0))


def test_a_window_s_error_is_its_mean_in_deviations(bounded: Problem) -> None:
    """Zero is the mean of the training rows: the error of that forecast is |z|."""
    windows = bounded.windows("test")
    found = score_windows(Fixed(torch.zeros(1, K, H)), bounded, windows, Scoring())
    batch = windows[torch.arange(len(windows))]
    assert found.numbers.tolist() == list(range(len(windows)))
    torch.testing.assert_close(
        found.errors, batch.future.double().abs().mean((1, 2)), rtol=1e-5, atol=1e-6
    )


def test_a_probabilistic_error_is_the_crps(bounded: Problem) -> None:
    """Of two samples at ±1 deviation (inside the bounds): mean|x − z| − |x_1 − x_2|/2."""
    wide = replace(bounded, config=bounded.config.model_copy(update={"lower": None, "upper": None}))
    windows = wide.windows("test")
    two = torch.tensor([-1.0, 1.0])[:, None, None].expand(2, K, H)
    found = score_windows(Fixed(two), wide, windows, Scoring("probabilistic", 2))
    z = windows[torch.arange(len(windows))].future.double()
    crps = ((z - 1).abs() + (z + 1).abs()) / 2 - 1
    torch.testing.assert_close(found.errors, crps.mean((1, 2)), rtol=1e-5, atol=1e-6)


def seed_of(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")


def test_seeds_follow_from_the_seed_the_series_and_the_time_alone(bounded: Problem) -> None:
    """The first targets of the last fifths, 16 and 12 of 80 and 60 days."""
    model, windows = Fixed(torch.randn(3, K, H)), bounded.windows("test")
    days = {"ark": ("2024-03-05", "2024-03-17"), "zoo": ("2024-02-18", "2024-02-26")}
    origins = [f"{shop}|{day}" for shop in days for day in pd.period_range(*days[shop], freq="D")]
    for seed in (0, 1):
        for size in (1, 5):
            model.draws.clear()
            scoring = Scoring("probabilistic", 3, steps=7, seed=seed)
            score_windows(model, bounded, windows, scoring, size)
            seeds = [each for draws in model.draws for each in draws.seeds]
            assert seeds == [seed_of(f"{seed}|{origin}") for origin in origins]
            assert {(d.samples, d.steps) for d in model.draws} == {(3, 7)}
            assert max(len(d.seeds) for d in model.draws) == size


@pytest.mark.parametrize(
    ("scoring", "size"),
    [
        (Scoring("probabilistic", 2), 16),
        (Scoring("probabilistic", 2**18), 4),  # 2²³ numbers: of 2¹⁸ samples of 2 × 4 values
        (Scoring("probabilistic", 2**18 + 1), 3),
        (Scoring("probabilistic", 2**22), 1),
        (Scoring("point", 2**22), 22),  # the part's windows, all at once
    ],
)
def test_batches_are_as_large_as_memory_allows(
    bounded: Problem, scoring: Scoring, size: int
) -> None:
    class Enough(Exception):  # noqa: N818
        pass

    def watch(loader: DataLoader[Batch]) -> Iterator[Batch]:
        raise Enough(len(next(iter(loader))))

    windows = bounded.windows("test")
    with pytest.raises(Enough, match=f"^{size}$"):
        score_windows(Fixed(torch.zeros(1, K, H)), bounded, windows, scoring, progress=watch)


def test_quantile_models_are_scored_by_their_quantiles(bounded: Problem) -> None:
    """And by their paths where only paths will do."""
    windows, scoring = bounded.windows("test"), Scoring("probabilistic", 5)
    paths = torch.randn(5, K, H)
    ours, drawn = (
        score_windows(Fixed(paths, kind), bounded, windows, scoring).pooled()
        for kind in ("quantiles", "samples")
    )
    units, index = Units(bounded, windows, CPU), torch.arange(len(windows))
    batch = windows[index]
    quantiles = units.restore(Fixed(paths).quantiles(batch, QUANTILES), index)
    low, high = (quantiles[:, QUANTILES.index(level)] for level in (0.1, 0.9))
    truth = units.truth(index)
    inside = ((low <= truth) & (truth <= high)).double().mean()
    assert ours["coverage/80"] == pytest.approx(float(inside))
    assert ours["width/80"] == pytest.approx(float((high - low).mean()))
    for name in ("crps", "energy", "crps_sum"):
        assert ours[name] == drawn[name]
    assert ours["wql"] != drawn["wql"]


def test_interval_ends_are_the_outer_quantiles(bounded: Problem) -> None:
    windows = bounded.windows("test")
    index, units = torch.tensor([0, 20]), Units(bounded, windows, CPU)
    batch, scoring = windows[index], Scoring("probabilistic", 41)
    paths = torch.randn(41, K, H)
    found = interval_ends(score_batch(Fixed(paths).eval(), batch, scoring, units, [0, 1]))
    restored = units.restore(paths.expand(2, -1, -1, -1), index).numpy()
    np.testing.assert_allclose(
        found, np.quantile(restored, (0.05, 0.95), axis=1, method="weibull").swapaxes(0, 1)
    )
    own = interval_ends(
        score_batch(Fixed(paths, "quantiles").eval(), batch, scoring, units, [0, 1])
    )
    z = torch.tensor([-1.6448536, 1.6448536]).view(1, 2, 1, 1).expand(2, 2, K, H)
    torch.testing.assert_close(own, units.restore(z, index), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", ["point", "probabilistic"])
@pytest.mark.parametrize("count", [4, 5])
def test_a_median_of_samples_is_taken_where_they_keep_the_bounds(
    bounded: Problem, mode: Mode, count: int
) -> None:
    """By hand, of samples on both sides of the bound at 0: the median of what is kept."""
    windows = bounded.windows("test")
    index, units = torch.tensor([0, 20]), Units(bounded, windows, CPU)
    zero = (-bounded.scaling[0].mean / bounded.scaling[0].std)[0]  # sales of 0, in z-scores
    paths = zero + torch.tensor([0.5, -2.0, 0.1, -0.3, 1.0][:count]).view(-1, 1, 1).expand(-1, K, H)
    model = Fixed(paths.float(), centre="median").eval()
    scored = score_batch(model, windows[index], Scoring(mode, count), units, [0, 1])
    restored = units.restore(paths.expand(2, -1, -1, -1), index).numpy()
    assert (restored[0, :, 0] == 0).any()
    expected = np.median(restored, axis=1)
    np.testing.assert_allclose(scored.outlook.point, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(scored.outlook.mean, restored.mean(1), rtol=1e-6, atol=1e-6)
    assert (scored.outlook.paths is None) == (mode == "point")
    assert len(model.draws) == 1  # no second pass


def test_a_median_of_samples_needs_their_memory_in_point_mode_too(bounded: Problem) -> None:
    model, windows = Fixed(torch.zeros(3, K, H), centre="median"), bounded.windows("test")
    score_windows(model, bounded, windows, Scoring("point", 2**20))
    assert max(len(draws.seeds) for draws in model.draws) == 1


def test_one_pass_scores_a_model_where_one_is_enough() -> None:
    """Quantiles of all windows; medians of the samples; else samples of a few windows."""
    settings = TrainerConfig(seed=3, point_windows=50, score_windows=7, score_samples=9)
    paths = torch.zeros(1, K, H)
    point = Scoring("point", 9, limit=50, seed=3)
    some, every = (Scoring("probabilistic", 9, limit=limit, seed=3) for limit in (7, 50))
    assert scorings_of(Fixed(paths), settings) == (point, some)
    assert scorings_of(Fixed(paths, "none"), settings) == (point, None)
    assert scorings_of(Fixed(paths, "quantiles", "median"), settings) == (every, every)
    assert scorings_of(Fixed(paths, "samples", "median"), settings) == (some, some)
    none = settings.model_copy(update={"score_windows": 0})
    assert scorings_of(Fixed(paths), none) == (point, None)


@pytest.mark.parametrize("stride", [1, 3, 4])
def test_every_so_many_th_window_is_scored_the_last_among_them(
    bounded: Problem, stride: int
) -> None:
    windows = bounded.windows("test")
    numbers = selected_windows(windows, Scoring(stride=stride))
    for owner, series in enumerate(bounded.table.series):
        rows = windows.rows[numbers[windows.owners[numbers] == owner]].tolist()
        first = int(windows.rows[windows.owners == owner].min())
        assert rows == list(range(len(series.values) - H, first - 1, -stride))[::-1]
    few = selected_windows(windows, Scoring(stride=stride, limit=3))
    assert few.tolist() == numbers[[0, round((len(numbers) - 1) / 2), -1]].tolist()


@pytest.mark.parametrize("mode", ["point", "probabilistic"])
def test_only_the_first_steps_ahead_are_scored(bounded: Problem, mode: Mode) -> None:
    """Those of a forecast of H steps are the first of one of fewer steps, whatever comes later."""
    shorter = replace(bounded, config=bounded.config.model_copy(update={"horizon": 2}))
    paths, wild = torch.randn(5, K, H), torch.full((5, K, H - 2), 1e3)
    scoring = Scoring(mode, limit=None)
    both = bounded.windows("test"), shorter.windows("test")
    places = list(zip(both[1].owners.tolist(), both[1].rows.tolist(), strict=True))
    same = [
        places.index(each)
        for each in zip(both[0].owners.tolist(), both[0].rows.tolist(), strict=True)
    ]
    short = score_windows(Fixed(paths[..., :2]), shorter, both[1], scoring)
    for later in (paths[..., 2:], wild):
        model = Fixed(torch.cat([paths[..., :2], later], dim=-1))
        found = score_windows(model, bounded, both[0], replace(scoring, leads=2))
        torch.testing.assert_close(found.errors, short.errors[same])
        torch.testing.assert_close(found.absolute, short.absolute[same])


def test_a_full_evaluation_adds_histograms(bounded: Problem) -> None:
    """And any probabilistic one has the metrics of the point forecast."""
    windows, paths = bounded.windows("test"), torch.randn(5, K, H)
    point = score_windows(Fixed(paths), bounded, windows, Scoring())
    for kind, histograms in (("samples", {"pit", "rank"}), ("quantiles", {"pit"})):
        plain, full = (
            score_windows(Fixed(paths, kind), bounded, windows, scoring)
            for scoring in (Scoring("probabilistic", 5), Scoring("probabilistic", 5, full=True))
        )
        assert full.pooled().keys() - plain.pooled().keys() == {"variogram"}
        for found in (plain, full):
            assert {name: found.pooled()[name] for name in point.pooled()} == point.pooled()
            torch.testing.assert_close(found.absolute, point.absolute)
        assert full.totals.sums.keys() & {"pit", "rank"} == histograms
        assert not plain.totals.sums.keys() & {"pit", "rank"}
        torch.testing.assert_close(full.errors, plain.errors)  # of the samples, in both
        assert not torch.allclose(full.errors, point.errors)
    assert evaluate(Fixed(paths), bounded, "test", Scoring()) == point.pooled()


def test_the_worst_windows_stand_a_horizon_apart(bounded: Problem) -> None:
    """Windows 0…12 of the first series by errors made up; nan is no error."""
    windows = bounded.windows("train")
    numbers = torch.arange(13)
    errors = torch.tensor([5, 0, 0, 0, 9, 8, 7, 0, 6, 0, 0, 0, torch.nan], dtype=torch.float64)
    found = WindowScores(Accumulator(), numbers, errors, errors)
    assert windows.owners[:13].tolist() == [0] * 13
    assert worst_windows(found, windows, 3).tolist() == [4, 8, 0]
    assert worst_windows(found, windows, 2).tolist() == [4, 8]
    nothing = WindowScores(Accumulator(), numbers[:1], errors[-1:], errors[-1:])
    assert worst_windows(nothing, windows).tolist() == []


def test_windows_of_two_series_do_not_overlap_at_the_same_rows(bounded: Problem) -> None:
    windows = bounded.windows("train")
    other = int((windows.owners == 1).nonzero()[0])
    assert windows.rows[other] == windows.rows[0]
    numbers, errors = torch.tensor([0, other, other + 1]), torch.tensor([3.0, 2.0, 1.0]).double()
    scores = WindowScores(Accumulator(), numbers, errors, errors)
    assert worst_windows(scores, windows).tolist() == [0, other]


def test_six_of_the_worst_windows_are_given_unless_told_otherwise(bounded: Problem) -> None:
    windows = bounded.windows("train")
    errors = torch.arange(40.0, 0.0, -1.0).double()
    found = WindowScores(Accumulator(), torch.arange(40), errors, errors)
    assert worst_windows(found, windows).tolist() == [0, 4, 8, 12, 16, 20]


def test_published_windows_leave_out_the_last_incomplete_batch(bounded: Problem) -> None:
    assert [published_count(windows) for windows in (0, 31, 32, 33, 170)] == [0, 0, 32, 32, 160]
    windows, model = bounded.windows("train"), Fixed(torch.zeros(1, K, H))
    assert len(windows) > 32
    assert len(windows) % 32  # a whole batch and an incomplete one
    numbers = selected_windows(windows, Scoring(windows="published"))
    assert numbers.tolist() == list(range(published_count(len(windows))))
    errors = PublishedErrors(len(windows))
    score_windows(model, bounded, windows, Scoring(), batch_size=20, on_batch=errors)
    expected = score_windows(model, bounded, windows, Scoring(windows="published")).pooled()
    assert errors.metrics() == pytest.approx(
        {"published/mse": expected["mse"], "published/mae": expected["mae"]}
    )
    few = PublishedErrors(31)
    score_windows(model, bounded, windows, Scoring(limit=31), on_batch=few)
    assert few.metrics() == {}
