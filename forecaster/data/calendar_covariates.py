"""What the calendar and its holidays tell of any time, as features that are known ahead."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.config.schema import Columns
from forecaster.data.calendar_features import calendar_features, calendar_groups, calendar_width
from forecaster.data.clock import Clock
from forecaster.data.holiday_features import (
    check_holidays_fit,
    check_regions,
    holiday_features,
    holiday_names,
)
from forecaster.data.intervals import Interval
from forecaster.data.layout.words import listed
from forecaster.errors import UserError


@dataclass(frozen=True)
class CalendarCovariates:
    """The ``groups`` of calendar features, and the ``regions`` whose holidays count.

    ``holidays``: the names of their features, which a later version of the package could change.
    """

    groups: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    holidays: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.groups or self.regions)

    @classmethod
    def of(cls, columns: Columns, interval: Interval) -> "CalendarCovariates":
        """Those that are asked for; raises UserError for what the interval does not have."""
        regions = columns.holidays or ()
        if regions:
            check_regions(regions)
            check_holidays_fit(interval)
        names = holiday_names(regions)
        return cls(calendar_groups(interval, columns.calendar), regions, names)

    def check(self) -> None:
        """Raise UserError if the holidays are not those of the training any more."""
        if self.regions and self.holidays != holiday_names(self.regions):
            raise UserError(
                f"the holidays of {', '.join(self.regions)} have other names than in the training "
                "(package holidays); train again, or install the version of the training"
            )

    @property
    def names(self) -> list[str]:
        """What is known, in words."""
        return [f"calendar: {group}" for group in self.groups] + [
            f"holidays: {region}" for region in self.regions
        ]

    @property
    def width(self) -> int:
        """The number of features."""
        return calendar_width(self.groups) + len(self.holidays)

    def features(self, clock: Clock, stamps: pd.DatetimeIndex) -> NDArray[np.float64]:
        """The features (n, width) of working times (n,), by the file's local clock.

        Raises UserError if it is not known: offsets that change, without a zone.
        """
        if clock.utc and clock.zone is None:
            raise UserError(
                f"{listed(self.names)}: the times' offsets from UTC change and no zone is named, "
                "so that the local hours of further times are unknown; give --timezone, such as "
                "Europe/Berlin or UTC"
            )
        local = clock.local(stamps)
        parts = [calendar_features(local, self.groups), holiday_features(local, self.regions)]
        return np.concatenate(parts, axis=1)
