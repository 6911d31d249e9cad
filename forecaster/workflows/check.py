"""``check``: the facts about a file, and how training and forecasting would use it."""

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
    """Facts, decisions and the planned training and forecast for a file or cells in memory.

    ``refused``: the reason why the file cannot be used, or None; facts then end at the fault.
    """
    report = IntakeReport()
    outcome: dict[str, Any] = {"training": None, "forecasting": None, "refused": None}
    try:
        table = read_table(path, Columns(**roles), report)
        grid = table.interval.stamps(table.series[0].first, len(table.series[0].values) + horizon)
        ends = table.clock.write(grid[[-horizon, -1]])
        outcome["forecasting"] = f"{horizon} steps, {ends[0]} to {ends[1]}"
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
