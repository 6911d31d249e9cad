"""``check``: what is in a file, and what training and forecasting would do with it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forecaster.config.schema import Columns, DataConfig
from forecaster.data.problem import load_problem
from forecaster.data.reading import RawTable
from forecaster.data.report import IntakeReport
from forecaster.data.splits import PARTS
from forecaster.data.tables import read_table
from forecaster.errors import UserError


def check_file(
    path: Path | RawTable, horizon: int, lookback: int, roles: Mapping[str, Any]
) -> dict[str, Any]:
    """The facts and decisions up to where the file (or cells in memory) was refused, if it was;
    ``refused`` is the reason or None.
    """
    report = IntakeReport()
    outcome: dict[str, Any] = {"training": None, "forecasting": None, "refused": None}
    try:
        table = read_table(path, Columns(**roles), report)
        ahead = table.interval.stamps(table.series[0].first, len(table.series[0].values) + horizon)
        written = table.clock.write(ahead[[-horizon, -1]])
        outcome["forecasting"] = f"{horizon} steps, {written[0]} to {written[1]}"
        problem = load_problem(
            DataConfig(csv=table.path, horizon=horizon, lookback=lookback, **roles), table
        )
        counts = {part: problem.count_windows(part) for part in PARTS}
        outcome["training"] = (
            f"lookback {lookback}, horizon {horizon}: "
            + ", ".join(f"{count} {part}" for part, count in counts.items())
            + " windows"
        )
    except UserError as error:
        outcome["refused"] = str(error)
    decisions = {"decisions": report.decisions} if report.decisions else {}
    return {**report.facts, **decisions, **outcome}
