"""Write docs/operations.md from the operation table: `make docs`. tests/test_docs.py tells when it was forgotten."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from beam_talonone.schemas.operations import OPERATIONS, Operation

PAGE = Path(__file__).with_name("operations.md")

HEAD = """\
# Operations

The operations of Talon.One's Integration API that the connector knows, from `schemas/operations.py`.
Written by `make docs`: change the table, not this page.

* **Writes** can be sent by a `call` record ([records.md](records.md#call)), under the names below. Names in `path`,
  `query` and `body` are the API's own. A name that is not listed is a dead letter `invalid_call` before anything is
  sent.
* **Holds** are the ids that a request occupies: nothing else of that session or customer is in flight meanwhile.
* **Sent twice** says what a repeat does, and so what happens to a request whose outcome is unclear: `by key` and
  `by nature` go again, a request without protection becomes a dead letter `outcome_unknown`.
"""


def page(operations: dict[str, Operation]) -> str:
    """The whole page, in the order of the table."""
    parts = [HEAD, _overview(operations), *map(_section, operations.values())]
    return "\n".join(parts)


def _overview(operations: dict[str, Operation]) -> str:
    lines = ["| operation | call | sent twice |", "|---|---|---|"]
    for row in operations.values():
        lines.append(f"| [{row.name}](#{row.name}) | `{row.method} {row.template}` | {_repeat_word(row)} |")
    return "\n".join(lines) + "\n"


def _repeat_word(row: Operation) -> str:
    return row.repeat.name.lower().replace("_", " ") if not row.is_read else "reads"


def _section(row: Operation) -> str:
    lines = [f"## {row.name}", "", row.purpose, "", f"`{row.method} {row.template}`", ""]
    lines += [f"* {head}: {text}" for head, text in _facts(row) if text]
    if row.body is not None:
        schema = row.body.model_json_schema(by_alias=True)
        lines += ["* body:", *_fields(schema, schema.get("$defs", {}), "  ")]
    return "\n".join(lines) + "\n"


def _facts(row: Operation) -> Iterator[tuple[str, str]]:
    yield "path", ", ".join(f"`{name}`" for name in row.path_names)
    yield "query", ", ".join(f"`{name}` ({_kind(adapter.json_schema(), {})})" for name, adapter in row.query.items())
    holds = [("session", place) for place in row.sessions] + [("customer", place) for place in row.profiles]
    yield "holds", ", ".join(f"{what} `{place.replace(':', ': ')}`" for what, place in holds)
    if row.is_read:
        return
    later = "; harmless even when the key is forgotten" if row.harmless else ""
    yield "sent twice", f"{_repeat_word(row)}: {row.repeat.value}{later}"
    if row.bulk is not None:
        yield "bulk", f"up to {row.bulk.limit} entries of `{row.bulk.field}` in one request"
    yield "done already", ", ".join(f"status {status}" for status in sorted(row.done_when))


def _fields(schema: dict[str, Any], defs: dict[str, Any], indent: str) -> Iterator[str]:
    """A line for each field of an object, the fields of objects within it below."""
    required = set(schema.get("required", ()))
    for name, inner in schema.get("properties", {}).items():
        needed = ", required" if name in required else ""
        yield f"{indent}* `{name}`: {_kind(inner, defs)}{needed}"
        yield from _fields(_object_in(inner, defs), defs, indent + "  ")


def _resolved(schema: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """The schema itself: references followed, `null` left out as no field is sent as null."""
    if "$ref" in schema:
        return _resolved(defs[schema["$ref"].rsplit("/", 1)[1]], defs)
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    return _resolved(options[0], defs) if len(options) == 1 else schema


def _object_in(schema: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    schema = _resolved(schema, defs)
    if schema.get("type") == "array":
        return _object_in(schema["items"], defs)
    inner = schema.get("additionalProperties")
    return _object_in(inner, defs) if isinstance(inner, dict) else schema


def _kind(schema: dict[str, Any], defs: dict[str, Any]) -> str:
    """The type in words, with its limits."""
    schema = _resolved(schema, defs)
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option.get("type") != "null"]
        # pydantic's way to say Decimal
        if {option.get("type") for option in options} == {"number", "string"}:
            return "decimal"
        return " or ".join(_kind(option, defs) for option in options)
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    match schema.get("type"):
        case "array":
            return f"list{_limits(schema, 'Items')} of {_kind(schema['items'], defs)}"
        case "object":
            inner = schema.get("additionalProperties")
            if isinstance(inner, dict):
                return f"object of name: {_kind(inner, defs)}"
            return "object of name: any value" if inner else "object"
        case "string":
            named = {"date-time": "time"}.get(schema.get("format", ""), "text")
            return named + _limits(schema, "Length")
        case "integer":
            return "integer" + (f", at least {schema['minimum']}" if "minimum" in schema else "")
        case "boolean":
            return "true or false"
    return "any value"


def _limits(schema: dict[str, Any], of: str) -> str:
    least, most = schema.get(f"min{of}", 0), schema.get(f"max{of}")
    unit = " characters" if of == "Length" else ""
    if most is not None:
        return f" ({least} to {most}{unit})" if least else f" (at most {most}{unit})"
    return f" (at least {least})" if least else ""


if __name__ == "__main__":
    PAGE.write_text(page(OPERATIONS), encoding="utf-8")
