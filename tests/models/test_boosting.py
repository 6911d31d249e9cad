"""Boosted trees: torch evaluates LightGBM's trees, and what they see of a window."""

import sys
from dataclasses import replace

import lightgbm
import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from forecaster.config.parts import ForecasterPart
from forecaster.config.program import install_extra
from forecaster.data.encoding import Features, Sizes
from forecaster.data.windows import Windows, ordered_loader
from forecaster.errors import UserError
from forecaster.models import boosting
from forecaster.models.base import Precursor, Shape
from forecaster.models.boosting import BoostedTrees
from forecaster.models.size import build_model

ROWS, LOOKBACK, HORIZON, SEASON = 500, 12, 4, 5
SHAPE = Shape(2, LOOKBACK, HORIZON, SEASON, covariates=Sizes(known=2, past=1, static=1))
SMALL = {"name": "lightgbm", "trees": 60, "leaves": 16, "leaf_rows": 5, "lags": 6}
SMALL |= {"learning_rate": 0.2}


def build(shape: Shape = SHAPE, **settings: object) -> BoostedTrees:
    torch.manual_seed(0)
    found = build_model(TypeAdapter(ForecasterPart).validate_python({**SMALL, **settings}), shape)
    assert isinstance(found, BoostedTrees)
    return found.eval()


def windows(part: tuple[int, int], effect: float = 1.0) -> Windows:
    """Two series of two channels, a season and a known effect."""
    random, series, features = np.random.default_rng(0), [], []
    for number in range(2):
        known, steps = random.normal(size=(ROWS, 2)), np.arange(ROWS)
        season = np.sin(2 * np.pi * steps / SEASON) + 0.1 * random.normal(size=ROWS)
        y = season + effect * np.sign(known[:, 0]) + number
        series.append(np.stack([y, -y], axis=1))
        static, past = np.full(1, float(number)), random.normal(size=(ROWS, 1))
        features.append(Features(known, past, static, np.empty((ROWS, 0))))
    return Windows(
        series, [part] * 2, LOOKBACK, HORIZON, [3, 3], seasons=(SEASON,), features=features
    )


TRAIN, VALIDATION, TEST = windows((12, 400)), windows((400, 450)), windows((450, ROWS))


@pytest.fixture(scope="module")
def fitted() -> BoostedTrees:
    model = build()
    model.calibrate(TRAIN, VALIDATION)
    return model


@pytest.mark.parametrize("depth", [1, 3, 6])
def test_torch_gives_lightgbms_sums(depth: int) -> None:
    """Also for leaves that are not as deep as others, and for values at a threshold."""
    random = np.random.default_rng(depth)
    inputs = random.integers(-3, 4, size=(400, 5)).astype(np.float32)
    targets = inputs[:, 0] * inputs[:, 1] + np.sin(inputs[:, 2]) + random.normal(size=400)
    settings = {"max_depth": depth, "num_leaves": 2**depth, "min_data_in_leaf": 3, "verbosity": -1}
    booster = lightgbm.train(settings, lightgbm.Dataset(inputs, targets), 20)
    model = build(depth=depth)
    model._take(booster.dump_model()["tree_info"])
    rows = torch.from_numpy(np.concatenate([inputs, inputs + 0.5]))
    np.testing.assert_allclose(model.values(rows), booster.predict(rows.numpy()), rtol=1e-12)


def test_it_sees_lead_phase_lags_and_the_covariates_of_the_step() -> None:
    (batch,) = ordered_loader(TRAIN, 3, 3)
    assert batch.covariates is not None
    found = boosting._features(batch, build().config, SHAPE)
    assert found.shape == (3, 2, HORIZON, build()._width())
    past, known = batch.past, batch.covariates.known
    for window, channel, step in [(0, 0, 0), (1, 1, 3), (2, 0, 2)]:
        row = found[window, channel, step]
        assert row[:2].tolist() == [step, channel]
        assert row[2] == (batch.time[window] + step) % SEASON
        newest = LOOKBACK + step - SEASON
        history = past[window, channel]
        assert row[3:5].tolist() == [history[newest], history[newest - SEASON]]
        torch.testing.assert_close(row[5:11], history[-6:])
        torch.testing.assert_close(row[11], history.mean())
        torch.testing.assert_close(row[14:16], known[window, :, LOOKBACK + step])
        assert row[16] == batch.covariates.past[window, 0, -1]
        assert row[18] == batch.covariates.static[window, 0]


def test_it_learns_the_effect_and_the_season(fitted: BoostedTrees) -> None:
    (batch,) = ordered_loader(TEST, 1000)
    assert batch.covariates is not None
    assert float((fitted.predict(batch) - batch.future).abs().mean()) < 0.3  # 1 without the effect
    other = batch.covariates.known.clone()
    other[:, 0] *= -1
    changed = replace(batch, covariates=replace(batch.covariates, known=other))
    step = (fitted.predict(batch) - fitted.predict(changed))[:, 0] * other[:, 0, LOOKBACK:].sign()
    assert float(step.mean()) == pytest.approx(-2, abs=0.2)


def test_windows_by_themselves_and_label_steps(fitted: BoostedTrees, monkeypatch) -> None:
    (batch,) = ordered_loader(TEST, 6, 6)
    whole = fitted.predict(batch)
    monkeypatch.setattr(boosting, "_AT_ONCE", 1)
    torch.testing.assert_close(fitted.predict(batch), whole, rtol=0, atol=0)
    labelled = build(replace(SHAPE, label=3))
    found = labelled.predict_with_label(batch)
    assert torch.equal(found[..., :3], batch.past[..., -3:])
    assert found.shape == (6, 2, 3 + HORIZON)


def test_the_same_seed_gives_the_same_trees_and_all_rows_as_many(fitted: BoostedTrees) -> None:
    again, other = build(), build(rows=200)
    again.calibrate(TRAIN, VALIDATION)
    for name, value in fitted.named_buffers():
        assert torch.equal(value, dict(again.named_buffers())[name]), name
    other.calibrate(TRAIN, VALIDATION)
    assert not torch.equal(other.threshold, fitted.threshold)
    everything = build()
    everything.calibrate_after(Precursor(fitted, TRAIN, VALIDATION, TEST))
    assert int(everything.count) == int(fitted.count) > 0
    assert not torch.equal(everything.threshold, fitted.threshold)


def test_without_the_package_it_forecasts_and_says_how_to_train(
    fitted: BoostedTrees, monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    loaded = build()
    loaded.load_state_dict(fitted.state_dict())
    (batch,) = ordered_loader(TEST, 4, 4)
    assert torch.equal(loaded.predict(batch), fitted.predict(batch))
    with pytest.raises(UserError) as error:
        loaded.calibrate(TRAIN, VALIDATION)
    assert str(error.value) == f"model: lightgbm needs LightGBM: {install_extra('lightgbm')}"


def test_damaged_trees_read_nothing_outside_the_window(fitted: BoostedTrees) -> None:
    damaged = build()
    damaged.load_state_dict(fitted.state_dict())
    damaged.feature.fill_(10**9)
    damaged.count.fill_(10**9)
    (batch,) = ordered_loader(TEST, 4, 4)
    assert damaged.predict(batch).isfinite().all()


def test_a_bridge_starts_from_it() -> None:
    prior = {"name": "residual-copula", "base": SMALL}
    config = {"name": "diffusion", "coordinates": "residual", "prior": prior}
    config |= {"prior_training": "first", "predicts": "innovation", "label": 0}
    shape = replace(SHAPE, series=2)
    model = build_model(TypeAdapter(ForecasterPart).validate_python(config), shape).eval()
    (batch,) = ordered_loader(TEST, 4, 4)
    assert model.predict(batch).shape == (4, 2, HORIZON)
