"""The ledger and the other control endpoints: what they show, and what a reset forgets."""

import asyncio
import re

import pytest

from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.simulator.server.state_lines import STATE

SESSION = "/v2/customer_sessions/s"
OPEN = {"customerSession": {"profileId": "p", "state": "open"}}
CLOSED = {"customerSession": {"profileId": "p", "state": "closed"}}
QUESTION = {
    "skus": ["tea"],
    "timeframeEndDate": "2026-05-31T00:00:00Z",
    "timeframe": "30",
    "timeframeEndDateType": "strict",
}


def test_the_ledger_keeps_bodies_as_they_came(api):
    api.call(
        "PUT", SESSION, b'{"customerSession": {"cartItems": [\n{"sku":"x", "quantity":1, "price":19.990}]}}', key="k"
    )
    text = api.call("GET", "/_simulator/ledger", auth=None).text
    assert b'"body":{"customerSession":{"cartItems":[{"sku":"x","quantity":1,"price":19.990}]}}' in text
    (line,) = api.lines("ledger")
    assert (line["n"], line["operation"], line["session"], line["key"]) == (1, "update_customer_session_v2", "s", "k")
    assert line["arrived"] == line["applied"] == line["answered"] == 0.0


def test_the_ledger_can_go_without_bodies(simulated):
    api = simulated(keep_bodies=False)
    api.call("PUT", SESSION + "?dry=false", OPEN)
    assert api.lines("ledger")[0]["body"] is None
    assert api.lines("ledger")[0]["query"] == {"dry": "false"}
    assert api.read()["profileId"] == "p"


def test_the_ledger_shows_a_repeated_parameter_as_a_list(api):
    api.call("PUT", SESSION + "?dry=false&tag=a&tag=b&tag=", OPEN)
    assert api.lines("ledger")[0]["query"] == {"dry": "false", "tag": ["a", "b", ""]}


@pytest.mark.parametrize("name", sorted(name for name, row in OPERATIONS.items() if row.is_read))
def test_no_read_is_in_the_ledger(api, name):
    row = OPERATIONS[name]
    target = re.sub(r"\{\w+\}", "1", row.template)
    api.call(row.method, target, None if row.body is None else QUESTION)
    assert api.lines("ledger") == []
    assert api.lines("requests")[0]["operation"] == name


def test_reset(api):
    api.call("PUT", SESSION, CLOSED, key="k")
    api.call("POST", "/_simulator/reset", auth=None)
    assert [api.lines(name) for name in ("ledger", "requests", *STATE)] == [[]] * (2 + len(STATE))
    assert api.call("PUT", SESSION, CLOSED, key="k").status == 200
    assert not api.lines("requests")[0]["replayed"]


def test_what_is_in_flight_at_a_reset_is_forgotten_too(simulated):
    api = simulated(latency_ms=20)

    async def reset_between():
        flying = asyncio.create_task(api.send("PUT", SESSION, OPEN, key="k"))
        await asyncio.sleep(0.005)
        await api.send("POST", "/_simulator/reset")
        return await flying

    assert asyncio.run(reset_between()).status == 200
    assert api.lines("ledger") == api.lines("requests") == api.lines("sessions") == []
    assert api.summary()["keys"] == 0


def test_summary(simulated):
    api = simulated(key="right")
    api.call("PUT", SESSION, OPEN, auth="ApiKey-v1 right")
    api.call("GET", SESSION, auth="ApiKey-v1 wrong")
    api.call("GET", "/nowhere", auth="ApiKey-v1 right")
    api.now += 3
    summary = api.summary()
    assert summary["operations"] == {
        "get_customer_session": {"401": 1},
        "none": {"404": 1},
        "update_customer_session_v2": {"200": 1},
    }
    assert (summary["requests"], summary["acted"], summary["uptime"]) == (3, 1, 3.0)


def test_another_key_is_accepted_from_now_on_until_a_reset(simulated):
    api = simulated(key="first")

    def statuses():
        return [api.call("GET", SESSION, auth=f"ApiKey-v1 {key}").status for key in ("first", "second")]

    assert statuses() == [404, 401]
    assert api.call("POST", "/_simulator/api-key", b'"second"', auth=None).status == 200
    assert statuses() == [401, 404]
    api.call("POST", "/_simulator/api-key", b"null", auth=None)
    assert statuses() == [404, 404]
    for body in (b'""', b"7", b"", b"{"):
        assert api.call("POST", "/_simulator/api-key", body, auth=None).status == 400
    api.call("POST", "/_simulator/reset", auth=None)
    assert statuses() == [404, 401]


def test_control_paths_that_are_not_there(api):
    assert api.call("GET", "/_simulator/nothing").status == 404
    assert api.call("POST", "/_simulator/summary").status == 404
