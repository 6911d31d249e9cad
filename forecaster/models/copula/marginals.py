"""Normal scores: the distribution of each channel and lead time as a function of z ~ N(0, 1)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

# levels of the distribution, evenly spaced in z, and the largest number of all of them
_LEVELS, _FEWEST, _MOST_NUMBERS = 129, 17, 2**24
# the outermost level, in standard deviations
_REACH = 3.5
# the largest score: beyond it the tail is a guess that a path's noise should not hang on
_MOST = 5.0
# what is added to the slope of e over z, so that equal values have different scores
_SLOPE = 1e-3
# nodes of the integrals over a standard normal number
_NODES = torch.linspace(-5, 5, 31, dtype=torch.float64)
_WEIGHTS = torch.softmax(-(_NODES**2) / 2, 0)


class NormalScores(nn.Module):
    """e = F⁻¹(Φ(z)) for each channel and lead time, linear between levels, with E[e] = 0.

    ``levels`` (K, M, n): the values at n evenly spaced z between −``reach`` and ``reach``; beyond
    them the distribution goes on with the slope of its last unit of z.
    """

    levels: Tensor
    reach: Tensor

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        count = min(_LEVELS, max(_FEWEST, _MOST_NUMBERS // (channels * length)))
        z = torch.linspace(-_REACH, _REACH, count)
        self.register_buffer("levels", z.expand(channels, length, -1).contiguous())
        self.register_buffer("reach", torch.tensor(_REACH))

    @property
    def spacing(self) -> float:
        """The difference in z of neighbouring levels."""
        return 2 * float(self.reach) / (self.levels.shape[2] - 1)

    def fit(self, values: Float[Tensor, "R K M"]) -> Float[Tensor, "K M"]:
        """Take the distribution of R values about their mean, which is returned."""
        count = len(values)
        # the smallest and the largest value are at the levels 1/2R and 1 − 1/2R
        reach = min(_REACH, -_quantile_of(0.5 / count)) if count > 1 else 1.0
        self.reach.fill_(reach)
        z = torch.linspace(-reach, reach, self.levels.shape[2], dtype=torch.float64)
        place = (torch.special.ndtr(z) * count - 0.5).clamp(0, count - 1).to(values.device)
        low = place.long().clamp(max=max(count - 2, 0))
        high, share = (low + 1).clamp(max=count - 1), (place - low).to(values.dtype)
        ranked = values.sort(0).values
        levels = ranked[low] + (ranked[high] - ranked[low]) * share[:, None, None]
        levels = levels + _SLOPE * z.to(values)[:, None, None]
        inner = max(round(1 / self.spacing), 1)
        if inner + 2 < len(levels):
            fall = (levels[1 + inner] - levels[1]) / inner
            rise = (levels[-2] - levels[-2 - inner]) / inner
            levels[0], levels[-1] = levels[1] - fall, levels[-2] + rise
        self.levels.copy_(levels.permute(1, 2, 0))
        [mean] = self.mean(torch.zeros_like(self.levels[None, ..., 0]))
        self.levels -= mean[..., None]
        return mean

    def values(self, z: Float[Tensor, "n K M"]) -> Float[Tensor, "n K M"]:
        """e of normal scores."""
        count = self.levels.shape[2]
        place = (z + self.reach) / self.spacing
        low = place.detach().nan_to_num().floor().clamp(0, count - 2)  # nan stays nan below
        cell = torch.arange(z.shape[1] * z.shape[2], device=z.device).view(z.shape[1:]) * count
        index = cell + low.long()
        flat = self.levels.flatten()
        start = flat[index]
        return start + (flat[index + 1] - start) * (place - low)

    def scores(self, e: Float[Tensor, "n K M"]) -> Float[Tensor, "n K M"]:
        """z of values, the inverse of ``values``, between −5 and 5."""
        count = self.levels.shape[2]
        sought = e.permute(1, 2, 0).contiguous()
        low = torch.searchsorted(self.levels, sought, right=True).sub(1).clamp(0, count - 2)
        start, end = self.levels.gather(2, low), self.levels.gather(2, low + 1)
        place = low + (sought - start) / (end - start)
        return (place * self.spacing - self.reach).clamp(-_MOST, _MOST).permute(2, 0, 1)

    def mean(self, z: Float[Tensor, "n K M"]) -> Float[Tensor, "n K M"]:
        """E[e] of a normal number of mean z and variance 1."""
        total = torch.zeros_like(z)
        for node, weight in zip(_NODES.tolist(), _WEIGHTS.tolist(), strict=True):
            total = total + weight * self.values(z + node)
        return total


def _quantile_of(level: float) -> float:
    return float(torch.special.ndtri(torch.tensor(level, dtype=torch.float64)))
