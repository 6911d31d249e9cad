"""A mixture of forecasters: shares of paths, its mean, and what each member reads."""

from dataclasses import replace
from typing import Literal

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from forecaster.config.load import check_config
from forecaster.config.parts import _parts, register
from forecaster.config.sections import PartConfig
from forecaster.data.windows import Batch, BatchCovariates
from forecaster.diffusion.drawing import Draws
from forecaster.errors import UserError
from forecaster.models.base import Shape, empty_future
from forecaster.models.boosting import BoostedTreesConfig
from forecaster.models.ensemble import Ensemble, EnsembleConfig, Member, recent
from forecaster.models.held_out import HeldOut
from forecaster.models.linear import LinearConfig
from forecaster.models.local import LocalConfig
from forecaster.models.naive import SeasonalNaiveConfig
from forecaster.models.prior import PointForecaster

K, L, H = 2, 12, 3
SHAPE = Shape(channels=K, lookback=L, horizon=H, season=4)


class MeanConfig(PartConfig):
    name: Literal["tests-mean"] = "tests-mean"


@register("forecaster", MeanConfig)
class Mean(PointForecaster):
    """The mean of the history that it is given."""

    def __init__(self, config: MeanConfig, shape: Shape) -> None:
        super().__init__()
        self.lookback, self.horizon = shape.lookback, shape.horizon

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K H"]:
        assert batch.past.shape[2] == batch.past_mask.shape[2] == self.lookback
        return batch.past.mean(2, keepdim=True).expand(-1, -1, self.horizon)


# no name by which other tests find it
_parts["forecaster"].pop("tests-mean")


def ensemble(*members: Member) -> Ensemble:
    return Ensemble(EnsembleConfig(members=members), SHAPE)


def two(first: float, second: float) -> Ensemble:
    """The mean of the last three values, and that of all; neither errs."""
    model = ensemble(
        Member(name="three", model=MeanConfig(), lookback=3, weight=first),
        Member(name="all", model=MeanConfig(), weight=second),
    )
    exact = HeldOut(torch.zeros(2, K, H), torch.tensor([0, 4]), torch.tensor([0, 0]))
    for place, lookback in enumerate((3, L)):
        model.put(place, model.member(place), exact, replace(SHAPE, lookback=lookback))
    return model


def window() -> Batch:
    past = torch.arange(float(L)).expand(2, K, L)
    times = torch.tensor([40, 80])
    return empty_future(past, torch.ones_like(past), H, times, torch.tensor([0, 0]))


def test_each_member_reads_its_own_history_and_gives_its_share_of_the_paths() -> None:
    model = two(0.75, 0.25)
    expected = 0.75 * 10 + 0.25 * 5.5  # of 9, 10, 11, and of 0 to 11
    torch.testing.assert_close(model.predict(window()), torch.full((2, K, H), expected))
    paths = model.sample(window(), Draws(8, [1, 2]))
    assert paths.shape == (2, 8, K, H)
    for found in paths[:, :, 0, 0].tolist():
        assert sorted(found) == [5.5] * 2 + [10.0] * 6


def test_the_paths_stand_in_an_order_drawn_for_each_window() -> None:
    paths = two(1, 1).sample(window(), Draws(64, [1, 2]))[:, :, 0, 0]
    assert not torch.equal(paths[0], paths[1])
    assert {10.0, 5.5} == set(paths[0, :8].tolist())
    alone = two(1, 1).sample(window().part(slice(1, 2)), Draws(64, [2]))[:, :, 0, 0]
    assert torch.equal(alone[0], paths[1])


def test_members_draw_independently_of_each_other() -> None:
    """Two members of the same errors, whose paths are one of two: all four pairs are drawn."""
    model, errors = two(1, 1), torch.tensor([1.0, 2.0])[:, None, None].expand(2, K, H)
    held = HeldOut(errors.contiguous(), torch.tensor([0, 4]), torch.tensor([0, 0]))
    for place, lookback in enumerate((3, L)):
        model.put(place, model.member(place), held, replace(SHAPE, lookback=lookback))
    pairs = set()
    for seed in range(60):
        low, high = sorted(model.sample(window().part(slice(0, 1)), Draws(2, [seed]))[0, :, 0, 0])
        pairs.add((abs(float(low) - 5.5), abs(float(high) - 10)))
    assert pairs == {(1, 1), (1, 2), (2, 1), (2, 2)}


def test_a_member_of_weight_0_is_not_asked() -> None:
    model = two(0, 1)
    model.member(0).lookback = -1  # would fail
    assert (model.predict(window()) == 5.5).all()
    assert (model.sample(window(), Draws(4, [1, 2])) == 5.5).all()


def test_holed_histories_are_measured_without_members_that_are_fitted_to_each() -> None:
    local = Member(name="local", model=LocalConfig(method="auto-theta"), weight=0.75)
    model = ensemble(local, Member(name="all", model=MeanConfig(), weight=0.25))
    assert model.fits_histories
    assert not model.measured_by.fits_histories
    assert (model.measured_by.predict(window()) == 5.5).all()
    assert model.weights == [0.75, 0.25]  # unchanged
    alone = ensemble(local)
    assert alone.measured_by is alone


def test_a_mixture_learns_if_a_member_does() -> None:
    naive = Member(name="naive", model=SeasonalNaiveConfig())
    assert not ensemble(naive).learns
    assert ensemble(naive, Member(name="linear", model=LinearConfig())).learns
    trees = ensemble(naive, Member(name="trees", model=BoostedTreesConfig()))
    assert trees.learns  # whose trees are no parameters


def test_the_features_of_covariates_are_cut_with_the_history() -> None:
    known = torch.arange(float(L + H)).expand(2, 1, L + H)
    past = torch.arange(float(L)).expand(2, 1, L)
    given = BatchCovariates(known, past, torch.ones(2, 1), known)
    cut = recent(replace(window(), covariates=given, seen=window().past_mask), 3)
    assert cut.past[0, 0].tolist() == [9, 10, 11]
    assert cut.observed.shape == (2, K, 3)
    assert cut.covariates is not None
    assert (
        cut.covariates.known[0, 0].tolist()
        == cut.covariates.own[0, 0].tolist()
        == [9, 10, 11, 12, 13, 14]
    )
    assert cut.covariates.past[0, 0].tolist() == [9, 10, 11]
    assert recent(window(), L + 1).past.shape[2] == L


def test_an_ensemble_without_members_says_when_they_are_named() -> None:
    with pytest.raises(UserError, match="none yet; a training on a file or data set names them"):
        Ensemble(EnsembleConfig(), SHAPE)


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        (["a", "a"], "two members are named a; name each once"),
        ([".."], "string should match pattern"),
    ],
)
def test_names_of_members_are_distinct_and_plain(members: list[str], fault: str) -> None:
    content = [{"name": name, "model": {"name": "seasonal-naive"}} for name in members]
    with pytest.raises(UserError, match=fault):
        check_config({"model": {"name": "ensemble", "members": content}}, "a.yaml")


def test_a_member_is_no_ensemble_and_one_has_a_weight() -> None:
    inner = {"name": "x", "model": {"name": "ensemble"}}
    with pytest.raises(UserError, match="x: a member is no ensemble itself; name its members"):
        check_config({"model": {"name": "ensemble", "members": [inner]}}, "a.yaml")
    with pytest.raises(ValueError, match="no member has a weight; give one above 0"):
        EnsembleConfig(members=(Member(name="n", model=SeasonalNaiveConfig(), weight=0),))
