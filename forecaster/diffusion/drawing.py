"""How samples are drawn: each window's random numbers by its own seed, and in how large chunks."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Draws:
    """How samples are drawn: their number, the sampler's steps (None: the model's own), one seed a
    window.

    With its own seed, a window's samples do not depend on which windows share its batch. ``budget``
    bounds the memory of one network call, in bytes.
    """

    samples: int
    seeds: Sequence[int]
    steps: int | None = None
    budget: int = 256 * 2**20


def generator(*parts: int | str) -> torch.Generator:
    """A source of random numbers for every tuple of parts (torch uses 32 bits of a seed)."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))


class WindowNoise:
    """Standard normal draws that depend on a window's seed, the step and the sample's number alone.

    ``rows`` (n,): which samples of which windows, as window · samples + sample; ``like``
    (n, K, M): the draws' shape, type and device.
    """

    def __init__(self, draws: Draws, rows: Int[Tensor, " n"], like: Float[Tensor, "n K M"]) -> None:
        self.draws, self.rows, self.like = draws, rows, like

    def __call__(self, step: int) -> Float[Tensor, "n K M"]:
        """The draws of one step."""
        count, shape = self.draws.samples, self.like.shape[1:]
        windows = (self.rows // count).unique_consecutive()
        drawn = []
        for window in windows.tolist():
            source = generator(self.draws.seeds[window], "step", step)
            noise = torch.randn(count, *shape, generator=source)
            drawn.append(noise[self.rows[(self.rows // count) == window] % count])
        return torch.cat(drawn).to(self.like)


Walk = Callable[[Int[Tensor, " n"], Float[Tensor, "n K M"], WindowNoise], Float[Tensor, "n K M"]]


def draw_in_chunks(
    draws: Draws, h: Float[Tensor, "B S K M"], row_bytes: int, walk: Walk
) -> Float[Tensor, "B S K M"]:
    """Walk from every h, as many samples and windows at once as the memory budget allows.

    ``walk(window, h, noise)`` takes the samples of a chunk from ``h`` (n, K, M) to y_0; ``window``
    (n,) numbers their windows. ``row_bytes``: the memory that one of them takes.
    """
    pieces = []
    for rows in torch.arange(len(h) * draws.samples).split(max(draws.budget // row_bytes, 1)):
        window, sample = (rows // draws.samples).to(h.device), (rows % draws.samples).to(h.device)
        start = h[window, sample]
        pieces.append(walk(window, start, WindowNoise(draws, rows, start)))
    return torch.cat(pieces).unflatten(0, (len(h), draws.samples))
