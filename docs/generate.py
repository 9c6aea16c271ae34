"""Write docs/operations.md from the operation table, and the tree in docs/development.md from the docstrings of the
packages: `make docs`. tests/test_docs.py fails if a page is out of date."""

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from beam_talonone.schemas.operation import Bulk
from beam_talonone.schemas.operations import OPERATIONS, Operation

PAGE = Path(__file__).with_name("operations.md")
TREE_PAGE = Path(__file__).with_name("development.md")
ROOT = TREE_PAGE.parents[1]

PACKAGES = ("schemas", "talonone", "transforms", "pipelines", "simulator")
OTHERS = {
    "beam_talonone": "The installed package: a link to each of the folders above.",
    "runner_configs": "Example files for `--runner-config`.",
    "templates": "Dataflow Flex Templates and their container image.",
    "examples": "Beam YAML, a pipeline of your own, and the rate limit service.",
    "tests": "Tests, in folders that follow the packages.",
    "bench": "Benchmarks.",
    "docs": "These pages, their generator and the prose check.",
}
"""Folders without a docstring, each with its sentence."""

TREE_MARKS = ("<!-- tree: written by `make docs` from the docstrings of the packages -->", "<!-- end of tree -->")

HEAD = """\
# Operations

This page lists the operations of Talon.One's Integration API that the connector supports. `make docs` generates it
from `schemas/operations/`. To change the page, change the table.

* **Writes** are sent by a `call` record ([records.md](records.md#call)), under the names below. Use the other kinds
  of records for orders, returns, profiles and events.
* **Reads** are sent by `lookup` ([lookup.md](lookup.md)), under the names below.
* **Names** in `path`, `query` and `body` are the API's own. A call with a name that is not listed is a dead letter
  `invalid_call`, and is not sent.
* **Holds** are the ids that a request occupies. While the request is in flight, no other request of that session,
  customer, card, coupon, catalog or audience is sent. Requests with the same holds are sent in the order of records.
* **Sent twice** describes the effect of a repeat. After an ambiguous outcome, requests with `by key` and `by nature`
  are repeated. A request with `no` becomes a dead letter `outcome_unknown` and is never repeated.
* **Bulk** gives the limits of one request. A larger call is split into several requests, in order. Small calls are
  combined if the line says so.
* **Answers** are status overrides: error statuses with another meaning for this operation.
"""


def page(operations: dict[str, Operation]) -> str:
    """The whole page, in the order of the table."""
    rows = list(operations.values())
    writes, reads = [row for row in rows if not row.is_read], [row for row in rows if row.is_read]
    tables = [_overview(f"## {len(writes)} writes", writes), _overview(f"## {len(reads)} reads", reads)]
    return "\n".join(map(_wrapped, "\n".join([HEAD, *tables, *map(_section, [*writes, *reads])]).split("\n")))


def _wrapped(line: str) -> str:
    """A line of at most 120 characters, or several; those after the first are indented as its list item is."""
    if len(line) <= 120:
        return line
    indent = " " * (len(line) - len(line.lstrip(" *")))
    return textwrap.fill(line, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _overview(title: str, rows: list[Operation]) -> str:
    lines = [title, ""]
    for row in rows:
        lines.append(f"* [{row.name}](#{row.name}): {row.purpose}")
        if not row.is_read:
            lines.append(f"  Record: {_record(row)}. Sent twice: {_repeat_word(row)}.")
    return "\n".join(lines) + "\n"


RECORDS = {
    "update_customer_session_v2": "order",
    "return_cart_items": "return",
    "reopen_customer_session": "order, with `--edit-closed reopen`",
    "update_customer_profiles_v2": "profile",
    "update_customer_profile_v2": "profile, with `--profile-mode rules`",
    "update_customer_profile_audiences": "profile",
    "delete_customer_data": "profile, with `erase`",
    "track_event_v2": "event",
    "track_event_v3": "event, with `--events-api v3`",
}
"""Operations that a record other than a call becomes. All other writes are calls."""


def _record(row: Operation) -> str:
    return RECORDS.get(row.name, "call")


def _repeat_word(row: Operation) -> str:
    word = row.repeat.name.lower().replace("_", " ")
    return word if row.named_by is None else f"{word} with `{row.named_by.split(':')[1]}`, otherwise no"


def _section(row: Operation) -> str:
    lines = [f"## {row.name}", "", row.purpose, "", f"`{row.method} {row.template}`", ""]
    lines += [line for head, facts in _facts(row) for line in _list(head, [fact for fact in facts if fact])]
    if row.body is not None:
        schema = row.body.model_json_schema(by_alias=True)
        lines += [f"* body: {_said(row.body)}".rstrip(), *_fields(schema, schema.get("$defs", {}), "  ")]
    return "\n".join(lines) + "\n"


def _list(head: str, facts: list[str]) -> list[str]:
    """One fact beside its head, several below it, and no line without one."""
    if len(facts) > 1:
        return [f"* {head}:", *(f"  * {fact}" for fact in facts)]
    return [f"* {head}: {fact}" for fact in facts]


def _facts(row: Operation) -> Iterator[tuple[str, list[str]]]:
    yield "path", [f"`{name}`: {_kind(adapter.json_schema(), {})}" for name, adapter in row.path.items()]
    yield "query", [f"`{name}`: {_kind(adapter.json_schema(), {})}" for name, adapter in row.query.items()]
    holds = [*(("session", p) for p in row.sessions), *(("customer", p) for p in row.profiles), *row.others]
    yield "holds", [", ".join(f"{what} `{place.replace(':', ': ')}`" for what, place in holds)]
    if row.paging is not None:
        yield "pages", [f"all are read, with up to {row.paging.most} rows of `{row.paging.rows}` per page"]
    if row.is_read:
        return
    later = "; a repeat is harmless even after the API has forgotten the key" if row.harmless else ""
    yield "sent twice", [f"{_repeat_word(row)}: {row.repeat.value}{later}"]
    if row.bulk is not None:
        yield "bulk", [_bulk(row.bulk)]
    yield "answers", [f"{status}: {says.value}" for status, says in sorted(row.says.items())]


def _bulk(bulk: Bulk) -> str:
    words = [f"up to {bulk.limit} entries of `{bulk.field}` in one request"]
    if bulk.alike is not None:
        words.append(f"all with the same `{bulk.alike}`")
    if bulk.distinct is not None:
        words.append(f"each with a different `{bulk.distinct}`")
    return ", ".join(words) + ("; small calls are combined" if bulk.packs else "")


def _said(body: type[BaseModel]) -> str:
    """The docstring of a body without its first words, which name the operation."""
    said = " ".join((body.__doc__ or "").split())
    whose = re.match(r"Body of [\w, ]+?(?:\.|: ) ?", said)
    return said[whose.end() :] if whose else said


def _fields(schema: dict[str, Any], defs: dict[str, Any], indent: str) -> Iterator[str]:
    """A line for each field of an object, the fields of objects within it below."""
    for option in schema.get("oneOf", ()):
        chosen = _resolved(option, defs)
        tag = chosen["properties"]["type"]["const"]
        yield f"{indent}* `type` `{tag}`, with"
        yield from _fields({"properties": {"payload": chosen["properties"]["payload"]}}, defs, indent + "  ")
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
    if "oneOf" in schema:
        return "object"
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
            least, most = schema.get("minimum"), schema.get("maximum")
            if most is not None:
                return f"integer, {least} to {most}"
            return "integer" + (f", at least {least}" if least is not None else "")
        case "boolean":
            return "true or false"
    return "any value"


def _limits(schema: dict[str, Any], of: str) -> str:
    least, most = schema.get(f"min{of}", 0), schema.get(f"max{of}")
    unit = " characters" if of == "Length" else ""
    if most is not None:
        return f" ({least} to {most}{unit})" if least else f" (at most {most}{unit})"
    return f" (at least {least})" if least else ""


def summary(folder: Path) -> str:
    """The first sentence of a package's docstring, without line breaks; empty if there is none."""
    doc = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    found = re.match(r".+?[.](?=\s|$)", " ".join(doc.split()))
    return found[0] if found else ""


def folders(root: Path) -> list[Path]:
    """The package folders of the repository and their subfolders, each folder before its subfolders."""
    return [
        path
        for name in PACKAGES
        for path in [root / name, *sorted(init.parent for init in (root / name).glob("*/__init__.py"))]
    ]


def tree(root: Path) -> str:
    """A table of the folders, two levels deep: packages with their own sentence, the others with that of OTHERS."""
    named = [(f"{path.relative_to(root)}/", summary(path)) for path in folders(root)]
    named += [(f"{name}/", said) for name, said in OTHERS.items()]
    return "\n".join(["| folder | content |", "|---|---|", *(f"| `{name}` | {said} |" for name, said in named)])


def with_tree(text: str, root: Path) -> str:
    """The page with the tree of today between its two marks."""
    begin, end = TREE_MARKS
    before, rest = text.split(begin)
    return f"{before}{begin}\n\n{tree(root)}\n\n{end}{rest.split(end)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page(OPERATIONS), encoding="utf-8")
    TREE_PAGE.write_text(with_tree(TREE_PAGE.read_text(encoding="utf-8"), ROOT), encoding="utf-8")
