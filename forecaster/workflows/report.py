"""``report``: the records that references lead to, as one page."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from forecaster.config.load import dump_content, read_yaml
from forecaster.inference.locate import NoRunError, find_model, find_run
from forecaster.inference.saved_model import read_record
from forecaster.reporting.html import write_report
from forecaster.tracking.record import Record, read_run

_MISSING = (
    "This model has no run in the store: its forecast, curves by lead time, calibration and the "
    "facts about its data are not known here."
)
_SECTIONS = ("data", "model", "trainer")


def report(references: Sequence[str], output: Path) -> list[str]:
    """Write the page, and return the runs' ids, '' of a model without one."""
    records = map(_record, dict.fromkeys(references))
    found = {record.run_id or record.name: record for record in records}
    write_report(list(found.values()), output)
    return [record.run_id for record in found.values()]


def _record(reference: str) -> Record:
    """The record of a run, or of a saved model that has none."""
    try:
        run_id = find_run(reference)["run_id"]
    except NoRunError:
        return _of_model(find_model(reference), reference)
    return read_run(run_id)


def _of_model(folder: Path, name: str) -> Record:
    """What a saved model knows of its training."""
    metadata = read_record(folder).metadata
    content = read_yaml(folder / "config.yaml")
    params = {
        f"{key}.{name}": str(value)
        for key in _SECTIONS
        for name, value in _mapping(content.get(key)).items()
        if isinstance(value, str | int | float)
    }
    naive = _mapping(metadata.get("seasonal_naive"))
    metrics = _mapping(metadata.get("metrics")) | {
        key.replace("test/", "test/seasonal_naive/", 1): value for key, value in naive.items()
    }
    saved = (folder / "metadata.json").stat().st_mtime
    return Record(
        run_id="",
        name=name,
        status="FINISHED",
        started=datetime.fromtimestamp(saved, UTC),
        params=params | {"data.sha256": str(metadata.get("digest", ""))},
        tags={"model": str(content.get("title") or params.get("model.name", "?"))},
        metrics=metrics,
        scores=metrics,
        files={"config.yaml": dump_content(content).encode()},
        evaluation=None,
        verdict=metadata.get("verdict"),
        missing=_MISSING,
    )


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}
