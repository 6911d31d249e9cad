"""The options about a file's columns, for every command that reads one."""

from typing import get_args

import click

from forecaster.commands.options import names, options_of
from forecaster.config.choices import Aggregate, MissingColumn, OnDead, OnShort, TableLayout

static_file_option = click.option(
    "--static-file",
    type=click.Path(),
    metavar="FILE",
    help="Such covariates in a file of their own: the item first, a row an item.",
)
# by their name in ``Columns``
_OPTIONS = {
    "header": click.option(
        "--header/--no-header",
        default=None,
        help="Whether the file begins with a line of names (default: it does).",
    ),
    "layout": click.option(
        "--layout",
        type=click.Choice(get_args(TableLayout)),
        help="How the table stands (default: found, or asked for).",
    ),
    "timestamp": click.option(
        "--timestamp",
        metavar="COL[,COL…]",
        help="The time column, or columns: Date,Time; year,month,day,hour.",
    ),
    "target": click.option(
        "--target", metavar="COL[,COL…]", callback=names, help="The value columns."
    ),
    "item_id": click.option(
        "--item-id",
        metavar="COL[,COL…]",
        callback=names,
        help="The columns that name the series (long files).",
    ),
    "decimal": click.option(
        "--decimal",
        type=click.Choice([".", ","]),
        help="The decimal mark (default: the one that the numbers prove).",
    ),
    "thousands": click.option(
        "--thousands",
        type=click.Choice([",", ".", "'", "space"]),
        help="The mark between thousands (default: the one that the numbers prove).",
    ),
    "missing": click.option(
        "--missing",
        metavar="CODE[,CODE…]",
        callback=names,
        help="Further texts or numbers that stand for a missing value, e.g. -200,-999.",
    ),
    "freq": click.option(
        "--freq", help="The interval, e.g. 15min, h, D, B, W-MON, MS, ME, QE-DEC."
    ),
    "calendar_of": click.option(
        "--calendar-of",
        metavar="EXCHANGE",
        help="Rows are the trading days of an exchange, e.g. XNYS.",
    ),
    "timezone": click.option("--timezone", help="The zone of local times, e.g. Europe/Berlin."),
    "date_format": click.option(
        "--date-format",
        metavar="FORMAT",
        help="How dates are written: dmy, mdy, ymd, or as of strptime, e.g. %d.%m.%Y.",
    ),
    "locale": click.option(
        "--locale", metavar="LANG", help="The language of names of months, e.g. de."
    ),
    "snap": click.option(
        "--snap", metavar="STEP", help="Move times to the nearest step, e.g. 10min."
    ),
    "resample": click.option(
        "--resample", metavar="STEP", help="Put the rows of each step together, e.g. h, D, MS."
    ),
    "aggregate": click.option(
        "--aggregate",
        type=click.Choice(get_args(Aggregate)),
        help="What the rows of a step (--resample, --freq) or a time become.",
    ),
    "on_gap": click.option(
        "--on-gap",
        type=click.Choice(["error", "fill", "zero"]),
        help="Missing times: refuse, or take as missing values or as 0.",
    ),
    "on_duplicate": click.option(
        "--on-duplicate",
        type=click.Choice(["error", "first", "last", "mean"]),
        help="Repeated times.",
    ),
}
_OPTIONS |= {
    "on_short": click.option(
        "--on-short",
        type=click.Choice(get_args(OnShort)),
        help="Series too short: refuse, pad their history (train), skip, forecast without the "
        "model, or drop.",
    ),
    "on_dead": click.option(
        "--on-dead",
        type=click.Choice(get_args(OnDead)),
        help="Series without a value in what is read: refuse; skip, or forecast without the "
        "model, and likewise those that are constant.",
    ),
    "missing_column": click.option(
        "--missing-column",
        type=click.Choice(get_args(MissingColumn)),
        help="A column of the model that the file lacks: refuse, or mask.",
    ),
    "align": click.option(
        "--align",
        type=click.Choice(["end"]),
        help="End all series at the last time that they have in common.",
    ),
}
_OPTIONS |= {
    "known": click.option(
        "--known",
        metavar="COL[,COL…]",
        callback=names,
        help="Covariates that are known ahead, such as prices; rows below the last value are the "
        "future.",
    ),
    "past": click.option(
        "--past",
        metavar="COL[,COL…]",
        callback=names,
        help="Covariates of the history alone, such as measured weather.",
    ),
    "static": click.option(
        "--static",
        metavar="COL[,COL…]",
        callback=names,
        help="Covariates that are the same in all rows of a series, such as its region.",
    ),
    "static_file": static_file_option,
    "calendar": click.option(
        "--calendar",
        metavar="GROUP[,GROUP…]",
        help="Features of the calendar: auto (if better on validation), none, or hour, weekday, …",
    ),
    "holidays": click.option(
        "--holidays",
        metavar="REGION[,REGION…]",
        callback=names,
        help="Holidays of countries or parts of them, e.g. DE,US-CA.",
    ),
    "prior_column": click.option(
        "--prior-column",
        metavar="COL[,COL…]",
        callback=names,
        help="A forecast of your own for each value column, of past rows and of those to forecast.",
    ),
    "categorical": click.option(
        "--categorical",
        metavar="COL[,COL…]",
        callback=names,
        help="Those of the covariates whose numbers are codes, such as a store's.",
    ),
}
COLUMNS = tuple(_OPTIONS)
column_options = options_of(*_OPTIONS.values())
