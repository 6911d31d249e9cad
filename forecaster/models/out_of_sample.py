"""The size of a model's errors on rows that it has learnt from, as it would be on new ones."""

import torch
from jaxtyping import Float
from torch import Tensor


def excess(ours: Float[Tensor, "n K M"], theirs: Float[Tensor, "n K M"]) -> float:
    """How much larger errors are out of sample, 1 at least.

    ``ours``: the errors of a model on windows that it has learnt from, ``theirs`` those of one that
    has not; nan where missing. Compared are the standard deviations about the mean of each channel:
    an error that all windows share is what was learnt, not what is left.
    """
    before, after = _spread(theirs), _spread(ours)
    return max(float((before / after).sqrt()), 1.0) if float(after) > 0 else 1.0


def _spread(errors: Float[Tensor, "n K M"]) -> Float[Tensor, ""]:
    """The sum of squares about the mean of each channel."""
    means = errors.nanmean((0, 2), keepdim=True)
    return torch.nan_to_num(errors - means).square().sum()
