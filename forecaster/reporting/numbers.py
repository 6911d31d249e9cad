"""Numbers as people write them."""

import math
from collections.abc import Sequence

_LARGEST, _LEAST = 15, -6  # powers of ten that are written out


def figure(value: float | None, digits: int = 4) -> str:
    """``48,150``, ``12.35``, ``0.0312``: at least ``digits`` significant digits, none after the
    point that is 0, and all before it; '' without a value.
    """
    if value is None or math.isnan(value):
        return ""
    power = math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0
    if not _LEAST <= power <= _LARGEST:
        return f"{value:.{digits}g}"
    text = f"{value:,.{max(digits - 1 - power, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def distinct(values: Sequence[float]) -> list[str]:
    """Numbers in four significant digits, or as many more as tell different ones apart."""
    for digits in range(4, 18):
        texts = [figure(value, digits) for value in values]
        if len(set(texts)) == len(set(values)):
            break
    return texts
