"""The Python interface: the command line's numbers, from whatever holds the data, and nothing beside them."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, SAMPLE, Cli

import forecaster
from forecaster.data.frames import read_source
from forecaster.tracking import store

FEW = {
    "trainer.max_steps": 2,
    "trainer.stage_epochs": 1,
    "trainer.stage_batches": 10,
    "trainer.validation_windows": 16,
    "trainer.point_windows": 16,
    "trainer.score_windows": 2,
    "trainer.score_samples": 4,
}
SETS = [word for key, value in FEW.items() for word in ("--set", f"{key}={value}")]
LINEAR = {"model": "quantile-linear", "horizon": 3, "lookback": 14, "settings": FEW}


def long_frame() -> pd.DataFrame:
    """Two shops, 120 days, in numbers that single precision holds."""
    days = pd.date_range("2024-01-01", periods=120, name="day")
    rows = np.arange(120)
    shops = {"ark": 8 + (rows % 7) + rows / 4, "zoo": 40 - (rows % 7) * 2 + (rows % 5) / 4}
    frames = [pd.DataFrame({"day": days, "shop": s, "sales": v}) for s, v in shops.items()]
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def long_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "shops.csv"
    long_frame().to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def model(long_csv: Path) -> forecaster.Model:
    return forecaster.train(long_csv, **LINEAR, tracking=False)


@pytest.mark.parametrize(
    "preset",
    [*(pytest.param(n, marks=pytest.mark.slow) for n in ("s2dbm", "quantile-linear")), "s4d"],
    ids=["samples", "quantiles", "point"],
)
def test_the_same_seed_gives_the_command_lines_numbers(
    preset: str, cli: Cli, tmp_path: Path
) -> None:
    size = {"model.layers": 1, "model.width": 8} if preset == "s4d" else {}
    sets = [word for key, value in size.items() for word in ("--set", f"{key}={value}")]
    common = ("--csv", SAMPLE, "--accelerator", "cpu")
    done = cli(
        *("train", preset, *common, "--horizon", 3, "--lookback", 14, "--seed", 5, *SETS, *sets),
        *("--lower", "precipitation=0", "--output", tmp_path / "model", "--json"),
    )
    asked = {"preset": preset, "horizon": 3, "lookback": 14, "seed": 5, "accelerator": "cpu"}
    frame = pd.read_csv(SAMPLE, index_col="date", parse_dates=True, float_precision="round_trip")
    made = forecaster.train(
        frame, **asked, settings={**FEW, **size}, lower={"precipitation": 0}, tracking=False
    )
    theirs = json.loads(done.stdout)["metrics"]
    ours = made.metrics
    assert {k: v for k, v in ours.items() if k != "train_seconds"} == {
        k: v for k, v in theirs.items() if k != "train_seconds"
    }
    output = tmp_path / "forecast.csv"
    cli(
        *("forecast", "--model", tmp_path / "model", *common, "--samples", 7, "--seed", 9),
        *("--quantiles", "0.25,0.75", "--output", output),
    )
    forecast = made.forecast(frame, samples=7, seed=9, quantiles=[0.75, 0.25])
    forecast.to_csv(tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == output.read_bytes()
    loaded = forecaster.load(tmp_path / "model", accelerator="cpu").forecast(
        SAMPLE, samples=7, seed=9, quantiles=[0.25, 0.75]
    )
    pd.testing.assert_frame_equal(forecast.frame, loaded.frame, check_exact=True)


def test_evaluation_gives_the_command_lines_numbers(cli: Cli, long_csv: Path, model) -> None:
    done = cli(
        *("evaluate", "--model", model.folder, "--csv", long_csv, "--origins", 4, "--stride", 2),
        *("--mode", "probabilistic", "--samples", 9, "--seed", 3, "--json"),
    )
    theirs = json.loads(done.stdout)
    ours = model.evaluate(long_frame(), origins=4, stride=2, samples=9, seed=3)
    assert {f"test/{name}": value for name, value in ours.metrics.items()} == theirs["metrics"]
    assert {f"test/{n}": v for n, v in ours.baseline.items()} == theirs["seasonal_naive"]


def wide_columns() -> pd.DataFrame:
    frame = long_frame().pivot(index="day", columns="shop", values="sales")
    return frame.rename_axis(columns=None)


def test_frames_of_any_form_are_the_file(long_csv: Path, model) -> None:
    expected = model.forecast(long_csv).frame
    levels = ["0.05", "0.5", "0.95"]
    assert list(expected.columns) == ["item_id", "timestamp", "mean", "median", *levels]
    frame = long_frame()
    forms = {
        "long": frame,
        "times as the index": frame.set_index("day"),
        "items and times as the index": frame.set_index(["shop", "day"]),
        "periods": frame.assign(day=frame["day"].dt.to_period("D")),
        "texts": frame.assign(day=frame["day"].dt.strftime("%Y-%m-%d")),
    }
    for form, each in forms.items():
        found = model.forecast(each).frame
        pd.testing.assert_frame_equal(found, expected, check_exact=True, obj=form)
    other = forecaster.train(frame, **LINEAR, tracking=False).forecast(long_csv).frame
    pd.testing.assert_frame_equal(other, expected, check_exact=True)


def test_a_wide_frame_is_the_wide_file(tmp_path: Path) -> None:
    frame, path = wide_columns(), tmp_path / "wide.csv"
    frame.to_csv(path)
    model = forecaster.train(path, **LINEAR, tracking=False)
    expected = model.forecast(path).frame
    for each in (frame, frame.rename_axis(index=None), frame.reset_index()):
        pd.testing.assert_frame_equal(model.forecast(each).frame, expected, check_exact=True)
    assert expected["item_id"].unique().tolist() == ["ark", "zoo"]


def test_a_polars_frame_is_the_file(long_csv: Path, model) -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    found = model.forecast(polars.from_pandas(long_frame())).frame
    pd.testing.assert_frame_equal(found, model.forecast(long_csv).frame, check_exact=True)


def test_a_frame_that_calls_itself_polars_is_taken_by_its_own_conversion(model) -> None:
    class Frame:
        def to_pandas(self) -> pd.DataFrame:
            return long_frame()

    Frame.__module__ = "polars.dataframe.frame"
    pd.testing.assert_frame_equal(
        model.forecast(Frame()).frame, model.forecast(long_frame()).frame, check_exact=True
    )


def gluonts_datasets() -> dict[str, object]:
    from gluonts.dataset.common import ListDataset
    from gluonts.dataset.pandas import PandasDataset

    frame = long_frame()
    entries = [
        {"start": pd.Period("2024-01-01", "D"), "target": rows["sales"].to_numpy(), "item_id": shop}
        for shop, rows in frame.groupby("shop")
    ]
    return {
        "list": ListDataset(entries, freq="D"),
        "pandas": PandasDataset.from_long_dataframe(
            frame, item_id="shop", timestamp="day", target="sales", freq="D"
        ),
        "entries": entries,
    }


@pytest.mark.parametrize("kind", ["list", "pandas", "entries"])
def test_a_gluonts_data_set_is_the_file(kind: str, long_csv: Path) -> None:
    data = gluonts_datasets()[kind]
    found = forecaster.train(data, **LINEAR, tracking=False)
    file = forecaster.train(long_csv, **LINEAR, tracking=False)
    pd.testing.assert_frame_equal(
        found.forecast(data).frame, file.forecast(long_csv).frame, check_exact=True
    )


def test_a_months_period_begins_with_the_month_and_channels_are_numbered() -> None:
    entry = {"start": pd.Period("2024-01", "M"), "target": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]}
    raw = read_source([entry])
    assert list(raw.columns) == ["timestamp", "target_0", "target_1"]
    assert list(raw.columns["timestamp"]) == list(pd.date_range("2024-01-01", periods=3, freq="MS"))
    assert list(raw.columns["target_1"]) == [4.0, 5.0, 6.0]


def test_a_frames_digest_is_that_of_its_cells() -> None:
    frame = long_frame()
    digest = read_source(frame).digest
    assert read_source(frame.set_index(["day", "shop"])).digest == digest
    changed = frame.assign(sales=frame["sales"].where(frame.index != 77, 0.5))
    renamed = frame.rename(columns={"sales": "sold"})
    assert len({digest, *(read_source(f).digest for f in (changed, renamed, frame[::-1]))}) == 4


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (3, "int is no data: give a path, a pandas or polars frame, or a GluonTS data set"),
        ([{"start": 3}], "the data set: its entries need 'start' and 'target'"),
        ([{"start": "2024", "target": [1]}], "'start' is a str; it needs to be a pandas Period"),
        ("nowhere.csv", "nowhere.csv: no such file; check the path"),
        (
            long_frame().set_index("day", drop=False),
            "the frame: 'day' is an index and a column, too; drop one of them",
        ),
        (
            long_frame().assign(sales="many"),
            "the frame, row 1, column 'sales': 'many' is not a number",
        ),
        (long_frame()[:9], "the frame, series 'ark': 9 rows, but training with lookback 14"),
    ],
)
def test_mistakes_in_the_data_are_exceptions_that_name_them(source: object, message: str) -> None:
    with pytest.raises(forecaster.UserError) as caught:
        forecaster.train(source, **LINEAR, target="sales", tracking=False)
    assert message in str(caught.value)


def test_mistakes_in_the_arguments_are_exceptions_that_name_them(model) -> None:
    def refused(call, *args: object, **kwargs: object) -> str:
        with pytest.raises(forecaster.UserError) as caught:
            call(*args, **kwargs)
        return str(caught.value)

    frame, train = long_frame(), forecaster.train
    assert "did you mean 's2dbm'?" in refused(train, frame, preset="s2dmb", tracking=False)
    assert refused(train, frame, preset="s4", model="s4") == "give preset or model, not both"
    assert "no configuration key 'trainer.max_stepz'" in refused(
        train, frame, settings={"trainer.max_stepz": 1}, tracking=False
    )
    assert refused(train, frame, on_gap="ignore").startswith("train: on_gap: input should be")
    assert "deriv" in refused(train, frame, model=dict, tracking=False)
    assert "mode: 'both' is none" in refused(model.forecast, frame, mode="both")
    assert "origins: 0 is too few" in refused(model.evaluate, frame, origins=0)
    assert "samples: 1 is too few" in refused(model.evaluate, frame, samples=1)
    assert refused(model.evaluate, frame, stride=2) == "stride needs origins; give both"
    assert "quantile 0.123 is not among" in refused(model.evaluate, frame, quantiles=[0.123])
    assert "conformal gives intervals" in refused(
        model.forecast, frame, mode="point", conformal=True
    )
    assert refused(forecaster.backtest, frame, ["s4"], origins=1).startswith("origins: 1 is too")
    assert "split: 'train' is none" in refused(model.evaluate, frame, split="train")


@pytest.mark.parametrize("name", ["covariates", "knwon", "horizn"])
def test_unknown_arguments_are_refused(name: str, model) -> None:
    for call in (forecaster.train, forecaster.check, model.forecast, model.evaluate):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
            call(long_frame(), **{name: "x"})


def test_samples_are_the_paths_that_the_table_is_made_of(tmp_path: Path) -> None:
    frame = wide_columns()
    asked = {"preset": "s2dbm", "horizon": 3, "lookback": 14, "settings": FEW}
    model = forecaster.train(frame, **asked, tracking=False)
    shuffled = frame[["zoo", "ark"]]  # the file's order is not the model's
    forecast = model.forecast(shuffled, samples=20, quantiles=[0.3])
    samples = forecast.samples
    assert samples.dims == ("item", "sample", "step", "channel")
    assert samples.shape == (1, 20, 3, 2) == np.asarray(samples).shape
    assert samples.coords["channel"].tolist() == ["zoo", "ark"]
    assert samples.coords["step"].tolist() == [1, 2, 3]
    table, point = (
        each.frame.set_index("item_id")
        for each in (forecast, model.forecast(shuffled, mode="point"))
    )
    np.testing.assert_array_equal(table["mean"], point["mean"])
    for k, name in enumerate(("zoo", "ark")):
        paths = samples.values[0, :, :, k]
        assert not np.array_equal(
            table.loc[name, "mean"], paths.mean(0)
        )  # it is the point forecast
        np.testing.assert_array_equal(
            table.loc[name, "0.3"], np.quantile(paths, 0.3, axis=0, method="weibull")
        )
    target = frame.to_numpy().T
    entry = {"start": pd.Period("2024-01-01", "D"), "item_id": "", "target": target}
    [theirs] = model.gluonts(samples=20).predict([entry])
    for k, name in enumerate(("ark", "zoo")):  # of the model itself, in each dimension
        np.testing.assert_allclose(theirs.copy_dim(k).mean, table.loc[name, "mean"], rtol=1e-6)
    assert model.forecast(shuffled, mode="point").samples is None
    assert model.forecast(shuffled, conformal=True, quantiles=[0.5]).samples is None


def test_a_picture_is_a_figure_and_a_file(model, tmp_path: Path) -> None:
    figure = model.forecast(long_frame()).plot(tmp_path / "pictures" / "f.svg")
    titles = [axis.get_title(loc="left").partition(" (MASE ")[0] for axis in figure.axes]
    assert sorted(titles) == ["ark", "zoo"]
    assert (tmp_path / "pictures" / "f.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert [path.name for path in tmp_path.rglob("*.*")] == ["f.svg"]


def test_metrics_follow_from_the_forecasts_that_are_shown(model) -> None:
    frame = long_frame()
    frame.loc[[115, 117], "sales"] = np.nan  # each of the two is a target of two windows
    scores = model.evaluate(frame, origins=3, stride=2, quantiles=[0.05, 0.5, 0.95])
    shown = scores.frame
    centres = ["mean", "median"]
    assert list(shown.columns)[:6] == ["item_id", "cutoff", "timestamp", "y", *centres]
    assert len(shown) == 2 * 3 * 3
    error = (shown["y"] - shown["median"]).abs()
    assert error.isna().sum() == 4
    assert error.mean() == pytest.approx(scores.metrics["mae"], rel=1e-12)
    known = shown.dropna()
    held = (known["0.05"] <= known["y"]) & (known["y"] <= known["0.95"])
    assert held.mean() == pytest.approx(scores.metrics["coverage/90"])
    first = shown.iloc[0]
    assert first["timestamp"] - first["cutoff"] == pd.Timedelta(days=1)
    last = shown.groupby("item_id")["timestamp"].max()
    assert (last == pd.Timestamp("2024-04-29")).all()
    truth = frame.set_index(["shop", "day"])["sales"]
    found = shown.set_index(["item_id", "timestamp"])["y"]
    np.testing.assert_array_equal(found, truth.reindex(found.index))
    by_lead = error.groupby(np.tile([1, 2, 3], 6)).mean()
    np.testing.assert_allclose(scores.by_lead["mae"], by_lead)
    by_item = error.groupby(shown["item_id"]).mean()
    np.testing.assert_allclose(scores.by_series.set_index("item_id")["mae"], by_item)


def test_forecasts_that_are_scored_are_those_of_forecast(long_csv: Path) -> None:
    """The forecast from the last origin is the one that the table cut off there gives."""
    model = forecaster.train(long_csv, **LINEAR, refit="none", tracking=False)
    frame = long_frame()
    scored = model.evaluate(frame, origins=1, quantiles=[0.1, 0.9]).frame
    ahead = model.forecast(frame[frame["day"] < "2024-04-27"], quantiles=[0.1, 0.9]).frame
    assert scored["timestamp"].tolist() == ahead["timestamp"].tolist()
    for name in ("0.1", "0.9"):
        np.testing.assert_allclose(scored[name], ahead[name], rtol=1e-5)


def test_times_are_those_of_the_tables_clock(tmp_path: Path) -> None:
    hours = pd.date_range("2024-03-25", periods=24 * 8, freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame({"load": np.arange(len(hours)) % 24.0}, index=hours)
    model = forecaster.train(
        frame,
        model="seasonal-naive",
        horizon=2,
        lookback=24,
        timezone="Europe/Berlin",
        tracking=False,
    )
    found = model.forecast(frame).frame
    assert found["timestamp"].tolist() == [hours[-1] + pd.Timedelta(hours=h) for h in (1, 2)]
    assert str(found["timestamp"].dt.tz) == "Europe/Berlin"
    assert model.trained_until == {"": hours[-1]}


def test_check_tells_and_does_not_raise(tmp_path: Path) -> None:
    frame = long_frame()
    report = forecaster.check(frame, horizon=3, lookback=14)
    assert (report.ok, report.problems, report.facts["layout"]) == (True, (), "long")
    assert report.decisions[0] == "column 'shop' names the series"
    assert (report.facts["horizon"], report.facts["lookback"]) == (3, 14)
    short = forecaster.check(frame.assign(flat=1.0), horizon=96)
    assert not short.ok
    assert short.suggestions[-1] == "column 'flat' never changes: leave it out with --target"
    table = short.to_frame()
    assert list(table.columns) == ["kind", "name", "text"]
    assert table.set_index("name").loc["layout", "text"] == "long"
    assert short.problems[0] in table["text"].tolist()


UNTRACKED = """
import sys
from pathlib import Path
import pandas as pd
import forecaster
home, here = Path(sys.argv[1]), Path.cwd()
def listing():
    return sorted(str(p) for place in (home, here) for p in place.rglob("*"))
before = listing()
frame = pd.read_csv(sys.argv[2], index_col="date", parse_dates=True)
few = {"trainer.max_steps": 1, "trainer.stage_epochs": 1, "trainer.stage_batches": 5}
asked = dict(model="nlinear", horizon=3, lookback=14, settings=few, tracking=False)
model = forecaster.train(frame, **asked)
model.forecast()
model.evaluate(frame, origins=2)
forecaster.backtest(frame, ["nlinear"], horizon=3, lookback=14, origins=2, settings=few, tracking=False)
temporary = model.folder
assert temporary.is_dir() and listing() == before, listing()
kept = forecaster.train(frame, **asked, output="kept")
new = {str(p) for p in (here / "kept").rglob("*")} | {str(here / "kept")}
assert set(listing()) - set(before) == new, listing()
del model
assert not temporary.exists()
print("mlflow" in sys.modules, [str(p) for p in Path(sys.argv[3]).iterdir()])
"""


@pytest.mark.slow
def test_without_tracking_nothing_is_written_but_the_output(tmp_path: Path) -> None:
    for name in ("home", "here", "tmp"):
        (tmp_path / name).mkdir()
    env = {
        **os.environ,
        "FORECASTER_HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "tmp"),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-W", "ignore", "-c", UNTRACKED]
    done = subprocess.run(
        [*command, tmp_path / "home", SAMPLE, tmp_path / "tmp"],
        cwd=tmp_path / "here",
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("False []\n", "")


def test_tracked_trainings_are_runs_of_the_store(long_csv: Path, cli: Cli) -> None:
    model = forecaster.train(long_frame(), **LINEAR, experiment="frames", run_name="mine")
    assert model.folder == store.MODELS / model.run_id
    [run] = json.loads(cli("runs", "list", "--experiment", "frames", "--json").stdout)["runs"]
    assert (run["run_id"], run["name"]) == (model.run_id, "mine")
    assert run["params"]["data.sha256"] == read_source(long_frame()).digest
    assert "data.csv" not in run["params"]
    scores = model.evaluate(long_frame(), origins=2, experiment="frames")
    runs = json.loads(cli("runs", "list", "--experiment", "frames", "--json").stdout)["runs"]
    assert {each["run_id"] for each in runs} == {model.run_id, scores.run_id}
    loaded = forecaster.load(f"runs:/{model.run_id}/model", accelerator="cpu")
    pd.testing.assert_frame_equal(
        loaded.forecast(long_csv).frame, model.forecast(long_csv).frame, check_exact=True
    )


@pytest.mark.slow
def test_nothing_is_printed_and_signals_are_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    asked = {"preset": "s2dbm", "horizon": 3, "lookback": 14, "settings": FEW}
    model = forecaster.train(wide_columns(), **asked, experiment="quiet")
    model.forecast().plot()
    model.evaluate(origins=2, samples=3)
    forecaster.backtest(
        wide_columns(), ["nlinear"], horizon=3, lookback=14, origins=2, settings=FEW
    )
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert capsys.readouterr() == ("", "")


def test_a_backtest_says_what_is_doubtful_in_a_frame() -> None:
    board = forecaster.backtest(
        wide_columns().assign(same=7.0),
        ["seasonal-naive"],
        horizon=3,
        lookback=14,
        origins=2,
        tracking=False,
    )
    (said,) = [note for note in board.notes if note.startswith("one value in all rows")]
    assert said.startswith("one value in all rows: 'same'; forecast and scored all the same")


def test_a_backtest_is_the_command_lines(cli: Cli, long_csv: Path, tmp_path: Path) -> None:
    common = ("--horizon", 3, "--lookback", 14, "--origins", 3, "--refit-every", 2, "--seed", 4)
    done = cli(
        *("backtest", "--csv", long_csv, "--model", "quantile-linear", "--by", "mae", *common),
        *(*SETS, "--accelerator", "cpu", "--output", tmp_path / "errors.csv", "--json"),
    )
    board = forecaster.backtest(
        long_frame(),
        ["quantile-linear"],
        horizon=3,
        lookback=14,
        origins=3,
        refit_every=2,
        by="mae",
        seed=4,
        settings=FEW,
        accelerator="cpu",
        tracking=False,
    )
    theirs = json.loads(done.stdout)
    assert board.frame["model"].tolist() == [place["model"] for place in theirs["ranking"]]
    for name, key in {"mae": "mae", "crps": "crps", "coverage/90": "coverage"}.items():
        expected = [place[key] for place in theirs["ranking"]]
        np.testing.assert_array_equal(board.frame[name], np.array(expected, dtype=float))
    assert board.findings == (theirs["comparisons"][0]["sentence"],)
    errors = pd.read_csv(tmp_path / "errors.csv")
    np.testing.assert_allclose(board.errors["mae"], errors["mae"], rtol=1e-7)


def test_a_model_knows_until_when_it_has_learnt(model, long_csv: Path) -> None:
    """The saved model all of the table, the one that was scored not the newest rows."""
    assert set(model.trained_until.values()) == {long_frame()["day"].astype("datetime64[ns]").max()}
    scored = forecaster.train(long_csv, **LINEAR, refit="none", tracking=False)
    assert scored.metrics["test/mae"] == model.metrics["test/mae"]
    assert max(scored.trained_until.values()) < min(model.trained_until.values())
    with pytest.raises(forecaster.UserError, match="refit"):
        forecaster.train(long_csv, **LINEAR, refit="newest", tracking=False)


def test_a_model_saved_elsewhere_is_the_same(model, tmp_path: Path) -> None:
    copy = model.save(tmp_path / "copy")
    assert copy.folder == tmp_path / "copy"
    digests = [
        {
            str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in folder.rglob("*.*")
        }
        for folder in (model.folder, copy.folder)
    ]
    assert digests[0] == digests[1]
    assert "held_out/weights.safetensors" in digests[0]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(forecaster.UserError, match="exists and is not a saved model"):
        model.save(tmp_path / "other")


def test_a_predictor_is_one_of_gluonts(model) -> None:
    from gluonts.model.predictor import Predictor

    predictor = model.gluonts(quantiles=[0.1, 0.9])
    assert isinstance(predictor, Predictor)
    forecasts = {f.item_id: f for f in predictor.predict(gluonts_datasets()["entries"])}
    table = model.forecast(long_frame(), quantiles=[0.1, 0.9]).frame.set_index("item_id")
    for item, forecast in forecasts.items():
        np.testing.assert_allclose(forecast.quantile(0.9), table.loc[item, "0.9"], rtol=1e-6)
        np.testing.assert_allclose(forecast.mean, table.loc[item, "mean"], rtol=1e-6)
        np.testing.assert_allclose(forecast.info["median"], table.loc[item, "median"], rtol=1e-6)
        assert forecast.start_date.to_timestamp() == table.loc[item, "timestamp"].iloc[0]


def test_importing_the_package_imports_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import forecaster; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "assert new - set(sys.stdlib_module_names) == {'forecaster'}, new; "
        "assert set(forecaster.__all__) <= set(dir(forecaster))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_check_imports_neither_torch_nor_mlflow() -> None:
    code = (
        "import sys, forecaster; forecaster.check('datasets/seattle_weather.csv'); "
        "heavy = {'torch', 'lightning', 'mlflow', 'gluonts', 'matplotlib'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_unknown_names_are_told() -> None:
    with pytest.raises(AttributeError, match="module 'forecaster' has no attribute 'trian'"):
        forecaster.trian  # noqa: B018
