"""The scale that metrics are reported on."""

import numpy as np
import torch
from jaxtyping import Float64, Int
from torch import Tensor

from forecaster.data.problem import Problem
from forecaster.data.windows import Batch, Windows


class Units:
    """From a model's z-scores to the scale of metrics: the file's units, or a protocol's z-scores.

    The protocol's z-scores differ from those of a model that was trained on other data. The truth
    is read from the table in float64, since windows are in single precision, in which a zero would
    not stay zero.
    """

    def __init__(self, problem: Problem, windows: Windows, device: torch.device) -> None:
        values, scale = [series.values for series in problem.table.series], problem.seasonal_errors
        # value = std · output + mean, each (N, K)
        mean, std = (
            np.stack([getattr(s, name) for s in problem.scaling]) for name in ("mean", "std")
        )
        deviation = std
        low, high = (
            np.broadcast_to(bound, mean.shape)
            for bound in problem.config.limits(problem.table.names)
        )
        if problem.protocol is not None:
            center, unit = (
                np.stack([getattr(s, name) for s in problem.protocol]) for name in ("mean", "std")
            )
            values = [s.apply(rows) for s, rows in zip(problem.protocol, values, strict=True)]
            mean, std, low, high = (
                (mean - center) / unit,
                std / unit,
                (low - center) / unit,
                (high - center) / unit,
            )
            scale, deviation = scale / unit, np.ones_like(unit)
        self.mean, self.std, self.low, self.high, self.scale, self.deviation = (
            torch.tensor(each, dtype=torch.float64, device=device)
            for each in (mean, std, low, high, scale, deviation)
        )
        self.owners = windows.owners.to(device)
        self._rows, self._horizon, self._values = windows.rows, windows.horizon, values

    def truth(self, index: Int[Tensor, " B"]) -> Float64[Tensor, "B K H"]:
        """The true future of the windows ``index``, 0 where missing."""
        positions = zip(self.owners[index].tolist(), self._rows[index.cpu()].tolist(), strict=True)
        values = np.stack(
            [self._values[owner][row : row + self._horizon].T for owner, row in positions]
        )
        return torch.from_numpy(np.nan_to_num(values.astype(np.float64))).to(index.device)

    def rows_of(self, values: Tensor, index: Int[Tensor, " B"], ndim: int) -> Tensor:
        """The rows (N, K) of the windows' series, shaped to broadcast over (B, …, K, H)."""
        return values[self.owners[index]].view(len(index), *[1] * (ndim - 3), -1, 1)

    def restore(self, values: Tensor, index: Int[Tensor, " B"]) -> Float64[Tensor, "B *n K H"]:
        """Forecasts of windows ``index`` on the scale of metrics, clipped to the data's bounds."""
        mean, std, low, high = (
            self.rows_of(each, index, values.ndim)
            for each in (self.mean, self.std, self.low, self.high)
        )
        return torch.minimum(torch.maximum(values.double() * std + mean, low), high)

    def per_window(self, errors: Float64[Tensor, "B K H"], batch: Batch) -> Float64[Tensor, " B"]:
        """The mean error of each window in standard deviations; nan without an observed value.

        ``errors`` are 0 where nothing is observed.
        """
        scaled = errors / self.rows_of(self.deviation, batch.index, 3)
        return (scaled.sum((1, 2)) / batch.future_mask.sum((1, 2))).cpu()
