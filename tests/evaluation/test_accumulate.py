"""Sums over windows: pooled, by lead time and by series, against GluonTS; what is missing and how
batches are cut.
"""

import numpy as np
import pytest
import scoringrules
import torch
from torch import Tensor

from forecaster.evaluation.accumulate import (
    Accumulator,
    Truth,
    add_pit_of_quantiles,
    add_point,
    add_quantiles,
    add_samples,
)
from forecaster.evaluation.metrics import LEVELS_9, LEVELS_19, QUANTILES
from forecaster.models.scoring_rules import quantiles_of_ranked

N, B, S, K, H = 2, 8, 30, 3, 5
SCALE = torch.tensor([[1.0, 2.0, 4.0], [0.5, 3.0, 1.0]], dtype=torch.float64)


def made(missing: float = 0.2) -> tuple[Truth, Tensor]:
    """Windows of two series, with samples around them; every fifth value is missing, and one
    window's first channel.
    """
    generator = torch.Generator().manual_seed(0)
    y = 3 + torch.randn(B, K, H, dtype=torch.float64, generator=generator)
    samples = 3 + torch.randn(B, S, K, H, dtype=torch.float64, generator=generator)
    mask = (torch.rand(B, K, H, generator=generator) >= missing).float()
    mask[1, 0] = 0 if missing else 1
    return Truth(y, mask, torch.arange(B) * N // B), samples


def summed(truth: Truth, samples: Tensor, batches: list[list[int]]) -> Accumulator:
    totals = Accumulator(N, SCALE)
    for rows in batches:
        part = Truth(truth.y[rows], truth.mask[rows], truth.series[rows])
        totals.add_truth(part)
        add_point(totals, part, samples[rows].mean(1))
        add_samples(totals, part, samples[rows], full=True)
    return totals


WHOLE = [list(range(B))]


def test_every_metric_is_that_of_gluonts() -> None:
    """GluonTS masks what is missing as numpy does."""
    from gluonts.ev import metrics as gluonts

    truth, samples = made()
    found = summed(truth, samples, WHOLE).pooled()
    label = np.ma.masked_array(truth.y.numpy(), truth.mask.numpy() == 0)
    levels = {str(q): np.quantile(samples.numpy(), q, axis=1, method="weibull") for q in QUANTILES}
    data = {"label": label, "seasonal_error": SCALE[truth.series].numpy()[..., None], **levels}
    data["mean"] = samples.mean(1).numpy()

    def theirs(metric) -> float:
        evaluator = metric(axis=None)
        evaluator.update(data)
        return float(evaluator.get())

    for name, metric in {
        "mse": gluonts.MSE(),
        "mae": gluonts.MAE("mean"),
        "rmse": gluonts.RMSE(),
        "mase": gluonts.MASE("mean"),
        "smape": gluonts.SMAPE("mean"),
        "nd": gluonts.ND("mean"),
        "wql": gluonts.MeanWeightedSumQuantileLoss(LEVELS_19),
        "wql_9": gluonts.MeanWeightedSumQuantileLoss(LEVELS_9),
    }.items():
        assert found[name] == pytest.approx(theirs(metric), rel=1e-9), name
    for percent, low, high in ((50, "0.25", "0.75"), (90, "0.05", "0.95")):
        inside = (data[low] <= label) & (label <= data[high])
        assert found[f"coverage/{percent}"] == pytest.approx(float(inside.mean()))
    assert found["wql"] != pytest.approx(found["wql_9"], rel=1e-6)


def test_scores_of_samples_are_those_of_scoringrules_over_what_is_observed() -> None:
    """Entry after entry, window after window; what is missing holds a value that would be seen
    anywhere.
    """
    truth, samples = made()
    truth = Truth(torch.where(truth.mask > 0, truth.y, 50.0), truth.mask, truth.series)
    totals = summed(truth, samples, WHOLE)
    found = totals.pooled()
    y, x, seen = truth.y.numpy(), samples.numpy(), truth.mask.numpy() > 0
    entries = [(y[b, k, h], x[b, :, k, h]) for b, k, h in zip(*np.nonzero(seen), strict=True)]
    crps = [scoringrules.crps_ensemble(value, drawn, estimator="fair") for value, drawn in entries]
    assert found["crps"] == pytest.approx(np.mean(crps), rel=1e-9)
    whole = [(b, h) for b in range(B) for h in range(H) if seen[b, :, h].all()]
    sums = [
        scoringrules.crps_ensemble(y[b, :, h].sum(), x[b, :, :, h].sum(1), estimator="fair")
        for b, h in whole
    ]
    assert found["crps_sum"] == pytest.approx(np.mean(sums), rel=1e-9)
    energy = []
    for b in range(B):
        paths = x[b][:, seen[b]]
        apart = np.linalg.norm(paths[:, None] - paths[None], axis=2).sum() / (2 * S * (S - 1))
        energy.append(np.linalg.norm(paths - y[b][seen[b]], axis=1).mean() - apart)
    assert found["energy"] == pytest.approx(np.mean(energy), rel=1e-9)
    pairs = [
        (abs(y[b, i, h] - y[b, j, h]) ** 0.5 - (abs(x[b, :, i, h] - x[b, :, j, h]) ** 0.5).mean())
        ** 2
        for b in range(B)
        for h in range(H)
        for i in range(K)
        for j in range(i + 1, K)
        if seen[b, i, h] and seen[b, j, h]
    ]
    assert found["variogram"] == pytest.approx(np.mean(pairs), rel=1e-9)
    for percent in (50, 80, 90, 95):
        tails = [
            np.quantile(drawn, (0.5 - percent / 200, 0.5 + percent / 200), method="weibull")
            for _, drawn in entries
        ]
        inside = [
            low <= value <= high for (value, _), (low, high) in zip(entries, tails, strict=True)
        ]
        scores = [
            scoringrules.interval_score(value, low, high, 1 - percent / 100)
            for (value, _), (low, high) in zip(entries, tails, strict=True)
        ]
        assert found[f"coverage/{percent}"] == pytest.approx(np.mean(inside), rel=1e-9)
        assert found[f"width/{percent}"] == pytest.approx(
            np.mean([high - low for low, high in tails]), rel=1e-9
        )
        assert found[f"interval/{percent}"] == pytest.approx(np.mean(scores), rel=1e-9)
    below = [int((drawn < value).sum()) for value, drawn in entries]
    assert totals.histogram("rank") == pytest.approx(
        np.bincount(below, minlength=S + 1) / len(entries)
    )
    assert float(totals.sums["pit"].sum()) == pytest.approx(len(entries))


def test_sum_over_channels_is_scored_where_all_are_observed() -> None:
    from gluonts.ev import metrics as gluonts

    truth, samples = made()
    found = summed(truth, samples, WHOLE).pooled()
    label = np.ma.masked_array(truth.y.sum(1).numpy(), truth.mask.numpy().min(axis=1) == 0)
    sums = samples.sum(2).numpy()
    evaluator = gluonts.MeanWeightedSumQuantileLoss(LEVELS_19)(axis=None)
    evaluator.update(
        {
            "label": label,
            **{str(q): np.quantile(sums, q, axis=1, method="weibull") for q in LEVELS_19},
        }
    )
    assert found["wql_sum"] == pytest.approx(float(evaluator.get()), rel=1e-9)


def test_point_metrics_are_those_of_torchmetrics() -> None:
    import torchmetrics.functional.regression as theirs

    truth, samples = made()
    found, observed = summed(truth, samples, WHOLE).pooled(), truth.mask > 0
    forecast, y = samples.mean(1)[observed], truth.y[observed]
    assert found["mse"] == pytest.approx(float(theirs.mean_squared_error(forecast, y)))
    assert found["mae"] == pytest.approx(float(theirs.mean_absolute_error(forecast, y)))
    assert found["smape"] == pytest.approx(
        float(theirs.symmetric_mean_absolute_percentage_error(forecast, y))
    )


def test_batches_change_nothing() -> None:
    truth, samples = made()
    one = summed(truth, samples, WHOLE)
    for batches in ([[i] for i in range(B)], [[5, 6, 7], [0, 1], [4, 2, 3]]):
        other = summed(truth, samples, batches)
        assert other.pooled() == pytest.approx(one.pooled(), rel=1e-12)
        for found, wanted in (
            (other.by_lead(), one.by_lead()),
            (other.by_series(), one.by_series()),
        ):
            assert found.keys() == wanted.keys()
            for name in wanted:
                assert found[name] == pytest.approx(wanted[name], rel=1e-12, nan_ok=True)
        assert other.histogram("pit") == pytest.approx(one.histogram("pit"))
        assert other.histogram("rank") == pytest.approx(one.histogram("rank"))


def test_one_series_is_summed_as_one_of_several_is() -> None:
    truth, samples = made()
    whole = Truth(truth.y, truth.mask, torch.zeros(B, dtype=torch.long))
    found = []
    for totals in (Accumulator(), Accumulator(N)):  # the second of two has no windows
        totals.add_truth(whole)
        add_point(totals, whole, samples.mean(1))
        add_samples(totals, whole, samples, full=True)
        found.append(totals)
    one, two = found
    assert one.pooled() == pytest.approx(two.pooled(), rel=1e-12)
    for name, sums in one.sums.items():
        torch.testing.assert_close(sums, two.sums[name][:1], rtol=1e-12, atol=0)
        assert not two.sums[name][1:].any()
    assert "mase" not in one.pooled()
    assert len(one.histogram("pit")) == 20


def test_what_is_missing_changes_nothing() -> None:
    truth, samples = made()
    results = []
    for filler in (0.0, 1e6):
        seen = Truth(torch.where(truth.mask > 0, truth.y, filler), truth.mask, truth.series)
        totals = summed(seen, samples, WHOLE)
        results.append(
            (totals.pooled(), totals.by_lead(), totals.by_series(), totals.histogram("rank"))
        )
    assert str(results[0]) == str(results[1])  # nan, too


def test_lead_times_and_series_are_the_pooled_metrics_of_their_part() -> None:
    truth, samples = made()
    whole = summed(truth, samples, WHOLE)
    by_lead, by_series = whole.by_lead(), whole.by_series()
    known, of_sums = set(whole.pooled()), {"crps_sum", "wql_sum", "variogram"}
    assert set(by_lead) == known - {"energy"}
    assert set(by_series) == known - {"energy"} - of_sums
    for h in range(H):
        part = Truth(truth.y[..., [h]], truth.mask[..., [h]], truth.series)
        alone = summed(part, samples[..., [h]], WHOLE).pooled()
        for name in by_lead:
            assert by_lead[name][h] == pytest.approx(alone[name], rel=1e-12), name
    for n in range(N):
        for k in range(K):
            rows = [b for b in range(B) if truth.series[b] == n]
            part = Truth(truth.y[:, [k]], truth.mask[:, [k]], truth.series)
            totals = Accumulator(N, SCALE[:, [k]])
            one = Truth(part.y[rows], part.mask[rows], part.series[rows])
            totals.add_truth(one)
            add_point(totals, one, samples[rows][:, :, [k]].mean(1))
            add_samples(totals, one, samples[rows][:, :, [k]])
            alone = totals.pooled()
            for name in by_series:
                assert by_series[name][n * K + k] == pytest.approx(alone[name], rel=1e-12), name


def test_a_series_that_never_moved_has_no_part_in_mase() -> None:
    truth, samples = made(missing=0)
    scale = SCALE.clone()
    scale[1], scale[0, 1] = torch.nan, 0.0
    totals = Accumulator(N, scale)
    totals.add_truth(truth)
    add_point(totals, truth, samples.mean(1))
    errors = (samples.mean(1) - truth.y).abs()[truth.series == 0]
    expected = (errors[:, 0] / scale[0, 0] + errors[:, 2] / scale[0, 2]).mean() / 2
    assert totals.pooled()["mase"] == pytest.approx(float(expected))


def scored(y: Tensor, samples: Tensor, full: bool = False) -> Accumulator:
    """Everything observed, one series."""
    truth = Truth(y, torch.ones_like(y), torch.zeros(len(y), dtype=torch.long))
    totals = Accumulator()
    totals.add_truth(truth)
    add_point(totals, truth, samples.mean(1))
    add_samples(totals, truth, samples, full)
    return totals


def test_a_world_upside_down_has_the_same_scores() -> None:
    truth, samples = made(missing=0)
    plain, turned = (scored(sign * truth.y, sign * samples).pooled() for sign in (1, -1))
    assert turned == pytest.approx(plain, rel=1e-9)


def test_one_small_value_is_enough() -> None:
    """|0.2 − 0.3| over |0.2|; the symmetric error is 2·0.1/0.5."""
    y, samples = torch.full((1, 1, 1), 0.2), torch.tensor([0.28, 0.32]).view(1, 2, 1, 1)
    found = scored(y.double(), samples.double()).pooled()
    for name, value in {"mae": 0.1, "nd": 0.5, "smape": 0.4, "mse": 0.01, "rmse": 0.1}.items():
        assert found[name] == pytest.approx(value, rel=1e-6), name
    assert found["crps"] == pytest.approx(0.1 - 0.04 / 2, rel=1e-5)


def test_no_error_is_a_share_of_nothing() -> None:
    zeros, samples = torch.zeros(2, 1, 3).double(), torch.randn(2, 5, 1, 3).double()
    found = scored(zeros, samples).pooled()
    assert not {"nd", "wql", "wql_9", "wql_sum"} & set(found)
    assert found["mae"] > 0


def test_mase_needs_point_forecasts_and_seasonal_errors() -> None:
    truth, samples = made()
    totals = Accumulator(N, SCALE)
    totals.add_truth(truth)
    add_samples(totals, truth, samples)
    assert not {"mase", "mae"} & set(totals.pooled())
    assert "mase" not in scored(truth.y, samples).pooled()
    assert not {"pit", "rank", "variogram"} & set(totals.sums)  # unless they are asked for


def test_pairs_of_channels_need_two_of_them() -> None:
    truth, samples = made(missing=0)
    for channels, there in ((1, False), (2, True), (3, True)):
        totals = scored(truth.y[:, :channels], samples[:, :, :channels], full=True)
        assert ("variogram" in totals.by_lead()) == there


def test_the_ends_of_an_interval_are_inside() -> None:
    """A dry day in an interval that begins at 0; and the other end."""
    y = torch.tensor([0.0, 1.0, -0.1, 1.1], dtype=torch.float64).view(1, 1, 4)
    rising = torch.linspace(0, 1, len(QUANTILES), dtype=torch.float64).view(1, -1, 1, 1)
    constant = rising.clamp(0.2, 0.8).sub(0.2).div(0.6).round().expand(1, -1, 1, 4)
    truth, totals = Truth(y, torch.ones_like(y), torch.zeros(1, dtype=torch.long)), Accumulator()
    totals.add_truth(truth)
    add_quantiles(totals, truth, constant.contiguous())  # 0 below the middle, 1 above it
    assert totals.pooled()["coverage/50"] == 0.5
    assert totals.pooled()["coverage/95"] == 0.5


def test_pit_of_the_true_quantiles_is_even_over_what_is_observed() -> None:
    uniform = torch.tensor(QUANTILES, dtype=torch.float64).view(1, -1, 1, 1).expand(1, -1, 2, 1000)
    y = ((torch.arange(1000, dtype=torch.float64) + 0.5) / 1000).expand(1, 2, -1)
    mask = torch.ones_like(y)
    mask[:, 1, :500] = 0  # so that the upper half has two entries where the lower has one
    truth, totals = Truth(y, mask, torch.zeros(1, dtype=torch.long)), Accumulator()
    add_pit_of_quantiles(totals, truth, uniform.contiguous())
    expected = [1 / 30] * 10 + [2 / 30] * 10
    assert totals.histogram("pit") == pytest.approx(expected, abs=2e-3)


def test_coverage_and_width_of_known_intervals() -> None:
    uniform = torch.tensor(QUANTILES, dtype=torch.float64).view(1, -1, 1, 1).expand(1, -1, 1, 1000)
    y = ((torch.arange(1000, dtype=torch.float64) + 0.5) / 1000).view(1, 1, -1)
    truth, totals = Truth(y, torch.ones_like(y), torch.zeros(1, dtype=torch.long)), Accumulator()
    totals.add_truth(truth)
    add_quantiles(totals, truth, uniform.contiguous())
    found = totals.pooled()
    for percent in (50, 80, 90, 95):
        alpha = 1 - percent / 100
        assert found[f"coverage/{percent}"] == pytest.approx(percent / 100, abs=2e-3)
        assert found[f"width/{percent}"] == pytest.approx(percent / 100)
        # outside lies α/2 on either side, α/4 away on average: (2/α)·2·(α/2)·(α/4) = α/2
        assert found[f"interval/{percent}"] == pytest.approx(percent / 100 + alpha / 2, abs=1e-3)


def test_nothing_observed_gives_no_metric() -> None:
    truth, samples = made()
    nothing = Truth(truth.y, torch.zeros_like(truth.mask), truth.series)
    assert summed(nothing, samples, WHOLE).pooled() == {}
    assert quantiles_of_ranked(samples.sort(dim=1).values, [0.5]).shape == (B, 1, K, H)


def test_series_without_windows_cost_nothing_and_have_no_metrics() -> None:
    """Windows of two of 1000 series: the sums of these two, under their numbers."""
    truth, samples = made()
    many = Truth(truth.y, truth.mask, truth.series * 500 + 7)
    scale = torch.rand(1000, K, dtype=torch.float64) + 1
    few, all_of_them = Accumulator(1000, scale, many.series.unique()), Accumulator(1000, scale)
    for totals in (few, all_of_them):
        totals.add_truth(many)
        add_point(totals, many, samples.mean(1))
    assert {len(sums) for sums in few.sums.values()} == {len(many.series.unique())}
    assert few.pooled() == pytest.approx(all_of_them.pooled(), rel=1e-12)
    for name, values in all_of_them.by_series().items():
        assert few.by_series()[name] == pytest.approx(values, rel=1e-12, nan_ok=True)
