"""Small files of public shapes through the command line: each is read as meant, or refused with a
command that reads it.
"""

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli

CASES = Path(__file__).parents[1] / "data" / "intake"


@dataclass(frozen=True)
class Case:
    """``facts``: of the file as it is read; ``options``: of the command that reads it, if it needs
    any; ``refused``, ``said``: in the reason and in what is said; ``values``: lowest and highest by
    column; ``commands``: those proposed.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    options: str = ""
    refused: str = ""
    said: str = ""
    values: dict[str, tuple[float, float]] = field(default_factory=dict)
    commands: int = 1


def wide(interval: str, first: str, length: int, *columns: str) -> dict[str, Any]:
    return {"interval": interval, "from": first, "length": length, "value columns": [*columns]}


MONTHS = wide("MS", "2015-01-01", 60, "Sales")
EXPECTED = {
    "date_and_time": Case(
        wide("6h", "2024-03-01 00:00:00", 55, "CO"),
        "--missing -200",
        said="column 'CO': -200 (8 times) lies far off all other values",
        values={"CO": (-200.0, 2.5)},
    ),
    "thousands_semicolon": Case(
        wide("D", "2024-01-01", 40, "visits"),
        said="'1,000' is 1000",
        values={"visits": (940.0, 1057.0)},
    ),
    "thousands_point": Case(
        wide("D", "2024-01-01", 40, "umsatz"),
        said="'1.000' is 1000",
        values={"umsatz": (940.0, 1057.0)},
    ),
    "monthly_mdy": Case(MONTHS, said="otherwise --date-format dmy"),
    "monthly_mdy_12rows": Case(MONTHS | {"length": 12}, said="otherwise --date-format dmy"),
    "index_columns": Case(
        wide("D", "2024-01-01", 40, "a"), said="'Unnamed: 0' left out: numbers the rows"
    ),
    "noheader_long": Case(
        {"interval": "D", "series": 2, "value columns": ["column_3"]} | {"length": 40},
        "--no-header",
        refused="look like a row of data, not like names",
    ),
    "two_keys": Case(
        {"interval": "D", "series": 4, "value columns": ["sales"]} | {"length": 40},
        "--item-id store,dept",
        refused="'store', 'dept' (--item-id store,dept) together name the series",
    ),
    "time_repeated_in_flag": Case(
        {"interval": "D", "series": 2, "value columns": ["Sales"], "length": 40},
        said="column 'Store' names the series",
    ),
    "jitter": Case(
        wide("10min", "2024-01-01 00:00:00", 120, "t"), "--snap 10min", refused="give --snap 10min"
    ),
    "last_trading_day": Case(wide("BME", "1990-01-31", 24, "v"), said="1 day(s) away at most"),
    "dst_autumn": Case(
        wide("h", "2023-10-28 00:00:00+02:00", 49, "load"),
        "--timezone Europe/Berlin",
        refused="where the clock goes back, give --timezone Europe/Berlin",
        commands=3,
    ),
    "year_1677": Case(refused="outside the years 1678 to 2261", commands=0),
    "yearly_0101": Case(wide("YS-JAN", "1950-01-01", 50, "v")),
    "preamble": Case(
        wide("W-SUN", "2020-01-05", 60, "shoes: (Worldwide)"),
        said="above the names of the columns: 'Category: All categories'",
    ),
    "delimiter_tie": Case(
        wide("D", "2024-01-01", 40, "Leistung, kW"), values={"Leistung, kW": (1.0, 1.6)}
    ),
    "nameless_date": Case(
        wide("D", "2024-01-01", 40, "a", "b"), said="the column without a name holds times"
    ),
}


def test_every_case_is_expected() -> None:
    assert {path.stem for path in CASES.glob("*.csv")} == {*EXPECTED}


@pytest.mark.parametrize("name", list(EXPECTED))
def test_a_case_is_read_as_meant_or_refused_with_a_command_that_reads_it(
    cli: Cli, name: str
) -> None:
    case, path = EXPECTED[name], CASES / f"{name}.csv"
    found = json.loads(cli("check", "--csv", path, "--json", status=bool(case.refused)).stdout)
    assert case.refused in (found["refused"] or "")
    commands = [shlex.split(line) for line in found["commands"]]
    assert len(commands) == case.commands
    said = [*found.get("decisions", ()), *found["suspected"]]
    assert any(case.said in each for each in said) or not case.said
    read = {each["name"]: (each["minimum"], each["maximum"]) for each in found["columns"]}
    assert {column: read[column] for column in case.values} == case.values
    for command in commands[:1]:
        options = command[command.index("--csv") + 2 :]
        assert options == case.options.split()
        again = json.loads(cli("check", "--csv", path, "--json", *options).stdout)
        assert {key: again[key] for key in case.facts} == case.facts


@pytest.mark.parametrize(
    "name",
    [
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("two_keys", "dst_autumn")),
        "date_and_time",
    ],
)
def test_a_proposed_command_trains(cli: Cli, name: str, new_home: Path) -> None:
    path = CASES / f"{name}.csv"
    status = bool(EXPECTED[name].refused)
    lines = cli("check", "--csv", path, status=status).stdout.splitlines()
    assert lines[0].startswith("command: ")
    words = shlex.split(lines[0].removeprefix("command:"))
    one = ("--model", "nlinear", "--set", "trainer.max_epochs=1")
    done = cli(*words[words.index("train") :], *one)
    assert "seasonal naive" in done.stdout
