"""The scored forecasts as a table."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from forecaster.data.tables import Table
from forecaster.data.windows import Windows
from forecaster.errors import UserError
from forecaster.evaluation.metrics import QUANTILES
from forecaster.evaluation.score import ScoredBatch
from forecaster.models.scoring_rules import quantiles_of_ranked

_ROUNDING = 1e-9


def scored_level(level: float) -> float:
    """The scored quantile level that equals ``level`` but for rounding; UserError for others."""
    if not 0 < level < 1:
        raise UserError(f"quantile {level:g} is not between 0 and 1; give levels such as 0.9")
    near = sorted(sorted(QUANTILES, key=lambda known: abs(known - level))[:2])
    for known in near:
        if abs(known - level) < _ROUNDING:
            return known
    raise UserError(
        f"quantile {level:g} is not among those that are scored (0.025, 0.05, 0.1, … 0.95, 0.975); "
        f"the nearest are {near[0]:g} and {near[1]:g}"
    )


class Forecasts:
    """A callback of an evaluation that stores the forecasts, with quantiles at ``levels``."""

    def __init__(self, levels: Sequence[float]) -> None:
        self.levels = tuple(scored_level(level) for level in levels)
        self._index: list[torch.Tensor] = []
        self._values: list[dict[str, torch.Tensor]] = []  # each (B, K, H)

    def __call__(self, scored: ScoredBatch) -> None:
        """Store a batch: the truth (nan: missing), the point forecast and the quantiles."""
        outlook = scored.outlook
        values = {"y": torch.where(scored.mask > 0, scored.y, torch.nan), "mean": outlook.mean}
        if outlook.median is not None:
            values["median"] = outlook.median
        self._index.append(scored.index.cpu())
        self._values.append({**values, **self._quantiles(scored)})

    def _quantiles(self, scored: ScoredBatch) -> dict[str, torch.Tensor]:
        quantiles, paths = scored.outlook.quantiles, scored.outlook.paths
        if quantiles is None:
            if paths is None:
                return {}
            quantiles = quantiles_of_ranked(paths.sort(dim=1).values, QUANTILES)
        return {f"{level:g}": quantiles[:, QUANTILES.index(level)] for level in self.levels}

    def frame(self, table: Table, windows: Windows) -> pd.DataFrame:
        """A row for each window, channel and step.

        Columns: ``item_id, cutoff, timestamp, y, mean, quantiles…``; ``cutoff`` is the time of the
        last value before the forecast; times are on the file's clock.
        """
        numbers = torch.cat(self._index)
        owners, rows = windows.owners[numbers].numpy(), windows.rows[numbers].numpy()
        shape = (len(numbers), len(table.names), windows.horizon)
        cutoffs, stamps = _times(table, owners, rows, windows.horizon)
        by_series = [[table.channel_label(s, k) for k in range(shape[1])] for s in table.series]
        labels = np.array([by_series[owner] for owner in owners], dtype=object)
        columns = {
            "item_id": np.repeat(labels.ravel(), shape[2]),
            "cutoff": np.repeat(cutoffs, shape[1] * shape[2]),
            "timestamp": np.repeat(stamps[:, None], shape[1], axis=1).ravel(),
        }
        values = {
            name: torch.cat([each[name] for each in self._values]).cpu().numpy().ravel()
            for name in self._values[0]
        }
        return pd.DataFrame({**columns, **values})


def _times(
    table: Table, owners: NDArray[np.int64], rows: NDArray[np.int64], horizon: int
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """The cutoffs (W,) and the times of the targets (W, H) of the windows, as texts."""
    texts = [
        np.array(table.clock.write(table.interval.stamps(s.first, len(s.values))), dtype=object)
        for s in table.series
    ]
    pairs = list(zip(owners, rows, strict=True))
    cutoffs = np.array([texts[owner][row - 1] for owner, row in pairs], dtype=object)
    return cutoffs, np.stack([texts[owner][row : row + horizon] for owner, row in pairs])
