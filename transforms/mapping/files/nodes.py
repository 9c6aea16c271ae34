"""YAML to nodes that know their lines. Nothing is constructed but text, numbers, truth values and null."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import yaml

from beam_talonone.transforms.mapping.errors import MappingFileError

MAX_BYTES = 256 << 10
"""The size of a mapping file."""

MAX_DEPTH = 20
"""Levels of nesting of a mapping file."""

_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,99})(?:\.\d{1,100})?", re.ASCII)
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}

Node = yaml.Node


def compose(text: str) -> Node:
    """The one document in `text`. Raises MappingFileError with the line, also for aliases and tags."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise MappingFileError(f"a mapping file has at most {MAX_BYTES >> 10} KiB")
    try:
        depth = 0
        for event in yaml.parse(text, yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise MappingFileError(f"nested deeper than {MAX_DEPTH} levels", _line(event))
            _refuse_extras(event)
        node = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = None if mark is None else mark.line + 1
        raise MappingFileError(f"not YAML: {error.problem}{_advice(error)}", line) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise MappingFileError(f"not YAML: the character U+{error.character:04X} is not allowed", line) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, MappingFileError):
            raise
        raise MappingFileError(f"not YAML: {str(error).splitlines()[0]}") from None
    if node is None:
        raise MappingFileError("the file is empty")
    return node


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _refuse_extras(event: Any) -> None:
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
        raise MappingFileError(
            "anchors and aliases (& and *) are not used in mapping files", event.start_mark.line + 1
        )
    if getattr(event, "tag", None) is not None:
        raise MappingFileError(f"tags such as {event.tag} are not used in mapping files", _line(event))


def _advice(error: Any) -> str:
    if "cannot start any token" in str(error.problem) or "found unexpected" in str(error.problem):
        return ' (put an expression in "double quotes" where it begins with @ ` [ { & * ! or contains ": ")'
    return ""


def line_of(node: Node) -> int:
    """The 1-based line at which a node begins."""
    return int(node.start_mark.line) + 1


def is_text(node: Node) -> bool:
    """Whether a node is a text: quoted, in a block, or plain and neither number, truth value nor null."""
    if not isinstance(node, yaml.ScalarNode):
        return False
    return node.style is not None or (node.value not in _WORDS and not _NUMBER.fullmatch(node.value))


def entries(node: Node, what: str) -> Iterator[tuple[str, Node, Node]]:
    """Name, the name's node and the value's, of a YAML mapping. Raises MappingFileError for all else."""
    if not isinstance(node, yaml.MappingNode):
        raise MappingFileError(f"{what}: expected `name: value` entries", line_of(node))
    seen: set[str] = set()
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise MappingFileError(f"{what}: a name is a text", line_of(key))
        if key.value in seen:
            raise MappingFileError(f"{what}: `{key.value}` occurs twice", line_of(key))
        seen.add(key.value)
        yield str(key.value), key, value


def items(node: Node) -> list[Node]:
    """The nodes of a YAML list; of anything else the node itself, alone."""
    return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]


def literal(node: Node) -> Any:
    """A node as an exact value: numbers as int or Decimal, and only true, false and null as words."""
    if isinstance(node, yaml.SequenceNode):
        return [literal(item) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return {name: literal(value) for name, _, value in entries(node, "literal")}
    if is_text(node):
        return str(node.value)
    if node.value in _WORDS:
        return _WORDS[node.value]
    return Decimal(node.value) if "." in node.value else int(node.value)
