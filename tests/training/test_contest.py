"""The score of a model that contests with itself without what it has learnt, channel by channel."""

import pytest
import torch
from lightning.pytorch import Trainer

from forecaster.config.schema import TrainerConfig
from forecaster.models.base import Forecaster
from forecaster.training.stages import Training


class Contesting(Forecaster):
    """A model whose scores are in its batches: own ones, those without, and the windows.

    ``asked``: with or without, of each batch.
    """

    def __init__(self):
        super().__init__()
        self.asked = []

    def channel_scores(self, batch, learnt):
        self.asked.append(learnt)
        own, without, windows = batch[0]
        return torch.stack([own if learnt else without, windows])


def scores(*validations, model=None):
    """The score of each of several validations, given their batches."""
    training = Training(model or Contesting(), TrainerConfig())
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
    assert scores([[[1.0, 3.0], [2.0, 4.0], [1.0, 2.0]]]) == [(1 + 1.5) / 2]


def test_what_is_not_learnt_is_scored_once():
    """In the second validation what it would be without is that of the first."""
    model = Contesting()
    first, later = [[[3.0, 3.0], [2.0, 4.0], [1.0, 1.0]]], [[[5.0, 1.0], [0.0, 0.0], [1.0, 1.0]]]
    assert scores(first, later, later, model=model) == [2.5, 1.5, 1.5]
    assert model.asked == [True, False, True, True]


def test_a_channel_without_values_does_not_count():
    assert scores([[[3.0, 0.0], [2.0, 0.0], [4.0, 0.0]]]) == [pytest.approx(0.5)]
