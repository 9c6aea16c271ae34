"""The inventory: only what is asked for, and all that belongs to the customer."""

import pytest

INVENTORY = "/v1/customer_profiles/p/inventory"
SWITCHES = ["profile", "referrals", "coupons", "loyalty", "giveaways", "achievements"]


def fill(api):
    api.call("PUT", "/v2/customer_profiles/p", {"attributes": {"a": 1}})
    api.call("POST", "/v1/coupon_reservations/COUPON", {"integrationIDs": ["p", "q"]})
    referral = {"campaignId": 1, "advocateProfileIntegrationId": "p", "friendProfileIntegrationId": "f"}
    api.call("POST", "/v1/referrals", referral)
    many = {"campaignId": 2, "advocateProfileIntegrationIds": ["q", "p"], "usageLimit": 1}
    api.call("POST", "/v1/referrals_for_multiple_advocates", many)
    api.call("POST", "/v1/loyalty_programs/3/cards", {"cardIdentifier": "card", "customerProfileIds": ["p"]})
    api.call("POST", "/_simulator/loyalty", {"program": 1, "profile": "p", "rows": 40}, auth=None)
    api.call("POST", "/_simulator/loyalty", {"program": 1, "profile": "p", "rows": 40, "subledger": "sub"}, auth=None)
    api.call("POST", "/_simulator/loyalty", {"program": 3, "card": "card", "rows": 40}, auth=None)


def inventory(api, *switches):
    return api.call("GET", INVENTORY + "?" + "&".join(f"{name}=true" for name in switches)).json


@pytest.mark.parametrize("name", SWITCHES)
def test_only_what_is_asked_for(api, name):
    fill(api)
    assert list(inventory(api, name)) == [name]
    assert api.call("GET", f"{INVENTORY}?{name}=false").json == {}
    assert api.call("GET", f"{INVENTORY}?{name}=1").parameters == [name]


def test_all_that_belongs_to_the_customer(api):
    fill(api)
    found = inventory(api, *SWITCHES)
    assert list(found) == SWITCHES
    assert found["profile"]["attributes"] == {"a": 1}
    assert [(one["campaignId"], one["referredCustomers"]) for one in found["referrals"]] == [(1, ["f"]), (2, [])]
    assert [(one["value"], one["reservationCounter"]) for one in found["coupons"]] == [("COUPON", 2)]
    assert [(one["identifier"], one["ledger"]["currentBalance"]) for one in found["loyalty"]["cards"]] == [
        ("card", 205)
    ]
    program = found["loyalty"]["programs"]["1"]
    assert (program["ledger"]["currentBalance"], program["subLedgers"]["sub"]["currentBalance"]) == (205, 205)
    assert found["giveaways"] == []
    assert [one["achievementId"] for one in found["achievements"]] == [1, 2, 3, 4, 5]


def test_what_is_taken_back_is_not_seen(api):
    fill(api)
    api.call("DELETE", "/v1/coupon_reservations/COUPON", {"integrationIDs": ["p"]})
    api.call("POST", "/v2/loyalty_programs/3/cards/card/unlink_profile", {"integrationId": "p"})
    found = inventory(api, "coupons", "loyalty")
    assert (found["coupons"], found["loyalty"]["cards"], list(found["loyalty"]["programs"])) == ([], [], ["1"])


def test_a_customer_who_has_nothing(api):
    api.call("PUT", "/v2/customer_profiles/p", {})
    found = inventory(api, *SWITCHES[1:5])
    assert found == {"referrals": [], "coupons": [], "loyalty": {"cards": [], "programs": {}}, "giveaways": []}


def test_an_unknown_customer(api):
    assert api.call("GET", INVENTORY).parameters == ["integrationId"]
    fill(api)
    assert api.call("GET", INVENTORY).status == 200
    api.call("DELETE", "/v1/customer_data/p")
    assert api.call("GET", INVENTORY).status == 404


def test_an_erasure_takes_all_that_belongs_to_the_customer(api):
    fill(api)
    api.call("POST", "/v3/events", {"profileId": "p", "type": "t", "integrationId": "e", "attributes": {"a": 1}})
    api.call("DELETE", "/v1/customer_data/p")
    assert api.one("coupons", "COUPON")["reserved"] == ["q"]
    assert (api.one("cards", "card")["profiles"], api.one("cards", "card")["rows"]) == ([], 40)
    assert api.lines("loyalty") == []
    assert {line["advocate"] for line in api.lines("referrals")} == {
        "p",
        "q",
    }  # codes stay, what was said in them goes
    assert all(line["attributes"] == {} for line in api.lines("referrals"))
    assert api.call("GET", "/v3/events/e").json["attributes"] == {}
    assert api.call("POST", "/v3/events", {"profileId": "p", "type": "t", "integrationId": "e"}).status == 409
    api.call("PUT", "/v2/customer_profiles/p", {})
    assert inventory(api, *SWITCHES[1:5])["referrals"] == []
    assert api.call("GET", "/v1/loyalty_programs/1/profile/p/transactions").json["data"] == []
    assert api.call("POST", "/v1/loyalty_programs/1/profile/p/join").status == 200
