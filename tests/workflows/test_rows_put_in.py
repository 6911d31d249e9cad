"""A shop closed on Sundays, with a known price: its Sundays to come are those of its history."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Cli

SUNDAY = 6
TAKEN = "taken as those of the history that --on-gap zero puts in"


def days(first: str, count: int, closed: tuple[str, ...] = ()) -> pd.DatetimeIndex:
    found = pd.date_range(first, periods=count)
    return found[(found.weekday != SUNDAY) & ~found.isin(pd.DatetimeIndex(closed))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cli: Cli) -> Path:
    """A model of 500 days up to Saturday, 2024-05-18, with a price that changes every day."""
    path, random = tmp_path_factory.mktemp("shop"), np.random.default_rng(5)
    open_on = days("2023-01-05", 500)
    price = (10 + random.normal(size=len(open_on))).round(2)  # often as it is on average
    sales = 150 - 5 * price + 3 * open_on.weekday + random.normal(size=len(open_on))
    history = pd.DataFrame({"date": open_on, "sales": sales.round(2), "price": price})
    history.to_csv(path / "shop.csv", index=False)
    given = ("--csv", path / "shop.csv", "--target", "sales", "--known", "price")
    data = (*given, "--on-gap", "zero", "--horizon", 14, "--lookback", 28)
    few = ("--refit", "none", "--set", "trainer.max_epochs=20")
    cli("train", "nlinear", *data, *few, "--output", path / "model")
    return path


def forecast(cli: Cli, folder: Path, future: pd.DatetimeIndex | None, status: int = 0):
    """The mean by the day, and what is said on standard error."""
    rest = ()
    if future is not None:
        pd.DataFrame({"date": future, "price": 10.0}).to_csv(folder / "future.csv", index=False)
        rest = ("--future", folder / "future.csv")
    data = ("--model", folder / "model", "--csv", folder / "shop.csv")
    done = cli("forecast", *data, *rest, "--output", folder / "out.csv", status=status)
    if status:
        return None, done.stderr
    found = pd.read_csv(folder / "out.csv", parse_dates=["timestamp"])
    return found.set_index("timestamp")["mean"], done.stderr


def test_the_template_filled_in_forecasts_sundays_near_nothing(cli: Cli, folder: Path) -> None:
    data = ("--model", folder / "model", "--csv", folder / "shop.csv")
    done = cli("forecast", *data, "--template", folder / "wanted.csv")
    assert done.stdout == (
        f"{folder / 'wanted.csv'}: 12 rows to be filled in, for --future, without 2 at times at "
        "which the history has none\n"
    )
    wanted = pd.read_csv(folder / "wanted.csv", parse_dates=["date"])["date"]
    mean, said = forecast(cli, folder, pd.DatetimeIndex(wanted))
    assert f"2 row(s) of the future are not there, first 2024-05-19: {TAKEN}" in said
    assert len(mean) == 14
    sundays = mean.index.weekday == SUNDAY
    assert np.abs(mean[sundays]).max() < 15
    assert mean[~sundays].min() > 85
    assert mean[~sundays].max() < 130


def test_a_closed_day_is_a_row_left_out(cli: Cli, folder: Path) -> None:
    """A Thursday without a row between others; the other days stay as they were."""
    whole, _ = forecast(cli, folder, days("2024-05-19", 14))
    mean, said = forecast(cli, folder, days("2024-05-19", 14, ("2024-05-23",)))
    assert f"3 row(s) of the future are not there, first 2024-05-19: {TAKEN}" in said
    assert mean["2024-05-23"] < 0.3 * whole["2024-05-23"]


def test_a_row_on_a_sunday_is_said(cli: Cli, folder: Path) -> None:
    mean, said = forecast(cli, folder, pd.date_range("2024-05-19", periods=14))
    assert (
        "2 row(s) of the future are at times at which the history has none, first 2024-05-19: "
        "forecast like the others; leave them out where nothing is to come"
    ) in said
    assert TAKEN not in said
    assert mean.min() > 70


def test_the_remedy_for_a_last_day_without_a_row_works(cli: Cli, folder: Path) -> None:
    """A closed Saturday at the end: with the first day after it."""
    short = days("2024-05-19", 14, ("2024-06-01",))
    _, said = forecast(cli, folder, short, status=1)
    assert "; of times without a row to come, the first row after them says so\n" in said
    mean, _ = forecast(cli, folder, short.append(pd.DatetimeIndex(["2024-06-03"])))
    assert abs(mean["2024-06-01"]) < 15


def test_a_future_that_begins_too_late_is_refused(cli: Cli, folder: Path) -> None:
    _, said = forecast(cli, folder, days("2024-06-10", 14), status=1)
    assert (
        f"error: {folder / 'shop.csv'} with --future {folder / 'future.csv'}: column 'price' is "
        "blank at 2024-05-20"
    ) in said


def test_a_blank_row_of_a_closed_day_is_to_be_left_out(cli: Cli, folder: Path) -> None:
    every = pd.DataFrame({"date": pd.date_range("2024-05-19", periods=14), "price": 10.0})
    every.loc[every["date"].dt.weekday == SUNDAY, "price"] = np.nan
    every.to_csv(folder / "future.csv", index=False)
    data = ("--model", folder / "model", "--csv", folder / "shop.csv")
    given = (*data, "--future", folder / "future.csv", "--output", folder / "out.csv")
    said = cli("forecast", *given, status=1).stderr
    assert said.endswith(
        "column 'price' is blank at 2024-05-19 and 1 more of the 14 rows to forecast, which the "
        "model needs; fill it in, or leave the row out where nothing is to come\n"
    )
    every.dropna().to_csv(folder / "future.csv", index=False)
    cli("forecast", *given)


def test_a_sunday_alone_needs_no_future(cli: Cli, folder: Path) -> None:
    """What the refusal of a template names works: no row of the future has to be there."""
    few = ("--refit", "none", "--set", "trainer.max_epochs=20")
    data = ("--csv", folder / "shop.csv", "--target", "sales", "--known", "price")
    given = (*data, "--on-gap", "zero", "--horizon", 1, "--lookback", 28)
    cli("train", "nlinear", *given, *few, "--output", folder / "one")
    data = ("--model", folder / "one", "--csv", folder / "shop.csv")
    said = cli("forecast", *data, "--template", folder / "none.csv", status=1).stderr
    assert said.endswith("; forecast without --future\n")
    cli("forecast", *data, "--output", folder / "sunday.csv")
    assert abs(pd.read_csv(folder / "sunday.csv")["mean"].item()) < 15


def test_a_model_that_has_learnt_from_no_such_row_asks_for_all(cli: Cli, folder: Path) -> None:
    """Trained on missing values, it is given a history with rows of 0."""
    few = ("--refit", "none", "--set", "trainer.max_epochs=1")
    data = ("--csv", folder / "shop.csv", "--target", "sales", "--known", "price")
    given = (*data, "--on-gap", "fill", "--horizon", 14, "--lookback", 28)
    cli("train", "nlinear", *given, *few, "--output", folder / "filled")
    data = ("--model", folder / "filled", "--csv", folder / "shop.csv", "--on-gap", "zero")
    open_on = pd.DataFrame({"date": days("2024-05-19", 14), "price": 10.0})
    open_on.to_csv(folder / "open.csv", index=False)
    done = cli("forecast", *data, "--future", folder / "open.csv", status=1)
    assert "column 'price' is blank at 2024-05-19" in done.stderr


def test_open_days_without_rows_are_asked_for(cli: Cli, folder: Path) -> None:
    _, said = forecast(cli, folder, days("2024-05-19", 10), status=1)
    assert "add those from 2024-05-29 to 2024-06-01 with the values left blank" in said
    _, said = forecast(cli, folder, None, status=1)
    assert (
        "add those from 2024-05-20 to 2024-06-01 but for those at times at which the history has "
        "none, such as 2024-05-26, with the values left blank"
    ) in said
