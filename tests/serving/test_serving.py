"""From a trained model to one in service: logged without pickle, registered, promoted, and asked
over HTTP.
"""

import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result
from conftest import SAMPLE, Cli, store_at, with_interrupts

from cli import main
from forecaster.config.schema import Columns
from forecaster.data.tables import read_table
from forecaster.errors import UserError
from forecaster.inference.saved_model import FILES, load_model
from forecaster.serving import request
from forecaster.tracking import store as place

FRAME = pd.read_csv(SAMPLE)
SMALL = ["--horizon", 14, "--lookback", 56, "--accelerator", "cpu"]
WEATHER = FRAME[["date", "temp_max", "wind"]]


def inside(*args: object, status: int = 0) -> Result:
    """The command line in this process."""
    done = CliRunner().invoke(main, [str(arg) for arg in args])
    assert done.exit_code == status, done.output
    return done


def train(*args: object) -> dict[str, Any]:
    return json.loads(inside("train", *args, "--json").stdout)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store of this file's own, with two versions of the model 'weather', the first the better
    one by the CRPS.
    """
    home = tmp_path_factory.mktemp("serving")
    with store_at(home):
        WEATHER.to_csv(home / "weather.csv", index=False)
        bootstrap = [
            "residual-bootstrap",
            "--csv",
            home / "weather.csv",
            *SMALL,
            "--set",
            "trainer.score_windows=8",
        ]
        for base in ("{name: linear}", "{name: seasonal-naive}"):
            trained = train(
                *bootstrap,
                "--set",
                f"model.base={base}",
                "--set",
                "trainer.max_epochs=2",
                "--set",
                "trainer.stage_epochs=3",
                "--register",
                "weather",
            )
            (home / f"version{trained['version']}.json").write_text(json.dumps(trained))
        yield home


@pytest.fixture(scope="module")
def logged(store: Path) -> Path:
    """The logged model's folder as it lies in the store."""
    return Path(json.loads((store / "version1.json").read_text())["model_dir"])


def files_of_version(number: int) -> Path:
    mlflow = place.connect()
    return Path(mlflow.artifacts.download_artifacts(artifact_uri=f"models:/weather/{number}"))


def test_logged_model_holds_no_pickle(store: Path) -> None:
    folder = files_of_version(1)
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert set(FILES) <= names
    assert not [
        name
        for name in names
        if name.endswith((".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".bin", ".pyc"))
    ]
    # a pickle of protocol 2 and above begins with this byte, a zip of torch.save with PK
    heads = {path.name: path.read_bytes()[:2] for path in folder.rglob("*") if path.is_file()}
    assert not [name for name, head in heads.items() if head[:1] == b"\x80" or head == b"PK"]
    flavor = yaml.safe_load((folder / "MLmodel").read_text())["flavors"]["python_function"]
    assert flavor["loader_module"] == "mlflow.pyfunc.loaders.code_model"
    assert "python_model" not in flavor
    text = (folder / "input_example.json").read_text()
    assert json.loads(text)["columns"] == ["date", "temp_max", "wind"]
    # none of its rows is a row that was trained on
    rows = {tuple(row[1:]) for row in json.loads(text)["data"]}
    assert not rows & set(zip(FRAME["temp_max"], FRAME["wind"], strict=True))


def test_the_run_has_the_model_as_its_output(store: Path) -> None:
    mlflow = place.connect()
    run_id = json.loads((store / "version1.json").read_text())["run_id"]
    (model,) = mlflow.search_logged_models(
        filter_string=f"source_run_id='{run_id}'", output_format="list"
    )
    assert (model.name, str(model.status)) == ("model", "READY")
    signature = mlflow.models.get_model_info(model.model_uri).signature
    assert signature.inputs.input_names() == ["date", "temp_max", "wind"]
    assert {spec.name for spec in signature.params.params} == set(request.Params.model_fields)
    inside(
        "forecast",
        "--model",
        f"runs:/{run_id}/model",
        "--csv",
        store / "weather.csv",
        "--output",
        store / "run.csv",
    )
    assert len(pd.read_csv(store / "run.csv")) == 28


def test_worse_versions_are_not_promoted_unless_forced(store: Path, tmp_path: Path) -> None:
    promote = ["models", "promote", "weather"]
    assert inside(*promote, 1, "--alias", "best").stdout == "models:/weather@best  version 1\n"
    refused = inside(*promote, 2, "--alias", "best", status=1).stderr
    assert refused.startswith("error: version 2 is worse than version 1 by ")
    assert refused.endswith("; give --force to promote it all the same (model 'weather', best)\n")
    assert inside(*promote, 2, "--alias", "best", "--force").stdout == (
        "models:/weather@best  version 2, before: version 1 (not compared)\n"
    )
    by_alias, by_version = tmp_path / "alias.csv", tmp_path / "version.csv"
    point = ["--csv", store / "weather.csv", "--mode", "point", "--output"]
    inside("forecast", "--model", "models:/weather@best", *point, by_alias)
    inside("forecast", "--model", "models:/weather/2", *point, by_version)
    assert by_alias.read_text() == by_version.read_text()
    told = inside(*promote, 1, "--alias", "best").stdout
    assert told.startswith(
        "models:/weather@best  version 1, before: version 2 (version 1 is better than version 2 by "
    )
    inside("forecast", "--model", "models:/weather@best", *point, by_alias)
    assert by_alias.read_text() != by_version.read_text()
    found = json.loads(inside("models", "versions", "weather", "--json").stdout)["versions"]
    assert [(v["version"], v["aliases"]) for v in found] == [(2, []), (1, ["best"])]
    metrics = json.loads((store / "version1.json").read_text())["metrics"]
    assert found[1]["metrics"]["test/crps"] == metrics["test/crps"]
    table = inside("models", "versions").stdout.splitlines()
    assert table[0].split() == ["name", "version", "alias", "run", "test/mse", "test/crps"]
    assert [line.split()[:2] for line in table[1:]] == [["weather", "2"], ["weather", "1"]]


@pytest.mark.slow
def test_versions_without_a_value_to_compare_by_are_not_promoted(store: Path, write: Any) -> None:
    """All test rows are blank but the last, which is of no whole forecast's use in training."""
    kept = (WEATHER.index < 1100) | (WEATHER.index > 1459)
    blank = WEATHER.assign(**{name: WEATHER[name].where(kept) for name in ("temp_max", "wind")})
    path = write(blank.to_csv(index=False))
    for version in (1, 2):
        trained = train("seasonal-naive", "--csv", path, *SMALL, "--register", "blank")
        assert trained["version"] == version
    assert json.loads(inside("models", "promote", "blank", 1, "--json").stdout)["before"] is None
    refused = inside("models", "promote", "blank", 2, status=1).stderr
    assert refused == (
        "error: version 2 of 'blank' was not compared with version 1, the present champion "
        f"({path}: 1 forecast origin(s) with a value after all rows that either model has learnt "
        "from, where 2 are needed; give a file with more new rows); give --csv FILE with rows that "
        "neither has learnt from, or --force to promote it all the same\n"
    )
    more = write(WEATHER.to_csv(index=False), "more.csv")
    done = inside("models", "promote", "blank", 2, "--csv", more, "--json")
    assert json.loads(done.stdout)["comparison"]["percent"] == 0


BAD_NAMES = [
    (
        ["models", "promote", "wether", 1],
        "no registered model 'wether' (did you mean 'weather'?); there are ",
    ),
    (
        ["models", "promote", "weather", 9],
        "models:/weather/9: no such version; see: models versions weather",
    ),
    (["models", "versions", "zzz"], "no registered model 'zzz'; there are "),
    (
        ["train", "nlinear", "--csv", str(SAMPLE), "--register", ".."],
        "--register ..: not a name for a model; leave out",
    ),
    (
        ["train", "nlinear", "--csv", str(SAMPLE), "--register", "a/b"],
        "--register a/b: not a name for a model; leave out",
    ),
    (
        ["train", "nlinear", "--csv", str(SAMPLE), "--register", "a\x1b[2J\tb"],
        r"--register a\x1b[2J\x09b: not a name for a model; leave out",
    ),
    (
        ["evaluate", "--model", "models:/weather@nobody"],
        "models:/weather@nobody: no alias 'nobody'; see: models versions weather",
    ),
]


@pytest.mark.parametrize(("args", "message"), BAD_NAMES)
def test_wrong_names_are_one_line(store: Path, args: list, message: str) -> None:
    told = inside(*args, status=1).stderr
    assert message in told
    assert told.count("\n") == 1


def test_a_response_is_the_forecast_of_the_file(logged: Path, tmp_path: Path) -> None:
    """The same cells as a frame of numbers, of texts, with times as times, and as a file."""
    saved, recent = load_model(logged), WEATHER.tail(60)
    recent.to_csv(tmp_path / "recent.csv", index=False)
    inside(
        "forecast",
        "--model",
        logged,
        "--csv",
        tmp_path / "recent.csv",
        "--seed",
        3,
        "--quantiles",
        "0.1,0.9",
        "--output",
        tmp_path / "out.csv",
    )
    expected = pd.read_csv(tmp_path / "out.csv")
    for frame in (recent, recent.astype(str), recent.assign(date=pd.to_datetime(recent["date"]))):
        found, decisions = request.forecast_request(
            saved, frame, {"seed": 3, "quantiles": [0.9, 0.1]}
        )
        assert decisions == []
        pd.testing.assert_frame_equal(found, expected, rtol=1e-7)


def test_rows_with_arrays_are_tables_of_their_own(logged: Path) -> None:
    saved = load_model(logged)
    tables = [WEATHER.iloc[begin : begin + 60] for begin in (0, 100)]
    nested = pd.DataFrame([{name: table[name].tolist() for name in table} for table in tables])
    found, _ = request.forecast_request(saved, nested, {})
    for row, table in zip(found.to_dict("records"), tables, strict=True):
        alone, _ = request.forecast_request(saved, table, {})
        pd.testing.assert_frame_equal(pd.DataFrame(row), alone)
    nested.at[1, "wind"] = [1.0]
    with pytest.raises(
        UserError,
        match="the table in row 2: column 'wind' has length 1 where 'date' has 60; correct it",
    ):
        request.forecast_request(saved, nested, {})


def test_the_pyfunc_gives_the_same_forecast(
    store: Path, logged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    monkeypatch.setattr(sys, "path", list(sys.path))  # the code of the logged model goes before it
    mlflow = place.connect()
    model = mlflow.pyfunc.load_model("models:/weather/1")
    expected, _ = request.forecast_request(load_model(logged), WEATHER.tail(60), {"samples": 7})
    pd.testing.assert_frame_equal(model.predict(WEATHER.tail(60), params={"samples": 7}), expected)
    assert len(model.predict(model.input_example)) == 28
    with pytest.raises(
        mlflow.exceptions.MlflowException,
        match=r"^the table: column 'wind' is in the model but not",
    ):
        model.predict(WEATHER[["date", "temp_max"]].tail(60))


def test_an_example_of_a_long_file_can_be_forecast(store: Path, write: Any) -> None:
    days = pd.date_range("2020-01-01", periods=60)
    rows = [
        f"{shop},{day:%Y-%m-%d},{10 * (i % 7 == 0)}"
        for shop in ("ark", "zoo")
        for i, day in enumerate(days)
    ]
    path = write("shop,day,sold\n" + "\n".join(rows) + "\n")
    trained = train("seasonal-naive", "--csv", path, "--horizon", 7, "--lookback", 14, "--lower", 0)
    saved = load_model(Path(trained["model_dir"]))
    made = request.example(saved, read_table(path, saved.config.data.columns))
    assert list(made.columns) == ["shop", "day", "sold"]
    assert made["sold"].min() == 0
    assert set(request.forecast_request(saved, made, {})[0]["item_id"]) == {"ark", "zoo"}
    one = made[made["shop"] == "zoo"]
    for given in ({}, {"item_id": "shop"}):
        assert set(request.forecast_request(saved, one, given)[0]["item_id"]) == {"zoo"}
    renamed = one.rename(columns={"day": "when"}).assign(more=1.0)
    found, said = request.forecast_request(
        saved, renamed, {"item_id": "shop", "timestamp": "when", "target": ["sold"]}
    )
    assert len(found) == 7
    assert "columns left out: 'more'" in said


def test_a_pyfunc_reads_covariates(
    store: Path, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its signature names their columns, and its example has the rows to forecast."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    days, random = pd.date_range("2020-01-01", periods=90), np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "day": days.strftime("%Y-%m-%d"),
            "sold": random.normal(10, 1, 90).round(2),
            "plan": random.normal(10, 1, 90).round(2),
            "price": random.normal(2, 0.3, 90).round(2),
            "event": random.choice(["fair", "match"], 90),
            "rain": random.random(90).round(2),
            "size": "big",
        }
    )
    frame["sold"] = frame["sold"].where(frame.index < 83)
    roles = ("--known", "price,event", "--past", "rain", "--static", "size")
    given = ("--target", "sold", "--prior-column", "plan", "--horizon", 7, "--lookback", 14)
    quick = ("--set", "trainer.max_epochs=1")
    path = write(frame.to_csv(index=False))
    trained = train("nlinear", "--csv", path, *roles, *given, *quick, "--calendar", "weekday")
    model = place.connect().pyfunc.load_model(f"runs:/{trained['run_id']}/model")
    assert set(model.metadata.signature.inputs.input_names()) == set(frame.columns)
    assert len(model.predict(model.input_example)) == 7
    expected, _ = request.forecast_request(load_model(Path(trained["model_dir"])), frame, {})
    pd.testing.assert_frame_equal(model.predict(frame), expected)
    nested = pd.DataFrame([{name: frame[name].tolist() for name in frame}])
    found = model.predict(nested)
    np.testing.assert_allclose(found["mean"][0], expected["mean"])


class Client:
    """A server under test, asked by MLflow's scoring protocol."""

    def __init__(self, port: int) -> None:
        self.port = port

    def __call__(self, body: object, kind: str = "application/json") -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", "/invocations", content, {"Content-Type": kind})
        response = connection.getresponse()
        found = response.status, json.loads(response.read())
        connection.close()
        return found


@contextmanager
def serving(process: subprocess.Popen[str]) -> Iterator[list[str]]:
    """The lines that a server writes to standard error, and its end by Ctrl-C."""
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stderr.readline, "")))
    reader.start()
    try:
        yield lines
    finally:
        process.send_signal(2)
        process.wait(30)
        reader.join()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def wait_for(condition: Any, seconds: float = 90.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError("waited in vain")


@pytest.fixture(scope="module")
def server(
    logged: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Client, list[str]]]:
    cli = Cli(tmp_path_factory.mktemp("nobody"))
    with serving(cli.start("serve", "--model", logged, "--port", 0)) as lines:
        (told,) = wait_for(
            lambda: [line for line in lines if line.startswith("forecasts: http://127.0.0.1:")]
        )
        yield Client(int(told.split(":")[3].split("/")[0])), lines


def split(frame: pd.DataFrame) -> dict[str, Any]:
    return json.loads(frame.to_json(orient="split", index=False))


def test_served_forecasts_are_those_of_the_command_line(
    server: tuple[Client, list[str]], logged: Path
) -> None:
    ask, lines = server
    recent = WEATHER.tail(60)
    expected, _ = request.forecast_request(load_model(logged), recent, {"seed": 5})
    bodies: list[tuple[object, str]] = [
        ({"dataframe_split": split(recent), "params": {"seed": 5}}, "application/json"),
        (
            {
                "dataframe_records": json.loads(recent.to_json(orient="records")),
                "params": {"seed": 5},
            },
            "application/json",
        ),
    ]
    for body, kind in bodies:
        status, answer = ask(body, kind)
        assert status == 200
        pd.testing.assert_frame_equal(pd.DataFrame(answer["predictions"]), expected, rtol=1e-5)
    status, answer = ask(recent.to_csv(index=False).encode(), "text/csv")
    assert (status, len(answer["predictions"])) == (200, 28)
    status, answer = ask({"dataframe_split": split(recent), "params": {"mode": "point"}})
    assert set(answer["predictions"][0]) == {"item_id", "timestamp", "mean"}
    holes = recent.drop(index=recent.index[30])
    ask({"dataframe_split": split(holes), "params": {"on_gap": "fill"}})
    wait_for(lambda: any("note: 1 time(s) are missing in 1 gap(s)" in line for line in lines))


def changed(**columns: Any) -> dict[str, Any]:
    return {"dataframe_split": split(WEATHER.tail(60).assign(**columns))}


OF_FORECASTS = ["mode", "quantiles", "samples", "steps", "seed", "conformal", "start"]
PARAMETERS = sorted([*OF_FORECASTS, *Columns.model_fields])
REFUSED = [
    (
        {"dataframe_split": split(WEATHER[["date", "wind"]].tail(60))},
        "the table: column 'temp_max' is in the model but not in the file; add it, or give "
        "--missing-column masked to forecast the others",
    ),
    (
        changed(more=1.0),
        "the table: column 'more' is in the file but not in the model; leave it out with --target temp_max,wind",
    ),
    (
        changed(wind=["x"] * 60),
        "the table, row 1, column 'wind': 'x' is not a number; correct it, or leave it blank for missing "
        "(or name the text with --missing), or leave the column out with --target temp_max",
    ),
    (
        {"dataframe_split": split(WEATHER.tail(3))},
        "the table: 3 rows, the model reads 56 and needs 5 at least; add rows",
    ),
    (
        {"dataframe_split": split(WEATHER.iloc[::2].tail(60))},
        "the table: the interval is 2D, but the model was trained on D; "
        "train a model on this interval, or resample the file",
    ),
    ({"dataframe_records": []}, "the table: there are columns but no rows; add data"),
    (
        changed() | {"params": {"mode": "both"}},
        "params: 'mode': input should be 'point' or 'probabilistic', got 'both'; correct it",
    ),
    (
        changed() | {"params": {"sample": 3}},
        f"params: no parameter 'sample' (did you mean 'samples'?); known: {', '.join(PARAMETERS)}",
    ),
    (
        changed() | {"params": {"quantiles": []}},
        "params: 'quantiles': tuple should have at least 1 item after "
        "validation, not 0, got []; correct it",
    ),
    (
        changed() | {"params": {"quantiles": [0, 0.5]}},
        "--quantiles: 0.0 does not lie between 0 and 1",
    ),
    (
        changed() | {"params": {"quantiles": [0.5, 0.99999999]}},
        "--quantiles: 0.99999999 is 1 in six digits; give another level",
    ),
    (
        changed() | {"params": {"quantiles": [0.1, 0.1000001, 0.5]}},
        "--quantiles: 0.1 and 0.1000001 are both 0.1 in six digits; leave one out",
    ),
    (
        changed() | {"params": {"steps": 3}},
        "--steps: this model does not sample in steps; leave it out",
    ),
    (changed() | {"params": [1]}, 'params: not an object; write {"mode": "point"}'),
    ({"inputs": [1, 2]}, "not a table: post it as dataframe_split or dataframe_records"),
]


@pytest.mark.parametrize(("body", "message"), REFUSED)
def test_mistakes_are_status_400_and_one_line(
    server: tuple[Client, list[str]], body: dict, message: str
) -> None:
    status, answer = server[0](body)
    assert (status, answer["message"]) == (400, message)


def test_a_body_that_is_no_json_is_status_400(server: tuple[Client, list[str]]) -> None:
    status, answer = server[0](b"{nonsense")
    assert status == 400
    assert "valid JSON" in answer["message"]


def test_forty_requests_at_once_are_answered_each_with_its_own(
    server: tuple[Client, list[str]],
) -> None:
    ask = server[0]
    bodies = [
        {
            "dataframe_split": split(WEATHER.iloc[9 * i : 9 * i + 60]),
            "params": {"seed": i, "samples": 10 + i},
        }
        for i in range(40)
    ]
    alone = [ask(body) for body in bodies]
    assert {status for status, _ in alone} == {200}
    assert len({json.dumps(answer) for _, answer in alone}) == 40
    gate = threading.Barrier(40)

    def together(body: object) -> tuple[int, Any]:
        gate.wait()
        return ask(body)

    with ThreadPoolExecutor(40) as pool:
        assert list(pool.map(together, bodies)) == alone


def test_a_port_in_use_is_reported(server: tuple[Client, list[str]], logged: Path) -> None:
    told = inside("serve", "--model", logged, "--port", server[0].port, status=1).stderr
    assert told == (
        f"error: 127.0.0.1, port {server[0].port}: cannot listen there (Address already in use); "
        "choose another --host or --port\n"
    )


def test_a_failure_that_nobody_caused_is_status_500(
    logged: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    from forecaster.serving import pyfunc

    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(pyfunc, "forecast_request", broken)
    with pytest.raises(pyfunc.RequestError) as caught:
        pyfunc.RequestHandler(load_model(logged), print)(WEATHER, {})
    assert caught.value.get_http_status_code() == 500
    assert "secret" not in caught.value.serialize_as_json()
    assert "secret" in caplog.text


@pytest.mark.slow
def test_mlflow_serves_the_logged_model_from_anywhere(
    store: Path, logged: Path, tmp_path: Path
) -> None:
    """With the code that lies in the logged model, in a folder where this project is not."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": place.store_uri(), "PYTHONPATH": ""}
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        "models:/weather/1",
        "--env-manager",
        "local",
        "--port",
        str(port),
    ]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with serving(
        subprocess.Popen(
            command, env=environment, cwd=tmp_path, preexec_fn=with_interrupts, **pipes
        )
    ) as lines:
        wait_for(lambda: any("Application startup complete" in line for line in lines))
        ask, recent = Client(port), WEATHER.tail(60)
        status, answer = ask({"dataframe_split": split(recent), "params": {"seed": 5}})
        assert status == 200
        expected, _ = request.forecast_request(load_model(logged), recent, {"seed": 5})
        pd.testing.assert_frame_equal(pd.DataFrame(answer["predictions"]), expected, rtol=1e-5)
        status, answer = ask({"dataframe_split": split(recent[["date", "wind"]])})
        assert (status, answer["message"]) == (
            400,
            "the table: column 'temp_max' is in the model but not in the file; add it, or give "
            "--missing-column masked to forecast the others",
        )


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # py4j leaves a socket open
def test_spark_forecasts_a_column_of_histories(
    store: Path, logged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, which is not installed")
    functions = sql.functions
    mlflow = place.connect()
    monkeypatch.setattr(sys, "path", list(sys.path))
    local = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    builder = sql.SparkSession.builder.master("local[1]")
    for key, value in local.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    try:
        kind = "struct<item_id:array<string>,timestamp:array<string>,mean:array<double>>"
        forecast = mlflow.pyfunc.spark_udf(
            spark, "models:/weather/1", result_type=kind, env_manager="local"
        )
        tables = {"a": WEATHER.iloc[:60], "b": WEATHER.tail(60)}
        rows = spark.createDataFrame(
            pd.concat([table.assign(place=place) for place, table in tables.items()])
        )
        row = functions.struct(*WEATHER.columns)
        histories = rows.groupBy("place").agg(
            functions.sort_array(functions.collect_list(row)).alias("rows")
        )
        columns = functions.struct(
            *[functions.col(f"rows.{name}").alias(name) for name in WEATHER.columns]
        )
        found = histories.select("place", forecast(columns).alias("found")).collect()
    finally:
        spark.stop()
    saved = load_model(logged)
    assert {answer["place"] for answer in found} == set(tables)
    for answer in found:
        expected, _ = request.forecast_request(saved, tables[answer["place"]], {})
        assert answer["found"]["timestamp"] == expected["timestamp"].tolist()
        np.testing.assert_allclose(answer["found"]["mean"], expected["mean"], rtol=1e-5)
