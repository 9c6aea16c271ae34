"""Our request is the official SDK's for the same, operation by operation."""

from dataclasses import replace
from functools import reduce
from typing import Any, Final

import pytest

from beam_talonone.schemas.operations import OPERATIONS

from .bad import GONE, changed
from .sdk import VERSION, by_document, by_method, method_of, takes, takes_body
from .table import CASES, Case
from .wire import assert_same, case_record, our_wire, times_of

REQUESTS: Final = [
    pytest.param(case, body, id=case.operation if len(case.bodies) == 1 else f"{case.operation}-{number}")
    for case in CASES
    for number, body in enumerate(case.bodies)
]

NO_METHOD: Final = {
    "track_event_v3": "the SDK 26.2 has no such method",
    "get_event_v3": "the SDK 26.2 has no such method",
    "join_loyalty_program": "the SDK 26.2 has no such method",
    "integration_get_all_campaigns": "the SDK 26.2 has no such method",
    "best_prior_price": "the SDK 26.2 asks for `strictEndDate` where the document has `timeframeEndDateType`",
}
NO_PARAMETER: Final = {
    ("return_cart_items", "runRuleEngine"): "not in the SDK 26.2",
    ("get_loyalty_program_profile_points", "subledgerId"): "one text in the SDK 26.2, a list in the document",
}
NO_FIELD: Final = {
    ("update_customer_session_v2", "/customerSession/experimentVariantAllocations"): "not in the SDK 26.2",
    ("create_audience_v2", "/subscribedApplicationsIds"): "not in the SDK 26.2",
    ("update_audience_v2", "/subscribedApplicationsIds"): "not in the SDK 26.2",
    ("generate_loyalty_card", "/cardIdentifier"): "the SDK 26.2 takes fewer characters than the document",
}
"""What the vendor's document has and SDK 26.2, which is older, has not. It is left out of the comparison with the
SDK's methods, and compared with its serializer alone."""

FILLED_IN: Final = {
    ("update_customer_session_v2", "/customerSession/state"): "open",
    ("generate_loyalty_card", "/status"): "active",
}
"""Values that the SDK sends where none is given, the API's own defaults. A call sends what it was given, no more."""


@pytest.mark.parametrize(("case", "body"), REQUESTS)
def test_the_sdks_method_sends_the_same(case: Case, body: Any):
    name = case.operation
    if not has(case):
        pytest.skip(f"{name}: {NO_METHOD[name]}; only its serializer is compared")
    lacks = {which for which, value in case.query.items() if not takes(name, which, value)}
    assert {(name, which) for which in lacks} <= set(NO_PARAMETER)
    places = [place for operation, place in NO_FIELD if operation == name and held(body, place)]
    known = reduce(lambda value, place: changed(value, place, GONE), places, body)
    theirs = by_method(case, known, {which: value for which, value in case.query.items() if which not in lacks})
    for (operation, place), value in FILLED_IN.items():
        if operation == name and not held(known, place):
            known = changed(known, place, value)
    ours = our_wire(case_record(case, known))
    query = {which: texts for which, texts in ours.query.items() if which not in lacks}
    assert_same(replace(ours, query=query), theirs, times_of(OPERATIONS[name]))


def has(case: Case) -> bool:
    """Whether the SDK has a method for the case, and one that takes its body."""
    if method_of(case.operation) is None:
        return False
    return case.operation not in NO_METHOD or takes_body(case, case.bodies[-1])


def held(body: Any, place: str) -> bool:
    """Whether there is something at a place (a JSON pointer) in a body."""
    for step in place.split("/")[1:]:
        if not isinstance(body, dict) or step not in body:
            return False
        body = body[step]
    return True


@pytest.mark.parametrize(("case", "body"), REQUESTS)
def test_the_sdks_serializer_sends_the_same(case: Case, body: Any, document):
    """All operations, also those for which the SDK has no method.

    The vendor's document, not our table, provides the method, the path, and which parameters are lists written how.
    """
    theirs = by_document(case, body, document)
    assert_same(our_wire(case_record(case, body)), theirs, times_of(OPERATIONS[case.operation]))


def test_what_the_sdk_lacks_it_lacks():
    """A later SDK that has it is compared whole: then its line above is to go."""
    if not VERSION.startswith("26."):
        pytest.skip(f"the SDK is {VERSION}: some of the lines above may be obsolete")
    cases = {case.operation: case for case in CASES}
    assert [name for name in NO_METHOD if has(cases[name])] == []
    assert [key for key in NO_PARAMETER if takes(*key, cases[key[0]].query[key[1]])] == []
    for operation, place in NO_FIELD:
        case = cases[operation]
        body = case.bodies[-1]
        sent = takes_body(case, body) and by_method(case, body, {}).body
        assert not held(sent, place), place


SESSION: Final = next(case for case in CASES if case.operation == "update_customer_session_v2")
FULL: Final = case_record(SESSION, changed(SESSION.bodies[-1], "/customerSession/experimentVariantAllocations", GONE))


@pytest.mark.parametrize(
    "change",
    [
        {"path": {"customerSessionId": "s/1 20% U"}},
        {"path": {"customerSessionId": "s"}},
        {"query": {"dry": True}},
        {"query": {"dry": True, "now": "2036-05-01T14:00:00.5+01:00"}},
        {"body": {"customerSession": {}}},
        {"body": {**FULL["body"], "responseContent": []}},
        {"body": {**FULL["body"], "customerSession": {**FULL["body"]["customerSession"], "attributes": {}}}},
    ],
)
def test_the_comparison_finds_what_differs(change):
    theirs = by_method(SESSION, FULL["body"], SESSION.query)
    times = times_of(OPERATIONS[SESSION.operation])
    assert_same(our_wire(FULL), theirs, times)
    with pytest.raises(AssertionError):
        assert_same(our_wire(FULL | change), theirs, times)
