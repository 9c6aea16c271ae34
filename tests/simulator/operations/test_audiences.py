"""Audiences: made, named, emptied, deleted, and their members' attributes."""

import pytest

VIP = {"name": "vip", "integration": "segment", "integrationId": "a"}


def create(api, **fields):
    return api.call("POST", "/v2/audiences", VIP | fields)


def add(api, audience, *customers):
    data = [{"action": "add", "profileIntegrationId": id, "audienceId": audience} for id in customers]
    return api.call("POST", "/v2/customer_audiences", {"data": data})


def test_new_audiences_have_high_numbers_of_their_own(api):
    first, second = create(api).json, api.call("POST", "/v2/audiences", {"name": "vip"}).json
    assert (first["id"], second["id"]) == (1_000_001, 1_000_002)
    assert (first["name"], first["integration"], "integration" in second) == ("vip", "segment", False)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 409),
        ({"name": "other"}, 409),
        ({"integrationId": "b"}, 201),
        ({"integration": "braze"}, 201),
    ],
)
def test_an_audience_of_a_platform_exists_once(api, fields, status):
    create(api)
    reply = create(api, **fields)
    assert reply.status == status
    assert len(api.lines("audiences")) == (1 if status == 409 else 2)
    if status == 409:
        assert reply.pointers == ["/integrationId"]
        assert reply.json["StatusCode"] == 409


def test_without_an_id_of_its_own_each_call_makes_another(api):
    ids = {api.call("POST", "/v2/audiences", {"name": "vip"}).json["id"] for _ in range(3)}
    assert len(ids) == 3


def test_an_integration_id_alone_is_known_too(api):
    body = {"name": "vip", "integrationId": "a"}
    assert [api.call("POST", "/v2/audiences", body).status for _ in range(2)] == [201, 409]
    assert create(api).status == 201  # the same id at a platform is another's


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": ""}, "/name"),
        (VIP | {"integrationId": ""}, "/integrationId"),
        (VIP | {"integrationId": "x" * 1001}, "/integrationId"),
        (VIP | {"sandbox": "yes"}, "/sandbox"),
        (VIP | {"subscribedApplicationsIds": [1, 1]}, "/subscribedApplicationsIds"),
        (VIP | {"lastUpdate": "yesterday"}, "/lastUpdate"),
        (VIP | {"lastUpdate": "2026-05-01T12:00:00"}, "/lastUpdate"),
    ],
)
def test_audiences_that_are_refused(api, body, pointer):
    assert api.call("POST", "/v2/audiences", body).pointers == [pointer]


def test_any_id_is_an_audience_that_can_be_named(api):
    reply = api.call("PUT", "/v2/audiences/7", {"name": "seven"})
    assert (reply.json["id"], reply.json["name"]) == (7, "seven")
    add(api, 7, "p")
    api.call("PUT", "/v2/audiences/7", {"name": "sieben", "subscribedApplicationsIds": [2]})
    assert api.one("audiences", 7) == {
        "id": 7, "name": "sieben", "subscribedApplicationsIds": [2], "deleted": False, "members": ["p"],
    }  # fmt: skip
    body = {"responseContent": ["customerProfile"]}
    profile = api.call("PUT", "/v2/customer_profiles/p?runRuleEngine=true", body).json["customerProfile"]
    assert profile["audienceMemberships"] == [{"id": 7, "name": "sieben"}]


def test_renaming_keeps_what_the_audience_is(api):
    number = create(api).json["id"]
    reply = api.call("PUT", f"/v2/audiences/{number}", {"name": "new", "integrationId": "z"})
    assert (reply.json["name"], reply.json["integrationId"]) == ("new", "a")
    assert create(api).status == 409


def test_a_deleted_audience_is_gone_everywhere(api):
    number = create(api).json["id"]
    add(api, number, "p", "q")
    add(api, 5, "p")
    assert api.call("DELETE", f"/v2/audiences/{number}").status == 204
    assert api.lines("ledger")[-1]["profiles"] == ["p", "q"]
    assert api.one("profiles", "p")["audiences"] == [5]
    assert api.one("audiences", number)["deleted"]
    target = f"/v2/audiences/{number}"
    changes = {"audiencesChanges": {"adds": [5, number], "deletes": []}}
    assert [
        api.call("DELETE", target).status,
        api.call("PUT", target, {"name": "x"}).status,
        api.call("DELETE", target + "/memberships").status,
        api.call("PUT", f"/v2/audience_customers/{number}/attributes", {"a": 1}).status,
        add(api, number, "p").status,
        api.call("PUT", "/v2/customer_profiles/p", changes).status,
    ] == [404, 404, 404, 404, 404, 400]
    assert create(api).json["id"] != number  # its id at the platform is free again


def test_memberships_and_attributes_of_all_members(api):
    add(api, 5, "p", "q")
    add(api, 6, "r")
    api.call("PUT", "/v2/customer_profiles/p", {"attributes": {"old": 1, "tier": "low"}})
    assert api.call("PUT", "/v2/audience_customers/5/attributes", {"tier": "high", "old": None}).status == 204
    attributes = {line["id"]: line["attributes"] for line in api.lines("profiles")}
    assert attributes == {"p": {"tier": "high"}, "q": {"tier": "high"}, "r": {}}
    assert api.lines("ledger")[-1]["profiles"] == ["p", "q"]
    assert api.call("DELETE", "/v2/audiences/5/memberships").status == 204
    assert {line["id"]: line["audiences"] for line in api.lines("profiles")} == {"p": [], "q": [], "r": [6]}
    assert api.call("DELETE", "/v2/audiences/5/memberships").status == 204


def test_attributes_the_account_does_not_know_are_refused(simulated):
    api = simulated(unknown_attributes=("foo",))
    assert api.call("PUT", "/v2/audience_customers/5/attributes", {"foo": 1}).pointers == ["/foo"]


@pytest.mark.parametrize("id", ["one", "-1", "1.5", "%D9%A1", str(1 << 63)])
def test_an_audience_is_a_number(api, id):
    assert api.call("DELETE", f"/v2/audiences/{id}").parameters == ["audienceId"]
