"""The Avro schemas of the records, which users can write Avro files with. Files of other schemas are read too."""

import json
from importlib import resources
from typing import Any

_FILES = {
    "orders": "order.avsc",
    "returns": "return.avsc",
    "profiles": "profile.avsc",
    "events": "event.avsc",
    "calls": "call.avsc",
}


def avro_schema(kind: str) -> dict[str, Any]:
    """The Avro schema of a kind of records (orders, returns, profiles, events, calls), decoded from its JSON.

    Files of other schemas are read as well if their fields have the same names and meanings. Raises KeyError for
    another kind.

    >>> avro_schema("returns")["name"]
    'Return'
    """
    text = resources.files("beam_talonone.schemas").joinpath("avro", _FILES[kind]).read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
