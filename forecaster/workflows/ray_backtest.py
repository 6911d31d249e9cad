"""The trainings of a backtest, by Ray on the cores of one or more machines.

A training of a model with the scores of its block of origins is a task. Scheduling and retries are
Ray's: a task whose process dies begins anew.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from forecaster.config.load import check_config
from forecaster.config.parts import Trust
from forecaster.config.schema import Config
from forecaster.errors import UserError
from forecaster.training.progress import Silent
from forecaster.training.stages import on_cuda, quiet_libraries
from forecaster.workflows.backtest_scores import (
    Field,
    Refit,
    ScoreBlock,
    Scores,
    prefix_of,
    score_block,
)
from forecaster.workflows.ray_engine import cluster, import_ray
from forecaster.workflows.tracking_target import NoRun


@dataclass(frozen=True)
class Task:
    """A training: the configuration's content, its block of origins, and the name of its losses.

    ``threads``: as many as here, since the last bits of sums depend on them.
    """

    name: str
    content: Mapping[str, Any]
    block: tuple[int, int]
    prefix: str
    threads: int


@dataclass(frozen=True)
class Trained:
    """The scores of a task, or what it is refused for.

    ``told``: what it logged and said, in its order: the name of the method and its arguments.
    """

    scores: Scores | None
    told: list[tuple[str, tuple[Any, ...]]]
    refusal: str = ""


class _Told(NoRun, Silent):
    """Keeps what a training logs and says."""

    def __init__(self) -> None:
        self.told: list[tuple[str, tuple[Any, ...]]] = []

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        self.told.append(("metrics", (values, step)))

    def tags(self, values: Mapping[str, str]) -> None:
        self.told.append(("tags", (values,)))

    def say(self, text: str) -> None:
        self.told.append(("say", (text,)))


def work(field: Field, task: Task) -> Trained:
    """Train and score, in a worker."""
    quiet_libraries()
    torch.set_num_threads(task.threads)
    told = _Told()
    try:
        config = check_config(dict(task.content), task.name, Trust(code=True))
        own = copy.deepcopy(field)  # what Ray hands out cannot be written to
        refit = Refit(told, task.prefix, told, None)
        scores = score_block(task.name, config, own, task.block, refit)
    except UserError as error:
        return Trained(None, told.told, str(error))
    return Trained(scores, told.told)


def tasks_of(contestants: Mapping[str, Config], field: Field) -> dict[tuple[str, int], Task]:
    """All trainings, by the model's name and the first origin of the block."""
    threads = torch.get_num_threads()
    return {
        (name, block[0]): Task(
            name, config.model_dump(mode="json"), block, prefix_of(number), threads
        )
        for name, config in contestants.items()
        for number, block in enumerate(field.plan.blocks(), start=1)
    }


def replayed(result_of: Callable[[tuple[str, int]], Trained]) -> ScoreBlock:
    """Tells here what the trainings told where they ran, and gives their scores."""

    def score(
        name: str, config: Config, field: Field, block: tuple[int, int], refit: Refit
    ) -> Scores:
        trained = result_of((name, block[0]))
        for method, arguments in trained.told:
            getattr(refit.progress if method == "say" else refit.run, method)(*arguments)
        if trained.scores is None:
            raise UserError(trained.refusal)
        return trained.scores

    return score


@contextmanager
def on_ray(contestants: Mapping[str, Config], field: Field) -> Iterator[ScoreBlock]:
    """Train by tasks of Ray, each with as many cores as this process has threads."""
    ray, tasks = import_ray(), tasks_of(contestants, field)
    threads = torch.get_num_threads()
    with cluster(ray):
        check_cores((node["Resources"].get("CPU", 0) for node in ray.nodes()), threads)
        shared = ray.put(field)
        results = {
            key: ray.remote(work)
            .options(num_cpus=threads, num_gpus=int(on_cuda(contestants[key[0]].trainer)))
            .remote(shared, task)
            for key, task in tasks.items()
        }
        yield replayed(lambda key: ray.get(results[key]))


def check_cores(cores: Iterable[float], threads: int) -> None:
    """Raise UserError if no machine has as many cores as a training takes threads."""
    most = int(max(cores, default=0))
    if most < threads:
        raise UserError(
            f"--engine ray: a training takes {threads} threads here, and no machine of the cluster "
            f"has more than {most} cores; set OMP_NUM_THREADS={max(most, 1)}"
        )
