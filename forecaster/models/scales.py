"""The expected size of a forecast's errors: a log-linear function of its history by channel."""

import torch
from jaxtyping import Float
from torch import Tensor

from forecaster.data.windows import Batch
from forecaster.networks.norms import window_scale

# the smallest scale, in z-scores
_FLOOR = 1e-2
# the ridge penalty in mean variances of the regressors, which are correlated
_RIDGE = 0.01


def log_scales(batch: Batch, season: int) -> Float[Tensor, "B K 4"]:
    """Logarithms of four statistics of the history, all proportional to its scale.

    Its deviation, that of its last season, its mean seasonal and its mean one-step change.
    """
    past, mask = batch.past, batch.past_mask
    span = max(season, 4)
    deviations = [
        window_scale(past[..., -n:], mask[..., -n:], "standard").scale[..., 0]
        for n in (past.shape[2], span)
    ]
    lag = min(season, max(past.shape[2] // 2, 1))
    changes = [_change(past, mask, lag)[..., -2 * lag :], _change(past, mask, 1)[..., -span:]]
    return (
        torch.stack([*deviations, *(each.nanmean(2).nan_to_num() for each in changes)], dim=2)
        .clamp(min=_FLOOR)
        .log()
    )


def _change(
    past: Float[Tensor, "B K L"], mask: Float[Tensor, "B K L"], lag: int
) -> Float[Tensor, "B K n"]:
    """|x_t − x_{t−lag}|, nan where one of the two is missing."""
    both = mask[..., lag:] * mask[..., :-lag]
    return torch.where(both > 0, (past[..., lag:] - past[..., :-lag]).abs(), torch.nan)


def exponents(logs: Float[Tensor, "R K F"], errors: Float[Tensor, "R K M"]) -> Float[Tensor, "K F"]:
    """β of log(mean|error|) ≈ α + β·logs, by ridge regression over the windows of each channel."""
    size = errors.abs().mean(2).clamp(min=_FLOOR).log()
    x, y = (
        (logs - logs.mean(0)).transpose(0, 1),
        (size - size.mean(0)).T[..., None],
    )  # (K, R, F), (K, R, 1)
    normal = x.mT @ x
    ridge = _RIDGE * normal.diagonal(dim1=1, dim2=2).mean(1) + torch.finfo(x.dtype).eps
    return torch.linalg.solve(
        normal + ridge[:, None, None] * torch.eye(x.shape[2]).to(x), x.mT @ y
    )[..., 0]
