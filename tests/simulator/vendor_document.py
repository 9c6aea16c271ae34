"""The vendor's document as a checker of answers: OpenAPI 3.1, whose schemas are JSON Schema of 2020-12."""

import json
from urllib.parse import quote

import pytest

from beam_talonone.schemas.operations import OPERATIONS

jsonschema_rs = pytest.importorskip("jsonschema_rs")


class Document:
    def __init__(self, document):
        self._document = document
        self._paths = document["paths"]
        self._components = document["components"]

    def operation(self, name):
        """What the document says of an operation, by its name in the table."""
        row = OPERATIONS[name]
        return self._paths[row.template][row.method.lower()]

    def queries(self, name):
        """The query parameters of an operation by their names."""
        row = OPERATIONS[name]
        parameters = [*self._paths[row.template].get("parameters", ()), *self.operation(name).get("parameters", ())]
        found = [self._found(parameter) for parameter in parameters]
        return {parameter["name"]: parameter for parameter in found if parameter["in"] == "query"}

    def declared(self, method, template):
        return self._paths[template][method.lower()]["responses"]

    def call_of(self, name):
        """Method and path of an operation, found by its id alone."""
        return next(
            (method.upper(), template)
            for template, methods in self._paths.items()
            for method, operation in methods.items()
            if isinstance(operation, dict) and operation.get("operationId", "").lower() == name.replace("_", "")
        )

    def statuses(self, name):
        return {int(status) for status in self.operation(name)["responses"]}

    def hold(self, method, template, reply):
        """Raise unless the document declares this status with a body such as this, and every field in it."""
        answers = self.declared(method, template)
        assert str(reply.status) in answers, f"{method} {template}: {reply.status} is not declared"
        content = answers[str(reply.status)].get("content", {})
        if not reply.text:
            assert reply.status == 204 or not content, f"{method} {template}: {reply.status} wants a body"
            return
        assert content, f"{method} {template}: {reply.status} wants no body"
        self.hold_value(content["application/json"]["schema"], json.loads(reply.text))

    def hold_value(self, schema, value):
        rooted = {**schema, "components": self._components}
        jsonschema_rs.Draft202012Validator(rooted, validate_formats=True).validate(value)
        unknown = list(self.unknown(schema, value))
        assert not unknown, f"the document has no {', '.join(unknown)}"

    def unknown(self, schema, value, at=""):
        """The places in `value` that the schema says nothing of, where it names what there is."""
        if isinstance(value, list):
            entries = [part["items"] for part in self._parts(schema) if "items" in part]
            for index, entry in enumerate(value if entries else ()):
                yield from self.unknown(entries[0], entry, f"{at}/{index}")
        if not isinstance(value, dict):
            return
        parts = list(self._parts(schema))
        # some names are required that are described nowhere
        known = {name: {} for part in parts for name in part.get("required", ())}
        known |= {name: inner for part in parts for name, inner in part.get("properties", {}).items()}
        others = [part["additionalProperties"] for part in parts if "additionalProperties" in part]
        if not known and not others:
            return
        for name, inner in value.items():
            if name in known:
                yield from self.unknown(known[name], inner, f"{at}/{name}")
            elif not others or others[0] is False:
                yield f"{at}/{name}"
            elif isinstance(others[0], dict):
                yield from self.unknown(others[0], inner, f"{at}/{name}")

    def _parts(self, schema):
        """A schema and all that it is put together from, references followed."""
        schema = self._found(schema)
        yield schema
        for word in ("allOf", "oneOf", "anyOf"):
            for part in schema.get(word, ()):
                yield from self._parts(part)

    def _found(self, value):
        """What a reference leads to; anything else as it is."""
        while "$ref" in value:
            place = self._document
            for step in value["$ref"].removeprefix("#/").split("/"):
                place = place[step]
            value = place
        return value


def target_of(template, names):
    """The path of a template with its parameters put in."""
    for name, value in names.items():
        template = template.replace("{" + name + "}", quote(str(value), safe="%"))
    return template
