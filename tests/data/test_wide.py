"""Wide tables: fewer windows, which hold as many values; nothing changes of a narrow table."""

import pytest

from forecaster.config.schema import TrainerConfig
from forecaster.data.wide import in_words, of_a_wide_table, trainer_for

SET = TrainerConfig(batch_size=64, validation_windows=256, epoch_batches=100, stage_batches=100)


@pytest.mark.parametrize("channels", [1, 7, 20])
def test_a_narrow_table_is_as_it_was(channels: int) -> None:
    assert of_a_wide_table(2048, channels, 1) == 2048
    for trainer in (SET, TrainerConfig()):
        assert trainer_for(trainer, channels, 17_817, 2553) == trainer


def test_windows_of_a_wide_table_hold_as_many_values_as_those_of_32_channels() -> None:
    assert of_a_wide_table(2048, 64, 1) == 1024
    assert of_a_wide_table(2048, 320, 1) == 204
    assert of_a_wide_table(2048, 862, 100) == 100
    assert of_a_wide_table(50, 862, 100) == 50  # there are no more


@pytest.mark.parametrize("channels", [21, 32])
def test_twenty_four_windows_of_several_columns_are_a_batch(channels: int) -> None:
    assert of_a_wide_table(2048, channels, 1) == 2048
    found = trainer_for(SET, channels, 17_817, 2553)
    assert found == SET.model_copy(update={"batch_size": 24})
    every = trainer_for(TrainerConfig(batch_size=32), channels, 17_817, 2553)
    assert (every.batch_size, every.epoch_batches, every.validation_windows) == (24, 557, None)
    assert trainer_for(TrainerConfig(batch_size=24), channels, 17_817, 2553).batch_size == 24


def test_batches_and_validation_of_a_wide_table() -> None:
    assert [trainer_for(SET, n, 17_817, 2553).batch_size for n in (33, 85, 86)] == [24, 24, 23]
    narrowed = trainer_for(SET, 128, 17_817, 2553)
    assert (narrowed.batch_size, narrowed.validation_windows) == (16, 128)
    assert narrowed.epoch_batches == narrowed.stage_batches == 100
    wider = trainer_for(SET, 862, 17_817, 2553)
    assert (wider.batch_size, wider.validation_windows) == (8, 32)


def test_an_epoch_of_all_windows_keeps_its_number_of_batches() -> None:
    """So it takes as many steps to learn as with whole batches, each with fewer windows."""
    found = trainer_for(TrainerConfig(batch_size=32), 321, 17_817, 2553)
    assert found.epoch_batches == found.stage_batches == 557  # 17,817 windows in batches of 32
    assert (found.batch_size, found.validation_windows) == (8, 51)


def test_a_setting_that_is_asked_for_stays() -> None:
    asked = ("trainer.batch_size", "trainer.validation_windows")
    assert trainer_for(SET, 862, 17_817, 2553, asked) == SET
    only = trainer_for(TrainerConfig(), 862, 17_817, 2553, asked[:1])
    assert (only.batch_size, only.validation_windows, only.epoch_batches) == (32, 32, None)


def test_a_second_time_changes_nothing() -> None:
    """A saved model's configuration is trained again."""
    for trainer in (SET, TrainerConfig()):
        once = trainer_for(trainer, 100, 17_817, 2553)
        assert once != trainer
        assert trainer_for(once, 100, 20_000, 2553) == once


def test_few_windows_are_validated_as_before() -> None:
    assert trainer_for(TrainerConfig(batch_size=8), 100, 50, 20) == TrainerConfig(batch_size=8)
    small = trainer_for(TrainerConfig(batch_size=24), 40, 50, 20)
    assert small == TrainerConfig(batch_size=24)


def test_the_change_is_told_with_its_remedy() -> None:
    before, now = TrainerConfig(), trainer_for(TrainerConfig(), 321, 17_817, 2553)
    assert in_words(before, now, 321, 2553) == (
        "batches of 8 windows, not 32, and 51 validation windows an epoch, not 2553: each has 321 "
        "columns; --set trainer.batch_size=32 --set trainer.validation_windows=2553 keeps them"
    )
    assert in_words(before, before, 4, 2553) == ""
