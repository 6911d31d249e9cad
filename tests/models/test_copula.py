"""The copula of residuals: its marginals, its correlation, its seasons and series, its samples."""

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from scipy import stats

from forecaster.config.load import find_config, load_config
from forecaster.config.parts import build
from forecaster.data.windows import Batch, Windows
from forecaster.diffusion.drawing import Draws
from forecaster.models.base import Forecaster, Precursor, Shape
from forecaster.models.copula import ResidualCopula, ResidualCopulaConfig, correlation
from forecaster.models.copula.correlation import Correlation
from forecaster.models.copula.law import LARGEST_TABLE, ResidualLaw
from forecaster.models.copula.marginals import NormalScores
from forecaster.models.diffusion.config import DiffusionConfig
from forecaster.models.diffusion.forecaster import Diffusion, walked_as_untrained
from forecaster.models.scoring_rules import is_kept, sample_score, scores_by_channel

K, L, H, SEASON = 2, 16, 4, 6
SHAPE = Shape(K, L, H, SEASON)


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def correlated(rows: int, channels: int = K, length: int = H) -> torch.Tensor:
    """Standard normal paths (rows, K, M): .6 between neighbouring channels, .8 between leads."""
    over = [0.6, 0.8]
    roots = [
        torch.linalg.cholesky(r ** (torch.arange(n)[:, None] - torch.arange(n)).abs().float())
        for r, n in zip(over, (channels, length), strict=True)
    ]
    return roots[0] @ torch.randn(rows, channels, length) @ roots[1].T


# --- marginals


def test_scores_and_values_are_inverse_in_the_middle_and_in_the_tails() -> None:
    scores = NormalScores(K, H)
    scores.fit(torch.randn(400, K, H).exp())
    z = torch.linspace(-8, 8, 1001)[:, None, None].expand(-1, K, H)
    found = scores.scores(scores.values(z))
    torch.testing.assert_close(found, z.clamp(-5, 5), rtol=1e-3, atol=1e-3)
    assert bool((scores.values(z).diff(dim=0) > 0).all())


def test_equal_values_have_scores_of_their_own() -> None:
    """Of a channel whose errors are all 0, too: its scores lie at 0, and its values near 0."""
    scores = NormalScores(1, 2)
    values = torch.zeros(50, 1, 2)
    values[:25, 0, 1] = 1.0
    mean = scores.fit(values)
    z = torch.linspace(-3, 3, 7)[:, None, None].expand(-1, 1, 2)
    torch.testing.assert_close(scores.scores(scores.values(z)), z, rtol=0, atol=1e-3)
    assert float(scores.values(z)[:, 0, 0].abs().max()) < 0.01
    assert float(mean[0, 1]) == pytest.approx(0.5, abs=0.02)


def test_marginals_are_those_of_the_values_and_their_mean_is_0() -> None:
    scores, law = NormalScores(1, 2), stats.expon
    drawn = torch.from_numpy(law.rvs(size=(20_000, 1, 2), random_state=1)).float()
    mean = scores.fit(drawn)
    torch.testing.assert_close(mean, drawn.mean(0), rtol=0.01, atol=0)
    for level in (0.02, 0.1, 0.5, 0.9, 0.99):
        z = torch.full((1, 1, 2), float(stats.norm.ppf(level)))
        found = scores.values(z) + mean
        torch.testing.assert_close(found, torch.full_like(z, law.ppf(level)), rtol=0.05, atol=0.02)
    drawn = scores.values(torch.randn(100_000, 1, 2))
    torch.testing.assert_close(drawn.mean(0), torch.zeros(1, 2), rtol=0, atol=0.015)
    for shift in (-1.0, 0.5):
        shifted = scores.values(torch.randn(100_000, 1, 2) + shift).mean(0)
        [expected] = scores.mean(torch.full((1, 1, 2), shift))
        torch.testing.assert_close(shifted, expected, rtol=0, atol=0.015)


# --- correlation


@pytest.mark.parametrize("rank", [2, 256])
def test_whitening_is_the_inverse_of_colouring_and_keeps_the_variance_of_each_entry(
    rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(correlation, "_RANK", rank)
    found = Correlation(5, 7)
    z = correlated(5000, 5, 7)
    found.fit(z)
    torch.testing.assert_close(found.whiten(found.colour(z)), z, rtol=0, atol=1e-4)
    basis = torch.eye(35).view(35, 5, 7)
    variances = found.colour(basis).square().sum(0)  # colour is linear
    torch.testing.assert_close(variances, torch.ones(5, 7), rtol=0, atol=1e-4)


def test_the_correlation_is_that_of_the_paths() -> None:
    found, z = Correlation(3, 6), correlated(40_000, 3, 6)
    found.fit(z)
    basis = torch.eye(18).view(18, 3, 6)
    root = found.colour(basis).flatten(1)
    channels = 0.6 ** (torch.arange(3)[:, None] - torch.arange(3)).abs()
    leads = 0.8 ** (torch.arange(6)[:, None] - torch.arange(6)).abs()
    torch.testing.assert_close(root.T @ root, torch.kron(channels, leads), rtol=0, atol=0.04)
    white = found.whiten(z).flatten(1)
    torch.testing.assert_close(torch.corrcoef(white.T), torch.eye(18), rtol=0, atol=0.1)


def test_a_variance_of_its_own_in_each_direction() -> None:
    """No product of a covariance of channels and one of leads has these variances."""
    variances = torch.tensor([[4.0, 0.5], [0.5, 1.0]]) / 1.5
    turn = torch.tensor([[1.0, 1.0], [-1.0, 1.0]]) / math.sqrt(2)
    z = turn @ (torch.randn(40_000, 2, 2) * variances.sqrt()) @ turn.T
    found = Correlation(2, 2)
    found.fit(z)
    root = found.colour(torch.eye(4).view(4, 2, 2)).flatten(1)
    torch.testing.assert_close(root.T @ root, torch.cov(z.flatten(1).T), rtol=0, atol=0.05)


def test_of_many_channels_the_rest_has_the_variance_of_what_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One factor and independent rests: one component holds all that there is."""
    monkeypatch.setattr(correlation, "_RANK", 1)
    factor = torch.randn(20_000, 1, 3).expand(-1, 6, -1)
    z = math.sqrt(0.7) * factor + math.sqrt(0.3) * torch.randn(20_000, 6, 3)
    found = Correlation(6, 3)
    found.fit(z)
    root = found.colour(torch.eye(18).view(18, 6, 3)).flatten(1)
    across = torch.full((6, 6), 0.7).fill_diagonal_(1.0)
    expected = torch.kron(across, torch.eye(3))
    torch.testing.assert_close(root.T @ root, expected, rtol=0, atol=0.05)


# --- the law


def fitted(
    paths: torch.Tensor,
    times: torch.Tensor | None = None,
    owners: torch.Tensor | None = None,
    logs: torch.Tensor | None = None,
    power: float = 0.0,
    shape: Shape = SHAPE,
) -> ResidualLaw:
    """The law of these residual paths, of windows of the same scale by default."""
    count = len(paths)
    law = ResidualLaw("deviation", "auto", shape)
    law.power.fill_(power)
    law.fill(
        paths,
        torch.arange(count) if times is None else times,
        torch.zeros(count),
        torch.zeros(count, shape.channels, 1) if logs is None else logs,
        torch.zeros(count, dtype=torch.int64) if owners is None else owners,
    )
    return law


def windows_at(times: list[int], series: int = 0, scale: float = 1.0) -> Batch:
    """Windows of a history whose deviation is ``scale``."""
    count = len(times)
    past = scale * torch.tensor([1.0, -1.0]).repeat(L // 2).expand(count, K, L)
    future = torch.zeros(count, K, H)
    return Batch(
        past,
        torch.ones_like(past),
        future,
        torch.ones_like(future),
        torch.arange(count),
        torch.tensor(times),
        torch.full((count,), series),
    )


def test_mean_and_size_go_by_the_place_in_the_season() -> None:
    times = torch.arange(6000)
    phase = times % SEASON
    level, size = phase.float() - 2.5, 1 + phase.float()
    paths = level[:, None, None] + size[:, None, None] * torch.randn(6000, K, H)
    law = fitted(paths, times)
    mean, found = law.spread(windows_at([*range(6000, 6000 + SEASON)]))
    wanted = torch.arange(6000, 6000 + SEASON) % SEASON
    torch.testing.assert_close(
        mean, (wanted.float() - 2.5)[:, None, None].expand_as(mean), rtol=0, atol=0.5
    )
    ratio = found[wanted == 5] / found[wanted == 0]
    torch.testing.assert_close(ratio, torch.full_like(ratio, 6.0), rtol=0.15, atol=0)


def test_a_season_that_comes_round_too_seldom_has_no_table() -> None:
    paths = torch.randn(3 * SEASON, K, H)
    assert len(fitted(paths).means) == 1
    assert len(fitted(torch.randn(4 * SEASON, K, H)).means) == SEASON
    longer = replace(SHAPE, seasons=(SEASON, 4 * SEASON))
    assert len(fitted(torch.randn(15 * SEASON, K, H), shape=longer).means) == SEASON
    assert len(fitted(torch.randn(17 * SEASON, K, H), shape=longer).means) == 4 * SEASON


def test_residuals_grow_with_the_scale_of_the_window() -> None:
    logs = torch.randn(4000, K, 1) / 2
    paths = logs.exp() * torch.randn(4000, K, H)
    law = fitted(paths, logs=logs, power=1.0)
    _, small = law.spread(windows_at([4000], scale=1.0))
    _, large = law.spread(windows_at([4000], scale=3.0))
    torch.testing.assert_close(large / small, torch.full_like(small, 3.0), rtol=1e-3, atol=0)


def test_each_series_has_its_own_size_of_error() -> None:
    shape = replace(SHAPE, series=2)
    owners = torch.arange(8000) % 2
    paths = (1 + 3 * owners)[:, None, None] * torch.randn(8000, K, H)
    law = fitted(paths, torch.arange(8000) // 2, owners, shape=shape)
    sizes = [law.spread(windows_at([4001], series=number))[1] for number in (0, 1)]
    torch.testing.assert_close(
        sizes[1] / sizes[0], torch.full_like(sizes[0], 4.0), rtol=0.05, atol=0
    )
    draws = law.draw(windows_at([4001], series=1), Draws(4000, [1]))[0][0]
    assert float(draws.std()) == pytest.approx(4.0, rel=0.05)


def test_a_series_whose_errors_grew_since_the_training_has_the_larger_size() -> None:
    """Twice the errors of the other on windows held out: 2 to the power of n/(n + 2), of n windows
    without overlap; what all have in common is the spread's.
    """
    shape = replace(SHAPE, series=2)
    owners = torch.arange(8000) % 2
    paths = (1 + 3 * owners)[:, None, None] * torch.randn(8000, K, H)
    law = fitted(paths, torch.arange(8000) // 2, owners, power=1.0, shape=shape)
    before = [law.spread(windows_at([4001], series=number))[1] for number in (0, 1, -1)]
    owners = torch.arange(2000) % 2
    times = 4000 + torch.arange(2000) // 2 % 25  # 7 windows of 4 steps do not overlap
    logs = torch.full((2000, K, 1), math.log(3.0))  # their own size is that of their scale
    paths = (5 + 35 * owners)[:, None, None] * 3 * torch.randn(2000, K, H)
    law.hold_out(paths, times, logs, owners)
    after = [law.spread(windows_at([4001], series=number))[1] for number in (0, 1, -1)]
    grown = [float((b / a).mean()) for a, b in zip(before, after, strict=True)]
    assert grown == pytest.approx([2 ** (-0.5 * 7 / 9), 2 ** (0.5 * 7 / 9), 1.0], rel=0.02)
    law.settle()
    loaded = ResidualLaw("deviation", "auto", shape)
    loaded.load_state_dict(law.state_dict())
    assert torch.equal(loaded.spread(windows_at([4001], series=1))[1], after[1])
    state = law.state_dict()
    del state["excess"]  # of a model saved before
    loaded.load_state_dict(state)
    torch.testing.assert_close(loaded.spread(windows_at([4001], series=1))[1], before[1])


def test_a_base_without_an_error_is_drawn_as_it_is() -> None:
    """As seasonal naive's of a series that repeats itself exactly: the spread can be chosen, too."""
    season = torch.arange(400).remainder(SEASON).float()[:, None].expand(-1, K)
    windows = Windows([season.numpy()], [(L, 300)], L, H, [0])
    validation = Windows([season.numpy()], [(300, 400)], L, H, [0])
    settings = {"base": {"name": "seasonal-naive"}}
    model = build(ResidualCopulaConfig.model_validate(settings), SHAPE).eval()
    model.calibrate(windows, validation)
    batch = validation[torch.tensor([0, 50])]
    drawn = model.sample(batch, Draws(8, [1, 2]))
    torch.testing.assert_close(drawn, batch.future[:, None].expand_as(drawn), rtol=0, atol=1e-5)


def test_missing_residuals_do_not_count() -> None:
    paths = torch.randn(3000, K, H)
    paths[::3, 0, 1] = torch.nan
    law = fitted(paths)
    draws = law.draw(windows_at([3001]), Draws(4000, [1]))[0][0]
    assert bool(draws.isfinite().all())
    assert float(draws[:, 0, 1].std()) == pytest.approx(1.0, rel=0.06)


# --- the forecaster, and the bridge in its coordinates


def series(rows: int, seed: int = 0) -> torch.Tensor:
    """Two channels of noise, skewed and correlated over time."""
    source = torch.Generator().manual_seed(seed)
    noise = torch.randn(rows + 3, K, generator=source)
    smooth = noise[3:] + noise[2:-1] + noise[1:-2] + noise[:-3]
    return (smooth / 2).exp()


def cut(values: torch.Tensor, start: int = 0) -> Windows:
    return Windows([values.numpy()], [(L, len(values))], L, H, [start])


TRAIN, VALIDATION = cut(series(1500)), cut(series(300, 9), 1500)
PRIOR = {
    "name": "residual-copula",
    "base": {"name": "linear", "norm": "none"},
    "spread": 1.0,
    "scale_power": 0.0,
    "bias": 1.0,
}


def prepared(**settings: object) -> ResidualCopula:
    torch.manual_seed(0)
    config = ResidualCopulaConfig.model_validate({**PRIOR, **settings})
    model = build(config, SHAPE).eval()
    model.calibrate(TRAIN, VALIDATION)
    return model


def bridge_of(prior: ResidualCopula, **settings: object) -> Forecaster:
    """An untrained bridge in the coordinates of this prior."""
    given = {
        "prior": PRIOR,
        "prior_training": "first",
        "coordinates": "residual",
        "predicts": "innovation",
        "network": {"name": "mixer", "width": 8, "layers": 1, "dropout": 0.0},
        "label": 0,
        "sampler": {"s": 2.0},
        **settings,
    }
    torch.manual_seed(1)
    model = build(DiffusionConfig.model_validate(given), SHAPE).eval()
    model.prior.load_state_dict(prior.state_dict())
    return model


BATCH = VALIDATION[torch.arange(0, 40, 8)]


def test_a_chart_is_invertible_and_its_noise_is_white() -> None:
    chart = prepared().chart(TRAIN[torch.arange(len(TRAIN))])
    w = chart.noise(TRAIN[torch.arange(len(TRAIN))].future)
    torch.testing.assert_close(
        chart.path(w), TRAIN[torch.arange(len(TRAIN))].future, rtol=1e-3, atol=1e-3
    )
    spread = torch.cov(w.flatten(1).T)
    torch.testing.assert_close(spread, torch.eye(K * H), rtol=0, atol=0.12)


def test_samples_are_centred_on_the_point_forecast() -> None:
    model = prepared()
    paths = model.sample(BATCH, Draws(20_000, list(range(len(BATCH)))))
    spread = paths.std(1)
    off = (paths.mean(1) - model.predict(BATCH)) / spread
    assert float(off.abs().max()) < 0.04


@pytest.mark.parametrize("total", [1, 3, 50])
@pytest.mark.parametrize("steps", [1, 3, 20])
def test_an_untrained_bridge_draws_the_copula_in_any_number_of_steps(
    total: int, steps: int
) -> None:
    if steps > total:
        pytest.skip("no more steps than the path has")
    prior = prepared()
    schedule = {"name": "bridge", "steps": total}
    sampler = {"s": 2.0, "steps": steps, "point_steps": steps}
    model = bridge_of(prior, schedule=schedule, sampler=sampler)
    one = replace_rows(BATCH, 1)
    ours = model.sample(one, Draws(4000, [7]))[0].flatten(1)
    theirs = prior.sample(one, Draws(4000, [8]))[0].flatten(1)
    for entry in range(K * H):
        assert stats.ks_2samp(ours[:, entry], theirs[:, entry]).pvalue > 1e-3
    ranks = [stats.spearmanr(each).statistic for each in (ours.numpy(), theirs.numpy())]
    assert abs(ranks[0] - ranks[1]).max() < 0.08
    torch.testing.assert_close(model.predict(one), prior.predict(one), rtol=0, atol=1e-4)


def test_after_a_refit_each_series_keeps_what_was_held_out() -> None:
    """Validation shows the second of two series to be four times as noisy as before; the model that
    has learnt validation, too, cannot see that any more.
    """
    shape = replace(SHAPE, series=2)
    source = torch.Generator().manual_seed(3)
    sizes = torch.tensor([[1.0, 1.0], [1.0, 4.0]])  # of a part, by series
    parts = [
        Windows(
            [(size * torch.randn(rows, K, generator=source)).numpy() for size in by_series],
            [(L, rows)] * 2,
            L,
            H,
            [start, start],
        )
        for rows, start, by_series in ((800, 0, sizes[0]), (300, 800, sizes[1]))
    ]
    models = [build(ResidualCopulaConfig.model_validate(PRIOR), shape).eval() for _ in range(2)]
    models[0].calibrate(*parts)
    first, second = models[0].copula.excess[:2].flatten(1).mean(1).tolist()
    assert second / first == pytest.approx(4.0, rel=0.15)
    models[1].calibrate_after(Precursor(models[0], *parts, parts[1]))
    assert torch.equal(models[1].copula.excess, models[0].copula.excess)
    both = ResidualCopulaConfig.model_validate({**PRIOR, "residuals": "both"})
    validated = build(both, shape).eval()
    validated.calibrate(*parts)
    assert bool((validated.copula.excess == 1).all())  # it was fitted on them


def replace_rows(batch: Batch, count: int) -> Batch:
    """The first windows of a batch."""
    return Batch(*(values[:count] for values in vars(batch).values() if values is not None))


def test_without_noise_an_untrained_bridge_ends_at_the_median_of_the_copula() -> None:
    prior = prepared()
    model = bridge_of(prior)
    chart = prior.chart(BATCH)
    frame = model._frame(BATCH, model._normalise(BATCH)[0])
    given = model._inputs(model.condition(BATCH.past, BATCH.past_mask, None), frame.seen)
    w = model._reverse(frame.h, given, torch.zeros_like, 50, s=0.0)
    assert not w.any()
    median = chart.centre + chart.size * prior.copula.marginals.values(torch.zeros_like(w))
    torch.testing.assert_close(frame.leave(w, torch.arange(len(w))), median, rtol=0, atol=1e-6)


@pytest.mark.parametrize("schedule", ["bridge", "ddpm"])
def test_the_point_forecast_does_not_depend_on_the_number_of_steps(schedule: str) -> None:
    prior = prepared()
    sampler = {"s": 2.0, "steps": 2, "point_steps": 1}
    model = bridge_of(prior, schedule={"name": schedule, "steps": 20}, sampler=sampler)
    for weight in model.denoiser.parameters():
        weight.data.normal_(std=0.1, generator=torch.Generator().manual_seed(1))
    point = model.predict(BATCH)
    assert float((point - prior.predict(BATCH)).abs().max()) > 0.1  # the network counts
    for steps in (1, 2, 20):
        assert torch.equal(model.predict(BATCH, steps), point)
    paths = [model.sample(BATCH, Draws(3, [*range(len(BATCH))], n)) for n in (1, 20)]
    assert float((paths[0] - paths[1]).abs().max()) > 0.01  # of samples they do


@pytest.mark.parametrize("schedule", ["bridge", "ddpm"])
def test_the_target_of_an_innovation_has_variance_1_at_every_step(schedule: str) -> None:
    path = {"schedule": {"name": schedule, "steps": 20}, "sampler": {"steps": 1, "point_steps": 1}}
    model = bridge_of(prepared(), **path)
    everything = TRAIN[torch.arange(len(TRAIN))]
    for step in (1, 10, 20):
        t = torch.full((len(everything),), step)
        out, wanted, weight = model.step_errors(
            everything, t, torch.randn(len(everything), K, H), list(range(len(everything)))
        )
        assert not out.any()
        assert bool((weight == 1).all())
        assert float(wanted.std()) == pytest.approx(1.0, abs=0.05)


def test_a_window_counts_as_far_as_it_is_observed() -> None:
    """And what stands under the mask has no say."""
    model = bridge_of(prepared())
    mask = torch.ones_like(BATCH.future_mask)
    mask[0, 0, :2] = 0
    noise, t = torch.randn(len(BATCH), K, H), torch.full((len(BATCH),), 20)
    found = []
    for hidden in (0.0, 100.0):
        future = torch.where(mask > 0, BATCH.future, hidden)
        batch = replace(BATCH, future=future, future_mask=mask)
        found.append(model.step_errors(batch, t, noise, [1, 2, 3, 4, 5]))
    for first, second in zip(*found, strict=True):
        torch.testing.assert_close(first, second)
    weight = found[0][2]
    assert float(weight[0].unique()) == pytest.approx(1 - 2 / (K * H))
    assert bool((weight[1:] == 1).all())


def test_directions_of_little_variance_count_less_in_a_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of two channels that nearly agree the difference; the weights are those of λ/(λ + c)."""
    monkeypatch.setattr(correlation, "_SHRINKAGE", 0.0)
    common = torch.randn(20_000, 1, 1)
    z = torch.cat([common, common + 0.1 * torch.randn(20_000, 1, 1)], 1)
    z = z / z.std(0)
    found = Correlation(2, 1)
    found.fit(z)
    total, difference = (torch.tensor([[[1.0], [sign]]]) / math.sqrt(2) for sign in (1.0, -1.0))
    half = 0.02  # of a mean variance of 1
    for direction in (total, difference):
        variance = float(((z * direction).sum(1) ** 2).mean())
        weight = float((found.weigh(direction) ** 2).sum())
        assert weight == pytest.approx(variance / (variance + half), rel=0.02)


BY_SAMPLES = {"name": "path", "loss": "mse", "select_by": "samples"}


def bridge_with_weights() -> Diffusion:
    """A bridge whose network is selected by samples and says something, if nothing of use."""
    model = bridge_of(prepared(), objective=BY_SAMPLES)
    assert isinstance(model, Diffusion)
    with torch.no_grad():
        for parameter in model.denoiser.parameters():
            parameter.normal_(0, 0.3)
    return model


def test_the_score_of_a_channel_is_that_of_samples_of_it_alone() -> None:
    paths, y = torch.randn(5, 4, K, H), torch.randn(5, K, H)
    mask = (torch.rand(5, K, H) > 0.3).float()
    mask[2, 0] = 0
    found, windows = scores_by_channel(paths, y.where(mask > 0, torch.tensor(torch.nan)), mask)
    assert windows.tolist() == [4, 5]
    for k in range(K):
        alone = [
            sample_score(
                paths[b : b + 1, :, [k]], y[b : b + 1, [k]], mask[b : b + 1, [k]], 1.0, 1.0, 0.0
            )
            for b in range(5)
            if mask[b, k].any()
        ]
        torch.testing.assert_close(found[k], torch.stack(alone).sum())


def test_channels_that_are_not_learnt_are_walked_as_untrained() -> None:
    """With the same noise, so that they go together as before."""
    model, draws = bridge_with_weights(), Draws(6, list(range(len(BATCH))))
    untrained = bridge_of(prepared(), objective=BY_SAMPLES)
    found = {}
    for learnt in ((1.0, 1.0), (1.0, 0.0), (0.0, 0.0)):
        model.learnt.copy_(torch.tensor(learnt))
        found[learnt] = model.sample(BATCH, draws), model.predict(BATCH)
    for own, mixed, none, plain in zip(
        *found.values(), (untrained.sample(BATCH, draws), untrained.predict(BATCH)), strict=True
    ):
        assert torch.equal(none, plain)
        assert torch.equal(mixed[..., 0, :], own[..., 0, :])
        assert torch.equal(mixed[..., 1, :], plain[..., 1, :])
        assert not torch.isclose(own, plain).any(dim=-1).all()


def test_scores_by_channel_are_of_all_samples_of_the_network_or_of_none() -> None:
    model, draws = bridge_with_weights(), Draws(8, BATCH.index.tolist())
    assert bridge_of(prepared()).channel_scores(BATCH, True) is None
    expected = {}
    for learnt in (True, False):
        model.learnt.fill_(float(learnt))
        expected[learnt] = scores_by_channel(
            model.sample(BATCH, draws), BATCH.future, BATCH.future_mask
        )
    model.learnt.copy_(torch.tensor([0.0, 1.0]))  # the scores are of all channels
    for learnt, (each, windows) in expected.items():
        scores = model.channel_scores(BATCH, learnt)
        torch.testing.assert_close(scores, torch.stack([each, windows]))
    assert model.learnt.tolist() == [0, 1]


def test_a_channel_is_learnt_where_its_sum_over_the_validation_is_less(monkeypatch) -> None:
    """In single batches the first channel is better without the network, the second with it."""
    model, seen = bridge_with_weights(), {True: list[int](), False: list[int]()}

    def channel_scores(batch: Batch, learnt: bool) -> torch.Tensor:
        seen[learnt].append(len(batch))
        own = [[3.0, 1.0], [0.0, 5.0]][len(seen[learnt]) % 2]
        return torch.tensor([own if learnt else [2.0, 2.0], [4.0, 4.0]])

    monkeypatch.setattr(model, "channel_scores", channel_scores)
    calibration = Windows([series(300).numpy()], [(L, 300)], L, H, [0])
    model.calibrate(TRAIN, calibration)
    assert seen[True] == seen[False]
    assert sum(seen[True]) == 256
    assert len(seen[True]) == 4
    assert model.learnt.tolist() == [1, 0]
    assert walked_as_untrained(model) == [1]
    model.learnt.fill_(0)
    assert walked_as_untrained(model) == []  # the fit says so by itself


def test_a_channel_is_kept_unless_it_is_clearly_worse() -> None:
    own = torch.tensor([1.0, 1.02, 1.03, 1.0, 0.0, 0.5, 0.499])
    without = torch.tensor([2.0, 1.0, 1.0, 1.0, 0.0, 0.49, 0.49])
    # a fiftieth is not clear; the same score, as of no values, is that of a network without effect
    assert is_kept(own, without).tolist() == [True, True, False, False, False, False, True]


@pytest.mark.parametrize(("better", "kept"), [(0.991, False), (0.989, True)])
def test_what_is_kept_is_not_worse_than_without_it(better: float, kept: bool) -> None:
    """Of two scores that are .01 worse in all, and one that is better by less or by more."""
    own, without = torch.tensor([1.004, 1.006, better]), torch.ones(3)
    assert is_kept(own, without).tolist() == [kept, kept, True]


def test_a_bridge_saved_before_channels_were_selected_walks_all_with_the_network() -> None:
    model = bridge_with_weights()
    state = {name: value for name, value in model.state_dict().items() if name != "learnt"}
    model.learnt.fill_(0)
    model.load_state_dict(state)
    assert model.learnt.tolist() == [1, 1]


def test_the_bridge_of_862_columns_is_saved_in_less_than_200_mb() -> None:
    """At 96 steps, whatever the season: its two tables are as large as they may be."""
    config = load_config(find_config("s2dbm"), ["data.horizon=96"]).model
    model = build(config, Shape(862, 336, 96, 24, seasons=(24, 168)))
    law = model.prior.copula
    kept = {id(each): each for each in model.state_dict().values()}
    for table in (law.means, law.sizes):
        del kept[next(key for key, each in kept.items() if each.data_ptr() == table.data_ptr())]
    size = sum(each.numel() * each.element_size() for each in kept.values())
    assert size + 2 * 4 * LARGEST_TABLE < 200e6
