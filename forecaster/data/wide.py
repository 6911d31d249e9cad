"""Wide tables: how few of their windows are enough, as each of them holds many values."""

from collections.abc import Collection
from typing import Any

from forecaster.config.schema import TrainerConfig

# the channels up to which a table is not wide
WIDE = 32
# the most channels in the windows of a batch, and in the validation windows of an epoch
_BATCH, _VALIDATION = 2**11, 2**14
# of more channels than the first a batch needs no more windows than the second: on Weather's 21 the
# priors of S²DBM reach with 24 windows the validation errors that they have with 64
_SEVERAL, _ENOUGH = 20, 24
# the settings that are changed
SETTINGS = ("trainer.batch_size", "trainer.validation_windows")
# the fewest of these windows: values of one window go together
_LEAST_BATCH, _LEAST_VALIDATION = 8, 32


def of_a_wide_table(count: int, channels: int, least: int) -> int:
    """The windows that stand for ``count`` ones: of more than 32 channels fewer, ``least`` or more.

    They hold as many values as ``count`` windows of 32 channels.
    """
    return min(count, max(count * WIDE // max(channels, WIDE), least))


def trainer_for(
    trainer: TrainerConfig,
    channels: int,
    training: int,
    validation: int,
    asked: Collection[str] = (),
) -> TrainerConfig:
    """The settings for a table of so many channels, and training and validation windows.

    Of more than 20 channels a batch has fewer windows, an epoch the batches that it would have; of
    more than 32 fewer windows are validated after it. Keys that were ``asked`` for
    (``trainer.batch_size``) are left. It changes nothing if it is done again.
    """
    if channels <= _SEVERAL:
        return trainer
    changed: dict[str, Any] = {}
    batch = min(trainer.batch_size, _ENOUGH, max(_BATCH // channels, _LEAST_BATCH))
    if batch < trainer.batch_size and SETTINGS[0] not in asked:
        changed["batch_size"] = batch
        for key in ("epoch_batches", "stage_batches"):
            if getattr(trainer, key) is None:
                changed[key] = max(-(-training // trainer.batch_size), 1)
    before = validation if trainer.validation_windows is None else trainer.validation_windows
    validated = min(before, max(_VALIDATION // channels, _LEAST_VALIDATION))
    fewer = channels > WIDE and validated < min(before, validation)
    if fewer and SETTINGS[1] not in asked:
        changed["validation_windows"] = validated
    return trainer.model_copy(update=changed)


def in_words(before: TrainerConfig, now: TrainerConfig, channels: int, validation: int) -> str:
    """What ``trainer_for`` changed, and how to undo that; empty if nothing."""
    changed, kept = [], []
    if now.batch_size != before.batch_size:
        changed.append(f"batches of {now.batch_size} windows, not {before.batch_size}")
        kept.append(f"--set trainer.batch_size={before.batch_size}")
    if now.validation_windows != before.validation_windows:
        count = validation if before.validation_windows is None else before.validation_windows
        changed.append(f"{now.validation_windows} validation windows an epoch, not {count}")
        kept.append(f"--set trainer.validation_windows={count}")
    if not changed:
        return ""
    joined = ", and ".join(changed)
    return f"{joined}: each has {channels} columns; {' '.join(kept)} keeps them"
