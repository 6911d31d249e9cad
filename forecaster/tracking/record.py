"""A run's parameters, metrics and artifacts, read from the tracking store for a report."""

import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

import pandas as pd
import yaml

from forecaster.errors import UserError
from forecaster.io.output_tables import read_table_bytes
from forecaster.tracking import query as runs

_EVALUATION_ARTIFACTS = (
    "evaluation/by_lead.csv",
    "evaluation/pit.csv",
    "evaluation/effects.csv",
    "evaluation/leaderboard.csv",
    "evaluation/metrics.json",
)
_ARTIFACTS = (
    "config.yaml",
    "data.json",
    "versions.json",
    "forecasts/forecast.csv",
    "forecasts/history.csv",
    *_EVALUATION_ARTIFACTS,
)


@dataclass(frozen=True)
class Record:
    """One run, with the results of an evaluation of its model if there is one.

    ``files``: contents of artifacts by path, those of the evaluation in place of the run's own.
    ``scores``: the evaluation's metrics, or else the run's. ``evaluation``: its run id.
    ``verdict``: the run's own sentence, else the evaluation's; None of older ones. ``missing``: a
    sentence on what is not known of it.
    """

    run_id: str
    name: str
    status: str
    started: datetime
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]
    scores: dict[str, float]
    files: dict[str, bytes]
    evaluation: str | None
    verdict: str | None = None
    missing: str = ""

    def json(self, path: str) -> dict[str, Any]:
        """An artifact that is a JSON object; empty where there is none."""
        content = json.loads(self.files.get(path, b"{}"))
        return content if isinstance(content, dict) else {}

    def table(self, path: str) -> pd.DataFrame:
        """An artifact that is a table of numbers; empty where there is none."""
        return pd.read_csv(io.BytesIO(self.files[path])) if path in self.files else pd.DataFrame()

    def forecast(self, path: str) -> pd.DataFrame:
        """An artifact that is a table of series; empty where there is none."""
        return read_table_bytes(self.files[path], ".csv") if path in self.files else pd.DataFrame()

    @property
    def prefix(self) -> str:
        """``test`` or ``val``: the split of the scores."""
        return "test" if any(name.startswith("test/") for name in self.scores) else "val"

    @property
    def digest(self) -> str:
        """SHA-256 of the data, '' if it was not logged."""
        return self.params.get("data.sha256", "")

    @property
    def configuration(self) -> str:
        """The configuration as YAML, the data's file without its folder."""
        content = yaml.safe_load(self.files.get("config.yaml", b"")) or {}
        data = content.get("data")
        for name in ("csv", "static_file"):
            if isinstance(data, dict) and data.get(name):
                data[name] = file_name(data[name])
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True) if content else ""


def file_name(path: str) -> str:
    """A path without its folders, which a report does not disclose."""
    return PurePath(path).name


def read_run(run_id: str) -> Record:
    """A training or an evaluation by its id, with the best evaluation of it on the test split.

    Of several evaluations a probabilistic one, on the most windows, the newest of these.
    """
    run = runs.get_run(run_id)
    kind = run["tags"].get("kind", "training")
    if kind not in {"training", "evaluation"}:
        raise UserError(
            f"run {run_id} is a {kind}: a report is about trainings; name those, see: runs list"
        )
    files = runs.read_artifacts(run_id, _ARTIFACTS)
    evaluations = [other for other in runs.evaluations_of(run_id) if _is_comparable(run, other)]
    best = max(evaluations, key=_rank, default=None)  # the first of equals, and so the newest
    if best is not None:
        files |= runs.read_artifacts(best["run_id"], _EVALUATION_ARTIFACTS)
    metrics = dict(run["metrics"])
    return Record(
        run_id,
        run["name"] or run_id[:8],
        run["status"],
        datetime.fromtimestamp(run["started"] / 1000, UTC),
        run["params"],
        run["tags"],
        metrics,
        metrics if best is None else dict(best["metrics"]),
        files,
        None if best is None else best["run_id"],
        run["tags"].get("verdict", best and best["tags"].get("verdict")),
    )


def _rank(evaluation: dict[str, Any]) -> tuple[bool, float]:
    return "test/crps" in evaluation["metrics"], evaluation["metrics"].get("test/windows", 0.0)


def _is_comparable(run: dict[str, Any], evaluation: dict[str, Any]) -> bool:
    """Whether an evaluation is of the run's own test split, by the unmodified model."""
    same = {
        "data.sha256": run["params"].get("data.sha256"),
        "windows": "the test split",
        "conformal": "False",
        "resample_rate": "1",
    }
    return evaluation["status"] == "FINISHED" and same.items() <= evaluation["params"].items()
