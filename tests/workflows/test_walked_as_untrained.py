"""The columns in which a bridge's network is not kept are told."""

from types import SimpleNamespace

import pytest

from forecaster.workflows.train_steps import _tell_untrained


@pytest.mark.parametrize(
    ("count", "shown"), [(2, "'c0', 'c1'"), (6, "'c0', 'c1', 'c2', 'c3', 'c4' and 1 more")]
)
def test_they_are_said_and_logged(count: int, shown: str) -> None:
    said, logged = list[str](), dict[str, str]()
    site = SimpleNamespace(
        run=SimpleNamespace(parameters=logged.update),
        context=SimpleNamespace(progress=SimpleNamespace(say=said.append)),
    )
    table = SimpleNamespace(names=[f"c{k}" for k in range(9)])
    _tell_untrained(site, SimpleNamespace(table=table), range(count))
    assert logged == {"model.walked_as_untrained": shown}
    assert said == [
        f"model: on validation the network is kept in {9 - count} of 9 columns; walked as "
        f"untrained: {shown}"
    ]
