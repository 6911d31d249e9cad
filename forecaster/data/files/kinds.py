"""Of what kind a cell of a file is, as far as its letters tell."""

import re
from typing import Literal

from forecaster.data.marks import is_number, with_unit
from forecaster.data.missing import is_missing

Kind = Literal["blank", "plain", "measure", "text"]

_MONTHS = "jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz]"
_TIME = re.compile(
    r"(?:\d{1,4}[-/.]\d{1,4}(?:[-/.]\d{1,4})?|\d{8}(?=[T ]))(?:[T ][^,;|\t]*)?\.?"
    r"|\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s?[ap]\.?m\.?)?"
    r"|\d{4}[- :]?[QMWHS]\d{1,2}(?:-\d)?|[QWH]\d{1,2}[-/ :]?\d{4}"
    rf"|(?:[a-z]{{2,9}},? )?(?:\d{{1,2}}[-./ ]*)?(?:{_MONTHS})\w{{0,6}}\.?[-./, ]*\d{{1,4}}\b"
    r"(?:, ?\d{4})?[^,;|\t]*",
    re.IGNORECASE,
)
# names of columns: 2015, 201503, 20150331
_NUMERIC_TIME = re.compile(r"(?:1[5-9]|2[0-2])\d\d(?:(?:0[1-9]|1[0-2])(?:[0-3]\d)?)?")
# what programs put before a time that is to be a name
_DECORATED = (re.compile(r"[XY_](\d.*)"), re.compile(r"(\d{4}) \[YR\1\]"))
# what stands in a line of units: [kW], (°C), %, m/s, kWh, yyyy-mm-dd, UTC
_UNIT = re.compile(
    r"[\[(].{1,20}[\])]|-|[°%‰$€£¥µμΩ].{0,8}|.{0,8}[°%‰$€£µμ²³]|[kMGTmµ]?(?:Wh?|V|A|VA|Pa|J|Hz|bar)"
    r"|[kcm]?m(?:\^?[23])?|[kmg]?g|t|l|h|hrs?|s|sec|min|d|days?|deg(?:rees?)?|deg ?[CF]|[CFK]|ppm"
    r"|ppb|inches|in|ft|mph|knots?|kts?|hPa|mbar|mmHg|[a-zA-Zµ]{1,6}[23²³]?/[a-zA-Z0-9²³]{1,6}"
    r"|units?|count|number|text|string|float|int(?:eger)?|date(?:time)?|timestamp|utc|local"
    r"|[ymdhs]{1,4}(?:[-./: ]+[ymdhs]{1,4})+.*|EUR|USD|GBP|pcs|stk",
    re.IGNORECASE,
)
# what a line above the rows says of each column, in the place of the time
_ABOUT = re.compile(
    r"(?:pre)?units?(?: of measure(?:ment)?)?|unit multiplier|einheit|multiplikator|unité|unidad|"
    r"stand(?: vom)?|last updated?|release date|next release|important notes|notes?|comments?|"
    r"source(?: dataset id)?|cdid|freq(?:uency)?|seasonal adjustment",
    re.IGNORECASE,
)
_FORMAT = re.compile(r"\d{1,3}[snd]")  # 15s, 20d: of texts, numbers and dates
# of lines that sum up others, at the beginning of a cell, in any case
_LABEL_WORDS = (
    r"(?:grand |sub[- ]?|sous[- ]|overall )?totals?\b|sum(?:me|ma)?\b|zwischensumme|gesamt|"
    r"insgesamt|total[ei]n?\b|somme\b|suma\b|итого|всего|合計|means?\b|averages?\b|avg\b|mittel|"
    r"durchschnitt|moyenne|promedio|media\b|medians?\b|std\b|count\b|anzahl\b|min(?:imum)?\b|"
    r"max(?:imum)?\b"
)
TOTAL = rf"^(?:{_LABEL_WORDS}|.* totals?$)"  # in a column of times: Jan Total
_LABEL, _TOTAL = re.compile(_LABEL_WORDS, re.IGNORECASE), re.compile(TOTAL, re.IGNORECASE)
_REMARK = re.compile(
    r"#|\*|©|\(c\)|(?:source|quelle|fuente|notes?|hinweis|anmerkung|remark|comment|copyright|data "
    r"(?:from|source|provided)|last updated?|updated|created|generated|exported|report|stand|"
    r"end\b|eof\b|legend|footnote|disclaimer|rows?\b)",
    re.IGNORECASE,
)


def kind_of(cell: str) -> Kind:
    """``plain``: a number or a time; ``measure``: a number with a unit; ``blank``: or missing."""
    if is_missing(cell):
        return "blank"
    if is_number(cell) or _TIME.fullmatch(cell):
        return "plain"
    return "measure" if with_unit(cell) else "text"


def undecorated(name: str) -> str:
    """The time in a name such as ``X2015`` and ``2015 [YR2015]``; any other name as it is."""
    for decorated in _DECORATED:
        if match := decorated.fullmatch(name):
            return match[1]
    return name


def is_numeric_time(name: str) -> bool:
    """Whether a name without decoration is a year, month or day in digits alone."""
    return _NUMERIC_TIME.fullmatch(name) is not None


def is_time_name(name: str) -> bool:
    """Whether a cell could name a column by its time."""
    time = undecorated(name)
    return is_numeric_time(time) or (not is_number(time) and _TIME.fullmatch(time) is not None)


def is_unit(cell: str) -> bool:
    """Whether a cell is a unit, or blank."""
    return not cell or _UNIT.fullmatch(cell) is not None


def is_about_columns(cell: str) -> bool:
    """Whether a cell says what its line tells of each column, such as ``Unit``."""
    return _ABOUT.fullmatch(cell.rstrip(":")) is not None


def is_format(cell: str) -> bool:
    """Whether a cell is the width and the kind of a column, as the U.S. Geological Survey's."""
    return _FORMAT.fullmatch(cell) is not None


def is_label(cell: str) -> bool:
    """Whether a cell says that its line sums up others."""
    return _LABEL.match(cell) is not None


def is_total(cell: str) -> bool:
    """Whether a cell in a column of times says that its line sums up others."""
    return _TOTAL.match(cell) is not None


def is_remark(cell: str) -> bool:
    """Whether a cell begins as remarks below a table do."""
    return _REMARK.match(cell) is not None
