"""Each series' own size of error, and the weight of its own errors among those of all series.

Both are shrunk: a series of few windows has the size of all, and borrows their errors. Tables by
series have a last row for an unknown one, number -1: it has the size of all, and no own errors.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

# the windows without overlap that the size of all series, and the errors of all series, count for
_SIZE_WINDOWS, _ERROR_WINDOWS = 2.0, 16.0
# bounds of a size, in that of all series
_SMALLEST, _LARGEST = 0.1, 10.0


def own_windows(
    owners: Int[Tensor, " R"], times: Int[Tensor, " R"], length: int, series: int
) -> Float[Tensor, " N"]:
    """How many windows of each series are without overlap, N = ``series`` + 1.

    ``owners``: the series of each of R windows; ``times``: their first periods; ``length``: their
    steps. It is the span of their times over the length, and at most their number.
    """
    rows = owners % (series + 1)
    counts = torch.bincount(rows, minlength=series + 1)
    zeros = torch.zeros_like(counts)
    first, last = (
        zeros.scatter_reduce(0, rows, times, way, include_self=False) for way in ("amin", "amax")
    )
    found = torch.minimum(counts.float(), (last - first) / length + 1)
    found[-1] = 0
    return found


def size_factors(
    errors: Float[Tensor, "R K M"], owners: Int[Tensor, " R"], windows: Float[Tensor, " N"]
) -> Float[Tensor, "N K"]:
    """The size of each series' errors in that of all series, by channel; nan is missing.

    A size is the mean absolute error, that of all the geometric mean over series. Of n ``windows``
    without overlap a series' size counts n / (n + 2), as a power.
    """
    rows, observed = owners % len(windows), ~errors.isnan()
    totals, counts = (
        errors.new_zeros(len(windows), errors.shape[1]).index_add(0, rows, each.sum(2))
        for each in (errors.nan_to_num().abs(), observed.to(errors.dtype))
    )
    known = (totals > 0) & (windows > 0)[:, None]
    logs = torch.where(known, totals / counts, 1.0).log()
    centre = logs.sum(0) / known.sum(0).clamp(min=1)
    share = windows / (windows + _SIZE_WINDOWS)
    own = torch.where(known, logs - centre, 0.0) * share[:, None]
    return own.exp().clamp(_SMALLEST, _LARGEST)


def own_weights(
    allowed: Float[Tensor, "B R"],
    owners: Int[Tensor, " R"],
    series: Int[Tensor, " B"],
    windows: Float[Tensor, " N"],
) -> Float[Tensor, "B R"]:
    """The weight of each error for a window of ``series``: 0 where not ``allowed``, else 1 or more.

    Of n own errors without overlap that are allowed, the own ones have n / (n + 16) of all weight,
    on top of their share of the rest. Where all are own, or none is, all weights are 1.
    """
    own = allowed * (owners == series[:, None]) * (series >= 0)[:, None]
    count, total = own.sum(1), allowed.sum(1)
    few = torch.minimum(count, windows[series])
    extra = few / _ERROR_WINDOWS * total / count.clamp(min=1)
    return allowed + own * torch.where(count < total, extra, 0.0)[:, None]
