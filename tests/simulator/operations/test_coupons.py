"""Coupon codes reserved for customers."""

import pytest

COUPON = "/v1/coupon_reservations/SUMMER%2F50%25"


def reserve(api, *ids, target=COUPON):
    return api.call("POST", target, {"integrationIDs": list(ids)})


def release(api, *ids):
    return api.call("DELETE", COUPON, {"integrationIDs": list(ids)})


def reserved(api):
    reply = api.call("GET", "/v1/coupon_reservations/customerprofiles/SUMMER%2F50%25").json
    assert reply["totalResultSize"] == len(reply["data"])
    return [profile["integrationId"] for profile in reply["data"]]


def test_reserving_twice_changes_nothing(api):
    assert reserved(api) == []
    first, second = reserve(api, "p", "q").json, reserve(api, "q", "p", "p").json
    assert (first["value"], first["reservationCounter"]) == ("SUMMER/50%", 2)
    assert second == first
    assert reserved(api) == ["p", "q"]
    assert api.lines("coupons") == [{"id": "SUMMER/50%", "reserved": ["p", "q"]}]
    assert [line["profiles"] for line in api.lines("ledger")] == [["p", "q"], ["q", "p", "p"]]


def test_releasing(api):
    reserve(api, "p", "q")
    for _ in range(2):
        assert release(api, "p", "stranger").status == 204
        assert reserved(api) == ["q"]
    assert "stranger" not in {line["id"] for line in api.lines("profiles")}


def test_a_reservation_takes_at_most_1000_customers(api):
    ids = [f"p{n}" for n in range(1001)]
    assert reserve(api, *ids).pointers == ["/integrationIDs"]
    assert reserve(api, *ids[1:]).json["reservationCounter"] == 1000
    assert release(api, *ids).status == 400
    assert len(reserved(api)) == 1000


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/integrationIDs"),
        ({"integrationIDs": "p"}, "/integrationIDs"),
        ({"integrationIDs": ["p", ""]}, "/integrationIDs/1"),
    ],
)
def test_reservations_that_are_refused(api, body, pointer):
    for method in ("POST", "DELETE"):
        assert api.call(method, COUPON, body).pointers == [pointer]
    assert api.lines("coupons") == []


def test_an_unknown_coupon(simulated):
    api = simulated(unknown_coupons=("SUMMER/50%",))
    replies = [reserve(api, "p"), release(api, "p")]
    replies.append(api.call("GET", "/v1/coupon_reservations/customerprofiles/SUMMER%2F50%25"))
    assert [(reply.status, reply.parameters) for reply in replies] == [(404, ["couponValue"])] * 3
    assert api.lines("profiles") == []
    assert reserve(api, "p", target="/v1/coupon_reservations/OTHER").status == 201
