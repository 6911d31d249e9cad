"""A cell of a benchmark in a process of its own, whose threads are bounded and memory measured."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from forecaster.errors import UserError
from forecaster.tracking import store

# what bounds the threads of the libraries that are computed with
_THREADS = (
    *(f"{name}_NUM_THREADS" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA", "RAYON")),
    "POLARS_MAX_THREADS",
    "LOKY_MAX_CPU_COUNT",
)


def with_threads(threads: int) -> dict[str, str]:
    """The variables of a process that computes with so many threads, on the CPU."""
    bounds = dict.fromkeys(_THREADS, str(threads))
    return {**os.environ, **bounds, "CUDA_VISIBLE_DEVICES": ""}


def alone(threads: int, work: Callable[..., None], *given: object) -> None:
    """Do ``work`` on what is ``given`` in a new process; it raises the UserError that that does."""
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    home = {"FORECASTER_HOME": str(store.HOME)}
    with _variables(with_threads(threads) | home):
        process = context.Process(target=_work, args=(sender, work, given))
        process.start()
    sender.close()
    try:
        error = receiver.recv()
    except EOFError:
        process.join()
        error = UserError(f"its process ended with status {process.exitcode}; try again")
    process.join()
    if error is not None:
        raise error


def _work(sender: Connection, work: Callable[..., None], given: tuple[Any, ...]) -> None:
    error: UserError | None = None
    try:
        work(*given)
    except UserError as raised:
        error = raised
    sender.send(error)


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
