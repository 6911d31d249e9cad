"""Fits that can be interrupted, repeated, saved and loaded."""

import hashlib
import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import SAMPLE, Cli, inside, wait_for_epoch
from filelock import FileLock
from safetensors.torch import load_file, save_file
from torch import Tensor

from forecaster.config.load import find_config, load_config
from forecaster.config.parts import build
from forecaster.config.schema import Columns, TrainerConfig
from forecaster.data.problem import load_problem
from forecaster.data.reading import file_digest
from forecaster.data.tables import read_table
from forecaster.data.windows import Windows
from forecaster.diffusion.drawing import Draws
from forecaster.errors import UserError
from forecaster.evaluation.metrics import QUANTILES
from forecaster.inference.forecasts import forecast_table
from forecaster.inference.predictor import PredictionRequest, SavedPredictor
from forecaster.inference.saved_model import FILES, load_model, save_model
from forecaster.io.atomic import check_model_folder, whole_folder, write_together
from forecaster.models.base import Shape
from forecaster.models.held_out import held_out_errors
from forecaster.models.linear import LinearConfig
from forecaster.training.data_module import WindowData
from forecaster.training.fit import fit
from forecaster.training.progress import Stopwatch
from forecaster.training.stages import StepSeed
from forecaster.workflows import train as training

TINY = [
    "data.csv=" + str(SAMPLE),
    "data.horizon=7",
    "data.lookback=28",
    "model.network.layers=1",
    "model.sampler.steps=2",
    "model.schedule.steps=5",
    "trainer.max_steps=8",
    "model.prior.base={name: average}",
    "trainer.stage_epochs=1",
    "trainer.stage_batches=30",
    "trainer.accelerator=cpu",
    "trainer.validation_windows=32",
    "model.network.width=16",
    "model.network.step_embedding=8",
]


@pytest.fixture(scope="module")
def trained():
    config = load_config(find_config("s2dbm"), TINY)
    problem = load_problem(config.data)
    return config, problem


def fitted(config, problem, folder: Path):
    torch.manual_seed(config.trainer.seed)
    data, series = config.data, len(problem.table.series)
    shape = Shape(problem.channels, data.lookback, data.horizon, 7, series=series)
    model = build(config.model, shape)
    data = WindowData(
        problem.windows("train"), problem.windows("validation"), 32, config.trainer.seed, 32
    )
    fit(model, data, config.trainer, folder)
    return model


def test_same_seed_same_weights_other_seed_other_weights(trained, tmp_path) -> None:
    config, problem = trained
    first, second = fitted(config, problem, tmp_path / "a"), fitted(config, problem, tmp_path / "b")
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    other = config.model_copy(update={"trainer": config.trainer.model_copy(update={"seed": 1})})
    third = fitted(other, problem, tmp_path / "c")
    assert not torch.equal(
        first.prior.base.members[0].layer.weight, third.prior.base.members[0].layer.weight
    )


def test_prior_is_trained_first_and_kept(trained, tmp_path) -> None:
    config, problem = trained
    model = fitted(config, problem, tmp_path)
    alone = torch.load(tmp_path / "stage0" / "done.ckpt", weights_only=True)["state_dict"]
    assert torch.equal(model.prior.base.members[0].layer.weight, alone["model.layer.weight"])


def test_saved_model_forecasts_as_before(trained, tmp_path) -> None:
    config, problem = trained
    model = fitted(config, problem, tmp_path / "fit")
    folder = tmp_path / "model"
    folder.mkdir()
    errors = held_out_errors(model, problem, config.trainer)
    save_model(folder, config, model, problem, errors, {"run_id": "x"})
    saved = load_model(folder)
    batch = problem.windows("test")[torch.arange(5)]
    with torch.no_grad():
        assert torch.equal(saved.model.predict(batch), model.predict(batch))
        draws = Draws(3, range(5))
        assert torch.equal(saved.model.sample(batch, draws), model.sample(batch, draws))
    weights = load_file(folder / "weights.safetensors")
    assert all(value.device.type == "cpu" for value in weights.values())
    assert {p.name for p in folder.iterdir()} == {
        "config.yaml",
        "weights.safetensors",
        "calibration.safetensors",
        "scaling.json",
        "schema.json",
        "metadata.json",
    }
    if torch.cuda.is_available():
        moved = load_model(folder, "cuda")
        torch.testing.assert_close(
            moved.model.predict(batch.to("cuda")).cpu(), model.predict(batch), rtol=1e-3, atol=1e-4
        )


@pytest.fixture(scope="module")
def saved_folder(trained, tmp_path_factory) -> Path:
    config, problem = trained
    base = tmp_path_factory.mktemp("saved")
    model = fitted(config, problem, base / "fit")
    (base / "model").mkdir()
    errors = held_out_errors(model, problem, config.trainer)
    save_model(base / "model", config, model, problem, errors, {"run_id": "x"})
    return base / "model"


@pytest.mark.parametrize(
    "name",
    [
        "config.yaml",
        "weights.safetensors",
        "calibration.safetensors",
        "scaling.json",
        "schema.json",
        "metadata.json",
    ],
)
def test_incomplete_or_damaged_models_are_refused(
    saved_folder: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(saved_folder, folder)
    (folder / name).write_bytes((folder / name).read_bytes()[:40])
    with pytest.raises(UserError):
        load_model(folder)
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"incomplete, {name} is missing"):
        load_model(folder)


def test_newer_format_and_foreign_weights_are_refused(saved_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(saved_folder, folder)
    content = json.loads((folder / "metadata.json").read_text())
    (folder / "metadata.json").write_text(json.dumps({**content, "format": 99}))
    with pytest.raises(UserError, match="saved in format 99, this program reads format 2"):
        load_model(folder)
    (folder / "metadata.json").write_text(json.dumps(content))
    torch.save(
        {"evil": torch.zeros(1)}, folder / "weights.safetensors"
    )  # a pickle in the weights' place
    with pytest.raises(UserError, match="damaged or of another model"):
        load_model(folder)


BOMB = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join(8 * ['*' + a])}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGED = "a: &a {x: 1, y: 2, z: 3}\n" + "".join(
    f"{b}: &{b} {{<<: [{', '.join(9 * ['*' + a])}], k{b}: 1}}\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
TAMPERED = [
    ("config.yaml", b"model: !!python/object/apply:os.system ['true']\n", "not a YAML file"),
    ("config.yaml", BOMB.encode() + b"model: *i\n", "its aliases repeat too much"),
    ("config.yaml", MERGED.encode(), "its aliases repeat too much"),
    ("config.yaml", b"a: &a [*a]\n", "nested too deeply"),
    ("config.yaml", b"a: " + b"x" * 1_000_001, "longer than 1000000 letters"),
    ("config.yaml", b"[" * 5000, "nested too deeply"),
    ("metadata.json", b"[" * 100_000, "damaged"),
    ("weights.safetensors", b"\xff" * 8 + b"{}", "its header is longer than it may be"),
    ("scaling.json", b'{"": {"mean": [NaN, 0, 0, 0], "std": [1, 1, 1, 1]}}', "the scaling of ''"),
    ("scaling.json", b'{"": {"mean": [0], "std": [1]}}', "the scaling of ''"),
]


@pytest.mark.parametrize(("name", "content", "message"), TAMPERED)
def test_tampered_models_are_refused_in_one_line(
    saved_folder: Path, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(saved_folder, folder)
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        load_model(folder)
    assert len(str(caught.value)) < 1100


def test_links_out_of_a_model_and_weights_that_are_no_numbers_are_refused(
    saved_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(saved_folder, folder)
    weights = folder / "weights.safetensors"
    save_file(
        {
            name: value * torch.nan if value.is_floating_point() else value
            for name, value in load_file(weights).items()
        },
        weights,
    )
    with pytest.raises(UserError, match="' holds a number that is not finite"):
        load_model(folder)
    weights.unlink()
    weights.symlink_to(saved_folder / "weights.safetensors")
    with pytest.raises(UserError, match="a link to outside the saved model"):
        load_model(folder)


def changed_tensors(folder: Path, change: Callable[[str, Tensor], Tensor], name: str) -> None:
    """A file of tensors rewritten, as if it had been saved so."""
    path, record = folder / name, json.loads((folder / "metadata.json").read_text())
    save_file({key: change(key, value) for key, value in load_file(path).items()}, path)
    record["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "metadata.json").write_text(json.dumps(record))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_no_buffer_is_anything_but_a_number(
    saved_folder: Path, tmp_path: Path, value: float
) -> None:
    tensors = load_file(saved_folder / "weights.safetensors")
    for number, chosen in enumerate(n for n, v in tensors.items() if v.is_floating_point()):
        folder = tmp_path / str(number)
        shutil.copytree(saved_folder, folder)

        def spoil(key: str, tensor: Tensor, chosen: str = chosen) -> Tensor:
            if key == chosen:
                tensor.view(-1)[0] = value
            return tensor

        changed_tensors(folder, spoil, "weights.safetensors")
        with pytest.raises(UserError, match=f"'{chosen}' holds a number that is not finite"):
            load_model(folder)


def test_an_infinite_error_is_refused(saved_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(saved_folder, folder)
    changed_tensors(
        folder,
        lambda key, tensor: tensor / 0 if key == "errors" else tensor,
        "calibration.safetensors",
    )
    with pytest.raises(UserError, match="an error is not finite"):
        load_model(folder)


@pytest.mark.parametrize("mode", ["point", "probabilistic"])
def test_no_forecast_that_is_not_finite_is_written(
    saved_folder: Path, tmp_path: Path, mode: str
) -> None:
    folder, output = tmp_path / "model", tmp_path / "out.csv"
    shutil.copytree(saved_folder, folder)
    changed_tensors(
        folder,
        lambda _, tensor: torch.full_like(tensor, 3e38) if tensor.is_floating_point() else tensor,
        "weights.safetensors",
    )
    told = inside(
        "forecast", "--model", folder, "--csv", SAMPLE, "--mode", mode, "--output", output, status=1
    )
    assert "is not finite: the model's weights are beyond what can be computed with" in told.stderr
    assert not output.exists()


def test_a_flipped_bit_of_any_file_is_refused(saved_folder: Path, tmp_path: Path) -> None:
    names = json.loads((saved_folder / "metadata.json").read_text())["files"]
    assert set(names) == set(FILES) - {"metadata.json"}
    for name in names:
        folder = tmp_path / name
        shutil.copytree(saved_folder, folder)
        content = bytearray((folder / name).read_bytes())
        content[-2 if name.endswith(("json", "yaml")) else -1] ^= 1
        (folder / name).write_bytes(content)
        with pytest.raises(UserError) as caught:
            load_model(folder)
        assert name.split(".")[0] in str(caught.value)
    folder = tmp_path / "weights.safetensors"
    with pytest.raises(UserError, match=r"weights\.safetensors: not as it was saved \(SHA-256\)"):
        load_model(folder)
    record = json.loads((folder / "metadata.json").read_text())
    del record["files"]
    (folder / "metadata.json").write_text(json.dumps(record))
    load_model(folder)  # as of an older program, which kept no checksums


def test_predictor_is_one_of_gluonts(saved_folder: Path) -> None:
    from gluonts.dataset.split import split
    from gluonts.ev.metrics import MSE
    from gluonts.model.evaluation import evaluate_forecasts

    saved = load_model(saved_folder)
    table = read_table(SAMPLE, Columns())
    predictor = SavedPredictor(saved, PredictionRequest("probabilistic", samples=4))
    _, template = split(table, offset=-14)
    pairs = template.generate_instances(7, windows=2)
    forecasts = list(predictor.predict(pairs.input))
    assert [f.samples.shape for f in forecasts] == [(4, 7, 4)] * 2
    truth = np.stack([label["target"].T for label in pairs.label])
    found = evaluate_forecasts(forecasts, test_data=pairs, metrics=[MSE()], axis=None)
    assert float(found["MSE[mean]"].iloc[0]) == pytest.approx(
        ((np.stack([f.mean for f in forecasts]) - truth) ** 2).mean(), rel=1e-4
    )


def test_forecast_does_not_depend_on_batches_or_on_the_order_of_series(trained, tmp_path) -> None:
    config, _ = trained
    import pandas as pd

    days = pd.date_range("2024-01-01", periods=90)
    rows = {
        shop: [f"{d:%Y-%m-%d},{shop},{(n * (i + 3)) % 11 + i}" for n, d in enumerate(days)]
        for i, shop in enumerate(["zoo", "ark", "elk"])
    }
    paths = []
    for order in (["zoo", "ark", "elk"], ["elk", "zoo", "ark"]):
        path = tmp_path / f"{order[0]}.csv"
        path.write_text(
            "day,shop,sales\n" + "\n".join(line for shop in order for line in rows[shop]) + "\n"
        )
        paths.append(path)
    long = config.model_copy(update={"data": config.data.model_copy(update={"csv": str(paths[0])})})
    problem = load_problem(long.data)
    model = fitted(long, problem, tmp_path / "fit")
    folder = tmp_path / "model"
    folder.mkdir()
    save_model(folder, long, model, problem, held_out_errors(model, problem, long.trainer), {})
    saved = load_model(folder)
    results = []
    for path, batch_size in zip(paths, (16, 1), strict=True):
        request = PredictionRequest("probabilistic", samples=9, batch_size=batch_size)
        found, _ = forecast_table(saved, read_table(path, Columns()), request)
        assert list(dict.fromkeys(found["item_id"])) == (
            ["zoo", "ark", "elk"] if batch_size == 16 else ["elk", "zoo", "ark"]
        )
        results.append(
            found.sort_values(["item_id", "timestamp"]).set_index(["item_id", "timestamp"])
        )
    np.testing.assert_allclose(results[0], results[1], rtol=1e-4, atol=1e-5)
    assert list(results[0].columns) == ["mean", "0.05", "0.5", "0.95"]


def test_quantile_levels_asked_for_metrics_lie_within_the_models() -> None:
    levels = load_config(find_config("quantile-linear")).model.levels
    assert levels[0] <= QUANTILES[0]
    assert levels[-1] >= QUANTILES[-1]


def test_files_appear_together_or_not_at_all(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device", str(path))

    with pytest.raises(UserError, match="No space left on device"):
        write_together(
            {tmp_path / "a.csv": lambda p: p.write_text("whole"), tmp_path / "b.json": fail}
        )
    assert list(tmp_path.iterdir()) == []
    with (
        pytest.raises(UserError, match="No space left"),
        whole_folder(tmp_path / "model") as partial,
    ):
        fail(partial / "weights")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="is not a saved model"):
        check_model_folder(tmp_path)


@pytest.mark.slow
def test_interrupted_training_is_marked_and_says_how_to_go_on(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "home")

    args = [
        "train",
        "nlinear",
        "--csv",
        SAMPLE,
        "--horizon",
        7,
        "--lookback",
        28,
        "--set",
        "trainer.max_epochs=12",
        "--set",
        "trainer.patience=99",
        *("--refit", "none"),
    ]
    with cli.start(*args) as process:
        wait_for_epoch(process, cli.home, stage=0, epoch=1)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        rest = process.stderr.read()
    assert process.returncode == 130
    assert (
        rest.splitlines()[-1]
        == "interrupted; an unfinished training goes on with: train --resume latest"
    )
    runs = json.loads(cli("runs", "list", "--json").stdout)["runs"]
    assert [run["status"] for run in runs] == ["KILLED"]
    cli("train", "--resume", "latest")
    assert json.loads(cli("runs", "list", "--json").stdout)["runs"][0]["status"] == "FINISHED"


def test_a_training_that_goes_on_is_not_resumed(new_home: Path) -> None:
    checkpoints = new_home / "checkpoints" / "abc"
    checkpoints.mkdir(parents=True)
    job = {
        "config": load_config(
            find_config("nlinear"), overrides={"data.csv": str(SAMPLE)}
        ).model_dump(mode="json"),
        "digest": file_digest(SAMPLE),
        "experiment": "e",
        "run_name": None,
        "run_id": "abc",
        "output": None,
    }
    (checkpoints / "job.json").write_text(json.dumps(job))
    with FileLock(checkpoints / "lock"):
        refused = inside("train", "--resume", "abc", status=1)
    assert (
        refused.stderr
        == "error: run abc: another process is training it; wait for its end, or stop it first\n"
    )


def kill_at(cli: Cli, stage: int | str, *args: object) -> None:
    """SIGKILL in the middle of a stage, after its second epoch."""
    with cli.start(*args) as process:
        wait_for_epoch(process, cli.home, stage)
        process.send_signal(signal.SIGKILL)


def assert_same_weights(expected: Path, found: Path) -> None:
    ours, theirs = (load_file(folder / "weights.safetensors") for folder in (expected, found))
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name


SHORT = [
    "train",
    "s2dbm",
    "--csv",
    SAMPLE,
    "--horizon",
    7,
    "--lookback",
    28,
    "--accelerator",
    "cpu",
    *(part for setting in TINY[3:] if "max_steps" not in setting for part in ("--set", setting)),
    "--set",
    "trainer.max_epochs=4",
    "--set",
    "trainer.stage_epochs=4",
    "--set",
    "trainer.patience=9",
    "--set",
    "trainer.score_windows=0",
]


@pytest.mark.parametrize(
    ("stage", "refit"),
    [
        pytest.param(1, "none", id="prior2", marks=pytest.mark.slow),
        pytest.param(4, "none", id="model", marks=pytest.mark.slow),
        pytest.param("refit/stage1", "all", id="refit", marks=pytest.mark.slow),
    ],
)
def test_killed_training_resumes_to_the_same_weights(
    tmp_path: Path, stage: int | str, refit: str
) -> None:
    """SIGKILL in the middle of a stage; the resumed run's weights equal those of one that was never
    interrupted.
    """
    args = [*SHORT, "--refit", refit, "--output"]
    Cli(tmp_path / "whole")(*args, tmp_path / "expected")
    killed = Cli(tmp_path / "killed")
    kill_at(killed, stage, *args, tmp_path / "found")
    assert not (tmp_path / "found").exists()
    done = killed("train", "--resume", "latest", "--json")
    assert json.loads(done.stdout)["model_dir"] == str(tmp_path / "found")
    assert_same_weights(tmp_path / "expected", tmp_path / "found")
    assert not list((tmp_path / "killed" / "checkpoints").iterdir())


TWO_DEVICES = ["--devices", 2, "--set", "trainer.point_windows=4"]


@pytest.mark.slow
def test_two_processes_train_one_model_in_one_run(tmp_path: Path) -> None:
    """As on one device: one run, and the losses of every epoch."""
    cli, args = Cli(tmp_path / "home"), [*SHORT, *TWO_DEVICES]
    done = cli.process(*args, "--output", tmp_path / "expected", "--json")
    trained = json.loads(done.stdout)
    assert np.isfinite(list(trained["metrics"].values())).all()
    (run,) = json.loads(cli("runs", "list", "--json").stdout)["runs"]
    assert (run["run_id"], run["status"], run["params"]["trainer.devices"]) == (
        trained["run_id"],
        "FINISHED",
        "2",
    )
    losses = [f"val/loss{part}" for part in ("_prior1", "_prior2", "")]
    assert all(np.isfinite(run["metrics"][name]) for name in losses)
    forecast, _ = forecast_table(
        load_model(tmp_path / "expected"),
        read_table(SAMPLE, Columns()),
        PredictionRequest("probabilistic", 4),
    )
    assert np.isfinite(forecast[["mean", "0.05", "0.95"]]).all(axis=None)


@pytest.mark.slow
def test_two_processes_resume_to_the_same_weights(tmp_path: Path) -> None:
    cli, args = Cli(tmp_path / "home"), [*SHORT, *TWO_DEVICES]
    cli.process(*args, "--output", tmp_path / "expected")
    kill_at(cli, 4, *args, "--output", tmp_path / "found")
    cli.process("train", "--resume", "latest")
    assert_same_weights(tmp_path / "expected", tmp_path / "found")


@pytest.mark.slow
def test_two_devices_train_as_one_with_their_batches_together(tmp_path: Path) -> None:
    """A squared error over equal batches: the mean of two gradients is the gradient of all, and so
    is the loss.
    """
    series = np.random.default_rng(0).standard_normal((500, 2))
    train, validation = (
        Windows([series], [part], 20, 5, [0]) for part in ((20, 24 + 128), (200, 304))
    )
    models, losses = [], []
    for devices in (1, 2):
        torch.manual_seed(0)
        model = build(LinearConfig(), Shape(2, 20, 5, 7))
        data = WindowData(train, validation, 32 // devices, 0)
        config = TrainerConfig(max_epochs=3, accelerator="cpu", devices=devices)
        fit(
            model,
            data,
            config,
            tmp_path / str(devices),
            lambda found, epoch: losses.append((epoch, *found.values())),
        )
        models.append(model.layer.weight)
    torch.testing.assert_close(*models, rtol=1e-4, atol=1e-6)
    assert len(losses) == 6
    np.testing.assert_allclose(losses[:3], losses[3:], rtol=1e-5)


def test_every_device_and_step_draws_noise_of_its_own() -> None:
    drawn = set()
    for rank in range(3):
        for step in range(50):
            trainer = SimpleNamespace(global_step=step, global_rank=rank)
            StepSeed(5).on_train_batch_start(trainer, None, None, 0)
            drawn.add(torch.rand(()).item())
    assert len(drawn) == 150


def test_more_gpus_than_there_are_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    message = (
        "--devices 3: the number of CUDA devices here is 2; give 2 at most, or --accelerator cpu"
    )
    for accelerator in ("auto", "gpu"):
        with pytest.raises(UserError, match=message):
            training.check_devices(TrainerConfig(accelerator=accelerator, devices=3))
    training.check_devices(TrainerConfig(accelerator="gpu", devices=2))
    training.check_devices(TrainerConfig(accelerator="cpu", devices=3))


def test_the_time_before_an_interruption_counts(tmp_path: Path) -> None:
    first = Stopwatch(tmp_path / "seconds")
    first.before = 5.0
    first.save()
    assert 5.0 <= Stopwatch(tmp_path / "seconds").seconds() < 60.0
    assert Stopwatch(tmp_path / "none").seconds() < 60.0
