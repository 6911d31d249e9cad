"""Models that no file compares."""

from types import SimpleNamespace
from typing import Any

import pytest

from forecaster.workflows.contest import IncomparableError, contest


def saved(names: tuple[str, ...], interval: str) -> Any:
    return SimpleNamespace(
        schema=SimpleNamespace(names=names, interval=interval), scored=lambda: None
    )


@pytest.mark.parametrize(
    ("challenger", "what"),
    [(saved(("a", "c"), "D"), "columns"), (saved(("b", "a"), "W"), "intervals")],
)
def test_other_columns_or_intervals_are_forecasts_of_something_else(
    challenger: Any, what: str
) -> None:
    table: Any = None
    words = f"^their {what} differ, so that their errors are of other forecasts$"
    with pytest.raises(IncomparableError, match=words):
        contest(saved(("a", "b"), "D"), challenger, table, ("version 2", "version 1"))
