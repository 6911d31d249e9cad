"""The parts of times as texts, date, time of day and zone, for a whole column at once."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

HALF = r"[AaPp]\.?[Mm]\.?"
CLOCK = (
    r"(?:\d{1,2}(?:[:h][0-5]\d(?::[0-5]\d(?:[.,]\d{1,9})?)?|\.[0-5]\d\.[0-5]\d)"
    rf"(?:\s?{HALF})?|\d{{1,2}}\s?{HALF})"
)
_ZONE = r"(?:UTC|GMT)?[+-]\d{1,2}(?::?\d{2})?|[A-Z]{1,5}"
# for RE2, with which Arrow works; an hour alone needs a date of eight characters before it
_TAIL = rf"(?:\s?\(?(?P<zone>{_ZONE})\)?(?:\[[A-Za-z_/]+\])?)?"
_CELL = rf"^(?P<date>.+?)(?:[T ,]\s*(?:at )?(?P<time>{CLOCK}){_TAIL})?$"
_HOUR = rf"^(?P<date>.{{8,}})[T ]\s*(?P<time>\d{{1,2}}(?:\s?{HALF})?){_TAIL}$"
_OTHERWISE = (
    (r"^(\d{8})[T ]?(\d{2})(Z?)$", r"\1 \2:00\3"),
    (r"^(\d{8})[T ]?(\d{2})(\d{2})(Z?)$", r"\1 \2:\3\4"),
    (r"^(\d{8})[T ]?(\d{2})(\d{2})(\d{2}(?:\.\d{1,9})?)(Z?)$", r"\1 \2:\3:\4\5"),
    (rf"^(\d{{1,2}}:\d{{2}}(?::\d{{2}}(?:\.\d{{1,9}})?)?(?: ?{HALF})?),? +(\S.{{5,}})$", r"\2 \1"),
)
_SPANS = (
    r"^(?P<start>.{4,}?)\s+(?:-|–|to)\s+(?P<end>.{4,})$",
    r"^(?P<start>\d{4}-[^/]+)/(?P<end>\d{4}-[^/]+)$",
)
_LARGEST_OFFSET = 18 * 60
# minutes east of UTC; names that several zones have, CST, IST and BST, are not here
_ZONES = {
    **dict.fromkeys(("Z", "UTC", "GMT", "WET"), 0),
    **dict.fromkeys(("CET", "MEZ", "WEST"), 60),
    **dict.fromkeys(("CEST", "MESZ", "EET"), 120),
    **{"EEST": 180, "MSK": 180, "JST": 540, "KST": 540, "AEST": 600, "AEDT": 660},
    **{"NZST": 720, "NZDT": 780, "EST": -300, "EDT": -240, "CDT": -300, "MST": -420},
    **{"MDT": -360, "PST": -480, "PDT": -420, "AKST": -540, "AKDT": -480, "HST": -600},
}
SEVERAL = {"CST": "America/Chicago", "IST": "Asia/Kolkata", "BST": "Europe/London"}
_BESIDE = {"CST": ("CDT", -360), "BST": ("GMT", 60)}  # told apart by another name in the column


@dataclass(frozen=True)
class Coded:
    """A column of texts: its different ``values``, and which of them each row has (n,)."""

    values: list[str]
    codes: NDArray[np.int64]

    @classmethod
    def of(cls, texts: pa.Array) -> "Coded":
        """The values in the order of their first appearance."""
        encoded = texts.dictionary_encode()
        return cls(encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64))

    def at(self, row: int) -> str:
        """The text of a row."""
        return self.values[self.codes[row]]

    def given(self) -> NDArray[np.bool_]:
        """Whether each row has a text (n,)."""
        return np.array([bool(value) for value in self.values])[self.codes]

    def first(self, of_values: NDArray[np.bool_]) -> int | None:
        """The first row that has one of these values, given as a mask of them."""
        rows = np.flatnonzero(of_values[self.codes])
        return int(rows[0]) if len(rows) else None


@dataclass(frozen=True)
class Cells:
    """Times in their parts, each '' where there is none."""

    date: Coded
    time: Coded
    zone: Coded


def split(texts: pa.StringArray, hours: bool = False) -> Cells:
    """The parts of each text; of one without a time of day all is the date.

    ``hours``: an hour alone, as in ``2020-01-01 05``, is a time of day.
    """
    parts = pc.extract_regex(texts, _HOUR if hours else _CELL)
    found = {
        name: pc.fill_null(pc.struct_field(parts, name), "") for name in ("date", "time", "zone")
    }
    found["date"] = pc.if_else(pc.is_valid(parts), found["date"], texts)
    return Cells(**{name: Coded.of(each) for name, each in found.items()})


def dates_alone(texts: pa.StringArray) -> Cells:
    """The texts as dates, none of them with a time of day."""
    none = Coded([""], np.zeros(len(texts), np.int64))
    return Cells(Coded.of(texts), none, none)


def date_then_clock(texts: pa.StringArray) -> pa.StringArray:
    """``20200101T0500Z``, ``05:00 1/1/2020`` → ``20200101 05:00Z``, ``1/1/2020 05:00``.

    Texts that are written like the first are changed, if it is so written.
    """
    for pattern, parts in _OTHERWISE:
        if len(texts) and pc.match_substring_regex(texts[:1], pattern)[0].as_py():
            return pc.replace_substring_regex(texts, pattern, parts)
    return texts


def interval_ends(texts: pa.StringArray) -> tuple[pa.StringArray, pa.StringArray] | None:
    """The starts and the ends of times written as intervals, ``a - b``; None for other texts."""
    for pattern in _SPANS:
        if pc.extract_regex(texts[:1], pattern)[0].is_valid:
            parts = pc.extract_regex(texts, pattern)
            return pc.struct_field(parts, "start"), pc.struct_field(parts, "end")
    return None


def clock_times(times: list[str]) -> pd.TimedeltaIndex:
    """``18:00:00``, ``18.00.00``, ``6 PM`` → the time since midnight; NaT for other texts."""
    parts = [re.match(rf"(.*?)\s?({HALF})?$", time, re.DOTALL) for time in times]
    found = pd.TimedeltaIndex(
        pd.to_timedelta([_full(p[1]) if p else "" for p in parts], errors="coerce")
    )
    halves = np.array([(p[2] or "")[:1].lower() if p else "" for p in parts])
    hours = found.components.hours.to_numpy()
    shift = np.where((halves != "") & (hours == 12), -12, 0) + np.where(halves == "p", 12, 0)
    wrong = (found > pd.Timedelta(hours=24)) | ((halves != "") & ~((hours > 0) & (hours <= 12)))
    return pd.TimedeltaIndex((found + pd.to_timedelta(shift, unit="h")).where(~wrong))


def _full(time: str) -> str:
    """``18``, ``18h05``, ``18.05.00`` → ``18:00:00``, ``18:05:00``."""
    time = time.replace("h", ":").replace(",", ".")
    time = time.replace(".", ":") if ":" not in time else time
    return time + (":00:00", ":00", "")[min(time.count(":"), 2)]


def is_zone(name: str, names: frozenset[str]) -> bool:
    """Whether a text is an offset with hours and minutes, or names one or several.

    ``names``: all that the column has.
    """
    if not name.isalpha():
        return re.fullmatch(r"(?:UTC|GMT)?[+-]\d{2}:?\d{2}", name) is not None
    return name in SEVERAL or offset_minutes(name, names) is not None


def offset_minutes(zone: str, names: frozenset[str] = frozenset()) -> int | None:
    """Minutes east of UTC; None for what is none. ``names``: all that the column has."""
    if zone.isalpha():
        beside, minutes = _BESIDE.get(zone, ("", 0))
        return minutes if beside in names else _ZONES.get(zone)
    match = re.fullmatch(r"(?:UTC|GMT)?([+-])(\d{1,2}):?(\d{2})?", zone)
    if match is None or int(match[3] or 0) > 59:
        return None
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    return (-minutes if match[1] == "-" else minutes) if minutes <= _LARGEST_OFFSET else None
