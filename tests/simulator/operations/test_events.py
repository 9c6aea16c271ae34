"""Custom events, and advanced ones, which are taken once for their id."""

import pytest

ADVANCED = {"profileId": "p", "type": "viewed", "integrationId": "e/1"}
BUSY = "too many requests"


def test_events(api):
    event = {"profileId": "new", "type": "viewed", "attributes": {"page": 1}, "responseContent": ["event"]}
    assert api.call("POST", "/v2/events", event).status == 204
    reply = api.call("POST", "/v2/events?silent=no", event)
    assert (reply.status, reply.json["event"]["attributes"]) == (200, {"page": 1})
    assert api.call("POST", "/v2/events?dry=true&forceCompleteEvaluation=true", event).status == 204
    assert api.one("profiles", "new")["events"] == 2
    assert len(api.lines("ledger")) == 2


@pytest.mark.parametrize(
    ("event", "pointer"),
    [
        ({"type": "viewed"}, "/profileId"),
        ({"profileId": "", "type": "viewed"}, "/profileId"),
        ({"profileId": "p"}, "/type"),
        ({"profileId": "p", "type": ""}, "/type"),
        ({"profileId": "p", "type": "talon_session_closed"}, "/type"),
        ({"profileId": "p", "type": "t", "loyaltyCards": ["a", "b"]}, "/loyaltyCards"),
    ],
)
def test_events_that_are_refused(api, event, pointer):
    assert api.call("POST", "/v2/events", event).pointers == [pointer]


def test_query_words_of_events(api):
    event = {"profileId": "p", "type": "viewed"}
    assert api.call("POST", "/v2/events?silent=maybe", event).parameters == ["silent"]
    assert api.call("POST", "/v2/events?forceCompleteEvaluation=true", event).parameters == [
        "forceCompleteEvaluation"
    ]


def track(api, query="", **fields):
    return api.call("POST", "/v3/events" + query, ADVANCED | fields)


def test_an_advanced_event_is_taken_once(api):
    assert (track(api).status, track(api).status) == (204, 409)
    again = track(api, type="other")
    assert (again.pointers, again.json["StatusCode"]) == (["/integrationId"], 409)
    assert BUSY not in again.json["message"].lower()
    assert track(api, integrationId="e2").status == 204
    assert [line["id"] for line in api.lines("events")] == ["e/1", "e2"]
    assert [line["profiles"] for line in api.lines("ledger")] == [["p"], ["p"]]
    assert api.one("profiles", "p")["events"] == 2


def test_reading_it_back(api):
    assert api.call("GET", "/v3/events/e%2F1").parameters == ["integrationId"]
    track(api, attributes={"page": 1, "gone": None}, storeIntegrationId="s")
    event = api.call("GET", "/v3/events/e%2F1").json
    assert (event["integrationId"], event["profileId"], event["type"]) == ("e/1", "p", "viewed")
    assert (event["attributes"], event["storeIntegrationId"]) == ({"page": 1}, "s")


def test_a_dry_one_is_not_taken(api):
    content = {"responseContent": ["advancedEvent", "customerProfile"]}
    reply = track(api, "?dry=true&silent=no", **content)
    assert reply.json["advancedEvent"]["integrationId"] == "e/1"
    assert api.lines("events") == api.lines("profiles") == api.lines("ledger") == []
    assert track(api, "?silent=no", **content).json["customerProfile"]["integrationId"] == "p"
    assert track(api, "?dry=true").status == 409


@pytest.mark.parametrize(("state", "status"), [(None, 400), ("open", 400), ("closed", 204), ("cancelled", 400)])
def test_a_connected_session_is_closed(api, state, status):
    if state is not None:
        api.session(state="open")
        api.session(state=state)
    reply = track(api, connectedSessionId="s")
    assert reply.status == status
    if status == 400:
        assert reply.pointers == ["/connectedSessionId"]
        assert api.lines("events") == []
    else:
        assert api.call("GET", "/v3/events/e%2F1").json["connectedSessionId"] == "s"
        assert api.lines("ledger")[-1]["session"] == "s"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"integrationId": ""}, "/integrationId"),
        ({"integrationId": 7}, "/integrationId"),
        ({"connectedSessionId": ""}, "/connectedSessionId"),
        ({"type": "talon_viewed"}, "/type"),
        ({"profileId": ""}, "/profileId"),
        ({"loyaltyCards": ["a", "b"]}, "/loyaltyCards"),
        ({"responseContent": ["event"]}, "/responseContent/0"),
    ],
)
def test_advanced_events_that_are_refused(api, fields, pointer):
    assert track(api, **fields).pointers == [pointer]


def test_an_advanced_event_needs_an_id(api):
    assert api.call("POST", "/v3/events", {"profileId": "p", "type": "t"}).pointers == ["/integrationId"]


def test_query_words_of_advanced_events(api):
    assert track(api, "?silent=maybe").parameters == ["silent"]
    assert track(api, "?forceCompleteEvaluation=true").parameters == ["forceCompleteEvaluation"]
    assert api.lines("events") == []


def test_a_key_does_not_protect_it_but_its_id_does(api):
    for status in (204, 409):
        assert api.call("POST", "/v3/events", ADVANCED, key="k").status == status
    assert api.summary()["keys"] == 0


def test_one_profile_at_a_time(simulated):
    api = simulated(latency_ms=20)
    replies = api.together(*(("POST", "/v3/events", ADVANCED | {"integrationId": f"e{n}"}) for n in range(5)))
    assert [reply.status for reply in replies] == [204, 204, 204, 409, 409]
    assert BUSY in replies[4].json["message"].lower()
    assert api.call("GET", "/v3/events/e4").status == 404
