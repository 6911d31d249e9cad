"""Random draws of samples: seeded for each window, and in chunks that fit the memory."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

# the memory of one network call, in bytes: of a GPU much at once; of a CPU what its cache holds a
# good part of (the bridge of 21 channels takes a third less time than with 256 MiB)
_BUDGET, _CPU_BUDGET = 256 * 2**20, 64 * 2**20


@dataclass(frozen=True)
class Draws:
    """The number of samples, a seed for each window, and the sampling steps (None: the model's).

    By the seeds, a window's samples do not depend on the other windows in its batch. ``budget``:
    the memory of one network call, in bytes (None: the device's).
    """

    samples: int
    seeds: Sequence[int]
    steps: int | None = None
    budget: int | None = None


def generator(*parts: int | str) -> torch.Generator:
    """A generator seeded by a hash of ``parts`` (32 bits, all that torch uses of a seed)."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))


class WindowNoise:
    """Standard normal draws, determined by the window's seed, the step and the sample's number.

    ``rows`` (n,): which samples of which windows, as window · samples + sample; ``like``
    (n, K, M): the draws' shape, type and device.
    """

    def __init__(self, draws: Draws, rows: Int[Tensor, " n"], like: Float[Tensor, "n K M"]) -> None:
        self.draws, self.rows, self.like = draws, rows, like

    def __call__(self, step: int) -> Float[Tensor, "n K M"]:
        """The draws (n, K, M) of one step."""
        count, shape = self.draws.samples, self.like.shape[1:]
        windows = (self.rows // count).unique_consecutive()
        drawn = []
        for window in windows.tolist():
            source = generator(self.draws.seeds[window], "step", step)
            noise = torch.randn(count, *shape, generator=source)
            drawn.append(noise[self.rows[(self.rows // count) == window] % count])
        return torch.cat(drawn).to(self.like)


Reverse = Callable[[Int[Tensor, " n"], Float[Tensor, "n K M"], WindowNoise], Float[Tensor, "n K M"]]


def draw_in_chunks(
    draws: Draws, h: Float[Tensor, "B S K M"], row_bytes: int, reverse: Reverse
) -> Float[Tensor, "B S K M"]:
    """Reverse sampling from every h, in chunks that fit the memory budget.

    ``reverse(window, h, noise)`` samples y_0 for a chunk of ``h`` (n, K, M); ``window`` (n,): the
    numbers of their windows. ``row_bytes``: the memory that one sample takes.
    """
    budget = draws.budget
    if budget is None:
        budget = _CPU_BUDGET if h.device.type == "cpu" else _BUDGET
    chunks = []
    for rows in torch.arange(len(h) * draws.samples).split(max(budget // row_bytes, 1)):
        window, sample = (rows // draws.samples).to(h.device), (rows % draws.samples).to(h.device)
        start = h[window, sample]
        chunks.append(reverse(window, start, WindowNoise(draws, rows, start)))
    return torch.cat(chunks).unflatten(0, (len(h), draws.samples))
