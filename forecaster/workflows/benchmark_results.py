"""A file of finished cells, for a benchmark that is divided over tracking stores.

It is the CSV table of the benchmark: a row a cell, or one for each of its numbers of steps.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from forecaster.errors import UserError
from forecaster.workflows.benchmark_suite import Cell, Suite
from forecaster.workflows.benchmark_table import validation_metrics

_FACTS = ("cell", "scoring", "run_id", "date", "code", "machine", "torch", "failed")
_TEXTS = ("data", "model", *_FACTS)

Row = Mapping[str, Any]


def read_results(path: Path) -> dict[str, list[Row]]:
    """The rows of each cell by its key; none where there is no file yet. Raises UserError."""
    if not path.exists():
        return {}
    wrong = f"--results {path}: no table of a benchmark"
    remedy = "name the CSV that a benchmark wrote, or a new file"
    try:
        frame = pd.read_csv(io.BytesIO(path.read_bytes()), dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{wrong}: {error}; {remedy}") from error
    if "cell" not in frame:
        raise UserError(f"{wrong}: it has no column 'cell'; {remedy}")
    by_cell: dict[str, list[Row]] = {}
    for number, values in enumerate(frame.to_dict("records"), start=1):
        try:
            row = {str(name): _value(str(name), value) for name, value in values.items()}
        except ValueError as error:
            raise UserError(f"{wrong}: row {number}: {error}; {remedy}") from error
        by_cell.setdefault(values["cell"], []).append(row)
    return by_cell


def _value(name: str, text: str) -> Any:
    if not text:
        return None
    return text if name in _TEXTS else float(text)


@dataclass(frozen=True)
class Elsewhere:
    """What a file has: the rows of cells of the suite by key, and the ``others``."""

    rows: Mapping[str, Sequence[Row]]
    others: Sequence[Row]

    def has(self, cell: Cell) -> bool:
        """Whether a cell is finished there; one that failed is not."""
        return cell.key in self.rows and not self.rows[cell.key][0].get("failed")


def elsewhere(path: Path | None, suite: Suite, cells: Sequence[Cell]) -> Elsewhere:
    """What the file at ``path`` has; nothing where there is none."""
    known = {cell.key: cell for cell in cells}
    found = {} if path is None else read_results(path)
    rows = {key: _rows_of(suite, known[key], part) for key, part in found.items() if key in known}
    others = [row for key, part in found.items() if key not in known for row in part]
    return Elsewhere({key: part for key, part in rows.items() if part}, others)


def _rows_of(suite: Suite, cell: Cell, found: Sequence[Row]) -> Sequence[Row]:
    """The rows of a cell as the suite asks for them; none where one of them is missing."""
    about: dict[str, Any] = {
        "data": cell.data,
        "horizon": cell.config.data.horizon,
        "model": cell.model,
        "seed": cell.config.trainer.seed,
    }
    names, rows = {*suite.metrics, *validation_metrics(suite)}, []
    walks: Sequence[tuple[float | None, int | None]] = suite.walks or [(None, None)]
    for s, steps in walks:
        row = next((each for each in found if (each.get("s"), each.get("steps")) == (s, steps)), {})
        if not names <= row.keys() or (row.get("scoring") or "") != suite.scoring:
            return [about | dict(each) for each in found if each.get("failed")][:1]
        walk = {key: value for key, value in (("s", s), ("steps", steps)) if value is not None}
        rest = {key: value for key, value in row.items() if key not in (*about, "s", "steps")}
        rows.append(about | walk | rest)
    return rows


def joined(rows: Sequence[Row], others: Sequence[Row]) -> pd.DataFrame:
    """The file's new content: the suite's rows, then those of cells that it does not have now."""
    whole = pd.DataFrame([*rows, *others])
    counts = [name for name in ("horizon", "seed", "steps") if name in whole]
    return whole.astype(dict.fromkeys(counts, "Int64"))
