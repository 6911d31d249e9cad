"""Covariates of the holidays of countries and their subdivisions, by the package holidays."""

import difflib
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.data.calendar_features import least_step
from forecaster.data.intervals import Interval
from forecaster.data.layout.words import listed
from forecaster.errors import UserError

_YEARS = range(1900, 2101)  # that are looked up, as far as the package knows them
_USUAL = range(2015, 2035)  # a name has a feature if it occurs in half of these
_NEAR = 7  # days
_FAR = 10**6  # days
# what a name has more on a day that stands for the holiday, or that a lunar calendar may yet move
_STAND_IN = re.compile(
    r"^(Alternative holiday|Day off) for "
    r"| \((observed|estimated|observed, estimated|in lieu|substitute day)\)$"
)

Array = NDArray[np.float64]
Days = NDArray[np.int64]  # since 1970


@dataclass(frozen=True)
class _Holidays:
    """The holidays of a region in its known years; ``named``: those of each usual name."""

    years: frozenset[int]
    days: Days
    named: Mapping[str, Days]


def check_regions(regions: Sequence[str]) -> None:
    """Raise UserError for an unknown country or subdivision, or one that is named twice."""
    for region, count in Counter(regions).items():
        _check_region(region)
        if count > 1:
            raise UserError(f"--holidays: {region} is named twice; name it once")
        if not len(_holidays(region).days):
            raise UserError(f"--holidays {region}: it has no holidays; leave it out")


def check_holidays_fit(interval: Interval) -> None:
    """Raise UserError for steps longer than a day."""
    if least_step(interval) > pd.Timedelta(days=1):
        raise UserError(
            f"--holidays is for steps of a day or less, and these are of {interval.alias}; leave "
            "--holidays out"
        )


def holiday_names(regions: Sequence[str]) -> tuple[str, ...]:
    """The names of the features, which depend on the regions alone."""
    return tuple(
        f"{region}: {name}"
        for region in regions
        for name in ("holiday", "distance", *_holidays(region).named)
    )


def holiday_features(stamps: pd.DatetimeIndex, regions: Sequence[str]) -> Array:
    """The features (n, F) of the days of local wall-clock times.

    Of each region: 1 on a holiday, the distance to the nearest one in weeks, from -1 before to 1
    after it, and 1 on the days of each name. Raises UserError for years whose holidays are unknown.
    """
    days = stamps.to_numpy().astype("M8[D]").astype(np.int64)
    unique, places = np.unique(days, return_inverse=True)
    columns = [column for region in regions for column in _columns(unique, region)]
    return np.stack(columns, axis=1)[places] if columns else np.empty((len(stamps), 0))


def _columns(days: Days, region: str) -> Iterator[Array]:
    known = _holidays(region)
    years = days.astype("M8[D]").astype("M8[Y]").astype(int) + 1970
    if unknown := set(years.tolist()) - known.years:
        raise UserError(
            f"--holidays {region}: its holidays are known from {min(known.years)} to "
            f"{max(known.years)}, not in {min(unknown)}; leave {region} out"
        )
    yield np.isin(days, known.days).astype(np.float64)
    yield _distances(days, known.days)
    for named in known.named.values():
        yield np.isin(days, named).astype(np.float64)


def _distances(days: Days, holidays: Days) -> Array:
    """The days since the nearest holiday; of two that are as near, the coming one counts."""
    framed = np.concatenate([[-_FAR], holidays, [_FAR]])
    following = np.searchsorted(framed, days)
    since, until = days - framed[following - 1], framed[following] - days
    return np.clip(np.where(since < until, since, -until), -_NEAR, _NEAR) / _NEAR


@cache
def _holidays(region: str) -> _Holidays:
    by_year = _by_year(region)
    named: dict[str, set[date]] = {}
    years: Counter[str] = Counter()
    for year, names_of in by_year.items():
        for day, names in names_of.items():
            for name in names:
                named.setdefault(name, set()).add(day)
        if year in _USUAL:
            years.update(set().union(*names_of.values()))
    least = len(by_year.keys() & set(_USUAL)) / 2
    usual = sorted(name for name, count in years.items() if count >= least)
    return _Holidays(
        years=frozenset(by_year),
        days=_numbers(day for names_of in by_year.values() for day in names_of),
        named={name: _numbers(named[name]) for name in usual},
    )


def _by_year(region: str) -> dict[int, dict[date, list[str]]]:
    """The names of each holiday, of the years in which all are known."""
    import holidays

    country, _, place = region.partition("-")
    kind = holidays.country_holidays(country)
    found: dict[int, dict[date, list[str]]] = {}
    for year in range(max(_YEARS[0], kind.start_year), min(_YEARS[-1], kind.end_year) + 1):
        try:
            with warnings.catch_warnings():  # of holidays that are not known in all years
                warnings.simplefilter("error", UserWarning)
                those = holidays.country_holidays(
                    country, subdiv=place or None, years=year, language="en_US"
                )
        except UserWarning:
            continue
        found[year] = {day: [_STAND_IN.sub("", n) for n in those.get_list(day)] for day in those}
    return found


def _numbers(days: Iterator[date] | set[date]) -> Days:
    return np.array(sorted(days), dtype="M8[D]").astype(np.int64)


def _check_region(region: str) -> None:
    import holidays

    country, dash, place = region.partition("-")
    known = holidays.list_supported_countries(include_aliases=False)
    if country not in known:
        raise UserError(
            f"--holidays {region}: no country {country!r}{_meant(country)}; give the two letters "
            "of ISO 3166, such as DE, or US-CA for a part of it"
        )
    if dash and place not in known[country]:
        parts = f"its parts are {listed(known[country])}" if known[country] else "it has no parts"
        raise UserError(f"--holidays {region}: {country} has no part {place!r}; {parts}")


def _meant(country: str) -> str:
    """The code of the country whose name or other code is nearest, as a suggestion."""
    from holidays.registry import COUNTRIES

    codes = {
        spelling.lower().replace(" ", "_"): code
        for name, (_, code, *others) in COUNTRIES.items()
        for spelling in (name, code, *others)
    }
    wanted = country.strip().lower().replace(" ", "_")
    close = difflib.get_close_matches(wanted, codes, n=1, cutoff=0.8)
    return f" (did you mean '{codes[close[0]]}'?)" if close else ""
