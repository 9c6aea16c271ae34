"""Write the JSON Schema and the Avro schema of each kind of record to docs/reference/schemas.

`make docs` runs this file.

tests/test_record_schemas.py fails if a file is out of date.
"""

import json
from pathlib import Path
from typing import Any

from beam_talonone.schemas.avro import avro_schema
from beam_talonone.schemas.records import MODELS

FOLDER = Path(__file__).with_name("reference") / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

BOUNDS = {"ge": "minimum", "le": "maximum"}
"""Limits that pydantic writes under its own names, for types that have a validator of their own."""

RULES: dict[str, dict[str, Any]] = {
    "Order": {"if": {"properties": {"status": {"const": "completed"}}}, "then": {"required": ["items"]}},
    "ReturnItem": {"oneOf": [{"required": ["sku"]}, {"required": ["position"]}]},
}
"""Rules between fields, which are validators in the models, by the name of the model."""


def record_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a record of `kind` (orders, returns, ...), as it stands in a line of JSON."""
    model = MODELS[kind]
    schema = _cleaned(model.model_json_schema())
    for name, definition in schema.get("$defs", {}).items():
        definition.update(RULES.get(name, {}))
    return {"$schema": DIALECT, "title": model.__name__, **schema, **RULES.get(model.__name__, {})}


def _cleaned(schema: Any) -> Any:
    """A part of a schema of pydantic without titles, defaults and the examples of docstrings."""
    if isinstance(schema, list):
        return [_cleaned(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    result = {}
    for name, part in schema.items():
        if name in ("properties", "$defs"):  # the names below are those of fields and models
            result[name] = {key: _cleaned(value) for key, value in part.items()}
        elif name == "description":
            result[name] = " ".join(part.split("\n\n>>>")[0].split())
        elif name not in ("title", "default"):
            result[BOUNDS.get(name, name)] = _cleaned(part)
    return result


def file_of(kind: str) -> Path:
    """The file of a kind: docs/reference/schemas/order.json for orders."""
    return FOLDER / f"{kind.removesuffix('s')}.json"


def text_of(kind: str) -> str:
    """The content of the file of a kind."""
    return json.dumps(record_schema(kind), indent=2) + "\n"


def avro_file_of(kind: str) -> Path:
    """The file of the Avro schema of a kind: docs/reference/schemas/order.avsc for orders."""
    return file_of(kind).with_suffix(".avsc")


def avro_text_of(kind: str) -> str:
    """The Avro schema of a kind as JSON. It is that of the package, which files can be written with."""
    return json.dumps(avro_schema(kind), indent=2) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for kind in MODELS:
        file_of(kind).write_text(text_of(kind), encoding="utf-8")
        avro_file_of(kind).write_text(avro_text_of(kind), encoding="utf-8")
