"""Every answer held against the vendor's own document."""

import json
import re

import pytest

from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.simulator.handlers import HANDLERS

jsonschema_rs = pytest.importorskip("jsonschema_rs")

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


def as_json_schema(value):
    """OpenAPI 3.0 schemas as JSON Schema: the same here but for `nullable`."""
    if isinstance(value, list):
        return [as_json_schema(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    made = {name: as_json_schema(entry) for name, entry in value.items() if name not in ("example", "nullable")}
    if value.get("nullable") is True and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    return made


class Document:
    def __init__(self, document):
        self._paths = document["paths"]
        self._components = as_json_schema(document["components"]["schemas"])

    def declared(self, method, template):
        return self._paths[template][method.lower()]["responses"]

    def hold(self, method, template, reply):
        """Raise unless the document declares this status with a body such as this."""
        answers = self.declared(method, template)
        assert str(reply.status) in answers, f"{method} {template}: {reply.status} is not declared"
        content = answers[str(reply.status)].get("content", {})
        if not reply.text:
            assert reply.status == 204
            return
        schema = as_json_schema(content["application/json"]["schema"])
        rooted = {**schema, "components": {"schemas": self._components}}
        validator = jsonschema_rs.Draft4Validator(rooted, validate_formats=True)
        validator.validate(json.loads(reply.text))


@pytest.fixture(scope="module")
def held(document):
    """Calls an Api and holds the answer against the document."""
    checker = Document(document)

    def call(api, method, template, body=None, *, query="", key=None, **names):
        target = re.sub(r"\{(\w+)\}", lambda found: names[found[1]], template) + query
        reply = api.call(method, target, body, key=key)
        checker.hold(method, template, reply)
        return reply

    return call


SESSIONS = "/v2/customer_sessions/{customerSessionId}"
PROFILE = "/v2/customer_profiles/{integrationId}"


def test_the_checker_finds_what_is_wrong(document):
    class Wrong:
        status = 200
        text = b'{"effects": {}}'

    with pytest.raises(jsonschema_rs.ValidationError):
        Document(document).hold("PUT", SESSIONS, Wrong)


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
    content = [name for name in EVALUATED if name not in ("customerSession", "coupons")]
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


REFUSED = [
    ("PUT", SESSIONS, {"customerSession": {"state": 7}}),
    ("PUT", SESSIONS, {"customerSession": {"state": "cancelled"}}),
    ("POST", SESSIONS + "/returns", RETURN),
    ("PUT", SESSIONS + "/reopen", None),
    ("PUT", PROFILE, {"attributes": {"foo": 1}}),
    ("PUT", "/v2/customer_profiles", {"customerProfiles": [{"integrationId": "p", "attributes": {"foo": 1}}]}),
    ("POST", "/v2/customer_audiences", {"data": [{"action": "wave"}]}),
    ("POST", "/v2/customer_audiences", {"data": [{"action": "add", "profileIntegrationId": "p", "audienceId": 9}]}),
    ("POST", "/v2/events", {"profileId": "p"}),
]


@pytest.mark.parametrize("errors", ["all", "first", "none"])
@pytest.mark.parametrize(("method", "template", "body"), REFUSED)
def test_refusals(simulated, held, errors, method, template, body):
    api = simulated(unknown_attributes=("foo",), unknown_audiences=(9,), errors=errors)
    reply = held(api, method, template, body, customerSessionId="s", integrationId="p")
    assert reply.status in (400, 404)
    api = simulated(key="another", errors=errors)
    assert held(api, method, template, body, customerSessionId="s", integrationId="p").status == 401


def test_parallel_use_is_declared_where_it_is_answered(simulated, document):
    checker = Document(document)
    for method, template, body in (
        ("PUT", SESSIONS, {"customerSession": {}}),
        ("PUT", PROFILE, {}),
        ("POST", "/v2/events", {"profileId": "p", "type": "viewed"}),
    ):
        target = re.sub(r"\{\w+\}", "p", template)
        replies = simulated(latency_ms=5).together(*[(method, target, body)] * 4)
        assert replies[3].status == 409
        checker.hold(method, template, replies[3])


@pytest.mark.parametrize("status", [400, 404])
def test_reading_a_session_that_is_not_there(simulated, document, status):
    """400 is what the document declares; 404 it does not, and callers must take it all the same."""
    reply = simulated(unknown_session_status=status).call("GET", "/v2/customer_sessions/none")
    assert reply.status == status
    if status == 400:
        Document(document).hold("GET", SESSIONS, reply)


def test_every_handler_is_an_operation_of_the_document(document):
    for name, handler in HANDLERS.items():
        operation = OPERATIONS[name]
        declared = document["paths"][operation.template][operation.method.lower()]
        assert declared["operationId"].lower() == name.replace("_", "").lower()
        parameters = declared.get("parameters", [])
        queries = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
        assert set(handler.query) == queries
        assert (handler.lanes is not None) == ("409" in declared["responses"])
        assert (handler.shape is not None) == ("requestBody" in declared)
        refused = (
            declared["responses"].get("400", {}).get("content", {}).get("application/json", {}).get("schema", {})
        )
        if refused:
            assert handler.status_in_errors == refused["$ref"].endswith("WithStatus")
