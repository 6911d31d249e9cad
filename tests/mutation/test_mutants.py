"""The mistakes that are made in a source."""

import ast

import pytest
from mutants import mutants
from mutate import ROOMS, ROOT, known_equivalents

SOURCE = '''
def f(x: int = 3, mask: "a + b" = None) -> "B + K":
    """Says 1 + 1."""
    if not x >= mask:
        x += 2
    return round(x * mask)
'''


def names(source: str) -> list[str]:
    return [mutant.name for mutant in mutants(source)]


def test_each_mistake_is_made_once_and_alone() -> None:
    whole = list(mutants(SOURCE))
    sources = [mutant.source for mutant in whole]
    assert len(set(sources)) == len(sources)
    for mutant in whole:
        ours, theirs = ast.unparse(ast.parse(SOURCE)).splitlines(), mutant.source.splitlines()
        differing = [a for a, b in zip(ours, theirs, strict=True) if a != b]
        assert len(differing) == 1


def test_annotations_and_docstrings_stay_as_they_are() -> None:
    for mutant in mutants(SOURCE):
        assert "mask: 'a + b'" in mutant.source
        assert "-> 'B + K'" in mutant.source
        assert "Says 1 + 1." in mutant.source


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a >= b", {"a > b", "a < b"}),
        ("y * mask", {"y / mask", "y", "mask"}),
        ("h + label", {"h - label", "h", "label"}),
        ("round(x)", {"int(x)", "x"}),
        ("x.clamp(0.1, y)", {"x", "x.clamp(0.2, y)", "x.clamp(1.1, y)"}),
        ("room // 2", {"room * 2", "room", "room // 3", "room // 1"}),
        ("a and b", {"a or b", "a", "b"}),
        ("not a", {"a"}),
        ("rows[a:b]", {"rows[:b]", "rows[a:]"}),
        ("a if b else c", {"a", "c"}),
        ("where(a, b, c)", {"b", "c"}),
        ("max(a, b)", {"a", "b"}),
    ],
)
def test_mistakes_of_an_expression(line: str, expected: set[str]) -> None:
    made = {mutant.source.removeprefix("x = ") for mutant in mutants(f"x = {line}")}
    assert made == expected


def test_names_tell_the_function_and_the_numbers_place() -> None:
    assert "f: round(x * mask) → int(x * mask)" in names(SOURCE)
    assert "f: x += 2 → x += 3" in names(SOURCE)


@pytest.mark.slow
def test_what_is_known_as_equivalent_is_a_mutant_of_a_room() -> None:
    sources = {path for room in ROOMS.values() for each in room.sources for path in ROOT.glob(each)}
    made = {name for path in sources for name in names(path.read_text(encoding="utf-8"))}
    assert known_equivalents() - made == set()
