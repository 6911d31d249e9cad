"""Names of months and weekdays in other languages → English, by Babel (an extra)."""

import re
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec

from forecaster.data.times.styles import fitting
from forecaster.errors import UserError

_ENGLISH = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
_COMMON = [
    "de",
    "fr",
    "es",
    "it",
    "pt",
    "nl",
    "sv",
    "da",
    "nb",
    "fi",
    "pl",
    "cs",
    "hu",
    "ro",
    "tr",
    "el",
    "ru",
    "uk",
]
_ELSEWHERE = {"de": {"mrz": "Mar"}}  # spelt so by spreadsheets
_SHORTEST = 3


def translated(dates: Sequence[str], locale: str | None) -> list[str]:
    """Dates with the names of ``locale`` in English; raises UserError for an unknown one."""
    if locale is None:
        return list(dates)
    names = _names(locale)
    words = re.compile(r"[^\W\d_]+\.?")

    def english(match: re.Match[str]) -> str:
        return names.get(_folded(match[0]), match[0])

    return [words.sub(english, date) for date in dates]


def suggested_locale(dates: Sequence[str]) -> str | None:
    """A language whose names make times of these dates, if Babel is there to tell."""
    if find_spec("babel") is None or not any(re.search(r"[^\W\d_]{3}", date) for date in dates):
        return None
    return next((code for code in _COMMON if fitting(translated(dates, code))), None)


@cache
def _names(locale: str) -> dict[str, str]:
    """English abbreviations by folded name; the beginnings of a month's name, too, if its alone."""
    try:
        from babel import Locale, UnknownLocaleError
    except ImportError as error:
        raise UserError(
            f"--locale {locale}: needs a further package; install it with: pip install babel"
        ) from error
    try:
        known = Locale.parse(locale.replace("-", "_"))
    except (UnknownLocaleError, ValueError) as error:
        raise UserError(
            f"--locale {locale}: no such language; give one like de, fr, es or pt_BR"
        ) from error
    months: dict[str, set[str]] = {}
    names: dict[str, str] = {}
    for context in ("format", "stand-alone"):
        for width in ("wide", "abbreviated"):
            for number, name in known.months[context][width].items():
                months.setdefault(_folded(name), set()).add(_ENGLISH[number - 1])
            for number, name in known.days[context][width].items():
                names[_folded(name)] = _WEEKDAYS[number]
    for name, meant in list(months.items()):
        for end in range(_SHORTEST, len(name)):
            months.setdefault(name[:end], set()).update(meant)
    names |= {name: next(iter(meant)) for name, meant in months.items() if len(meant) == 1}
    return names | _ELSEWHERE.get(known.language, {})


def _folded(name: str) -> str:
    return name.casefold().rstrip(".")
