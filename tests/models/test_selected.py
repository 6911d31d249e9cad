"""The best of several point forecasters on validation."""

import pytest
import torch
from pydantic import ValidationError

from forecaster.config.parts import build
from forecaster.data.windows import Windows
from forecaster.errors import UserError
from forecaster.models.base import Shape
from forecaster.models.selected import Selected, SelectedConfig, choices

L, H = 12, 4
SHAPE = Shape(1, L, H, 3)


def naive(season: int) -> dict[str, object]:
    return {"name": "seasonal-naive", "season": season}


def waves(period: int) -> Windows:
    """A series that repeats itself exactly after ``period`` steps, one of its values missing."""
    values = torch.randn(period, 1).repeat(60 // period + 1, 1)[:60]
    values[40] = torch.nan
    return Windows([values.numpy()], [(L, 60)], L, H, [0])


def selected(*candidates: dict[str, object]) -> Selected:
    model = build(SelectedConfig.model_validate({"candidates": candidates}), SHAPE)
    assert isinstance(model, Selected)
    return model


@pytest.mark.parametrize("period", [3, 4, 5])
def test_the_candidate_with_the_lowest_validation_error_is_chosen(period: int) -> None:
    model = selected(naive(3), naive(4), naive(5))
    validation = waves(period)
    model.calibrate(waves(3), validation)
    assert model.choice == f"seasonal-naive ({period - 2})"
    batch = validation[torch.arange(len(validation))]
    missed = (model.predict(batch) - batch.future).abs() * batch.future_mask
    assert missed.max() == 0
    assert float(model.score(batch)) == 0


def test_the_first_of_equal_candidates_is_chosen() -> None:
    model = selected(naive(4), naive(3), naive(3))
    model.calibrate(waves(3), waves(3))
    assert model.choice == "seasonal-naive (2)"


def test_the_choice_is_stored_with_the_weights() -> None:
    candidates = ({"name": "linear"}, {"name": "sorted-levels"})
    model, batch = selected(*candidates), waves(3)[torch.arange(5)]
    model.chosen.fill_(1)
    again = selected(*candidates)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.predict(batch), model.parts[1].predict(batch))
    assert not torch.equal(again.predict(batch), model.parts[0].predict(batch))
    assert again.choice == "sorted-levels"


def test_candidates_are_trained_with_their_members() -> None:
    model = selected({"name": "average"}, {"name": "sorted-levels"})
    average, levels = model.parts
    assert model.stages() == [*average.members, average, levels]


def test_choices_are_named_by_their_place_in_the_configuration() -> None:
    from forecaster.models.bootstrap import ResidualBootstrapConfig

    config = {"base": {"name": "selected"}}
    model = build(ResidualBootstrapConfig.model_validate(config), SHAPE)
    assert dict(choices(model)) == {"model.base": "average"}
    assert dict(choices(selected(naive(3), naive(4)))) == {"model": "seasonal-naive (1)"}


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ([naive(3)], "at least 2"),
        ([naive(3), {"name": "residual-bootstrap"}], "gives samples; name a forecaster of points"),
        ([naive(3), {"name": "selected"}], "no selection itself; name its candidates"),
    ],
)
def test_impossible_candidates_are_refused(candidates: list, message: str) -> None:
    with pytest.raises((UserError, ValidationError), match=message):
        SelectedConfig.model_validate({"candidates": candidates})
