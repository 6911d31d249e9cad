"""Runs in a store of their own."""

import json
from pathlib import Path

import pytest

from forecaster.tracking import query as runs
from forecaster.tracking import run as tracking
from forecaster.tracking import store as place


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # MLflow sets it: undone with the rest
    monkeypatch.setattr(place, "HOME", tmp_path)


def test_runs_of_a_run_and_what_they_learnt_from(store: None) -> None:
    """Children inside an open parent, and beside it once it has ended; a failure ends its own run
    only.
    """
    with tracking.open_run("e", "parent") as parent:
        with tracking.open_run("e", "child", parent=parent.run_id) as child:
            child.metrics({"test/mse": 1.0})
            child.dataset(
                "etth1", "ab" * 32, "https://example.org/ETTh1.csv", ["HUFL", "OT"], "training"
            )
        with (
            pytest.raises(RuntimeError),
            tracking.open_run("e", "failed", parent=parent.run_id) as failed,
        ):
            raise RuntimeError
        parent.metrics({"test/mse": 2.0})
    with tracking.open_run("e", "late", parent=parent.run_id) as late:
        pass
    known = {run["name"]: run for run in runs.list_runs("e", 9)}
    assert {name: run["status"] for name, run in known.items()} == {
        "parent": "FINISHED",
        "child": "FINISHED",
        "failed": "FAILED",
        "late": "FINISHED",
    }
    assert (known["child"]["metrics"], known["parent"]["metrics"]) == (
        {"test/mse": 1.0},
        {"test/mse": 2.0},
    )
    mlflow = place.connect()
    above = {
        name: mlflow.get_run(run["run_id"]).data.tags.get("mlflow.parentRunId")
        for name, run in known.items()
    }
    assert above == {
        "parent": None,
        "child": parent.run_id,
        "failed": parent.run_id,
        "late": parent.run_id,
    }
    assert {child.run_id, failed.run_id, late.run_id} < {run["run_id"] for run in known.values()}
    (entry,) = mlflow.get_run(child.run_id).inputs.dataset_inputs
    assert (entry.dataset.name, entry.dataset.digest) == ("etth1", "abababababab")
    assert "https://example.org/ETTh1.csv" in entry.dataset.source
    assert [tag.value for tag in entry.tags] == ["training"]


def test_a_run_goes_on(store: None) -> None:
    with pytest.raises(KeyboardInterrupt), tracking.open_run("e", "a") as first:
        raise KeyboardInterrupt
    assert runs.get_run(first.run_id)["status"] == "KILLED"
    with tracking.open_run("e", "a", first.run_id) as again:
        assert again.run_id == first.run_id
    assert runs.get_run(first.run_id)["status"] == "FINISHED"


def test_the_table_of_runs_opens_on_skill_and_scores_whoever_made_the_experiment(
    store: None,
) -> None:
    """The columns of an experiment that an earlier version made are renewed."""
    mlflow, view = place.connect(), "mlflow.sharedViewState.metrics"
    wanted = ["skill/percent", "test/mase", "test/crps", "test/coverage/90"]

    def columns(name: str) -> list[str]:
        return json.loads(mlflow.get_experiment_by_name(name).tags[view])["selectedColumns"]

    place.make_experiment(mlflow, "columns", None)
    first = columns("columns")
    assert first[:4] == [f"metrics.`{name}`" for name in wanted]
    experiment = mlflow.get_experiment_by_name("columns").experiment_id
    mlflow.MlflowClient().set_experiment_tag(experiment, view, '{"selectedColumns": []}')
    place.make_experiment(mlflow, "columns", None)
    assert columns("columns") == first
    mlflow.create_experiment("of another program")
    place.make_experiment(mlflow, "of another program", None)
    assert view not in mlflow.get_experiment_by_name("of another program").tags
