"""The estimated time of a training: its parts add up, and its words are coarse."""

import pytest
from conftest import SAMPLE

from forecaster.config.load import find_config, load_config, read_yaml
from forecaster.config.schema import TrainerConfig
from forecaster.data.problem import load_problem
from forecaster.training.fit import new_model
from forecaster.training.stages import stages_of
from forecaster.workflows.estimate import MODEL, _members, in_minutes, seconds, training_time

COUNTS = {"train": 640, "validation": 100, "test": 200}
SETTINGS = TrainerConfig(
    batch_size=64, epoch_batches=10, max_epochs=4, stage_epochs=6, score_windows=50
)


def estimated(priors: int = 1, **changed: int) -> float:
    counts = {name: changed.pop(name, count) for name, count in COUNTS.items()}
    sizes = {"channels": 2, "lookback": 20, "horizon": 5} | {
        name: changed.pop(name) for name in ("channels", "lookback", "horizon") if name in changed
    }
    return seconds(SETTINGS.model_copy(update=changed), priors, counts, **sizes)


def test_priors_and_epochs_add_up() -> None:
    """Each prior as much as the first; epochs in proportion, up to those after which it stops."""
    prior = estimated(1) - estimated(0)
    assert prior > 0
    assert estimated(3) - estimated(0) == pytest.approx(3 * prior)
    assert estimated(1, stage_epochs=12) - estimated(0) == pytest.approx(2 * prior)
    assert estimated(1, stage_epochs=50) == estimated(1, stage_epochs=300)
    epoch = estimated(max_epochs=2) - estimated(max_epochs=1)
    assert estimated(max_epochs=4) - estimated(max_epochs=1) == pytest.approx(3 * epoch)
    assert estimated(max_epochs=10) == estimated(max_epochs=400)


def test_an_epoch_has_the_configured_batches() -> None:
    step = (estimated(epoch_batches=11) - estimated(epoch_batches=10)) / 4
    assert estimated(epoch_batches=110) - estimated(epoch_batches=10) == pytest.approx(400 * step)
    assert estimated(epoch_batches=None) == estimated(epoch_batches=10)
    assert estimated(stage_batches=10) == estimated()


@pytest.mark.parametrize(
    "name", ["train", "validation", "test", "channels", "lookback", "horizon", "score_windows"]
)
def test_more_of_anything_takes_longer(name: str) -> None:
    assert estimated(**{name: 30}) < estimated(**{name: 90})


def test_a_batch_of_fewer_windows_takes_less() -> None:
    assert estimated(batch_size=8, channels=300) < estimated(channels=300)


def test_scoring_takes_no_longer_than_the_training() -> None:
    most = estimated(test=10**9)
    assert most == estimated(test=10**10)
    small = {"max_epochs": 1, "stage_epochs": 1, "epoch_batches": 1, "stage_batches": 1}
    assert estimated(test=10**9, **small) == estimated(test=10**10, **small) > 10


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (1, "about half a minute"),
        (44, "about half a minute"),
        (46, "about 1 minute"),
        (100, "about 2 minutes"),
        (8 * 60, "about 10 minutes"),
        (55 * 60, "about 45 minutes"),
        (56 * 60, "about 1 hour"),
        (80 * 60, "about 1.5 hours"),
        (7.2 * 3600, "about 7 hours"),
        (7.6 * 3600, "about 8 hours"),
    ],
)
def test_words_are_coarse(found: float, words: str) -> None:
    assert in_minutes(found) == words


def test_it_counts_the_priors_that_are_trained() -> None:
    """Of the recommended model, on the sample, which takes a minute or two."""
    data = {"data.csv": str(SAMPLE), "data.horizon": 28, "data.lookback": 112}
    config = load_config(find_config(MODEL), overrides=data)
    problem = load_problem(config.data)
    stages = stages_of(new_model(config, problem), config.trainer, SAMPLE)
    members = list(_members(read_yaml(find_config(MODEL))["model"]["prior"]))
    assert len(members) == sum(stage.weight == 1 for stage in stages)
    assert training_time(problem) in {
        f"about {time} on two cores (s2dbm)" for time in ("1 minute", "2 minutes", "3 minutes")
    }
