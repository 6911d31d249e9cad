"""Features of holidays on days that everybody knows."""

import numpy as np
import pandas as pd
import pytest

from forecaster.data.holiday_features import (
    check_holidays_fit,
    check_regions,
    holiday_features,
    holiday_names,
)
from forecaster.data.intervals import Interval
from forecaster.errors import UserError


def feature(name: str, times: pd.DatetimeIndex | list[str]) -> list[float]:
    """One column of the features of a region, by its name."""
    region = name.partition(":")[0]
    rows = holiday_features(pd.DatetimeIndex(times), [region])
    return rows[:, holiday_names([region]).index(name)].tolist()


def days_of(name: str, first: str, last: str) -> list[str]:
    days = pd.date_range(first, last, freq="D")
    column = np.array(feature(name, days))
    assert set(column) <= {0, 1}
    return days[column == 1].strftime("%Y-%m-%d").tolist()


def test_thanksgiving() -> None:
    assert days_of("US: Thanksgiving Day", "2021-01-01", "2024-12-31") == [
        "2021-11-25",
        "2022-11-24",
        "2023-11-23",
        "2024-11-28",
    ]


def test_easter_monday() -> None:
    assert days_of("DE: Easter Monday", "2022-01-01", "2024-12-31") == [
        "2022-04-18",
        "2023-04-10",
        "2024-04-01",
    ]


def test_an_observed_day_counts_as_its_holiday_in_the_year_before_too() -> None:
    """4 July 2021 was a Sunday, 1 January 2022 a Saturday."""
    assert days_of("US: Independence Day", "2021-01-01", "2021-12-31") == [
        "2021-07-04",
        "2021-07-05",
    ]
    assert days_of("US: New Year's Day", "2021-12-01", "2022-01-31") == ["2021-12-31", "2022-01-01"]


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("TR: Eid al-Fitr", "2040-10-08"),  # estimated
        ("MY: Eid al-Fitr", "2028-02-29"),  # observed, estimated
        ("GG: Christmas Day", "2021-12-27"),  # substitute day
        ("TH: National Day", "2020-12-07"),  # in lieu
        ("KR: Liberation Day", "2021-08-16"),  # alternative holiday for
        ("AO: Liberation Movement Day", "2021-02-05"),  # day off for
    ],
)
def test_so_does_one_in_lieu_and_one_that_the_moon_may_move(name: str, day: str) -> None:
    assert feature(name, [day]) == [1]


def test_a_part_of_a_country_has_holidays_of_its_own() -> None:
    germany, bavaria = (
        {name.partition(": ")[2] for name in holiday_names([region])} for region in ("DE", "DE-BY")
    )
    assert bavaria - germany == {"Epiphany", "Corpus Christi", "All Saints' Day"}
    assert germany < bavaria
    days = ["2024-01-06", "2024-05-30", "2024-11-01", "2024-10-03", "2024-10-04"]
    assert feature("DE: holiday", days) == [0, 0, 0, 1, 0]
    assert feature("DE-BY: holiday", days) == [1, 1, 1, 1, 0]


def test_days_to_the_nearest_are_negative_before_and_positive_after() -> None:
    """Around 3 October 2024, the only holiday in Germany within months."""
    days = pd.date_range("2024-09-24", "2024-10-12", freq="D")
    expected = np.clip(np.arange(-9, 10), -7, 7) / 7
    assert feature("DE: distance", days) == expected.tolist()


def test_of_two_that_are_as_near_the_coming_one_counts() -> None:
    """29 December is three days after the second day of Christmas, and three before the new year."""
    days = ["2024-12-24", "2024-12-25", "2024-12-26", "2024-12-28", "2024-12-29", "2024-12-30"]
    distances = feature("DE: distance", days)
    np.testing.assert_allclose(distances, np.array([-1, 0, 0, 2, -3, -2]) / 7)


def test_a_day_keeps_its_features_whatever_other_days_are_asked_for() -> None:
    days = pd.date_range("2023-12-01", "2024-04-15", freq="D")
    together = holiday_features(days, ["US-CA", "DE"])
    alone = [holiday_features(days[[i]], ["US-CA", "DE"]) for i in range(len(days))]
    np.testing.assert_array_equal(together, np.vstack(alone))
    np.testing.assert_array_equal(together[::-1], holiday_features(days[::-1], ["US-CA", "DE"]))


def test_all_times_of_a_day_are_alike() -> None:
    hours = pd.date_range("2024-12-23 00:00", "2024-12-27 23:45", freq="15min")
    days = pd.date_range("2024-12-23", "2024-12-27", freq="D")
    np.testing.assert_array_equal(
        holiday_features(hours, ["DE"]), np.repeat(holiday_features(days, ["DE"]), 96, axis=0)
    )
    assert feature("DE: holiday", days) == [0, 0, 1, 1, 0]


def test_regions_stand_side_by_side_in_their_order() -> None:
    days = pd.date_range("2024-01-01", "2024-12-31", freq="D")
    regions = ["US-CA", "DE", "JP"]
    assert holiday_names(regions) == sum((holiday_names([each]) for each in regions), ())
    rows = holiday_features(days, regions)
    assert rows.dtype == np.float64
    assert rows.shape == (366, len(holiday_names(regions)))
    np.testing.assert_array_equal(
        rows, np.hstack([holiday_features(days, [each]) for each in regions])
    )
    assert holiday_features(days, []).shape == (366, 0)
    assert holiday_features(days[:0], regions).shape == (0, rows.shape[1])


def test_names_are_sorted_and_those_of_a_few_years_are_left_out() -> None:
    """500 years of the Reformation were a holiday in all of Germany, once."""
    assert days_of("DE: holiday", "2017-10-30", "2017-11-01") == ["2017-10-31"]
    assert holiday_names(["DE"]) == (
        "DE: holiday",
        "DE: distance",
        "DE: Ascension Day",
        "DE: Christmas Day",
        "DE: Easter Monday",
        "DE: German Unity Day",
        "DE: Good Friday",
        "DE: Labor Day",
        "DE: New Year's Day",
        "DE: Pentecost Monday",
        "DE: Second Day of Christmas",
    )


def test_a_name_is_had_that_occurs_in_just_half_of_the_years() -> None:
    """Of 2015 to 2034: Showa Day since 2007, Sports Day since 2020, Mountain Day since 2016."""
    named = holiday_names(["JP"])
    assert {"JP: Showa Day", "JP: Mountain Day", "JP: Sports Day"} <= set(named)
    assert "JP: Physical Education Day" not in named  # until 2019
    assert "US: Juneteenth National Independence Day" in holiday_names(["US"])  # since 2021
    of_victoria = holiday_names(["AU-VIC"])
    assert "AU-VIC: King's Birthday" in of_victoria  # since 2023
    assert "AU-VIC: Queen's Birthday" not in of_victoria


@pytest.mark.parametrize("variable", ["LANG", "LANGUAGE", "LC_ALL"])
def test_names_do_not_depend_on_the_locale(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from forecaster.data import holiday_features as module

    names = holiday_names(["FR", "NZ"])
    module._holidays.cache_clear()
    monkeypatch.setenv(variable, "fr")
    assert holiday_names(["FR", "NZ"]) == names
    assert "FR: Christmas Day" in names


@pytest.mark.parametrize(
    ("region", "year", "first", "last"),
    [("IN", 2000, 2001, 2035), ("IN", 2036, 2001, 2035), ("DE", 1990, 1991, 2100)],
)
def test_years_whose_holidays_are_unknown_are_refused(
    region: str, year: int, first: int, last: int
) -> None:
    with pytest.raises(UserError) as caught:
        holiday_features(pd.DatetimeIndex([f"{year}-06-01", "2024-06-01"]), [region])
    assert str(caught.value) == (
        f"--holidays {region}: its holidays are known from {first} to {last}, not in {year}; leave "
        f"{region} out"
    )
    holiday_features(pd.DatetimeIndex([f"{first}-01-01", f"{last}-12-31"]), [region])


def test_known_regions_pass() -> None:
    check_regions(["DE", "DE-BY", "US-CA", "GB-SCT", "FR-Zone A"])
    check_regions([])


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        (["DE", "us"], "--holidays us: no country 'us' (did you mean 'US'?); "),
        (["Germny"], "--holidays Germny: no country 'Germny' (did you mean 'DE'?); "),
        (["United States"], "no country 'United States' (did you mean 'US'?); "),
        (["UK"], "--holidays UK: no country 'UK' (did you mean 'GB'?); "),
        (["XX-1"], "no country 'XX'; give the two letters of ISO 3166, such as DE, or US-CA"),
        ([""], "--holidays : no country ''; "),
        (
            ["GB-CA"],
            "--holidays GB-CA: GB has no part 'CA'; its parts are 'ENG', 'NIR', 'SCT', 'WLS'",
        ),
        (["GB-"], "--holidays GB-: GB has no part ''; its parts are 'ENG'"),
        (["AQ-1"], "--holidays AQ-1: AQ has no part '1'; it has no parts"),
        (["BV"], "--holidays BV: it has no holidays; leave it out"),
        (["DE", "FR", "DE"], "--holidays: DE is named twice; name it once"),
    ],
)
def test_unknown_regions_are_told(regions: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        check_regions(regions)
    assert message in str(caught.value)


@pytest.mark.parametrize("alias", ["15min", "h", "D", "B", "24h"])
def test_steps_of_a_day_or_less_have_holidays(alias: str) -> None:
    check_holidays_fit(Interval(alias))


@pytest.mark.parametrize("alias", ["2D", "36h", "W-MON", "MS", "BQE-DEC"])
def test_longer_steps_have_none(alias: str) -> None:
    with pytest.raises(UserError) as caught:
        check_holidays_fit(Interval(alias))
    assert str(caught.value) == (
        f"--holidays is for steps of a day or less, and these are of {alias}; leave --holidays out"
    )
