"""What a run kept of itself, read back from the tracking store for a report."""

import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

import pandas as pd
import yaml

from forecaster.errors import UserError
from forecaster.io.tables import read_table_bytes
from forecaster.tracking import query as runs

_OWN = (
    "config.yaml",
    "data.json",
    "versions.json",
    "forecasts/forecast.csv",
    "forecasts/history.csv",
    "evaluation/by_lead.csv",
    "evaluation/pit.csv",
    "evaluation/metrics.json",
)
_SCORED = ("evaluation/by_lead.csv", "evaluation/pit.csv", "evaluation/metrics.json")


@dataclass(frozen=True)
class Record:
    """One run. ``files``: the artifacts that a report reads, those of its newest evaluation before
    its own.

    ``metrics``: the run's; ``scores``: those of that evaluation, or else the run's.
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
        """``test`` or ``val``: the part that the scores are of."""
        return "test" if any(name.startswith("test/") for name in self.scores) else "val"

    @property
    def digest(self) -> str:
        """The SHA-256 of the data."""
        return self.params.get("data.sha256", "")

    @property
    def configuration(self) -> str:
        """The configuration as YAML, the data's file by its name alone."""
        content = yaml.safe_load(self.files.get("config.yaml", b"")) or {}
        if isinstance(content.get("data"), dict) and content["data"].get("csv"):
            content["data"]["csv"] = file_name(content["data"]["csv"])
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True) if content else ""


def file_name(path: str) -> str:
    """A file by its name alone: where it lay is nobody else's affair."""
    return PurePath(path).name


def read_run(run_id: str) -> Record:
    """A run, and what an evaluation of it found on the test windows.

    Of several the one with a distribution, on most windows, the newest of these.
    """
    run = runs.get_run(run_id)
    kind = run["tags"].get("kind", "training")
    if kind not in {"training", "evaluation"}:
        raise UserError(
            f"run {run_id} is a {kind}: a report is of trainings; name those, see: runs list"
        )
    files = runs.read_artifacts(run_id, _OWN)
    found = [other for other in runs.evaluations_of(run_id) if _is_alike(run, other)]
    best = max(found, key=_worth, default=None)  # the first of equals, and so the newest
    if best is not None:
        files |= runs.read_artifacts(best["run_id"], _SCORED)
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
    )


def _worth(evaluation: dict[str, Any]) -> tuple[bool, float]:
    return "test/crps" in evaluation["metrics"], evaluation["metrics"].get("test/windows", 0.0)


def _is_alike(run: dict[str, Any], evaluation: dict[str, Any]) -> bool:
    """Whether an evaluation is of the run's own test split, by the model as it is."""
    same = {
        "data.sha256": run["params"].get("data.sha256"),
        "windows": "the test split",
        "conformal": "False",
        "resample_rate": "1",
    }
    return evaluation["status"] == "FINISHED" and same.items() <= evaluation["params"].items()
