"""A fit that a limit of time stops or suspends."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from forecaster.config.parts import build
from forecaster.config.schema import TrainerConfig
from forecaster.data.windows import Windows
from forecaster.models.base import Forecaster, Shape
from forecaster.models.bootstrap import ResidualBootstrapConfig
from forecaster.models.linear import LinearConfig
from forecaster.training import fit as fitting
from forecaster.training.data_module import WindowData
from forecaster.training.fit import fit
from forecaster.training.limit import Limit
from forecaster.training.patience import Patience
from forecaster.training.progress import Silent
from forecaster.training.stages import OutOfTimeError, _Stop

BATCHES = 8


class Ticking:
    """A clock that goes on by a second whenever it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def new_limit(seconds: float, suspends: bool = False) -> Limit:
    return Limit(seconds, seconds, Ticking(), suspends)


def fitted(
    folder: Path, limit: Limit | None, staged: bool = False, **settings: float
) -> tuple[Forecaster, list[str], list[float], WindowData]:
    """The model, what was stopped, the losses of the epochs, and the data.

    ``staged``: it is trained in a stage before another one.
    """
    series = np.random.default_rng(0).standard_normal((500, 2)).cumsum(0)
    train, validation = (
        Windows([series], [part], 20, 5, [0]) for part in ((20, 24 + 16 * BATCHES), (200, 304))
    )
    torch.manual_seed(0)
    alone = LinearConfig()
    model = build(ResidualBootstrapConfig(base=alone) if staged else alone, Shape(2, 20, 5, 7))
    assert isinstance(model, Forecaster)
    data, losses = WindowData(train, validation, 16, 0), []
    config = TrainerConfig(accelerator="cpu", patience=99, **settings)
    stopped = fit(
        model,
        data,
        config,
        folder,
        lambda found, epoch: losses.extend(v for k, v in found.items() if k == "val/loss"),
        Silent(),
        limit,
    )
    return model, stopped, losses, data


def weights(model: Forecaster) -> torch.Tensor:
    return torch.cat([value.flatten() for value in model.state_dict().values()])


def test_before_the_end_of_the_first_epoch_it_uses_the_steps_that_it_made(tmp_path: Path) -> None:
    model, stopped, losses, _ = fitted(tmp_path / "limited", new_limit(12), max_epochs=50)
    assert stopped == ["model in epoch 1 of 50"]
    assert len(losses) == 1
    steps = torch.load(tmp_path / "limited/stage0/last.ckpt", weights_only=True)["global_step"]
    assert 0 < steps < BATCHES
    expected, *_ = fitted(tmp_path / "steps", None, max_steps=steps)
    assert torch.equal(weights(model), weights(expected))


def test_it_ends_with_the_best_weights_so_far(tmp_path: Path) -> None:
    """At this rate the losses go up and down."""
    model, stopped, losses, data = fitted(
        tmp_path, new_limit(60), max_epochs=50, learning_rate=0.03
    )
    assert stopped == [f"model in epoch {len(losses)} of 50"]
    assert 2 < len(losses) < 50
    assert losses.index(min(losses)) < len(losses) - 1
    with torch.no_grad():
        scores = [(float(model.score(batch)), len(batch)) for batch in data.val_dataloader()]
    mean = sum(score * count for score, count in scores) / sum(count for _, count in scores)
    assert mean == pytest.approx(min(losses), rel=1e-5)


def test_a_limit_that_is_over_leaves_one_step(tmp_path: Path) -> None:
    _, stopped, losses, _ = fitted(tmp_path, new_limit(-5), max_epochs=50)
    assert stopped == ["model in epoch 1 of 50"]
    assert len(losses) == 1
    assert torch.load(tmp_path / "stage0/last.ckpt", weights_only=True)["global_step"] == 1


def test_one_that_is_not_reached_changes_nothing(tmp_path: Path) -> None:
    model, stopped, _, _ = fitted(tmp_path / "limited", new_limit(1000), max_epochs=3)
    assert stopped == []
    expected, *_ = fitted(tmp_path / "free", None, max_epochs=3)
    assert torch.equal(weights(model), weights(expected))


def test_a_suspended_fit_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    for _ in range(2):  # each call gets one epoch further
        with pytest.raises(OutOfTimeError, match=r"^time limit of 1 s: suspended$"):
            fitted(tmp_path / "parted", new_limit(0, suspends=True), max_epochs=4)
    last = torch.load(tmp_path / "parted/stage0/last.ckpt", weights_only=True)
    assert last["epoch"] == 1
    model, stopped, losses, _ = fitted(tmp_path / "parted", None, max_epochs=4)
    assert (stopped, len(losses)) == ([], 2)
    expected, *_ = fitted(tmp_path / "whole", None, max_epochs=4)
    assert torch.equal(weights(model), weights(expected))


@pytest.mark.parametrize(("step", "at_end"), [(4, False), (5, True)])
def test_the_last_of_a_number_of_steps_is_no_stop(step: int, at_end: bool, tmp_path: Path) -> None:
    trainer = SimpleNamespace(
        strategy=SimpleNamespace(broadcast=bool),
        global_step=step,
        max_steps=5,
        num_training_batches=8,
        current_epoch=0,
        max_epochs=1,
        is_global_zero=True,
        should_stop=False,
    )
    stop = _Stop(new_limit(-5), tmp_path / "stage0" / "stopped", "model")
    stop.on_train_batch_end(trainer, None, None, None, step - 1)  # type: ignore[arg-type]
    assert trainer.should_stop is not at_end
    assert (tmp_path / "stage0" / "stopped").exists() is not at_end


def test_a_suspended_fit_goes_on_with_its_average_of_the_weights(tmp_path: Path) -> None:
    settings = {"max_epochs": 4, "weight_average": 0.9}
    with pytest.raises(OutOfTimeError):
        fitted(tmp_path / "parted", new_limit(0, suspends=True), **settings)
    model, *_ = fitted(tmp_path / "parted", None, **settings)
    expected, *_ = fitted(tmp_path / "whole", None, **settings)
    assert torch.equal(weights(model), weights(expected))


def test_what_is_saved_is_the_moving_average_of_the_weights(tmp_path: Path) -> None:
    """After n steps n/(n + 9) of what there was, at most ``weight_average``, and the rest of w_n.

    With .25 these are 1, 2/11, 3/12, 1/4 and 1/4.
    """
    average = torch.zeros(0)
    for steps in range(1, 6):
        settings = {"max_steps": steps, "learning_rate": 0.03}
        model, *_ = fitted(tmp_path / f"plain{steps}", None, **settings)
        step = weights(model)
        share = min(steps / (steps + 9), 0.25)
        average = step if steps == 1 else share * average + (1 - share) * step
        found, *_ = fitted(tmp_path / f"average{steps}", None, weight_average=0.25, **settings)
        torch.testing.assert_close(weights(found), average)


def test_the_weights_of_a_stage_before_it_are_not_averaged(tmp_path: Path) -> None:
    settings = {"stage_epochs": 1, "stage_batches": 4, "learning_rate": 0.03}
    model, *_ = fitted(tmp_path / "plain", None, True, **settings)
    found, *_ = fitted(tmp_path / "average", None, True, weight_average=0.25, **settings)
    assert torch.equal(weights(found.base), weights(model.base))


def test_a_thousandth_counts_of_averaged_weights_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    class Seen(Patience):
        def __init__(self, monitor: str, patience: int, averaged: bool) -> None:
            seen.append(averaged)
            super().__init__(monitor, patience, averaged)

    monkeypatch.setattr(fitting, "Patience", Seen)
    fitted(tmp_path / "average", None, weight_average=0.25, max_epochs=1)
    fitted(tmp_path / "stage", None, True, weight_average=0.25, stage_epochs=1)
    fitted(tmp_path / "plain", None, max_epochs=1)
    assert seen == [True, False, False]
