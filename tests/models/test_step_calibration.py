"""The mean error of a network at each step of a path, measured on windows apart and taken out."""

import json
import re

import pytest
import torch
from conftest import SAMPLE, Cli

from forecaster.config.parts import build
from forecaster.data.windows import Batch, Windows
from forecaster.diffusion.drawing import Draws
from forecaster.models.base import Precursor, Shape
from forecaster.models.diffusion.calibration import StepErrors, step_shifts
from forecaster.models.diffusion.config import DiffusionConfig
from forecaster.models.diffusion.forecaster import Diffusion

K, L, H, T = 2, 12, 4, 5


def windows(rows: int = 300, parts: int = 1) -> Windows:
    draws = torch.randn(parts, rows, K, generator=torch.Generator().manual_seed(3))
    return Windows([each.numpy() for each in draws], [(L, rows)] * parts, L, H, [0] * parts)


def bias(t: int) -> torch.Tensor:
    """Of each channel and lead time, other at every step."""
    return (torch.arange(K * H).view(K, H) + 1.0) * t


def test_a_known_mean_error_is_put_right_exactly() -> None:
    def walked(batch: Batch) -> StepErrors:
        def errors(t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            found = bias(int(t)).expand(len(batch), -1, -1)
            return found, torch.ones_like(found)

        return errors

    shifts = step_shifts(walked, windows(), T)
    assert shifts is not None
    assert float(shifts.means[0].abs().max()) == 0
    for t in range(1, T + 1):
        torch.testing.assert_close(shifts.means[t], bias(t))
        assert float(shifts.before[t - 1]) == pytest.approx(float(bias(t).square().mean()))
    assert bool(shifts.kept.all())
    assert shifts.after.tolist() == pytest.approx([0.0] * T, abs=1e-9)
    assert str(shifts).startswith("the network's mean error is taken out at 5 of 5 steps; ")


def test_without_a_mean_error_nothing_is_kept_that_costs_more() -> None:
    """Errors of mean 0: their mean is within its standard error, and most steps are left alone."""
    source = torch.Generator().manual_seed(0)

    def walked(batch: Batch) -> StepErrors:
        def errors(t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            found = torch.randn(len(batch), K, H, generator=source)
            return found, torch.ones_like(found)

        return errors

    shifts = step_shifts(walked, windows(), 40)
    assert shifts is not None
    assert float(shifts.means.abs().max()) < 4.5 / 128**0.5
    assert int(shifts.kept.sum()) < 10
    assert bool((shifts.after <= shifts.before).all())
    assert bool((shifts.means[1:].flatten(1).any(1) == shifts.kept).all())


def test_what_is_measured_and_what_it_is_tried_on_do_not_overlap() -> None:
    """An error of the earlier windows alone is not kept; missing entries do not count."""
    held, seen = windows(parts=2), list[Batch]()
    middle = held.times.sort().values[len(held) // 2]

    def walked(batch: Batch) -> StepErrors:
        seen.append(batch)
        early = (batch.time < middle).float()[:, None, None]
        mask = torch.ones(len(batch), K, H)
        mask[:, 1] = 0

        def errors(t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            found = early.expand(-1, K, H).clone()
            found[:, 1] = 1e6
            return (found if int(t) == 1 else found.clamp(min=1)), mask

        return errors

    shifts = step_shifts(walked, held, 2)
    assert shifts is not None
    assert shifts.kept.tolist() == [False, True]
    torch.testing.assert_close(shifts.means[2], torch.tensor([[1.0] * H, [0.0] * H]))
    times = torch.cat([batch.time for batch in seen])
    early, late = times[times < middle], times[times >= middle]
    assert int(early.max()) + H <= int(late.min())
    assert {len(early), len(late)} == {128}
    owners = torch.cat([batch.series for batch in seen])
    assert all({0, 1} == set(owners[part].tolist()) for part in (times < middle, times >= middle))
    assert step_shifts(walked, windows(L + H + 10), 2) is None  # too few


class _Biased(torch.nn.Module):
    """A network that says ``bias`` whatever it is given, of noise whose mean is 0."""

    memory = 1

    def forward(self, features: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        out = features.new_zeros(features.shape[:3])
        out[..., -H:] = torch.stack([bias(int(step)) for step in t])
        return out


def model_of(**settings: object) -> Diffusion:
    config = DiffusionConfig.model_validate(
        {
            "schedule": {"name": "ddpm", "steps": T},
            "prior": None,
            "predicts": "noise",
            "network": {"name": "mixer", "width": 4, "layers": 1},
            "condition": {"name": "linear"},
            "label": 0,
            "objective": {"name": "path", "loss": "mse"},
            "sampler": {"steps": T, "point_steps": T},
            **settings,
        }
    )
    torch.manual_seed(0)
    model = build(config, Shape(K, L, H, 6)).eval()
    assert isinstance(model, Diffusion)
    return model


def test_the_output_of_a_network_is_without_its_mean_error_also_after_a_refit() -> None:
    model, held = model_of(), windows()
    model.denoiser.network = _Biased()
    model.calibrate_steps(held)
    shifts = model.denoiser.shifts
    assert shifts is not None
    for t in range(1, T + 1):  # the mean of 128 draws of the noise is within .4 of 0
        torch.testing.assert_close(shifts[t], bias(t), rtol=0, atol=0.4)
    given = torch.zeros(3, K, L, 1 + model.condition.features)
    y_t, steps = torch.zeros(3, K, H), torch.tensor([1, 3, 5])
    out = model.denoiser.output(y_t, y_t, given[..., 1:], steps)
    wanted = torch.stack([bias(int(t)) - shifts[int(t)] for t in steps])
    torch.testing.assert_close(out, wanted)
    again = model_of()
    again.denoiser.network = _Biased()
    again.calibrate_after(Precursor(model, held, held, held))
    assert again.denoiser.shifts is not None
    assert torch.equal(again.denoiser.shifts, shifts)
    model.calibrate_steps(held)  # once more: what was there does not count
    assert model.denoiser.shifts is not None
    assert torch.equal(model.denoiser.shifts, shifts)


def test_shifts_are_saved_with_the_weights_and_without_them_there_are_none() -> None:
    calibrated, plain = model_of(), model_of()
    calibrated.denoiser.shifts = torch.stack([bias(t) for t in range(T + 1)])
    batch = windows()[torch.tensor([0, 40])]
    draws = Draws(3, [1, 2])
    assert not torch.equal(calibrated.sample(batch, draws), plain.sample(batch, draws))
    assert "denoiser.shifts" not in plain.state_dict()
    loaded = model_of()
    loaded.load_state_dict(calibrated.state_dict())
    assert torch.equal(loaded.sample(batch, draws), calibrated.sample(batch, draws))
    loaded.load_state_dict(plain.state_dict())
    assert torch.equal(loaded.sample(batch, draws), plain.sample(batch, draws))


@pytest.mark.slow
def test_train_calibrates_says_so_and_saves_it(cli: Cli, tmp_path) -> None:
    usual = ["--csv", SAMPLE, "--target", "temp_max", "--horizon", 7, "--lookback", 28, "--json"]
    short = [f"trainer.{key}" for key in ("max_epochs=1", "stage_epochs=1", "epoch_batches=2")]
    short += ["trainer.score_windows=2", "trainer.point_windows=4", "trainer.calibrate=true"]
    usual += [word for each in short for word in ("--set", each)]
    steps = [f"model.{key}=4" for key in ("schedule.steps", "sampler.steps", "sampler.point_steps")]
    walk = [word for each in steps for word in ("--set", each)]
    done = cli("train", "timediff", *usual, *walk, "--output", tmp_path / "model")
    told = re.search(r"model: the network's mean error is taken out at (\d+) of", done.stderr)
    assert told is not None
    run_id = json.loads(done.stdout)["run_id"]
    runs = json.loads(cli("runs", "list", "--json").stdout)["runs"]
    (metrics,) = (run["metrics"] for run in runs if run["run_id"] == run_id)
    assert metrics["calibration/after"] <= metrics["calibration/before"]
    assert metrics["calibration/steps"] == int(told[1])
    cli("forecast", "--model", tmp_path / "model", "--csv", SAMPLE, "--output", tmp_path / "f.csv")
    plain = cli("train", "nlinear", *usual, "--refit", "none")
    assert "note: trainer.calibrate changes nothing: the model walks no path" in plain.stderr
