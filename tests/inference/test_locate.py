"""What a reference leads to, in a store of runs without trainings."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forecaster.config.schema import Columns
from forecaster.data.catalog import find_dataset
from forecaster.data.reading import read_file
from forecaster.data.tables import read_table
from forecaster.errors import UserError
from forecaster.inference.locate import find_model, find_run
from forecaster.tracking import query, store, trained
from forecaster.workflows import train_job
from forecaster.workflows.benchmark_suite import find_suite

FINISHED, FAILED = "FINISHED", "FAILED"
ODD = 'it\'s 100 % "odd"\n\x1b[31m_name'


def save(folder: Path, run_id: str | None) -> Path:
    """The record of a saved model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metadata.json").write_text(json.dumps({"run_id": run_id}))
    return folder


class Runs:
    """The runs of the store, by the order in which they were made."""

    def __init__(self) -> None:
        self.mlflow = store.connect()
        self.client = self.mlflow.MlflowClient()
        self.ids: dict[str, list[str]] = {}

    def add(self, name: str, status: str = FINISHED, **tags: str) -> str:
        start = 1_000 * (1 + sum(map(len, self.ids.values())))
        tags = {"mlflow.runName": name, "kind": "training", **tags}
        run_id = self.client.create_run("0", start, tags).info.run_id
        self.client.set_terminated(run_id, status)
        self.ids.setdefault(name, []).append(run_id)
        return run_id


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    place = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "")
        patch.setattr(store, "HOME", place)
        patch.setattr(store, "MODELS", place / "models")
        patch.setattr(store, "CHECKPOINTS", place / "checkpoints")
        made = Runs()
        for name, status in (
            ("nightly", FINISHED),
            ("sales", FINISHED),
            ("nightly", FINISHED),
            (ODD, FINISHED),
            ("nightly", FAILED),
            ("a/b", FAILED),
        ):
            save(store.MODELS / made.add(name, status), made.ids[name][-1])
        yield made


def message(find: Any, reference: str) -> str:
    with pytest.raises(UserError) as caught:
        find(reference)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_name_an_id_and_its_beginning_lead_to_the_same(runs: Runs) -> None:
    for name in ("sales", ODD, "a/b"):
        run_id = runs.ids[name][0]
        references = (name, run_id, f"runs:/{run_id}", f"runs:/{run_id[:9]}/model", run_id[:10])
        assert {find_run(reference)["run_id"] for reference in references} == {run_id}
        folder = store.MODELS / run_id
        for reference in (name, run_id[:10], f"runs:/{run_id[:10]}", str(folder)):
            assert find_model(reference) == folder
        assert find_run(str(folder))["run_id"] == run_id


def test_of_several_runs_of_a_name_the_newest_finished_is_taken_and_said(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = runs.ids["nightly"][1]
    assert find_model("nightly") == store.MODELS / wanted
    said = capsys.readouterr().err
    assert said == (
        f"note: 3 runs are called 'nightly'; {wanted[:8]}, the newest that finished, is taken\n"
    )
    find_run("sales")
    assert capsys.readouterr().err == ""


def test_a_pattern_is_no_name(runs: Runs) -> None:
    for pattern in ("s_les", "sal%", "SALES", "%"):
        assert "no such run" in message(find_run, pattern)


def test_a_beginning_of_several_ids_is_refused_with_them(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [{"run_id": f"abcd{k}" + 27 * "0", "name": f"run {k}"} for k in range(2)]
    monkeypatch.setattr(query, "runs_beginning", lambda start: both)
    assert message(find_run, "abcd") == (
        "abcd: 2 runs begin so: abcd00000000 ('run 0'), abcd10000000 ('run 1'); "
        "give more characters"
    )


def test_three_characters_are_no_id(runs: Runs) -> None:
    run_id = runs.ids["sales"][0]
    assert "no such run" in message(find_run, run_id[:3])
    assert find_run(run_id[:12])["name"] == "sales"


def test_a_wrong_one_is_told_the_nearest(runs: Runs, tmp_path: Path) -> None:
    run_id = runs.ids["sales"][0]
    near = save(tmp_path / "demand", None)
    wrong = run_id[:7] + ("0" if run_id[7] != "0" else "1")
    for reference, meant in (
        ("salse", "sales"),
        (str(tmp_path / "demnad"), str(near)),
        (wrong, run_id[:8]),
    ):
        assert message(find_model, reference) == (
            f"{reference}: no such saved model or run (did you mean '{meant}'?); see: runs list"
        )


def test_other_names_are_told_the_nearest_too(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text("date,units\n2024-01-01,1\n2024-01-02,2\n")
    columns = Columns(target=("unit",))
    for find, told in (
        (lambda: read_file(tmp_path / "slaes.csv"), "no such file (did you mean 'sales.csv'?)"),
        (lambda: read_table(tmp_path / "sales.csv", columns), "'unit' (did you mean 'units'?)"),
        (lambda: find_dataset("wether"), "no data set 'wether' (did you mean 'weather'?)"),
        (lambda: find_suite("smok"), "no suite 'smok' (did you mean 'smoke'?)"),
        (lambda: query.list_runs("Defualt", 1), "'Defualt' (did you mean 'Default'?); there are"),
    ):
        with pytest.raises(UserError) as caught:
            find()
        assert told in str(caught.value)


def test_runs_without_a_model_say_why(runs: Runs) -> None:
    training = runs.ids["sales"][0]
    runs.add("of sales", kind="evaluation", evaluated_run=training)
    runs.add("race", kind="backtest")
    killed = runs.add("killed", "KILLED")
    assert message(find_model, "of sales") == (
        f"of sales: an evaluation, which has no model; give its training {training[:8]}"
    )
    assert message(find_model, "race") == "race: a backtest, which has no model; see: runs list"
    assert message(find_model, "killed") == (
        "killed: this training did not finish (KILLED), so it has no model; go on with it: "
        f"train --resume {killed[:8]}"
    )


def test_registered_versions(runs: Runs) -> None:
    client, source = runs.client, str(store.HOME)
    client.create_registered_model("demand")
    first, second = runs.ids["sales"][0], runs.ids["nightly"][1]
    for run_id in (first, second):
        client.create_model_version("demand", source, run_id)
    client.set_registered_model_alias("demand", "champion", "1")
    for reference, run_id in (
        ("models:/demand/1", first),
        ("models:/demand@champion", first),
        ("models:/demand/2", second),
        ("models:/demand", second),
        ("models:/demand/latest", second),
    ):
        assert find_run(reference)["run_id"] == run_id
    for find in (find_model, find_run):
        told = message(find, "models:/demnad")
        assert told.startswith("no registered model 'demnad' (did you mean 'demand'?); there are")
    for reference, told in (
        ("models:/demand@champoin", "no alias 'champoin' (did you mean 'champion'?); see: models"),
        ("models:/demand/3", "no such version; see: models versions demand"),
        ("models:/demand/x", "no such version; see: models versions demand"),
    ):
        assert message(find_model, reference).startswith(f"{reference}: {told}")
        assert message(find_run, reference).startswith(f"{reference}: {told}")
    assert "(did you mean 'models:/demand'?)" in message(find_model, "models/demand")


def test_the_latest_is_the_last_saved_wherever_it_was_put(runs: Runs, tmp_path: Path) -> None:
    def touch(folder: Path, time: int) -> None:
        import os

        os.utime(folder / "metadata.json", (time, time))

    old = find_model("latest")
    run_id = runs.add("elsewhere")
    folder = save(tmp_path / "models" / "sales", run_id)
    trained.remember(run_id, folder)
    touch(folder, 2_000_000_000)
    assert find_model("latest") == find_model("elsewhere") == folder
    assert find_run("latest")["run_id"] == run_id
    save(folder, runs.ids["sales"][0])  # another training takes its place
    touch(folder, 2_000_000_000)
    assert find_model("latest") == old
    assert trained.folder_of(run_id) is None


def test_a_model_without_a_run_has_no_run(runs: Runs, tmp_path: Path) -> None:
    folder = save(tmp_path / "untracked", None)
    assert find_model(str(folder)) == folder
    assert message(find_run, str(folder)) == (
        f"{folder}: trained without tracking, without a run; see: runs list"
    )


def test_a_store_is_not_made_to_look_for_a_run(new_home: Path) -> None:
    assert message(find_model, "nothing") == ("nothing: no such saved model or run; see: runs list")
    assert not new_home.exists()


def job(run_id: str, name: str) -> Path:
    folder = store.CHECKPOINTS / run_id
    folder.mkdir(parents=True)
    content = {"config": {}, "digest": "", "experiment": "e", "run_name": name, "run_id": run_id}
    (folder / "job.json").write_text(json.dumps(content | {"output": None}))
    return folder


def test_interrupted_trainings(new_home: Path) -> None:
    assert message(train_job.find_job, "latest") == (
        "--resume latest: no interrupted training; see: runs list"
    )
    folder = job("abcd1" + 27 * "0", "sales")
    job("abcd2" + 27 * "0", "demand")
    for reference in ("sales", "abcd1", folder.name, f"runs:/{folder.name}", str(folder)):
        assert train_job.find_job(reference).run_id == folder.name
    there = "there are abcd2000 ('demand'), abcd1000 ('sales')"
    assert message(train_job.find_job, "salse") == (
        "--resume salse: of the interrupted trainings no such one (did you mean 'sales'?); " + there
    )
    assert message(train_job.find_job, "abcd") == (
        "--resume abcd: of the interrupted trainings 2 begin so; " + there
    )
