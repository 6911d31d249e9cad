"""Trainings of bridges in the tests' own process: stopped, watched and compared."""

from pathlib import Path

import torch

from forecaster.config.schema import Config
from forecaster.data.problem import Problem
from forecaster.models.diffusion.forecaster import Diffusion
from forecaster.training.fit import fit, new_model, window_data
from forecaster.training.progress import Silent


class Kept(Silent):
    """Keeps the lines and the titles of the parts, and stops after a step of the part ``at``."""

    def __init__(self, at: tuple[str, int] | None = None) -> None:
        self.at, self.lines, self.titles = at, list[str](), list[str]()

    def say(self, text: str) -> None:
        self.lines.append(text)

    def start(self, title: str, units: int = 0, epochs: int = 0, done: int = 0) -> None:
        self.titles.append(title)

    def advance(self, done: int, detail: str = "") -> None:
        if (self.titles[-1], done) == self.at:
            raise InterruptedError


def bridge_of(config: Config, problem: Problem) -> Diffusion:
    model = new_model(config, problem)
    assert isinstance(model, Diffusion)
    return model


def trained(
    config: Config, problem: Problem, folder: Path, progress: Silent | None = None
) -> Diffusion:
    model, watched = bridge_of(config, problem), progress or Silent()
    fit(model, window_data(config, problem), config.trainer, folder, progress=watched)
    return model


def same(model: Diffusion, other: Diffusion) -> bool:
    ours, theirs = model.state_dict(), other.state_dict()
    assert list(ours) == list(theirs)
    return all(torch.equal(value, theirs[name]) for name, value in ours.items())
