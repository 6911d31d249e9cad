"""Figures as people write them, and the few that tell most."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from forecaster.config.schema import Columns
from forecaster.data.tables import read_table
from forecaster.evaluation.accumulate import Accumulator, Truth
from forecaster.reporting.summary import FEW, coverage_by_series, figure, metric_rows, of_split


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


def test_coverage_is_told_by_series_from_the_worst_to_the_best(tmp_path: Path) -> None:
    """Three series, of whose 10 values the intervals hold 8, 10 and 9; one of a single one."""
    days = pd.date_range("2024-01-01", periods=10)
    frame = pd.DataFrame({"day": days, "a": range(10), "b": range(10), "c": range(10)})
    frame.to_csv(tmp_path / "three.csv", index=False)
    table = read_table(tmp_path / "three.csv", Columns())
    totals = Accumulator(1)
    truth = Truth(torch.zeros(1, 3, 10).double(), torch.ones(1, 3, 10), torch.zeros(1).long())
    totals.add_truth(truth)
    assert coverage_by_series(table, totals) is None  # no intervals
    held = torch.arange(10) < torch.tensor([8, 10, 9])[:, None]
    totals.add("coverage/90", truth, held[None].double())
    found = coverage_by_series(table, totals)
    assert found == "90 % intervals by series: 80 % (a) to 100 % (b), median 90 %"
    truth = Truth(truth.y, (torch.arange(3) == 1)[:, None].expand(1, 3, 10).float(), truth.series)
    alone = Accumulator(1)
    alone.add_truth(truth)
    alone.add("coverage/90", truth, held[None] * truth.mask.double())
    assert coverage_by_series(table, alone) is None
