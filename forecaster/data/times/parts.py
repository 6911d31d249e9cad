"""A time in several columns, such as a date and a time of day, joined to one column of texts."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from forecaster.data.cells import Column, Text
from forecaster.data.texts import as_texts, joined
from forecaster.data.times.month_names import suggested_locale
from forecaster.data.times.numeric_times import whole_numbers
from forecaster.data.times.styles import fitting
from forecaster.data.times.time_of_day import HALF, is_zone

# numbered parts of a day, in minutes
NUMBERED = {"halfhour": 30, "quarterhour": 15}
# what a part is, in the order in which parts are written, with its largest number
LARGEST = {
    **{"date": 0, "year": 2261, "quarter": 4, "week": 53, "yearday": 366, "month": 12, "day": 31},
    **{"clock": 0, "hhmm": 2400, "hour": 24, "halfhour": 48, "quarterhour": 96},
    **{"minute": 59, "second": 59},
}
_LEAST = {"year": 1400, "hour": 0, "hhmm": 0, "minute": 0, "second": 0}
_NAMES = {
    "year": "year years yr yyyy yy jahr jaar anno ano año annee année år",
    "quarter": "quarter qtr quartal trimestre kwartaal",
    "week": "week wk kw kalenderwoche isoweek weekofyear weeknumber woche semana semaine",
    "yearday": "doy dayofyear yearday yday julianday jday",
    "month": "month mon mo mm monat maand mes mês mois mese mnth period",
    "day": "day dd dy da dayofmonth mday tag dag dia día jour giorno",
    "hour": "hour hr hh he hourending hourofday stunde stunden uur",
    "halfhour": "settlementperiod halfhour halfhours",
    "quarterhour": "quarterhour quarterhours viertelstunde",
    "minute": "minute minutes min mm minuten minuto",
    "second": "second seconds sec ss sekunde",
}
NAMED = {kind: frozenset(names.split()) for kind, names in _NAMES.items()}
OF_DAY = frozenset(
    ("time", "uhrzeit", "zeit", "hhmm", "clock", "timeofday", "tijd", "tid", "hora", "heure", "ora")
)
# what stands at the number of a part: Q1, M01, KW 05, Week 5, HE01, 1. Std
_LETTER = {
    "quarter": r"^[Qq]0?\s?",
    "month": r"^[Mm]\s?",
    "week": r"^[Kk]?[Ww](?:eek|oche)?\s?",
    "hour": r"^[Hh][Ee]?\s?|\.?\s?(?:[Ss]td\.?|[Uu]hr)$",
}
_SOME = 2000  # rows of a column, enough to tell what it holds
_TIME = rf"\d{{1,2}}[:h][0-5]\d([:.][0-5]\d([.,]\d{{1,9}})?)?(\s?{HALF})?|\d{{1,2}}\s?{HALF}"
_DOTTED = r"\d{1,2}\.[0-5]\d(\.[0-5]\d)?"
_CLOCK = rf"^(0 days )?({_TIME}|{_DOTTED}|24:00)(\s*(-|–)\s*({_TIME}|{_DOTTED}))?$"
_PLAIN_CLOCK = rf"^(0 days )?({_TIME}|\d{{1,2}}\.[0-5]\d\.[0-5]\d)(\s*(-|–)\s*({_TIME}))?$"
_WITH_COLONS = (
    (r"^0 days ", ""),
    (r"^(\S+(?:\s?[AaPp]\.?[Mm]\.?)?)\s*(?:-|–)\s*\S.*$", r"\1"),  # the start counts
    (r"^(\d{1,2})[.h](\d{2})", r"\1:\2"),
    (r"^(\d{1,2}:\d{2})\.(\d{2})$", r"\1:\2"),
)


@dataclass(frozen=True)
class Parts:
    """The columns that give the time together, and what each is, in the order of ``LARGEST``."""

    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    name: str

    def join(self, columns: Mapping[str, Column]) -> dict[str, Column]:
        """The columns with one of joined times, called ``name``, in place of the parts."""
        texts = {k: as_texts(columns[n]) for k, n in zip(self.kinds, self.columns, strict=True)}
        cells = pa.chunked_array([_joined(texts)])
        whole: dict[str, Column] = {self.name: Text(cells)}
        return whole | {name: c for name, c in columns.items() if name not in self.columns}

    def has_short_days(self, columns: Mapping[str, Column]) -> bool:
        """Whether numbered parts of a day end an hour early, but on the first and the last day."""
        kind = next((kind for kind in self.kinds if kind in NUMBERED), None)
        if kind is None:
            return False
        texts = {k: as_texts(columns[n]) for k, n in zip(self.kinds, self.columns, strict=True)}
        table = pa.table({"date": _date(texts), "place": _places(texts[kind], LARGEST[kind])})
        last = table.group_by("date").aggregate([("place", "max")])["place_max"]
        short = pc.equal(last, LARGEST[kind] - 60 // NUMBERED[kind] - 1)
        return bool(pc.any(short[1:-1]).as_py())


def plain_name(column: str) -> str:
    """A column's name in small letters alone."""
    return re.sub(r"[\W\d_]", "", column.casefold())


def holds(kind: str, column: Column) -> bool:
    """Whether some evenly spaced cells of a column can all be parts of this kind."""
    texts = as_texts(column[:: max(len(column) // _SOME, 1)])
    texts = texts.filter(pc.not_equal(texts, ""))
    if not len(texts):
        return False
    if kind == "clock":
        return bool(pc.all(pc.match_substring_regex(texts, _CLOCK)).as_py())
    if kind == "month" and _are_names(texts):
        return True
    if kind == "zone":
        names = as_texts(column).unique().to_pylist()
        return all(is_zone(name, frozenset(names)) for name in names)
    numbers = whole_numbers(_bare(texts, kind))
    if numbers is None or pc.any(pc.match_substring_regex(numbers, r"\.|^.{10}")).as_py():
        return False
    values = pc.cast(numbers, pa.int64())
    least, most = pc.min(values).as_py(), pc.max(values).as_py()
    if kind == "hhmm" and (most < 100 or max(v % 100 for v in values.to_pylist()) > 59):
        return False
    return _LEAST.get(kind, 1) <= least and most <= LARGEST[kind]


def _are_minutes(values: pa.Int64Array) -> bool:
    return bool((values.to_numpy() % 100 <= LARGEST["minute"]).all())


def is_plain_clock(column: Column) -> bool:
    """Whether cells are times of day that cannot be numbers: ``18:00``, ``18.00.00``, ``6 PM``."""
    if not isinstance(column, Text) or not re.match(_PLAIN_CLOCK, column.first):
        return False
    some = as_texts(column[:: max(len(column) // _SOME, 1)])
    some = some.filter(pc.not_equal(some, ""))
    return bool(pc.all(pc.match_substring_regex(some, _PLAIN_CLOCK)).as_py())


def _are_names(texts: pa.StringArray) -> bool:
    """Whether the texts are names of months, in any language."""
    names = texts.unique().to_pylist()
    if len(names) > 24:
        return False
    dates = [f"{name} 2000" for name in names]
    return "%b %Y" in fitting(dates) or suggested_locale(dates) is not None


def _bare(texts: pa.StringArray, kind: str) -> pa.StringArray:
    """The numbers of parts without what stands at them."""
    letter = _LETTER.get(kind)
    return texts if letter is None else pc.replace_substring_regex(texts, letter, "")


def _joined(texts: dict[str, pa.StringArray]) -> pa.StringArray:
    """The date and the time of day of each row, '' where a part is blank."""
    date = _date(texts)
    zone = [texts["zone"]] if "zone" in texts else []
    of_day = [
        kind for kind in ("clock", "hhmm", "hour", *NUMBERED, "minute", "second") if kind in texts
    ]
    if not of_day:
        return joined([date, *zone], " ") if zone else date
    return joined([date, _time_of_day(texts, of_day), *zone], " ")


def _date(texts: dict[str, pa.StringArray]) -> pa.StringArray:
    if "date" in texts:
        return texts["date"]
    year = _padded(texts["year"], "year", 4)
    for kind, mark, width in (("quarter", "-Q", 1), ("week", "-W", 2), ("yearday", "-", 3)):
        if kind in texts:
            return joined([year, _padded(texts[kind], kind, width)], mark)
    day = [_padded(texts["day"], "day", 2)] if "day" in texts else []
    if whole_numbers(_bare(texts["month"], "month")) is None:
        return joined([*day, texts["month"], year], " ")
    return joined([year, _padded(texts["month"], "month", 2), *day], "-")


def _time_of_day(texts: dict[str, pa.StringArray], kinds: Sequence[str]) -> pa.StringArray:
    if kinds[0] == "clock":
        clock = texts["clock"]
        for pattern, parts in _WITH_COLONS:
            clock = pc.replace_substring_regex(clock, pattern, parts)
        return clock
    if kinds[0] == "hhmm":
        return pc.replace_substring_regex(
            _padded(texts["hhmm"], "hhmm", 4), r"^(\d\d)(\d\d)$", r"\1:\2"
        )
    if kinds[0] in NUMBERED:
        return _clock_of_numbers(texts[kinds[0]], NUMBERED[kinds[0]])
    numbers = [_padded(texts[kind], kind, 2) for kind in kinds]
    if len(numbers) == 1:
        return pc.replace_substring_regex(numbers[0], r"^(\d+)$", r"\1:00")
    return joined(numbers, ":")


def _clock_of_numbers(texts: pa.StringArray, minutes: int) -> pa.StringArray:
    """The times of day at which numbered parts of so many minutes begin; '' for a blank."""
    count = 24 * 60 // minutes
    begin = [f"{n * minutes // 60:02d}:{n * minutes % 60:02d}" for n in range(count)]
    return pc.fill_null(pa.array(begin).take(_places(texts, count)), "")


def _places(texts: pa.StringArray, count: int) -> pa.Int32Array:
    """The numbers from 1 to ``count`` as places from 0 on, null for all else."""
    return pc.index_in(_plain(texts), pa.array([str(n + 1) for n in range(count)]))


def _padded(texts: pa.StringArray, kind: str, width: int) -> pa.StringArray:
    bare = _plain(_bare(texts, kind))
    return pc.if_else(pc.equal(bare, ""), "", pc.utf8_lpad(bare, width, "0"))


def _plain(numbers: pa.StringArray) -> pa.StringArray:
    """Whole numbers without zeros before and behind them: ``007``, ``7.0`` → ``7``."""
    numbers = pc.replace_substring_regex(numbers, r"\.0+$", "")
    return pc.replace_substring_regex(numbers, r"^0+(\d)", r"\1")
