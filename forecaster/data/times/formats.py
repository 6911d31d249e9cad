"""``--date-format``: which styles of dates it allows, and how messages name one."""

import re

import pandas as pd

from forecaster.data.times.numeric_times import KINDS
from forecaster.data.times.styles import HALF_YEAR, ISO_WEEK, QUARTER, STYLES
from forecaster.errors import UserError

ORDERS = ("dmy", "mdy", "ymd")
_CODES = {"%d": "d", "%m": "m", "%b": "m", "%Y": "y", "%y": "y"}
_TIMED = re.compile(r"%[HIMSpfzZTRXc]")


def check_format(given: str) -> None:
    """Raise UserError unless it is an order, a style or a strptime format of dates."""
    if given in (*ORDERS, *STYLES, *KINDS):
        return
    valid = bool(re.search(r"%[YyGcxD]", given))
    try:
        pd.to_datetime(["2020"], format=given, errors="coerce")
    except (ValueError, re.error):
        valid = False
    if not valid:
        raise UserError(
            f"--date-format {given}: no such format; give dmy, mdy or ymd, a format as of strptime "
            f"(%d.%m.%Y), or one of {', '.join((HALF_YEAR, QUARTER, ISO_WEEK, *KINDS))}"
        )


def is_own(given: str) -> bool:
    """Whether it is a strptime format of the user's, to be read as it stands."""
    return given not in (*ORDERS, *STYLES, *KINDS)


def has_time(given: str) -> bool:
    """Whether a strptime format tells a time of day."""
    return _TIMED.search(given) is not None


def allowed(given: str) -> list[str]:
    """The styles of ``STYLES`` that a format allows."""
    return [style for style in STYLES if given in {style, order_of(style)}]


def order_of(style: str) -> str:
    """The order of day, month and year in a style: ``dmy``; '' for other kinds of style."""
    return "".join(_CODES.get(code, "") for code in re.findall(r"%[a-zA-Z]", style))


def option_for(style: str, rivals: list[str]) -> str:
    """The shortest ``--date-format`` that tells a style from its rivals."""
    order = order_of(style)
    if order in ORDERS and [order_of(rival) for rival in rivals].count(order) == 1:
        return order
    return style
