"""The share done and the time left of a work, at given times."""

import pytest
from training.test_limit import Clock

from forecaster.training.limit import Limit
from forecaster.training.plan import Part, Plan


@pytest.fixture
def clock() -> Clock:
    return Clock()


def trainings() -> list[Part]:
    """Two of 100 and 50 steps, a scoring that takes no longer, and a refit that does not, either."""
    return [
        Part("prior", 100, 10),
        Part("model", 50, 5),
        Part("scoring"),
        Part("saving", expected=1.0),
    ]


def test_time_left_follows_the_measured_pace_of_each_part(clock: Clock) -> None:
    plan = Plan(trainings(), clock=clock)
    assert plan.left() is None
    plan.start("prior", 100, 10)
    clock.now += 10
    plan.advance(20)  # 2 steps a second, at which the model is expected to go, too
    trained = 40 + 25
    assert plan.left() == pytest.approx(trained + (10 + trained) + 1)
    assert plan.share() == pytest.approx(10 / (10 + 65 + 75 + 1))
    plan.end()  # stopped early: nothing of the other 80 steps is left
    plan.start("model", 50, 5)
    clock.now += 10
    plan.advance(5)  # half a step a second
    assert plan.left() == pytest.approx(90 + (10 + 10 + 90) + 1)
    clock.now += 90
    plan.advance(50)
    plan.start("scoring", 11)
    clock.now += 3
    plan.advance(1)
    assert plan.left() == pytest.approx(30 + 1)


def test_the_share_does_not_fall_and_is_not_whole_before_the_end(clock: Clock) -> None:
    plan = Plan([Part("a", 10, 1), Part("b", 10, 1)], clock=clock)
    plan.start("a", 10, 1)
    clock.now += 1
    plan.advance(10)
    assert plan.share() == pytest.approx(0.5)
    plan.start("b", 10, 1)
    clock.now += 9
    plan.advance(1)  # ten times slower
    assert plan.share() == pytest.approx(0.5)
    clock.now += 80
    plan.advance(9)
    assert plan.share() == pytest.approx(90 / (90 + 89 / 9))
    plan.end()  # nothing is left, as far as is known
    assert plan.share() == pytest.approx(90 / (90 + 89 / 9))
    plan.add([Part("c", expected=10.0)])
    assert plan.share() == pytest.approx(90 / (90 + 89 / 9))


def test_a_resumed_part_is_measured_by_the_steps_of_this_process(clock: Clock) -> None:
    plan = Plan(trainings()[:2], clock=clock)
    plan.skip("prior")
    plan.start("model", 50, 5, done=30)
    assert plan.left() is None
    clock.now += 5
    plan.advance(40)
    assert plan.left() == pytest.approx(5)


def test_parts_that_were_not_planned_come_before_those_that_are_not_begun(clock: Clock) -> None:
    plan = Plan(trainings(), clock=clock)
    plan.start("prior", 100, 10)
    plan.add([Part("model", 7), Part("more", 3)])
    assert [part.title for part in plan.parts] == ["prior", "more", "model", "scoring", "saving"]
    assert plan.parts[2].units == 50


def test_no_more_is_left_than_the_limit_leaves(clock: Clock) -> None:
    plan = Plan(trainings(), Limit(60, clock.now + 60, clock), clock)
    assert plan.left() == 60
    plan.start("prior", 100, 10)
    clock.now += 10
    plan.advance(1)
    assert plan.left() == 50
    clock.now += 55
    assert plan.left() == 0


def test_words_name_part_epoch_share_and_time(clock: Clock) -> None:
    plan = Plan(trainings()[:2], clock=clock)
    plan.start("prior", 100, 10)
    assert plan.words() == "prior: 0 % done"
    clock.now += 10
    plan.advance(20, "epoch 3 of 10, validation 0.41000")
    assert plan.words() == (
        "prior, epoch 3 of 10, validation 0.41000: 13 % done, at most 65 s left"
    )
    plan.end()
    assert plan.words() == ": 28 % done, at most 25 s left"
