"""State-space forecasters: streaming is reading everything, at any rate; what their outputs
mean.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from forecaster.config.parts import build
from forecaster.data.encoding import Sizes
from forecaster.data.windows import Batch, BatchCovariates
from forecaster.delta.layer import DeltaOptions
from forecaster.diffusion.drawing import Draws
from forecaster.errors import UserError
from forecaster.models.base import Shape, Streamable, empty_future
from forecaster.models.bootstrap.forecaster import ResidualBootstrapConfig
from forecaster.models.diffusion.config import DiffusionConfig
from forecaster.models.linear import LinearConfig
from forecaster.models.state_space import StateSpace
from forecaster.models.state_space.config import StateSpaceConfig
from forecaster.networks import running_norm

B, K, L, H = 3, 2, 40, 12
LAYERS: dict[str, dict[str, object]] = {
    **{name: {"layer": name} for name in ("lssl", "lssl-fixed", "s4", "s4d", "s5")},
    **{name: {"layer": name} for name in ("s4-ptd", "s5-ptd")},
    "deltanet": {"layer": "delta"},
    "gated_deltanet": {"layer": "delta", "delta": {"gate": True, "beta": 2}},
    "deltaproduct": {"layer": "delta", "delta": {"steps": 2, "beta": 2}},
}


def make(dtype: torch.dtype = torch.float32, **settings: object) -> StateSpace:
    torch.manual_seed(0)
    config = StateSpaceConfig.model_validate({"layer": "s4d", "width": 6, "state": 8, **settings})
    model = build(config, Shape(K, L, H, 6)).to(dtype).eval()
    assert isinstance(model, StateSpace)
    return model


def windows(length: int = L, dtype: torch.dtype = torch.float32) -> Batch:
    """Noise around levels that drift apart, with holes."""
    generator = torch.Generator().manual_seed(1)
    past = torch.randn(B, K, length, generator=generator, dtype=dtype) + torch.arange(length) / 10
    mask = (torch.rand(B, K, length, generator=generator) > 0.2).to(dtype)
    future = torch.randn(B, K, H, generator=generator, dtype=dtype)
    return Batch(
        past * mask,
        mask,
        future,
        torch.ones_like(future),
        torch.arange(B),
        torch.arange(B),
        torch.zeros(B, dtype=torch.int64),
    )


def until(batch: Batch, end: int, begin: int = 0) -> Batch:
    """The batch with a part of its histories, and what is known from there to a horizon ahead."""
    rows, given = slice(begin, end), batch.covariates
    if given is not None:
        steps = slice(begin, end + H)
        given = replace(
            given,
            known=given.known[..., steps],
            past=given.past[..., rows],
            own=given.own[..., steps],
        )
    past, mask = batch.past[..., rows], batch.past_mask[..., rows]
    return replace(batch, past=past, past_mask=mask, covariates=given)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-4), (torch.float64, 1e-9)])
@torch.no_grad()
def test_streaming_is_reading_the_whole_history(
    layer: str, dtype: torch.dtype, near: float
) -> None:
    model, batch = make(dtype, **LAYERS[layer]), windows(3 * L, dtype)
    live = model.stream(until(batch, L))
    for k in range(L, 3 * L):
        live.update(until(batch, k + 1))
    nothing = empty_future(batch.past[..., :1], batch.past_mask[..., :1], H, batch.time)
    torch.testing.assert_close(live.predict(nothing), model.predict(batch), rtol=near, atol=near)


@pytest.mark.parametrize("layer", ["s4d", "gated_deltanet"])
@torch.no_grad()
def test_effects_of_covariates_stream_too(layer: str) -> None:
    """As read in one go by the same weights with a longer lookback, whose older rows have none of
    the effects of past covariates.
    """
    sizes = Sizes(known=3, past=2, static=2, own=K)
    shapes = Shape(K, L, H, 6, covariates=sizes), Shape(K, 3 * L, H, 6, covariates=sizes)
    torch.manual_seed(0)
    config = StateSpaceConfig.model_validate({"width": 6, "state": 8, **LAYERS[layer]})
    model, whole = (build(config, shape).double().eval() for shape in shapes)
    for weight in model.parameters():
        weight.add_(0.3 * torch.randn_like(weight))
    weights = model.state_dict()
    name = "adjustment.effects.over_time.weight"
    weights[name] = torch.nn.functional.pad(weights[name], (2 * L, 0))
    whole.load_state_dict(weights)
    whole.decay = model.decay
    batch = windows(3 * L, torch.float64)
    given = BatchCovariates(
        torch.randn(B, 3, 3 * L + H).double(),
        torch.randn(B, 2, 3 * L).double(),
        torch.randn(B, 2).double(),
        torch.randn(B, K, 3 * L + H).double(),
    )
    batch = replace(batch, covariates=given)
    live = model.stream(until(batch, L))
    for end in range(L + 1, 3 * L + 1):
        live.update(until(batch, end, end - L))
    found = live.predict(until(batch, 3 * L, 2 * L))
    torch.testing.assert_close(found, whole.predict(batch), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mix", [False, True])
@pytest.mark.parametrize("split", [1, 17, L - 1])
@pytest.mark.parametrize("layer", ["s4d", "gated_deltanet"])
@torch.no_grad()
def test_a_split_anywhere_gives_the_same(layer: str, mix: bool, split: int) -> None:
    model, batch = make(torch.float64, mix=mix, **LAYERS[layer]), windows(dtype=torch.float64)
    memory = None
    for part in (slice(0, split), slice(split, L)):
        memory = model.read(batch.past[..., part], batch.past_mask[..., part], memory)
    found = model.head.predict(model.emit(memory.features, memory.window_scale))
    torch.testing.assert_close(found, model.predict(batch), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("layer", ["s4d", "deltaproduct"])
@torch.no_grad()
def test_memory_does_not_grow(layer: str) -> None:
    model, batch = make(**LAYERS[layer]), windows(3 * L)
    sizes = [
        [tuple(t.shape) for t in (*memory.states, memory.features, memory.moments)]
        for memory in (
            model.read(batch.past[..., :n], batch.past_mask[..., :n]) for n in (1, 3 * L)
        )
    ]
    assert sizes[0] == sizes[1]


def test_running_moments_are_those_of_a_loop() -> None:
    batch, decay = windows(), 0.9
    found = running_norm.run(batch.past, batch.past_mask, decay, running_norm.at_rest(batch.past))
    level, scale = running_norm.level_scale(found, batch.past.double())
    x, m = batch.past[1, 0].double().numpy(), batch.past_mask[1, 0].numpy()
    for t in (0, 5, L - 1):
        weight = m[: t + 1] * decay ** np.arange(t, -1, -1)
        if weight.sum() == 0:
            continue
        mean = np.average(x[: t + 1], weights=weight)
        variance = np.average((x[: t + 1] - mean) ** 2, weights=weight)
        assert float(level[1, 0, t]) == pytest.approx(mean, rel=1e-9, abs=1e-9)
        assert float(scale[1, 0, t]) == pytest.approx((variance + 1e-5) ** 0.5, rel=1e-9)
    moments = running_norm.at_rest(batch.past)
    for t in range(L):
        moments = running_norm.step(batch.past[..., t], batch.past_mask[..., t], decay, moments)
        torch.testing.assert_close(moments, found[..., t], rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_forecasts_move_with_level_and_scale() -> None:
    model, batch = make(torch.float64), windows(dtype=torch.float64)
    lifted = Batch(
        (1000 * batch.past + 7) * batch.past_mask,
        batch.past_mask,
        batch.future,
        batch.future_mask,
        batch.index,
        batch.time,
        batch.series,
    )
    torch.testing.assert_close(
        model.predict(lifted), 1000 * model.predict(batch) + 7, rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize(
    "settings",
    [{"output": "quantiles"}, {"output": "student-t"}, {"mix": True}, {"norm": "standard"}],
)
def test_what_is_missing_has_no_say(settings: dict[str, object]) -> None:
    model, batch = make(**settings), windows()
    future_mask = batch.future_mask.clone()
    future_mask[1, 1, 3:] = 0
    results = []
    for filler in (0.0, 1e3):
        past = torch.where(batch.past_mask > 0, batch.past, filler)
        future = torch.where(future_mask > 0, batch.future, filler)
        seen = Batch(
            past, batch.past_mask, future, future_mask, batch.index, batch.time, batch.series
        )
        results.append((model.loss(seen), model.predict(seen)))
    torch.testing.assert_close(results[0], results[1])
    assert results[0][0].isfinite()


@torch.no_grad()
def test_a_history_without_a_value_is_no_obstacle() -> None:
    model = make()
    empty = torch.zeros(1, K, L)
    assert (
        model.predict(empty_future(empty, empty, H, torch.zeros(1, dtype=torch.int64)))
        .isfinite()
        .all()
    )


@torch.no_grad()
def test_quantiles_do_not_cross_and_the_median_is_the_point() -> None:
    model, batch = make(output="quantiles"), windows()
    torch.nn.init.normal_(model.out[-1].bias, std=3.0)  # raw quantiles in disorder
    found = model.quantiles(batch, [0.01, 0.05, 0.3, 0.5, 0.975])
    assert (found.diff(dim=1) >= 0).all()
    torch.testing.assert_close(found[:, 3], model.predict(batch))
    assert model.sample(batch, Draws(7, [1, 2, 3])).shape == (B, 7, K, H)


@torch.no_grad()
def test_student_t_samples_have_its_quantiles() -> None:
    model, batch = make(output="student-t"), windows()
    loc, scale, df = (
        each[0].double().numpy() for each in model._head_parameters(batch)[0].unbind(1)
    )
    drawn = model.sample(batch, Draws(20_000, [1, 2, 3]))[0].numpy()
    for level in (0.05, 0.5, 0.9):
        expected = stats.t.ppf(level, df, loc, scale)
        assert np.abs(np.quantile(drawn, level, axis=0) - expected).max() < 0.1 * scale.max()
    loss = -stats.t.logpdf(batch.future[0].numpy(), df, loc, scale)
    one = Batch(
        *(
            getattr(batch, n)[:1]
            for n in ("past", "past_mask", "future", "future_mask", "index", "time", "series")
        )
    )
    assert float(model.loss(one)) == pytest.approx(loss.mean(), rel=1e-5)


@torch.no_grad()
def test_a_distribution_streams_too() -> None:
    for output, layer in (("quantiles", "s4d"), ("student-t", "s4d"), ("quantiles", "deltanet")):
        model, batch = (
            make(torch.float64, output=output, **LAYERS[layer]),
            windows(dtype=torch.float64),
        )
        live = model.stream(until(batch, L - 1))
        live.update(batch)
        draws = Draws(5, [1, 2, 3])
        torch.testing.assert_close(
            live.sample(batch, draws), model.sample(batch, draws), rtol=1e-9, atol=1e-9
        )
        if output == "quantiles":
            torch.testing.assert_close(
                live.quantiles(batch, [0.2]), model.quantiles(batch, [0.2]), rtol=1e-9, atol=1e-9
            )


@pytest.mark.parametrize("layer", ["lssl", "s4", "s4d", "s5"])
@torch.no_grad()
def test_a_coarser_sampling_needs_a_longer_step_only(layer: str) -> None:
    """A slow signal read at every row, and at every second one with rate 2: the same forecast for
    the same times.
    """
    model = make(torch.float64, layer=layer, dt_min=1e-3, dt_max=1e-2)
    times = torch.arange(400, dtype=torch.float64)
    wave = torch.sin(times / 30).expand(1, 1, -1).expand(1, K, -1)
    fine = model.predict(
        empty_future(wave, torch.ones_like(wave), H, torch.zeros(1, dtype=torch.int64))
    )
    coarse = wave[..., 1::2]
    batch = empty_future(coarse, torch.ones_like(coarse), H, torch.zeros(1, dtype=torch.int64))
    unscaled = model.predict(batch)[..., : H // 2]
    model.resample(2)
    found = model.predict(batch)
    assert found.shape == (1, K, H)
    torch.testing.assert_close(found[..., : H // 2], fine[..., 1::2], rtol=0.05, atol=0.05)
    right, wrong = (
        (each - fine[..., 1::2]).abs().max() for each in (found[..., : H // 2], unscaled)
    )
    assert right < wrong / 2
    first, second = model.read(coarse, torch.ones_like(coarse)), found[..., : H // 2]
    again = model.roll(model.read(second, torch.ones_like(second), first))
    torch.testing.assert_close(found[..., H // 2 :], again[..., : H // 2], rtol=1e-9, atol=1e-9)


def test_what_cannot_be_is_refused() -> None:
    standard, batch = make(norm="standard"), windows()
    for use in (lambda: standard.stream(batch), lambda: standard.resample(2)):
        with pytest.raises(UserError, match="norm standard needs the whole window"):
            use()
    with pytest.raises(UserError, match="more than the horizon of 12"):
        make().resample(13)
    with pytest.raises(UserError, match=r"the delta rule has no step size; train .* such as s4d"):
        make(layer="delta").resample(2)
    with pytest.raises(ValueError, match="delta holds options of layer delta alone"):
        StateSpaceConfig(layer="s4d", delta=DeltaOptions(gate=True))
    with pytest.raises(ValueError, match=r"delta\.heads 5 has to divide width 32; change one of"):
        StateSpaceConfig(layer="delta", delta=DeltaOptions(heads=5))
    assert isinstance(standard, Streamable)
    assert not isinstance(build(LinearConfig(), Shape(K, L, H, 6)), Streamable)
    quantiles = StateSpaceConfig(output="quantiles")
    with pytest.raises(
        UserError, match=r"model\.base\.output: quantiles cannot be built on; set it to point"
    ):
        build(ResidualBootstrapConfig(base=quantiles), Shape(K, L, H, 6))
    with pytest.raises(UserError, match=r"model\.prior\.output"):
        build(DiffusionConfig(prior=quantiles, label=0), Shape(K, L, H, 6))


@pytest.mark.parametrize("layer", ["s4d", "gated_deltanet"])
def test_it_can_be_a_prior_with_a_label(layer: str) -> None:
    prior = {"name": "state-space", "width": 4, "state": 4, **LAYERS[layer]}
    config = DiffusionConfig.model_validate({"prior": prior, "label": 5})
    model, batch = build(config, Shape(K, L, H, 6)), windows()
    assert model.prior.predict_with_label(batch).shape == (B, K, 5 + H)
    model.loss(batch).backward()
    assert model.prior.stack.embed.weight.grad is not None
