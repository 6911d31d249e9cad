"""The result of ``Model.forecast``: a table, sample paths and a plot."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.data.clock import Clock
from forecaster.errors import UserError
from forecaster.inference.forecasts import TableForecast
from forecaster.io.atomic import check_file, write_together
from forecaster.io.output_tables import renamed_items, table_bytes
from forecaster.reporting.fans import MOST_INTERACTIVE, named
from forecaster.reporting.plots import check_picture, draw_forecast, is_page, write_picture
from forecaster.workflows.pictures import picture

if TYPE_CHECKING:
    from forecaster.reporting.plots import Figure


@dataclass(frozen=True)
class Samples:
    """Sample paths in the data's units, labelled as in an xarray.DataArray.

    ``values`` (item, sample, step, channel); ``coords``: for each of ``dims``. The columns of a
    wide table are channels of a single item ''.
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

    def __repr__(self) -> str:
        sizes = (f"{name}: {size}" for name, size in zip(self.dims, self.shape, strict=True))
        return f"Samples({', '.join(sizes)})"

    def sel(self, **labels: Any) -> "Samples":
        """The paths at a label of each given dimension, which is dropped, such as ``step=1``."""
        values, coords = self.values, dict(self.coords)
        for name, label in labels.items():
            axis = list(coords).index(_known("dimension", name, coords))
            place = coords[name].tolist().index(_known(name, label, coords.pop(name)))
            values = np.take(values, np.intp(place), axis=axis)
        return Samples(values, coords)

    def to_xarray(self) -> Any:
        """An xarray.DataArray; xarray is not among the dependencies."""
        try:
            import xarray  # type: ignore[import-not-found,unused-ignore]
        except ImportError as error:
            raise UserError("to_xarray: xarray is missing; pip install xarray") from error
        return xarray.DataArray(self.values, self.coords, self.dims)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)


@dataclass(frozen=True)
class Forecast:
    """A forecast of the values after a table's end.

    >>> import forecaster
    >>> model = forecaster.train("datasets/seattle_weather.csv", model="quantile-linear",
    ...     horizon=3, lookback=14, settings={"trainer.max_steps": 2}, tracking=False)
    >>> forecast = model.forecast("datasets/seattle_weather.csv", quantiles=[0.1, 0.9])
    >>> list(forecast.frame.columns)
    ['item_id', 'timestamp', 'mean', 'median', '0.1', '0.9']
    >>> len(forecast.frame), forecast.frame.timestamp[0]
    (12, Timestamp('2016-01-01 00:00:00'))
    """

    _forecast: TableForecast
    _channels: tuple[str, ...]
    _name: str

    def __repr__(self) -> str:
        days = self._forecast.frame["timestamp"]
        ends = "" if days.empty else f", {days.iloc[0]} to {days.iloc[-1]}"
        return f"Forecast('{self._name}', {len(days)} rows{ends})"

    @property
    def frame(self) -> pd.DataFrame:
        """A row for each series and step: ``item_id, timestamp, mean``, and quantiles by level.

        With ``median`` beside ``mean`` where that is the point forecast.
        Series are in the table's order, times on its clock.
        """
        frame = self._forecast.frame
        return frame.assign(timestamp=read_times(self._forecast.table.clock, frame["timestamp"]))

    @property
    def samples(self) -> Samples | None:
        """The sample paths of the series that the model forecasts; None in point mode and for
        quantile models.
        """
        from gluonts.model.forecast import SampleForecast

        table = self._forecast.table
        paths = {
            series.item_id or "": each.samples.reshape(*each.samples.shape[:2], -1)
            for series, each in zip(table.series, self._forecast.series, strict=True)
            if isinstance(each, SampleForecast)
        }
        if self._forecast.request.mode == "point" or not paths:
            return None
        order = [self._channels.index(name) for name in table.names]
        values = np.stack([*paths.values()])
        coords = {
            "item": np.array([*paths], dtype=object),
            "sample": np.arange(values.shape[1]),
            "step": np.arange(1, values.shape[2] + 1),
            "channel": np.array(table.names, dtype=object),
        }
        return Samples(values[..., order], coords)

    @property
    def decisions(self) -> list[str]:
        """The decisions about the table and the forecast."""
        return self._forecast.table.report.decisions + self._forecast.decisions

    def plot(
        self, path: str | Path | None = None, series: str | Sequence[str] | None = None
    ) -> "Figure":
        """A matplotlib Figure: recent history, forecast, and intervals of 50, 80 and 95 %.

        ``series``: the names of those to draw (None: the twelve with the largest errors). ``path``:
        also write it (PNG, SVG or PDF), or a page to explore (HTML, of up to a hundred series).
        """
        place = None if path is None else Path(path)
        if place is not None:
            check_picture(place, interactive=True, option="plot:")
            check_file(place, option="plot:")
        labels = self._forecast.table.labels
        wanted = None if series is None else named(series, labels, "plot: series")
        drawn = picture(self._forecast, wanted)
        if place is not None:
            page = picture(self._forecast, wanted, MOST_INTERACTIVE) if is_page(place) else drawn
            write_together({place: lambda partial: write_picture(partial, page)})
        return draw_forecast(drawn)

    def to_csv(self, path: str | Path) -> list[str]:
        """Write the command line's CSV file.

        Returns the decisions about names that a spreadsheet would interpret as formulas.
        """
        check_file(Path(path), (".csv",), option="to_csv:")
        content = table_bytes(self._forecast.frame, ".csv")
        write_together({Path(path): lambda partial: partial.write_bytes(content)})
        return renamed_items(self._forecast.frame["item_id"])


def _known(kind: str, value: Any, among: Iterable[Any]) -> Any:
    labels = among.tolist() if isinstance(among, np.ndarray) else list(among)
    if value not in labels:
        raise UserError(f"sel: no {kind} {short(value)}; there are {short(labels)}")
    return value


def read_times(clock: Clock, texts: pd.Series) -> pd.DatetimeIndex:
    """Parse times that the clock wrote, with its zone if it has one."""
    if not clock.utc and (clock.zone is None or clock.date_only):
        return pd.DatetimeIndex(pd.to_datetime(texts))
    return pd.DatetimeIndex(pd.to_datetime(texts, utc=True)).tz_convert(clock.zone or "UTC")
