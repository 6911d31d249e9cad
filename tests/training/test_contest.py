"""The score of a model that contests with itself without what it has learnt, channel by channel."""

import pytest
import torch
from lightning.pytorch import Trainer

from forecaster.config.schema import TrainerConfig
from forecaster.models.base import Forecaster
from forecaster.training.stages import Training


class Contesting(Forecaster):
    """A model whose contests are the batches themselves."""

    def contest(self, batch):
        return batch[0]


def scores(*validations):
    """The score of each of several validations, given their batches."""
    training = Training(Contesting(), TrainerConfig())
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False
    )
    found = []
    for batches in validations:
        loader = torch.utils.data.DataLoader([torch.tensor(each) for each in batches])
        [told] = trainer.validate(training, loader, verbose=False)
        found.append(told["val/loss"])
    return found


def test_the_better_of_each_channel_is_that_of_the_whole_validation():
    """In each batch by itself another one would be better: their mean would be 1.5."""
    batches = ([[1.0, 5.0], [2.0, 2.0], [1.0, 1.0]], [[4.0, 1.0], [2.0, 2.0], [1.0, 1.0]])
    assert scores(batches) == [2.0]
    # two windows of the second channel, whose sums are 3 with and 4 without, and one of the first
    more = [[1.0, 3.0], [2.0, 4.0], [1.0, 2.0]]
    assert scores([more], batches) == [(1 + 1.5) / 2, 2.0]


def test_a_channel_without_values_does_not_count():
    assert scores([[[3.0, 0.0], [2.0, 0.0], [4.0, 0.0]]]) == [pytest.approx(0.5)]
