"""All functions of the language, by name."""

from collections.abc import Mapping

from beam_talonone.transforms.mapping.expressions.compiler import Function
from beam_talonone.transforms.mapping.functions import numbers, rows, standard, texts, times

FUNCTIONS: Mapping[str, Function] = {
    **standard.FUNCTIONS, **texts.FUNCTIONS, **numbers.FUNCTIONS, **times.FUNCTIONS, **rows.FUNCTIONS,
}  # fmt: skip
"""Name -> function. The list is closed: a mapping cannot add to it."""
