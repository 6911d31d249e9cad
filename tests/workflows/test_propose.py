"""The command that ``check`` proposes: remedies of messages, tried until one works."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from forecaster.workflows.check import examine
from forecaster.workflows.propose import command_of, options_in, working_options


@pytest.mark.parametrize(
    ("message", "sets"),
    [
        ("x: jitter; give --snap 10min", [{"snap": "10min"}]),
        (
            "with --resample D --aggregate mean --on-gap fill (or sum)",
            [{"resample": "D", "aggregate": "mean", "on_gap": "fill"}],
        ),
        (
            "give --timezone Europe/Berlin, or the zone meant; or --on-duplicate first|last",
            [{"timezone": "Europe/Berlin"}, {"on_duplicate": "first"}, {"on_duplicate": "last"}],
        ),
        ("'a' (--item-id 'a b,c') names the series", [{"item_id": "a b,c"}]),
        (
            "(--date-format dmy) and x (--date-format mdy), y",
            [{"date_format": "dmy"}, {"date_format": "mdy"}],
        ),
        ("give --thousands , or --decimal ,", [{"thousands": ","}, {"decimal": ","}]),
        ("give --decimal .", [{"decimal": "."}]),
        ("stands for missing values, give --missing -200,-999", [{"missing": "-200,-999"}]),
        ("give --no-header, by which", [{"header": False}]),
        ("a smaller --lookback or --horizon, or --on-short pad", [{"on_short": "pad"}]),
        ("put together with --resample and --aggregate", []),
        ("call it --colour red", []),
    ],
)
def test_options_are_found_in_a_sentence(message: str, sets: list[dict[str, Any]]) -> None:
    assert list(options_in(message)) == sets


def attempt(given: Mapping[str, Any]) -> str | None:
    """A file with jitter and a gap, in one of two zones."""
    if "snap" not in given:
        return "jitter; give --snap 7min or --snap 10min"
    if given["snap"] == "7min":
        return None if "aggregate" in given else "several rows a step; give --aggregate sum"
    if "on_gap" not in given:
        return "a gap; give --on-gap fill or --on-gap zero"
    return None


def test_remedies_follow_each_other_and_none_that_alters_values_is_added() -> None:
    first = attempt({})
    assert first is not None
    assert working_options(first, {}, attempt) == [{"snap": "10min", "on_gap": "fill"}]
    kept = working_options(first, {"freq": "h"}, attempt)
    assert kept == [{"freq": "h", "snap": "10min", "on_gap": "fill"}]


def test_all_ways_of_the_first_message_are_proposed() -> None:
    message = "both; give --decimal . or --decimal ,"
    tried = working_options(message, {}, lambda given: None)
    assert tried == [{"decimal": "."}, {"decimal": ","}]
    assert working_options(message, {}, lambda given: message) == []
    assert working_options(message, {"decimal": "."}, lambda given: None) == [{"decimal": ","}]


def test_the_search_ends() -> None:
    tried = []

    def endless(given: Mapping[str, Any]) -> str:
        tried.append(given)
        return "; ".join(f"give --freq {len(tried)}{unit}" for unit in ("h", "D", "min"))

    assert working_options("give --freq h, --freq D", {}, endless) == []
    assert len(tried) == 12


def test_a_command_is_one_that_a_shell_reads() -> None:
    given = {
        "csv": "my data.csv",
        "header": False,
        "target": ("a b", "c"),
        "missing": "-200",
        "horizon": 7,
    }
    line = command_of(given)
    words = shlex.split(line)
    assert words[words.index("train") :] == [
        *("train", "--csv", "my data.csv", "--no-header", "--target", "a b,c"),
        *("--missing", "-200", "--horizon", "7"),
    ]


def test_a_german_table_of_months_gets_its_command_at_once(tmp_path: Path) -> None:
    """Language, layout and the mark between thousands, each named by another refusal."""
    months = ["Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August"]
    head = [f"{month} {year}" for year in (2022, 2023, 2024) for month in months]
    path = tmp_path / "verkauf.csv"
    path.write_text(
        f"Artikel;{';'.join(head)}\n"
        f"Brot;{';'.join(f'1.{300 + 7 * n % 90}' for n in range(24))}\n"
        f"Kuchen;{';'.join(f'{300 + 7 * n % 50}' for n in range(24))}\n"
    )
    (command,) = examine(path, {"on_gap": "fill"}).outcome["commands"]
    assert command.endswith("--locale de --layout dates-across --thousands .")
    found = examine(
        path, {"on_gap": "fill", "locale": "de", "layout": "dates-across", "thousands": "."}
    ).outcome
    assert (found["refused"], found["series"], found["interval"]) == (None, 2, "MS")
