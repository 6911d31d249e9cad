"""What a covariate does to a forecast, against models whose effects are given."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from forecaster.config.schema import DataConfig
from forecaster.data.problem import Problem, load_problem
from forecaster.data.windows import Batch
from forecaster.evaluation.effects import effects_of
from forecaster.models.base import Forecaster

ROWS, LOOKBACK, HORIZON = 120, 8, 3
SKIES = ["sun", "rain", "sun", "snow"]


class Given(Forecaster):
    """20 plus given weights times the features, in z-scores."""

    reads_covariates = True

    def __init__(self, known, past, static) -> None:
        super().__init__()
        self.weights = [torch.tensor(each) for each in (known, past, static)]

    def predict(self, batch: Batch, steps: int | None = None) -> torch.Tensor:
        given, (known, past, static) = batch.covariates, self.weights
        assert given is not None
        ahead = torch.einsum("c,bct->bt", known, given.known[..., LOOKBACK:])
        whole = torch.einsum("p,bpl->b", past, given.past) / LOOKBACK + given.static @ static
        return (ahead + whole[:, None])[:, None]


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    random = np.random.default_rng(0)
    frames = [
        pd.DataFrame(
            {
                "shop": shop,
                "day": pd.date_range("2024-01-01", periods=ROWS).strftime("%Y-%m-%d"),
                "y": random.normal(20 + 10 * number, 4, ROWS).round(3),
                "promo": (random.random(ROWS) < 0.3).astype(int),
                "price": random.normal(5, 2, ROWS).round(3),
                "sky": random.choice(SKIES, ROWS),
                "wind": random.normal(size=ROWS).round(3),
                "same": 1,
                "size": number,
            }
        )
        for number, shop in enumerate("ab")
    ]
    path = tmp_path_factory.mktemp("effects") / "file.csv"
    pd.concat(frames).to_csv(path, index=False)
    config = DataConfig(
        csv=str(path),
        target=("y",),
        known=("promo", "price", "sky", "same"),
        past=("wind",),
        static=("size",),
        calendar="weekday",
        horizon=HORIZON,
        lookback=LOOKBACK,
        seasons=(7,),
    )
    return load_problem(config)


def test_effects_are_those_of_the_model(problem: Problem) -> None:
    encoding, windows = problem.encoding, problem.windows("test")
    assert encoding is not None
    promo, price = encoding.known[:2]
    levels = encoding.known[2].levels
    assert levels == ("rain", "snow", "sun")
    known = torch.zeros(encoding.sizes.known)
    known[:6] = torch.tensor([0.5 * promo.std, -0.25, 0.1, 0.3, -0.2, 99.0])
    model = Given(known.tolist(), [2.0], [0.75])
    found = effects_of(model, problem, windows, torch.arange(len(windows)))
    std = float(np.mean([scale.std[0] for scale in problem.scaling]))
    effects = dict(zip(found["covariate"] + " " + found["change"], found["effect"], strict=True))
    size = encoding.static[0]
    truth = {
        "promo 1 against 0": 0.5,
        f"price {price.std:.3g} more": -0.25,
        "sky 'rain' against 'sun'": 0.3,
        "sky 'snow' against 'sun'": 0.5,
        f"wind {encoding.past[0].std:.3g} more": 2.0,
        "size 1 against 0": 0.75 / size.std,
    }
    assert set(effects) == set(truth)
    for name, effect in truth.items():
        assert effects[name] == pytest.approx(effect * std, rel=0.02), name
    assert set(found["column"]) == {"y"}
    mean = found["effect"] * 100 / found["percent"]
    assert mean.nunique() == 1 or mean.std() < 1e-6 * mean.abs().mean()


def test_no_covariates_have_no_effects(problem: Problem) -> None:
    windows = problem.windows("test")
    plain = replace(problem, encoding=None)
    model = Given([0.0], [0.0], [0.0])
    assert effects_of(model, plain, windows, torch.arange(4)).empty
    other = Forecaster()
    assert effects_of(other, problem, windows, torch.arange(4)).empty


def test_blank_rows_stay_as_they_are(problem: Problem) -> None:
    """The price of every second day is blank, and a deviation more of it counts on the others."""
    holed = []
    for series in problem.table.series:
        known = series.known.copy()
        known[::2, 1] = np.nan
        holed.append(replace(series, known=known))
    table = replace(problem.table, series=tuple(holed))
    found = load_problem(problem.config, table)
    assert found.encoding is not None
    assert found.encoding.known[1].blanks
    sizes = found.encoding.sizes
    known = torch.zeros(sizes.known)
    known[1], known[2] = 1.0, 50.0  # the price; where it is blank
    windows = found.windows("test")
    model = Given(known.tolist(), [0.0] * sizes.past, [0.0] * sizes.static)
    effects = effects_of(model, found, windows, torch.arange(len(windows)))
    deviation = np.mean([scale.std[0] for scale in found.scaling])
    [effect] = effects.loc[effects["covariate"] == "price", "effect"]
    assert effect == pytest.approx(deviation / 2, rel=0.1)
