"""Which columns name the series of a long file."""

import re
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from forecaster.config.schema import Columns
from forecaster.data.cells import Column
from forecaster.data.layout.codes import (
    Coded,
    coded,
    holds_codes,
    is_words,
    repeats,
    starts_numeric,
    starts_whole,
)
from forecaster.data.layout.keys import Candidate, Key, find_keys, names_series
from forecaster.data.layout.words import listed, option
from forecaster.data.missing import is_missing
from forecaster.data.reading import RawTable
from forecaster.data.times.find_parts import joined_with
from forecaster.errors import UserError

_ITEM_NAMES = frozenset({"item_id", "item", "id", "series", "series_id", "unique_id"})
# letters before the numbers of the parts of a year, and the last numbers, with one of a total
_LETTERS = {"m": (12, 13), "q": (4,), **dict.fromkeys(("w", "kw", "wk", "week"), (52, 53))}
_FULL = 0.5  # of items × times have a row, where they are no single events
# the most rows that lack the name of a series, and the fewest rows a time of several series
_LACKING, _DEPTH = 0.05, 1.5
_OF_THE_CALENDAR = re.compile(
    r"(?:^|[\W_])(?:year|quarter|qtr|month|mo|week|weekday|day|dy|dow|hour|he|hr|minute|min|second|"
    r"time|period|interval|jahr|quartal|monat|woche|kalenderwoche|kw|tag|stunde|minute|zeit|año|mes|"
    r"semana|mois|semaine|trimestre|trimester|semester|half|season|slot|dekad|holiday|weekend)"
    r"(?:$|[\W_\d])",
    re.IGNORECASE,
)


def find_items(
    raw: RawTable, timestamp: str, columns: Columns, wanted: Collection[str] = ()
) -> tuple[tuple[str, ...], list[str]]:
    """The columns that name the series, and what is said of them; none in a wide file.

    Where times repeat, that is one column that makes them unique and is text or is called like a
    name; several are asked for, unless the rows of a time are to be put together. Raises UserError
    for those, and for a long layout without any. ``wanted``: the value columns of a model, beside
    which no names are sought in rows whose times do not repeat.
    """
    if columns.layout == "wide" and columns.item_id is None:
        return (), []
    column = raw.columns[timestamp]
    times = coded(column) if repeats(column) else None
    if columns.item_id is not None:
        if times is not None:
            _check_given(raw, times, timestamp, columns)
        return columns.item_id, []
    taken = {timestamp, *(columns.target or ())}
    if times is None:
        named = _single(raw, taken, ask=not (columns.target or wanted))
    else:
        found = _candidates(raw, taken)
        keys = find_keys(times.codes, _as_candidates(found))
        asked = columns.aggregate is not None or columns.on_duplicate != "error"
        if not asked and (not keys or len(keys[0].columns) > 1):
            keys = _with_blanks(times, found) or keys
        keys = keys if columns.target else _leaving_values(raw, {timestamp}, keys)
        parts = {name for name in found if _may_be_part(name, found[name], times)}
        named = _chosen(raw, timestamp, keys, columns, parts) or _by_name(found)
    if columns.layout == "long" and not named:
        raise UserError(
            f"{raw.path}: --layout long, but no column makes times unique; name those of the "
            "series with --item-id, or leave the layout out"
        )
    return named, [f"column {listed(named)} names the series"] if named else []


def _check_given(raw: RawTable, times: Coded, timestamp: str, columns: Columns) -> None:
    """Raise UserError if further columns are needed to tell the rows of one time apart."""
    given = columns.item_id or ()
    found = {name: coded(raw.columns[name]) for name in given}
    found |= _candidates(raw, {timestamp, *given, *(columns.target or ())})
    keys = find_keys(times.codes, _as_candidates(found), given)
    if keys and len(keys[0].columns) > len(given) and columns.aggregate is None:
        raise UserError(f"{raw.path}: times repeat in a series; {_offered(keys)}")


def _as_candidates(found: Mapping[str, Coded]) -> dict[str, Candidate]:
    return {
        name: Candidate(each.codes, is_text, not each.has_blanks and (is_text or each.are_whole))
        for name, each in found.items()
        for is_text in (not each.are_numbers,)
    }


def _with_blanks(times: Coded, found: Mapping[str, Coded]) -> list[Key]:
    """The single columns that name series though few rows lack a name, or ``NA`` is one of them.

    A row without a name is refused later on, with its line.
    """
    if len(times.codes) < _DEPTH * times.count:
        return []
    candidates = {
        name: Candidate(each.codes, is_text=not each.are_numbers)
        for name, each in found.items()
        if each.has_blanks and _are_few(each) and (not each.are_numbers or names_series(name))
    }
    keys = find_keys(times.codes, candidates)
    return [key for key in keys if len(key.columns) == 1 and key.density >= _FULL]


def _are_few(values: Coded) -> bool:
    """Whether names lack in few rows, or ``NA`` is in about as many as a name has."""
    lacking = [value for value in values.values if is_missing(value)]
    if lacking not in ([""], ["NA"]):
        return False
    count = int((values.codes == values.values.index(lacking[0])).sum())
    average = len(values.codes) / values.count
    named = lacking == ["NA"] and average / 2 <= count <= 2 * average
    return named or (lacking == [""] and count <= _LACKING * len(values.codes))


def _candidates(raw: RawTable, taken: set[str]) -> dict[str, Coded]:
    """The columns of text or of whole numbers that could tell the rows of one time apart."""
    found = {}
    for name, column in raw.columns.items():
        words = name not in taken and is_words(column)
        named = starts_numeric(column) and names_series(name)
        if name in taken or not (words or named or starts_whole(column)):
            continue
        values = coded(column)
        usable = 1 < values.count <= len(values.codes) // 2
        flags = values.are_flags and not names_series(name)
        numbers = values.are_numbers if named else values.are_whole
        if usable and (words or numbers) and not (flags or values.are_clock_times):
            found[name] = values
    return found


def _leaving_values(raw: RawTable, taken: set[str], keys: Sequence[Key]) -> list[Key]:
    """The keys that leave a column for the values."""
    return [
        key
        for key in keys
        if any(
            name not in {*taken, *key.columns} and not is_words(column)
            for name, column in raw.columns.items()
        )
    ]


def _may_be_part(name: str, values: Coded, times: Coded) -> bool:
    """Whether a column that is not called like a name may tell a part of the time: by its own name,
    by numbers from 0 or 1 on, or, beside years, by all months, quarters or weeks with their letter.
    """
    if names_series(name):
        return False
    if _OF_THE_CALENDAR.search(name) is not None:
        return True
    texts = [value.strip() for value in values.values if not is_missing(value)]
    found = [re.fullmatch(r"([^\W\d_]{0,4})[ .]?(\d{1,3})", text) for text in texts]
    numbers = sorted({int(match[2]) for match in found if match})
    if None in found or numbers[:1] not in ([0], [1]) or len(numbers) <= numbers[-1] - numbers[0]:
        return False
    words = {match[1].lower() for match in found if match}
    years = all(re.fullmatch(r"(?:1[5-9]|2[01])\d\d", time) for time in times.values)
    letter = next(iter(words)) if len(words) == 1 else None
    return letter == "" or (years and numbers[-1] in _LETTERS.get(str(letter), ()))


def _chosen(
    raw: RawTable, timestamp: str, keys: Sequence[Key], columns: Columns, parts: Collection[str]
) -> tuple[str, ...]:
    """The single column that is the likeliest key; raises UserError where one has to be named.

    ``parts``: columns that may be parts of the time.
    """
    if not keys:
        return ()
    best = [key for key in keys if (key.named, key.is_text) == (keys[0].named, keys[0].is_text)]
    certain = len(best) == 1 and (best[0].named or best[0].is_text)
    certain = certain and not set(parts).intersection(best[0].columns)
    if certain and len(best[0].columns) == 1:
        return best[0].columns
    if columns.aggregate is not None:
        return ()
    if set(parts).intersection(best[0].columns):
        raise UserError(f"{raw.path}: {_perhaps_parts(raw, timestamp, best[0], columns)}")
    raise UserError(f"{raw.path}: each time occurs in several rows; {_offered(best)}")


def _perhaps_parts(raw: RawTable, timestamp: str, key: Key, columns: Columns) -> str:
    """The message for columns that may be parts of the time or name series."""
    first = coded(raw.columns[key.columns[0]]).values
    first = sorted(first, key=_in_numbers) if any(map(_has_digit, first)) else first
    tells = "tell" if len(key.columns) > 1 else "tells"
    whole = joined_with(raw, timestamp, key.columns, columns)
    part = (
        "write whole times into one column"
        if whole is None
        else f"give {option('timestamp', whole.columns)}"
    )
    return (
        f"each time occurs in several rows, which {listed(key.columns)} {tells} apart "
        f"('{first[0]}' to '{first[-1]}'); if that is a part of the time, {part}; if it names "
        f"series, give {option('item-id', key.columns)}; or put the rows of a time together with "
        "--aggregate sum (or mean, last …)"
    )


def _has_digit(text: str) -> bool:
    return re.search(r"\d", text) is not None


def _in_numbers(text: str) -> tuple[int, str]:
    digits = re.search(r"\d+", text)
    return (int(digits[0]) if digits else -1, text)


def _offered(keys: Sequence[Key]) -> str:
    ways = [f"{listed(key.columns)} ({option('item-id', key.columns)})" for key in keys[:3]]
    several = "together name" if len(keys[0].columns) > 1 else "names"
    sparse = "; or put the rows of a time together with --aggregate sum (or mean, last …)"
    found = f"{' or '.join(ways)} {several} the series: give that option"
    return found + (sparse if keys[0].density < _FULL else "")


def _by_name(found: Mapping[str, Coded]) -> tuple[str, ...]:
    named = [n for n in found if n.lower() in _ITEM_NAMES and not found[n].has_blanks]
    return (named[0],) if len(named) == 1 else ()


def _single(raw: RawTable, taken: set[str], ask: bool) -> tuple[str, ...]:
    """The column that names the one series of a file whose times do not repeat.

    ``ask``: raise UserError for a column that may name several.
    """
    free = [name for name in raw.columns if name not in taken]
    texts = [name for name in free if is_words(raw.columns[name])]
    named = [name for name in texts if name.lower() in _ITEM_NAMES]
    if len(named) == 1:
        return (named[0],)
    alike = [
        name
        for name in free
        if names_series(name) and _is_one_name(name in texts, raw.columns[name])
    ]
    alike = [name for name in alike if name in texts] or alike
    if len(alike) == 1:
        return (alike[0],)
    if ask:
        for name in texts:
            _check_blocks(raw, name)
        for name in free:
            if names_series(name) and (name in texts or holds_codes(name, raw.columns[name])):
                _check_turns(raw, name)
    return ()


def _is_one_name(is_text: bool, column: Column) -> bool:
    if not (is_text or starts_whole(column)):
        return False
    values = coded(column)
    return values.count == 1 and (is_text or values.are_whole)


def _check_blocks(raw: RawTable, name: str) -> None:
    """Raise UserError if text comes in blocks, as the names of series of different times do."""
    values = coded(raw.columns[name])
    runs = 1 + int((np.diff(values.codes) != 0).sum())
    if 1 < values.count == runs <= len(values.codes) // 10 and not values.are_flags:
        raise _orders(raw, name, values, "one after the other")


def _check_turns(raw: RawTable, name: str) -> None:
    """Raise UserError if names come in turn, as those of series do that are measured in turn."""
    values = coded(raw.columns[name])
    count, codes = values.count, values.codes
    if 1 < count <= len(codes) // 10 and not values.are_flags:
        turn = codes[:count]
        if len(np.unique(turn)) == count and (codes[count:] == codes[:-count]).all():
            raise _orders(raw, name, values, "in turn")


def _orders(raw: RawTable, name: str, values: Coded, order: str) -> UserError:
    return UserError(
        f"{raw.path}: column '{name}' has {values.count} values, {order}; if it names series, give "
        f"{option('item-id', [name])}, else name the values with --target"
    )
