"""Tables as Markdown, and their place in a document."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from forecaster.errors import UserError
from forecaster.io.atomic import write_together


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; what would end a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |"
        for line in lines
    )


def code_span(text: str) -> str:
    """Text in which no character means anything, within a line."""
    line = " ".join(text.splitlines())
    fence = "`" * (_longest_run(line) + 1)
    space = " " if line[:1] in {"`", " ", ""} or line[-1:] in {"`", " "} else ""
    return f"{fence}{space}{line}{space}{fence}"


def code_block(lines: Sequence[str]) -> str:
    """Lines in which no character means anything."""
    text = "\n".join(lines)
    fence = "`" * max(_longest_run(text) + 1, 3)
    return f"{fence}\n{text}\n{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def number(value: float, digits: int) -> str:
    """``.367``: so many digits after the point (fewer from 10 on, none from 1000 on), no zero
    before it.
    """
    size = abs(value)
    shown = digits if size < 10 else max(digits - 1, 1) if size < 100 else 1 if size < 1000 else 0
    text = f"{value:.{shown}f}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def mean_and_spread(mean: float | None, std: float | None, digits: int, whole: bool = False) -> str:
    """A mean, with ± its standard deviation if there is one; – if nothing is there.

    ``whole``: the mean alone, rounded to a whole number.
    """
    if mean is None or mean != mean:
        return "–"
    if whole:
        return f"{mean:.0f}"
    return number(mean, digits) + ("" if std is None or std != std else f" ± {number(std, digits)}")


def best_in_bold(
    texts: dict[Any, str], values: Mapping[Any, float], by: Sequence[str], digits: int
) -> None:
    """Mark the lowest value of each data set and horizon, and what reads like it: among the models,
    or a model's steps.
    """
    same = {"data", "horizon", "model"} if "steps" in by else {"data", "horizon"}
    places: dict[Any, list[Any]] = {}
    for key in texts:
        places.setdefault(
            tuple(k for k, name in zip(key, by, strict=True) if name in same), []
        ).append(key)
    for keys in places.values():
        there = [key for key in keys if values[key] == values[key]]
        if len(there) > 1:
            best = number(min(values[key] for key in there), digits)
            for key in there:
                if number(values[key], digits) == best:
                    texts[key] = f"**{texts[key]}**"


def put_between(path: Path, name: str, text: str) -> None:
    """Replace what stands between ``<!-- NAME -->`` and ``<!-- end -->``; with an empty text only
    see that it is there.
    """
    begin, end = f"<!-- {name} -->\n", "<!-- end -->"
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    before, found, rest = content.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise UserError(
            f"{path}: no place for the table; put the lines '{begin.strip()}' and '{end}' where it "
            "should stand"
        )
    if text:
        write_together(
            {
                path: lambda partial: partial.write_text(
                    f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8"
                )
            }
        )
