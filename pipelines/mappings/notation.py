"""How names, expressions and comments are written in the file of a mapping."""

import json
import re

Path = tuple[str, ...]
"""The names that lead to a value, as they are in the document."""

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN_EXPRESSION = re.compile(r"[A-Za-z_][\w.]*(\([\w., ']*\))?")
_YAML_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
"""What YAML reads as a value."""


def path_expression(path: Path) -> str:
    """The path as an expression: a name that is not an identifier of ASCII has double quotes.

    >>> path_expression(("customer", "E-Mail"))
    'customer."E-Mail"'
    """
    return ".".join(name if _PLAIN_NAME.fullmatch(name) else _quoted(name) for name in path)


def shown_path(path: Path) -> str:
    """The path for a comment; a name that would read like two is quoted."""
    return ".".join(_quoted(name) if not name or "." in name or '"' in name else name for name in path)


def yaml_expression(expression: str) -> str:
    """The expression as a scalar of YAML, in single quotes unless YAML reads it as a text without them."""
    if _PLAIN_EXPRESSION.fullmatch(expression) and expression.lower() not in _YAML_WORDS:
        return expression
    return _single_quoted(expression)


def yaml_flow(expression: str) -> str:
    """The expression within braces, where a comma outside of quotes would end it."""
    return expression if expression.isidentifier() and expression.isascii() else _single_quoted(expression)


def yaml_text(text: str) -> str:
    """A text of YAML in double quotes, with escapes for the characters that YAML would change."""
    escaped = (
        f"\\{letter}" if letter in '"\\' else letter if letter.isprintable() else f"\\U{ord(letter):08x}"
        for letter in text
    )  # fmt: skip
    return f'"{"".join(escaped)}"'


def comment(text: str) -> str:
    """The text in one line of a comment: a character that cannot be printed is a question mark."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _single_quoted(expression: str) -> str:
    return "'" + expression.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=not name.isprintable())
