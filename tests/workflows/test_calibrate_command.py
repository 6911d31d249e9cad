"""``calibrate``: a saved diffusion model without the mean errors of its network."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Cli

import forecaster
from forecaster.api.model import Model
from forecaster.data.problem import load_problem
from forecaster.errors import UserError
from forecaster.inference.saved_model import SavedModel, digest, load_model, save_model
from forecaster.models.diffusion.forecaster import Diffusion

STEPS = 4
SHORT = {
    "trainer.max_epochs": 1,
    "trainer.stage_epochs": 1,
    "trainer.epoch_batches": 2,
    "trainer.stage_batches": 2,
    "trainer.point_windows": 8,
    "trainer.score_windows": 4,
    "trainer.score_samples": 10,
    "model.schedule.steps": STEPS,
    "model.sampler.steps": STEPS,
    "model.sampler.point_steps": STEPS,
}
SIZES = {"horizon": 4, "lookback": 12, "seasons": 1}


def rising(rows: int) -> pd.DataFrame:
    """Two series whose windows look alike, so that a network errs on the later as on the earlier."""
    source, steps = np.random.default_rng(0), np.arange(rows)
    values = {"up": steps, "down": -2.0 * steps}
    noise = {name: source.normal(size=rows) for name in values}
    columns = {name: (each + noise[name]).round(3) for name, each in values.items()}
    return pd.DataFrame({"date": pd.date_range("2020-01-01", periods=rows), **columns})


def train(
    csv: Path | pd.DataFrame, model: str, output: Path | None = None, **further: Any
) -> Model:
    settings = {**SHORT, **further}
    return forecaster.train(
        csv, model=model, **SIZES, settings=settings, output=output, tracking=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file, and a model trained on it."""
    folder = tmp_path_factory.mktemp("calibrate")
    rising(400).to_csv(folder / "rise.csv", index=False)
    train(folder / "rise.csv", "timediff", folder / "model")
    return folder


@pytest.fixture(scope="module")
def done(cli: Cli, folder: Path) -> str:
    """The output of the command on that model."""
    return cli("calibrate", folder / "model", "--output", folder / "done").stdout


def test_the_calibrated_model_is_the_one_that_a_training_with_calibration_makes(
    folder: Path, done: str
) -> None:
    train(folder / "rise.csv", "timediff", folder / "trained", **{"trainer.calibrate": True})
    assert digest(folder / "done") == digest(folder / "trained") != digest(folder / "model")
    records = [
        json.loads((folder / name / "metadata.json").read_text()) for name in ("done", "trained")
    ]
    own = {"run_id", "metrics"}
    ours, theirs = ({key: each[key] for key in each if key not in own} for each in records)
    assert ours == theirs
    ours, theirs = (each["metrics"] for each in records)
    assert {**ours, "train_seconds": theirs["train_seconds"]} == theirs


def test_the_command_says_what_it_found_at_each_step(cli: Cli, folder: Path, done: str) -> None:
    lines = done.splitlines()
    assert lines[0] == "step  squared error before    after  mean error"
    steps = [re.fullmatch(r" +(\d+) +([\d.]+) +([\d.]+)  kept", line) for line in lines[1:5]]
    assert all(found and float(found[3]) < 0.1 < 1 < float(found[2]) for found in steps)
    assert [found[1] for found in steps if found] == ["1", "2", "3", "4"]
    assert re.fullmatch(
        r"the network's mean error is taken out at 4 of 4 steps; over all steps its mean squared "
        r"error was [\d.]+ and is [\d.]+",
        lines[5],
    )
    assert re.fullmatch("metric, test +before +after +seasonal naive", lines[6])
    rows = {line.split()[0]: [float(each) for each in line.split()[1:]] for line in lines[7:15]}
    before = json.loads((folder / "model" / "metadata.json").read_text())["metrics"]
    after = json.loads((folder / "done" / "metadata.json").read_text())["metrics"]
    assert list(rows)[:5] == ["mase", "mae", "rmse", "wql", "crps"]
    for name, (old, new, _) in rows.items():
        assert (old, new) == pytest.approx(
            (before[f"test/{name}"], after[f"test/{name}"]), rel=5e-4, abs=1e-9
        )
    assert lines[15].startswith("On 8 past windows the forecasts were ")
    assert re.fullmatch("run    [0-9a-f]{32}", lines[-2])
    assert lines[-1] == f"model  {folder / 'done'}"


def test_the_run_is_a_training_with_its_errors_by_step(cli: Cli, folder: Path, done: str) -> None:
    run_id = done.splitlines()[-2].split()[1]
    [run] = (
        each
        for each in json.loads(cli("runs", "list", "--json").stdout)["runs"]
        if each["run_id"] == run_id
    )
    earlier = json.loads((folder / "model" / "metadata.json").read_text())
    assert run["params"]["data.sha256"] == earlier["digest"]
    assert run["params"]["trainer.calibrate"] == "True"
    assert run["tags"]["kind"] == "training"
    assert run["tags"]["calibrated"] == str(folder / "model")
    assert "calibrated_from" not in run["tags"]  # the given model has no run
    assert run["metrics"]["calibration/steps"] == STEPS
    assert run["metrics"]["calibration/after"] < 0.1 < run["metrics"]["calibration/before"]
    curves = cli("report", run_id, "--output", folder / "report.html")
    assert (folder / "report.html").is_file(), curves.stderr
    table = folder / "next.csv"
    cli("forecast", "--model", run_id, "--csv", folder / "rise.csv", "--output", table)
    means = pd.read_csv(table).set_index("item_id")["mean"]
    assert np.abs(means["up"] - [400, 401, 402, 403]).max() < 4


def test_calibrating_twice_changes_nothing_and_json_has_every_step(
    cli: Cli, folder: Path, done: str
) -> None:
    again = cli(
        *("calibrate", folder / "done", "--output", folder / "again", "--json"),
        *("--register", "calibrated"),
    )
    assert "note: it was calibrated already: the mean errors are measured anew\n" in again.stderr
    assert digest(folder / "again") == digest(folder / "done")
    found = json.loads(again.stdout)
    assert [each["step"] for each in found["steps"]] == [1, 2, 3, 4]
    assert all(each["kept"] and each["after"] < each["before"] for each in found["steps"])
    assert found["model_dir"] == str(folder / "again")
    assert found["version"] == 1
    runs = {run["run_id"]: run for run in json.loads(cli("runs", "list", "--json").stdout)["runs"]}
    earlier = json.loads((folder / "done" / "metadata.json").read_text())["run_id"]
    assert runs[found["run_id"]]["tags"]["calibrated_from"] == earlier
    # the model that was given is calibrated: its figures do not change
    for name, value in found["metrics_before"].items():
        assert found["metrics"][name] == pytest.approx(value)


def held_out_as(saved: SavedModel, csv: Path, folder: Path, offset: float | None) -> SavedModel:
    """The held-out model saved for a file; its network with an offset, or (None) always 0."""
    data = saved.config.data.model_copy(update={"csv": str(csv)})
    config = saved.config.model_copy(update={"data": data})
    problem, model = load_problem(data), load_model(saved.folder).scored().core
    assert isinstance(model, Diffusion)
    network = model.denoiser.network
    with torch.no_grad():
        for parameter in network.parameters() if offset is None else ():
            parameter.zero_()
        network.output.bias += offset or 0.0
    folder.mkdir()
    record = {"digest": problem.table.digest, "learnt_until": problem.learnt_until()}
    save_model(folder, config, model, problem, saved.held_out, record)
    return load_model(folder)


def core(folder: Path) -> Diffusion:
    found = load_model(folder).core
    assert isinstance(found, Diffusion)
    return found


def test_a_network_with_a_known_offset_is_put_right(cli: Cli, folder: Path, tmp_path: Path) -> None:
    saved, csv = load_model(folder / "model"), folder / "rise.csv"
    above = held_out_as(saved, csv, tmp_path / "above", 3.0)
    below = held_out_as(saved, csv, tmp_path / "below", -3.0)
    cli("calibrate", above.folder, "--output", tmp_path / "right")
    problem = load_problem(below.config.data)
    other = below.core
    assert isinstance(other, Diffusion)
    other.calibrate_steps(problem.windows("validation"))
    ours, theirs = core(tmp_path / "right").denoiser.shifts, other.denoiser.shifts
    assert ours is not None
    assert theirs is not None
    # what is left of both is the mean error of the network without the offset
    torch.testing.assert_close(ours[1:] - 3.0, theirs[1:] + 3.0, rtol=0, atol=1e-4)
    batch = problem.windows("test")[torch.arange(5)]
    right = core(tmp_path / "right").predict(batch)
    torch.testing.assert_close(right, other.predict(batch), rtol=0, atol=1e-3)
    assert float((right - below.core.predict(batch)).abs().max()) < 1e-3


def test_nothing_is_kept_where_the_later_windows_err_the_other_way(
    cli: Cli, folder: Path, tmp_path: Path
) -> None:
    """A network that says 0; the series rise up to the middle of validation, and fall after it."""
    frame = rising(400)
    values = frame[["up", "down"]].to_numpy().copy()
    values[300:] = 2 * values[300] - values[300:]
    frame[["up", "down"]] = values
    frame.to_csv(tmp_path / "turn.csv", index=False)
    saved = load_model(folder / "model")
    held_out_as(saved, tmp_path / "turn.csv", tmp_path / "model", None)
    done = cli("calibrate", tmp_path / "model", "--output", tmp_path / "done")
    *table, outcome, run = done.stdout.splitlines()
    assert len(table) == 1 + STEPS
    assert not any(line.endswith("kept") for line in table)
    assert outcome == (
        "nothing is kept: at none of the 4 steps does the network's mean error on earlier "
        "validation windows lower the squared error on later ones; the model stays as it is"
    )
    assert not (tmp_path / "done").exists()
    run_id = run.split()[1]
    refused = cli("forecast", "--model", run_id, "--csv", tmp_path / "turn.csv", status=1)
    assert "a calibration, which has no model" in refused.stderr
    model = forecaster.load(tmp_path / "model", tracking=False)
    assert model.calibrate() is model


def test_python_gives_the_same_model_and_leaves_the_given_one(folder: Path, done: str) -> None:
    model = forecaster.load(folder / "model", tracking=False)
    before = model.forecast(samples=2).frame
    calibrated = model.calibrate()
    assert digest(calibrated.folder) == digest(folder / "done")
    assert calibrated.run_id is None
    assert calibrated.notes[-1].startswith("the network's mean error is taken out at 4 of 4 steps")
    pd.testing.assert_frame_equal(model.forecast(samples=2).frame, before)
    assert calibrated.metrics["test/mae"] < model.metrics["test/mae"]


@pytest.mark.slow
def test_other_data_are_refused_and_the_remedies_work(
    cli: Cli, folder: Path, done: str, tmp_path: Path
) -> None:
    frame, model = rising(400), folder / "model"
    moved, other = tmp_path / "moved.csv", tmp_path / "other.csv"
    frame.to_csv(moved, index=False)
    frame[:-1].to_csv(other, index=False)
    refused = cli("calibrate", model, "--csv", other, status=1).stderr
    assert refused == (
        f"error: {other}: not what {model} was trained on (SHA-256 differs), so that its "
        "validation rows are others; give that file with --csv, or train on this one: retrain "
        f"{model} --csv {other} --set trainer.calibrate=true\n"
    )
    itself = f"{model}/."
    assert cli("calibrate", model, "--csv", moved, "--output", itself, status=1).stderr == (
        f"error: --output {model}: is the given model itself, which stays as it is; choose another "
        "folder\n"
    )
    cli("calibrate", model, "--csv", moved, "--output", tmp_path / "done")
    assert (tmp_path / "done" / "weights.safetensors").read_bytes() == (
        folder / "done" / "weights.safetensors"
    ).read_bytes()
    remedy = shlex.split(refused.rpartition(": ")[2])
    retrained = cli(*remedy, "--output", tmp_path / "retrained", "--json")
    assert json.loads(retrained.stdout)["model_dir"] == str(tmp_path / "retrained")
    assert core(tmp_path / "retrained").denoiser.shifts is not None


def test_a_frame_in_memory_is_given_in_python(cli: Cli, tmp_path: Path) -> None:
    frame = rising(400)
    model = train(frame, "timediff", **{"trainer.refit": "none"})
    refused = cli("calibrate", model.folder, status=1).stderr
    assert refused == (
        f"error: {model.folder}: trained on a frame in memory, which is not kept; in Python give "
        "it to model.calibrate(frame)\n"
    )
    saved = forecaster.load(model.folder, tracking=False)
    calibrated = saved.calibrate(frame, output=tmp_path / "done")
    assert core(calibrated.folder).denoiser.shifts is not None
    with pytest.raises(UserError, match=r"not what .* was trained on"):
        saved.calibrate(frame[:-1])


def test_too_few_windows_and_other_models_are_refused(
    cli: Cli, folder: Path, tmp_path: Path
) -> None:
    rising(100).to_csv(tmp_path / "short.csv", index=False)
    saved = load_model(folder / "model")
    held_out_as(saved, tmp_path / "short.csv", tmp_path / "short", 0.0)
    few = tmp_path / "short.csv"
    assert cli("calibrate", tmp_path / "short", status=1).stderr == (
        f"error: {few}: its 7 validation windows are too few to measure a network's mean errors "
        "on the earlier and to try them on the later ones; train with more rows, or a shorter "
        "--horizon\n"
    )
    few.rename(tmp_path / "moved.csv")
    assert cli("calibrate", tmp_path / "short", status=1).stderr == (
        f"error: {few}: what {tmp_path / 'short'} was trained on is there no more; say where it is "
        "with --csv\n"
    )
    found = cli("calibrate", tmp_path / "short", "--csv", tmp_path / "moved.csv", status=1).stderr
    assert "its 7 validation windows are too few" in found
    naive = forecaster.train(rising(100), model="seasonal-naive", **SIZES, tracking=False)
    assert cli("calibrate", naive.folder, status=1).stderr == (
        f"error: {naive.folder}: the network of a diffusion model is calibrated, at each step of "
        "its path, and model 'seasonal-naive' is none; give another, as of: train s2dbm\n"
    )


@pytest.mark.slow
def test_a_bridge_in_its_residuals_coordinates_is_calibrated(folder: Path) -> None:
    """Its spread is chosen anew, as a training does after the mean errors are taken out."""
    further = {"trainer.validation_windows": 8, "model.sampler.steps": 2, "trainer.refit": "none"}
    plain, trained = (
        train(folder / "rise.csv", "s2dbm", **further, **{"trainer.calibrate": calibrates})
        for calibrates in (False, True)
    )
    done = plain.calibrate()
    assert done is not plain
    assert digest(done.folder) == digest(trained.folder) != digest(plain.folder)
