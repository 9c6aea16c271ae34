"""The Avro schemas of the records: what users may write their Avro files with, not what they must."""

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
    """The schema of a kind of records (orders, returns, profiles, events, calls) as JSON; KeyError for another kind.

    Files of other schemas are read as well, as long as the fields' names and meanings are these.
    """
    text = resources.files("beam_talonone.schemas").joinpath("avro", _FILES[kind]).read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
