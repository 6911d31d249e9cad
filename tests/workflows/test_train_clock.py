"""A limit of time is shared out by rule, and bounds what is scored."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import SAMPLE
from training.test_limit import Clock as Watch

from forecaster.config.load import find_config, load_config
from forecaster.data.problem import load_problem
from forecaster.training.fit import new_model
from forecaster.training.limit import Limit
from forecaster.workflows import train_bounds
from forecaster.workflows.train import _rest
from forecaster.workflows.train_bounds import Budget, selected
from forecaster.workflows.train_clock import Clock
from forecaster.workflows.train_job import Job


@pytest.fixture
def watch() -> Watch:
    return Watch()


def limited(watch: Watch, seconds: float, refits: bool = False) -> Clock:
    return Clock(Limit(seconds, watch.now + seconds, watch), refits)


def test_training_scoring_and_refit_have_their_shares(watch: Watch) -> None:
    """Of 100 s, 5 are for saving."""
    clock = limited(watch, 100)
    training = clock.training()
    assert training is not None
    assert training.left() == pytest.approx(95 * 4 / 5)
    watch.now += 76
    assert clock.scoring(76).seconds == pytest.approx(19)
    clock, start = limited(watch, 100, refits=True), watch.now
    training = clock.training()
    assert training is not None
    assert training.left() == pytest.approx(95 * 4 / 11)
    watch.now = start + 25
    assert clock.scoring(300).seconds == pytest.approx(70 / 7)
    watch.now = start + 47.5
    refit = clock.refit()
    assert refit is not None
    assert refit.left() == refit.share(1 / 2).left() == pytest.approx(47.5)


def test_what_is_not_used_goes_to_the_later_ones_and_nobody_gets_less_than_nothing(
    watch: Watch,
) -> None:
    clock = limited(watch, 10)  # 2.5 s for saving, 4 would be more than a quarter
    training = clock.training()
    assert training is not None
    assert training.left() == pytest.approx(7.5 * 4 / 5)
    watch.now += 1
    assert clock.scoring(1, whole=True).seconds == pytest.approx(6.5)
    watch.now += 60
    assert clock.scoring(61).seconds == 0
    training = clock.training()
    assert training is not None
    assert training.left() == 0
    assert clock.forecasting(61) == 2.5


def test_without_a_limit_scoring_takes_as_long_as_the_training_ten_seconds_at_least() -> None:
    clock = Clock()
    assert clock.training() is None
    assert clock.scoring(3) == Budget(7.5, "as scoring takes no longer than the training did")
    assert clock.forecasting(3) == 2.5
    assert clock.scoring(300).seconds + clock.forecasting(300) == 300
    assert clock.scoring(3, whole=True).seconds == math.inf


def test_a_generous_limit_leaves_scoring_to_its_usual_bound(watch: Watch) -> None:
    budget = limited(watch, 3600).scoring(60)
    assert (budget.seconds, budget.remedy) == (45, None)
    tight = limited(watch, 30).scoring(60)
    assert tight.reason == "as the time limit of 30 s left no time for more"
    assert tight.remedy == "a longer --time-limit scores more"


def test_a_limit_that_suspends_is_not_shared_out(watch: Watch) -> None:
    suspending = Limit(100, watch.now + 100, watch, suspends=True)
    clock = Clock(suspending, refits=True)
    assert clock.training() is suspending
    assert clock.refit() == replace(suspending, whole=True)
    assert clock.scoring(50).seconds == 37.5


def test_a_resumed_training_goes_on_with_what_is_left(tmp_path: Path) -> None:
    job = Job(
        config={},
        digest="",
        experiment="e",
        run_name=None,
        run_id="r",
        output=None,
        time_limit=60.0,
    )
    (tmp_path / "seconds").write_text("45.5")
    limit = _rest(job, tmp_path)
    assert limit is not None
    assert 14.0 < limit.left() <= 14.5
    assert limit.seconds == 60
    assert _rest(job.model_copy(update={"time_limit": None}), tmp_path) is None


SETTINGS = [
    f"data.csv={SAMPLE}",
    "data.horizon=7",
    "data.lookback=14",
    "data.target=[wind]",
    "trainer.score_samples=40",
    "trainer.score_windows=1000",
]


def slowly(monkeypatch: pytest.MonkeyPatch, point: float, sample: float) -> Watch:
    """A scoring that takes so many seconds a point forecast and a sample by its clock."""
    watch = Watch()

    def score(model, problem, windows, scoring) -> None:
        each = point if scoring.mode == "point" else sample * scoring.samples
        watch.now += scoring.limit * each

    monkeypatch.setattr(train_bounds, "score_windows", score)
    return watch


@pytest.mark.parametrize(
    ("point", "sample", "asked", "found", "note"),
    [
        (0.001, 0.00001, (), (None, 1000, 40), None),
        # all point forecasts take 0.6 s, 32 windows of each split 6.4
        (
            0.001,
            0.0025,
            (),
            (None, 32, 40),
            "scored 32 of 286 windows with samples, as it is; --set trainer.score_windows=286 "
            "scores all",
        ),
        # 2 · 4 windows leave 5 s for 50 samples of 0.1 s: for fewer than the fewest
        (
            1.0,
            0.1,
            (),
            (4, 4, 10),
            "scored 4 of 286 windows with the point forecast and 4 of 286 windows with samples and "
            "10 of 40 samples of a window, as it is; --set trainer.point_windows=286 "
            "--set trainer.score_windows=286 --set trainer.score_samples=40 scores all",
        ),
        (
            1.0,
            0.02,
            ("trainer.point_windows",),
            (None, 4, 40),
            "scored 4 of 286 windows with samples, as it is; --set trainer.score_windows=286 "
            "scores all",
        ),
        (
            0.001,
            0.05,
            (),
            (None, 4, 23),
            "scored 4 of 286 windows with samples and 23 of 40 samples of a window, as it is; "
            "--set trainer.score_windows=286 --set trainer.score_samples=40 scores all",
        ),
        (9.0, 9.0, train_bounds.SETTINGS, (None, 1000, 40), None),
    ],
)
def test_what_would_take_longer_is_not_scored(
    monkeypatch: pytest.MonkeyPatch,
    point: float,
    sample: float,
    asked: tuple[str, ...],
    found: tuple[int | None, int | None, int],
    note: str | None,
) -> None:
    """140 windows of validation, 286 of test, 10 seconds; each sample costs the same."""
    config = load_config(find_config("residual-bootstrap"), SETTINGS)
    problem = load_problem(config.data)
    model = new_model(config, problem)
    counts = [problem.count_windows(part) for part in ("validation", "test")]
    assert counts == [140, 286]
    watch = slowly(monkeypatch, point, sample)
    chosen = selected(model, problem, config.trainer, asked, Budget(10.0, "as it is"), False, watch)
    numbers = chosen.settings
    assert (numbers.point_windows, numbers.score_windows, numbers.score_samples) == found
    assert chosen.note == note
    if note:
        limited = Budget(10.0, "as it is", "try it")
        chosen = selected(model, problem, config.trainer, asked, limited, False, watch)
        assert chosen.note == note.partition(";")[0] + "; try it"


@pytest.mark.parametrize(
    ("preset", "key", "text"),
    [
        ("quantile-linear", "point_windows", "windows with the point forecast"),
        ("csdi", "score_windows", "windows with samples and 10 of 40 samples of a window"),
    ],
)
def test_one_pass_is_bounded_where_one_gives_both_forecasts(
    monkeypatch: pytest.MonkeyPatch, preset: str, key: str, text: str
) -> None:
    """Quantiles, and the median of samples."""
    config = load_config(find_config(preset), SETTINGS)
    problem = load_problem(config.data)
    watch = slowly(monkeypatch, 1.0, 1.0)
    budget = Budget(10.0, "as it is", "try it")
    settings = config.trainer
    chosen = selected(new_model(config, problem), problem, settings, (), budget, False, watch)
    assert getattr(chosen.settings, key) == 4
    others = {"point_windows", "score_windows"} - {key}
    assert all(getattr(chosen.settings, o) == getattr(settings, o) for o in others)
    assert chosen.note == f"scored 4 of 286 {text}, as it is; try it"


def test_samples_are_fewer_where_the_windows_are_as_few_as_they_may_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = load_config(find_config("residual-bootstrap"), [*SETTINGS, "trainer.score_windows=2"])
    problem = load_problem(config.data)
    watch = slowly(monkeypatch, 0.0, 0.099)  # 4 windows of 40 samples: 16 s
    budget = Budget(10.0, "as it is")
    found = selected(new_model(config, problem), problem, config.trainer, (), budget, False, watch)
    assert (found.settings.score_windows, found.settings.score_samples) == (2, 25)
    assert found.note == (
        "scored 25 of 40 samples of a window, as it is; --set trainer.score_samples=40 scores all"
    )


def test_the_errors_of_a_refit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """140 + 286 + 140 windows take 8.5 s, and those of the refit 6.4 more."""
    config = load_config(find_config("nlinear"), SETTINGS)
    problem = load_problem(config.data)
    model = new_model(config, problem)
    budget = Budget(10.0, "as it is")
    for refits, most in ((False, None), (True, 128)):
        watch = slowly(monkeypatch, 0.015, 0.0)
        found = selected(model, problem, config.trainer, (), budget, refits, watch)
        assert found.settings.point_windows == most
