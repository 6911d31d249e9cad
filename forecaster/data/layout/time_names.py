"""Names of columns that are times, told without reading each as one."""

import re
from collections.abc import Sequence

from forecaster.config.schema import Columns
from forecaster.data.cells import Text
from forecaster.data.files.kinds import is_numeric_time, undecorated
from forecaster.data.timestamps import looks_like_time

_FEWEST = 3


def is_time(text: str, columns: Columns) -> bool:
    """Whether a text that is not a number is a time."""
    return has_shape_of_time(text) and looks_like_time("", Text.of([text]), columns)


def time_names(names: Sequence[str], columns: Columns) -> dict[str, str]:
    """The names that are times, three or more of one shape, and the times they are."""
    by_shape: dict[str, dict[str, str]] = {}
    for name in names:
        text = undecorated(name.strip())
        if is_numeric_time(text) or (not text.isdigit() and has_shape_of_time(text)):
            by_shape.setdefault(_shape(text), {})[name] = text
    found: dict[str, str] = {}
    for group in by_shape.values():
        texts = list(group.values())
        if len(group) >= _FEWEST and (
            texts[0].isdigit() or looks_like_time("", Text.of(texts), columns)
        ):
            found |= group
    return {name: found[name] for name in names if name in found}


def _shape(text: str) -> str:
    """``9-9-9`` of 2024-01-31, ``a 9`` of May 2024; a number by its length."""
    if text.isdigit():
        return str(len(text))
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "a", text))


def has_shape_of_time(text: str) -> bool:
    """Whether a text has digits in such numbers as a time has; what has not is none."""
    runs = re.findall(r"\d+", text)
    if len(runs) >= 2 or any(len(run) >= 4 for run in runs):
        return True
    return bool(runs) and re.search(r"[^\W\d_]{3}", text) is not None
