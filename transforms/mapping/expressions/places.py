"""Where a value stands in the document: JSON pointers for errors."""

from typing import Any

from beam_talonone.schemas.decoding.parse import escape
from beam_talonone.transforms.mapping.expressions.grammar import Node, children

Path = tuple[str | int, ...]

MOST_PLACES = 100_000
"""Containers that are looked at to find one."""


def path_of(node: Node) -> Path | None:
    """The names and indices that a plain path such as `a.b[0]` goes through; None for any other expression."""
    kind = node["type"]
    if kind in ("current", "identity"):
        return ()
    if kind in ("field", "index"):
        return (node["value"],)
    if kind in ("subexpression", "index_expression"):
        parts = [path_of(child) for child in node["children"]]
        return None if None in parts else tuple(step for part in parts if part for step in part)
    return None


def first_path(node: Node) -> Path:
    """The first plain path that is evaluated on the same value as `node`: what a failed function most likely read."""
    path = path_of(node)
    if path:
        return path
    if node["type"] in ("literal", "expref", "variable"):
        return ()
    below = children(node)
    if node["type"] not in ("function_expression", "comparator", "or_expression", "and_expression"):
        below = iter(list(below)[:1])  # what stands to the right is evaluated on another value
    return next((path for child in below if (path := first_path(child))), ())


def pointer_to(document: Any, container: Any, path: Path = ()) -> str | None:
    """The JSON pointer of what `path` leads to from `container`; None if that is no part of the document."""
    place = _place_of(document, container)
    return None if place is None else "".join(f"/{escape(step)}" for step in (*place, *path))


def _place_of(document: Any, container: Any) -> Path | None:
    if not isinstance(container, dict | list):
        return None
    level: list[tuple[Any, Path]] = [(document, ())]
    looked_at = 0
    while level and looked_at < MOST_PLACES:
        below: list[tuple[Any, Path]] = []
        for node, place in level:
            if node is container:
                return place
            looked_at += 1
            entries = node.items() if isinstance(node, dict) else enumerate(node)
            below += [(child, (*place, name)) for name, child in entries if isinstance(child, dict | list)]
        level = below
    return None
