"""Processes that form a group: what they send arrives, and whatever befalls one of them, all
end.
"""

import os
import signal
import time

import pytest
import torch
import torch.distributed as dist

from forecaster.errors import UserError
from forecaster.training.distributed import run_in_group


def add_up(rank: int, send, value: float) -> None:
    total = torch.tensor([value * (rank + 1)])
    dist.all_reduce(total)
    send(rank, total.item())


def fail(rank: int, send, how: str) -> None:
    send(os.getpid())
    dist.barrier()
    if rank == 1:
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise UserError("a user's mistake") if how == "told" else ValueError("of one\nprocess")
    dist.all_reduce(torch.zeros(1))  # waits for the one that has failed


def test_processes_compute_together() -> None:
    found = []
    run_in_group(2, "gloo", add_up, (0.5,), lambda *values: found.append(values))
    assert sorted(found) == [(0, 1.5), (1, 1.5)]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("told", "^a user's mistake$"),
        (
            "raised",
            r"^training process 2 failed \(ValueError: of one process\); the training goes on with: train --resume",
        ),
        (
            "killed",
            "^training process 2 was ended by SIGKILL; if memory ran out, give fewer --devices; the training goes on",
        ),
    ],
)
def test_the_failure_of_one_is_reported_and_ends_all(how: str, message: str) -> None:
    found: list[int] = []
    began = time.monotonic()
    with pytest.raises(UserError, match=message):
        run_in_group(2, "gloo", fail, (how,), found.append)
    assert time.monotonic() - began < 60  # the group's own patience is half an hour
    assert len(found) == 2
    for pid in found:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
