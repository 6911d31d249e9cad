"""The one sentence about an evaluation: what it claims, it can."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from forecaster.data.intervals import Interval
from forecaster.evaluation.accumulate import Accumulator, Truth, add_quantiles
from forecaster.evaluation.compare import compare
from forecaster.evaluation.metrics import QUANTILES
from forecaster.evaluation.score import WindowScores
from forecaster.reporting.verdict import (
    Held,
    Paired,
    Skill,
    held_by,
    judge,
    paired,
    repeating,
    skill_of,
    verdict,
)

WEEK = "repeating the last week"
LONG = np.array([10**6])
NAIVE = np.array([10.0, 12.0, 9.0, 11.0, 10.0, 8.0])


def pairs(
    losses: np.ndarray, baseline: np.ndarray = NAIVE, overlap: int = 1, series: int = 1
) -> Paired:
    return Paired(losses, baseline, overlap, series * len(losses), series)


def test_a_clear_gain_is_told_with_its_interval_and_the_coverage() -> None:
    losses = NAIVE - np.array([5.0, 6.0, 4.0, 5.0, 6.0, 4.0])
    found = compare("a", losses, "b", NAIVE, 1)
    assert verdict(pairs(losses), WEEK, Held(0.934, 6)) == (
        "On 6 past windows the forecasts were 50 % closer than repeating the last week "
        f"(95 % interval {found.low:.0f} to {found.high:.0f} %); 90 % intervals held 93 %."
    )
    assert round(found.percent) == 50


def test_a_clear_loss_is_told_in_capitals_and_from_the_other_side() -> None:
    losses = NAIVE + np.array([5.0, 6.0, 4.0, 5.0, 6.0, 4.0])
    found = compare("a", losses, "b", NAIVE, 1)
    assert verdict(pairs(losses, series=3), "repeating the last day") == (
        "From 6 past origins of 3 series THE FORECASTS WERE 50 % FURTHER OFF THAN REPEATING THE "
        f"LAST DAY (95 % interval {-found.high:.0f} to {-found.low:.0f} %)."
    )


@pytest.mark.parametrize(("sign", "side"), [(1, "closer"), (-1, "further off")])
def test_what_cannot_be_told_apart_is_not_called_better_or_worse(sign: int, side: str) -> None:
    losses = NAIVE - sign * np.array([3.0, -2.0, 1.0, -1.0, 2.0, -1.0])
    text = verdict(pairs(losses), "repeating the last year")
    assert "the forecasts cannot be told apart from repeating the last year" in text
    skill = skill_of(pairs(losses))
    low, high = (skill.low, skill.high) if sign > 0 else (-skill.high, -skill.low)
    assert f"(3 % {side}, 95 % interval {low:.0f} to {high:.0f} %)" in text
    assert skill.low < 0 < skill.high


def test_overlap_widens_the_interval_until_nothing_can_be_told() -> None:
    losses = NAIVE - np.array([2.0, 4.0, 1.0, 3.0, 2.0, 1.0])
    assert "% closer than" in verdict(pairs(losses), WEEK)
    assert "cannot be told apart" in verdict(pairs(losses, overlap=6), WEEK)


def test_nothing_is_closer_by_more_than_all() -> None:
    losses = NAIVE - np.array([9.0, 1.0, 8.0, 10.0, 2.0, 7.0])
    assert compare("a", losses, "b", NAIVE, 1).high > 100
    assert skill_of(pairs(losses)).high == 100
    assert " to 100 %)" in verdict(pairs(losses), WEEK)


def test_too_few_windows_are_said_and_have_no_skill() -> None:
    one, none = np.ones(1), np.ones(0)
    assert verdict(pairs(one, 2 * one), WEEK) == (
        "There is one past window only: too few to tell whether the forecasts are closer than "
        "repeating the last week."
    )
    several = verdict(pairs(one, 2 * one, series=3), WEEK)
    assert several.startswith("There is one past origin of 3 series only: too few to tell")
    assert verdict(pairs(none, none), WEEK).startswith("No past window has a value")
    assert skill_of(pairs(one, 2 * one, series=3)) == Skill(None, None, None, 3)
    assert skill_of(pairs(none, none)) == Skill(None, None, None, 0)


def test_a_baseline_without_an_error_is_lost_to_or_equalled() -> None:
    zero = np.zeros(3)
    assert verdict(pairs(zero + 1, zero), WEEK) == (
        "On 3 past windows THE FORECASTS WERE FURTHER OFF THAN REPEATING THE LAST WEEK, WHICH WAS "
        "EXACT."
    )
    assert skill_of(pairs(zero + 1, zero)) == Skill(None, None, None, 3)
    assert "cannot be told apart" in verdict(pairs(zero, zero), WEEK)
    assert skill_of(pairs(zero, zero)) == Skill(0, 0, 0, 3)
    assert skill_of(pairs(zero, zero + 1)) == Skill(100, 100, 100, 3)


def test_intervals_that_were_scored_on_other_windows_say_on_how_many() -> None:
    def end(windows: int) -> str:
        return verdict(pairs(NAIVE / 2, series=2), WEEK, Held(0.9, windows)).partition("; ")[2]

    assert end(12) == "90 % intervals held 90 %."
    assert end(6) == "90 % intervals held 90 % on 6 windows."
    assert end(1) == "90 % intervals held 90 % on 1 window."


def test_few_windows_that_do_not_overlap_are_no_proof_of_intervals() -> None:
    few = "(too few windows apart to count on it)"
    for apart, end in ((5, ""), (4, f" {few.replace('windows', 'origins')}")):
        held = Held(0.9, 12, None, apart)
        sentence = verdict(pairs(NAIVE / 2, series=2), WEEK, held)
        assert sentence.endswith(f"; 90 % intervals held 90 %{end}.")
    lost = verdict(pairs(NAIVE / 2), WEEK, Held(0.9, 6, 19.4, 1))
    assert f"held 90 % {few}, BUT THEIR CRPS" in lost
    for origins, horizon, apart in ((4, 1, 4), (12, 3, 4), (13, 3, 5), (1, 9, 1), (0, 9, 0)):
        errors = np.ones(origins)
        found = paired(errors, errors, np.zeros(origins, int), np.arange(origins, 0, -1), horizon)
        assert found.apart == apart


@pytest.mark.parametrize(("gain", "text"), [(0.004, "0.4 %"), (0.0003, "0.03 %"), (0.006, "1 %")])
def test_a_small_gain_is_not_told_as_none(gain: float, text: str) -> None:
    better = verdict(pairs(NAIVE * (1 - gain)), WEEK)
    assert f"were {text} closer than" in better
    assert f"WERE {text} FURTHER OFF" in verdict(pairs(NAIVE * (1 + gain)), WEEK)


@pytest.mark.parametrize(
    ("alias", "words"),
    [
        ("15min", "day"),
        ("h", "day"),
        ("D", "week"),
        ("B", "week"),
        ("W-MON", "year"),
        ("MS", "year"),
        ("QE-DEC", "year"),
        ("YE-DEC", "value"),
        ("7h", "value"),
        ("2D", "value"),
    ],
)
def test_the_season_has_a_name(alias: str, words: str) -> None:
    interval = Interval(alias)
    assert repeating(interval, interval.season, LONG, 1) == f"repeating the last {words}"


def test_the_baseline_is_what_was_found_in_the_file() -> None:
    assert repeating(Interval("h"), 168, LONG, 1) == "repeating the last week"
    assert repeating(Interval("MS"), 11, LONG, 1) == "repeating the last 11 steps"


@pytest.mark.parametrize(
    ("rows", "horizon", "words"),
    [
        ([12, 20], 4, "last year"),
        ([11, 20], 4, "last year where it is known"),
        ([6, 9], 4, "last year where it is known"),
        ([6, 8], 4, "last value"),
    ],
)
def test_a_season_that_the_history_lacks_is_not_claimed(
    rows: list[int], horizon: int, words: str
) -> None:
    """With 9 rows the last of 4 targets, the 13th, is a year after the first row; with 8 none is."""
    assert repeating(Interval("MS"), 12, np.array(rows), horizon) == f"repeating the {words}"


def scores(errors: list[float], absolute: list[float]) -> WindowScores:
    numbers = torch.arange(len(errors))
    both = (torch.tensor(each, dtype=torch.float64) for each in (errors, absolute))
    return WindowScores(Accumulator(), numbers, *both)


def test_windows_of_one_origin_are_averaged_and_the_oldest_comes_first() -> None:
    owners, ends = np.array([0, 0, 0, 1, 1, 1]), np.array([9, 6, 3, 9, 6, 3])
    errors = np.array([5.0, 6.0, 7.0, 9.0, 8.0, 1.0])
    naive = np.array([1.0, 2.0, 3.0, 3.0, 4.0, np.nan])
    found = paired(errors, naive, owners, ends, horizon=5)
    # where one of both is not known, neither counts
    assert found.losses.tolist() == [7.0, 7.0, 7.0]
    assert found.baseline.tolist() == [2.0, 3.0, 3.0]
    assert (found.overlap, found.series, found.windows) == (2, 2, 5)


def test_the_point_forecasts_errors_count_not_the_crps() -> None:
    """Half the baseline's at every origin; its CRPS would be a twentieth."""
    series = SimpleNamespace(values=np.zeros((9, 1)))
    problem = SimpleNamespace(
        table=SimpleNamespace(series=[series], interval=Interval("D")), season=7
    )
    windows = SimpleNamespace(owners=torch.zeros(2, dtype=int), rows=torch.tensor([7, 8]))
    windows.horizon = 1
    naive = scores([0.4, 0.4], [4.0, 8.0])
    found = judge(problem, windows, scores([0.2, 0.2], [2.0, 4.0]), naive, None)  # type: ignore[arg-type]
    assert found.skill.percent == 50


def test_every_origin_counts_and_overlaps_those_a_horizon_after_it() -> None:
    count = 2500
    errors = np.arange(count, dtype=float)
    ends = np.arange(2 * count, 0, -2)
    found = paired(errors, errors, np.zeros(count, int), ends, horizon=7)
    assert found.losses.tolist() == list(range(count))
    assert (found.overlap, found.windows) == (4, count)


def test_windows_without_a_value_are_not_counted() -> None:
    naive = np.array([1.0, np.nan, 3.0])
    found = paired(naive, naive, np.zeros(3, int), np.array([3, 2, 1]), horizon=2)
    assert found.losses.tolist() == [1.0, 3.0]
    assert found.windows == 2
    assert found.overlap == 1


def test_intervals_that_score_worse_than_those_of_seasonal_naive_are_told_in_capitals() -> None:
    sentence = verdict(pairs(NAIVE / 2), WEEK, Held(1.0, 6, 19.4))
    assert sentence.endswith(
        "; 90 % intervals held 100 %, BUT THEIR CRPS IS 19 % ABOVE THAT OF SEASONAL NAIVE."
    )


@pytest.mark.parametrize(("factor", "told"), [(0.5, False), (1.01, False), (2.0, True)])
def test_a_crps_that_is_clearly_above_is_told_and_no_other(factor: float, told: bool) -> None:
    """Of 30 windows, those of seasonal naive with an error that varies by more than 1 %.

    What counts are errors in standard deviations: those in the file's units say the opposite.
    """
    errors = 1 + np.random.default_rng(0).uniform(0, 0.5, 30)
    noise = np.random.default_rng(1).uniform(-0.1, 0.1, 30)
    series = SimpleNamespace(values=np.zeros((100, 1)))
    interval = Interval("D")
    problem = SimpleNamespace(table=SimpleNamespace(series=[series], interval=interval), season=7)
    windows = SimpleNamespace(owners=torch.zeros(30).long(), rows=torch.arange(60, 90), horizon=1)
    ours, theirs = (scores(each, each) for each in (factor * errors + noise, errors))
    for found, level in ((ours, 1 / factor), (theirs, 1.0)):
        truth = Truth(
            torch.zeros(1, 1, 1, dtype=torch.float64), torch.ones(1, 1, 1), torch.zeros(1).long()
        )
        found.totals.add_truth(truth)
        found.totals.add("crps", truth, torch.full((1, 1, 1), level, dtype=torch.float64))
        quantiles = torch.tensor(QUANTILES, dtype=torch.float64)[None, :, None, None]
        add_quantiles(found.totals, truth, quantiles - 0.5)
    text = judge(problem, windows, ours, theirs, (ours, theirs)).text  # type: ignore[arg-type]
    percent = 100 * (float((factor * errors + noise).mean() / errors.mean()) - 1)
    said = f", BUT THEIR CRPS IS {percent:.0f} % ABOVE THAT OF SEASONAL NAIVE."
    assert text.endswith(said) == told
    assert ("BUT" in text) == told


def test_only_samples_have_intervals() -> None:
    samples = scores([1.0, np.nan, 3.0], [1.0, np.nan, 3.0])
    assert held_by(samples) is None
    truth = Truth(
        torch.ones(1, 1, 1, dtype=torch.float64), torch.ones(1, 1, 1), torch.zeros(1).long()
    )
    samples.totals.add_truth(truth)
    quantiles = torch.tensor(QUANTILES, dtype=torch.float64)[None, :, None, None]
    add_quantiles(samples.totals, truth, quantiles + 0.5)
    assert held_by(samples) == Held(1.0, 2)
