"""Every answer held against the vendor's own document."""

import pytest

from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.simulator.bodies.queries import Several
from beam_talonone.simulator.operations.handlers import HANDLERS
from tests.simulator.document_cases import BY_PARALLEL_USE, CASES, NOT_ANSWERED
from tests.simulator.vendor_document import target_of

ALL = ["customerSession", "customerProfile", "coupons", "triggeredCampaigns", "loyalty", "event"]
EVALUATED = [*ALL, "awardedGiveaways", "ruleFailureReasons", "achievements"]
SESSION = {
    "profileId": "p",
    "storeIntegrationId": "store",
    "couponCodes": ["A", "B"],
    "referralCode": "R",
    "loyaltyCards": ["card"],
    "identifiers": ["10.0.0.1"],
    "evaluableCampaignIds": [1],
    "experimentVariantAllocations": [{"experimentID": 1, "variantID": 2}],
    "additionalCosts": {"ship": {"price": 4.95}},
    "attributes": {"channel": "web", "gone": None},
    "cartItems": [
        {
            "sku": "tea", "quantity": 3, "price": 1.1, "name": "Tea", "category": "drinks",
            "product": {"name": "Tea"}, "weight": 1.5, "height": 1, "width": 2, "length": 3, "attributes": {"a": 1},
            "additionalCosts": {"wrap": {"price": 0.2}},
        },
        {"sku": "cup", "quantity": 1},
    ],
}  # fmt: skip
RETURN = {
    "return": {"returnedCartItems": [{"sku": "tea", "quantity": 1}]},
    "responseContent": [*ALL, "previousReturns"],
}
SESSIONS = "/v2/customer_sessions/{customerSessionId}"
PROFILE = "/v2/customer_profiles/{integrationId}"


@pytest.mark.parametrize("query", ["", "?dry=true"])
def test_sessions(api, held, query):
    body = {"customerSession": SESSION, "responseContent": [*EVALUATED, "previousReturns", "campaignEligibility"]}
    for state in ("open", "closed"):
        reply = held(
            api, "PUT", SESSIONS, {**body, "customerSession": SESSION | {"state": state}}, query=query,
            customerSessionId="s",
        )  # fmt: skip
        assert reply.status == 200
        assert set(ALL) - {"customerProfile"} < set(reply.json)  # a dry run makes no profile
    held(api, "PUT", SESSIONS, {"customerSession": {}}, customerSessionId="anonymous")
    reply = held(api, "GET", SESSIONS, customerSessionId="anonymous")
    assert reply.json["customerSession"]["profileId"] == ""


def test_reading_returning_and_reopening(api, held):
    api.session(state="closed", **SESSION)
    assert held(api, "GET", SESSIONS, customerSessionId="s").json["customerSession"]["couponCodes"] == ["A", "B"]
    assert held(api, "PUT", SESSIONS + "/reopen", customerSessionId="s").status == 200
    api.session(state="closed")
    for query in ("?dry=true", "", "?runRuleEngine=true"):
        reply = held(api, "POST", SESSIONS + "/returns", RETURN, query=query, customerSessionId="s")
        assert reply.json["customerSession"]["state"] == "partially_returned"
    assert len(reply.json["previousReturns"]) == 1
    assert (
        held(api, "GET", SESSIONS, customerSessionId="s").json["customerSession"]["cartItems"][0]["returnedQuantity"]
        == 2
    )


def test_profiles_audiences_and_erasure(api, held):
    body = {"attributes": {"a": 1}, "audiencesChanges": {"adds": [1], "deletes": []}}
    assert held(api, "PUT", PROFILE, body, integrationId="p").status == 200
    # the last may be asked for, but the answer that the document describes has no place for it
    content = [name for name in EVALUATED if name not in ("customerSession", "coupons", "achievements")]
    for query in ("?runRuleEngine=true", "?runRuleEngine=true&dry=true"):
        reply = held(api, "PUT", PROFILE, {**body, "responseContent": content}, query=query, integrationId="p")
        assert reply.json["customerProfile"]["audienceMemberships"] == [{"id": 1, "name": "audience 1"}]
    many = {"customerProfiles": [{"integrationId": "p"}, {"integrationId": "q", "attributes": {"a": 1}}]}
    assert held(api, "PUT", "/v2/customer_profiles", many).status == 204
    assert held(api, "PUT", "/v2/customer_profiles", many, query="?silent=no").status == 200
    data = {"data": [{"action": "add", "profileIntegrationId": "p", "audienceId": 1}]}
    assert held(api, "POST", "/v2/customer_audiences", data).status == 204
    assert held(api, "DELETE", "/v1/customer_data/{integrationId}", integrationId="p").status == 204
    assert held(api, "DELETE", "/v1/customer_data/{integrationId}", integrationId="p").status == 404


def test_events(api, held):
    content = ["customerProfile", "triggeredCampaigns", "loyalty", "event", "awardedGiveaways", "ruleFailureReasons"]
    event = {"profileId": "p", "type": "viewed", "storeIntegrationId": "s", "responseContent": content}
    assert held(api, "POST", "/v2/events", event).status == 204
    assert held(api, "POST", "/v2/events", event, query="?silent=no").status == 200
    assert held(api, "POST", "/v2/events", event, query="?silent=no&dry=true").status == 200


UNKNOWN = {
    "unknown_attributes": ("foo",),
    "unknown_audiences": (9,),
    "unknown_coupons": ("NONE",),
    "unknown_programs": (9,),
    "unknown_catalogs": (9,),
    "unknown_session_status": 400,
}


def answered(api, case):
    for request in case.before:
        assert api.call(*request).status < 300, request
    row = OPERATIONS[case.operation]
    return api.call(row.method, target_of(row.template, case.path) + case.query, case.body)


# how much is said of what is wrong makes a difference where something is
ANSWERED = [(case, errors) for case in CASES for errors in ("all", "first", "none")[: 1 if case.status < 300 else 3]]


@pytest.mark.parametrize(
    ("case", "errors"), ANSWERED, ids=[f"{case.operation} {case.status} {errors}" for case, errors in ANSWERED]
)
def test_answers_by_operation(simulated, vendor_document, case, errors):
    reply = answered(simulated(**UNKNOWN, errors=errors), case)
    assert reply.status == case.status, reply.text
    row = OPERATIONS[case.operation]
    vendor_document.hold(row.method, row.template, reply)


@pytest.mark.parametrize("name", OPERATIONS)
def test_all_declared_statuses_are_answered(vendor_document, name):
    answered = {case.status for case in CASES if case.operation == name}
    elsewhere = {401} | ({409} if name in BY_PARALLEL_USE else set())
    never = {status for operation, status in NOT_ANSWERED if operation == name}
    assert vendor_document.statuses(name) - elsewhere - never == answered - elsewhere - never
    assert not never & answered


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_wrong_key(simulated, vendor_document, name):
    row = OPERATIONS[name]
    reply = simulated(key="another").call(row.method, target_of(row.template, dict.fromkeys(row.path, "1")))
    assert reply.status == 401
    if name in ("get_event_v3", "best_prior_price"):
        assert 401 not in vendor_document.statuses(name)  # nobody can mean that they need no key
    else:
        vendor_document.hold(row.method, row.template, reply)


@pytest.mark.parametrize("name", BY_PARALLEL_USE)
def test_parallel_use_is_declared_where_it_is_answered(simulated, vendor_document, name):
    row = OPERATIONS[name]
    target = target_of(row.template, dict.fromkeys(row.path, "p"))
    replies = simulated(latency_ms=5).together(*[(row.method, target, BY_PARALLEL_USE[name])] * 4)
    assert replies[3].status == 409
    assert "too many" in replies[3].json["message"].lower()
    vendor_document.hold(row.method, row.template, replies[3])


def test_a_silent_advanced_event_is_answered_as_its_parameter_says(api, vendor_document):
    """The document describes a 204 at `silent` and forgets it among the answers."""
    event = {"profileId": "p", "type": "viewed", "integrationId": "e"}
    assert (api.call("POST", "/v3/events", event).status, 204 in vendor_document.statuses("track_event_v3")) == (
        204,
        False,
    )


@pytest.mark.parametrize("status", [400, 404])
def test_reading_a_session_that_is_not_there(simulated, vendor_document, status):
    """400 is what the document declares; 404 it does not, and callers must take it all the same."""
    reply = simulated(unknown_session_status=status).call("GET", "/v2/customer_sessions/none")
    assert reply.status == status
    if status == 400:
        vendor_document.hold("GET", SESSIONS, reply)


def test_there_is_a_handler_for_every_operation():
    assert set(HANDLERS) == set(OPERATIONS)
    assert len(HANDLERS) == 39


@pytest.mark.parametrize("name", HANDLERS)
def test_every_handler_is_an_operation_of_the_document(vendor_document, name):
    handler, declared = HANDLERS[name], vendor_document.operation(name)
    assert declared["operationId"].lower() == name.replace("_", "").lower()
    queries = vendor_document.queries(name)
    assert set(handler.query) == set(queries)
    for parameter, parse in handler.query.items():
        schema = queries[parameter]["schema"]
        assert isinstance(parse, Several) == (schema["type"] == "array"), parameter
        if isinstance(parse, Several):
            # a list is repeated unless the document says otherwise
            assert (parse.separator == ",") == (queries[parameter].get("explode") is False), parameter
    parallel = "409" in declared["responses"] and name != "create_audience_v2"
    assert (handler.queues is not None) == parallel
    assert (handler.shape is not None) == ("requestBody" in declared)
    refused = declared["responses"].get("400", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if refused:
        assert handler.status_in_errors == refused["$ref"].endswith("WithStatus")
