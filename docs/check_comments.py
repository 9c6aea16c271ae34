"""Check the prose of docstrings and comments against docs/prose.toml: `make lint`.

`python docs/check_comments.py talonone/rate` checks one folder or file.
"""

import ast
import io
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterator

from check_prose import FENCE, ROOT, Block, Finding, Rules, block_findings, blocks, rules_of

FOLDERS = ("schemas", "talonone", "transforms", "pipelines", "simulator", "docs", "bench", "tests")
NOT_PROSE = re.compile(r"^(noqa|type:|fmt:|pragma|mypy:|ruff:|!)")


def docstrings(tree: ast.AST) -> Iterator[Block]:
    """Yield the paragraphs of every docstring, also of those below an attribute; doctests are left out."""
    for node in ast.walk(tree):
        body = getattr(node, "body", ())
        for statement in body if isinstance(body, list) else ():
            value = getattr(statement, "value", None)
            if isinstance(statement, ast.Expr) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                for block in blocks(_prose_lines(value.value)):
                    yield Block(value.lineno + block.line - 1, block.text, block.heading)


def _prose_lines(text: str) -> list[str]:
    """The lines of a docstring; those of code blocks and doctests are empty, so that numbers of lines stay."""
    lines, fenced, example = [], False, False
    for line in text.splitlines():
        plain = line.strip()
        fence = bool(FENCE.match(plain))
        example = plain.startswith(">>>") or (example and bool(plain))
        lines.append("" if fenced or fence or example else plain)
        fenced ^= fence
    return lines


def comments(source: str) -> Iterator[Block]:
    """Yield each comment; comments on lines of their own that follow each other are one."""
    first, last, parts = 0, -1, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        text = token.string.lstrip("#").strip()
        if token.type != tokenize.COMMENT or NOT_PROSE.match(text):
            continue
        alone = not token.line[: token.start[1]].strip()
        if parts and not (alone and token.start[0] == last + 1):
            yield Block(first, " ".join(parts))
            parts = []
        first, last = first if parts else token.start[0], token.start[0]
        parts.append(text)
    if parts:
        yield Block(first, " ".join(parts))


def findings(source: str, rules: Rules) -> list[Finding]:
    """Return what the docstrings and comments of a module break, by line."""
    found = [
        finding
        for block in (*docstrings(ast.parse(source)), *comments(source))
        for finding in block_findings(block, rules)
    ]
    return sorted(found, key=lambda finding: finding.line)


def main(arguments: list[str]) -> int:
    """Print each finding as `file:line: what`; return 1 if there is any."""
    table = tomllib.loads((ROOT / "docs" / "prose.toml").read_text(encoding="utf-8"))
    rules = rules_of({**table, "banned": {**table["banned"], **table["banned_in_code"]}})
    bad = 0
    for root in [ROOT / name for name in arguments or FOLDERS]:
        for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
            for finding in findings(path.read_text(encoding="utf-8"), rules):
                print(f"{path.relative_to(ROOT)}:{finding.line}: {finding.text}")
                bad += 1
    return bad > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
