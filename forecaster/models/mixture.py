"""Mixtures of sample paths: their CRPS, and the weights that lower it.

The CRPS of a mixture Σ w_i F_i is quadratic in its weights (Gneiting and Raftery, 2007):

    Σ_i w_i E|X_i − y| − ½ Σ_i Σ_j w_i w_j E|X_i − X_j'|,

so that the means of both terms over all windows are all that a choice of weights needs. They are
chosen greedily, with replacement (Caruana et al., ICML 2004).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

# the number of draws with replacement that make up the weights
ROUNDS = 20
# the share of the score by which a further draw has to lower it
_LOWER = 1e-3


@dataclass(frozen=True)
class Terms:
    """The terms of the CRPS of mixtures of C members, means over windows.

    ``misses`` (C,): E|X_i − y|. ``apart`` (C, C): E|X_i − X_j'| of independent draws.
    """

    misses: Float64[Tensor, " C"]
    apart: Float64[Tensor, "C C"]

    def crps(self, weights: Float64[Tensor, " C"]) -> float:
        """The CRPS of the mixture with these weights, which sum to 1."""
        return float(weights @ self.misses - weights @ self.apart @ weights / 2)

    @property
    def alone(self) -> list[float]:
        """The CRPS of each member by itself."""
        return [self.crps(row) for row in torch.eye(len(self.misses), dtype=torch.float64)]


def terms_of(
    paths: Sequence[Float[Tensor, "B _ *n"]], y: Float[Tensor, "B *n"], mask: Float[Tensor, "B *n"]
) -> Terms:
    """The terms of mixtures of these members' sample paths, over the observed entries.

    The pairs of a path with itself are left out, as of the fair CRPS. Members may have different
    numbers of paths.
    """
    count = mask.sum(dtype=torch.float64).clamp(min=1)
    pairs = [each.shape[1] for each in paths]

    def mean(values: Float[Tensor, "B *n"]) -> float:
        return float((values * mask).sum(dtype=torch.float64) / count)

    misses = [mean((each - y[:, None]).abs().mean(1)) for each in paths]
    within = [mean(_all_pairs(each)) for each in paths]
    apart = torch.zeros(len(paths), len(paths), dtype=torch.float64)
    for i, ours in enumerate(paths):
        apart[i, i] = within[i] / (pairs[i] * (pairs[i] - 1))
        for j, theirs in enumerate(paths[:i]):
            both = mean(_all_pairs(torch.cat([ours, theirs], 1)))
            across = (both - within[i] - within[j]) / (2 * pairs[i] * pairs[j])
            apart[i, j] = apart[j, i] = across
    return Terms(torch.tensor(misses, dtype=torch.float64), apart)


def _all_pairs(samples: Float[Tensor, "B S *n"]) -> Float[Tensor, "B *n"]:
    """Σ_i Σ_j |X_i − X_j| over all ordered pairs, by sorting."""
    ranked, m = samples.sort(dim=1).values, samples.shape[1]
    factors = 2 * (2 * torch.arange(1, m + 1, device=ranked.device, dtype=ranked.dtype) - m - 1)
    return torch.einsum("bs...,s->b...", ranked, factors)


def greedy_weights(terms: Terms, rounds: int = ROUNDS) -> Float64[Tensor, " C"]:
    """The weights, multiples of 1 over the number of draws.

    The best member is drawn first, and then again and again the one with which the mixture of all
    draws has the lowest CRPS, until none lowers it by more than a thousandth in any number of
    draws that follow. Among equals it is the first.
    """
    size = len(terms.misses)
    counts, best = torch.zeros(size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    lowest = float("inf")
    for drawn in range(1, rounds + 1):
        tried = [(counts + row) / drawn for row in torch.eye(size, dtype=torch.float64)]
        scores = [terms.crps(weights) for weights in tried]
        chosen = min(range(size), key=lambda place: scores[place])
        counts[chosen] += 1
        if scores[chosen] < lowest - _LOWER * abs(lowest) or drawn == 1:
            lowest, best = scores[chosen], tried[chosen]
    return best


def shares(weights: Sequence[float], count: int) -> list[int]:
    """Whole numbers that sum to ``count``, as near to the weights as can be (largest remainder)."""
    total = sum(weights)
    exact = [count * weight / total for weight in weights]
    whole = [int(value) for value in exact]
    by_rest = sorted(range(len(exact)), key=lambda place: whole[place] - exact[place])
    for place in by_rest[: count - sum(whole)]:
        whole[place] += 1
    return whole
