"""Rolling evaluation, from the windows to the command ``evaluate`` and its run."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import SAMPLE, Cli, inside, seasonal_naive
from safetensors.torch import load_file, save_file

from forecaster.config.parts import build
from forecaster.config.schema import DataConfig
from forecaster.data import problem as problem_module
from forecaster.data.problem import Problem, load_problem, rolling_problem
from forecaster.data.splits import Borders, Scaling
from forecaster.diffusion.schedules import BridgeConfig
from forecaster.errors import UserError
from forecaster.evaluation.baseline import score_seasonal_naive
from forecaster.evaluation.score import (
    Scoring,
    evaluate,
    score_windows,
    selected_windows,
    worst_windows,
)
from forecaster.evaluation.units import Units
from forecaster.inference.saved_model import load_model
from forecaster.models.base import Forecaster, Shape
from forecaster.models.diffusion.config import DiffusionConfig, SamplerConfig
from forecaster.models.linear import QuantileLinearConfig
from forecaster.networks.residual import ResidualNetworkConfig
from forecaster.tracking.query import get_run

L, H = 21, 7


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    """Two series of different length and size, with holes; in the file's own units."""
    generator, rows = np.random.default_rng(0), []
    for shop, length, size in (("ark", 130, 1.0), ("zoo", 100, 50.0)):
        sold = size * (
            5
            + np.sin(np.arange(length) / 7 * 2 * np.pi)[:, None]
            + 0.3 * generator.normal(size=(length, 2))
        )
        days = pd.date_range("2024-01-01", periods=length)
        holes = set(generator.choice(length, 10, replace=False).tolist())
        rows += [
            f"{day:%Y-%m-%d},{shop},{'' if i in holes else f'{a:.4f}'},{b:.4f}"
            for i, (day, (a, b)) in enumerate(zip(days, sold, strict=True))
        ]
    path = tmp_path_factory.mktemp("shops") / "shops.csv"
    path.write_text("day,shop,sales,visits\n" + "\n".join(rows) + "\n")
    return load_problem(DataConfig(csv=str(path), item_id="shop", horizon=H, lookback=L))


def quantile_model() -> Forecaster:
    torch.manual_seed(0)
    return build(QuantileLinearConfig(name="quantile-linear"), Shape(2, L, H, 7))


def test_batches_change_nothing(shops: Problem) -> None:
    windows, scoring = shops.windows("test"), Scoring("probabilistic", 20, full=True)
    whole = score_windows(quantile_model(), shops, windows, scoring)
    for size in (1, 5):
        other = score_windows(quantile_model(), shops, windows, scoring, size)
        # the network's float32 sums depend on the batch in their last digits
        assert other.pooled() == pytest.approx(whole.pooled(), rel=1e-5)
        torch.testing.assert_close(other.errors, whole.errors, rtol=1e-5, atol=1e-7)
        assert other.totals.histogram("pit") == pytest.approx(
            whole.totals.histogram("pit"), abs=1e-6
        )


def test_metrics_are_those_of_a_plain_loop(shops: Problem) -> None:
    """Seasonal naive on the file's own values, window after window; MASE by the seasonal steps of
    the training rows.
    """
    found = evaluate(seasonal_naive(7, H), shops, "test", Scoring())
    errors, scaled, truths = [], [], []
    for series, border in zip(shops.table.series, shops.borders, strict=True):
        frame, rows = pd.DataFrame(series.values), series.values
        train = frame[: border.train]
        scale = (train - train.shift(7)).abs().mean().to_numpy()
        for row in range(border.validation, border.test - H + 1):
            # the last observed value at the same place in the week, or before that
            seen = np.array(
                [
                    [
                        next(
                            (
                                rows[i, k]
                                for i in range(row - 7 + h, row - L - 1, -7)
                                if rows[i, k] == rows[i, k]
                            ),
                            np.nan,
                        )
                        for k in (0, 1)
                    ]
                    for h in range(H)
                ]
            )
            error = np.abs(rows[row : row + H] - seen)
            errors.append(error)
            scaled.append(error / scale)
            truths.append(rows[row : row + H])
    assert found["windows"] == len(errors)
    assert found["mae"] == pytest.approx(np.nanmean(errors), rel=1e-5)
    assert found["rmse"] == pytest.approx(np.nanmean(np.square(errors)) ** 0.5, rel=1e-5)
    assert found["mase"] == pytest.approx(np.nanmean(scaled), rel=1e-5)
    assert found["nd"] == pytest.approx(np.nansum(errors) / np.nansum(np.abs(truths)), rel=1e-5)


def test_the_truth_is_the_file_s_own_to_the_last_digit(shops: Problem) -> None:
    """A zero that came back as 5e-9 would lie outside of an interval that begins at 0."""
    windows = shops.windows("test")
    index = torch.arange(len(windows))
    found = Units(shops, windows, torch.device("cpu")).truth(index)
    for window, owner, row in zip(
        found, windows.owners.tolist(), windows.rows.tolist(), strict=True
    ):
        values = shops.table.series[owner].values[row : row + H].T
        assert np.array_equal(window.numpy(), np.nan_to_num(values))
    batch = windows[index]
    assert torch.equal(found == 0, batch.future_mask == 0)


def test_the_baseline_reads_a_season_whatever_the_model_reads(shops: Problem) -> None:
    short, season = (
        replace(shops, config=shops.config.model_copy(update={"lookback": n})) for n in (3, 7)
    )
    found = score_seasonal_naive(short, "test", Scoring("probabilistic", steps=1)).pooled()
    expected, narrow = (
        evaluate(seasonal_naive(7, H), problem, "test", Scoring()) for problem in (season, short)
    )
    assert expected.items() <= found.items()
    assert narrow["mae"] != found["mae"]


def test_steps_asked_for_are_those_of_the_point_forecast_too(shops: Problem) -> None:
    """A path of the paper's kind, whose walk of two steps ends elsewhere than that of one."""
    torch.manual_seed(0)
    network = ResidualNetworkConfig(channels=4, layers=1, heads=2)
    config = DiffusionConfig(
        label=0,
        network=network,
        schedule=BridgeConfig(steps=4),
        sampler=SamplerConfig(steps=2, point_steps=1),
    )
    model, windows = build(config, Shape(2, L, H, 7)), shops.windows("test")
    model.denoiser.forward = lambda y_t, h, given, t: 0.5 * y_t + 1.0
    for steps in (1, 4):
        both = score_windows(
            model, shops, windows, Scoring("probabilistic", 4, steps, full=True)
        ).pooled()
        point = score_windows(model, shops, windows, Scoring("point", steps=steps)).pooled()
        assert both["mse"] == pytest.approx(point["mse"], rel=1e-5)
    other = score_windows(model, shops, windows, Scoring("point", steps=1)).pooled()
    assert other["mse"] != pytest.approx(point["mse"], rel=1e-3)


def test_series_of_any_size_are_compared_in_deviations(shops: Problem) -> None:
    """Fifty times the size, but no worse a forecast."""
    windows = shops.windows("test")
    found = score_windows(seasonal_naive(7, H), shops, windows, Scoring())
    ark, zoo = (found.errors[windows.owners[found.numbers] == n].mean() for n in (0, 1))
    assert 0.5 < float(zoo / ark) < 2


def test_the_worst_windows_do_not_overlap(shops: Problem) -> None:
    windows = shops.windows("test")
    found = score_windows(seasonal_naive(7, H), shops, windows, Scoring())
    worst = worst_windows(found, windows, 4)
    assert found.errors[worst].tolist() == sorted(found.errors[worst].tolist(), reverse=True)
    assert int(worst[0]) == int(found.errors.argmax())
    for owner in (0, 1):
        rows = windows.rows[worst[windows.owners[worst] == owner]].sort().values
        assert (rows.diff() >= H).all()


def test_rolling_origins_end_with_the_file(shops: Problem) -> None:
    problem = rolling_problem(shops.config, shops.table, origins=3, stride=5)
    windows = problem.windows("test")
    numbers = selected_windows(windows, Scoring(stride=5))
    assert windows.owners[numbers].tolist() == [0, 0, 0, 1, 1, 1]
    assert windows.rows[numbers].tolist() == [113, 118, 123, 83, 88, 93]
    with pytest.raises(
        UserError,
        match=r"series 'zoo': 100 rows, but --origins 22 --stride 5 with horizon 7 needs 114",
    ):
        rolling_problem(shops.config, shops.table, origins=22, stride=5)


def test_z_scores_are_the_protocols_whatever_the_model_was_scaled_by(shops: Problem) -> None:
    """Seasonal naive forecasts the same values under any scaling; the file's own errors over the
    protocol's deviation.
    """
    raw = score_windows(seasonal_naive(7, H), shops, shops.windows("test"), Scoring())
    protocol = replace(shops, protocol=shops.scaling)
    foreign = replace(
        protocol, scaling=tuple(Scaling(s.mean + 3 * s.std, 2 * s.std) for s in shops.scaling)
    )
    for problem in (protocol, foreign):
        found = score_windows(seasonal_naive(7, H), problem, problem.windows("test"), Scoring())
        deviations = np.concatenate([s.std for s in shops.scaling])
        np.testing.assert_allclose(
            found.totals.by_series()["mae"],
            np.array(raw.totals.by_series()["mae"]) / deviations,
            rtol=1e-6,
        )
        assert found.pooled()["mase"] == pytest.approx(raw.pooled()["mase"], rel=1e-6)
        torch.testing.assert_close(found.errors, raw.errors, rtol=1e-6, atol=1e-9)


def test_the_protocols_z_scores_do_not_depend_on_the_origins(
    monkeypatch: pytest.MonkeyPatch, shops: Problem
) -> None:
    """Rolling origins put the test years among the rows before them; the unit stays that of the
    training rows.
    """
    halves = SimpleNamespace(split=lambda length: Borders(length // 2, length // 2 + 14, length))
    monkeypatch.setattr(problem_module, "find_dataset", lambda name: halves)
    config = shops.config.model_copy(update={"csv": None, "dataset": "halves"})
    split = load_problem(config, shops.table)
    rolling = rolling_problem(config, shops.table, origins=2, stride=5)
    known = {"ark": Scaling(np.array([1.0, 2.0]), np.array([3.0, 4.0]))}
    foreign = rolling_problem(config, shops.table, origins=2, stride=5, stored=known)
    assert foreign.scaling[0] is known["ark"]
    for number, series in enumerate(shops.table.series):
        rows = series.values[: len(series.values) // 2]
        for problem in (split, rolling, foreign):
            np.testing.assert_array_equal(problem.protocol[number].std, np.nanstd(rows, axis=0))
    assert not np.allclose(rolling.scaling[0].std, split.scaling[0].std)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Quantiles of the bundled sample's weather, in a store of its own."""
    out = tmp_path_factory.mktemp("quantiles") / "model"
    done = inside(
        "train",
        "quantile-linear",
        "--csv",
        SAMPLE,
        "--horizon",
        14,
        "--lookback",
        56,
        "--accelerator",
        "cpu",
        "--set",
        "trainer.max_epochs=1",
        "--set",
        "trainer.point_windows=50",
        "--set",
        "trainer.score_windows=0",
        "--refit",
        "none",
        "--output",
        out,
        "--json",
    )
    return json.loads(done.stdout)


def test_evaluate_logs_a_run_with_tables_and_pictures(trained: dict) -> None:
    import mlflow

    from forecaster.tracking.query import get_run
    from forecaster.tracking.store import store_uri

    args = [
        "evaluate",
        "--model",
        trained["model_dir"],
        "--mode",
        "probabilistic",
        "--samples",
        20,
        "--limit",
        40,
    ]
    done = inside(*args, "--run-name", "scored", "--experiment", "scores", "--json")
    assert (
        "note: --limit: scored 40 of 279 windows, evenly spaced from the first to the last"
        in done.stderr
    )
    found = json.loads(done.stdout)
    scores = {"metrics", "seasonal_naive", "verdict", "skill", "by_series"}
    assert set(found) == scores | {"run_id", "season", "effects"}
    assert found["effects"] == []  # of no covariates
    assert found["by_series"].startswith("90 % intervals by series: ")
    assert found["season"] == 365
    expected = {
        "mse",
        "mae",
        "rmse",
        "mase",
        "smape",
        "nd",
        "crps",
        "crps_sum",
        "energy",
        "variogram",
        "wql",
        "wql_9",
        "wql_sum",
        "windows",
    }
    expected |= {
        f"{name}/{p}" for name in ("coverage", "width", "interval") for p in (50, 80, 90, 95)
    }
    assert set(found["metrics"]) == {f"test/{name}" for name in expected}
    assert found["metrics"]["test/windows"] == found["seasonal_naive"]["test/windows"] == 40
    run = get_run(found["run_id"])
    assert run["name"] == "scored"
    assert run["tags"]["verdict"] == run["tags"]["mlflow.note.content"] == found["verdict"]
    assert found["verdict"].startswith("On 40 past windows ")
    assert run["metrics"]["skill/low"] == pytest.approx(found["skill"]["low"])
    assert run["metrics"]["test/mae"] == pytest.approx(found["metrics"]["test/mae"])
    assert run["metrics"]["test/seasonal_naive/mae"] == pytest.approx(
        found["seasonal_naive"]["test/mae"]
    )
    client = mlflow.MlflowClient(tracking_uri=store_uri())
    assert client.get_run(found["run_id"]).data.tags["evaluated_run"] == trained["run_id"]
    kept = {
        Path(f.path).name
        for folder in ("evaluation", "plots")
        for f in client.list_artifacts(found["run_id"], folder)
    }
    assert kept == {
        "metrics.json",
        "by_lead.csv",
        "by_series.csv",
        "windows.csv",
        "pit.csv",
        "by_lead.png",
        "pit.png",
        "reliability.png",
        "worst.png",
    }
    folder = Path(client.download_artifacts(found["run_id"], "evaluation"))
    leads, series, pit = (
        pd.read_csv(folder / f"{name}.csv") for name in ("by_lead", "by_series", "pit")
    )
    history = client.get_metric_history(found["run_id"], "by_lead/test/mae")
    assert [m.step for m in history] == list(range(1, 15))
    np.testing.assert_allclose([m.value for m in history], leads["mae"], rtol=1e-6)
    # nothing is missing in this file, so the parts weigh the same
    for name in ("mae", "mse", "crps", "coverage/90", "interval/50"):
        assert leads[name].mean() == pytest.approx(found["metrics"][f"test/{name}"], rel=1e-6)
        assert series[name].mean() == pytest.approx(found["metrics"][f"test/{name}"], rel=1e-6)
    assert list(series["item_id"]) == ["precipitation", "temp_max", "temp_min", "wind"]
    assert pit["share"].sum() == pytest.approx(1)
    assert len(pd.read_csv(folder / "windows.csv")) == 40


def test_rolling_origins_score_the_forecasts_that_would_have_been_made(
    trained: dict, tmp_path
) -> None:
    lines = SAMPLE.read_text().splitlines()
    truth = pd.read_csv(SAMPLE)[["precipitation", "temp_max", "temp_min", "wind"]].to_numpy()
    errors = []
    for origin in (0, 10, 20):
        end = len(lines) - 14 - origin
        (tmp_path / "known.csv").write_text("\n".join(lines[:end]) + "\n")
        inside(
            "forecast",
            "--model",
            trained["model_dir"],
            "--csv",
            tmp_path / "known.csv",
            "--mode",
            "point",
            "--output",
            tmp_path / "out.csv",
        )
        forecast = pd.read_csv(tmp_path / "out.csv")["median"].to_numpy().reshape(4, 14).T
        errors.append(np.abs(forecast - truth[end - 1 : end + 13]))
    args = [
        "evaluate",
        "--model",
        trained["model_dir"],
        "--csv",
        SAMPLE,
        "--origins",
        3,
        "--stride",
        10,
    ]
    found = json.loads(inside(*args, "--json").stdout)["metrics"]
    assert found["test/windows"] == 3
    assert found["test/mae"] == pytest.approx(np.mean(errors), rel=1e-4)
    done = inside(*args)
    assert "which flatters it" not in done.stderr
    said = done.stdout
    assert (
        "3 windows of seattle_weather.csv, the last 3 origins, 10 steps apart, 14 steps ahead, in the file's own units"
        in said
    )
    *table, _, verdict, by_series, run = said.splitlines()
    assert table[0].split() == ["metric", "test", "seasonal", "naive"]
    sampled = ["wql", "crps", "coverage/80", "coverage/90", "width/90"]
    assert [row.split()[0] for row in table[1:]] == ["mase", "mae", "rmse", *sampled]
    assert verdict.startswith("On 3 past windows ")
    assert "; 90 % intervals held " in verdict
    assert by_series.startswith("90 % intervals by series: ")
    assert run.startswith("run    ")
    point = inside(*args, "--mode", "point").stdout.splitlines()
    assert [line.split() for line in point[:4]] == [line.split() for line in table[:4]]
    assert point[4:6] == [*said.splitlines()[9:10], f"{verdict.partition(';')[0]}."]
    names = [line.split()[0] for line in inside(*args, "--metrics", "all").stdout.splitlines()]
    assert {"mse", "smape", "nd", "windows"} <= set(names)


def test_origins_that_the_model_has_seen_are_told(trained: dict) -> None:
    """A fifth of the 1461 rows is 292: the targets of 20 origins a fortnight apart fit, those of 21
    do not.
    """
    args = [
        "evaluate",
        "--model",
        trained["model_dir"],
        "--csv",
        SAMPLE,
        "--stride",
        14,
        "--origins",
    ]
    assert "which flatters it" not in inside(*args, 20).stderr
    assert (
        "note: --origins: the earliest lie in the rows that this model was trained on"
        in inside(*args, 21).stderr
    )


@pytest.mark.slow
def test_origins_seen_before_the_file_grew_are_told(trained: dict, tmp_path: Path) -> None:
    """Another row: the file is another, its series is not."""
    text = SAMPLE.read_text(encoding="utf-8").rstrip("\n")
    grown = tmp_path / "grown.csv"
    grown.write_text(
        text + "\n" + text.splitlines()[-1].replace("2015-12-31", "2016-01-01") + "\n",
        encoding="utf-8",
    )
    args = [
        "evaluate",
        "--model",
        trained["model_dir"],
        "--csv",
        grown,
        "--stride",
        14,
        "--origins",
    ]
    assert "which flatters it" not in inside(*args, 20).stderr
    assert (
        "trained on or chosen by, if these are its series, which flatters it"
        in inside(*args, 21).stderr
    )


@pytest.mark.parametrize("damage", [3, {"": "soon"}, {"": [1]}])
def test_damaged_times_are_one_line(trained: dict, tmp_path: Path, damage: object) -> None:
    folder = tmp_path / "model"
    shutil.copytree(trained["model_dir"], folder)
    metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    (folder / "metadata.json").write_text(
        json.dumps(metadata | {"learnt_until": damage}), encoding="utf-8"
    )
    told = inside("evaluate", "--model", folder, "--csv", SAMPLE, "--origins", 2, status=1).stderr
    assert (
        told.splitlines()[-1]
        == f"error: {folder / 'metadata.json'}: learnt_until is damaged; copy the model again"
    )


@pytest.mark.slow
def test_a_split_that_the_model_has_seen_is_told(trained: dict, tmp_path: Path) -> None:
    """The first 700 of 1461 rows: their last fifth lies in the training rows."""
    half = tmp_path / "half.csv"
    half.write_text(
        "\n".join(SAMPLE.read_text(encoding="utf-8").splitlines()[:701]) + "\n", encoding="utf-8"
    )
    said = inside("evaluate", "--model", trained["model_dir"], "--csv", half).stderr
    assert (
        "the test split: its first windows lie in the rows that this model was trained on or chosen by, if these are"
        in said
    )
    assert "flatters" not in inside("evaluate", "--model", trained["model_dir"]).stderr


def test_nothing_to_score_is_an_error(trained: dict, tmp_path: Path) -> None:
    """The rows to validate on are blank."""
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()[:401]
    blank = [line.split(",")[0] + "," * line.count(",") for line in lines[281:321]]
    path = tmp_path / "blank.csv"
    path.write_text("\n".join([*lines[:281], *blank, *lines[321:]]) + "\n", encoding="utf-8")
    args = ["evaluate", "--model", trained["model_dir"], "--csv", path]
    refused = inside(*args, "--split", "validation", status=1)
    assert refused.stderr.splitlines()[-1].endswith(
        "in the file's own units: none has a value to score; see check"
    )


def test_a_column_blank_before_the_origins_is_scored_by_what_the_model_knows(
    trained: dict, tmp_path: Path
) -> None:
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()[:400]
    cells = [line.split(",") for line in lines]
    path = tmp_path / "begins_late.csv"
    path.write_text(
        "\n".join(",".join([*c[:4], "" if 0 < i < 372 else c[4]]) for i, c in enumerate(cells))
        + "\n"
    )
    args = ["evaluate", "--model", trained["model_dir"], "--csv", path]
    found = json.loads(inside(*args, "--origins", 2, "--json").stdout)["metrics"]
    assert found["test/mae"] == found["test/mae"]
    path.write_text("\n".join(lines[:80]) + "\n")
    refused = inside(*args, status=1).stderr.splitlines()[-1]
    assert refused == (
        f"error: {path}: 79 rows, but training with lookback 56 and horizon 14 needs 98 (lookback + horizon to learn from, a "
        "horizon to validate and one to test on); give --origins in place of --split, or more rows"
    )


def test_a_column_that_ends_early_is_scored_as_far_as_it_goes(tmp_path: Path) -> None:
    """A forecast could not be made from its end; the test windows before it can be scored."""
    days = pd.date_range("2023-01-01", periods=300).strftime("%Y-%m-%d")
    rows = [f"{day},{i % 7},{'' if i >= 270 else i % 5}" for i, day in enumerate(days)]
    path = tmp_path / "dead.csv"
    path.write_text("day,a,b\n" + "\n".join(rows) + "\n", encoding="utf-8")
    train = [
        "train",
        "nlinear",
        "--csv",
        path,
        "--horizon",
        7,
        "--lookback",
        28,
        "--set",
        "trainer.max_epochs=1",
    ]
    metrics = json.loads(inside(*train, "--output", tmp_path / "model", "--json").stdout)["metrics"]
    scored = json.loads(inside("evaluate", "--model", tmp_path / "model", "--json").stdout)[
        "metrics"
    ]
    assert scored["test/mae"] == pytest.approx(metrics["test/mae"])


@pytest.mark.slow
def test_conformal_intervals_on_their_own_errors_are_told(trained: dict) -> None:
    args = ["evaluate", "--model", trained["model_dir"], "--conformal", "--limit", 3, "--mode"]
    told = "note: --conformal: the intervals come from the errors on these very windows"
    assert told in inside(*args, "probabilistic", "--split", "validation").stderr
    assert told not in inside(*args, "probabilistic").stderr
    assert (
        "--conformal gives intervals, --mode point has none"
        in inside(*args, "point", status=1).stderr
    )


def test_what_cannot_be_is_refused(trained: dict) -> None:
    args = ["evaluate", "--model", trained["model_dir"]]
    assert (
        "give it with --csv and without --split" in inside(*args, "--origins", 3, status=2).stderr
    )
    assert "are for a file: give --csv, too" in inside(*args, "--target", "wind", status=2).stderr
    assert (
        "--stride is the distance between --origins"
        in inside(*args, "--stride", 3, status=2).stderr
    )
    refused = inside(*args, "--csv", SAMPLE, "--origins", 200, status=1).stderr
    assert (
        "1461 rows, but --origins 200 --stride 14 with horizon 14 needs 2805 (5 of them before the first origin)"
        in refused
    )


def test_values_beyond_all_that_was_learnt_from_are_one_line(trained: dict, tmp_path: Path) -> None:
    lines = SAMPLE.read_text().splitlines()
    cells = lines[-1].split(",")
    path = tmp_path / "far.csv"
    path.write_text(
        "\n".join([*lines[:-1], ",".join([cells[0], *(["1e30"] * (len(cells) - 1))])]) + "\n"
    )
    refused = inside(
        "evaluate", "--model", trained["model_dir"], "--csv", path, "--origins", 1, status=1
    )
    assert refused.stderr.startswith(f"error: {path}: column '")
    assert "holds 1e+30, more than " in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def refitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    """A linear model of the first 400 days of a walk of 430, trained on all rows in the end."""
    folder = tmp_path_factory.mktemp("refitted")
    days = pd.date_range("2023-01-01", periods=430).strftime("%Y-%m-%d")
    values = np.random.default_rng(0).normal(size=430).cumsum()
    lines = ["day,value", *(f"{day},{value:.4f}" for day, value in zip(days, values, strict=True))]
    for name, count in (("known", 401), ("grown", 431)):
        (folder / f"{name}.csv").write_text("\n".join(lines[:count]) + "\n", encoding="utf-8")
    settings = ["--set", "trainer.max_epochs=3", "--set", "trainer.learning_rate=0.01"]
    data = ["--csv", folder / "known.csv", "--horizon", 7, "--lookback", 28]
    done = inside("train", "nlinear", *data, *settings, "--output", folder / "model", "--json")
    return json.loads(done.stdout), folder


@pytest.mark.slow
def test_rows_that_the_saved_model_has_learnt_are_scored_by_the_held_out_one(
    refitted: tuple[dict, Path],
) -> None:
    from forecaster.tracking.query import get_run

    trained, folder = refitted
    assert trained["refit"] == "all"
    assert trained["learnt_until"] == {"": "2023-11-16 00:00:00"}
    assert trained["trained_until"] == {"": "2024-02-04 00:00:00"}
    saved = load_model(folder / "model")
    assert saved.metadata["trained_until"] == trained["trained_until"]
    assert not torch.equal(saved.core.layer.weight, saved.scored().core.layer.weight)
    for split, prefix in (("test", "test"), ("validation", "val")):
        args = ["evaluate", "--model", folder / "model", "--mode", "point", "--split", split]
        done = inside(*args, "--json")
        found = json.loads(done.stdout)
        assert found["metrics"][f"{prefix}/mae"] == pytest.approx(
            trained["metrics"][f"{prefix}/mae"]
        )
        assert (
            "scored is the held-out model: the saved model was trained on all rows until "
            "2024-02-04" in done.stderr
        )
        assert get_run(found["run_id"])["params"]["scored"] == "the held-out model"
        assert "flatters" not in done.stderr
    assert "by the held-out model" in inside(*args).stdout


def test_a_forecast_of_rows_that_the_model_has_learnt_says_so(refitted: tuple[dict, Path]) -> None:
    _, folder = refitted
    lines = (folder / "known.csv").read_text(encoding="utf-8").splitlines()
    (folder / "cut.csv").write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    ask = ["forecast", "--model", folder / "model", "--output", folder / "ahead.csv", "--csv"]
    for name in ("known", "grown"):
        assert "flatter" not in inside(*ask, folder / f"{name}.csv").stderr
    assert (
        "the file ends at 2024-02-03 00:00:00, the model has learnt from rows until "
        "2024-02-04 00:00:00: if these are its rows, errors of this forecast flatter it"
    ) in inside(*ask, folder / "cut.csv").stderr


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"owners": None}, "owners"),
        ({"owners": [1]}, "an error of an unknown series"),
        ({"owners": [-2]}, "an error of an unknown series"),
        ({"times": [0, 1]}, "times or series of errors that are not there"),
        ({"times": [0.5]}, "times or series of errors that are not there"),
    ],
)
def test_errors_that_fit_no_model_are_refused(
    refitted: tuple[dict, Path], tmp_path: Path, changes: dict[str, list | None], reason: str
) -> None:

    shutil.copytree(refitted[1] / "model", tmp_path / "model")
    path = tmp_path / "model" / "calibration.safetensors"
    saved = load_file(path)
    for name, value in changes.items():
        kept = saved.pop(name)
        if value is not None:  # one of each kind as often as there are errors, or too often
            saved[name] = torch.tensor(value).repeat(len(kept))
    save_file(saved, path)
    with pytest.raises(UserError, match=f"calibration.safetensors: damaged .*{reason}"):
        load_model(tmp_path / "model")


def test_rows_after_the_training_are_scored_by_the_saved_model(refitted: tuple[dict, Path]) -> None:
    """30 rows are new: with horizon 7, 4 origins a week apart lie in them, 5 do not."""

    _, folder = refitted
    args = ["evaluate", "--model", folder / "model", "--csv", folder / "grown.csv"]
    args += ["--mode", "point", "--origins"]
    saved = load_model(folder / "model")
    found, problem = {}, {}
    for origins in (4, 5):
        done = inside(*args, origins, "--json")
        found[origins] = json.loads(done.stdout)["metrics"]["test/mae"]
        data = saved.config.data.model_copy(update={"csv": str(folder / "grown.csv")})
        problem[origins] = rolling_problem(
            data, problem_module.load_table(data), origins, 7, saved.scaling
        )
        told = "; --origins 4 scores the saved model, on the rows after that" in done.stderr
        assert told == (origins == 5)
    for origins, model in ((4, saved.model), (5, saved.scored().model)):
        scores = evaluate(model, problem[origins], "test", Scoring("point", stride=7))
        assert found[origins] == pytest.approx(scores["mae"])


def test_a_held_out_model_that_is_missing_is_one_line(
    refitted: tuple[dict, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(refitted[1] / "model", folder)
    (folder / "held_out" / "weights.safetensors").unlink()
    refused = inside("evaluate", "--model", folder, status=1).stderr.splitlines()[-1]
    assert refused == (
        f"error: {folder}: incomplete, held_out/weights.safetensors is missing; train or copy the "
        "model again"
    )


def test_without_a_refit_the_scored_model_is_saved(
    refitted: tuple[dict, Path], tmp_path: Path
) -> None:
    _, folder = refitted
    data = ["--csv", folder / "known.csv", "--horizon", 7, "--lookback", 28, "--refit", "none"]
    output = ["--set", "trainer.max_epochs=1", "--output", tmp_path / "model"]
    done = inside("train", "nlinear", *data, *output)
    assert (
        "figures: held out (trained and chosen until 2023-11-16), of the saved model" in done.stdout
    )
    assert not (tmp_path / "model" / "held_out").exists()
    told = inside("evaluate", "--model", tmp_path / "model", "--mode", "point")
    assert "held-out" not in told.stderr + told.stdout


def test_until_when_a_model_has_learnt_is_told_in_the_files_own_time(
    cli: Cli, tmp_path: Path
) -> None:
    hours = pd.date_range("2024-06-20", periods=400, freq="h")
    csv, model = tmp_path / "hours.csv", tmp_path / "model"
    pd.DataFrame({"time": hours, "x": np.arange(400) % 24 + 0.5}).to_csv(csv, index=False)
    given = ("--csv", csv, "--timezone", "Europe/Berlin", "--horizon", 6, "--lookback", 48)
    few = ("--set", "trainer.max_epochs=1", "--output", model)
    trained = cli("train", "seasonal-naive", *given, *few).stdout
    until = "2024-07-06 15:00:00+02:00"
    assert f"then trained on all rows, until {until}\n" in trained
    run_id = trained.partition("\nrun    ")[2].partition("\n")[0]
    assert get_run(run_id)["tags"]["trained_until"] == until
    again = json.loads(cli("train", "seasonal-naive", *given, *few[:2], "--json").stdout)
    assert again["trained_until"] == {"": until}
    assert again["learnt_until"] == {"": "2024-07-03 07:00:00+02:00"}
    saved = load_model(model)
    assert saved.said_until() == {"": pd.Timestamp(until)}
    assert saved.until() == {"": pd.Timestamp("2024-07-06 13:00")}
    older = replace(saved, metadata={k: v for k, v in saved.metadata.items() if k != "clock"})
    assert older.said_until() == older.until()
    for wrong in ({"utc": True}, {"utc": True, "zone": "Nowhere", "date_only": False}, "UTC"):
        damaged = replace(saved, metadata={**saved.metadata, "clock": wrong})
        with pytest.raises(UserError, match=r"metadata.json: clock is damaged; copy the model"):
            damaged.said_until()
    said = cli("evaluate", "--model", model, "--csv", csv, "--origins", 2).stderr
    assert f"the saved model was trained on all rows until {until}\n" in said
