"""The code blocks of a page, and what a block of output says about the output of a command."""

import re
from textwrap import dedent
from typing import NamedTuple

FENCE = re.compile(r"^( *)```(\w*)([^\n]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)

ELSE = "..."
"""In a block of output: any text within a line, or any number of lines."""


class Block(NamedTuple):
    """A block of code of a page."""

    language: str
    title: str | None
    exits: int
    text: str


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in their order."""
    result = []
    for _, language, about, text in FENCE.findall(page):
        title = re.search(r'title="([^"]+)"', about)
        exits = re.search(r"exits=(\d)", about)
        result.append(Block(language, title and title[1], int(exits[1]) if exits else 0, dedent(text)))
    return result


def without_blocks(page: str) -> str:
    """The text of a page between its blocks."""
    return FENCE.sub("", page)


def shows(output: str, block: str) -> bool:
    """Whether the lines of a block are among the lines of an output, one after the other: see ELSE.

    Blanks at the ends of lines do not count.
    """
    lines = "".join(
        r"(?:.*\n)*?" if line.strip() == ELSE else ".*".join(map(re.escape, line.rstrip().split(ELSE))) + r" *\n"
        for line in block.splitlines()
    )
    return re.search(f"^{lines}", output.rstrip("\n") + "\n", re.MULTILINE) is not None
