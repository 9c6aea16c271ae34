"""The words that other systems write where a value is missing."""

from collections.abc import Iterable
from typing import Any

NULL_WORDS = (
    "NULL", "null", "(null)", "<null>", "None", "none", "NONE", "nil", "NaN", "nan", "\\N",
    "N/A", "n/a", "#N/A", "n.a.", "N.A.", "NA", "k.A.", "k. A.", "k.a.", "keine Angabe", "s/o", "n.v.t.", "n.d.",
    "-", "--", "---", "–", "—",
)  # fmt: skip
"""As they are written: `Null` and `Nan` are names of persons."""


def null_words(values: Iterable[Any]) -> tuple[str, ...]:
    """The words among the values that probably stand for null, each once, in the order of NULL_WORDS.

    >>> null_words(["7", "-", None, "NULL", "-"])
    ('NULL', '-')
    """
    texts = {value for value in values if isinstance(value, str)}
    return tuple(word for word in NULL_WORDS if word in texts)
