"""Figures as people write them, and the few that tell most."""

import pytest

from forecaster.reporting.summary import FEW, figure, metric_rows, of_split


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (48150.4, "48,150"),
        (1234567.8, "1,234,568"),
        (-1000.0, "-1,000"),
        (999.94, "999.9"),
        (12.3456, "12.35"),
        (0.031234, "0.03123"),
        (0.0, "0"),
        (None, ""),
        (float("nan"), ""),
    ],
)
def test_figures_have_thousands_and_no_exponent(value: float | None, text: str) -> None:
    assert figure(value) == text


def test_eight_rows_at_most_in_their_order_and_all_if_asked_for() -> None:
    model = dict.fromkeys(["windows", *reversed(FEW), "mse"], 1.5)
    naive = {"mae": 2000.0, "energy": 3.0}
    few = metric_rows([model, naive])
    assert [row[0] for row in few] == list(FEW)
    assert len(few) == 8
    assert few[1] == ["mae", "1.5", "2,000"]
    assert few[0] == ["mase", "1.5", ""]
    assert [row[0] for row in metric_rows([model, naive], every=True)] == [*model, "energy"]
    assert metric_rows([{"mae": 1.0}, {}]) == [["mae", "1", ""]]


def test_metrics_of_a_split_lose_its_name_only() -> None:
    metrics = {"val/mae": 1.0, "test/mae": 2.0, "test/coverage/90": 0.9, "train_seconds": 3.0}
    assert of_split(metrics, "test") == {"mae": 2.0, "coverage/90": 0.9}
    assert of_split(metrics, "val") == {"mae": 1.0}
