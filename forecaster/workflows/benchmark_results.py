"""A file of finished cells, for a benchmark that is divided over tracking stores.

It is the CSV table of the benchmark: a row a cell, or one for each of its numbers of steps.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from forecaster.errors import UserError
from forecaster.io.atomic import write_together
from forecaster.io.output_tables import table_bytes
from forecaster.workflows.benchmark_suite import Cell, Suite

_FACTS = ("cell", "scoring", "run_id", "date", "code", "machine", "torch", "failed")
_TEXTS = ("data", "model", *_FACTS)
_COUNTS = ("horizon", "seed", "steps")
# what tells a row from all others
_IDENTITY = ("cell", "run_id", "scoring", "s", "steps")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Elsewhere:
    """The rows that a file has of cells of the suite, by key; of one that failed a single row."""

    rows: Mapping[str, Sequence[Row]]

    def has(self, cell: Cell) -> bool:
        """Whether a cell is finished there; one that failed is not."""
        return cell.key in self.rows and not self.rows[cell.key][0].get("failed")


def elsewhere(path: Path | None, suite: Suite, cells: Sequence[Cell]) -> Elsewhere:
    """What the file at ``path`` has of these cells, as the suite asks for it; raises UserError."""
    found: dict[str, list[Row]] = {}
    for row in [] if path is None else _read(path):
        found.setdefault(row["cell"], []).append(row)
    rows = {cell.key: _rows_of(suite, cell, found.get(cell.key, [])) for cell in cells}
    return Elsewhere({key: part for key, part in rows.items() if part})


def add_results(path: Path, rows: Sequence[Row]) -> None:
    """Add rows to the file; those of the same run and scoring, and failures since mended, go."""
    with FileLock(path.with_name(f".{path.name}.lock")):
        finished = {row["cell"] for row in rows if not row.get("failed")}
        new = {_identity(row) for row in rows}
        kept = [
            row
            for row in _read(path)
            if _identity(row) not in new and not (row.get("failed") and row["cell"] in finished)
        ]
        if not kept and not rows:
            return
        frame = pd.DataFrame([*kept, *rows])
        frame = frame.astype({name: "Int64" for name in _COUNTS if name in frame})
        write_together({path: lambda partial: partial.write_bytes(table_bytes(frame, ".csv"))})


def _identity(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in _IDENTITY)


def _read(path: Path) -> list[Row]:
    """The rows of a file; none where there is no file yet."""
    if not path.exists():
        return []
    wrong = f"--results {path}: no table of a benchmark"
    remedy = "name the CSV that a benchmark wrote, or a new file"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head, *lines = list(csv.reader(file, strict=True)) or [[]]
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{wrong}: {error}; {remedy}") from error
    if "cell" not in head:
        raise UserError(f"{wrong}: it has no column 'cell'; {remedy}")
    rows: list[Row] = []
    for number, line in enumerate(lines, start=1):
        try:
            if len(line) != len(head):
                raise ValueError(f"{len(line)} cells below {len(head)} columns")
            rows.append({name: _value(name, text) for name, text in zip(head, line, strict=True)})
        except ValueError as error:
            raise UserError(f"{wrong}: row {number}: {error}; {remedy}") from error
    return rows


def _value(name: str, text: str) -> Any:
    if not text:
        return None
    if name in _TEXTS:
        return text
    return int(text) if name in _COUNTS else float(text)


def _rows_of(suite: Suite, cell: Cell, own: Sequence[Row]) -> Sequence[Row]:
    """The rows of a cell with all that the suite asks for, or the row of its failure, or none."""
    about: dict[str, Any] = {
        "data": cell.data,
        "horizon": cell.config.data.horizon,
        "model": cell.model,
        "seed": cell.config.trainer.seed,
    }
    rows = []
    walks: Sequence[tuple[float | None, int | None]] = suite.walks or [(None, None)]
    for s, steps in walks:
        whole = (
            row
            for row in own
            if (row.get("s"), row.get("steps")) == (s, steps)
            and (row.get("scoring") or "") == suite.scoring
            and all(row.get(name) is not None for name in suite.metrics)
        )
        if (row := next(whole, None)) is None:
            return [about | dict(each) for each in own if each.get("failed")][:1]
        walk = {key: value for key, value in (("s", s), ("steps", steps)) if value is not None}
        rest = {key: value for key, value in row.items() if key not in (*about, "s", "steps")}
        rows.append(about | walk | rest)
    return rows
