"""What stands in the documents of the project: their commands, their Python, their paths."""

import re
import shlex
from pathlib import Path

from conftest import ROOT

DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
# the fence of a block, its language, its lines; a block within a tab is indented
_BLOCK = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
# what makes every training of the documents short
SHORT = {
    "max_steps": 2,
    "stage_epochs": 1,
    "stage_batches": 10,
    "validation_windows": 8,
    "point_windows": 20,
    "score_windows": 2,
    "score_samples": 4,
}
# the heads of the program that the documents name
PROGRAM = (["forecaster"], ["python", "cli.py"])


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language, without their indentation."""
    return [
        re.sub(f"^{match[1]}", "", match[3], flags=re.MULTILINE)
        for match in _BLOCK.finditer(text)
        if match[2] == language
    ]


def outside_of_blocks(text: str) -> str:
    """The document without its fenced blocks."""
    return _BLOCK.sub("", text)


def commands(text: str) -> list[list[str]]:
    """The words of every command in the shell blocks, in their order; of a pipe, the last part."""
    lines = "\n".join(blocks(text, "sh")).replace("\\\n", " ").splitlines()
    found = [shlex.split(line.rpartition(" | ")[2], comments=True) for line in lines]
    return [words for words in found if words]


def arguments(words: list[str]) -> list[str] | None:
    """What follows the program's name; None of another program's command."""
    for head in PROGRAM:
        if words[: len(head)] == head:
            return words[len(head) :]
    return None


def page_name(path: Path) -> str:
    """A page as the tests name it."""
    return path.name
