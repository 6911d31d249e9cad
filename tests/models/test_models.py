"""The forecasters on constructed windows."""

import pytest
import torch

from forecaster.config import LinearConfig, QuantileLinearConfig, ResidualBootstrapConfig, S2DBMConfig
from forecaster.data.windows import Batch
from forecaster.errors import UserError
from forecaster.models import Draws, build_model, empty_future
from forecaster.models.linear import Linear, QuantileLinear
from forecaster.models.naive import ResidualBootstrap, SeasonalNaive
from forecaster.models.s2dbm import S2DBM

B, K, L, H = 4, 3, 24, 6
SMALL = S2DBMConfig.model_validate(
    {"diffusion_steps": 10, "label": 5, "steps": 4, "point_steps": 3, "norm": "standard", "predicts": "correction",
     "prior": "first", "network": {"layers": 2, "step_embedding": 16, "time_embedding": 16}}
)  # fmt: skip


def windows(seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    past, future = torch.randn(B, K, L, generator=generator), torch.randn(B, K, H, generator=generator)
    return Batch(past, torch.ones_like(past), future, torch.ones_like(future), torch.arange(B))


def bridge_model(config: S2DBMConfig = SMALL) -> S2DBM:
    torch.manual_seed(0)
    model = S2DBM(config, K, L, H).eval()
    for parameter in model.parameters():  # away from the zero start, so that the network has a say
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def take(batch: Batch, rows: list[int]) -> Batch:
    return Batch(*(getattr(batch, name)[rows] for name in ("past", "past_mask", "future", "future_mask", "index")))


def test_seasonal_naive_repeats_the_last_season() -> None:
    past = torch.arange(float(L)).expand(1, 1, L)
    batch = empty_future(past, torch.ones_like(past), 7)
    assert SeasonalNaive(5, 7).point(batch)[0, 0].tolist() == [19, 20, 21, 22, 23, 19, 20]
    mask = torch.ones_like(past).clone()
    mask[..., [19, 21]] = 0  # one season further back is known
    assert SeasonalNaive(5, 7).point(empty_future(past, mask, 7))[0, 0].tolist() == [14, 20, 16, 22, 23, 14, 20]
    assert SeasonalNaive(100, 3).point(empty_future(past, mask, 3))[0, 0].tolist() == [23, 23, 23]


@pytest.mark.parametrize("norm", ["last", "mean", "standard"])
def test_normalised_linear_layer_moves_with_the_level(norm: str) -> None:
    model, batch = Linear(LinearConfig(norm=norm), L, H), windows()
    lifted = Batch(batch.past + 7, batch.past_mask, batch.future, batch.future_mask, batch.index)
    torch.testing.assert_close(model.point(lifted), model.point(batch) + 7)
    if norm == "standard":
        wide = Batch(batch.past * 10, batch.past_mask, batch.future, batch.future_mask, batch.index)
        torch.testing.assert_close(model.point(wide), model.point(batch) * 10, rtol=1e-4, atol=1e-4)


def test_linear_without_norm_is_one_layer() -> None:
    model, batch = Linear(LinearConfig(norm="none"), L, H), windows()
    torch.testing.assert_close(model.point(batch), batch.past @ model.layer.weight.T + model.layer.bias)


def test_quantiles_do_not_cross_and_interpolate() -> None:
    torch.manual_seed(0)
    model, batch = QuantileLinear(QuantileLinearConfig(), L, H), windows()
    found = model.quantiles(batch, [0.01, 0.05, 0.075, 0.1, 0.5, 0.99])
    assert (found.diff(dim=1) >= 0).all()
    torch.testing.assert_close(found[:, 2], (found[:, 1] + found[:, 3]) / 2)
    with pytest.raises(UserError, match=r"0\.001 lies outside"):
        model.quantiles(batch, [0.001])


def test_draws_of_a_quantile_model_follow_its_quantiles() -> None:
    torch.manual_seed(0)
    model, batch = QuantileLinear(QuantileLinearConfig(), L, H), take(windows(), [0])
    drawn = model.samples(batch, Draws(20_000, [7]))
    levels = [0.05, 0.25, 0.5, 0.9]
    found = drawn[0].quantile(torch.tensor(levels), dim=0)
    torch.testing.assert_close(found, model.quantiles(batch, levels)[0], atol=0.06, rtol=0)
    together = torch.corrcoef(drawn[0, :, 0].T) - torch.eye(H)
    assert together.abs().max() < 0.03  # it knows marginals only


def test_bootstrap_adds_whole_paths_of_residuals() -> None:
    config = ResidualBootstrapConfig.model_validate({"base": {"name": "seasonal-naive"}})
    model = ResidualBootstrap(config, SeasonalNaive(3, H), K, H)
    seen, batch = windows(1), windows(2)
    model.finish([], [seen])
    residuals = seen.future - SeasonalNaive(3, H).point(seen)
    torch.testing.assert_close(model.residuals, residuals)
    drawn = model.samples(batch, Draws(50, [1, 2, 3, 4])) - model.point(batch)[:, None]
    distance = (drawn[:, :, None] - residuals).abs().amax(dim=(3, 4))
    assert (distance.amin(2) < 1e-5).all()
    assert len(distance.argmin(2)[0].unique()) == B


def test_bootstrap_takes_a_missing_residual_from_the_nearest_path() -> None:
    model = ResidualBootstrap(ResidualBootstrapConfig(), SeasonalNaive(3, H), K, H)
    seen = windows(1)
    mask = seen.future_mask.clone()
    mask[1, 0, 2] = mask[0, 1, 1] = 0
    model.finish([], [Batch(seen.past, seen.past_mask, seen.future, mask, seen.index)])
    residuals = seen.future - SeasonalNaive(3, H).point(seen)
    assert model.residuals[1, 0, 2] == residuals[0, 0, 2]
    assert model.residuals[0, 1, 1] == residuals[1, 1, 1]


def test_bridge_starts_at_its_prior() -> None:
    torch.manual_seed(0)
    model, batch = S2DBM(SMALL, K, L, H).eval(), windows()
    torch.testing.assert_close(model.point(batch), model.prior.point(batch))


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_point_forecast_is_bit_for_bit_the_same_and_draws_nothing(steps: int) -> None:
    model, batch = bridge_model(), windows()
    state = torch.get_rng_state()
    first, second = model.point(batch, steps), model.point(batch, steps)
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_samples_depend_on_the_windows_seed_alone() -> None:
    model, batch, seeds = bridge_model(), windows(), [11, 22, 33, 44]
    whole = model.samples(batch, Draws(5, seeds))
    turned = model.samples(take(batch, [3, 1, 0, 2]), Draws(5, [44, 22, 11, 33]))
    torch.testing.assert_close(turned, whole[[3, 1, 0, 2]], rtol=1e-4, atol=1e-5)
    chunked = model.samples(batch, Draws(5, seeds, budget=1))  # one sample of one window a call
    torch.testing.assert_close(chunked, whole, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(whole, model.samples(batch, Draws(5, [1, 2, 3, 4])))
    assert whole.std(1).min() > 0


def test_without_noise_samples_are_the_point_forecast() -> None:
    model, batch = bridge_model(SMALL.model_copy(update={"s": 0.0})), windows()
    drawn = model.samples(batch, Draws(3, [1, 2, 3, 4], steps=3))
    torch.testing.assert_close(drawn, model.point(batch, 3)[:, None].expand_as(drawn), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["s2dbm", "linear", "quantile-linear"])
def test_what_is_missing_has_no_say(name: str) -> None:
    """Values under a zero mask may be anything: loss, point forecast and samples stay as they are."""
    config = {"s2dbm": SMALL, "linear": LinearConfig(norm="standard"), "quantile-linear": QuantileLinearConfig()}[name]
    torch.manual_seed(0)
    model, batch = build_model(config, K, L, H, 6).eval(), windows()
    past_mask, future_mask = batch.past_mask.clone(), batch.future_mask.clone()
    past_mask[0, 1, 3:9] = past_mask[2, 0, -4:] = future_mask[1, 2, 2:] = 0
    results = []
    for filler in (0.0, 1e3):
        past = torch.where(past_mask > 0, batch.past, filler)
        future = torch.where(future_mask > 0, batch.future, filler)
        seen = Batch(past, past_mask, future, future_mask, batch.index)
        torch.manual_seed(5)
        results.append((model.loss(seen), model.point(seen)))
    torch.testing.assert_close(results[0], results[1])
    assert results[0][0].isfinite()


def test_loss_is_the_absolute_error_of_the_data_prediction() -> None:
    """With a network that outputs nothing, ŷ_0 = h whatever t and noise: the loss is the prior's own."""
    torch.manual_seed(0)
    model, batch = S2DBM(SMALL, K, L, H), windows()
    torch.testing.assert_close(model.loss(batch), model.prior.loss(batch))


def test_prior_kept_gets_no_gradient_from_the_network() -> None:
    model, batch = bridge_model(), windows()
    model.loss(batch).backward()
    assert model.prior.layer.weight.grad is None
    joint = bridge_model(SMALL.model_copy(update={"prior": "joint"}))
    joint.loss(batch).backward()
    assert joint.prior.layer.weight.grad is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [({"label": 25}, "model.label"), ({"steps": 11}, "model.steps"), ({"point_steps": 11}, "model.point_steps")],
)
def test_impossible_settings_are_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        S2DBM(SMALL.model_copy(update=change), K, L, H)


def test_steps_outside_the_chain_are_refused() -> None:
    with pytest.raises(UserError, match="between 1 and the model's 10"):
        bridge_model().check_steps(11)
    with pytest.raises(UserError, match="does not sample in steps"):
        Linear(LinearConfig(), L, H).check_steps(3)
