"""The front door and what a request meets behind it: key, limits, error bodies, idempotency, rate, parallel use."""

import ast
import asyncio
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from beam_talonone import simulator
from beam_talonone.simulator.operations.handlers import HANDLERS

SESSION = "/v2/customer_sessions/s"
OPEN = {"customerSession": {"profileId": "p", "state": "open"}}
CLOSED = {"customerSession": {"profileId": "p", "state": "closed"}}
BUSY = "Too many requests are updating this profile/session at the same time"


def item(**fields):
    return {"sku": "x", "quantity": 1} | fields


@pytest.mark.parametrize("auth", [None, "", "k", "Bearer k", "ApiKey-v1", "ApiKey-v1 "])
def test_a_request_without_a_key_is_unauthorized(api, auth):
    reply = api.call("GET", SESSION, auth=auth)
    assert reply.status == 401
    assert reply.json["message"]
    assert reply.json["StatusCode"] == 401


def test_any_key_will_do_unless_one_is_configured(api, simulated):
    assert api.call("PUT", SESSION, OPEN, auth="ApiKey-v1 whatever").status == 200
    strict = simulated(key="right")
    assert strict.call("PUT", SESSION, OPEN, auth="ApiKey-v1 wrong").status == 401
    assert strict.call("PUT", SESSION, OPEN, auth="ApiKey-v1 right").status == 200


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [("GET", "/", 404), ("PUT", "/v2/customer_sessions/", 404), ("PATCH", SESSION, 405), ("GET", "/v2/events", 405)],
)
def test_paths_that_are_not_there(api, method, target, status):
    assert api.call(method, target).status == status


@pytest.mark.parametrize("raw", [b"", b"{", b"{'a':1}", b"\xff", b'{"a":NaN}', b'{"a":"\\ud800"}', b"[" * 5000])
def test_a_body_that_is_not_json_is_refused(api, raw):
    reply = api.call("PUT", SESSION, raw)
    assert (reply.status, reply.titles) == (400, ["Invalid JSON"])


@pytest.mark.parametrize(
    ("session", "pointer"),
    [
        ({"cartItems": [item() for _ in range(1001)]}, "/cartItems"),
        ({"cartItems": [item(quantity=5001), item(quantity=5000)]}, "/cartItems"),
        ({"cartItems": [item(), item(sku="")]}, "/cartItems/1/sku"),
        ({"cartItems": [{"quantity": 1}]}, "/cartItems/0/sku"),
        ({"cartItems": [{"sku": "x"}]}, "/cartItems/0/quantity"),
        ({"cartItems": [item(quantity=0)]}, "/cartItems/0/quantity"),
        ({"cartItems": [item(quantity="1")]}, "/cartItems/0/quantity"),
        ({"cartItems": [item(quantity=1.5)]}, "/cartItems/0/quantity"),
        ({"cartItems": [item(quantity=True)]}, "/cartItems/0/quantity"),
        ({"cartItems": [item(price="9.99")]}, "/cartItems/0/price"),
        ({"cartItems": [item(price=None)]}, "/cartItems/0/price"),
        ({"cartItems": [item(product={})]}, "/cartItems/0/product/name"),
        ({"cartItems": [item(additionalCosts={"a/b~": {}})]}, "/cartItems/0/additionalCosts/a~1b~0/price"),
        ({"cartItems": [7]}, "/cartItems/0"),
        ({"cartItems": {}}, "/cartItems"),
        ({"identifiers": ["1", "2", "3", "4", "5", "6"]}, "/identifiers"),
        ({"loyaltyCards": ["1", "2"]}, "/loyaltyCards"),
        ({"couponCodes": ["x" * 101]}, "/couponCodes/0"),
        ({"referralCode": "x" * 101}, "/referralCode"),
        ({"profileId": "x" * 1001}, "/profileId"),
        ({"profileId": 7}, "/profileId"),
        ({"storeIntegrationId": ""}, "/storeIntegrationId"),
        ({"state": "done"}, "/state"),
        ({"attributes": []}, "/attributes"),
        ({"experimentVariantAllocations": [{"experimentID": 1}]}, "/experimentVariantAllocations/0/variantID"),
    ],
)
def test_limits_and_types_of_a_session(api, session, pointer):
    reply = api.session(**session)
    assert (reply.status, reply.pointers) == (400, ["/customerSession" + pointer])
    assert "StatusCode" not in reply.json
    assert api.lines("sessions") == []


def test_what_just_fits(api):
    fits = {
        "cartItems": [item(quantity=10) for _ in range(1000)],
        "identifiers": ["1", "2", "3", "4", "5"],
        "loyaltyCards": ["1"],
        "couponCodes": ["é" * 100],
        "profileId": "\U0001f355" * 1000,
    }
    assert api.session(**fits).status == 200


def test_a_number_out_of_all_range_is_refused(api):
    raw = b'{"customerSession":{"cartItems":[{"sku":"x","quantity":1,"price":1e999999}]}}'
    assert api.call("PUT", SESSION, raw).pointers == ["/customerSession/cartItems/0/price"]


def test_what_is_reported_of_several_problems(simulated):
    bad = {"attributes": {"foo": 1}, "cartItems": [item(sku="", attributes={"bar": 1})]}
    where = ["/customerSession/attributes/foo", "/customerSession/cartItems/0/sku"]
    where.append("/customerSession/cartItems/0/attributes/bar")
    reply = simulated(unknown_attributes=("foo", "bar")).session(**bad)
    assert reply.pointers == where
    assert reply.titles[0] == reply.titles[2] == "Unknown"
    assert simulated(unknown_attributes=("foo", "bar"), errors="first").session(**bad).pointers == where[:1]
    reply = simulated(unknown_attributes=("foo", "bar"), errors="none").session(**bad)
    assert (reply.titles, reply.pointers) == (["Unknown"], [None])


def test_attributes_that_are_known_can_be_listed_by_entity(simulated):
    api = simulated(known_attributes={"session": ("a",), "event": ()})
    assert api.session(attributes={"a": 1}, cartItems=[item(attributes={"b": 1})]).status == 200
    assert api.session(attributes={"b": 1}).pointers == ["/customerSession/attributes/b"]
    event = {"profileId": "p", "type": "t", "attributes": {"a": 1}}
    assert api.call("POST", "/v2/events", event).pointers == ["/attributes/a"]


def test_a_stored_answer_is_replayed(api):
    first = api.call("PUT", SESSION, CLOSED, key="k")
    again = api.call("PUT", SESSION, CLOSED, key="k")
    assert (again.status, again.text) == (first.status, first.text) == (200, first.text)
    assert api.call("PUT", SESSION, CLOSED).status == 400
    assert len(api.lines("ledger")) == 1
    assert [line["replayed"] for line in api.lines("requests")] == [False, True, False]
    assert api.summary()["keys_misused"] == 0


def test_refusals_and_dry_answers_are_stored_too(api):
    bad = {"customerSession": {"state": "cancelled"}}
    assert api.call("PUT", SESSION, bad, key="refused").status == 400
    assert api.call("PUT", SESSION, OPEN, key="refused").status == 400
    assert api.call("PUT", SESSION + "?dry=true", OPEN, key="dry").status == 200
    assert api.call("PUT", SESSION, OPEN, key="dry").status == 200
    assert api.lines("sessions") == []
    assert api.summary()["keys_misused"] == 2


def test_a_key_lives_for_a_day(api):
    api.call("PUT", SESSION, CLOSED, key="k")
    api.now += 24 * 3600 - 1
    assert api.call("PUT", SESSION, CLOSED, key="k").status == 200
    api.now += 2
    assert api.call("PUT", SESSION, CLOSED, key="k").status == 400
    assert api.summary()["keys"] == 1


def test_keys_can_be_forgotten(api):
    api.call("PUT", SESSION, CLOSED, key="k")
    api.call("POST", "/_simulator/forget-keys", auth=None)
    assert api.call("PUT", SESSION, CLOSED, key="k").status == 400


def test_a_key_of_more_than_255_characters_is_refused(api):
    assert api.call("PUT", SESSION, OPEN, key="k" * 256).status == 400
    assert api.call("PUT", SESSION, OPEN, key="k" * 255).status == 200


def test_operations_without_keys_act_each_time(api):
    body = {"data": [{"action": "add", "profileIntegrationId": "p", "audienceId": 1}]}
    for _ in range(2):
        assert api.call("POST", "/v2/customer_audiences", body, key="k").status == 204
    assert len(api.lines("ledger")) == 2
    assert api.call("PUT", SESSION, OPEN, key="k").status == 200
    assert len(api.lines("ledger")) == 3


def test_a_twin_in_flight_is_parallel_use(simulated):
    api = simulated(latency_ms=40)
    call = ("POST", SESSION + "/returns", {"return": {"returnedCartItems": [{"sku": "x", "quantity": 1}]}})
    api.session(state="closed", cartItems=[item(quantity=2)])

    async def late(seconds):
        await asyncio.sleep(seconds)
        return await api.send(*call, key="k")

    async def twins():
        # the second comes before the first acts, the third after it acted and before it is answered
        return await asyncio.gather(late(0), late(0.005), late(0.03))

    replies = asyncio.run(twins())
    assert [reply.status for reply in replies] == [200, 409, 409]
    assert replies[1].json["message"] == BUSY
    assert api.call(*call, key="k").status == 200
    assert api.one("sessions", "s")["returns"] == 1


def test_the_rate_and_its_burst_are_exact(simulated):
    api = simulated(rate=10, burst=3)
    assert [api.call("GET", SESSION).status for _ in range(5)] == [404, 404, 404, 429, 429]
    api.now += 0.0999
    assert api.call("GET", SESSION).status == 429
    api.now += 0.0001
    assert [api.call("GET", SESSION).status for _ in range(2)] == [404, 429]
    api.now += 60
    assert [api.call("GET", SESSION).status for _ in range(4)] == [404, 404, 404, 429]
    assert api.summary()["refused_by_rate"] == 5
    assert api.summary()["rate_peak_100ms"] == 6


def test_even_spacing_at_the_rate_is_never_refused(simulated):
    api = simulated(rate=7)
    for _ in range(200):
        assert api.call("GET", SESSION).status == 404
        api.now += 1 / 7


@pytest.mark.parametrize(("style", "expected"), [("none", None), ("seconds", "4"), ("date", None)])
def test_retry_after(simulated, style, expected):
    api = simulated(rate=0.25, retry_after=style)
    api.call("GET", SESSION)
    reply = api.call("GET", SESSION)
    assert reply.status == 429
    value = reply.headers.get("retry-after")
    if style == "date":
        assert parsedate_to_datetime(value).tzinfo is not None
    else:
        assert value == expected


def test_a_429_is_not_stored(simulated):
    api = simulated(rate=1)
    api.call("GET", SESSION)
    assert api.call("PUT", SESSION, OPEN, key="k").status == 429
    api.now += 5
    assert api.call("PUT", SESSION, OPEN, key="k").status == 200
    assert not api.lines("requests")[-1]["replayed"]


def test_one_runs_two_wait_more_are_refused(simulated):
    api = simulated(latency_ms=20)
    bodies = [{"customerSession": {"profileId": "p", "attributes": {"n": n}}} for n in range(5)]
    replies = api.together(*(("PUT", SESSION, body) for body in bodies))
    assert [reply.status for reply in replies] == [200, 200, 200, 409, 409]
    assert replies[3].json["message"] == BUSY
    assert api.read()["attributes"] == {"n": 2}
    assert api.summary()["max_parallel"] == 4  # those refused leave at once


def test_sessions_and_events_of_one_profile_share_its_queue(simulated):
    api = simulated(latency_ms=20)
    replies = api.together(
        ("PUT", "/v2/customer_sessions/one", OPEN),
        ("POST", "/v2/events", {"profileId": "p", "type": "t"}),
        ("PUT", "/v2/customer_profiles/p", {}),
        ("PUT", "/v2/customer_sessions/two", OPEN),
        ("PUT", "/v2/customer_sessions/three", {"customerSession": {"profileId": "q"}}),
        ("PUT", "/v2/customer_profiles", {"customerProfiles": [{"integrationId": "p"}]}),
    )
    assert [reply.status for reply in replies] == [200, 204, 200, 409, 200, 204]


def test_an_update_without_profile_waits_for_the_profile_it_has(simulated):
    api = simulated(latency_ms=10)
    api.call("PUT", SESSION, OPEN)
    calls = [("PUT", "/v2/customer_profiles/p", {})] * 3 + [("PUT", SESSION, {"customerSession": {}})]
    assert [reply.status for reply in api.together(*calls)] == [200, 200, 200, 409]


def test_a_parallel_409_is_not_stored(simulated):
    api = simulated(latency_ms=10)

    async def four():
        return await asyncio.gather(*(api.send("PUT", SESSION, OPEN, key=f"k{n}") for n in range(4)))

    assert [reply.status for reply in asyncio.run(four())] == [200, 200, 200, 409]
    assert api.call("PUT", SESSION, OPEN, key="k3").status == 200
    assert api.summary()["keys"] == 4


def test_an_operation_without_a_handler_is_not_implemented(monkeypatch, simulated):
    monkeypatch.delitem(HANDLERS, "reopen_customer_session")
    api = simulated()
    api.call("PUT", SESSION, CLOSED)
    reply = api.reopen(key="k")
    assert (reply.status, "reopen_customer_session" in reply.json["message"]) == (501, True)
    assert len(api.lines("ledger")) == 1
    assert api.summary()["keys"] == 0


def test_nothing_but_the_operation_table_is_shared_with_the_sender():
    folder = Path(simulator.__file__).parent
    shared = {
        node.module
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("beam_talonone")
    }
    others = {name for name in shared if not name.startswith("beam_talonone.simulator")}
    # the second is the command line of `python -m beam_talonone.simulator`
    assert others == {"beam_talonone.schemas.operations", "beam_talonone.pipelines.cli.entry"}
