"""The seed of a window's samples: the same when it is scored and when it is forecast."""

import hashlib

from jaxtyping import Int
from torch import Tensor

from forecaster.data.problem import Problem
from forecaster.data.windows import Windows


def window_seed(seed: int, item_id: str | None, period: object) -> int:
    """A hash of the seed asked for, the item and the first period to forecast."""
    key = f"{seed}|{item_id or ''}|{period}"
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:7], "big")


def window_seeds(
    problem: Problem, windows: Windows, numbers: Int[Tensor, " n"], seed: int
) -> list[int]:
    """The seeds of the windows of these numbers."""
    table = problem.table
    owners, rows = windows.owners[numbers].tolist(), windows.rows[numbers].tolist()
    starts = {owner: table.start(table.series[owner]) for owner in set(owners)}
    return [
        window_seed(seed, table.series[owner].item_id, starts[owner] + row)
        for owner, row in zip(owners, rows, strict=True)
    ]
