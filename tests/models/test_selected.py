"""The best of several point forecasters on validation."""

import pytest
import torch
from pydantic import ValidationError

from forecaster.config.parts import build
from forecaster.data.windows import Windows
from forecaster.errors import UserError
from forecaster.models.base import Shape
from forecaster.models.bootstrap import ResidualBootstrapConfig
from forecaster.models.selected import Selected, SelectedConfig, selections

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
    assert model.idle() == [part for part in model.parts if part is not model.parts[period - 3]]


def test_the_errors_are_means_over_what_is_observed() -> None:
    model, validation = selected(naive(3), naive(5)), waves(4)
    model.calibrate(waves(3), validation)
    batch = validation[torch.arange(len(validation))]
    assert batch.future_mask.min() == 0
    expected = [
        float((part.predict(batch) - batch.future).abs()[batch.future_mask > 0].mean())
        for part in model.parts
    ]
    assert model.errors.tolist() == pytest.approx(expected)
    first, second = (f"{error:.4g}" for error in expected)
    place = 1 + (expected[1] < expected[0])
    assert str(model) == (
        f"seasonal-naive ({place}), by its error on validation "
        f"({first} seasonal-naive (1), {second} seasonal-naive (2))"
    )


@pytest.mark.parametrize(
    ("errors", "chosen"),
    [
        ([1.0, 1.009, 1.02], [0, 1]),
        ([1.009, 3.0, 1.0], [0, 2]),
        ([1.02, 1.0, 1.011], [1]),
        ([2.0, 2.0, 2.0], [0, 1, 2]),
        ([0.0, 0.0, 1e-9], [0, 1]),
    ],
)
def test_candidates_within_a_hundredth_are_averaged(monkeypatch, errors, chosen) -> None:
    model, batch = selected(naive(3), naive(4), naive(5)), waves(7)[torch.arange(5)]
    found = torch.tensor(errors, dtype=torch.float64)
    monkeypatch.setattr("forecaster.models.selected.mean_errors", lambda *_: found)
    model.calibrate(waves(3), waves(3))
    forecasts = [model.parts[place].predict(batch) for place in chosen]
    torch.testing.assert_close(model.predict(batch), sum(forecasts) / len(chosen))
    names = [f"seasonal-naive ({place + 1})" for place in chosen]
    assert model.choice == " and ".join(names)
    assert model.idle() == [part for k, part in enumerate(model.parts) if k not in chosen]
    beginning = (
        f"{names[0]}, by its error"
        if len(chosen) == 1
        else (f"mean of {' and '.join(names)}, level in their errors")
    )
    assert str(model).startswith(f"{beginning} on validation ({errors[0]:.4g} seasonal-naive (1), ")


def test_the_choice_is_stored_with_the_weights() -> None:
    candidates = ({"name": "linear"}, {"name": "sorted-levels"})
    model, batch = selected(*candidates), waves(3)[torch.arange(5)]
    model.chosen.copy_(torch.tensor([0.0, 1.0]))
    again = selected(*candidates)
    assert again.choice == "linear"
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.predict(batch), model.parts[1].predict(batch))
    assert not torch.equal(again.predict(batch), model.parts[0].predict(batch))
    assert again.names == ["linear", "sorted-levels"]
    assert again.choice == "sorted-levels"


def test_a_model_saved_before_several_were_chosen_forecasts_as_ever() -> None:
    """That is, by the best alone, however near another one is."""
    candidates = ({"name": "linear"}, {"name": "sorted-levels"})
    model, batch = selected(*candidates), waves(3)[torch.arange(5)]
    model.errors.copy_(torch.tensor([1.0001, 1.0]))
    state = {name: value for name, value in model.state_dict().items() if name != "chosen"}
    again = selected(*candidates)
    again.load_state_dict(state)
    assert torch.equal(again.predict(batch), model.parts[1].predict(batch))
    assert again.choice == "sorted-levels"


def test_candidates_are_trained_with_their_members() -> None:
    model = selected({"name": "average"}, {"name": "sorted-levels"})
    average, levels = model.parts
    assert model.stages() == [*average.members, average, levels]


def test_selections_are_found_by_their_place_in_the_configuration() -> None:
    config = ResidualBootstrapConfig.model_validate({"base": {"name": "selected"}})
    [(key, selection)] = selections(build(config, SHAPE))
    assert key == "model.base"
    assert selection.names == ["average of linear", "average of sorted-levels"]
    assert [key for key, _ in selections(selected(naive(3), naive(4)))] == ["model"]


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
