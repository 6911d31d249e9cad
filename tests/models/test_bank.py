"""The bank of residual paths: which may be drawn for a window, how they are scaled, what is stored."""

from dataclasses import replace

import pytest
import torch

from forecaster.config.parts import build
from forecaster.data.windows import Batch, Windows
from forecaster.diffusion.drawing import Draws
from forecaster.errors import UserError
from forecaster.models.base import Forecaster, Shape
from forecaster.models.bootstrap.calibrator import Calibrator, Choices
from forecaster.models.bootstrap.forecaster import ResidualBootstrapConfig
from forecaster.models.diffusion.config import DiffusionConfig

K, L, H, P, SEASON = 2, 16, 4, 3, 6


def noise(rows: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, K, generator=torch.Generator().manual_seed(seed))


def cut(values: torch.Tensor, start: int = 0) -> Windows:
    """All windows of one series with a whole history."""
    return Windows([values.numpy()], [(L, len(values))], L, H, [start])


def everything(windows: Windows) -> Batch:
    return windows[torch.arange(len(windows))]


def bank(
    train: Windows, validation: Windows | None = None, label: int = P, **settings: object
) -> Forecaster:
    """A straight line from the history, and its residuals."""
    base = {"name": "linear", "norm": "none"}
    given = {"base": base, "residuals": "train", "bias": 1.0, **settings}
    torch.manual_seed(0)
    config = ResidualBootstrapConfig.model_validate(given)
    model = build(config, Shape(K, L, H, SEASON, label)).eval()
    model.calibrate(train, cut(noise(60, 9), 1000) if validation is None else validation)
    return model


def errors(model: Forecaster, batch: Batch, label: int = P) -> torch.Tensor:
    """The residual path of each window, label and horizon."""
    target = torch.cat([batch.past[..., L - label :], batch.future], 2)
    return target - model.base.predict_with_label(batch)


def added(model: Forecaster, batch: Batch, count: int = 8) -> torch.Tensor:
    """What the draws add to the base's forecast of the label and the horizon."""
    draws = Draws(count, list(range(len(batch))))
    return model.sample_with_label(batch, draws) - model.base.predict_with_label(batch)[:, None]


@pytest.mark.parametrize("label", [0, P])
def test_a_path_may_be_drawn_where_no_period_is_in_both(label: int) -> None:
    """Label and horizon together: a path that ends where the window's begins is the nearest one."""
    train = cut(noise(60))
    model = bank(train, label=label)
    spans = [set(range(t - label, t + H)) for t in train.times.tolist()]
    expected = [[float(not ours & theirs) for theirs in spans] for ours in spans]
    assert model.bank.eligible(train.times).tolist() == expected


@pytest.mark.parametrize("width", [0, 1, 2])
def test_paths_stand_at_the_window_s_place_in_the_season(width: int) -> None:
    train = cut(noise(90))
    model = bank(train, phase_window=width)
    times = torch.arange(200, 200 + SEASON)  # behind all of training
    for time, allowed in zip(times.tolist(), model.bank.eligible(times).tolist(), strict=True):
        for path, chance in zip(train.times.tolist(), allowed, strict=True):
            apart = min(abs(time - path - SEASON * n) for n in range(80))
            assert chance == float(apart <= width)


def test_any_place_in_the_season_will_do_unless_it_is_asked_for() -> None:
    model = bank(cut(noise(60)))
    assert (model.bank.eligible(torch.arange(200, 210)) == 1).all()


def test_a_rule_that_leaves_no_path_is_given_up_but_not_that_of_overlap() -> None:
    train = cut(noise(L + H + 1))  # two paths, at neighbouring periods
    model = bank(train, phase_window=0)
    first = int(train.times[0])
    found = model.bank.eligible(torch.tensor([first + 60, first + 61, first + 62, first]))
    assert found.tolist() == [[1, 1], [1, 1], [1, 1], [0, 0]]


def test_a_season_that_comes_round_three_times_is_none() -> None:
    """Three paths are no distribution: of a year in three years of days those of all days count."""
    for turns in (3, 4):
        train = cut(noise(L + H + SEASON * (turns - 1)))
        model = bank(train, phase_window=0)
        found = model.bank.eligible(train.times[:1] + SEASON * 100)[0] > 0
        near = (train.times - train.times[0]) % SEASON == 0
        assert torch.equal(found, near if turns == 4 else torch.ones_like(near))


def test_paths_of_validation_are_for_what_begins_after_the_last_of_them() -> None:
    train, validation = cut(noise(60)), cut(noise(30, 1), 60)
    model = bank(train, validation, residuals="both")
    last = int(validation.times[-1])
    of_validation = torch.tensor([0.0] * len(train) + [1.0] * len(validation))
    assert torch.equal(model.bank.validated, of_validation)
    assert not (model.bank.eligible(torch.tensor([last - 40, last])) * of_validation).any()
    # what begins one step later still overlaps the last paths, and may have the others
    times = torch.cat([train.times, validation.times])
    found = model.bank.eligible(torch.tensor([last + 1]))[0]
    assert torch.equal(found > 0, (times - last - 1).abs() >= H + P)
    assert (found * of_validation).any()


@pytest.mark.parametrize(("size", "share"), [(0.0, 0.1), (1e3, 10.0)])
def test_residuals_shrink_and_grow_tenfold_at_most(size: float, share: float) -> None:
    """A history that stands still has next to no deviation, a wild one a thousand times that of
    the paths.
    """
    train = cut(noise(60))
    batch = everything(cut(noise(L + H, 2) * size, 500))
    plain, scaled = (added(bank(train, scale_power=power), batch) for power in (0.0, 1.0))
    assert plain.abs().amax() > 0.5
    torch.testing.assert_close(scaled, share * plain, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_residuals_are_scaled_by_the_window_s_deviation_over_the_path_s(power: float) -> None:
    train = cut(noise(60) * torch.linspace(0.5, 1.5, 60)[:, None])
    model, batch = bank(train, scale_power=power), everything(cut(noise(L + H, 2), 500))
    paths, own = errors(model, everything(train)), batch.past.std(2, correction=0)
    theirs = everything(train).past.std(2, correction=0)
    scaled = paths * (own / theirs)[..., None] ** power  # (R, K, M)
    distance = (added(model, batch)[0, :, None] - scaled).abs().amax((2, 3))
    assert distance.amin(1).amax() < 1e-3


def test_all_residuals_are_multiplied_by_the_spread() -> None:
    train, batch = cut(noise(60)), everything(cut(noise(L + H, 2), 500))
    once, wider = (bank(train, spread=spread) for spread in (1.0, 1.5))
    mean = once.bank.mean(batch)[:, None]
    torch.testing.assert_close(added(wider, batch) - mean, 1.5 * (added(once, batch) - mean))


def test_each_path_is_drawn_as_often_as_any_other() -> None:
    train = cut(noise(L + H + 9))
    model, batch = bank(train), everything(cut(noise(L + H, 2), 500))
    paths = errors(model, everything(train))
    distance = (added(model, batch, 5000)[0, :, None] - paths).abs().amax((2, 3))
    counts = distance.argmin(1).bincount(minlength=10)
    assert distance.amin(1).amax() < 1e-5
    assert float(((counts - 500) ** 2 / 500).sum()) < 27.9  # χ² of 9 degrees, one in a thousand


def test_without_a_path_only_that_window_has_no_spread() -> None:
    train = cut(noise(L + H + 2))
    model, both = bank(train), cut(noise(L + H + 2), 0)
    far = everything(cut(noise(L + H, 2), 500))
    near = everything(both)
    both = [(of_near, vars(far)[n]) for n, of_near in vars(near).items() if of_near is not None]
    batch = Batch(*map(torch.cat, both))
    spread = added(model, batch).abs().amax((1, 2, 3))
    assert spread[:3].tolist() == [0, 0, 0]
    assert spread[3] > 0


def test_samples_are_the_last_steps_of_the_whole_paths() -> None:
    model, batch = bank(cut(noise(60))), everything(cut(noise(L + H + 3, 2), 500))
    draws = Draws(5, [1, 2, 3, 4])
    whole = model.sample_with_label(batch, draws)
    assert whole.shape == (4, 5, K, P + H)
    assert torch.equal(model.sample(batch, draws), whole[..., P:])
    assert torch.equal(model.predict(batch), model.predict_with_label(batch)[..., P:])


@pytest.mark.parametrize("split", ["train", "validation", "both"])
def test_the_bank_holds_every_path_of_its_split_where_there_is_room(split: str) -> None:
    train, validation = cut(noise(60)), cut(noise(30, 1), 60)
    model = bank(train, validation, residuals=split, paths=60)
    chosen = {"train": [train], "validation": [validation], "both": [train, validation]}[split]
    batches = [everything(windows) for windows in chosen]
    torch.testing.assert_close(model.bank.residuals, torch.cat([errors(model, b) for b in batches]))
    assert torch.equal(model.bank.times, torch.cat([b.time for b in batches]))


def test_paths_are_thinned_evenly_split_by_split() -> None:
    """Of 41 and 11 windows a quarter each, from the first to the last; of a small split one."""
    train, validation = cut(noise(60)), cut(noise(30, 1), 60)
    model = bank(train, validation, residuals="both", paths=13)
    first, second = (
        model.bank.times[model.bank.validated == 0],
        model.bank.times[model.bank.validated == 1],
    )
    assert first.tolist() == [16, 20, 25, 29, 34, 38, 43, 47, 52, 56]
    assert second.tolist() == [76, 81, 86]
    one = bank(train, validation, residuals="both", paths=2)
    assert one.bank.validated.tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize(("first", "end", "count"), [(1, 3, 5), (0, 4, 10), (2, 7, 16)])
def test_missing_residuals_are_those_of_the_nearest_path_that_has_them(
    first: int, end: int, count: int
) -> None:
    """The one before, else the one after, else none; at the same channel and lead time."""
    values = noise(L + H + 4)
    values[L + first : L + end, 0] = torch.nan
    values[:, 1] = torch.nan
    train = cut(values)
    model = bank(train, label=0)
    own, mask = errors(model, everything(train), 0), everything(train).future_mask
    # windows 0…4, lead times 0…3 of channel 0: missing where their sum is first…end − 1
    expected = own[:, 0].clone()
    for window, lead in (mask[:, 0] == 0).nonzero().tolist():
        nearest = [*reversed(range(window)), *range(window + 1, 5)]
        known = [w for w in nearest if mask[w, 0, lead]]
        expected[window, lead] = own[known[0], 0, lead] if known else 0.0
    assert int((mask[:, 0] == 0).sum()) == count
    torch.testing.assert_close(model.bank.residuals[:, 0], expected)
    assert not model.bank.residuals[:, 1].any()


def far_apart(power: float, lacks: torch.Tensor, start: int) -> Windows:
    """Windows that share no period: a history of ± a deviation of its own, and noise of that
    deviation to a power behind it, ``lacks`` times as large.
    """
    generator = torch.Generator().manual_seed(5)
    count = len(lacks)
    deviations = torch.exp(torch.rand(count, generator=generator) * 2 - 1)  # 0.4 to 2.7
    signs = torch.tensor([1.0, -1.0]).repeat(L // 2)[:, None].expand(L, K)
    futures = torch.randn(count, H, K, generator=generator)
    rows = [
        torch.cat([d * signs, lack * d**power * future]).numpy()
        for d, lack, future in zip(deviations, lacks, futures, strict=True)
    ]
    begins = [start + 100 * n for n in range(count)]
    return Windows(rows, [(L, L + H)] * count, L, H, begins, [-1] * count)


def chosen_for(power: float, lacks: torch.Tensor, **settings: object) -> tuple[float, float]:
    """What is chosen for a forecast of 0 whose errors are ``lacks`` times as large on
    validation.
    """
    base = {"name": "linear", "norm": "none"}
    given = {"base": base, "residuals": "train", "bias": 0.0, **settings}
    model = build(ResidualBootstrapConfig.model_validate(given), Shape(K, L, H, SEASON))
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    model.calibrate(far_apart(power, torch.ones(250), 0), far_apart(power, lacks, 10**6))
    return float(model.bank.power), float(model.spread)


@pytest.mark.parametrize("power", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_the_power_that_residuals_grow_by_is_found_on_validation(power: float) -> None:
    assert chosen_for(power, torch.ones(250), scale_power="auto") == (power, 1.0)


@pytest.mark.parametrize("spread", [1.0, 1.1, 1.2, 1.35, 1.5])
def test_the_spread_that_residuals_lack_is_found_on_validation(spread: float) -> None:
    found = chosen_for(0.5, torch.full((250,), spread), scale_power=0.5, spread="auto")
    assert found == pytest.approx((0.5, spread))


@pytest.mark.parametrize(
    ("share", "wide", "other", "spread"),
    [
        # the least loss is at 1.2, where 86 % are held; 1.5 costs 0.43 % and holds 90.75 %
        (60, 2.5, 1.0, 1.5),
        # 1.1 and 1.2 hold 89.75 and 90.85 %, but cost 0.6 and 1.3 %; 1.0 holds 88.5 %
        (60, 2.2, 0.6, 1.0),
    ],
)
def test_intervals_hold_where_that_costs_less_than_half_a_percent_of_the_score(
    share: int, wide: float, other: float, spread: float
) -> None:
    lacks = torch.full((250,), other)
    lacks[:share] = wide
    assert chosen_for(0.0, lacks, spread="auto") == (0.0, spread)


def test_the_spread_never_narrows_and_both_are_found_together() -> None:
    assert chosen_for(0.0, torch.full((250,), 0.5), spread="auto") == (0.0, 1.0)
    found = chosen_for(1.0, torch.full((250,), 1.35), scale_power="auto", spread="auto")
    assert found == pytest.approx((1.0, 1.35))


def test_each_validation_window_has_the_same_weight_in_the_choice() -> None:
    """However the windows are cut into batches: here a last one stands alone, and is way off."""
    lacks = torch.full((65,), 0.8)
    lacks[-1] = 10.0
    assert chosen_for(0.0, lacks, spread="auto") == (0.0, 1.0)


def test_a_learnt_scale_is_learnt_from_training_where_there_is_any() -> None:
    swing = torch.linspace(0.5, 1.5, 60)[:, None]
    train, validation = cut(noise(60) * swing), cut(noise(30, 1), 60)
    of_train, of_both, of_validation = (
        bank(train, validation, residuals=split, scale="learnt").bank.exponents
        for split in ("train", "both", "validation")
    )
    assert of_train.abs().amax() > 0.1
    torch.testing.assert_close(of_both, of_train)
    torch.testing.assert_close(of_validation, bank(validation, scale="learnt").bank.exponents)


def test_it_is_trained_as_its_point_model_is() -> None:
    model, batch = bank(cut(noise(60))), everything(cut(noise(60, 2)))
    assert torch.equal(model.loss(batch), model.base.loss(batch))
    assert torch.equal(model.score(batch), model.base.score(batch))
    assert model.stages() == [model.base]


def test_a_bank_is_empty_before_it_is_filled() -> None:
    model = build(ResidualBootstrapConfig(), Shape(K, L, H, SEASON, P))
    shapes = [
        getattr(model.bank, name).shape for name in ("residuals", "times", "validated", "scales")
    ]
    assert shapes == [(0, K, P + H), (0,), (0,), (0, K, 1)]


def test_a_saved_bank_draws_the_same() -> None:
    train, batch = cut(noise(60)), everything(cut(noise(L + H, 2), 500))
    model = bank(train, scale_power="auto", spread="auto")
    other = build(model.config, Shape(K, L, H, SEASON, P)).eval()
    other.load_state_dict(model.state_dict())
    assert torch.equal(added(other, batch), added(model, batch))


def test_a_saved_bank_is_found_within_a_bridge() -> None:
    settings = {
        "prior": {"name": "residual-bootstrap", "base": {"name": "linear"}, "residuals": "train"},
        "prior_training": "first",
        "predicts": "correction",
        "schedule": {"name": "bridge", "steps": 4},
        "network": {"name": "residual", "layers": 1, "channels": 4, "heads": 2},
        "sampler": {"s": 0.0, "steps": 1, "point_steps": 1},
        "label": P,
    }
    config = DiffusionConfig.model_validate(settings)
    model, other = (build(config, Shape(K, L, H, SEASON)).eval() for _ in range(2))
    train, batch = cut(noise(60)), everything(cut(noise(L + H, 2), 500))
    model.stages()[-1].calibrate(train, train)
    other.load_state_dict(model.state_dict())
    drawn = [each.sample(batch, Draws(8, [1])) for each in (model, other)]
    assert drawn[0].std(1).amin() > 0
    assert torch.equal(*drawn)


@pytest.mark.parametrize(
    "name", [f"bank.{name}" for name in ("residuals", "times", "validated", "scales")]
)
def test_a_bank_that_is_not_whole_is_not_loaded(name: str) -> None:
    model = bank(cut(noise(60)))
    saved = dict(model.state_dict())
    held = saved.pop(name)
    with pytest.raises(RuntimeError, match=f'Missing key.*"{name}"'):
        model.load_state_dict(saved)
    with pytest.raises(RuntimeError, match=f"size mismatch for {name}"):
        model.load_state_dict({**saved, name: held[None]})


@pytest.mark.parametrize(
    ("base", "problem"),
    [
        ({"name": "diffusion"}, "model.base: diffusion gives no label, so nothing is built on it"),
        ({"name": "residual-bootstrap"}, "model.base: residual-bootstrap gives samples; name a"),
        (
            {"name": "state-space", "output": "quantiles"},
            "model.base.output: quantiles cannot be buil",
        ),
    ],
)
def test_a_base_gives_points_and_a_label(base: dict[str, str], problem: str) -> None:
    with pytest.raises(UserError) as refused:
        ResidualBootstrapConfig.model_validate({"base": base})
    assert str(refused.value).startswith(problem)


def test_banks_of_earlier_models_are_loaded_by_their_old_names() -> None:
    """They were the forecaster's own: no bank within it."""
    model = bank(cut(noise(60)), scale="learnt", scale_power="auto")
    new = ("bias", "bank.owners", "bank.windows", "bank.factors")
    saved = {name: value for name, value in model.state_dict().items() if name not in new}
    old = {name.replace("bank.", ""): value for name, value in saved.items()}
    other = build(model.config, Shape(K, L, H, SEASON, P))
    other.load_state_dict(old)
    batch = everything(cut(noise(40, 5), 500))
    assert torch.equal(added(other.eval(), batch), added(model, batch))


def test_the_spread_is_chosen_for_the_errors_around_the_forecast() -> None:
    """Training errors are those of validation: no wider, however far the values are from 0."""
    base = {"name": "seasonal-naive"}
    validation = cut(noise(400, 1) + 50, 1000)
    model = bank(cut(noise(400) + 50), validation, label=0, base=base, spread="auto")
    assert model.spread == 1


def zeros(train: Windows, validation: Windows, series: int = 1, **settings: object) -> Forecaster:
    """A forecast of 0, whose residuals are the values themselves."""
    given = {"base": {"name": "linear", "norm": "none"}, "residuals": "train", **settings}
    model = build(
        ResidualBootstrapConfig.model_validate(given), Shape(K, L, H, SEASON, series=series)
    )
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    model.calibrate(train, validation)
    return model.eval()


@pytest.mark.parametrize("chunk", [1, 500, 2**22])
def test_the_centre_is_the_mean_of_all_samples_that_there_may_be(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are drawn in turn in place of at random, with histories from next to none to a hundred
    times those of the paths, so that the bounds of the ratio count.
    """
    monkeypatch.setattr("forecaster.models.bootstrap.bank._MAX_FACTORS", chunk)
    wild = torch.logspace(-3, 2, 40)[:, None]
    train, batch = cut(noise(60)), everything(cut(noise(40, 2) * wild, 500))
    given = {"phase_window": 1, "scale_power": 0.7, "spread": 1.35, "bias": 0.4}
    model = bank(train, **given)
    every = torch.arange(len(train))
    monkeypatch.setattr(torch, "multinomial", lambda *_, **__: every)
    samples = model.sample_with_label(batch, Draws(len(every), list(range(len(batch)))))
    weights = model.bank.eligible(batch.time)[..., None, None]
    centre = (samples * weights).sum(1) / weights.sum(1)
    torch.testing.assert_close(centre, model.predict_with_label(batch), rtol=1e-4, atol=1e-4)
    mean = model.bank.mean(batch)
    shift = model.predict_with_label(batch) - model.base.predict_with_label(batch)
    torch.testing.assert_close(shift, 0.4 * mean, rtol=1e-4, atol=1e-5)
    assert mean.abs().amax() > 0.1


def wave(rows: int, seed: int, size: float) -> torch.Tensor:
    """A season that the history does not show, and noise of half its size."""
    season = torch.tensor([2.0, -1.0, 0.0, 3.0, -2.0, 1.0]).repeat(rows // SEASON)
    return size * season[:, None] + noise(rows, seed)


def test_a_bias_by_the_place_in_the_season_is_put_right() -> None:
    train, validation = cut(wave(600, 1, 1.0)), cut(wave(240, 2, 1.0), 600)
    model = zeros(train, validation, phase_window=0, bias="auto")
    assert model.bias == 1
    expected = everything(cut(wave(600, 3, 1e6) / 1e6, 900)).future
    found = model.predict(everything(cut(wave(600, 3, 1.0), 900)))
    assert (found - expected).abs().mean() < 0.15


@pytest.mark.parametrize(("size", "bias"), [(0.0, 0.0), (0.08, 0.0), (0.3, 1.0)])
def test_a_bias_has_to_win_one_per_cent(size: float, bias: float) -> None:
    """Of the error half as many per cent as of the variance, which is that of noise and a season:
    1.5 % are won of it by the smaller one, 30 % by the larger.
    """
    train, validation = cut(wave(1200, 1, size)), cut(wave(1200, 2, size), 1200)
    model = zeros(train, validation, phase_window=0, bias=0.0)
    calibrator = Calibrator(model.base, model.bank, 0, validation)
    assert calibrator.choose(Choices((0.0,), (1.0,), (0.0, 1.0))).bias == bias


def test_where_no_path_is_eligible_the_base_s_forecast_stays() -> None:
    validation = cut(noise(L + H + 1) + 5)
    model = zeros(validation, validation, bias="auto", spread="auto", scale_power="auto")
    assert (model.bank.power, model.spread, model.bias) == (0, 1, 0)
    batch = everything(validation)
    assert torch.equal(model.predict(batch), torch.zeros_like(batch.future))
    assert torch.equal(model.bank.mean(batch), torch.zeros_like(batch.future))


def test_an_empty_bank_has_no_mean() -> None:
    model = build(ResidualBootstrapConfig(), Shape(K, L, H, SEASON, P))
    batch = everything(cut(noise(L + H + 3)))
    assert torch.equal(model.predict(batch), model.base.predict(batch))


@pytest.mark.parametrize(("season", "width"), [(1, 0), (23, 0), (24, 1), (168, 1)])
def test_neighbouring_phases_are_near_in_long_seasons_alone(season: int, width: int) -> None:
    train = cut(noise(L + H + 3 * 168))
    settings = ResidualBootstrapConfig(residuals="train", phase_window="auto", paths=600)
    model = build(settings, Shape(K, L, H, season))
    model.calibrate(train, train)
    time = train.times[:1] + 1000 * season
    phase = (train.times - time) % season
    expected = torch.minimum(phase, season - phase) <= width
    assert torch.equal(model.bank.eligible(time)[0] > 0, expected)


def test_of_several_seasons_the_longest_counts_that_comes_round_five_times() -> None:
    """Paths at the first one's place of 12 come round 4, 5 and 6 times; that of 30 is too long."""
    for turns, season in ((4, 6), (5, 12), (6, 12)):
        train = cut(noise(L + H + 12 * (turns - 1)))
        settings = ResidualBootstrapConfig(residuals="train", phase_window=0)
        model = build(settings, Shape(K, L, H, SEASON, seasons=(6, 12, 30)))
        assert torch.equal(model.bank.eligible(train.times), torch.zeros(len(train), 0))
        model.calibrate(train, train)
        time = train.times[:1] + 60 * 1000
        found = model.bank.eligible(torch.cat([time, time + 1])) > 0
        assert torch.equal(found[0], (train.times - time) % season == 0)
        # of the next place there is a turn less
        shorter = 6 if turns == 5 else season
        assert torch.equal(found[1], (train.times - time - 1) % shorter == 0)


def two_series(first: float, second: float, rows: int, seed: int, start: int) -> Windows:
    values = [size * noise(rows, seed + n).numpy() for n, size in enumerate((first, second))]
    return Windows(values, [(L, rows)] * 2, L, H, [start, start])


def of_unknown(batch: Batch) -> Batch:
    return replace(batch, series=torch.full_like(batch.series, -1))


def test_each_series_has_its_own_size_of_error() -> None:
    """Of sizes 1 and 9 that of all is 3; an unknown series has it. A window's sizes are found by
    its draws' deviation; 146 windows without overlap count 146/148.
    """
    train, later = two_series(1.0, 9.0, 600, 1, 0), two_series(1.0, 9.0, 24, 5, 5000)
    model = zeros(train, train, series=2, bias=0.0, paths=2000)
    batch = everything(later)
    draws = Draws(400, batch.index.tolist())
    size, pooled = (model.sample(b, draws).std((1, 2, 3)) for b in (batch, of_unknown(batch)))
    torch.testing.assert_close(size, 9.0 ** batch.series.float(), rtol=0.1, atol=0)
    torch.testing.assert_close(pooled, torch.full_like(pooled, 3.0), rtol=0.1, atol=0)


def test_own_paths_are_drawn_first() -> None:
    """The signs tell the series: 146 windows of 162, and half of the rest."""
    values = [sign * noise(600, 1).abs().numpy() for sign in (1, -1)]
    signed = Windows(values, [(L, 600)] * 2, L, H, [0, 0])
    model = zeros(signed, signed, series=2, bias=1.0, paths=2000)
    batch = everything(two_series(1.0, 1.0, L + H, 5, 5000))
    drawn = model.sample(batch, Draws(4000, [1, 2]))
    share = (drawn > 0).all((2, 3)).float().mean(1)
    own = 146 / 162
    expected = own + (1 - own) / 2
    torch.testing.assert_close(share, torch.tensor([expected, 1 - expected]), atol=0.007, rtol=0)


def test_a_single_series_is_drawn_from_as_from_an_unknown_one() -> None:
    train, batch = cut(noise(60)), everything(cut(noise(L + H + 5, 2), 500))
    model = bank(train, scale_power=0.5, phase_window=1)
    assert torch.equal(added(model, batch), added(model, of_unknown(batch)))


def test_models_saved_without_a_bias_keep_their_samples() -> None:
    """Theirs were the base's forecast and the paths, ``spread`` times; the centre is now true."""
    model = bank(cut(noise(60)), spread=1.35, scale_power=0.5, phase_window=1)
    new = ("bias", "bank.owners", "bank.windows", "bank.factors")
    saved = {name: value for name, value in model.state_dict().items() if name not in new}
    other = build(model.config, Shape(K, L, H, SEASON, P, series=3)).eval()
    other.load_state_dict(saved)
    batch = everything(cut(noise(40, 5), 500))
    draws = Draws(7, list(range(len(batch))))
    h, (paths, mean) = model.base.predict_with_label(batch), model.bank.draw(batch, draws)
    assert torch.equal(other.sample_with_label(batch, draws), h[:, None] + 1.35 * paths)
    torch.testing.assert_close(other.predict_with_label(batch), h + 1.35 * mean)
