"""Cross-fitting of a bridge's prior: residuals as out of sample, in training alone."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from bridges import Kept, bridge_of, same, trained

from forecaster.config.load import find_config, load_config
from forecaster.config.schema import Config
from forecaster.data.problem import Problem, load_problem
from forecaster.data.windows import Batch, Windows
from forecaster.errors import UserError
from forecaster.models.base import Precursor
from forecaster.models.bootstrap.calibrator import Centred
from forecaster.models.copula import ResidualCopula
from forecaster.models.copula.forecaster import Chart
from forecaster.models.diffusion.config import DiffusionConfig
from forecaster.models.diffusion.forecaster import Diffusion
from forecaster.models.folds import Folds, blocks_of
from forecaster.models.prior import PointForecaster
from forecaster.training import fit as fit_module
from forecaster.training import warm
from forecaster.training.fit import window_data
from forecaster.training.progress import Silent
from forecaster.training.refit import refit
from forecaster.training.stages import train_stages

L, H = 14, 3
SMALL = (
    "trainer.accelerator=cpu",
    "trainer.max_epochs=2",
    "trainer.epoch_batches=4",
    "trainer.stage_epochs=2",
    "trainer.stage_batches=4",
    "trainer.validation_windows=20",
    "model.prior.base={name: linear, norm: none}",
    "model.network.width=8",
    "model.network.layers=1",
    "model.prior.paths=40",
    "model.objective.select_by=path",
)
FOLDS = "model.prior_folds=3"


def problem_of(
    folder: Path, *settings: str, lookback: int = L, rows: int = 200
) -> tuple[Config, Problem]:
    """A week's season with noise."""
    days, noise = pd.date_range("2023-01-01", periods=rows), np.random.default_rng(0)
    values = np.sin(2 * np.pi * np.arange(rows) / 7) + 0.3 * noise.normal(size=rows)
    path = folder / "weeks.csv"
    pd.DataFrame({"day": days, "value": values}).to_csv(path, index=False)
    data = [f"data.csv={path}", f"data.horizon={H}", f"data.lookback={lookback}"]
    config = load_config(find_config("s2dbm"), [*data, *SMALL, *settings])
    return config, load_problem(config.data)


# --- blocks


def test_each_window_is_of_one_block_and_no_other_window_holds_its_targets() -> None:
    """Row by row, of two series that begin and end at different times."""
    series = [np.zeros((rows, 1)) for rows in (90, 60)]
    windows = Windows(series, [(10, 90), (10, 60)], 10, 4, [1000, 1040])
    blocks = blocks_of(windows, 3)
    of = [
        next(place for place, block in enumerate(blocks) if block.first <= time < block.end)
        for time in windows.times.tolist()
    ]
    counts = [of.count(place) for place in range(3)]
    assert sum(counts) == len(windows)
    assert max(counts) - min(counts) <= 2
    for place, block in enumerate(blocks):
        held = windows.times[torch.tensor(of) == place].tolist()
        targets = {time + lead for time in held for lead in range(4)}
        free = [targets.isdisjoint(range(time - 10, time + 4)) for time in windows.times.tolist()]
        assert block.others(windows).tolist() == np.flatnonzero(free).tolist()
        assert 0 < sum(free) < len(windows) - len(held)


def test_of_few_times_there_are_few_blocks() -> None:
    windows = Windows([np.zeros((8, 1))] * 9, [(4, 8)] * 9, 4, 3, [0] * 9)
    assert [(block.first, block.end) for block in blocks_of(windows, 5)] == [(4, 5), (5, 6)]


class Constant(PointForecaster):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def predict_with_label(self, batch: Batch) -> torch.Tensor:
        return torch.full_like(batch.future, self.value)


def test_each_window_is_forecast_by_the_model_of_its_block() -> None:
    windows = Windows([np.zeros((40, 2))], [(4, 40)], 4, 3, [100])
    blocks = blocks_of(windows, 4)
    folds = Folds(blocks, [Constant(value) for value in range(4)])
    batch = windows[torch.randperm(len(windows))]
    found = folds.predict_with_label(batch)
    for value, time in zip(found[:, 1, 2].tolist(), batch.time.tolist(), strict=True):
        assert blocks[int(value)].first <= time < blocks[int(value)].end
    assert set(found.flatten().tolist()) == {0.0, 1.0, 2.0, 3.0}


# --- training


class Memory(PointForecaster):
    """Nearly knows the targets of the windows that it was calibrated on; of others nothing: 0."""

    def __init__(self) -> None:
        super().__init__()
        self.known = dict[int, torch.Tensor]()

    def predict_with_label(self, batch: Batch) -> torch.Tensor:
        nothing = torch.zeros_like(batch.future[0])
        return torch.stack([self.known.get(time, nothing) for time in batch.time.tolist()])

    def calibrate(self, train: Windows, validation: Windows) -> None:
        batch = train[torch.arange(len(train))]
        self.known = dict(zip(batch.time.tolist(), 0.9 * batch.future, strict=True))

    def calibrate_after(self, precursor: Precursor) -> None:
        self.calibrate(precursor.train, precursor.validation)


def test_residuals_of_a_prior_that_learns_by_heart_are_those_of_new_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own residuals of training windows are a tenth of the targets; the network learns from all
    of these.
    """
    monkeypatch.setattr(ResidualCopula, "new_base", lambda self: Memory())
    config, problem = problem_of(tmp_path, FOLDS)
    seen = dict[bool, list[torch.Tensor]]({False: [], True: []})
    chart = ResidualCopula.chart

    def kept(self: ResidualCopula, batch: Batch, base: Centred | None = None) -> Chart:
        found = chart(self, batch, base)
        seen[base is not None].append(batch.future - found.centre)
        used = self.base if base is None else base
        assert torch.equal(found.centre, used.predict_with_label(batch) + self.law.mean(batch))
        if base is not None:
            assert not used.predict_with_label(batch).any()
            assert torch.equal(self.base.predict_with_label(batch), 0.9 * batch.future)
        return found

    monkeypatch.setattr(ResidualCopula, "chart", kept)
    model = trained(config, problem, tmp_path / "checkpoints")
    assert model.folds is None
    learnt, validated = (torch.cat(seen[folds]).square().mean() for folds in (True, False))
    assert float(learnt) == pytest.approx(float(validated), rel=0.3)


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Diffusion:
    folder = tmp_path_factory.mktemp("folded")
    return trained(*problem_of(folder, FOLDS), folder / "checkpoints")


def test_without_folds_nothing_changes_and_with_them_the_network_alone(
    folded: Diffusion, tmp_path: Path
) -> None:
    """And a model is saved without them, by the same names."""
    config, problem = problem_of(tmp_path)
    stages = bridge_of(config, problem)
    course = fit_module._Validated(window_data(config, problem))
    train_stages(stages, course, config.trainer, tmp_path / "stages", None, Silent())
    plain = trained(config, problem, tmp_path / "plain")
    assert same(plain, stages)
    assert not same(plain, folded)
    changed = {
        name.split(".")[0]
        for name, value in folded.state_dict().items()
        if not torch.equal(value, plain.state_dict()[name])
    }
    assert "denoiser" in changed
    assert changed <= {"denoiser", "condition", "spread"}


def moments() -> Iterator[tuple[str, int]]:
    """In the prior, in a fold and in the model; epochs have 4 steps."""
    yield from (("prior", 5), ("fold 2 of 3, model", 1), ("fold 2 of 3, model", 4), ("model", 5))


@pytest.mark.parametrize(("part", "step"), moments())
def test_interrupted_anywhere_it_ends_with_the_same_weights(
    folded: Diffusion, tmp_path: Path, part: str, step: int
) -> None:
    config, problem = problem_of(tmp_path, FOLDS)
    with pytest.raises(InterruptedError):
        trained(config, problem, tmp_path / "checkpoints", Kept((part, step)))
    progress = Kept()
    assert same(trained(config, problem, tmp_path / "checkpoints", progress), folded)
    assert ("prior" in progress.titles) == (part == "prior")


def test_a_training_on_all_rows_has_folds_of_its_own(folded: Diffusion, tmp_path: Path) -> None:
    config, problem = problem_of(tmp_path, FOLDS)
    held_out = trained(config, problem, tmp_path / "checkpoints")
    assert same(held_out, folded)
    progress = Kept()
    found = refit(held_out, config, problem, tmp_path / "checkpoints", progress=progress)
    assert [f"refit, fold {n} of 3, model" in progress.titles for n in (1, 2, 3)] == [True] * 3
    assert isinstance(found.model, Diffusion)
    assert list(found.model.state_dict()) == list(held_out.state_dict())


def test_where_a_block_leaves_too_few_windows_residuals_are_the_priors_own(tmp_path: Path) -> None:
    progress = Kept()
    config, problem = problem_of(tmp_path, FOLDS, lookback=60, rows=150)
    found = trained(config, problem, tmp_path / "folds", progress)
    assert progress.lines[:1] == [
        "model.prior_folds: without a block of time there are 0 of 43 windows to learn from, too "
        "few; residuals are those of the prior itself"
    ]
    config, problem = problem_of(tmp_path, lookback=60, rows=150)
    assert same(found, trained(config, problem, tmp_path / "none"))


def test_from_earlier_weights_there_are_no_folds(folded: Diffusion, tmp_path: Path) -> None:
    """They have learnt from all blocks."""
    config, problem = problem_of(tmp_path, FOLDS)
    (tmp_path / "c").mkdir()
    warm.keep(folded, tmp_path / "c")
    progress = Kept()
    trained(config, problem, tmp_path / "c", progress)
    assert progress.titles == ["prior", "model"]


def test_folds_are_refused_where_nothing_is_learnt_from_residuals(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^model.prior_folds: .*; give model.coordinates residual"):
        DiffusionConfig(prior_folds=2)
    DiffusionConfig()
