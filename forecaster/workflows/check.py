"""``check``: the facts about a file, and how training and forecasting would use it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forecaster.config.schema import DataConfig
from forecaster.data.defaults import settle
from forecaster.data.periods import seasons_in_words
from forecaster.data.problem import load_problem
from forecaster.data.reading import RawTable
from forecaster.data.report import IntakeReport
from forecaster.data.seasons import seasons_of
from forecaster.data.splits import PARTS
from forecaster.data.tables import read_table
from forecaster.errors import UserError
from forecaster.workflows.estimate import training_time

# what a training would use, as numbers; ``season`` and ``training`` say the same in words
PLAN = ("horizon", "lookback", "seasons")


def check_file(path: Path | RawTable, given: Mapping[str, Any]) -> dict[str, Any]:
    """Facts, decisions and the planned training and forecast for a file or cells in memory.

    ``given``: keys of ``DataConfig``. ``refused``: the reason why the file cannot be used, or None;
    facts then end at the fault.
    """
    report, config = IntakeReport(), DataConfig(**given)
    plan: dict[str, Any] = dict.fromkeys((*PLAN, "season"))
    outcome: dict[str, Any] = {"training": None, "time": None, "forecasting": None, "refused": None}
    try:
        table = read_table(path, config.columns, report)
        config, decisions = settle(config, table)
        report.decisions += decisions
        horizon, lookback = config.horizon, config.lookback
        seasons = seasons_of(config, table.interval)
        plan |= {"horizon": horizon, "lookback": lookback, "seasons": list(seasons)}
        plan["season"] = seasons_in_words(table.interval, seasons)
        grid = table.interval.stamps(table.series[0].first, len(table.series[0].values) + horizon)
        ends = table.clock.write(grid[[-horizon, -1]])
        outcome["forecasting"] = f"{horizon} steps, {ends[0]} to {ends[1]}"
        problem = load_problem(config, table)
        counts = {part: problem.count_windows(part) for part in PARTS}
        outcome["training"] = (
            f"lookback {lookback}, horizon {horizon}: "
            + ", ".join(f"{count} {part}" for part, count in counts.items())
            + " windows"
        )
        outcome["time"] = training_time(problem)
    except UserError as error:
        outcome["refused"] = str(error)
    noted = {"decisions": report.decisions} if report.decisions else {}
    return {**report.facts, **noted, **plan, **outcome}
