"""Which columns name the series of a long file: the fewest that make its times unique."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Codes = NDArray[np.int64]

_MOST_COLUMNS = 12  # of which sets are tried
_LARGEST_SET = 3
_PROBE = 200  # repeated times that tell most sets to be no key
_NAMED = re.compile(
    r"(?:^|[\W_])(?:id|ids|key|code|uid|uuid|series|item|name|store|shop|product|sku|article|dept|"
    r"department|category|family|brand|region|country|state|province|city|district|location|site|"
    r"station|sensor|gauge|logger|probe|meter|device|machine|plant|turbine|building|room|zone|"
    r"area|customer|client|account|household|user|branch|market|segment|ticker|symbol|group|unit|line|route|warehouse|"
    r"vehicle|variable|parameter|indicator|metric|pollutant|stn|poste|wban|usaf|wmo|lat|latitude|"
    r"lon|lng|long|longitude|filiale|artikel|produkt|kunde|zähler|anlage|standort|land|stadt|magasin|"
    r"produit|pays|ville|tienda|producto|ciudad)(?:$|[\W_\d])",
    re.IGNORECASE,
)
_CORNER = re.compile(r".+\\time(_period)?", re.IGNORECASE)


@dataclass(frozen=True)
class Candidate:
    """A column that could name series: the number of each row's name (n,).

    ``alone``: whether it could do so by itself; blanks and fractions name with others only.
    """

    codes: Codes
    is_text: bool
    alone: bool = True


@dataclass(frozen=True)
class Key:
    """Columns that together name the series.

    ``density``: the share of items × times with a row; ``depth``: rows a time.
    """

    columns: tuple[str, ...]
    density: float
    depth: float
    named: bool
    is_text: bool

    @property
    def plausible(self) -> bool:
        """Whether it is more than a measurement that happens to tell rows of one time apart."""
        if self.named or self.is_text:
            return self.density >= 0.3 or self.depth >= 2
        return self.density >= 0.9


def names_series(column: str) -> bool:
    """Whether a column is called like one that names series: ``Store``, ``sensor_id``."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1_\2", column)
    return _NAMED.search(spaced) is not None or is_corner(column)


def is_corner(column: str) -> bool:
    """Whether a column names the rows of a table of Eurostat's: ``freq,unit,geo\\TIME_PERIOD``."""
    return _CORNER.fullmatch(column) is not None


def find_keys(
    times: Codes, candidates: Mapping[str, Candidate], given: Sequence[str] = ()
) -> list[Key]:
    """The plausible keys of the fewest columns, besides those ``given``, the likeliest first.

    ``times`` (n,): the number of each row's time. A hundredth of the rows may be left over as
    duplicates. Keys that group the rows alike count once.
    """
    base = times
    for name in given:
        base = _joined(base, candidates[name].codes)
    if _count(base) == len(base):
        return []
    names = [name for name in candidates if name not in given][:_MOST_COLUMNS]
    for size in range(1, _LARGEST_SET + 1):
        keys = [
            _described(times, candidates, (*given, *chosen))
            for chosen in _unique_sets(base, {n: candidates[n].codes for n in names}, size)
            if size > 1 or given or candidates[chosen[0]].alone
        ]
        found = sorted(filter(lambda key: key.plausible, keys), key=_rank)
        if found:
            return _different(candidates, found)
    return []


def _rank(key: Key) -> tuple[bool, bool, float]:
    return (not key.named, not key.is_text, -round(key.density, 2))


def _unique_sets(base: Codes, columns: Mapping[str, Codes], size: int) -> Iterator[tuple[str, ...]]:
    """The sets of columns that make ``base`` unique, but for a hundredth of the rows."""
    rows = _probe(base)
    few, sample = _compact(base[rows]), {name: codes[rows] for name, codes in columns.items()}
    for chosen in combinations(columns, size):
        if _is_unique(few, [sample[name] for name in chosen]) and _is_unique(
            base, [columns[name] for name in chosen]
        ):
            yield chosen


def _is_unique(base: Codes, columns: Sequence[Codes]) -> bool:
    repeated = len(base) - _count(base)
    for codes in columns:
        base = _joined(base, codes)
    return 100 * (len(base) - _count(base)) <= min(len(base), 10 * repeated)


def _probe(base: Codes) -> Codes:
    """The rows of some of the times that repeat, evenly spaced."""
    repeated = np.flatnonzero(np.bincount(base) > 1)
    chosen = repeated[np.unique(np.linspace(0, len(repeated) - 1, _PROBE).astype(int))]
    return np.flatnonzero(np.isin(base, chosen))


def _joined(a: Codes, b: Codes) -> Codes:
    """The number of each row's pair."""
    return _compact(a * _count(b) + b)


def _compact(codes: Codes) -> Codes:
    """The same groups, numbered without gaps."""
    size = _count(codes)
    if size > 8 * len(codes):
        return pd.factorize(codes)[0].astype(np.int64)
    present = np.zeros(size, bool)
    present[codes] = True
    return (np.cumsum(present) - 1)[codes]


def _count(codes: Codes) -> int:
    return int(codes.max()) + 1


def _described(times: Codes, candidates: Mapping[str, Candidate], names: tuple[str, ...]) -> Key:
    items = _grouped(candidates, names)
    density = len(times) / (_count(items) * _count(times))
    chosen = [candidates[name] for name in names]
    named = all(map(names_series, names))
    depth = len(times) / _count(times)
    return Key(names, density, depth, named, all(each.is_text for each in chosen))


def _grouped(candidates: Mapping[str, Candidate], names: Sequence[str]) -> Codes:
    codes = candidates[names[0]].codes
    for name in names[1:]:
        codes = _joined(codes, candidates[name].codes)
    return codes


def _different(candidates: Mapping[str, Candidate], keys: Sequence[Key]) -> list[Key]:
    """The keys without those that group the rows as one before."""
    found: list[tuple[Key, Codes]] = []
    for key in keys:
        items = _grouped(candidates, key.columns)
        same = (
            _count(_joined(items, other)) == _count(other) == _count(items) for _, other in found
        )
        if not any(same):
            found.append((key, items))
    return [key for key, _ in found]
