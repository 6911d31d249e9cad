"""The training on all rows after a held-out one: its steps, windows, residuals and interruptions."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from forecaster.config.load import find_config, load_config
from forecaster.config.schema import Config
from forecaster.data.frames import read_source
from forecaster.data.problem import Problem, load_problem, rolling_problem
from forecaster.data.tables import read_table
from forecaster.data.windows import Batch, Windows
from forecaster.errors import UserError
from forecaster.evaluation.score import Scoring, score_windows
from forecaster.models.base import Forecaster, Precursor
from forecaster.models.bootstrap import ResidualBootstrap
from forecaster.models.out_of_sample import excess
from forecaster.models.selected import Selected
from forecaster.training.data_module import WindowData
from forecaster.training.fit import fit, new_model, window_data
from forecaster.training.limit import Limit
from forecaster.training.progress import Silent
from forecaster.training.refit import Refitted, refit, scaled, wanted

L, H = 14, 7
TRAINER = ["trainer.accelerator=cpu", "trainer.epoch_batches=4", "trainer.patience=9"]


def problem_of(
    folder: Path, preset: str, *settings: str, rows: int = 200
) -> tuple[Config, Problem]:
    """A week's season with noise, its level higher in the last tenth."""
    draws, t = np.random.default_rng(0).normal(size=rows), np.arange(rows)
    values = np.sin(2 * np.pi * t / 7) + 0.3 * draws + 2 * (t >= 0.9 * rows)
    days = pd.date_range("2023-01-01", periods=rows)
    path = folder / "shifted.csv"
    pd.DataFrame({"day": days, "value": values}).to_csv(path, index=False)
    data = [f"data.csv={path}", f"data.horizon={H}", f"data.lookback={L}"]
    config = load_config(find_config(preset), [*data, *TRAINER, *settings])
    return config, load_problem(config.data)


def both(
    config: Config, problem: Problem, folder: Path, progress: Silent | None = None
) -> tuple[Forecaster, Refitted]:
    """The held-out model, and the one that was then trained on all rows."""
    held_out, watched = new_model(config, problem), progress or Silent()
    fit(held_out, window_data(config, problem), config.trainer, folder, progress=watched)
    return held_out, refit(held_out, config, problem, folder, progress=watched)


def test_steps_follow_the_number_of_windows() -> None:
    assert scaled((0, 1, 10, 7), 1.25) == (0, 1, 12, 9)
    assert scaled((1,), 0.2) == (1,)  # never none where there were some


@pytest.mark.parametrize(
    ("setting", "dataset", "expected"),
    [("auto", None, True), ("auto", "etth1", False), ("all", "etth1", True), ("none", None, False)],
)
def test_a_file_is_learnt_whole_and_a_data_set_by_its_protocol(
    setting: str, dataset: str | None, expected: bool
) -> None:
    config = load_config(find_config("nlinear"), [f"trainer.refit={setting}"])
    data = config.data.model_copy(update={"dataset": dataset})
    assert wanted(config.model_copy(update={"data": data})) is expected


def test_the_refit_is_a_plain_loop_over_all_windows(tmp_path: Path) -> None:
    """The same steps written out: AdamW from the same initial weights, on every window once an
    epoch, as many steps as the best weights of the held-out fit had, times the windows' ratio.
    """
    config, problem = problem_of(tmp_path, "nlinear", "trainer.max_epochs=5")
    held_out, found = both(config, problem, tmp_path / "checkpoints")
    best = torch.load(tmp_path / "checkpoints" / "stage0" / "done.ckpt", weights_only=True)
    train, rows = problem.windows("train"), problem.on_all_rows().windows("train")
    assert (len(train), len(rows)) == (140 - L - H + 1, 200 - L - H + 1)
    steps = round(best["global_step"] * len(rows) / len(train))
    assert found.held_out_steps == (best["global_step"],)
    assert found.steps == (steps,)

    model = new_model(config, problem)
    data = WindowData(rows, rows, config.trainer.batch_size, config.trainer.seed)
    optimiser = torch.optim.AdamW(
        model.parameters(), config.trainer.learning_rate, weight_decay=config.trainer.weight_decay
    )
    done, epoch = 0, 0
    while done < steps:
        data.sampler.set_epoch(epoch)
        for _, batch in zip(range(4), data.train_dataloader(), strict=False):
            if done < steps:
                optimiser.zero_grad()
                model.loss(batch).backward()
                optimiser.step()
                done += 1
        epoch += 1
    for name, value in model.state_dict().items():
        torch.testing.assert_close(found.model.state_dict()[name], value)
        assert not torch.equal(value, held_out.state_dict()[name])


def test_a_part_of_an_epoch_is_enough(tmp_path: Path) -> None:
    """Two steps of three, so that no epoch's end writes a checkpoint."""
    settings = ("trainer.max_steps=1", "trainer.batch_size=64")
    _, found = both(*problem_of(tmp_path, "nlinear", *settings), tmp_path / "checkpoints")
    assert (found.held_out_steps, found.steps) == ((1,), (2,))


def test_where_the_initial_weights_were_best_they_are_kept(tmp_path: Path) -> None:
    config, problem = problem_of(
        tmp_path, "nlinear", "trainer.max_epochs=2", "trainer.learning_rate=1e3"
    )
    _, found = both(config, problem, tmp_path / "checkpoints")
    assert (found.held_out_steps, found.steps) == ((0,), (0,))
    initial = new_model(config, problem).state_dict()
    assert all(
        torch.equal(value, initial[name]) for name, value in found.model.state_dict().items()
    )


def test_what_was_not_selected_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecaster.models.selected._LEVEL", 1.0)
    settings = (
        "model={name: selected, candidates: [{name: linear, norm: none}, {name: linear}]}",
        "trainer.stage_epochs=1",
    )
    config, problem = problem_of(tmp_path, "nlinear", *settings)
    held_out, found = both(config, problem, tmp_path / "checkpoints")
    assert isinstance(held_out, Selected)
    assert isinstance(found.model, Selected)
    assert held_out.choice == found.model.choice == "linear (2)"
    assert found.held_out_steps == (0, 4, 0)
    assert found.steps == (0, 6, 0)
    start = new_model(config, problem)
    unused, used = (
        torch.equal(old.layer.weight, new.layer.weight)
        for old, new in zip(start.parts, found.model.parts, strict=True)
    )
    assert (unused, used) == (True, False)


def test_a_refit_that_diverges_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, problem = problem_of(tmp_path, "nlinear", "trainer.max_epochs=1")
    held_out = new_model(config, problem)
    fit(
        held_out,
        window_data(config, problem),
        config.trainer,
        tmp_path / "checkpoints",
        progress=Silent(),
    )
    monkeypatch.setattr(
        type(held_out), "loss", lambda self, batch: self.layer.weight.sum() * torch.nan
    )
    with pytest.raises(UserError, match=r"on all rows diverged.*--refit none"):
        refit(held_out, config, problem, tmp_path / "checkpoints", progress=Silent())


class Interrupting(Silent):
    """Stops after a step of the part ``title``, as a signal does."""

    def __init__(self, title: str, step: int) -> None:
        self.title, self.step, self.now = title, step, ""

    def start(self, title: str, units: int = 0, epochs: int = 0, done: int = 0) -> None:
        self.now = title

    def advance(self, done: int, detail: str = "") -> None:
        if (self.now, done) == (self.title, self.step):
            raise InterruptedError


BRIDGE = (
    "s2dbm",
    "trainer.max_epochs=3",
    "trainer.stage_epochs=3",
    "trainer.stage_batches=4",
    "model.prior.base={name: average}",
    "trainer.validation_windows=40",
    "trainer.learning_rate=0.001",
    "model.network.width=8",
    "model.network.layers=1",
    "model.prior.paths=40",
    "model.objective.select_by=path",
)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Refitted:
    folder = tmp_path_factory.mktemp("whole")
    return both(*problem_of(folder, *BRIDGE), folder / "checkpoints")[1]


def moments() -> Iterator[tuple[str, int]]:
    """In the first epoch of a part, at an epoch's border, and within a later epoch.

    Epochs have 4 or 6 steps, and the model's last training has one of them.
    """
    for part in ("model", "refit, prior 1 of 2", "refit, model"):
        for step in (1, 4, 6) if part == "refit, model" else (1, 4, 6, 7):
            yield part, step


@pytest.mark.parametrize(("part", "step"), moments())
def test_interrupted_anywhere_it_ends_with_the_same_weights(
    uninterrupted: Refitted, tmp_path: Path, part: str, step: int
) -> None:
    config, problem = problem_of(tmp_path, *BRIDGE)
    with pytest.raises(InterruptedError):
        both(config, problem, tmp_path / "checkpoints", Interrupting(part, step))
    _, found = both(config, problem, tmp_path / "checkpoints")
    assert found.steps == uninterrupted.steps
    expected = uninterrupted.model.state_dict()
    for name, value in found.model.state_dict().items():
        assert torch.equal(value, expected[name]), name


def bootstrap_of(model: Forecaster) -> ResidualBootstrap:
    return next(part for part in model.modules() if isinstance(part, ResidualBootstrap))


class Calibrated(Forecaster):
    """A custom forecaster that stores a number of its calibration in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.register_buffer("size", torch.zeros(()))

    size: torch.Tensor

    def predict(self, batch: Batch, steps: int | None = None) -> torch.Tensor:
        return torch.zeros_like(batch.future)

    def calibrate(self, train: Windows, validation: Windows) -> None:
        self.size.fill_(float(len(train)))


def test_a_custom_calibration_is_the_held_out_models(tmp_path: Path) -> None:
    _, problem = problem_of(tmp_path, "nlinear")
    train, validation, test = (problem.windows(part) for part in ("train", "validation", "test"))
    held_out, refitted = Calibrated(), Calibrated()
    held_out.calibrate(train, validation)
    held_out.weight.data.fill_(3.0)
    refitted.calibrate_after(Precursor(held_out, train, validation, test))
    assert (refitted.size.item(), refitted.weight.item()) == (len(train), 0.0)


def test_a_limit_of_time_ends_it_before_its_last_step_or_not_at_all(tmp_path: Path) -> None:
    config, problem = problem_of(tmp_path, "nlinear", "trainer.max_epochs=4")
    place = tmp_path / "checkpoints"
    held_out, whole = both(config, problem, place)
    assert whole.stopped == ()
    for limit, stopped in ((Limit(-1, -1, float), True), (Limit(9, 9, float), False)):
        shutil.rmtree(place / "refit")
        found = refit(held_out, config, problem, place, progress=Silent(), limit=limit)
        assert found.stopped == (("refit, model in epoch 1 of 6",) if stopped else ())


def test_errors_are_enlarged_as_far_as_they_are_too_small() -> None:
    """Their common mean, which was learnt, is no error to come; nor are smaller ones made of it."""
    theirs = torch.randn(50, 2, 5, generator=torch.Generator().manual_seed(0))
    assert excess(theirs / 4 + 7, theirs - 3) == pytest.approx(4)
    assert excess(4 * theirs, theirs) == 1
    holes = torch.where(theirs > 1, torch.nan, theirs)
    assert excess(holes / 2, holes) == pytest.approx(2)
    assert excess(0 * theirs, theirs) == 1  # learnt by heart: no size to go by


def test_residuals_of_a_refit_are_its_own_in_the_size_out_of_sample(tmp_path: Path) -> None:
    """Those of validation and test windows are enlarged, and counted as out of sample; the widening
    is that of the held-out model.
    """
    config, problem = problem_of(
        tmp_path,
        "residual-bootstrap",
        "trainer.stage_epochs=3",
        "model.residuals=both",
        "model.spread=auto",
        "model.scale_power=auto",
    )
    held_out, refitted = (bootstrap_of(new_model(config, problem)) for _ in range(2))
    with torch.no_grad():
        for weight in held_out.base.parameters():
            weight.normal_(0, 0.2)
    parts = [problem.windows(part) for part in ("train", "validation", "test")]
    held_out.calibrate(*parts[:2])
    refitted.calibrate_after(Precursor(held_out, *parts))

    def errors(model: ResidualBootstrap, windows: Windows) -> torch.Tensor:
        batch = windows[torch.arange(len(windows))]
        with torch.no_grad():
            return batch.future - model.base.predict(batch)

    size = excess(errors(refitted, parts[1]), errors(held_out, parts[1]))
    assert size > 1.1
    sizes = (1.0, size, size)
    own = [factor * errors(refitted, part) for factor, part in zip(sizes, parts, strict=True)]
    bank = refitted.bank
    stored = bank.residuals * bank.factors[bank.owners]
    torch.testing.assert_close(stored, torch.cat(own))
    assert bank.times.tolist() == torch.cat([part.times for part in parts]).tolist()
    assert bank.validated.tolist() == [0.0] * len(parts[0]) + [1.0] * sum(map(len, parts[1:]))
    for ours, theirs in (
        (bank.power, held_out.bank.power),
        (refitted.spread, held_out.spread),
        (refitted.bias, held_out.bias),
    ):
        assert float(ours) == float(theirs)


LINEAR = (
    "residual-bootstrap",
    "model.base.norm=none",
    "model.residuals=validation",
    "trainer.stage_learning_rate=0.01",
    "trainer.stage_epochs=30",
)
S2DBM = (
    "s2dbm",
    "trainer.max_epochs=1",
    "trainer.epoch_batches=20",
    "trainer.stage_epochs=15",
    "trainer.stage_learning_rate=0.01",
    "trainer.validation_windows=64",
    "model.network.width=16",
)


@pytest.mark.parametrize(
    ("preset", "gain"),
    [
        pytest.param(LINEAR, 0.75, id="linear"),
        pytest.param(S2DBM, 1.1, id="s2dbm", marks=pytest.mark.slow),
    ],
)
def test_the_model_in_service_has_learnt_a_shift_in_the_newest_rows(
    tmp_path: Path, preset: tuple[str, ...], gain: float
) -> None:
    """A level that is higher in the newest tenth; then 200 fresh rows.

    A linear model without normalisation cannot know the new level unless it has learnt from it. The
    default's normalisation follows the level: it has nothing to gain, and nothing to lose.
    """
    config, _ = problem_of(tmp_path, *preset)
    rows, fresh = 600, 200
    draws, t = np.random.default_rng(0).normal(size=rows + fresh), np.arange(rows + fresh)
    values = 10 + 2 * np.sin(2 * np.pi * t / 7) + 0.5 * draws + 4 * (t >= 0.9 * rows)
    days = pd.date_range("2020-01-01", periods=rows + fresh)
    whole = read_table(
        read_source(pd.DataFrame({"day": days, "value": values})), config.data.columns
    )
    known = replace(whole.series[0], values=whole.series[0].values[:rows])
    problem = load_problem(config.data, replace(whole, series=(known,)))
    held_out, refitted = both(config, problem, tmp_path / "checkpoints")
    later = rolling_problem(config.data, whole, fresh - H + 1, 1, {"": problem.scaling[0]})
    before, after = (
        score_windows(model, later, later.windows("test"), Scoring("probabilistic", 100)).pooled()
        for model in (held_out, refitted.model)
    )
    assert after["mae"] < gain * before["mae"]
    assert 0.85 < after["coverage/90"] < 0.98
