"""Many series are forecast part by part, with the numbers of all of them at once."""

import contextlib
import copy
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pytest
from conftest import ROOT, Cli
from gluonts.model.forecast import QuantileForecast, SampleForecast

import forecaster
from forecaster.config.program import install_extra
from forecaster.config.schema import Columns
from forecaster.data import many
from forecaster.data.reading import RawTable
from forecaster.errors import UserError
from forecaster.inference.forecasts import forecast_series
from forecaster.inference.inputs import read_input
from forecaster.inference.predictor import PredictionRequest
from forecaster.inference.saved_model import SavedModel, load_model
from forecaster.workflows import forecast, ray_engine, spark_engine
from forecaster.workflows.engines import PartForecast, Recipe
from forecaster.workflows.forecast_parts import merged
from forecaster.workflows.workers import Sent, Worker, told

DAYS = pd.date_range("2024-01-01", periods=80)
KNOWN, NEW = 70, 10
BOTH = ("--on-short", "fallback", "--on-dead", "fallback")


def values(number: int) -> np.ndarray:
    noise = np.random.default_rng(number).normal(size=len(DAYS))
    return (number + 1) * (10 + np.sin(2 * np.pi * np.arange(len(DAYS)) / 7) + 0.1 * noise)


def panel(items: dict[str, np.ndarray]) -> pd.DataFrame:
    """A long table of items, which end together."""
    parts = [
        pd.DataFrame({"item_id": item, "timestamp": DAYS[-len(y) :], "value": y})
        for item, y in items.items()
    ]
    return pd.concat(parts, ignore_index=True)


GOOD = {f"p{number:03d}": values(number) for number in range(KNOWN)}
# new ones, three too short, one that is always the same, and one without a value
ALL = {
    **{name: y for name, y in GOOD.items() if name < "p030"},
    **{f"short{k}": values(k)[-k - 1 :] for k in range(3)},
    "same": np.full(80, 4.0),
    "blank": np.full(80, np.nan),
    **{name: y for name, y in GOOD.items() if name >= "p030"},
    **{f"n{number:03d}": values(number) for number in range(KNOWN, KNOWN + NEW)},
}


@pytest.fixture(scope="module")
def model(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    panel(GOOD).to_parquet(folder / "good.parquet", index=False)
    steps = ("--horizon", 7, "--lookback", 42, "--set", "trainer.max_steps=2", "--refit", "none")
    scored = ("--set", "trainer.score_windows=0", "--set", "trainer.point_windows=50")
    given = ("--csv", folder / "good.parquet", *steps, *scored, "--output", folder / "model")
    cli("train", "nlinear", *given)
    return folder / "model"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for every week, so that the rows of each series are in all of them."""
    folder = tmp_path_factory.mktemp("weeks")
    for week, rows in panel(ALL).groupby((panel(ALL)["timestamp"] - DAYS[0]).dt.days // 7):
        rows.to_parquet(folder / f"week-{week:02d}.parquet", index=False)
    return folder


def rows_of(parts: many.Parts) -> list[RawTable]:
    return [many.read_part(parts.path, parts.digest, content) for content in parts.taken()]


def in_parts(monkeypatch: pytest.MonkeyPatch, rows: int = 1000) -> None:
    monkeypatch.setattr(many, "ROWS", rows)


def test_the_parts_hold_every_row_of_their_series_in_the_order_of_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with many.in_parts(folder, Columns()) as parts:
        assert parts is None  # fewer rows than a part has
    in_parts(monkeypatch)
    whole = pd.concat([pd.read_parquet(file) for file in sorted(folder.iterdir())])
    with many.in_parts(folder, Columns()) as parts:
        assert parts is not None
        found = rows_of(parts)
        assert not any(file.exists() for file in parts.files)
        assert parts.series == len(ALL)
        assert parts.columns.item_id == ("item_id",)
    names = [list(dict.fromkeys(raw.columns["item_id"])) for raw in found]
    assert len(names) > 3
    assert [name for part in names for name in part] == list(dict.fromkeys(whole["item_id"]))
    assert all(len(part) % many.TOGETHER == 0 for part in names[:-1])
    places = np.concatenate([raw.places for raw in found]) - 1
    assert sorted(places) == list(range(len(whole)))
    read = np.concatenate([raw.columns["value"] for raw in found])
    np.testing.assert_array_equal(read, whole["value"].to_numpy()[places])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_forecast_in_parts_is_that_of_all_at_once(
    cli: Cli, model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    whole, parts = tmp_path / f"whole.{kind}", tmp_path / f"parts.{kind}"
    given = ("forecast", "--model", model, "--csv", folder, *BOTH)
    at_once = cli(*given, "--output", whole)
    in_parts(monkeypatch)
    done = cli(*given, "--output", parts)
    read = pd.read_csv if kind == "csv" else pd.read_parquet
    expected, found = read(whole), read(parts)
    pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=1e-6)
    status = found.groupby("item_id", sort=False)["status"].first()
    assert status["blank"].startswith("skipped: no value")
    assert set(status[["short0", "short1", "short2", "same"]]) == {"fallback"}
    assert set(status.drop(["blank", "same", "short0", "short1", "short2"])) == {"ok"}
    said = [
        line for line in at_once.stderr.splitlines() if "repeating" in line or "skipped" in line
    ]
    assert said
    assert set(said) <= set(done.stderr.splitlines())
    same = cli("reproduce", parts)
    assert "identical" in same.stdout
    meta = json.loads(parts.with_name(parts.name + ".meta.json").read_text())
    assert (
        meta["input_sha256"]
        == json.loads(whole.with_name(whole.name + ".meta.json").read_text())["input_sha256"]
    )


def test_without_faults_the_numbers_are_the_same_to_the_last_bit(
    cli: Cli, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New series among them, which are scaled by what they have: as a model in memory does it."""
    good = {**GOOD, **{name: y for name, y in ALL.items() if name.startswith("n0")}}
    panel(good).to_parquet(tmp_path / "good.parquet", index=False)
    in_parts(monkeypatch)
    out = tmp_path / "out.parquet"
    cli("forecast", "--model", model, "--csv", tmp_path / "good.parquet", "--output", out)
    expected = forecaster.load(model).forecast(tmp_path / "good.parquet").frame
    expected["timestamp"] = expected["timestamp"].dt.strftime("%Y-%m-%d")
    pd.testing.assert_frame_equal(pd.read_parquet(out), expected, check_exact=True)


@pytest.mark.parametrize("first", [False, True])
def test_a_part_of_single_rows_knows_the_interval_and_borrows_errors_of_others(
    cli: Cli, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    """What was sold for the first time on the last day fills a part by itself, the first or the
    last one.
    """
    good = {name: y for name, y in GOOD.items() if name < "p032"}
    single = {f"new{k:03d}": np.array([float(k + 1)]) for k in range(16)}
    panel({**single, **good} if first else {**good, **single}).to_parquet(
        tmp_path / "in.parquet", index=False
    )
    given = ("forecast", "--model", model, "--csv", tmp_path / "in.parquet", *BOTH)
    cli(*given, "--output", tmp_path / "whole.parquet")
    in_parts(monkeypatch, 16 if first else 1000)
    with many.in_parts(tmp_path / "in.parquet", Columns()) as parts:
        assert parts is not None
        sizes = [len(raw.places) for raw in rows_of(parts)]
        assert sizes == ([16, 16 * 80, 16 * 80] if first else [16 * 80, 16 * 80, 16])
    cli(*given, "--output", tmp_path / "parts.parquet")
    found, expected = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("parts", "whole"))
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    last = found[found["item_id"] == "new015"]
    assert (last["status"] == "fallback").all()
    assert (last["mean"] == 16).all()
    assert (last["0.05"] < 16).all()


def test_if_nothing_can_be_forecast_it_is_refused_and_nothing_is_written(
    cli: Cli, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = {f"p{number:03d}": np.full(80, np.nan) for number in range(40)}
    panel(none).to_parquet(tmp_path / "none.parquet", index=False)
    in_parts(monkeypatch)
    given = ("--csv", tmp_path / "none.parquet", "--output", tmp_path / "out.csv", *BOTH)
    refused = cli("forecast", "--model", model, *given, status=1)
    assert refused.stderr.endswith("add rows with values\n")
    assert [path.name for path in tmp_path.iterdir()] == ["none.parquet"]


def test_names_of_series_may_be_categories_that_differ_from_file_to_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_parts(monkeypatch)
    whole, names = panel(GOOD), list(GOOD)
    for number in range(4):
        some = whole[whole["item_id"].isin(names[number::4])]
        some.astype({"item_id": "category"}).to_parquet(tmp_path / f"{number}.parquet", index=False)
    with many.in_parts(tmp_path, Columns()) as parts:
        assert parts is not None
        found = [name for raw in rows_of(parts) for name in raw.columns["item_id"]]
    assert sorted(set(found)) == names
    assert len(found) == len(whole)


def test_without_paths_the_table_is_the_same_and_series_have_their_means(
    model: Path, tmp_path: Path
) -> None:
    panel({name: GOOD[name] for name in ("p000", "p001")}).to_parquet(tmp_path / "two.parquet")
    saved = load_model(model)
    table, request = (
        read_input(saved, tmp_path / "two.parquet", {}),
        PredictionRequest("probabilistic"),
    )
    whole = forecast_series(saved, table, request)
    found = forecast_series(saved, table, request, paths=False)
    pd.testing.assert_frame_equal(found.frame, whole.frame, check_exact=True)
    for alone, with_paths in zip(found.series, whole.series, strict=True):
        assert isinstance(with_paths, SampleForecast)
        assert isinstance(alone, QuantileForecast)
        np.testing.assert_array_equal(alone.mean, with_paths.mean)
        assert (alone.start_date, alone.item_id) == (with_paths.start_date, with_paths.item_id)


def test_decisions_of_parts_are_told_as_one() -> None:
    skipped = ["7 series skipped: 'a' (x), 'b' (x) and 5 more", "2 series skipped: 'c' (x)"]
    same = ["column 'item' names the series"]
    news = [f"series 's{k}': {k + 3} rows were sorted" for k in range(4)]
    new = ("were not in the training: each is scaled by its own values", "have fewer rows")
    parts = [[f"{n} series ('a{n}', 'b{n}', 'c{n}', …) {what}" for what in new] for n in (5, 70)]
    assert merged([*parts, ["note"]]) == [
        *(f"75 series ('a5', 'b5', 'c5', …) {what}" for what in new),
        "note",
    ]
    assert merged([[*same, skipped[0], *news[:3]], [*same, skipped[1], *news[3:]]]) == [
        *same,
        "9 series skipped: 'a' (x), 'b' (x) and 7 more",
        "series 's0': 3 rows were sorted (and 3 more like this)",
    ]


def elsewhere(saved: SavedModel, recipe: Recipe, parts: Iterable[bytes]) -> Iterator[PartForecast]:
    """Ray's way without Ray: copies are sent to a worker, which does the last part first."""
    worker = Worker(*copy.deepcopy((Sent.of(saved), recipe)))
    rows = [worker({"part": content}) for content in reversed(list(parts))]
    yield from map(told, reversed(rows))


def in_batches(saved: SavedModel, recipe: Recipe, parts: Iterable[bytes]) -> Iterator[PartForecast]:
    """Spark's way without Spark: batches of numbered parts, and of their forecasts."""
    rows = [{"number": number, "part": part} for number, part in enumerate(parts)]
    work = spark_engine.forecasting(*copy.deepcopy((Sent.of(saved), recipe)))
    batches = (pa.RecordBatch.from_pylist(rows[first : first + 2]) for first in (2, 0, 4))
    found = [row for batch in work(batches) for row in batch.to_pylist()]
    assert [row["number"] for row in found][:4] == [2, 3, 0, 1]
    yield from map(told, sorted(found, key=lambda row: int(row["number"])))


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(forecast.ENGINES, "ray", elsewhere)
    monkeypatch.setattr(forecast, "import_ray", lambda: None)
    monkeypatch.setitem(forecast.ENGINES, "spark", in_batches)
    monkeypatch.setattr(forecast, "import_spark", lambda: None)


@pytest.mark.usefixtures("without_ray")
@pytest.mark.parametrize(
    ("kind", "engine", "more"),
    [("csv", "ray", ()), ("parquet", "ray", ("--conformal",)), ("csv", "spark", ())],
)
def test_workers_elsewhere_give_the_same_file_to_the_last_bit(
    cli: Cli,
    model: Path,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    engine: str,
    more: tuple[str, ...],
) -> None:
    """Fallbacks among them, whose quantiles are made of other series' errors."""
    in_parts(monkeypatch)
    here, there = tmp_path / f"here.{kind}", tmp_path / f"there.{kind}"
    given = ("forecast", "--model", model, "--csv", folder, *BOTH, *more)
    done = cli(*given, "--output", here)
    again = cli(*given, "--output", there, "--engine", engine)
    assert there.read_bytes() == here.read_bytes()
    assert again.stderr == done.stderr
    assert "fallback" in set((pd.read_csv if kind == "csv" else pd.read_parquet)(there)["status"])


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_no_cluster_answers_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"{scheme}127.0.0.1:{listening.getsockname()[1]}"
        ray_engine.check_answers(address)
    ray_engine.check_answers("auto")
    monkeypatch.setenv("RAY_ADDRESS", address)
    stopped = SimpleNamespace(is_initialized=lambda: False)  # which is not asked to start
    with pytest.raises(UserError) as refused, ray_engine.cluster(stopped):
        pass
    assert str(refused.value) == (
        f"RAY_ADDRESS={address}: no Ray cluster answers there (Connection refused); correct it, or "
        "unset it to start Ray here"
    )


def test_a_cluster_started_here_asks_for_a_token_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever it listens on; a mode, a token or a file of it that is given is kept. It is known
    before Ray is imported, which reads it then.
    """
    names = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")

    def imported(**given: str) -> list[str | None]:
        seen = dict[str, str | None]()

        class Finder(MetaPathFinder):
            def find_spec(self, name: str, *_: object) -> None:
                if name == "ray":
                    seen.update({each: os.environ.get(each) for each in names})
                    raise ImportError

        with pytest.MonkeyPatch.context() as patch:
            for name in ("RAY_ADDRESS", "RAY_USAGE_STATS_ENABLED", "RAY_BACKEND_LOG_LEVEL", *names):
                patch.setenv(name, "")  # undone with what is set meanwhile
                patch.delenv(name)
            for name, value in given.items():
                patch.setenv(name, value)
            patch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
            patch.delitem(sys.modules, "ray", raising=False)
            with pytest.raises(UserError, match="needs Ray"):
                ray_engine.import_ray()
        return [seen[name] for name in names]

    tokens = [imported() for _ in range(2)]
    assert [each[::2] for each in tokens] == [["token", None]] * 2
    assert tokens[0][1] != tokens[1][1]
    assert min(len(str(each[1])) for each in tokens) >= 32
    assert imported(RAY_AUTH_TOKEN="mine") == ["token", "mine", None]
    assert imported(RAY_AUTH_TOKEN_PATH="/mine") == ["token", None, "/mine"]
    assert imported(RAY_AUTH_MODE="disabled") == ["disabled", None, None]
    assert imported(RAY_ADDRESS="auto") == [None, None, None]


@pytest.mark.usefixtures("without_ray")
def test_a_part_that_is_refused_is_told_as_it_is_here(
    cli: Cli, model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_parts(monkeypatch)
    given = ("forecast", "--model", model, "--csv", folder, "--output", tmp_path / "out.csv")
    here = cli(*given, status=1)
    assert "series 'blank'" in here.stderr
    assert cli(*given, "--engine", "ray", status=1).stderr == here.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("without_ray")
def test_a_file_smaller_than_a_part_is_one_part(
    cli: Cli, model: Path, folder: Path, tmp_path: Path
) -> None:
    given = ("forecast", "--model", model, "--csv", folder, *BOTH, "--output")
    cli(*given, tmp_path / "here.parquet")
    cli(*given, tmp_path / "there.parquet", "--engine", "ray")
    here, there = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("here", "there"))
    pd.testing.assert_frame_equal(there, here, check_exact=True)


@pytest.mark.usefixtures("without_ray")
def test_what_is_read_as_a_whole_is_refused_with_what_works(
    cli: Cli, model: Path, tmp_path: Path
) -> None:
    few = panel({name: GOOD[name] for name in ("p000", "p001")})
    few.to_csv(tmp_path / "good.csv", index=False)
    few.to_parquet(tmp_path / "good.parquet", index=False)

    def run(name: str, *more: object, status: int = 0) -> str:
        file = ("--csv", tmp_path / name, "--output", tmp_path / "out.csv")
        return cli("forecast", "--model", model, *file, *more, status=status).stderr

    ray = ("--engine", "ray")
    assert run("good.csv", *ray, status=1) == (
        f"error: {tmp_path / 'good.csv'}: --engine ray forecasts Parquet files with columns item, "
        "time and values; write it as such a file, or leave --engine out\n"
    )
    run("good.parquet", *ray)
    run("good.csv")
    for option in (("--on-short", "drop"), ("--align", "end"), ("--plot", tmp_path / "out.svg")):
        named = "--plot" if option[0] == "--plot" else " ".join(map(str, option))
        assert run("good.parquet", *option, *ray, status=1) == (
            f"error: --engine ray: {named} takes all series together; leave --engine out\n"
        )
        run("good.parquet", *option)
    assert "no such file" in run("none.parquet", *ray, status=1)
    assert "--stream" in run("good.parquet", "--stream", *ray, status=2)


def test_without_ray_it_is_said_what_installs_it(
    cli: Cli, model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    given = ("--csv", folder, "--output", tmp_path / "out.csv", "--engine", "ray")
    refused = cli("forecast", "--model", model, *given, status=1)
    assert refused.stderr == f"error: --engine ray needs Ray: {install_extra('ray')}\n"


# the command line with small parts, in a process of its own
SMALL = """
import sys
from forecaster.data import many
many.ROWS = 1000
from cli import main
main(sys.argv[1:])
"""


def on_ray(cli: Cli, *arguments: object) -> "subprocess.Popen[str]":
    return small(cli, *arguments, "--engine", "ray")


def small(cli: Cli, *arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", SMALL, *map(str, arguments)]
    environment = {**cli.env, "RAY_worker_niceness": "0"}
    environment.pop("RAY_ADDRESS", None)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)  # type: ignore[call-overload]


def test_ray_gives_the_same_file(cli: Cli, model: Path, tmp_path: Path) -> None:
    """A cluster of one machine, and a part."""
    panel({name: GOOD[name] for name in ("p000", "p001")}).to_parquet(tmp_path / "two.parquet")
    given = ("forecast", "--model", model, "--csv", tmp_path / "two.parquet", *BOTH, "--output")
    here = cli(*given, tmp_path / "here.csv")
    with on_ray(cli, *given, tmp_path / "there.csv") as process:
        _, said = process.communicate()
    assert process.returncode == 0, said
    assert said.endswith(here.stderr)  # after a line of Ray's own
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()


@pytest.mark.slow
def test_ray_gives_the_same_file_though_a_worker_is_killed(
    cli: Cli, model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed once it has forecast the first part, of many."""
    in_parts(monkeypatch)
    # so many samples that a part takes a second
    given = ("forecast", "--model", model, "--csv", folder, *BOTH, "--samples", 3000)
    cli(*given, "--output", tmp_path / "here.csv")
    out = tmp_path / "ray"
    out.mkdir()
    with on_ray(cli, *given, "--output", out / "there.csv") as process:
        while not any(file.stat().st_size for file in out.iterdir()):
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        workers = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if "MapWorker" in " ".join(child.cmdline())
        ]
        assert workers
        assert not (out / "there.csv").exists()
        workers[0].kill()
        said = process.communicate()
        assert process.returncode == 0, said
    assert (out / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()


def test_without_spark_or_java_it_is_said_what_installs_them(
    cli: Cli, model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("--csv", folder, "--output", tmp_path / "out.csv", "--engine", "spark")
    monkeypatch.setitem(sys.modules, "pyspark", None)
    refused = cli("forecast", "--model", model, *given, status=1)
    assert refused.stderr == f"error: --engine spark needs Spark: {install_extra('spark')}\n"
    sql = ModuleType("pyspark.sql")
    package = ModuleType("pyspark")
    package.sql = sql  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyspark", package)
    monkeypatch.setitem(sys.modules, "pyspark.sql", sql)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    refused = cli("forecast", "--model", model, *given, status=1)
    assert refused.stderr == (
        "error: --engine spark needs Java 17 or newer, and there is none here; install it (Debian: "
        "apt-get install openjdk-17-jre-headless), or set JAVA_HOME\n"
    )
    monkeypatch.setenv("JAVA_HOME", "/java")
    assert spark_engine.import_spark() is sql
    monkeypatch.delenv("JAVA_HOME")
    (tmp_path / "java").touch(mode=0o755)
    assert spark_engine.import_spark() is sql


def test_spark_takes_no_model_on_a_gpu_and_says_if_it_does_not_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PYSPARK_PYTHON", "SPARK_LOCAL_IP"):
        monkeypatch.setenv(name, "")  # undone with what is set meanwhile
    saved: Any = SimpleNamespace(model=SimpleNamespace(device=SimpleNamespace(type="cuda")))
    recipe: Any = None
    with pytest.raises(UserError) as refused:
        next(spark_engine.on_spark(saved, recipe, []))
    assert str(refused.value) == ("--engine spark computes on the CPU; give --accelerator cpu")

    class Stopped:
        """A session that cannot be made."""

        def __getattr__(self, name: str) -> Any:
            return lambda *_, **__: self

        def getOrCreate(self) -> None:
            raise RuntimeError("no port\nand more")

    session = SimpleNamespace(getActiveSession=lambda: None, builder=Stopped())
    with (
        pytest.raises(UserError) as refused,
        spark_engine.session(SimpleNamespace(SparkSession=session)),
    ):
        pass
    assert str(refused.value) == (
        "--engine spark: Spark does not start here (no port); see its messages above, or leave "
        "--engine out"
    )


@pytest.mark.slow
def test_spark_gives_the_same_file_though_a_worker_is_killed(
    cli: Cli, model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it forecasts the first parts."""
    pytest.importorskip("pyspark.sql", reason="pyspark is not installed")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, which is not installed")
    in_parts(monkeypatch)
    given = ("forecast", "--model", model, "--csv", folder, *BOTH, "--samples", 3000)
    cli(*given, "--output", tmp_path / "here.csv")
    there = tmp_path / "there.csv"

    def is_spark(process: psutil.Process | None) -> bool:
        return process is not None and "pyspark.daemon" in process.cmdline()

    with small(cli, *given, "--output", there, "--engine", "spark") as process:
        workers: list[psutil.Process] = []
        while not workers:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
            with contextlib.suppress(psutil.Error):
                below = psutil.Process(process.pid).children(recursive=True)
                workers = [each for each in below if is_spark(each) and is_spark(each.parent())]
        workers[0].kill()
        said = process.communicate()
        assert process.returncode == 0, said
    assert there.read_bytes() == (tmp_path / "here.csv").read_bytes()
