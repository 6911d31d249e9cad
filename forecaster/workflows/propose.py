"""The command that works for a file: options that a refusal names are tried on the file itself."""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from forecaster.config.program import program
from forecaster.config.schema import DataConfig

Given = Mapping[str, Any]
# options → the reason why the file is refused with them, or None
Attempt = Callable[[Given], str | None]

_VALUE = r"(?: (?:'[^']*'|-?[^-\s]\S*))?"
_OPTION = re.compile(rf"--([a-z-]+)({_VALUE})")
_RUN = re.compile(rf"--[a-z-]+{_VALUE}(?: --[a-z-]+{_VALUE})*")
_DEPTH = 4  # remedies one after the other
_ATTEMPTS = 12
_SHOWN = 3
# what changes values: proposed by a file's first message only, whose reason is shown beside it
_ALTERING = frozenset({"aggregate", "on_duplicate", "target", "decimal"})


def options_in(message: str) -> Iterator[dict[str, Any]]:
    """The sets of options that a message names with their values, in their order.

    Options that follow each other are a set; ``first|last`` are two sets.
    """
    for run in _RUN.findall(message):
        sets: list[dict[str, Any]] = [{}]
        for name, value in _OPTION.findall(run):
            if name in {"header", "no-header"}:
                sets = [{**each, "header": name == "header"} for each in sets]
                continue
            key, text = name.replace("-", "_"), _unquoted(value.strip())
            if key in DataConfig.model_fields and text not in {"", "or", "and"}:
                sets = [{**each, key: way} for each in sets for way in text.split("|")]
        yield from (each for each in sets if each)


def _unquoted(value: str) -> str:
    """The value of an option in a sentence, without quotes and without the sentence's marks."""
    value = value.rstrip(";:)") or value
    if value.endswith((",", ".")) and len(value) > 1:
        value = value[:-1].rstrip(")")
    return shlex.split(value)[0] if value.startswith("'") and value.endswith("'") else value


def working_options(refusal: str, given: Given, attempt: Attempt) -> list[dict[str, Any]]:
    """Options, besides those ``given``, by which a refused file is read: the ways of the message.

    Each is what the message proposes, with what further messages propose until one works.
    """
    left = [_ATTEMPTS]
    ways = (
        _completed({**given, **new}, refusal, attempt, left, _DEPTH) for new in _new(refusal, given)
    )
    found: list[dict[str, Any]] = []
    for way in ways:
        if way is not None and way not in found:
            found.append(way)
        if len(found) == _SHOWN or not left[0]:
            break
    return found


def _new(refusal: str, given: Given) -> list[dict[str, Any]]:
    return [each for each in options_in(refusal) if not each.items() <= given.items()]


def _completed(
    given: dict[str, Any], refusal: str, attempt: Attempt, left: list[int], depth: int
) -> dict[str, Any] | None:
    """``given`` with what else it needs; None if nothing that is named works."""
    if not (left[0] and depth):
        return None
    left[0] -= 1
    again = attempt(given)
    if again is None:
        return given
    if again == refusal:
        return None
    ways = (
        _completed({**given, **new}, again, attempt, left, depth - 1)
        for new in _new(again, given)
        if not _ALTERING & {*new}
    )
    return next((way for way in ways if way is not None), None)


def command_of(given: Given, model: str = "", others: str = "") -> str:
    """The command line that trains a model with these options, and others after them."""
    words = [*shlex.split(program()), "train", *([model] if model else [])]
    for key, value in given.items():
        name = "--" + key.replace("_", "-")
        if key == "header":
            words.append("--header" if value else "--no-header")
        else:
            several = isinstance(value, tuple | list)
            words += [name, ",".join(map(str, value)) if several else str(value)]
    return shlex.join([*words, *shlex.split(others)])
