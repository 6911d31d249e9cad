"""``forecaster.check``: the facts about a table, and how training would use it."""

from dataclasses import dataclass
from typing import Any, Unpack

import pandas as pd

from forecaster.api.arguments import Seasons, seasons_of, whole_or_none
from forecaster.api.roles import Roles, read_roles
from forecaster.data.frames import read_source, roles_of_fields
from forecaster.errors import UserError
from forecaster.workflows.check import check_file


@dataclass(frozen=True)
class CheckReport:
    """The result of ``check``.

    ``facts`` by name: the file, its columns and their roles, the interval, gaps, duplicates,
    missing values. ``decisions``: about the data. ``problems``: what prevents a training;
    ``suggestions``: their remedies.

    >>> import forecaster
    >>> report = forecaster.check("datasets/seattle_weather.csv", horizon=28)
    >>> report.ok, report.facts["interval"], report.facts["series"]
    (True, 'D', 1)
    """

    facts: dict[str, Any]
    decisions: tuple[str, ...]
    problems: tuple[str, ...]
    suggestions: tuple[str, ...]

    def __repr__(self) -> str:
        found = "ok" if self.ok else f"{len(self.problems)} problem(s)"
        return f"CheckReport({found}, {len(self.facts)} facts)"

    @property
    def ok(self) -> bool:
        """Whether a model can be trained."""
        return not self.problems

    def to_frame(self) -> pd.DataFrame:
        """The report as a table with columns ``kind, name, text``."""
        told = {name: value for name, value in self.facts.items() if name != "columns"}
        rows = [("fact", name, str(value)) for name, value in told.items()]
        rows += [("column", c["name"], _in_words(c)) for c in self.facts.get("columns", ())]
        for kind in ("decisions", "problems", "suggestions"):
            rows += [(kind.removesuffix("s"), "", text) for text in getattr(self, kind)]
        return pd.DataFrame(rows, columns=["kind", "name", "text"])


def check(
    source: object,
    *,
    horizon: int | None = None,
    lookback: int | None = None,
    seasons: Seasons | None = None,
    **roles: Unpack[Roles],
) -> CheckReport:
    """Check a table before a training; its faults are reported, not raised.

    A source that cannot be read is a fault, too. Raises UserError for other arguments only.

    ``source``: a file's path, a pandas or polars frame, wide or long, or a
    GluonTS data set. ``horizon``, ``lookback``, ``seasons``: those of the training, in steps (None:
    as a training would choose them).
    ``roles``: see ``forecaster.api.roles.Roles``.

    >>> import pandas as pd, forecaster
    >>> days = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-06"])
    >>> frame = pd.DataFrame({"sales": [3.0, 1.0, 4.0, 1.0]}, index=days)
    >>> report = forecaster.check(frame, horizon=1, lookback=2)
    >>> report.problems[0][:42]
    'the frame: 2 time(s) are missing in 1 gap('
    >>> report.suggestions  # doctest: +NORMALIZE_WHITESPACE
    ('add the rows, or give --on-gap fill to take them as missing values, or --on-gap zero where
    nothing happened',)
    >>> forecaster.check(frame, horizon=1, lookback=2, on_gap="fill").ok
    True
    """
    steps = {
        "horizon": whole_or_none("horizon", horizon, 1),
        "lookback": whole_or_none("lookback", lookback, 1),
        "seasons": seasons_of(seasons),
    }
    given = {name: value for name, value in steps.items() if value is not None}
    asked = read_roles(roles, "check")
    try:
        data = read_source(source)
        outcome = check_file(data, given | roles_of_fields(data) | asked)
    except UserError as error:
        outcome = {"refused": str(error)}
    refused = outcome.pop("refused")
    decisions, suspected = tuple(outcome.pop("decisions", ())), outcome.pop("suspected", ())
    facts = {name: value for name, value in outcome.items() if value not in (None, [])}
    problems = () if refused is None else (refused,)
    remedies = [problem.rpartition("; ")[2] for problem in problems if "; " in problem]
    return CheckReport(facts, decisions, problems, (*remedies, *suspected, *_constant(facts)))


def _in_words(column: dict[str, Any]) -> str:
    """The role of a column, what it holds, and its range."""
    role = f"{column['role']} ({column['why']}): " if column["role"] else ""
    ends = "" if column["minimum"] is None else f" from {column['minimum']} to {column['maximum']}"
    return f"{role}{column['holds']}{ends}, {100 * column['missing']:.3g} % missing"


def _constant(facts: dict[str, Any]) -> list[str]:
    return [
        f"column '{name}' never changes: leave it out with --target"
        for name in facts.get("constant columns", ())
    ]
