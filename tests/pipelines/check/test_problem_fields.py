"""All fields that make records invalid are counted, with those of all items as one."""

import pickle
from dataclasses import replace

import pytest

from beam_talonone.pipelines.check.problem_fields import MOST_SHOWN, ProblemFields
from beam_talonone.schemas.decoding.account_attributes import ENTITIES, AccountAttributes
from beam_talonone.schemas.decoding.parse import InvalidRecord, parse
from beam_talonone.schemas.decoding.settings import AS_USUAL
from beam_talonone.schemas.reasons import Reason

ORDER = {"order_id": "o", "customer_id": "c", "status": "open", "event_time": "2026-05-01T12:00:00Z"}


def problem_of(record, **settings):
    with pytest.raises(InvalidRecord) as raised:
        parse("orders", record, replace(AS_USUAL, **settings))
    return raised.value


@pytest.mark.parametrize(
    ("record", "reason", "fields"),
    [
        ({"status": "open", "items": [{}]}, Reason.MISSING_FIELD,
         {"/order_id", "/customer_id", "/event_time", "/items/0/sku", "/items/0/quantity"}),
        ({**ORDER, "line_items": [], "orderStatus": 1}, Reason.MISNAMED_FIELD, {"/line_items"}),
        ({**ORDER, "status": "odd"}, Reason.INVALID_FIELD, {"/status"}),
    ],
)  # fmt: skip
def test_a_problem_has_all_fields_of_its_reason(record, reason, fields):
    problem = problem_of(record)
    assert (problem.reason, set(problem.fields)) == (reason, fields)
    assert pickle.loads(pickle.dumps(problem)).fields == problem.fields


def test_a_problem_has_all_attributes_that_the_account_lacks():
    account = AccountAttributes(dict.fromkeys(ENTITIES, frozenset()))
    items = [{"sku": "s", "quantity": 1, "unit_price": 1, "attributes": {"color": "red"}}] * 2
    problem = problem_of({**ORDER, "items": items, "attributes": {"a": 1, "b": 2}}, attributes=account)
    assert problem.fields == ("CustomerSession.a", "CustomerSession.b", "CartItem.color")


def test_unknown_fields_are_all_fields_of_a_refusal():
    assert set(problem_of({**ORDER, "zzz": 1, "yyy": 2}, unknown_fields="refuse").fields) == {"/zzz", "/yyy"}


def test_the_commonest_field_comes_first_and_items_count_once():
    counts = ProblemFields()
    for fields in (("/items/0/sku", "/items/1/sku"), ("/items/7/sku", "/order_id")):
        counts.add("orders", "missing_field", fields)
    counts.add("orders", "not_json", ())
    assert counts.listed("orders", "missing_field") == "/items/*/sku in 2, /order_id in 1"
    assert counts.listed("orders", "not_json") == counts.listed("returns", "missing_field") == ""


def test_many_fields_are_counted_and_not_listed():
    counts = ProblemFields()
    fields = tuple(f"/f{number}x" for number in range(MOST_SHOWN + 5))
    counts.add("events", "unknown_field", fields)
    line = counts.listed("events", "unknown_field")
    assert line.endswith(" and 5 more")
    assert line.count(" in 1") == MOST_SHOWN
