"""Check the prose of the Markdown pages against docs/prose.toml: `make lint`.

This is a checker of our own, as `make lint` needs nothing but Python. The checker vale has to be built with Go and
a C compiler, and proselint checks neither the length of sentences nor the word list of a project.
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PATTERNS = ("*.md", "docs/**/*.md", ".github/**/*.md", "runner_configs/*.md")

ABBREVIATIONS = ("e.g.", "i.e.", "etc.", "vs.", "approx.", "incl.")
CODE_WORD = "CODE"
"""Stands for a code span, which counts as one word."""

FENCE = re.compile(r"^\s*(```|~~~)")
ITEM = re.compile(r"^\s*(?:[-*+]|\d+\.)\s+")
UNBREAKABLE = re.compile(r"!?\[[^\]]*\]\([^)]*\)|`[^`]+`")


@dataclass(frozen=True)
class Rules:
    """docs/prose.toml: lengths in characters and words, patterns with what to write instead, exempt pages."""

    line_length: int
    sentence_length: int
    exempt: tuple[str, ...]
    banned: tuple[tuple[re.Pattern[str], str], ...]
    inverted: tuple[tuple[re.Pattern[str], str], ...]


@dataclass(frozen=True)
class Block:
    """A paragraph, list item, heading or table cell, with the number of its first line."""

    line: int
    text: str
    heading: bool = False


@dataclass(frozen=True)
class Finding:
    """What breaks a rule, and the 1-based line where it begins."""

    line: int
    text: str


def rules_of(table: dict[str, Any]) -> Rules:
    """The rules of a decoded prose.toml. Raises KeyError for a missing key and re.error for a bad pattern."""
    return Rules(
        table["line_length"],
        table["sentence_length"],
        tuple(table["exempt"]),
        tuple((re.compile(rf"\b(?:{key})\b", re.IGNORECASE), use) for key, use in table["banned"].items()),
        tuple((re.compile(rf"(?:{key})\b", re.IGNORECASE), use) for key, use in table["inverted"].items()),
    )


def prose_lines(text: str) -> list[str]:
    """The lines of a page; those of code blocks and comments are empty, so that numbers of lines stay."""
    text = re.sub(r"<!--.*?-->", lambda found: "\n" * found[0].count("\n"), text, flags=re.DOTALL)
    lines, fenced = [], False
    for line in text.splitlines():
        fence = bool(FENCE.match(line))
        lines.append("" if fenced or fence else line)
        fenced ^= fence
    return lines


def blocks(lines: Iterable[str]) -> Iterator[Block]:
    """The units of prose in which sentences are searched."""
    first, parts = 0, list[str]()
    for number, line in enumerate([*lines, ""], 1):
        plain = line.strip().removeprefix("> ")
        heading, row = plain.startswith("#"), plain.startswith("|")
        if parts and (not plain or heading or row or ITEM.match(line)):
            yield Block(first, " ".join(parts))
            parts = []
        if heading:
            yield Block(number, plain.lstrip("# "), heading=True)
        elif row:
            cells = re.split(r"(?<!\\)\|", plain.strip("|"))
            yield from (Block(number, cell.strip()) for cell in cells if re.search(r"\w", cell))
        elif plain:
            first = first if parts else number
            parts.append(ITEM.sub("", plain))


def words_of(text: str) -> str:
    """The text as it is read: a code span is one word, a link is its text, and emphasis is gone."""
    text = re.sub(r"(`+).+?\1", CODE_WORD, text)
    text = re.sub(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])?", r"\1", text)
    return re.sub(r"<[^>]*>|https?://\S+|\*+|(?<!\w)_|_(?!\w)", "", text)


def sentences(text: str) -> list[str]:
    """The sentences of a block. A full stop ends one before a capital, a digit or a bracket."""
    found, start = [], 0
    for stop in re.finditer(r"[.!?][\")”]*\s+(?=[\"(“]*[A-Z0-9])", text):
        if not text[: stop.start() + 1].lower().endswith(ABBREVIATIONS):
            found.append(text[start : stop.end()].strip())
            start = stop.end()
    return [sentence for sentence in [*found, text[start:].strip()] if sentence]


def length(sentence: str) -> int:
    """Count words: strings between blanks that contain an alphanumeric character."""
    return sum(1 for word in sentence.split() if re.search(r"\w", word))


def breakable(line: str) -> bool:
    """Whether a line could be two: it has a blank outside of links and code spans."""
    return " " in UNBREAKABLE.sub("", ITEM.sub("", line)).strip()


def long_lines(lines: Iterable[str], limit: int) -> Iterator[Finding]:
    """Yield the lines of more than `limit` characters that could be broken; tables and headings cannot."""
    for number, line in enumerate(lines, 1):
        if len(line) > limit and not line.lstrip().startswith(("|", "#")) and breakable(line):
            yield Finding(number, f"line of {len(line)} characters; at most {limit}")


def block_findings(block: Block, rules: Rules) -> Iterator[Finding]:
    """Yield the banned words, long sentences and inversions of one paragraph or list item."""
    text = words_of(block.text)
    for pattern, use in rules.banned:
        if found := pattern.search(text):
            yield Finding(block.line, f'"{found[0]}": {use}')
    if block.heading:
        return
    for sentence in sentences(text):
        if (words := length(sentence)) > rules.sentence_length:
            what = f"sentence of {words} words; at most {rules.sentence_length}"
            yield Finding(block.line, f"{what}: {sentence[:60]} ...")
        if not sentence.endswith((".", ":", "!")):  # a question, a title or a cell
            continue
        for pattern, use in rules.inverted:
            if found := pattern.match(sentence):
                yield Finding(block.line, f'sentence that begins with "{found[0]}": {use}')


def findings(text: str, rules: Rules) -> list[Finding]:
    """What a page breaks, by line."""
    lines = prose_lines(text)
    found = [*long_lines(lines, rules.line_length)]
    for block in blocks(lines):
        found += block_findings(block, rules)
    return sorted(found, key=lambda finding: finding.line)


def pages(root: Path) -> list[Path]:
    """Return the pages that are checked, below the root of the repository."""
    return sorted({path for pattern in PATTERNS for path in root.glob(pattern)})


def complaints(root: Path, rules: Rules) -> Iterator[str]:
    """A line for each fault of the pages below a folder, and for each entry of `exempt` that is not needed."""
    there = {str(path.relative_to(root)): path for path in pages(root)}
    for name, path in there.items():
        found = findings(path.read_text(encoding="utf-8"), rules)
        if name not in rules.exempt:
            yield from (f"{name}:{finding.line}: {finding.text}" for finding in found)
        elif not found:
            yield f"docs/prose.toml: {name} passes: remove it from `exempt`"
    yield from (f"docs/prose.toml: {name} is exempt and does not exist" for name in {*rules.exempt} - {*there})


def main() -> int:
    """Print each finding as `file:line: what`; return 1 if there is any."""
    rules = rules_of(tomllib.loads((ROOT / "docs" / "prose.toml").read_text(encoding="utf-8")))
    found = list(complaints(ROOT, rules))
    print(*found, sep="\n", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
