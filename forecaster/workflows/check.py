"""``check``: a profile of a file, how training and forecasting would use it, and the command."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from forecaster.config.schema import DataConfig
from forecaster.data.defaults import settle
from forecaster.data.doubtful import totals
from forecaster.data.leaks import ended_early, suspected_leaks
from forecaster.data.missing import suspicion
from forecaster.data.periods import seasons_in_words
from forecaster.data.problem import load_problem
from forecaster.data.profile import codes_to_name, profile_columns
from forecaster.data.reading import RawTable, read_file
from forecaster.data.report import IntakeReport
from forecaster.data.seasons import seasons_of
from forecaster.data.splits import PARTS
from forecaster.data.stuck import stuck
from forecaster.data.tables import Table, read_table
from forecaster.errors import UserError
from forecaster.workflows.estimate import training_time
from forecaster.workflows.propose import command_of, working_options

# what a training would use, as numbers; ``season`` and ``training`` say the same in words
PLAN = ("horizon", "lookback", "seasons")
_SPANS = 5

# first and last time, and rows
Span = tuple[pd.Timestamp, pd.Timestamp, int]


@dataclass(frozen=True)
class Checked:
    """What ``check`` found, by name, and the table if the file could be read."""

    outcome: dict[str, Any]
    table: Table | None


def check_file(path: Path | RawTable, given: Mapping[str, Any]) -> dict[str, Any]:
    """The outcome of ``examine``."""
    return examine(path, given).outcome


def examine(path: Path | RawTable, given: Mapping[str, Any]) -> Checked:
    """Profile, decisions and the planned training and forecast for a file or cells in memory.

    ``given``: keys of ``DataConfig``. ``commands``: those that train on the file; where it is
    refused, with the options that the reason names and that work. ``of_several``: the one that
    weighs several models. ``refused``: the reason why the
    file cannot be used, or None; facts then end at the fault.
    """
    report = IntakeReport(columns=[])
    checked = _checked(path, given, report)
    outcome, columns = checked.outcome, report.columns or []
    named = DataConfig(**given).missing or ()
    if outcome["refused"] is None:
        codes = codes_to_name(columns)
        ways = [{**given, **({"missing": (*named, *codes)} if codes else {})}]
    else:
        ways = working_options(outcome["refused"], given, lambda way: _refusal(path, way))
    written = [] if isinstance(path, RawTable) else [{"csv": str(path), **way} for way in ways]
    commands = [command_of(way) for way in written]
    suspects = [suspicion(each.name, each.suspects, named) for each in columns if each.suspects]
    profiles = [asdict(each) for each in columns]
    if commands and outcome["refused"] is None:
        outcome = {"of_several": command_of(written[0], "auto", "--time-limit 10m"), **outcome}
    outcome = {"commands": commands, "suspected": suspects, **outcome, "columns": profiles}
    return Checked(outcome, checked.table)


def _refusal(path: Path | RawTable, given: Mapping[str, Any]) -> str | None:
    """Why a file, or the part of it that ``csv`` names, is refused with these options."""
    path = Path(given["csv"]) if "csv" in given else path
    try:
        refused: str | None = _checked(path, given, IntakeReport()).outcome["refused"]
    except UserError as error:  # of the options
        return str(error)
    return refused


def _checked(path: Path | RawTable, given: Mapping[str, Any], report: IntakeReport) -> Checked:
    config, table = DataConfig(**given), None
    plan: dict[str, Any] = dict.fromkeys((*PLAN, "season"))
    outcome: dict[str, Any] = {"training": None, "time": None, "forecasting": None, "refused": None}
    try:
        table = _read(path, config, report)
        report.facts["spans"] = _spans(table)
        config, decisions = settle(config, table)
        leaks = suspected_leaks(table, config.horizon, config.prior_column or ())
        report.decisions += [*decisions, *leaks, *ended_early(table)]
        report.decisions += [*stuck(table), *totals(table)]
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
    return Checked({**report.facts, **noted, **plan, **outcome}, table)


def _read(path: Path | RawTable, config: DataConfig, report: IntakeReport) -> Table:
    """The table; the columns of a refused one are profiled as they stand in the file."""
    raw = path if isinstance(path, RawTable) else read_file(path, config.header)
    try:
        return read_table(raw, config.columns, report)
    except UserError:
        if report.columns == []:
            report.columns = profile_columns(raw, config.columns, report.roles, {}, {})
        raise


def _spans(table: Table) -> list[str]:
    """From when to when the series reach, the most frequent first."""
    spans: Counter[Span] = Counter()
    names: dict[Span, str] = {}
    for series in table.series:
        rows = len(series.values)
        span = (series.first, table.interval.stamp(series.first, rows - 1), rows)
        spans[span] += 1
        names.setdefault(span, str(series.item_id))
    said = []
    for span, count in spans.most_common(_SPANS):
        first, last = table.clock.write(pd.DatetimeIndex(span[:2]))
        of = f"{count} of {len(table.series)} series ('{names[span]}' …)"
        said.append(f"{of}: {first} to {last}, {span[2]} rows")
    more = len(spans) - _SPANS
    return [] if len(spans) == 1 else [*said, *([f"{more} other spans"] if more > 0 else [])]
