"""The vendor's document: what it says of an operation's parameters, bodies and answers, as JSON Schema.

It is OpenAPI 3.1, of which every schema is JSON Schema 2020-12 as it stands. Nothing of it is part of the project.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from beam_talonone.schemas.operations import Operation

Json = dict[str, Any]


@dataclass(frozen=True)
class Parameter:
    name: str
    place: str
    required: bool
    schema: Json
    explode: bool
    """True for a list whose parameter is repeated for each entry, False for one with commas in between."""

    @property
    def is_list(self) -> bool:
        return bool(self.schema.get("type") == "array")

    def read(self, texts: list[str]) -> Any:
        """What the texts on the wire mean; a text that means nothing of the kind stays a text."""
        if self.is_list:
            items = Parameter(self.name, self.place, self.required, self.schema["items"], self.explode)
            return [items.read([text]) for one in texts for text in ([one] if self.explode else one.split(","))]
        (text,) = texts
        match self.schema["type"]:
            case "boolean":
                return {"true": True, "false": False}.get(text, text)
            case "integer":
                return int(text) if text.lstrip("-").isdecimal() else text
        return text


class Document:
    """`value` is the document as YAML gives it."""

    def __init__(self, value: Json) -> None:
        self._value = value
        self.validator = cache(self._validator)

    def resolved(self, value: Any) -> Json:
        """`value`, or what it refers to."""
        while "$ref" in value:
            found: Any = self._value
            for step in value["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            value = found
        return value

    def calls(self) -> dict[tuple[str, str], str]:
        """Method and path template of each operation of the document, and its name there."""
        methods = ("get", "put", "post", "delete", "patch")
        paths = self._value["paths"].items()
        return {
            (method.upper(), path): declared["operationId"]
            for path, item in paths
            for method, declared in item.items()
            if method in methods
        }

    def declared(self, row: Operation) -> Json:
        found: Json = self._value["paths"][row.template][row.method.lower()]
        return found

    def parameters(self, row: Operation) -> list[Parameter]:
        """The operation's parameters of path and query."""
        found = [self.resolved(one) for one in self.declared(row).get("parameters", ())]
        return [
            Parameter(
                one["name"], one["in"], one.get("required", False), self.resolved(one["schema"]),
                one.get("explode", one.get("style", "form") == "form"),
            )
            for one in found
            if one["in"] in ("path", "query")
        ]  # fmt: skip

    def body(self, row: Operation) -> tuple[Json, bool] | None:
        """The schema of the operation's body and whether a body is required; None where it has none."""
        if "requestBody" not in self.declared(row):
            return None
        found = self.resolved(self.declared(row)["requestBody"])
        return found["content"]["application/json"]["schema"], found.get("required", False)

    def answer(self, row: Operation, status: int) -> Json | None:
        """The schema of an answer; None where it has no body. Raises KeyError for a status that is not declared."""
        content = self.resolved(self.declared(row)["responses"][str(status)]).get("content")
        return None if content is None else content["application/json"]["schema"]

    def problems(self, schema: Json, value: Any) -> list[str]:
        """Each violation of `schema` by `value`, with its place."""
        return [f"{error.instance_path}: {error.message}" for error in self.of(schema).iter_errors(value)]

    def allows(self, schema: Json, value: Any) -> bool:
        return bool(self.of(schema).is_valid(value))

    def of(self, schema: Json) -> Any:
        return self.validator(_Key(schema))

    def _validator(self, key: "_Key") -> Any:
        jsonschema_rs = pytest.importorskip("jsonschema_rs", reason="jsonschema-rs is not installed")
        rooted = {**key.schema, "components": self._value["components"]}
        return jsonschema_rs.Draft202012Validator(rooted, validate_formats=True)


class _Key:
    """A schema, known by being the same object: making a validator takes far longer than using it."""

    def __init__(self, schema: Json) -> None:
        self.schema = schema

    def __hash__(self) -> int:
        return id(self.schema)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.schema is self.schema
