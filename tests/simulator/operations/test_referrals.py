"""Referral codes: every call counts."""

import pytest

ONE = {"campaignId": 1, "advocateProfileIntegrationId": "p"}
MANY = {"campaignId": 2, "advocateProfileIntegrationIds": ["p", "q"], "usageLimit": 3}


def create(api, **fields):
    return api.call("POST", "/v1/referrals", ONE | fields)


def create_many(api, query="", **fields):
    return api.call("POST", "/v1/referrals_for_multiple_advocates" + query, MANY | fields)


def test_each_call_makes_a_new_code(api):
    first, second = create(api, usageLimit=5, attributes={"a": 1, "b": None}).json, create(api).json
    assert first["code"] != second["code"]
    assert (first["usageLimit"], first["attributes"], second["usageLimit"]) == (5, {"a": 1}, 0)
    create_many(api)
    lines = api.lines("referrals")
    assert [(line["advocate"], line["campaignId"], line["call"]) for line in lines] == [
        ("p", 1, 1), ("p", 1, 2), ("p", 2, 3), ("q", 2, 3),
    ]  # fmt: skip
    assert len({line["id"] for line in lines}) == 4
    assert {line["id"] for line in api.lines("profiles")} == {"p", "q"}


def test_silent_or_not(api):
    assert (create_many(api).status, create_many(api).text) == (204, b"")
    reply = create_many(api, "?silent=no")
    assert (reply.status, reply.json["totalResultSize"]) == (201, 2)
    assert [one["advocateProfileIntegrationId"] for one in reply.json["data"]] == ["p", "q"]
    assert {one["usageLimit"] for one in reply.json["data"]} == {3}
    assert len(api.lines("referrals")) == 6


def test_codes_follow_the_pattern(api):
    reply = create_many(api, "?silent=no", referralPattern="A#-##", validCharacters=["x", "y", "x"])
    codes = [one["code"] for one in reply.json["data"]]
    assert codes == ["Ax-xx", "Ax-xy"]
    advocates = [f"p{n}" for n in range(6)]
    more = create_many(api, "?silent=no", referralPattern="A#-##", validCharacters=["x", "y"],
                       advocateProfileIntegrationIds=advocates)  # fmt: skip
    assert len({*codes, *(one["code"] for one in more.json["data"])}) == 8
    reply = create_many(api, referralPattern="A#-##", validCharacters=["x", "y"])
    assert (reply.status, reply.pointers) == (400, ["/referralPattern"])
    assert len(api.lines("referrals")) == 8


@pytest.mark.parametrize("campaign", [0, 4, -1])
def test_an_unknown_campaign(api, campaign):
    for reply in (create(api, campaignId=campaign), create_many(api, campaignId=campaign)):
        assert (reply.status, reply.pointers) == (400, ["/campaignId"])
    assert api.lines("referrals") == api.lines("ledger") == []


def test_how_many_campaigns_there_are_is_a_setting(simulated):
    api = simulated(campaigns=7)
    assert [create(api, campaignId=number).status for number in (7, 8)] == [201, 400]


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"usageLimit": 1_000_000}, "/usageLimit"),
        ({"usageLimit": -1}, "/usageLimit"),
        ({"startDate": "2026-05-01"}, "/startDate"),
        ({"attributes": {"foo": 1}}, "/attributes/foo"),
        ({"advocateProfileIntegrationId": ""}, "/advocateProfileIntegrationId"),
    ],
)
def test_referrals_that_are_refused(simulated, fields, pointer):
    assert create(simulated(unknown_attributes=("foo",)), **fields).pointers == [pointer]


def test_error_bodies_differ_between_the_two(api):
    assert "StatusCode" not in create(api, campaignId=9).json
    assert create_many(api, campaignId=9).json["StatusCode"] == 400


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"advocateProfileIntegrationIds": []}, "/advocateProfileIntegrationIds"),
        ({"advocateProfileIntegrationIds": ["p"] * 1001}, "/advocateProfileIntegrationIds"),
        ({"referralPattern": "##"}, "/referralPattern"),
        ({"validCharacters": ["ab"]}, "/validCharacters/0"),
    ],
)
def test_referrals_for_many_that_are_refused(api, fields, pointer):
    assert create_many(api, **fields).pointers == [pointer]


def test_for_many_a_usage_limit_is_needed(api):
    body = {name: value for name, value in MANY.items() if name != "usageLimit"}
    assert api.call("POST", "/v1/referrals_for_multiple_advocates", body).pointers == ["/usageLimit"]


def test_a_thousand_advocates_at_once(api):
    assert create_many(api, advocateProfileIntegrationIds=[f"p{n}" for n in range(1000)]).status == 204
    assert len({line["id"] for line in api.lines("referrals")}) == 1000
