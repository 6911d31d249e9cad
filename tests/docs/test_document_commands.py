"""Every command of the README and of the tutorial is executed, and every command of the other pages
can be parsed.
"""

import json
import shutil
from pathlib import Path

import click
import pytest
from conftest import SAMPLE, Cli
from documents import DOCS, PAGES, README, SHORT, arguments, commands, outside_of_blocks, page_name

_SHORT = [word for key, value in SHORT.items() for word in ("--set", f"trainer.{key}={value}")]
# what is added to a command, by its name, so that it is done soon
FURTHER = {
    "train": _SHORT,
    "backtest": [*_SHORT, "--origins", "2", "--samples", "4"],
    "tune": [*_SHORT, "--trials", "1"],
    "evaluate": ["--limit", "2", "--samples", "4"],
    "forecast": ["--samples", "4"],
}
# a server answers until it is stopped: these are parsed only; their own tests start them
SERVERS = {"ui", "serve"}
# the commands of other programs, and why they are not executed
NOT_EXECUTED = {
    "make": "installs, trains in full or runs these very tests",
    "source": "needs the environment that make demo installs",
}
# names that stand for a run's id → the beginning of that run's name
RUNS = {"RUN_OF_S2DBM": "s2dbm seattle_weather ", "RUN_OF_RLINEAR": "rlinear seattle_weather "}


def parse(words: list[str]) -> None:
    """As the program would, up to where a command would begin its work."""
    from cli import main

    command: click.Command = main
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(click.Context(command), words)
        assert found is not None, name
        command = found
    command.make_context(command.name, list(words))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a reader has it: the sample, and the sample as one's own file."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "datasets").mkdir()
    shutil.copy(SAMPLE, folder / "datasets")
    shutil.copy(SAMPLE, folder / "sales.csv")
    return folder


@pytest.mark.parametrize(
    "page",
    [README, pytest.param(DOCS / "tutorial.md", marks=pytest.mark.slow)],
    ids=lambda page: page_name(page),
)
def test_every_command_works(
    cli: Cli, place: Path, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    executed = []
    for words in commands(page.read_text(encoding="utf-8")):
        given = arguments(words)
        if given is None:
            assert words[0] in NOT_EXECUTED, words
        elif given[0] in SERVERS:
            parse(given)
        else:
            executed.append(given[0])
            named = [_run(cli, RUNS[word]) if word in RUNS else word for word in given]
            cli(*named, *FURTHER.get(given[0], []))
    assert {"check", "train", "forecast"} <= set(executed)
    assert (place / "forecast.csv.meta.json").is_file()
    assert (place / "forecast.png").read_bytes().startswith(b"\x89PNG")


def _run(cli: Cli, begin: str) -> str:
    """The newest run whose name begins so."""
    runs = json.loads(cli("runs", "list", "--json").stdout)["runs"]
    return next(run["run_id"] for run in runs if run["name"].startswith(begin))


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_command_can_be_parsed(page: Path) -> None:
    for words in commands(page.read_text(encoding="utf-8")):
        given = arguments(words)
        if given is not None:
            parse(given)


def test_a_wrong_option_or_command_is_not_parsed() -> None:
    """The check above can fail."""
    with pytest.raises(click.NoSuchOption):
        parse(["train", "--cvs", "sales.csv"])
    with pytest.raises(click.UsageError, match="No such command"):
        parse(["datasets", "lsit"])
    with pytest.raises(click.MissingParameter):
        parse(["forecast", "--csv", "sales.csv"])


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_no_command_stands_outside_of_a_shell_block(page: Path) -> None:
    """Where it would not be seen by these tests: indented, or in a block of another language."""
    for line in outside_of_blocks(page.read_text(encoding="utf-8")).splitlines():
        assert not line.startswith(("    forecaster ", "    python cli.py ")), line
