"""Profiles one by one and in bulk, audiences, erasure."""


def put_profile(api, id="p", query="", **body):
    return api.call("PUT", f"/v2/customer_profiles/{id}{query}", body)


def put_profiles(api, *profiles, query=""):
    return api.call("PUT", f"/v2/customer_profiles{query}", {"customerProfiles": list(profiles)})


def post_audiences(api, *actions):
    data = [
        {"action": action, "profileIntegrationId": id, "audienceId": audience} for action, id, audience in actions
    ]
    return api.call("POST", "/v2/customer_audiences", {"data": data})


def erase(api, id="p"):
    return api.call("DELETE", f"/v1/customer_data/{id}")


def test_attributes_merge_and_null_erases(api):
    assert put_profile(api, attributes={"a": 1, "b": 2}).json == {
        "effects": [],
        "createdCoupons": [],
        "createdReferrals": [],
    }
    put_profile(api, attributes={"b": None, "c": 3}, audiencesChanges={"adds": [1, 2], "deletes": []})
    put_profile(api, audiencesChanges={"adds": [3], "deletes": [1]})
    profile = api.one("profiles", "p")
    assert (profile["attributes"], profile["audiences"]) == ({"a": 1, "c": 3}, [2, 3])


def test_a_profile_is_shown_with_what_it_bought(api):
    api.session("one", profileId="p", state="closed", cartItems=[{"sku": "x", "quantity": 3, "price": 1.1}])
    api.session("two", profileId="p", state="closed", cartItems=[{"sku": "x", "quantity": 1, "price": 5}])
    api.session("three", profileId="p", cartItems=[{"sku": "x", "quantity": 1, "price": 50}])
    api.session("two", state="cancelled")
    api.give_back({"sku": "x", "quantity": 1}, id="one")
    reply = put_profile(api, query="?runRuleEngine=true", responseContent=["customerProfile"])
    profile = reply.json["customerProfile"]
    assert (profile["closedSessions"], str(profile["totalSales"])) == (1, "2.2")


def test_response_content_needs_the_rule_engine(api):
    assert put_profile(api, responseContent=["customerProfile"]).pointers == ["/responseContent"]


def test_a_dry_profile_update_needs_the_rule_engine(api):
    put_profile(api, "engine", query="?dry=true&runRuleEngine=true", attributes={"a": 1})
    assert api.lines("profiles") == api.lines("ledger") == []
    put_profile(api, "none", query="?dry=true", attributes={"a": 1})
    assert api.one("profiles", "none")["attributes"] == {"a": 1}
    reply = put_profile(
        api, "none", query="?dry=true&runRuleEngine=true", attributes={"a": 2}, responseContent=["customerProfile"]
    )
    assert reply.json["customerProfile"]["attributes"] == {"a": 2}
    assert api.one("profiles", "none")["attributes"] == {"a": 1}


def test_bulk(api):
    entries = [{"integrationId": f"p{n}", "attributes": {"n": n}} for n in range(1000)]
    reply = put_profiles(api, *entries)
    assert (reply.status, reply.text) == (204, b"")
    assert len(api.lines("profiles")) == 1000
    reply = put_profiles(api, {"integrationId": "p7", "attributes": {"m": 1}}, query="?silent=no")
    assert reply.json["integrationStates"][0]["customerProfile"]["attributes"] == {"n": 7, "m": 1}
    assert api.lines("ledger")[0]["profiles"][:2] == ["p0", "p1"]


def test_one_bad_entry_refuses_the_whole_bulk(simulated):
    api = simulated(unknown_attributes=("foo",))
    entries = [{"integrationId": f"p{n}", "attributes": {"a": n}} for n in range(20)]
    entries[17]["attributes"]["foo"] = 1
    reply = put_profiles(api, *entries)
    assert (reply.status, reply.pointers, reply.titles) == (400, ["/customerProfiles/17/attributes/foo"], ["Unknown"])
    assert reply.json["StatusCode"] == 400
    assert api.lines("profiles") == []


def test_a_bulk_has_at_most_1000_entries(api):
    assert put_profiles(api, *({"integrationId": str(n)} for n in range(1001))).pointers == ["/customerProfiles"]
    assert post_audiences(api, *(("add", str(n), 1) for n in range(1001))).pointers == ["/data"]
    assert post_audiences(api, *(("add", str(n), 1) for n in range(1000))).status == 204


def test_audiences(api):
    assert post_audiences(api, ("add", "p", 1), ("add", "p", 2), ("delete", "p", 1)).status == 204
    assert post_audiences(api, ("delete", "nobody", 1)).status == 204
    assert [line["id"] for line in api.lines("profiles")] == ["p"]
    assert api.one("profiles", "p")["audiences"] == [2]


def test_an_unknown_audience_is_not_found_and_nothing_is_done(simulated):
    api = simulated(unknown_audiences=(9,))
    reply = post_audiences(api, ("add", "p", 1), ("add", "p", 9))
    assert (reply.status, reply.pointers) == (404, ["/data/1/audienceId"])
    assert api.lines("profiles") == []
    reply = put_profile(api, audiencesChanges={"adds": [1], "deletes": [9]})
    assert (reply.status, reply.pointers) == (400, ["/audiencesChanges/deletes/0"])


def test_erasure(api):
    assert erase(api).status == 404
    put_profile(api, attributes={"a": 1}, audiencesChanges={"adds": [1], "deletes": []})
    api.session(profileId="p", attributes={"b": 1}, couponCodes=["C"])
    reply = erase(api)
    assert (reply.status, reply.text) == (204, b"")
    profile = api.one("profiles", "p")
    assert (profile["attributes"], profile["audiences"], profile["erased"]) == ({}, [], 1)
    assert api.read()["attributes"] == {}
    assert api.read()["couponCodes"] == ["C"]
    assert erase(api).status == 404
    put_profile(api, attributes={"a": 2})
    assert erase(api).status == 204
