"""Avro schemas of messages: parsed once, and refused if a message could exhaust this process with them."""

import json
from typing import Any

import fastavro

from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.transforms.formats.avro_types import marked

MAX_SCHEMA_BYTES = 1 << 20


class UnusableSchema(ValueError):
    """A schema that cannot decode messages. The message says why, for a dead letter or a wrong setting."""


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
        _Checker().check(definition, within=())
    except UnusableSchema:
        raise
    except RecursionError:
        raise UnusableSchema("the Avro schema is nested too deep") from None
    except Exception as error:  # fastavro raises KeyError, TypeError and its own for what is no schema
        raise UnusableSchema(f"not an Avro schema: {error_line(error)}") from None
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise UnusableSchema("the Avro schema is not one of a record")
    return schema


class _Checker:
    """Walks a schema's definition; named types are checked where they are defined and found by name elsewhere."""

    def __init__(self) -> None:
        self._empty: dict[str, bool] = {}
        """Named type -> whether its values take no byte."""

    def check(self, schema: Any, within: tuple[str, ...]) -> bool:
        """Whether values of `schema` take no byte. `within` are the types around it."""
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
            return self._record(schema, within)
        if kind == "fixed":
            self._empty[schema["name"]] = schema["size"] == 0
            return bool(schema["size"] == 0)
        if kind == "enum":
            self._empty[schema["name"]] = False
            return False
        return self._named(kind, within)

    def _record(self, schema: Any, within: tuple[str, ...]) -> bool:
        name = schema["name"]
        fields = [self.check(field["type"], (*within, name)) for field in schema["fields"]]
        self._empty[name] = all(fields)
        return self._empty[name]

    def _named(self, name: str, within: tuple[str, ...]) -> bool:
        short = name.rpartition(".")[2]
        if any(outer.rpartition(".")[2] == short for outer in within):
            raise UnusableSchema(
                f"the Avro schema's type {name} contains itself, which messages may nest without end"
            )
        return name == "null" or any(
            empty for known, empty in self._empty.items() if known.rpartition(".")[2] == short
        )
