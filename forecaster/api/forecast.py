"""What ``Model.forecast`` gives: a table, sample paths and a picture."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.data.clock import Clock
from forecaster.inference.predictor import TableForecast
from forecaster.io.atomic import check_folder, write_together
from forecaster.io.output_tables import renamed_items, table_bytes
from forecaster.reporting.plots import draw_forecast

if TYPE_CHECKING:
    from forecaster.reporting.plots import Figure


@dataclass(frozen=True)
class Samples:
    """Sample paths, as an xarray.DataArray holds them: ``values`` (item, sample, step, channel) in
    the data's units; ``dims``; ``coords``, one for each dimension.

    In a wide table, whose columns are the series, they are the channels of the one item ''.
    """

    values: NDArray[np.float64]
    coords: dict[str, NDArray[Any]]

    @property
    def dims(self) -> tuple[str, ...]:
        """``item, sample, step, channel``."""
        return tuple(self.coords)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each dimension."""
        return self.values.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)


@dataclass(frozen=True)
class Forecast:
    """The values after a table's end.

    >>> import forecaster
    >>> model = forecaster.train("datasets/seattle_weather.csv", model="quantile-linear",
    ...     horizon=3, lookback=14, settings={"trainer.max_steps": 2}, tracking=False)
    >>> forecast = model.forecast("datasets/seattle_weather.csv", quantiles=[0.1, 0.9])
    >>> list(forecast.frame.columns)
    ['item_id', 'timestamp', 'mean', '0.1', '0.9']
    >>> len(forecast.frame), forecast.frame.timestamp[0]
    (12, Timestamp('2016-01-01 00:00:00'))
    """

    _made: TableForecast
    _channels: tuple[str, ...]
    _history: int

    @property
    def frame(self) -> pd.DataFrame:
        """A row a series and step, in the table's order: ``item_id, timestamp, mean``, and a column
        a quantile, named by its level. Times are those of the table's clock.
        """
        written = self._made.frame
        return written.assign(timestamp=read_times(self._made.table.clock, written["timestamp"]))

    @property
    def samples(self) -> Samples | None:
        """The sample paths; None in point mode and of a model that gives quantiles."""
        from gluonts.model.forecast import SampleForecast

        paths = [each for each in self._made.series if isinstance(each, SampleForecast)]
        if self._made.request.mode == "point" or not paths:
            return None
        table = self._made.table
        order = [self._channels.index(name) for name in table.names]
        values = np.stack([each.samples.reshape(*each.samples.shape[:2], -1) for each in paths])
        coords = {
            "item": np.array([series.item_id or "" for series in table.series], dtype=object),
            "sample": np.arange(values.shape[1]),
            "step": np.arange(1, values.shape[2] + 1),
            "channel": np.array(table.names, dtype=object),
        }
        return Samples(values[..., order], coords)

    @property
    def decisions(self) -> list[str]:
        """What was decided about the table and the forecast."""
        return self._made.table.report.decisions + self._made.decisions

    def plot(self, path: str | Path | None = None) -> "Figure":
        """A matplotlib Figure of the first eight series: recent history, mean and intervals.

        ``path``: also write it (PNG, SVG or PDF).
        """
        figure = draw_forecast(self._made.table, self._made.frame, self._history)
        if path is not None:
            check_folder(Path(path).parent)
            write_together({Path(path): lambda partial: figure.savefig(partial, dpi=110)})
        return figure

    def to_csv(self, path: str | Path) -> list[str]:
        """Write the file that the command line writes. What is given back are the decisions about
        names that a spreadsheet would take for formulas.
        """
        check_folder(Path(path).parent)
        content = table_bytes(self._made.frame, ".csv")
        write_together({Path(path): lambda partial: partial.write_bytes(content)})
        return renamed_items(self._made.frame["item_id"])


def read_times(clock: Clock, written: pd.Series) -> pd.DatetimeIndex:
    """Times that the clock wrote, zoned wherever it knows a zone."""
    if not clock.utc and (clock.zone is None or clock.date_only):
        return pd.DatetimeIndex(pd.to_datetime(written))
    return pd.DatetimeIndex(pd.to_datetime(written, utc=True)).tz_convert(clock.zone or "UTC")
