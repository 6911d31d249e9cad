"""The forecasters on constructed windows."""

import pytest
import torch
from conftest import seasonal_naive
from pydantic import ValidationError

from forecaster.config.parts import build
from forecaster.data.windows import Batch, Windows
from forecaster.diffusion.drawing import Draws
from forecaster.errors import UserError
from forecaster.models.average import AverageConfig
from forecaster.models.base import Shape, empty_future
from forecaster.models.bootstrap import ResidualBootstrap
from forecaster.models.bootstrap.forecaster import ResidualBootstrapConfig
from forecaster.models.diffusion import Diffusion
from forecaster.models.diffusion.config import DiffusionConfig
from forecaster.models.linear import Linear, LinearConfig, QuantileLinear, QuantileLinearConfig
from forecaster.models.naive import SeasonalNaiveConfig
from forecaster.models.scoring_rules import sample_score
from forecaster.models.state_space.config import StateSpaceConfig
from forecaster.models.transformer import TransformerConfig

B, K, L, H = 4, 3, 24, 6
SMALL = DiffusionConfig.model_validate(
    {
        "schedule": {"name": "bridge", "steps": 10},
        "prior": {"name": "linear", "norm": "standard", "loss": "l1"},
        "prior_training": "first",
        "given_prior": True,
        "network": {"name": "residual", "layers": 2, "step_embedding": 16, "time_embedding": 16},
        "predicts": "correction",
        "label": 5,
        "norm": "standard",
        "sampler": {"s": 1.0, "steps": 4, "point_steps": 3},
    }
)


def changed(**changes: object) -> DiffusionConfig:
    return DiffusionConfig.model_validate(SMALL.model_dump() | changes)


def windows(seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    past, future = (
        torch.randn(B, K, L, generator=generator),
        torch.randn(B, K, H, generator=generator),
    )
    return Batch(
        past,
        torch.ones_like(past),
        future,
        torch.ones_like(future),
        torch.arange(B),
        100 * torch.arange(B),
        torch.zeros(B, dtype=torch.int64),
    )


def stretch(seed: int = 1, rows: int = 60) -> Windows:
    """All windows of one noisy series."""
    values = torch.randn(rows, K, generator=torch.Generator().manual_seed(seed)).numpy()
    return Windows([values], [(L, rows)], L, H, [0])


def diffusion_model(config: DiffusionConfig = SMALL) -> Diffusion:
    torch.manual_seed(0)
    model = build(config, Shape(K, L, H, 6)).eval()
    assert isinstance(model, Diffusion)
    for parameter in model.parameters():  # away from the zero start, so that the network has a say
        torch.nn.init.normal_(parameter, std=0.2)
    return model


FIELDS = ("past", "past_mask", "future", "future_mask", "index", "time", "series")


def take(batch: Batch, rows: list[int]) -> Batch:
    return Batch(*(getattr(batch, name)[rows] for name in FIELDS))


def test_seasonal_naive_repeats_the_last_season() -> None:
    past = torch.arange(float(L)).expand(1, 1, L)
    batch = empty_future(past, torch.ones_like(past), 7, torch.zeros(1, dtype=torch.int64))
    assert seasonal_naive(5, 7).predict(batch)[0, 0].tolist() == [19, 20, 21, 22, 23, 19, 20]
    mask = torch.ones_like(past).clone()
    mask[..., [19, 21]] = 0  # one season further back is known
    assert seasonal_naive(5, 7).predict(
        empty_future(past, mask, 7, torch.zeros(1, dtype=torch.int64))
    )[0, 0].tolist() == [14, 20, 16, 22, 23, 14, 20]
    assert seasonal_naive(86_400_000_000, 3).predict(
        empty_future(past, mask, 3, torch.zeros(1, dtype=torch.int64))
    )[0, 0].tolist() == [23, 23, 23]


@pytest.mark.parametrize("norm", ["last", "mean", "standard"])
def test_normalised_linear_layer_moves_with_the_level(norm: str) -> None:
    model, batch = Linear(LinearConfig(norm=norm), Shape(K, L, H, 6)), windows()
    lifted = Batch(
        batch.past + 7,
        batch.past_mask,
        batch.future,
        batch.future_mask,
        batch.index,
        batch.time,
        batch.series,
    )
    torch.testing.assert_close(model.predict(lifted), model.predict(batch) + 7)
    if norm == "standard":
        wide = Batch(
            batch.past * 10,
            batch.past_mask,
            batch.future,
            batch.future_mask,
            batch.index,
            batch.time,
            batch.series,
        )
        torch.testing.assert_close(
            model.predict(wide), model.predict(batch) * 10, rtol=1e-4, atol=1e-4
        )


def test_linear_without_norm_is_one_layer() -> None:
    model, batch = Linear(LinearConfig(norm="none"), Shape(K, L, H, 6)), windows()
    torch.testing.assert_close(
        model.predict(batch), batch.past @ model.layer.weight.T + model.layer.bias
    )


def test_quantiles_do_not_cross_and_interpolate() -> None:
    torch.manual_seed(0)
    model, batch = QuantileLinear(QuantileLinearConfig(), Shape(K, L, H, 6)), windows()
    found = model.quantiles(batch, [0.01, 0.05, 0.075, 0.1, 0.5, 0.99])
    assert (found.diff(dim=1) >= 0).all()
    torch.testing.assert_close(found[:, 2], (found[:, 1] + found[:, 3]) / 2)
    with pytest.raises(UserError, match=r"0\.001 lies outside"):
        model.quantiles(batch, [0.001])


def test_draws_of_a_quantile_model_follow_its_quantiles() -> None:
    torch.manual_seed(0)
    model, batch = QuantileLinear(QuantileLinearConfig(), Shape(K, L, H, 6)), take(windows(), [0])
    drawn = model.sample(batch, Draws(20_000, [7]))
    levels = [0.05, 0.25, 0.5, 0.9]
    found = drawn[0].quantile(torch.tensor(levels), dim=0)
    torch.testing.assert_close(found, model.quantiles(batch, levels)[0], atol=0.06, rtol=0)
    together = torch.corrcoef(drawn[0, :, 0].T) - torch.eye(H)
    assert together.abs().max() < 0.03  # it knows marginals only


def bootstrap(
    windows: Windows | None = None, season: int = 6, **settings: object
) -> ResidualBootstrap:
    config = ResidualBootstrapConfig.model_validate(
        {
            "base": {"name": "seasonal-naive", "season": 3},
            "residuals": "train",
            "bias": 1.0,
            **settings,
        }
    )
    model = ResidualBootstrap(config, Shape(K, L, H, season))
    seen = windows if windows is not None else stretch()
    model.calibrate(seen, stretch(2))
    return model


def residuals_of(seen: Windows) -> torch.Tensor:
    batch = seen[torch.arange(len(seen))]
    return batch.future - seasonal_naive(3, H).predict(batch)


def drawn_paths(
    model: ResidualBootstrap, batch: Batch, seen: Windows, count: int = 200
) -> torch.Tensor:
    """Which of the windows' residual paths each draw is, (B, S)."""
    draws = Draws(count, list(range(len(batch))))
    added = model.sample(batch, draws) - model.base.predict(batch)[:, None]
    distance = (added[:, :, None] - residuals_of(seen)).abs().amax(dim=(3, 4))
    assert (distance.amin(2) < 1e-5).all()
    return distance.argmin(2)


def test_bootstrap_adds_whole_paths_of_residuals() -> None:
    seen = stretch()
    found = drawn_paths(bootstrap(seen), windows(), seen)
    assert len(found[3].unique()) > 20


def test_bootstrap_never_draws_a_path_that_overlaps_the_window() -> None:
    seen = stretch()
    batch = seen[torch.tensor([3, 20])]
    found = drawn_paths(bootstrap(seen), batch, seen, 1000)
    times = seen.times
    assert ((times[found] - batch.time[:, None]).abs() >= H).all()
    assert len(found[0].unique()) > 15


def test_bootstrap_without_a_path_that_may_be_drawn_has_no_spread() -> None:
    """All paths overlap the window: the only ones left would tell the answer."""
    seen = stretch(rows=L + H + 3)
    batch = seen[torch.tensor([0, 3])]
    model = bootstrap(seen)
    assert model.bank.eligible(batch.time).sum() == 0
    drawn = model.sample(batch, Draws(5, [1, 2]))
    torch.testing.assert_close(drawn, model.predict(batch)[:, None].expand_as(drawn))


def test_seeds_that_differ_beyond_32_bits_draw_otherwise() -> None:
    batch, model = windows(), bootstrap()
    first, second = (
        model.sample(batch, Draws(5, [high * 2**32 + i for i in range(B)])) for high in (0, 1)
    )
    assert not torch.equal(first, second)


def test_half_precision_reaches_no_complex_kernel() -> None:
    batch = windows()
    for config in (
        changed(**COMBINATIONS["bridge, S4 layers"]),
        StateSpaceConfig(layer="s4", width=8, state=8),
    ):
        torch.manual_seed(0)
        model = build(config, Shape(K, L, H, 6))
        with torch.autocast("cpu", torch.bfloat16):
            loss = model.loss(batch)
        loss.backward()
        assert loss.isfinite()


def test_bootstrap_draws_at_the_same_phase_of_the_season() -> None:
    seen = stretch()
    batch = windows()
    found = drawn_paths(bootstrap(seen, phase_window=1), batch, seen, 1000)
    apart = (seen.times[found] - batch.time[:, None]) % 6
    assert set(apart.unique().tolist()) == {0, 1, 5}


def test_validation_paths_are_for_what_comes_after_validation() -> None:
    model = bootstrap(residuals="both")
    assert model.bank.validated.sum() == len(stretch(2))
    before, after = (
        torch.tensor([int(model.bank.times.max())]),
        torch.tensor([int(model.bank.times.max()) + 500]),
    )
    assert (model.bank.eligible(before) * model.bank.validated).sum() == 0
    assert model.bank.eligible(after).sum() == len(model.bank.residuals)
    only = bootstrap(residuals="validation")
    assert only.bank.eligible(before).sum() > 0  # a rule that leaves nothing is given up


def test_residuals_grow_with_the_deviation_of_the_window() -> None:
    batch = windows()
    wide = Batch(
        3 * batch.past,
        batch.past_mask,
        batch.future,
        batch.future_mask,
        batch.index,
        batch.time,
        batch.series,
    )
    for power in (0.0, 0.5, 1.0):
        model, draws = bootstrap(scale_power=power), Draws(5, [1, 2, 3, 4])
        spread = [model.sample(b, draws) - model.base.predict(b)[:, None] for b in (batch, wide)]
        torch.testing.assert_close(spread[1], 3**power * spread[0], rtol=1e-3, atol=1e-4)


def test_the_power_is_chosen_on_validation() -> None:
    """Where errors are proportional to the history's deviation, the power is 1; where they have
    nothing to do with it, 0.
    """

    def series(proportional: bool, seed: int) -> Windows:
        generator = torch.Generator().manual_seed(seed)
        swing = torch.exp(2 * torch.sin(torch.arange(1200) / 60))  # a slowly changing deviation
        noise = torch.randn(1200, K, generator=generator)
        wave = (
            3 * (swing - 1)[:, None] * torch.tensor([1.0, -1.0]).repeat(600)[:, None]
        )  # known two steps ahead
        values = swing[:, None] * noise if proportional else wave + noise
        return Windows([values.numpy()], [(L, 1200)], L, H, [0])

    for proportional, power in ((True, 1.0), (False, 0.0)):
        base = SeasonalNaiveConfig(season=2)
        config = ResidualBootstrapConfig(
            base=base, residuals="train", scale_power="auto", paths=400
        )
        model = ResidualBootstrap(config, Shape(K, L, H, 6))
        if proportional:
            model.base.predict_with_label = lambda batch: torch.zeros_like(batch.future)
        model.calibrate(series(proportional, 1), series(proportional, 2))
        assert float(model.bank.power) == pytest.approx(power, abs=0.25)


def test_bootstrap_takes_a_missing_residual_from_the_nearest_path() -> None:
    values = torch.randn(60, K, generator=torch.Generator().manual_seed(1)).numpy()
    values[30, 0] = float("nan")
    seen = Windows([values], [(L, 60)], L, H, [0])
    model = bootstrap(seen)
    assert model.bank.residuals.isfinite().all()
    row = (
        int((seen.times == 30).nonzero()) - 2
    )  # its third value is missing; the path before has one there
    assert model.bank.residuals[row, 0, 2] == model.bank.residuals[row - 1, 0, 2]


def test_bridge_starts_at_its_prior() -> None:
    torch.manual_seed(0)
    model, batch = build(SMALL, Shape(K, L, H, 6)).eval(), windows()
    torch.testing.assert_close(model.predict(batch), model.prior.predict(batch))


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_point_forecast_is_bit_for_bit_the_same_and_draws_nothing(steps: int) -> None:
    model, batch = diffusion_model(), windows()
    state = torch.get_rng_state()
    first, second = model.predict(batch, steps), model.predict(batch, steps)
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_samples_depend_on_the_windows_seed_alone() -> None:
    model, batch, seeds = diffusion_model(), windows(), [11, 22, 33, 44]
    whole = model.sample(batch, Draws(5, seeds))
    turned = model.sample(take(batch, [3, 1, 0, 2]), Draws(5, [44, 22, 11, 33]))
    torch.testing.assert_close(turned, whole[[3, 1, 0, 2]], rtol=1e-4, atol=1e-5)
    chunked = model.sample(batch, Draws(5, seeds, budget=1))  # one sample of one window a call
    torch.testing.assert_close(chunked, whole, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(whole, model.sample(batch, Draws(5, [1, 2, 3, 4])))
    assert whole.std(1).min() > 0


def test_without_noise_samples_are_the_point_forecast() -> None:
    model, batch = (
        diffusion_model(changed(sampler={"s": 0.0, "steps": 3, "point_steps": 3})),
        windows(),
    )
    drawn = model.sample(batch, Draws(3, [1, 2, 3, 4], steps=3))
    torch.testing.assert_close(
        drawn, model.predict(batch, 3)[:, None].expand_as(drawn), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    "name", ["s2dbm", "samples", "history", "linear", "transformer", "quantile-linear"]
)
def test_what_is_missing_has_no_say(name: str) -> None:
    """Values under a zero mask may be anything: loss, point forecast and samples stay as they
    are.
    """
    config = {
        "s2dbm": SMALL,
        "samples": changed(**COMBINATIONS["trained on its samples"]),
        "history": changed(**COMBINATIONS["history"]),
        "linear": LinearConfig(norm="standard"),
        "transformer": TransformerConfig(),
        "quantile-linear": QuantileLinearConfig(),
    }[name]
    torch.manual_seed(0)
    model, batch = build(config, Shape(K, L, H, 6)).eval(), windows()
    past_mask, future_mask = batch.past_mask.clone(), batch.future_mask.clone()
    past_mask[0, 1, 3:9] = past_mask[2, 0, -4:] = future_mask[1, 2, 2:] = 0
    results = []
    for filler in (0.0, 1e3):
        past = torch.where(past_mask > 0, batch.past, filler)
        future = torch.where(future_mask > 0, batch.future, filler)
        seen = Batch(past, past_mask, future, future_mask, batch.index, batch.time, batch.series)
        torch.manual_seed(5)
        results.append((model.loss(seen), model.predict(seen)))
    torch.testing.assert_close(results[0], results[1])
    assert results[0][0].isfinite()


def test_loss_is_the_absolute_error_of_the_data_prediction() -> None:
    """With a network that outputs nothing, ŷ_0 = h whatever t and noise: the loss is the prior's
    own.
    """
    torch.manual_seed(0)
    model, batch = build(SMALL, Shape(K, L, H, 6)), windows()
    torch.testing.assert_close(model.loss(batch), model.prior.loss(batch))


def test_prior_kept_gets_no_gradient_from_the_network() -> None:
    model, batch = diffusion_model(), windows()
    model.loss(batch).backward()
    assert model.prior.layer.weight.grad is None
    joint = diffusion_model(changed(prior_training="joint"))
    joint.loss(batch).backward()
    assert joint.prior.layer.weight.grad is not None


DDPM = {"name": "ddpm", "steps": 10}
ONE_STEP = {"s": 2.0, "steps": 1, "point_steps": 1}
RESIDUAL = {
    "coordinates": "residual",
    "prior": {"name": "residual-copula"},
    "prior_training": "first",
    "predicts": "innovation",
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 25}, "model.label: 25 is more than the lookback"),
        (
            {"sampler": {"steps": 11, "point_steps": 1}},
            "model.sampler.steps: the number of steps lies between 1 and 10, not 11",
        ),
        (
            {"sampler": {"steps": 1, "point_steps": 11}},
            "model.sampler.point_steps: the number of steps lies between",
        ),
        (
            {"sampler": {"steps": [10, 3, 3], "point_steps": 1}},
            "model.sampler.steps: the steps fall from 10",
        ),
        (
            {"schedule": DDPM | {"steps": 2000, "last": 0.9}},
            "model.schedule: nothing is left of the data",
        ),
        ({"schedule": DDPM, "predicts": "data", "given_prior": False}, "make no use of it"),
        (
            {"condition": {"name": "history"}, "label": 0, "network": {"name": "perceptron"}},
            "this network sees one time at a time",
        ),
        (
            {"condition": {"name": "mixup"}, "objective": {"name": "samples"}},
            "mixup needs the future",
        ),
        ({"predicts": "noise"}, "noise cannot be turned into data"),
        ({"prior": None}, "this schedule ends at the prior"),
        ({"prior": None, "schedule": DDPM}, "without a prior there is none to see or to correct"),
        ({"prior": {"name": "residual-bootstrap"}, "prior_training": "joint"}, "set it to first"),
        ({"prior": {"name": "seasonal-naive"}}, "seasonal naive gives no label"),
        (
            {
                "condition": None,
                "prior": None,
                "schedule": DDPM,
                "given_prior": False,
                "predicts": "data",
            },
            "nothing is known of the history",
        ),
        ({"condition": {"name": "history"}}, "model.label: a network that is given the history"),
        ({"objective": {"name": "samples"}, "sampler": ONE_STEP}, "all draws would be the same"),
        ({"network": {"name": "residual", "heads": 3}}, "heads 3 has to divide channels 8"),
        (
            {"condition": {"name": "mixup"}, "objective": {"name": "path", "noise_free": 0.5}},
            "mixup would show the future",
        ),
        (
            {
                "schedule": DDPM,
                "predicts": "noise",
                "objective": {"name": "path", "noise_free": 0.5},
            },
            "noise is not what leads from the model's own forecast",
        ),
        ({"coordinates": "residual"}, "residual needs a prior that knows the distribution"),
        (
            {"coordinates": "residual", "prior": None, "schedule": DDPM},
            "residual needs a prior that knows the distribution",
        ),
        (RESIDUAL | {"prior_training": "joint"}, "residuals are known once the prior is trained"),
        (RESIDUAL | {"condition": {"name": "mixup"}}, "mixup mixes in the series itself"),
        (
            RESIDUAL | {"objective": {"name": "samples"}, "sampler": ONE_STEP | {"s": 0.0}},
            "all draws would be the same",
        ),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises((UserError, ValidationError), match=message):
        build(changed(**change), Shape(K, L, H, 6))


COMBINATIONS = {
    "bridge, S4 layers": {"network": {"name": "residual", "time": "s4", "layers": 1}},
    "bridge from a transformer": {"prior": {"name": "transformer", "patch": 6}},
    "bridge from drawn residuals": {"prior": {"name": "residual-bootstrap"}, "sampler": ONE_STEP},
    "bridge in the residual's coordinates": RESIDUAL,
    "the same with a label": RESIDUAL | {"label": 6},
    "noise in the residual's coordinates": RESIDUAL | {"schedule": DDPM, "predicts": "noise"},
    "trained on its samples": {"objective": {"name": "samples"}, "network": {"name": "mixer"}},
    "noise pulled to the prior": {"schedule": DDPM | {"pull_to_prior": True}, "predicts": "noise"},
    "cosine, no prior": {
        "schedule": DDPM | {"betas": "cosine"},
        "prior": None,
        "given_prior": False,
        "predicts": "data",
    },
    "mixup, convolutions": {"condition": {"name": "mixup"}, "network": {"name": "convolution"}},
    "no condition": {"condition": None, "given_prior": True},
    "history": {
        "condition": {"name": "history", "steps": 12},
        "label": 0,
        "network": {"name": "residual", "layers": 1},
    },
    "steps of one's own": {"sampler": {"s": 1.0, "steps": [10, 6, 5, 1], "point_steps": [10, 1]}},
}


@pytest.mark.parametrize("name", COMBINATIONS)
def test_parts_combine_freely(name: str) -> None:
    """Any of them learns, and gives both kinds of forecast from the same weights, one sample not
    like the other.
    """
    config, batch = changed(**COMBINATIONS[name]), windows()
    model = build(config, Shape(K, L, H, 6))
    for stage in model.stages():
        stage.calibrate(stretch(), stretch(2))
    model.loss(batch).backward()
    trained = [
        p for n, p in model.named_parameters() if p.grad is not None and n.startswith("denoiser")
    ]
    assert any(p.grad.abs().max() > 0 for p in trained)
    model = model.eval()
    with torch.no_grad():
        torch.nn.init.normal_(
            model.denoiser.network.output.weight
        )  # away from its start, which says nothing
        assert torch.equal(model.predict(batch), model.predict(batch))
        drawn = model.sample(batch, Draws(4, [1, 2, 3, 4]))
        assert torch.equal(drawn, model.sample(batch, Draws(4, [1, 2, 3, 4])))
        assert torch.equal(model.score(batch), model.score(batch))
    assert drawn.shape == (B, 4, K, H)
    assert drawn.std(1).amax((1, 2)).amin() > 0


def test_score_of_samples_is_lowest_for_the_true_distribution() -> None:
    """Proper: draws of the data's own law beat a shifted, a too wide, a too narrow and a wrongly
    joined one.
    """
    torch.manual_seed(0)
    rows = 4000

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, 1, H) + 0.5 * torch.randn(
            *shape, K, H
        )  # the channels move together

    truth, mask = draw(rows), torch.ones(rows, K, H)
    own = draw(rows, 4)
    best = sample_score(own, truth, mask)
    alone = torch.randn(rows, 4, K, H) * 1.25**0.5  # the right marginals, the channels apart
    for wrong in (own + 0.3, own * 1.5, own * 0.6, alone):
        assert sample_score(wrong, truth, mask) > best
    assert sample_score(own, truth, mask, ranked=own.sort(dim=1).values) == best


def test_average_is_the_mean_of_its_members() -> None:
    model, batch = build(AverageConfig(), Shape(K, L, H, 6)), windows()
    members = [member.predict(batch) for member in model.stages()]
    assert len(members) == 2
    torch.testing.assert_close(model.predict(batch), (members[0] + members[1]) / 2)


def test_transformer_reads_the_newest_values() -> None:
    torch.manual_seed(0)
    model, batch = (
        build(TransformerConfig(patch=7, stride=4, norm="none"), Shape(K, L, H, 6)).eval(),
        windows(),
    )
    past = batch.past.clone()
    past[..., -1] += 1
    assert (
        model.predict(Batch(past, *(getattr(batch, n) for n in FIELDS[1:]))) != model.predict(batch)
    ).any()


def test_steps_outside_the_chain_are_refused() -> None:
    with pytest.raises(UserError, match="between 1 and the model's 10"):
        diffusion_model().check_steps(11)
    with pytest.raises(UserError, match="does not sample in steps"):
        Linear(LinearConfig(), Shape(K, L, H, 6)).check_steps(3)


def test_a_path_without_noise_is_a_point_forecast() -> None:
    """The bridge out of one h draws its noise on the way, so not in one step, nor with s = 0."""
    model = build(changed(sampler={"s": 1.0, "steps": 4, "point_steps": 1}), Shape(K, L, H, 6))
    assert model.distribution == "samples"
    assert [model.has_spread(steps) for steps in (None, 2, 1)] == [True, True, False]
    for sampler in (
        {"s": 0.0, "steps": 4, "point_steps": 1},
        {"s": 1.0, "steps": [10], "point_steps": 1},
    ):
        assert build(changed(sampler=sampler), Shape(K, L, H, 6)).distribution == "none"
    samples = model.sample(windows(), Draws(3, [0, 1, 2, 3], 1))
    assert torch.equal(samples[:, 0], samples[:, 1])
    drawn = build(changed(**COMBINATIONS["bridge from drawn residuals"]), Shape(K, L, H, 6))
    assert drawn.has_spread(1)
