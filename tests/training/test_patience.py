"""When a training ends, by the scores that its epochs have on validation."""

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from forecaster.training.patience import Patience


class Scored(pl.LightningModule):
    """A model of one weight, whose validation scores are given."""

    def __init__(self, scores):
        super().__init__()
        self.weight, self.scores, self.seen = torch.nn.Parameter(torch.zeros(())), scores, []

    def training_step(self, batch, batch_idx):
        return self.weight * 0

    def on_validation_epoch_end(self):
        self.seen.append(self.current_epoch)
        self.log("val/loss", self.scores[self.current_epoch])

    def validation_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def epochs(scores, patience, folder, count=None, resumed=None, averaged=True):
    """The epochs that a training with these scores runs."""
    model = Scored(scores)
    last = ModelCheckpoint(folder, save_last=True, save_on_train_epoch_end=False)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=len(scores) if count is None else count,
        callbacks=[Patience("val/loss", patience, averaged), last],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    data = torch.utils.data.DataLoader(torch.zeros(1, 1))
    trainer.fit(model, data, data, ckpt_path=resumed, weights_only=True)
    return model.seen


# rises for three epochs, then falls to below its first value
TURNED = [0.716, 0.735, 0.755, 0.764, 0.76, 0.75, 0.742, 0.736, 0.729, 0.72, 0.71, 0.70]


def test_a_falling_score_is_waited_for(tmp_path):
    assert len(epochs(TURNED, 5, tmp_path / "five")) == 6  # its turn is an epoch too late
    assert len(epochs(TURNED, 6, tmp_path / "six")) == len(TURNED)


@pytest.mark.parametrize(
    ("scores", "patience", "count"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], 6, 7),  # rises
        ([1, 1, 1, 1, 1, 1, 1, 1, 1], 6, 7),  # stays
        ([5, 4, 3, 2, 1, 2, 3, 4, 5, 6, 7, 8], 6, 11),  # rises after its falls
        ([1, 9, 9, 9, 8, 7, 9, 9, 9, 9], 6, 8),  # below the four before it is one epoch: 7
        ([1, 9, 8, 8, 8, 8, 9, 9, 9, 9], 6, 7),  # as low as one of them is not
        ([1, 9, 9, 9, 9, 8, 7, 6, 7, 5, 9, 9, 9], 6, 11),  # 8, 7, 6 and 5
        ([1, 9, 9, 9, 9, 8, 7, 6, 5, 4], 5, 10),
        ([1, 9, 8, 7, 6, 5, 4, 3, 2], 4, 5),  # the best is one of four before it
        ([1, 0.9991, 0.9982, 0.9973, 0.9964, 0.9955], 2, 6),  # each second one is the best
        ([1, 0.9995, 0.9991, 0.999, 0.999, 0.999], 4, 5),  # a thousandth in all
        ([1, 9, 9, 9, 8, 7.995, 7.99, 9, 9, 9], 6, 7),  # below those before it by too little
        ([-1, -1.0009, -1.0011, -1.003, -1.0031, -1.0032, -1.0033], 3, 7),
        ([-1, -0.9995, -0.9996, -0.9996, -0.9996, -0.9996], 3, 4),  # none is below -1
        ([0, -0.1, 0, 0, 0, 0], 3, 5),
    ],
)
def test_every_other_epoch_that_is_not_the_best_is_counted(tmp_path, scores, patience, count):
    assert len(epochs(scores, patience, tmp_path)) == count


@pytest.mark.parametrize(
    ("scores", "patience", "count"),
    [
        ([1, 0.9995, 0.9991, 0.999, 0.999, 0.999, 0.999, 0.999], 4, 8),
        ([1, 9, 9, 9, 8, 7.995, 7.99, 9, 9, 9, 9], 6, 9),
        ([-1, -1.0009, -1.0011, -1.0011, -1.0011, -1.0011], 3, 6),
        ([1, 1, 1, 1, 1], 3, 4),
    ],
)
def test_of_weights_as_they_are_any_lower_score_counts(tmp_path, scores, patience, count):
    assert len(epochs(scores, patience, tmp_path, averaged=False)) == count


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
def test_a_resumed_training_knows_how_the_score_fell(tmp_path):
    whole = epochs(TURNED, 6, tmp_path / "whole")
    for count in range(1, len(TURNED)):
        folder = tmp_path / str(count)
        first = epochs(TURNED, 6, folder, count)
        assert first + epochs(TURNED, 6, folder, None, folder / "last.ckpt") == whole


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
def test_a_fit_that_earlier_code_began_goes_on(tmp_path):
    """Its checkpoint has the state of ``EarlyStopping`` alone."""
    scores = [1, *range(5, 15)]
    assert len(epochs(scores, 6, tmp_path, 4)) == 4
    last = tmp_path / "last.ckpt"
    saved = torch.load(last, weights_only=True)
    (key,) = (key for key in saved["callbacks"] if "val/loss" in key and "mode" in key)
    assert key.startswith("EarlyStopping{")
    assert saved["callbacks"][key].pop("recent")
    torch.save(saved, last)
    assert epochs(scores, 6, tmp_path, None, last) == [4, 5, 6]
