"""What records carry for the API beside what they are about: experiments, campaigns, stores, and what to answer."""

from typing import get_args

import pytest

from beam_talonone.schemas.content import AdvancedContent, EventContent, ProfileContent
from beam_talonone.schemas.decoding.parse import InvalidRecord, parse
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.requests.build import BuildOptions, build

T = "2026-05-01T12:00:00Z"
ORDER = {
    "order_id": "o/1", "customer_id": "c", "status": "completed", "event_time": T,
    "items": [{"sku": "a", "quantity": 1}],
}  # fmt: skip
RETURN = {"return_id": "r", "order_id": "o/1", "event_time": T, "items": [{"sku": "tea", "quantity": 2}]}
EVENT = {"event_id": "e", "type": "view", "customer_id": "c", "event_time": T}
OF_0_1 = {
    "orders": (ORDER, "6bf32c8e64330f742d4c2bd7d8a76657", "707f68528e236fe2bc6277ba958f295e"),
    "returns": (RETURN, "81a40eee1702a8980dfa13066a7a24bf", "ff7976271bf68969bf60e78d1d13e190"),
    "events": (EVENT, "3e0abdd0da419dd146e5d58de7d25abb", "980935ffe33f64da59c5595687aac53a"),
}
"""Of each kind a record, and the identity and content that version 0.1 gave it."""


def made(kind, record, **options):
    return build(kind, parse(kind, record).record, BuildOptions(**options))


def request(kind, record, **options):
    return made(kind, record, **options).parts[0].request


def refused(kind, record, **options):
    with pytest.raises(InvalidRecord) as problem:
        made(kind, record, **options)
    return problem.value


@pytest.mark.parametrize("kind", OF_0_1)
def test_without_the_new_fields_identity_and_content_are_those_of_0_1(kind):
    record, identity, content = OF_0_1[kind]
    work = made(kind, record)
    assert (work.identity.hex(), work.content.hex()) == (identity, content)


def test_an_order_has_its_experiments_and_campaigns_in_the_session_and_what_to_answer_beside_it():
    more = {
        "experiment_variant_allocations": [{"experiment_id": 1, "variant_id": 2}],
        "evaluable_campaign_ids": [10, 12],
        "response_content": ["customerSession", "achievements"],
    }
    body = request("orders", {**ORDER, **more}).body_json()
    assert body["customerSession"]["experimentVariantAllocations"] == [{"experimentID": 1, "variantID": 2}]
    assert body["customerSession"]["evaluableCampaignIds"] == [10, 12]
    assert body["responseContent"] == ["customerSession", "achievements"]
    assert "responseContent" not in body["customerSession"]


def test_the_apis_own_spelling_of_an_allocation_works():
    more = {"experiment_variant_allocations": [{"experimentID": 1, "variantID": 2}]}
    session = request("orders", {**ORDER, **more}).body_json()["customerSession"]
    assert session["experimentVariantAllocations"] == [{"experimentID": 1, "variantID": 2}]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("experiment_variant_allocations", [{"experiment_id": 1, "variant_id": 2}]),
        ("evaluable_campaign_ids", [1]),
        ("response_content", ["loyalty"]),
        ("response_content", []),
    ],
)
def test_a_new_field_of_an_order_makes_it_another_record(field, value):
    assert made("orders", {**ORDER, field: value}).content != made("orders", ORDER).content


def test_a_return_runs_the_rule_engine_by_a_query_parameter():
    sent = request("returns", {**RETURN, "run_rule_engine": True, "response_content": ["previousReturns"]})
    assert sent.query == {"runRuleEngine": "true"}
    assert sent.body_json() == {
        "return": {"returnedCartItems": [{"sku": "tea", "quantity": 2}]}, "responseContent": ["previousReturns"],
    }  # fmt: skip
    assert request("returns", {**RETURN, "run_rule_engine": False}, dry=True).query == {
        "runRuleEngine": "false", "dry": "true",
    }  # fmt: skip
    assert made("returns", {**RETURN, "run_rule_engine": True}).content != made("returns", RETURN).content


def test_an_event_of_v2():
    more = {"store_id": "s", "evaluable_campaign_ids": [3], "response_content": ["event", "achievements"]}
    body = request("events", {**EVENT, **more}).body_json()
    assert body == {
        "profileId": "c", "type": "view", "storeIntegrationId": "s", "evaluableCampaignIds": [3],
        "responseContent": ["event", "achievements"],
    }  # fmt: skip


def test_an_event_of_v3_refers_to_a_session_and_is_ordered_with_it():
    more = {"store_id": "s", "connected_session_id": "o/1", "response_content": ["advancedEvent"]}
    work = made("events", {**EVENT, **more}, events_api="v3")
    assert work.parts[0].request.body_json() == {
        "profileId": "c", "type": "view", "integrationId": "e", "storeIntegrationId": "s",
        "connectedSessionId": "o/1", "responseContent": ["advancedEvent"],
    }  # fmt: skip
    assert work.keys() == (("session", "o/1"), ("profile", "c"))


@pytest.mark.parametrize(
    ("more", "options", "pointer", "words"),
    [
        ({"connected_session_id": "o"}, {}, "/connected_session_id", "--events-api v3"),
        ({"connected_session_id": "o"}, {"in_code": True}, "/connected_session_id", "events_api=v3"),
        ({"response_content": ["loyalty", "advancedEvent"]}, {}, "/response_content/1", "v2 API"),
        ({"response_content": ["event"]}, {"events_api": "v3"}, "/response_content/0", "v3 API"),
    ],
)
def test_what_the_api_of_events_in_use_does_not_know(more, options, pointer, words):
    problem = refused("events", {**EVENT, **more}, **options)
    assert (problem.reason, problem.pointer) == (Reason.INVALID_FIELD, pointer)
    assert words in problem.detail


@pytest.mark.parametrize(
    ("kind", "record", "field", "value", "pointer"),
    [
        ("orders", ORDER, "response_content", ["everything"], "/response_content/0"),
        ("orders", ORDER, "response_content", "loyalty", "/response_content"),
        ("orders", ORDER, "evaluable_campaign_ids", ["ten"], "/evaluable_campaign_ids/0"),
        ("orders", ORDER, "evaluable_campaign_ids", [True], "/evaluable_campaign_ids/0"),
        (
            "orders",
            ORDER,
            "experiment_variant_allocations",
            [{"experiment_id": 1}],
            "/experiment_variant_allocations/0/variant_id",
        ),
        ("returns", RETURN, "run_rule_engine", "yes", "/run_rule_engine"),
        ("returns", RETURN, "response_content", ["achievements"], "/response_content/0"),
        ("events", EVENT, "response_content", ["coupons"], "/response_content/0"),
        ("events", EVENT, "store_id", "", "/store_id"),
        ("events", EVENT, "connected_session_id", "", "/connected_session_id"),
        ("events", EVENT, "evaluable_campaign_ids", 3, "/evaluable_campaign_ids"),
    ],
)
def test_the_new_fields_are_as_strict_as_the_others(kind, record, field, value, pointer):
    problem = refused(kind, {**record, field: value})
    assert problem.reason in (Reason.INVALID_FIELD, Reason.MISSING_FIELD)
    assert problem.pointer == pointer


def test_an_event_record_may_ask_for_what_either_api_answers():
    both = {*get_args(ProfileContent), *get_args(AdvancedContent)}
    assert set(get_args(EventContent)) == both
