"""The contract of the command line, in processes of its own, on the bundled sample."""

import io
import json
import math
import os
import re
import resource
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, SAMPLE, SHARED, Cli, inside, needs_shared
from safetensors.torch import load_file

from forecaster.commands.options import print_table

SMALL = ["--horizon", 14, "--lookback", 56, "--accelerator", "cpu"]
TINY_BRIDGE = [
    *SMALL,
    "--set",
    "trainer.max_steps=6",
    "--set",
    "trainer.stage_epochs=2",
    "--set",
    "trainer.stage_batches=20",
    "--set",
    "trainer.score_windows=2",
    "--set",
    "trainer.score_samples=5",
    "--set",
    "trainer.validation_windows=32",
    "--set",
    "model.sampler.steps=3",
]


@pytest.fixture(scope="module")
def bridge(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> dict:
    out = tmp_path_factory.mktemp("bridge") / "model"
    done = cli(
        "train",
        "s2dbm",
        "--csv",
        SAMPLE,
        *TINY_BRIDGE,
        "--output",
        out,
        "--run-name",
        "tiny",
        "--json",
    )
    return json.loads(done.stdout)


def test_train_prints_one_object_and_nothing_else(bridge: dict) -> None:
    scores = {"metrics", "seasonal_naive", "verdict", "skill", "by_series"}
    trained = {"run_id", "model_dir", "refit", "learnt_until", "trained_until"}
    assert set(bridge) == scores | trained
    # four columns, of which the intervals hold more or less
    assert re.fullmatch(
        r"90 % intervals by series: \d+ % \(\w+\) to \d+ % \(\w+\), median \d+ %",
        bridge["by_series"],
    )
    names = set(bridge["metrics"])
    assert {
        "val/mse",
        "test/mse",
        "test/mae",
        "test/rmse",
        "test/crps",
        "test/crps_sum",
        "test/wql",
    } <= names
    assert {"test/coverage/90", "test/width/90", "val/coverage/50"} <= names
    assert bridge["metrics"]["test/windows"] == 292 - 14 + 1
    assert bridge["metrics"]["test/probabilistic_windows"] == 2


def test_both_forecasts_come_from_the_same_weights(cli: Cli, bridge: dict, tmp_path) -> None:
    point, fan = tmp_path / "point.csv", tmp_path / "fan.parquet"
    model = bridge["model_dir"]
    cli("forecast", "--model", model, "--csv", SAMPLE, "--mode", "point", "--output", point)
    cli(
        "forecast",
        "--model",
        model,
        "--csv",
        SAMPLE,
        "--samples",
        20,
        "--quantiles",
        "0.1,0.9",
        "--output",
        fan,
        "--plot",
        tmp_path / "fan.png",
    )
    found = pd.read_csv(point)
    assert list(found.columns) == ["item_id", "timestamp", "mean"]
    assert list(dict.fromkeys(found["item_id"])) == [
        "precipitation",
        "temp_max",
        "temp_min",
        "wind",
    ]
    assert list(found["timestamp"][:14]) == [f"2016-01-{day:02d}" for day in range(1, 15)]
    drawn = pd.read_parquet(fan)
    assert list(drawn.columns) == ["item_id", "timestamp", "mean", "0.1", "0.9"]
    assert (drawn["0.1"] < drawn["0.9"]).all()
    assert (tmp_path / "fan.png").read_bytes().startswith(b"\x89PNG")
    meta = json.loads((tmp_path / "fan.parquet.meta.json").read_text())
    assert meta["run_id"] == bridge["run_id"]
    assert (meta["mode"], meta["samples"], meta["steps"], meta["seed"]) == (
        "probabilistic",
        20,
        3,
        0,
    )
    assert {path.name for path in tmp_path.iterdir()} == {
        "point.csv",
        "point.csv.meta.json",
        "fan.parquet",
        "fan.parquet.meta.json",
        "fan.png",
    }


@pytest.mark.parametrize(
    "member",
    [
        "timediff",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("tmdm", "sssd", "csdi", "cddpm", "s2dbm_paper")
        ),
    ],
)
def test_every_member_trains_and_gives_both_forecasts(cli: Cli, member: str, tmp_path) -> None:
    settings = [
        "max_steps=2",
        "stage_epochs=1",
        "score_windows=0",
        "point_windows=4",
        "validation_windows=8",
    ]
    cli(
        "train",
        member,
        "--csv",
        SAMPLE,
        *SMALL,
        "--target",
        "temp_max,wind",
        "--output",
        tmp_path / "model",
        "--set",
        "model.schedule.steps=4",
        "--set",
        "model.sampler={s: 2.0, steps: 4, point_steps: 2}",
        *(part for setting in settings for part in ("--set", f"trainer.{setting}")),
    )
    for mode in ("point", "probabilistic"):
        cli(
            "forecast",
            "--model",
            tmp_path / "model",
            "--csv",
            SAMPLE,
            "--target",
            "temp_max,wind",
            "--mode",
            mode,
            "--samples",
            9,
            "--output",
            tmp_path / f"{mode}.csv",
        )
        found = pd.read_csv(tmp_path / f"{mode}.csv")
        assert len(found) == 2 * 14
        assert np.isfinite(found.drop(columns=["item_id", "timestamp"])).all(axis=None)
    assert (found["0.05"] < found["0.95"]).all()


def test_conformal_intervals_come_from_the_errors_on_validation(
    cli: Cli, bridge: dict, tmp_path
) -> None:
    args = ["forecast", "--model", bridge["model_dir"], "--csv", SAMPLE]
    cli(*args, "--mode", "point", "--output", tmp_path / "point.csv")
    cli(*args, "--conformal", "--quantiles", "0.1,0.5,0.9", "--output", tmp_path / "found.csv")
    found, point = pd.read_csv(tmp_path / "found.csv"), pd.read_csv(tmp_path / "point.csv")
    errors = (
        load_file(Path(bridge["model_dir"]) / "calibration.safetensors")["errors"][:, 1]
        .sort(dim=0)
        .values
    )  # temp_max
    rank = math.ceil((len(errors) + 1) * 0.9) - 1
    scale = json.loads((Path(bridge["model_dir"]) / "scaling.json").read_text())[""]["std"][1]
    mine = found["item_id"] == "temp_max"
    shift = (found["0.9"] - point["mean"])[mine].to_numpy()
    np.testing.assert_allclose(shift, errors[rank].numpy() * scale, rtol=1e-4)
    assert (found["0.1"] < found["0.9"]).all()
    assert json.loads((tmp_path / "found.csv.meta.json").read_text())["conformal"] is True
    refused = cli(
        *args, "--conformal", "--quantiles", "0.0001", "--output", tmp_path / "no.csv", status=1
    )
    assert "--conformal: level 0.0001 needs 9999 validation windows" in refused.stderr
    assert not (tmp_path / "no.csv").exists()
    scored = json.loads(
        cli(
            "evaluate", "--model", bridge["model_dir"], "--conformal", "--limit", 50, "--json"
        ).stdout
    )["metrics"]
    assert 0.5 < scored["test/coverage/90"] <= 1


def test_bounds_are_kept_by_every_forecast(cli: Cli, tmp_path) -> None:
    """Rain is not negative; unbounded, this model's lower quantiles are."""
    args = [
        "train",
        "residual-bootstrap",
        "--csv",
        SAMPLE,
        "--target",
        "precipitation",
        *SMALL,
        "--set",
        "model.base={name: seasonal-naive}",
    ]
    for name, bounds in (("free", []), ("kept", ["--lower", "precipitation=0", "--upper", 56])):
        cli(*args, *bounds, "--output", tmp_path / name)
        cli(
            "forecast",
            "--model",
            tmp_path / name,
            "--csv",
            SAMPLE,
            "--target",
            "precipitation",
            "--quantiles",
            "0.01,0.99",
            "--output",
            tmp_path / f"{name}.csv",
        )
    free, kept = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("free", "kept"))
    assert free["0.01"].min() < 0
    assert kept["0.01"].min() == 0
    assert kept[["mean", "0.99"]].to_numpy().max() <= 56
    assert (kept["0.99"] > 0).all()
    assert "no value column 'rain'" in cli(*args, "--lower", "rain=0", status=1).stderr
    refused = cli(*args, "--lower", 1, status=1).stderr
    assert "column 'precipitation' holds 0 at 2012-01-01" in refused
    assert "outside 1 to inf; train with wider bounds" in refused


def test_forecasts_repeat_for_a_seed_and_differ_between_seeds(
    cli: Cli, bridge: dict, tmp_path
) -> None:
    texts = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        path = tmp_path / f"{name}.csv"
        cli(
            "forecast",
            "--model",
            bridge["model_dir"],
            "--csv",
            SAMPLE,
            "--samples",
            5,
            "--seed",
            seed,
            "--output",
            path,
        )
        texts.append(path.read_text())
    assert texts[0] == texts[1] != texts[2]


def test_references_and_the_tracked_run(cli: Cli, bridge: dict, tmp_path) -> None:
    point = ["--csv", SAMPLE, "--mode", "point", "--output"]
    by_folder, by_run = tmp_path / "folder.csv", tmp_path / "run.csv"
    cli("forecast", "--model", bridge["model_dir"], *point, by_folder)
    cli("forecast", "--model", f"runs:/{bridge['run_id']}/model", *point, by_run)
    assert by_folder.read_text() == by_run.read_text()
    listed = json.loads(cli("runs", "list", "--json").stdout)["runs"]
    run = next(r for r in listed if r["run_id"] == bridge["run_id"])
    assert (run["name"], run["status"]) == ("tiny", "FINISHED")
    assert (
        run["params"]["data.sha256"]
        == json.loads((tmp_path / "run.csv.meta.json").read_text())["trained_on"]
    )
    assert run["params"]["model.prior.base.chosen"] in {
        "average of linear",
        "average of sorted-levels",
        "average of linear and average of sorted-levels",
    }
    assert run["metrics"]["test/mse"] == pytest.approx(bridge["metrics"]["test/mse"])
    assert {"train/loss", "val/loss", "val/loss_prior1", "test/seasonal_naive/mse"} <= set(
        run["metrics"]
    )
    table = cli("runs", "compare", bridge["run_id"], bridge["run_id"]).stdout
    assert "test/mse" in table


def test_evaluate_gives_the_metrics_of_the_training(cli: Cli, bridge: dict) -> None:
    found = json.loads(cli("evaluate", "--model", bridge["model_dir"], "--json").stdout)["metrics"]
    for name in ("test/mse", "test/mae", "test/windows"):
        assert found[name] == pytest.approx(bridge["metrics"][name], rel=1e-5)
    part = json.loads(
        cli(
            "evaluate", "--model", bridge["model_dir"], "--limit", 2, "--samples", 5, "--json"
        ).stdout
    )["metrics"]
    assert part["test/windows"] == 2
    assert part["test/crps"] == pytest.approx(bridge["metrics"]["test/crps"], rel=1e-4)


@pytest.mark.parametrize(
    "model",
    [
        "seasonal-naive",
        *(
            pytest.param(n, marks=pytest.mark.slow)
            for n in ("nlinear", "quantile-linear", "residual-bootstrap")
        ),
    ],
)
def test_baselines_train_and_forecast(cli: Cli, tmp_path, model: str) -> None:
    few = ("--refit", "none", "--set", "trainer.max_epochs=3", "--set", "trainer.stage_epochs=3")
    arguments = ("--csv", SAMPLE, *SMALL, *few, "--json")
    trained = json.loads(cli("train", "--model", model, *arguments).stdout)
    out = tmp_path / "forecast.csv"
    cli("forecast", "--model", trained["model_dir"], "--csv", SAMPLE, "--output", out)
    found = pd.read_csv(out)
    assert len(found) == 4 * 14
    assert found["mean"].notna().all()
    assert (found["0.05"] <= found["0.5"]).all()
    assert (found["0.5"] <= found["0.95"]).all()
    assert 0.75 < trained["metrics"]["test/coverage/90"] < 1
    drawn = model in {"quantile-linear", "residual-bootstrap"}
    # the samples of the others are made of the errors on validation
    assert ("val/coverage/90" in trained["metrics"]) == drawn
    again = (
        "evaluate",
        "--model",
        trained["model_dir"],
        "--csv",
        SAMPLE,
        "--limit",
        2,
        "--samples",
        5,
    )
    done = cli(*again, "--split", "validation", "--mode", "probabilistic", "--json")
    assert ("errors on these very windows" in done.stderr) == (not drawn)
    assert json.loads(done.stdout)["metrics"]["val/crps"] > 0


def test_seasonal_naive_forecast_is_the_last_week(cli: Cli, tmp_path) -> None:
    out = tmp_path / "forecast.csv"
    trained = json.loads(
        cli(
            *("train", "--model", "seasonal-naive", "--csv", SAMPLE, *SMALL),
            *("--seasons", 7, "--json"),
        ).stdout
    )
    cli("forecast", "--model", trained["model_dir"], "--csv", SAMPLE, "--output", out)
    found, raw = pd.read_csv(out), pd.read_csv(SAMPLE)
    expected = np.tile(raw["temp_max"].to_numpy()[-7:], 2)
    np.testing.assert_allclose(
        found.loc[found["item_id"] == "temp_max", "mean"], expected, atol=1e-4
    )


def test_missing_values_are_said_and_forecast_is_whole(cli: Cli, bridge: dict, tmp_path) -> None:
    frame = pd.read_csv(SAMPLE)
    frame.loc[frame.index[-5:], "wind"] = np.nan
    frame.to_csv(tmp_path / "holes.csv", index=False)
    out = tmp_path / "out.csv"
    done = cli(
        "forecast",
        "--model",
        bridge["model_dir"],
        "--csv",
        tmp_path / "holes.csv",
        "--mode",
        "point",
        "--output",
        out,
    )
    assert "5 missing values in the rows that the model reads: what is missing is" in done.stderr
    assert pd.read_csv(out)["mean"].notna().all()
    few = ("--set", "trainer.max_epochs=2", "--json")
    trained = cli("train", "nlinear", "--csv", tmp_path / "holes.csv", *SMALL, *few)
    assert np.isfinite(json.loads(trained.stdout)["metrics"]["test/mse"])


def test_shorter_history_is_padded_and_said_or_refused(cli: Cli, bridge: dict, tmp_path) -> None:
    lines = SAMPLE.read_text().splitlines()
    for rows, status in ((30, 0), (3, 1)):
        path, out = tmp_path / f"{rows}.csv", tmp_path / f"{rows}-out.csv"
        path.write_text("\n".join(lines[: rows + 1]) + "\n")
        done = cli(
            "forecast",
            "--model",
            bridge["model_dir"],
            "--csv",
            path,
            "--mode",
            "point",
            "--output",
            out,
            status=status,
        )
        assert (
            f"{rows} rows where the model reads 56" in done.stderr
            or "3 rows, the model reads 56 and needs 5" in done.stderr
        )
        assert out.exists() == (status == 0)


def _columns(text: str, change) -> str:
    return "\n".join(",".join(change(line.split(","))) for line in text.splitlines()) + "\n"


BAD_FORECASTS = [
    (
        lambda text: _columns(text, lambda cells: cells[:-1]),
        "column 'wind' is in the model but not in the file; add it, or give --missing-column masked "
        "to forecast the others",
    ),
    (
        lambda text: _columns(
            text, lambda cells: [*cells, cells[1].replace("precipitation", "more")]
        ),
        "column 'more' is in the file but not in the model; leave it out with --target",
    ),
    (
        lambda text: "\n".join([text.splitlines()[0], *text.splitlines()[1::2]]),
        "the interval is 2D, but the model was trained on D",
    ),
    (lambda text: "\n".join([*text.splitlines()[:50], *text.splitlines()[51:]]), "--on-gap fill"),
]


@pytest.mark.parametrize(("change", "message"), BAD_FORECASTS)
def test_files_that_do_not_fit_the_model_are_refused(
    cli: Cli, bridge: dict, tmp_path, change, message: str
) -> None:
    path = tmp_path / "data.csv"
    path.write_text(change(SAMPLE.read_text()))
    done = cli(
        "forecast",
        "--model",
        bridge["model_dir"],
        "--csv",
        path,
        "--output",
        tmp_path / "out.csv",
        status=1,
    )
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert [p.name for p in tmp_path.iterdir()] == ["data.csv"]


def test_columns_in_another_order_give_the_same_forecast(cli: Cli, bridge: dict, tmp_path) -> None:
    frame = pd.read_csv(SAMPLE)
    frame[["wind", "date", "temp_min", "precipitation", "temp_max"]].to_csv(
        tmp_path / "turned.csv", index=False
    )
    results = []
    for csv in (SAMPLE, tmp_path / "turned.csv"):
        out = tmp_path / "out.csv"
        cli(
            "forecast",
            "--model",
            bridge["model_dir"],
            "--csv",
            csv,
            "--mode",
            "point",
            "--output",
            out,
        )
        results.append(pd.read_csv(out))
    assert list(dict.fromkeys(results[1]["item_id"])) == [
        "wind",
        "temp_min",
        "precipitation",
        "temp_max",
    ]
    keys = ["item_id", "timestamp"]
    pd.testing.assert_frame_equal(*(r.sort_values(keys).reset_index(drop=True) for r in results))


BAD_TRAININGS = [
    (["--csv", "nowhere.csv"], "error: nowhere.csv: no such file; check the path\n"),
    (
        [],
        "error: name the data: either --csv PATH or --dataset NAME (data.csv or data.dataset in a configuration)\n",
    ),
    (
        ["--dataset", "etth7"],
        "error: no data set 'etth7' (did you mean 'etth2'?); there are etth1, etth2, ettm1, ettm2, "
        "weather, exchange, ili\n",
    ),
    (
        ["--csv", SAMPLE, "--set", "data.horizon=0"],
        "configuration key 'data.horizon': input should be greater than 0, got 0",
    ),
    (
        ["--csv", SAMPLE, "--horizon", 500],
        "1461 rows, but training with lookback 1 and horizon 500 needs 1501",
    ),
    (
        ["--csv", SAMPLE, "--target", "rain"],
        "no column 'rain'; the columns are 'date', 'precipitation'",
    ),
    (
        ["--csv", SAMPLE, "--set", "model.sampler.stepz=1"],
        "no configuration key 'model.sampler.stepz' (did you mean 'steps'?)",
    ),
    (["--csv", SAMPLE, "--model", "arima"], "no model 'arima'"),
    (["--csv", SAMPLE, "--model", ""], "no model ''; there are "),
    (["--csv", SAMPLE, "--output", "/proc/nothing/here"], "cannot be written"),
    (
        ["--csv", SAMPLE, "--devices", 0],
        "configuration key 'trainer.devices': input should be greater than 0, got 0",
    ),
    (
        ["--csv", SAMPLE, "--seasons", "7,1"],
        "seasons 7,1: 1 says that there is no season; give it alone, or leave it out",
    ),
    (["--resume", "latest"], "--resume latest: no interrupted training"),
]


@pytest.mark.parametrize(("args", "message"), BAD_TRAININGS)
def test_bad_trainings_are_one_line_and_leave_nothing(
    new_home: Path, args: list, message: str
) -> None:
    done = inside("train", *args, status=1)
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not new_home.exists() or not list(new_home.glob("models/*"))


def test_wrong_usage_is_status_2(cli: Cli) -> None:
    for args in (
        ["train", "s2dbm", "--model", "nlinear"],
        ["forecast"],
        ["train", "--on-gap", "maybe"],
        ["nonsense"],
        ["train", "--resume", "latest", "--seed", 3],
    ):
        cli(*args, status=2)


@pytest.mark.slow
def test_debug_shows_the_traceback(tmp_path) -> None:
    done = Cli(tmp_path).process("--debug", "train", "--csv", "nowhere.csv", status=1)
    assert "Traceback" in done.stderr


def test_unreachable_tracking_server_is_told_before_training(tmp_path) -> None:
    cli = Cli(tmp_path / "home")
    cli.env["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"
    done = cli("train", "--model", "nlinear", "--csv", SAMPLE, *SMALL, status=1)
    assert "the tracking server http://127.0.0.1:9 cannot be reached" in done.stderr
    assert "epoch" not in done.stderr


def test_full_disk_is_one_line_and_leaves_nothing(cli: Cli, bridge: dict, tmp_path) -> None:
    """A limit on the size of a file stands for a disk that fills up."""
    out = tmp_path / "out.csv"

    def little_room() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    done = cli(
        "forecast",
        "--model",
        bridge["model_dir"],
        "--csv",
        SAMPLE,
        "--mode",
        "point",
        "--output",
        out,
        status=1,
        preexec_fn=little_room,
    )
    assert "cannot be written (File too large)" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_unwritable_folder_is_refused(cli: Cli, bridge: dict, tmp_path) -> None:
    (tmp_path / "file").write_text("not a folder")
    args = [
        "forecast",
        "--model",
        bridge["model_dir"],
        "--csv",
        SAMPLE,
        "--output",
        tmp_path / "file" / "out.csv",
    ]
    assert "cannot be written" in cli(*args, status=1).stderr


def test_missing_models_are_refused(cli: Cli, tmp_path) -> None:
    for reference, message in (
        (tmp_path / "none", "no such saved model"),
        ("runs:/0123/model", "no such saved model or run"),
        ("runs:/0123", "no such saved model or run"),
    ):
        done = cli(
            "forecast",
            "--model",
            reference,
            "--csv",
            SAMPLE,
            "--output",
            tmp_path / "o.csv",
            status=1,
        )
        assert message in done.stderr
        assert done.stderr.count("\n") == 1


def test_check_prints_exactly_what_was_found(cli: Cli, tmp_path) -> None:
    path = tmp_path / "shops.csv"
    days = pd.date_range("2024-01-01", periods=40)
    rows = [f"{d:%d.%m.%Y};{shop};{i},5" for shop in ("zoo", "ark") for i, d in enumerate(days)]
    rows[3] = rows[3].replace("3,5", "-")
    path.write_text("Tag;Laden;Umsatz\n" + "\n".join(rows) + "\n")
    done = cli("check", "--csv", path, "--horizon", 5, "--lookback", 10)
    lines = [line for line in done.stdout.splitlines() if not line.startswith(("sha256", "file:"))]
    assert lines.pop(0).endswith(f"train --csv {path} --horizon 5 --lookback 10")
    words = f"of several:      .* train auto --csv {re.escape(str(path))} --horizon 5 --lookback 10"
    assert re.fullmatch(f"{words} --time-limit 10m", lines.pop(0))
    assert lines == [
        "",
        "column  role              holds           min  median         max  missing  why",
        "Tag     time              times    2024-01-01          2024-02-09      0 %  holds times",
        "Laden   names the series  2 texts                                      0 %  "
        "tells the rows of a time apart",
        "Umsatz  value             numbers         0.5    20.5        39.5    1.2 %  numbers",
        "",
        "format:          encoding utf-8, delimiter semicolon, decimal comma",
        "rows:            80",
        "layout:          long",
        "time format:     %d.%m.%Y",
        "clock:           local dates",
        "interval:        D",
        "series:          2",
        "length:          40",
        "from:            2024-01-01",
        "to:              2024-02-09",
        "missing:         Umsatz: 1 (line 5)",
        "decisions:       column 'Laden' names the series",
        "decisions:       no season found in the training rows: seasonal naive repeats the last value",
        "season:          none",
        "training:        lookback 10, horizon 5: 26 train, 2 validation, 8 test windows",
        "time:            about 2 minutes on two cores (s2dbm)",
        "forecasting:     5 steps, 2024-02-10 to 2024-02-14",
    ]


def test_check_tells_the_gaps_and_exits_with_1(cli: Cli, tmp_path) -> None:
    path = tmp_path / "gap.csv"
    path.write_text("t,x\n2024-01-01,1\n2024-01-02,2\n2024-01-03,2\n2024-01-05,3\n")
    done = cli("check", "--csv", path, status=1)
    assert (
        "1 time(s) are missing in 1 gap(s), first between 2024-01-03 00:00:00 and 2024-01-05"
        in done.stdout
    )
    assert done.stdout.splitlines()[-1].startswith("refused:")


def test_every_model_can_be_listed_and_shown(cli: Cli) -> None:
    names = [line.split()[0] for line in cli("models", "list").stdout.splitlines()]
    assert names == sorted(p.stem for p in (ROOT / "configs").glob("*.yaml"))
    assert "name: diffusion" in cli("models", "show", "s2dbm").stdout
    assert "sha256    f18de3ad" in cli("datasets", "show", "etth1").stdout


def test_working_directory_stays_clean(cli: Cli, tmp_path) -> None:
    few = ("--set", "trainer.max_steps=3", "--set", "trainer.point_windows=4")
    cli("train", "--model", "nlinear", "--csv", SAMPLE, *SMALL, *few, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_fetch_refuses_a_file_of_another_content(cli: Cli, tmp_path) -> None:
    from forecaster.data.catalog import find_dataset

    entry = find_dataset("ili")
    if entry.path.exists():
        pytest.skip("the data set has been fetched already")
    (tmp_path / entry.file).write_text("date,x\n")
    done = cli("datasets", "fetch", "ili", "--from", tmp_path, status=1)
    assert "its SHA-256 is not that of data set 'ili'" in done.stderr
    assert not entry.path.exists()


PUBLISHED = {"etth1": (0.374, 0.394), "etth2": (0.277, 0.338), "exchange": (0.089, 0.208)}


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize("name", ["etth1", "etth2", "exchange"])
def test_nlinear_reaches_the_published_figures(cli: Cli, name: str) -> None:
    """Zeng et al. (AAAI 2023), lookback 336, horizon 96: not more than 2 % above."""
    cli("datasets", "fetch", name, "--from", SHARED)
    train = ("train", "--model", "nlinear", "--dataset", name, "--refit", "none", "--json")
    found = json.loads(cli(*train).stdout)["metrics"]
    mse, mae = PUBLISHED[name]
    assert 0.95 * mse < found["test/mse"] < 1.02 * mse
    assert 0.95 * mae < found["test/mae"] < 1.02 * mae


@pytest.mark.slow
@needs_shared
def test_errors_on_the_published_windows_stand_beside_those_on_all(cli: Cli) -> None:
    cli("datasets", "fetch", "ili", "--from", SHARED)
    found = json.loads(cli("train", "seasonal-naive", "--dataset", "ili", "--json").stdout)
    trained = found["metrics"]
    assert trained["test/windows"] == 170
    evaluated = json.loads(
        cli("evaluate", "--model", found["model_dir"], "--windows", "published", "--json").stdout
    )["metrics"]
    assert evaluated["test/windows"] == 160
    for name in ("mse", "mae"):
        assert trained[f"test/published/{name}"] == pytest.approx(evaluated[f"test/{name}"])
        assert trained[f"test/published/{name}"] < trained[f"test/{name}"]
    refused = cli(
        *("evaluate", "--model", found["model_dir"], "--csv", SHARED / "national_illness.csv"),
        *("--windows", "published"),
        status=1,
    )
    assert "figures are published of the named data sets only; give --dataset" in refused.stderr


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize("name", ["ili", "etth1", "etth2", "ettm1", "ettm2", "exchange", "weather"])
def test_bridge_trains_on_every_benchmark_file(cli: Cli, tmp_path, name: str) -> None:
    cli("datasets", "fetch", name, "--from", SHARED)
    trained = json.loads(
        cli(
            "train",
            "configs/s2dbm.yaml" if os.getcwd() == str(ROOT) else "s2dbm",
            "--dataset",
            name,
            "--set",
            "trainer.max_steps=2",
            "--set",
            "trainer.stage_epochs=1",
            "--set",
            "trainer.stage_batches=10",
            "--set",
            "trainer.point_windows=4",
            "--set",
            "trainer.validation_windows=4",
            "--set",
            "trainer.score_windows=0",
            "--json",
        ).stdout
    )
    data = (
        SHARED
        / {
            "etth1": "ETTh1.csv",
            "etth2": "ETTh2.csv",
            "ettm1": "ETTm1.csv",
            "ettm2": "ETTm2.csv",
            "weather": "weather.csv",
            "exchange": "exchange_rate.csv",
            "ili": "national_illness.csv",
        }[name]
    )
    policies = ["--on-gap", "fill", "--on-duplicate", "first"]
    for mode in ("point", "probabilistic"):
        out = tmp_path / f"{mode}.csv"
        cli(
            "forecast",
            "--model",
            trained["model_dir"],
            "--csv",
            data,
            "--mode",
            mode,
            "--samples",
            4,
            "--steps",
            2,
            "--output",
            out,
            *policies,
        )
        found = pd.read_csv(out)
        horizon = 24 if name == "ili" else 96
        raw = pd.read_csv(data, encoding="latin-1")
        assert len(found) == horizon * (raw.shape[1] - 1)
        stamps = pd.to_datetime(found["timestamp"][:horizon])
        assert stamps.iloc[0] - pd.to_datetime(raw.iloc[-1, 0]) == stamps.diff().iloc[-1]
        assert np.isfinite(found["mean"]).all()
    shutil.rmtree(trained["model_dir"])


@pytest.fixture(scope="module")
def streamed(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[str]]:
    """A small state-space model, a history, and the rows that follow it."""
    folder = tmp_path_factory.mktemp("stream")
    cli(
        "train",
        "s4d",
        "--csv",
        SAMPLE,
        *SMALL,
        "--set",
        "trainer.max_steps=3",
        "--set",
        "trainer.validation_windows=8",
        "--set",
        "trainer.point_windows=40",
        "--set",
        "model.width=6",
        "--set",
        "model.state=8",
        "--output",
        folder / "model",
    )
    lines = SAMPLE.read_text().splitlines()
    (folder / "history.csv").write_text("\n".join(lines[:1402]) + "\n")
    return folder / "model", folder / "history.csv", [lines[0], *lines[1402:]]


def test_a_streamed_forecast_is_that_of_the_whole_history(
    cli: Cli, streamed: tuple[Path, Path, list[str]], tmp_path
) -> None:
    import torch

    from forecaster.data.splits import Scaling
    from forecaster.inference.saved_model import load_model
    from forecaster.models.base import empty_future

    model, history, rows = streamed
    args = ["forecast", "--model", model, "--csv", history, "--stream"]
    done = cli(*args, input="\n".join(rows) + "\n")
    found = pd.read_csv(io.StringIO(done.stdout))
    levels = ["0.05", "0.5", "0.95"]
    assert list(found.columns) == ["origin", "item_id", "timestamp", "mean", *levels]
    assert list(dict.fromkeys(found["origin"])) == [row[:10] for row in rows[1:]]
    last = found[found["origin"] == "2015-12-31"]
    saved = load_model(model)
    scaling: Scaling = saved.scaling[""]
    values = pd.read_csv(SAMPLE).iloc[1401 - 56 :, 1:].to_numpy()
    past = torch.from_numpy(scaling.apply(values).T[None]).float()
    point = saved.model.predict(
        empty_future(past, torch.ones_like(past), 14, torch.zeros(1, dtype=torch.int64))
    )
    expected = scaling.invert(point[0].T.double().numpy())
    np.testing.assert_allclose(
        last["mean"].to_numpy().reshape(4, 14), expected.T, rtol=1e-4, atol=1e-4
    )
    assert last["timestamp"].tolist()[:14] == [f"2016-01-{day:02d}" for day in range(1, 15)]
    # the same without the header, as JSON lines, into a file, and with intervals
    out = tmp_path / "out.json"
    inside(*args, "--json", "--output", out, input="\n".join(rows[1:3]) + "\n")
    objects = [json.loads(line) for line in out.read_text().splitlines()]
    assert [o["origin"] for o in objects] == [row[:10] for row in rows[1:3]]
    second = found[(found["origin"] == objects[1]["origin"]) & (found["item_id"] == "wind")]
    np.testing.assert_allclose(objects[1]["forecast"]["wind"]["mean"], second["mean"], rtol=1e-6)
    assert json.loads((tmp_path / "out.json.meta.json").read_text())["mode"] == "probabilistic"
    fan = inside(*args, "--conformal", "--quantiles", "0.4,0.6", input=rows[1] + "\n").stdout
    assert fan.splitlines()[0] == "origin,item_id,timestamp,mean,0.4,0.6"


BAD_ROWS = [
    (["2015-11-02,0,1,2"], "line 1: 4 fields where the header has 5; correct the line"),
    (["2015-11-02,0,1,2,x"], "line 1, column 'wind': 'x' is not a number"),
    (
        ["02.11.2015,0,1,2,3"],
        "line 1, column 'date': '02.11.2015' is not a time written as %Y-%m-%d",
    ),
    (
        ["2015-11-04,0,1,2,3"],
        "line 1: 2015-11-04 where 2015-11-02 is next; send the rows between, or give --on-gap fill",
    ),
    (
        ["2015-11-02,0,1,2,3", "", "2015-11-02,0,1,2,3"],
        "line 3: 2015-11-02 is not after 2015-11-02, the last row read",
    ),
]


@pytest.mark.parametrize(("rows", "message"), BAD_ROWS)
def test_bad_rows_are_told_with_their_line(
    streamed: tuple[Path, Path, list[str]], rows: list[str], message: str
) -> None:
    model, history, _ = streamed
    done = inside(
        "forecast",
        "--model",
        model,
        "--csv",
        history,
        "--stream",
        input="\n".join(rows) + "\n",
        status=1,
    )
    assert f"error: standard input, {message}" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout.count("\n") == (0 if len(rows) == 1 else 1 + 4 * 14)


def test_rows_left_out_are_missing_values_if_asked_for(
    streamed: tuple[Path, Path, list[str]],
) -> None:
    model, history, rows = streamed
    args = ["forecast", "--model", model, "--csv", history, "--stream", "--on-gap", "fill"]
    blank = [rows[1], rows[2][:10] + ",,,,", rows[3]]
    left, sent = (
        inside(*args, input="\n".join(lines) + "\n").stdout for lines in ([rows[1], rows[3]], blank)
    )
    assert left.splitlines()[-56:] == sent.splitlines()[-56:]


def test_a_streamed_forecast_with_missing_rows_is_that_of_the_file(
    streamed: tuple[Path, Path, list[str]], tmp_path: Path
) -> None:
    """From a short history with a hole, and after rows that were skipped, also where that is long."""
    model, history, rows = streamed
    lines = history.read_text().splitlines()
    short = [lines[0], *lines[-20:-9], *lines[-6:]]
    (tmp_path / "short.csv").write_text("\n".join(short) + "\n")
    sent = [rows[1], rows[5], rows[6], rows[59]]
    done = inside(
        *("forecast", "--model", model, "--csv", tmp_path / "short.csv", "--on-gap", "fill"),
        "--stream",
        input="\n".join(sent) + "\n",
    )
    streams = pd.read_csv(io.StringIO(done.stdout))
    for end, origin in ((3, "2015-11-07"), (4, "2015-12-30")):
        (tmp_path / "file.csv").write_text("\n".join([*short, *sent[:end]]) + "\n")
        out = tmp_path / f"{end}.csv"
        inside(
            *("forecast", "--model", model, "--csv", tmp_path / "file.csv", "--on-gap", "fill"),
            *("--output", out),
        )
        expected = pd.read_csv(out).drop(columns=["timestamp", "item_id"])
        found = streams[streams["origin"] == origin][expected.columns]
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_model_of_days_forecasts_weeks(
    streamed: tuple[Path, Path, list[str]], tmp_path: Path
) -> None:
    """A week is seven days, though it is counted from one of them."""
    model, history, _ = streamed
    frame = pd.read_csv(history, parse_dates=["date"])
    weeks = frame[frame["date"].dt.weekday == 0]
    weeks.to_csv(tmp_path / "weeks.csv", index=False)
    args = ["forecast", "--model", model, "--csv", tmp_path / "weeks.csv", "--mode", "point"]
    inside(*args, "--resample-rate", 7, "--output", tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv", parse_dates=["timestamp"])
    expected = pd.date_range(weeks["date"].iloc[-1], periods=15, freq="W-MON")[1:]
    assert found["timestamp"][:14].tolist() == expected.tolist()
    refused = inside(*args, "--resample-rate", 6, "--output", tmp_path / "other.csv", status=1)
    assert "the interval is W-MON, but --resample-rate 6 makes the model's 6D" in refused.stderr


def test_a_stream_without_values_for_a_lookback_ends(
    streamed: tuple[Path, Path, list[str]],
) -> None:
    model, history, _rows = streamed
    args = ["forecast", "--model", model, "--csv", history, "--stream", "--on-gap", "fill"]
    done = inside(*args, input="2016-06-01,1,2,,4\n", status=1)
    assert "column 'temp_min' has no value in the last 56 rows that the model reads" in done.stderr


def test_skipped_times_of_a_stream_are_zeros_by_the_policy(
    streamed: tuple[Path, Path, list[str]], tmp_path: Path
) -> None:
    """As the forecast of a file that has them."""
    model, history, rows = streamed
    args = ["forecast", "--model", model, "--on-gap", "zero", "--mode", "point"]
    said = inside(*args, "--csv", history, "--stream", input=f"{rows[0]}\n{rows[2]}\n").stdout
    found = pd.read_csv(io.StringIO(said))
    zeros = ",".join([rows[1].split(",")[0], *["0"] * rows[1].count(",")])
    longer, out = tmp_path / "longer.csv", tmp_path / "out.csv"
    longer.write_text(f"{history.read_text().rstrip()}\n{zeros}\n{rows[2]}\n")
    inside(*args, "--csv", longer, "--output", out)
    np.testing.assert_allclose(found["mean"], pd.read_csv(out)["mean"], rtol=1e-4)


def test_models_that_cannot_stream_or_resample_are_refused(bridge: dict) -> None:
    args = ["forecast", "--model", bridge["model_dir"], "--csv", SAMPLE]
    assert (
        "cannot take in rows one at a time (--stream); train a state-space"
        in inside(*args, "--stream", status=1).stderr
    )
    assert (
        "knows one sampling interval only" in inside(*args, "--resample-rate", 2, status=1).stderr
    )


def test_a_coarser_file_is_forecast_with_a_longer_step(
    streamed: tuple[Path, Path, list[str]], tmp_path
) -> None:
    model = streamed[0]
    lines = SAMPLE.read_text().splitlines()
    path, out = tmp_path / "coarse.csv", tmp_path / "out.csv"
    path.write_text("\n".join([lines[0], *lines[1::2]]) + "\n")
    args = ["forecast", "--model", model, "--output", out, "--resample-rate"]
    inside(*args, 2, "--csv", path)
    found = pd.read_csv(out)
    assert len(found) == 4 * 14
    stamps = pd.to_datetime(found["timestamp"][:14])
    assert set(stamps.diff().dropna()) == {pd.Timedelta(days=2)}
    assert found["mean"].notna().all()
    scored = json.loads(
        inside(
            "evaluate",
            "--model",
            model,
            "--csv",
            path,
            "--resample-rate",
            2,
            "--limit",
            4,
            "--json",
        ).stdout
    )
    assert np.isfinite(scored["metrics"]["test/mse"])
    refused = inside(*args, 3, "--csv", path, status=1).stderr
    assert (
        "the interval is 2D, but --resample-rate 3 makes the model's 3D; give the ratio of the two intervals"
        in refused
    )
    both = inside(*args, 2, "--csv", path, "--conformal", status=1).stderr
    assert "--conformal: the errors kept are of the training's interval" in both
    assert (
        "--resample-rate gives a point forecast only"
        in inside(*args, 2, "--csv", path, "--mode", "probabilistic", status=1).stderr
    )


def test_a_backtest_speaks_of_point_forecasts_only_if_there_are_any() -> None:
    from forecaster.commands.compare import _scale

    assert _scale(3, [0.9, 0.8]) == "3 origins; errors in standard deviations of the training rows"
    assert _scale(3, [0.9, math.nan]).endswith("; the crps of a point forecast is its mae")


def test_names_in_tables_steer_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["run", "x"], [["a\x1b[2J\r\n\tb\u202e", "1"], ["é", "22"]])
    assert capsys.readouterr().out.splitlines() == [
        "run                           x",
        r"a\x1b[2J\x0d\x0a\x09b\x202e   1",
        "é                            22",
    ]
