"""What the diffusion forecaster draws, and what its training error is made of."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from scipy import stats
from torch import Tensor

from forecaster.config.parts import build
from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws, WindowNoise, draw_in_chunks
from forecaster.models.base import Forecaster, Shape
from forecaster.models.diffusion.config import DiffusionConfig
from forecaster.models.scoring_rules import sample_score

B, K, L, H, P, T = 3, 2, 16, 6, 2, 12
GRID = [12, 9, 6, 3, 0]


def made(**changes: object) -> Forecaster:
    """A small bridge from a straight line; its network says nothing yet."""
    settings = {
        "schedule": {"name": "bridge", "steps": T},
        "prior": {"name": "linear", "norm": "standard", "loss": "l1"},
        "prior_training": "first",
        "given_prior": True,
        "network": {"name": "residual", "layers": 1, "channels": 4, "heads": 2},
        "predicts": "correction",
        "label": P,
        "norm": "standard",
        "sampler": {"s": 1.0, "steps": 4, "point_steps": 3},
    }
    torch.manual_seed(0)
    config = DiffusionConfig.model_validate(settings | changes)
    return build(config, Shape(K, L, H, 6)).eval()


def talkative(model: Forecaster) -> Forecaster:
    """The same with a network whose output depends on all that it sees."""
    for parameter in model.denoiser.network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def batch(count: int = B) -> Batch:
    past, future = torch.randn(count, K, L), torch.randn(count, K, H)
    masks, numbers = (torch.ones_like(past), torch.ones_like(future)), torch.arange(count)
    return Batch(past, masks[0], future, masks[1], numbers, 100 * numbers, 0 * numbers)


def with_holes(seen: Batch) -> Batch:
    past_mask, future_mask = seen.past_mask.clone(), seen.future_mask.clone()
    past_mask[0, 1, 3:9] = past_mask[2, 0, -1] = 0  # the last one is in the label
    future_mask[1, 1, 2:] = future_mask[0, :, 0] = 0
    return replace(seen, past_mask=past_mask, future_mask=future_mask)


def filled(seen: Batch, filler: float) -> Batch:
    """Any values under the masks."""
    past = torch.where(seen.past_mask > 0, seen.past, filler)
    return replace(seen, past=past, future=torch.where(seen.future_mask > 0, seen.future, filler))


def draws_of_the_walk(
    model: Forecaster, seen: Batch, draws: Draws, monkeypatch: pytest.MonkeyPatch
) -> torch.Tensor:
    """The noise z of each step of a walk to 0, (steps, B·S, K, P + H): (y_u − κ·y_t − ζ·h)/σ."""
    met: list[tuple[torch.Tensor, torch.Tensor]] = []

    def nothing(y: torch.Tensor, h: torch.Tensor, given: torch.Tensor, t: torch.Tensor):
        met.append((y, h))
        return torch.zeros_like(y)

    monkeypatch.setattr(model.denoiser, "forward", nothing)
    model.sample(seen, draws)
    steps = len(GRID) - 1
    walked = [torch.cat([y for y, _ in met[i::steps]]) for i in range(steps)]
    h = torch.cat([h for _, h in met[::steps]])
    found = []
    for (t, u), before, after in zip(pairwise(GRID), walked, walked[1:], strict=False):
        kappa, _, zeta, sigma = model.process.coefficients(t, u, 1.0)
        found.append((after - kappa * before - zeta * h) / sigma)
    return torch.stack(found)


@pytest.mark.parametrize("budget", [2**28, 1], ids=["at once", "one by one"])
def test_every_step_sample_and_window_has_standard_normal_noise_of_its_own(
    budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 40
    draws = Draws(count, [7, 8, 2**40 + 7], budget=budget)
    z = draws_of_the_walk(made(), batch(), draws, monkeypatch)
    assert z.shape == (3, B * count, K, P + H)
    assert stats.kstest(z.flatten(), "norm").pvalue > 0.01
    rows = z.unflatten(1, (B, count)).flatten(3)  # (step, window, sample, ·)
    for axis in range(3):  # no two alike, and none a multiple of another
        alone = rows.movedim(axis, 0).flatten(1)
        together = torch.corrcoef(alone) - torch.eye(len(alone))
        assert together.abs().max() < 5 / math.sqrt(alone.shape[1])


def test_what_a_window_draws_does_not_depend_on_how_the_walk_is_cut() -> None:
    """Budgets that cut within windows, between them, and not at all; other windows beside it."""
    model, seen = talkative(made()), batch()
    whole = model.sample(seen, Draws(5, [3, 4, 5]))
    for budget in (1, 10_000, 100_000, 200_000):
        torch.testing.assert_close(
            model.sample(seen, Draws(5, [3, 4, 5], budget=budget)), whole, rtol=1e-4, atol=1e-5
        )
    alone = replace(
        seen, **{name: value[1:2] for name, value in vars(seen).items() if value is not None}
    )
    torch.testing.assert_close(model.sample(alone, Draws(5, [4])), whole[1:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("device", "expected"), [("cpu", [16] * 6 + [4]), ("meta", [64, 36])], ids=["CPU", "another"]
)
def test_a_call_of_the_network_has_the_memory_of_its_device(device, expected) -> None:
    """Fifty samples of two windows, of 4 MiB each: 64 MiB of a CPU, 256 MiB of another device."""
    sizes = []

    def reverse(windows: Tensor, h: Tensor, noise: WindowNoise) -> Tensor:
        sizes.append(len(h))
        return h

    h = torch.zeros(2, 50, 1, 1, device=device)
    draw_in_chunks(Draws(50, [0, 1]), h, 4 * 2**20, reverse)
    assert sizes == expected


@pytest.mark.parametrize("budget", [0, 1, 5, 12])
def test_the_memory_of_a_call_of_the_network_keeps_the_budget(budget: int) -> None:
    """In rows of one window and sample; one row at least."""
    model, seen, rows = made(), batch(), []
    model.denoiser.register_forward_pre_hook(lambda module, given: rows.append(len(given[0])))
    positions = model.condition.length
    bytes_a_row = 4 * model.denoiser.network.memory * K * positions
    model.sample(seen, Draws(4, [1, 2, 3], budget=budget * bytes_a_row))
    largest = max(budget, 1)
    assert max(rows) == min(largest, 4 * B)
    assert len(rows) == 4 * -(-4 * B // largest)  # four steps a chunk


def steps_met(model: Forecaster, seen: Batch) -> list[int]:
    """At which t each window's error was taken."""
    met: list[int] = []
    hook = model.denoiser.network.register_forward_pre_hook(
        lambda module, given: met.extend(given[1].tolist())
    )
    model.score(seen)
    hook.remove()
    return met


def test_the_score_visits_the_steps_of_both_samplers_and_all_alike() -> None:
    """Four steps are 12, 9, 6, 3 and three are 12, 8, 4; at 0 there is nothing to be predicted."""
    met = steps_met(made(), batch(14))
    assert sorted(met) == sorted(2 * [12, 9, 6, 3, 12, 8, 4])
    own = {"s": 1.0, "steps": [12, 5], "point_steps": [12, 11]}
    assert sorted(steps_met(made(sampler=own), batch(4))) == [5, 11, 12, 12]


def test_the_loss_visits_every_step_but_0() -> None:
    model, met = made(), []
    model.denoiser.network.register_forward_pre_hook(
        lambda module, given: met.extend(given[1].tolist())
    )
    model.loss(batch(400))
    assert set(met) == set(range(1, T + 1))


@pytest.mark.parametrize("what", ["loss", "score"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"predicts": "data", "network": {"name": "mixer"}},
        {"condition": {"name": "mixup"}, "network": {"name": "convolution"}},
        {"objective": {"name": "samples", "point": 1.0}},
        {"objective": {"name": "path", "noise_free": 0.9, "select_by": "point"}},
    ],
    ids=["correction", "data", "mixup", "samples", "walk"],
)
def test_what_stands_under_the_mask_has_no_say(what: str, changes: dict) -> None:
    """Not in the path that the network reads, nor in its condition, nor in the error."""
    model, seen, found = talkative(made(**changes)), with_holes(batch()), []
    for filler in (0.0, 50.0):
        torch.manual_seed(1)
        found.append(getattr(model, what)(filled(seen, filler)))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("kind", ["l1", "mse"])
def test_the_error_is_the_mean_over_what_is_observed(kind: str) -> None:
    """A network that says nothing leaves the prior's own error, in z-scores."""
    model, seen = made(objective={"name": "path", "loss": kind}), with_holes(batch())
    target = torch.cat([seen.past[..., -P:], seen.future], 2)
    mask = torch.cat([seen.past_mask[..., -P:], seen.future_mask], 2) > 0
    error = (target - model.prior.predict_with_label(seen)).abs()[mask]
    expected = error.mean() if kind == "l1" else (error**2).mean()
    torch.testing.assert_close(model.loss(seen), expected)
    torch.testing.assert_close(model.score(seen), expected)


def test_the_scores_of_samples_select_the_epoch_if_asked_to() -> None:
    model = talkative(made(objective={"name": "path", "loss": "mse", "select_by": "samples"}))
    paths = model.reverse_samples(seen := batch(), Draws(16, seen.index.tolist()))
    target = torch.cat([seen.past[..., -P:], seen.future], 2)
    expected = sample_score(paths, target, torch.ones_like(target))
    torch.testing.assert_close(model.score(seen), expected)


def calls(model: Forecaster, seen: Batch) -> tuple[torch.Tensor, list[tuple[torch.Tensor, ...]]]:
    """A loss, and (y_t, h, given, t) of each call of the denoiser in it."""
    met: list[tuple[torch.Tensor, ...]] = []
    output = model.denoiser.output

    def spied(*given: torch.Tensor) -> torch.Tensor:
        met.append(given)
        return output(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model.denoiser, "output", spied)
        return model.loss(seen), met


def known_future(model: Forecaster, seen: Batch) -> torch.Tensor:
    """y_0 in the window's units."""
    window, _ = model._normalise(seen)
    return window.apply(torch.cat([seen.past[..., -P:], seen.future], 2))


@pytest.mark.parametrize("predicts", ["correction", "data", "innovation"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_share_of_the_paths_is_that_of_the_walk(share: float, predicts: str) -> None:
    """To the model's own forecast, without noise; the others have noise."""
    model = talkative(made(objective={"name": "path", "noise_free": share}, predicts=predicts))
    seen = batch(2000)
    _, met = calls(model, seen)
    y_t, h, given, t = met[-1]
    forecast = model.denoiser(h, h, given, torch.full_like(t, T))
    inside = t < T  # at their end all paths are at h
    noise = [
        (y_t - model.process.mix(end, h, torch.zeros_like(h), t)).abs().amax((1, 2))[inside]
        for end in (forecast, known_future(model, seen))
    ]
    assert float((noise[0] < 1e-3).float().mean()) == pytest.approx(share, abs=0.04)
    assert float(noise[1].min()) > 1e-3


@pytest.mark.parametrize("share", [0.0, 0.99])
@pytest.mark.parametrize("predicts", ["data", "innovation"])
def test_the_error_is_that_of_the_data_wherever_the_path_leads(share: float, predicts: str) -> None:
    model = talkative(made(objective={"name": "path", "noise_free": share}, predicts=predicts))
    seen = batch(50)
    loss, met = calls(model, seen)
    window, _ = model._normalise(seen)
    errors = window.scale * (model.denoiser(*met[-1]) - known_future(model, seen))  # in z-scores
    torch.testing.assert_close(loss, errors.abs().mean())


def test_the_error_of_the_point_forecast_selects_the_epoch_if_asked_to() -> None:
    model = talkative(made(objective={"name": "path", "select_by": "point"}))
    seen = with_holes(batch())
    target = torch.cat([seen.past[..., -P:], seen.future], 2)
    mask = torch.cat([seen.past_mask[..., -P:], seen.future_mask], 2) > 0
    expected = (model.reverse_point(seen) - target).abs()[mask].mean()
    torch.testing.assert_close(model.score(seen), expected)


@pytest.mark.parametrize("steps", [1, 5, T])
def test_an_innovation_of_0_stays_at_the_prior(steps: int) -> None:
    model, seen = made(predicts="innovation"), batch()
    walked = model.reverse_point(seen, steps)
    torch.testing.assert_close(walked, model.prior.predict_with_label(seen))


def test_an_innovation_is_no_draw_in_the_series_own_units() -> None:
    """The residual's size there is not known to be 1: one step out of a pinned end has no spread."""
    model, seen = talkative(made(predicts="innovation")), batch()
    assert not model.has_spread(1)
    paths = model.reverse_samples(seen, Draws(3, [1, 2, 3], steps=1))
    point = model.reverse_point(seen, 1)
    torch.testing.assert_close(paths, point[:, None].expand_as(paths))
