"""Avro schemas of messages: parsed once, and refused if a message could exhaust this process with them."""

import json
from typing import Any

import fastavro

from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.transforms.formats.avro_types import marked

MAX_SCHEMA_BYTES = 1 << 20


class UnusableSchema(ValueError):
    """A schema that cannot decode messages. The message is the reason, for a dead letter or a wrong setting."""


def parse_avro_schema(text: str | bytes) -> Any:
    """The schema in `text` (JSON), parsed by fastavro, with the readers of logical types that file decoding uses.

    Messages are decoded in this process, and files in one of their own. So a schema is refused if a few bytes could
    claim any depth (a type that contains itself) or any number of values (a list of values without a byte).

    Raises UnusableSchema.

    >>> parse_avro_schema('{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}]}')["name"]
    'Order'
    """
    if len(text) > MAX_SCHEMA_BYTES:
        raise UnusableSchema(f"the Avro schema is larger than {MAX_SCHEMA_BYTES >> 20} MiB")
    try:
        definition = json.loads(text)
        schema = fastavro.parse_schema(marked(definition), {})
        _Checker().check(definition, within=frozenset())
    except UnusableSchema:
        raise
    except RecursionError:
        raise UnusableSchema("the Avro schema is nested too deep") from None
    except Exception as error:  # fastavro raises KeyError, TypeError and its own errors
        raise UnusableSchema(f"not an Avro schema: {error_line(error)}") from None
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise UnusableSchema("the Avro schema is not one of a record")
    return schema


class _Checker:
    """Walks a schema's definition. Named types are checked where they are defined, and looked up by name elsewhere.

    Names are compared without namespaces, so that inherited namespaces need no resolution. Two types with the same
    short name can only get a schema refused, and never accepted.
    """

    def __init__(self) -> None:
        self._empty: set[str] = set()
        """Short names of the named types whose values take no byte."""

    def check(self, schema: Any, within: frozenset[str]) -> bool:
        """Whether values of `schema` take no byte. `within` has the short names of the types around it.

        Raises UnusableSchema.
        """
        if isinstance(schema, list):
            for branch in schema:
                self.check(branch, within)
            return False  # the number of the branch takes one
        if isinstance(schema, str):
            return self._named(schema, within)
        kind = schema["type"]
        if isinstance(kind, dict | list):
            return self.check(kind, within)
        if kind in ("array", "map"):
            if self.check(schema["items" if kind == "array" else "values"], within) and kind == "array":
                raise UnusableSchema(
                    "the Avro schema has a list of values without content, which can claim any length"
                )
            return False
        if kind in ("record", "error"):
            inside = within | {_short(schema["name"])}
            empty = [self.check(field["type"], inside) for field in schema["fields"]]  # all are checked
            return self._defined(schema, all(empty))
        if kind == "fixed":
            return self._defined(schema, schema["size"] == 0)
        if kind == "enum":
            return self._defined(schema, False)
        return self._named(kind, within)

    def _defined(self, schema: Any, is_empty: bool) -> bool:
        if is_empty:
            self._empty.add(_short(schema["name"]))
        return is_empty

    def _named(self, name: str, within: frozenset[str]) -> bool:
        short = _short(name)
        if short in within:
            raise UnusableSchema(
                f"the Avro schema's type {name} contains itself, which messages may nest without end"
            )
        return name == "null" or short in self._empty


def _short(name: str) -> str:
    return name.rpartition(".")[2]
