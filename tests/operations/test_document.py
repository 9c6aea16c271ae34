"""Rows and requests held against the vendor's document."""

import json
from typing import Any, Final, Literal, get_args

import pytest
from pydantic import BaseModel

from beam_talonone.schemas.operation import Operation
from beam_talonone.schemas.operations import OPERATIONS

from .bad import GONE, changed
from .document import Document, Parameter
from .table import CASES, Case
from .wire import Wire, case_record, our_wire

ROWS: Final = [pytest.param(row, id=name) for name, row in OPERATIONS.items()]
REQUESTS: Final = [
    pytest.param(case, body, id=case.operation if len(case.bodies) == 1 else f"{case.operation}-{number}")
    for case in CASES
    for number, body in enumerate(case.bodies)
]

NO_ENUM: Final = {
    ("sort", "-startDate"): "the parameter's text allows the prefix `-`",
    ("sort", "-expiryDate"): "the parameter's text allows the prefix `-`",
}
"""Values of ours that a parameter's schema does not have."""

NO_LIMIT: Final = {
    ("update_customer_profiles_v2", "customerProfiles"): "the limit of 1000 stands in the operation's text",
    ("update_customer_profile_audiences", "data"): "the limit of 1000 stands in the operation's text",
}
"""Limits of ours that a body's schema does not have."""


def test_the_document_has_our_operations_and_no_others(document: Document):
    ours = {(row.method, row.template): row.name.replace("_", "") for row in OPERATIONS.values()}
    assert ours == {call: name.lower() for call, name in document.calls().items()}


@pytest.mark.parametrize("row", ROWS)
def test_parameters_are_the_documents(row: Operation, document: Document):
    theirs = document.parameters(row)
    assert set(row.path) == {one.name for one in theirs if one.place == "path"}
    assert set(row.query) == {one.name for one in theirs if one.place == "query"}
    for one in theirs:
        assert one.required == (one.place == "path")
        kind = (row.path if one.place == "path" else row.query)[one.name]
        extra = words(kind.json_schema()) - words(one.schema)
        assert {value for value in extra if (one.name, value) not in NO_ENUM} == set() or not words(one.schema)
        assert words(one.schema) <= words(kind.json_schema())


def words(schema: Any) -> set[str]:
    """The words that a value may be, at any depth of its schema."""
    if isinstance(schema, list):
        return {word for one in schema for word in words(one)}
    if not isinstance(schema, dict):
        return set()
    own = {schema["const"]} if "const" in schema else set(schema.get("enum", ()))
    return own | {word for name, one in schema.items() if name not in ("enum", "const") for word in words(one)}


@pytest.mark.parametrize("row", ROWS)
def test_a_body_is_required_where_the_document_requires_it(row: Operation, document: Document):
    """We require each: the document says so of all bodies."""
    found = document.body(row)
    assert (row.body is not None) == (found is not None)
    assert found is None or found[1] is True


@pytest.mark.parametrize(("case", "body"), REQUESTS)
def test_requests_are_valid(case: Case, body: Any, document: Document):
    row = OPERATIONS[case.operation]
    sent = our_wire(case_record(case, body))
    assert sent.method == row.method
    assert problems(document, row, sent) == []


def problems(document: Document, row: Operation, sent: Wire) -> list[str]:
    """What the document finds wrong with a request."""
    steps = dict(zip(row.template.split("/"), sent.segments, strict=True))
    found = [f"{step} is {text}" for step, text in steps.items() if not step.startswith("{") and step != text]
    for one in document.parameters(row):
        texts = [steps[f"{{{one.name}}}"]] if one.place == "path" else sent.query.get(one.name)
        if texts is not None:
            found += parameter_problems(document, one, texts)
    declared = document.body(row)
    if declared is None:
        return found + ([] if sent.body is None else ["a body"])
    # binary doubles, as an API reads them
    return found + document.problems(declared[0], json.loads(json.dumps(sent.body, default=float)))


def parameter_problems(document: Document, one: Parameter, texts: list[str]) -> list[str]:
    if len(texts) > 1 and not (one.is_list and one.explode):
        return [f"{one.name} is repeated"]
    value = one.read(texts)
    return [] if (one.name, texts[0]) in NO_ENUM else document.problems(one.schema, value)


WRONG: Final = [
    ("update_customer_session_v2", "/customerSession/state", "completed"),
    ("update_customer_session_v2", "/customerSession/cartItems/0/price", "19.99"),
    ("update_customer_session_v2", "/customerSession/identifiers", list("abcdef")),
    ("return_cart_items", "/return", GONE),
    ("track_event_v3", "/integrationId", GONE),
    ("create_referral", "/startDate", "yesterday"),
    ("activate_loyalty_points", "/transactionUUIDs/0", "no-uuid"),
    ("delete_loyalty_transactions_from_ledgers", "/extra", 1),
    ("sync_catalog", "/actions/0/type", "REPLACE"),
    ("sync_catalog", "/actions/0/payload/adjustments/1/price", "free"),
    ("best_prior_price", "/target/targetType", "ALL"),
]


@pytest.mark.parametrize(("operation", "place", "value"), WRONG)
def test_what_is_wrong_is_found(operation: str, place: str, value: Any, document: Document):
    case = next(case for case in CASES if case.operation == operation)
    schema, _ = document.body(OPERATIONS[operation]) or ({}, False)
    assert document.allows(schema, case.bodies[-1])
    assert not document.allows(schema, changed(case.bodies[-1], place, value))


@pytest.mark.parametrize("row", ROWS)
def test_limits_of_bulks_are_the_documents(row: Operation, document: Document):
    declared = document.body(row)
    limits = {} if declared is None else list_limits(document, declared[0])
    for name, limit in limits.items():
        if limit >= 1000:
            assert row.bulk is not None, name
            assert row.bulk.field == name
    if row.bulk is not None:
        assert limits.get(row.bulk.field, 1000) == row.bulk.limit
        assert (row.bulk.field in limits) != ((row.name, row.bulk.field) in NO_LIMIT)


def list_limits(document: Document, schema: Any) -> dict[str, int]:
    """The lists at the top of a body that have a largest length -> that length."""
    schema = document.resolved(schema)
    parts = [list_limits(document, one) for one in schema.get("allOf", ())]
    own = {name: document.resolved(one) for name, one in schema.get("properties", {}).items()}
    found = {name: one["maxItems"] for name, one in own.items() if "maxItems" in one}
    return {name: limit for part in (*parts, found) for name, limit in part.items()}


@pytest.mark.parametrize("row", ROWS)
def test_what_is_paged_is_the_documents(row: Operation, document: Document):
    sizes = {one.name: one.schema for one in document.parameters(row)}
    assert (row.paging is not None) == ({"pageSize", "skip"} <= set(sizes))
    assert (row.paging is not None) == bool({"pageSize", "skip"} & set(sizes))
    if row.paging is None:
        return
    assert sizes["pageSize"]["maximum"] == row.paging.most
    answer = document.resolved(document.answer(row, 200))
    assert answer["properties"][row.paging.rows]["type"] == "array"
    item = properties(document, answer["properties"][row.paging.rows]["items"])
    assert row.paging.key is None or row.paging.key in item


def properties(document: Document, schema: Any) -> dict[str, Any]:
    """The fields of an object by a schema, with those of its parts."""
    schema = document.resolved(schema)
    parts = [properties(document, one) for one in schema.get("allOf", ())]
    return {name: one for part in (*parts, schema.get("properties", {})) for name, one in part.items()}


@pytest.mark.parametrize("row", [row for row in ROWS if row.values[0].body is not None])
def test_every_field_of_the_document_is_in_our_model(row: Operation, document: Document):
    assert row.body is not None
    found = document.body(row)
    assert found is not None
    assert missing(document, [row.body], found[0]) == set()


def missing(document: Document, models: list[type[BaseModel]], schema: Any, place: str = "") -> set[str]:
    """The fields, at any depth, that a request may have by a schema and that none of the models has."""
    schema = document.resolved(schema)
    if "items" in schema:
        return missing(document, models, schema["items"], f"{place}/0")
    if isinstance(schema.get("additionalProperties"), dict):
        return missing(document, models, schema["additionalProperties"], f"{place}/*")
    found = set()
    for one in schema.get("oneOf", ()):
        kinds = {name: inner["const"] for name, inner in one["properties"].items() if "const" in inner}
        chosen = [model for model in models if all(is_a(model, *kind) for kind in kinds.items())]
        found |= missing(document, chosen, one, f"{place}({', '.join(kinds.values())})")
    for name, one in properties(document, schema).items():
        fields = [f for model in models for n, f in model.model_fields.items() if name == (f.alias or n)]
        if not fields and not one.get("readOnly", False):
            found.add(f"{place}/{name}")
        inner_models = [model for field in fields for model in models_of(field.annotation)]
        if inner_models:
            found |= missing(document, inner_models, one, f"{place}/{name}")
    return found


def is_a(model: type[BaseModel], name: str, word: str) -> bool:
    return word in get_args(model.model_fields[name].annotation)


def models_of(hint: Any) -> list[type[BaseModel]]:
    """The models that a type stands for, not those within their fields."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return [hint]
    return [model for inner in get_args(hint) for model in models_of(inner)]


def test_fields_that_are_missing_are_found(document: Document):
    class Payload(BaseModel):
        sku: str

    class Action(BaseModel):
        type: Literal["ADD"]
        payload: Payload

    class Thin(BaseModel):
        actions: list[Action]

    schema, _ = document.body(OPERATIONS["sync_catalog"]) or ({}, False)
    found = missing(document, [Thin], schema)
    assert {"/version", "/actions/0(ADD)/payload/replaceIfExists", "/actions/0(REMOVE)/type"} <= found
    assert "/actions/0(ADD)/payload/sku" not in found
