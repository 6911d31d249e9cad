"""The parts of a file, forecast by Ray on the cores of one or more machines.

Scheduling and retries are Ray Data's: a part whose process dies is forecast again.
"""

import logging
import os
import secrets
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from forecaster.config.program import install_extra
from forecaster.errors import UserError
from forecaster.inference.saved_model import SavedModel
from forecaster.workflows.engines import PartForecast, Recipe
from forecaster.workflows.workers import Sent, Worker, told

_PATIENCE = 10  # seconds for a cluster to answer


def on_ray(saved: SavedModel, recipe: Recipe, parts: Iterable[bytes]) -> Iterator[PartForecast]:
    """Forecast parts by the actors of Ray Data, one a core (a GPU, if the model is on one).

    Ray's cluster is that of ``RAY_ADDRESS``, or is started here for the time of the forecast.
    """
    ray = import_ray()
    with cluster(ray):
        # of the object store, which moves to the disk what does not fit; of one part a block
        blocks = [ray.put(_block(content)) for content in parts]
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        results = ray.data.from_arrow_refs(blocks).map(
            Worker,
            fn_constructor_args=(Sent.of(saved), recipe),
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=len(blocks)),
            num_cpus=1,
            num_gpus=1 if saved.model.device.type == "cuda" else None,
        )
        yield from map(told, results.iter_rows())


def _block(content: bytes) -> pa.Table:
    return pa.table({"part": pa.array([content], pa.large_binary())})


def import_ray() -> Any:
    """Ray, with Ray Data. Raises UserError if it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # on standard error; files have all
    if "ray" not in sys.modules and "RAY_ADDRESS" not in os.environ:
        keep_to_ourselves()
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UserError(f"--engine ray needs Ray: {install_extra('ray')}") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray


@contextmanager
def cluster(ray: Any) -> Iterator[None]:
    """Connected to Ray; to one that is connected already, it stays."""
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    if address is not None:
        check_answers(address)
    try:
        ray.init(address=address or "local", logging_level=logging.ERROR, log_to_driver=False)
    except Exception as error:  # Ray raises no narrower class when it does not start
        first = str(error).strip().partition("\n")[0]
        if address is None:
            raise UserError(
                f"--engine ray: Ray does not start here ({first}); try again, or leave --engine out"
            ) from error
        raise _no_cluster(address, first) from error
    try:
        yield
    finally:
        ray.shutdown()


def keep_to_ourselves() -> None:
    """Let a cluster that is started here answer this process and its workers alone.

    Ray listens on all interfaces, and who reaches it can run code. A token is asked for, which only
    the environment of these processes holds, unless ``RAY_AUTH_MODE`` says otherwise. Ray reads it
    when it is imported; where that was before, it makes a token in a file of the user's.
    """
    mode = os.environ.setdefault("RAY_AUTH_MODE", "token")
    if mode == "token" and "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def check_answers(address: str) -> None:
    """Raise UserError if nothing listens at a Ray address; Ray would go on trying for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not port.isdecimal():
        return  # such as auto: Ray knows where
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, getattr(error, "strerror", None) or str(error)) from error


def _no_cluster(address: str, reason: str) -> UserError:
    return UserError(
        f"RAY_ADDRESS={address}: no Ray cluster answers there ({reason}); correct it, or unset it "
        "to start Ray here"
    )
