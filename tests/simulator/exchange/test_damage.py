"""Answers of gateways instead of the API, and damaged answers of the API."""

import gzip
import json

import pytest

OPEN = {"customerSession": {"profileId": "p", "state": "open"}}
SESSION = "/v2/customer_sessions/s"
ONCE = "to-request=1"


@pytest.mark.parametrize(
    ("fault", "status", "page"),
    [
        ("busy", 409, False),
        ("redirect", 302, False),
        ("redirect:status=308", 308, False),
        ("login", 200, True),
        ("firewall", 403, True),
    ],
)
def test_a_gateway_answers_and_nothing_acts(simulated, fault, status, page):
    api = simulated(faults=(fault,))
    reply = api.call("PUT", SESSION, OPEN, key="k")
    assert reply.status == status
    assert reply.text.startswith(b"<") == page
    assert reply.headers.get("location") == ("/login" if fault.startswith("redirect") else None)
    if page:
        assert reply.headers["content-type"].startswith("text/html")
    assert api.lines("ledger") == []
    assert api.summary()["keys"] == 0


def test_a_firewall_refuses_what_contains_the_text(simulated):
    api = simulated(faults=("firewall:text=DROP TABLE",))
    assert api.session(attributes={"note": "DROP TABLE"}).status == 403
    assert api.session(attributes={"note": "a table"}).status == 200


def damaged(simulated, fault):
    """The answer of an intact simulator, and that of one with the fault, to a request that acts."""
    api = simulated(faults=(fault,))
    reply = api.call("PUT", SESSION, OPEN, key="k")
    assert len(api.lines("ledger")) == 1
    return simulated().call("PUT", SESSION, OPEN, key="k"), reply, api


def test_answers_that_are_no_json(simulated):
    _, reply, api = damaged(simulated, f"not-json:{ONCE}")
    assert (reply.status, reply.text[:2]) == (200, b"OK")
    assert api.call("PUT", SESSION, OPEN, key="k").json  # the answer that is stored is intact
    assert len(api.lines("ledger")) == 1


@pytest.mark.parametrize("fault", ["not-json", "huge-body:mb=0.001", "empty-body"])
def test_a_refusal_with_another_body_stays_a_refusal(simulated, fault):
    api = simulated(faults=(fault,), unknown_attributes=("unheard",))
    assert api.session(attributes={"unheard": 1}).status == 400
    assert api.session(attributes={"heard": 1}).status == 200


def test_an_empty_body(simulated):
    _, reply, _ = damaged(simulated, "empty-body")
    assert (reply.status, reply.text, reply.headers["content-length"]) == (200, b"", "0")


def test_a_huge_body(simulated):
    _, reply, _ = damaged(simulated, "huge-body:mb=0.5")
    assert len(reply.json["padding"]) == 500_000


def test_a_compressed_body(simulated):
    intact, reply, _ = damaged(simulated, "compressed")
    assert reply.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(reply.text)).keys() == intact.json.keys()


def test_a_trickle_is_whole(simulated):
    intact, reply, _ = damaged(simulated, "trickle:ms=0")
    assert reply.json.keys() == intact.json.keys()
    assert int(reply.headers["content-length"]) == len(reply.text)


def test_lengths_that_are_wrong(simulated):
    _, short, api = damaged(simulated, "short-body")
    assert 0 < len(short.text) < int(short.headers["content-length"])
    assert api.lines("requests")[0]["answered"] is None
    _, long, _ = damaged(simulated, "extra-bytes")
    assert len(long.text) > int(long.headers["content-length"])


@pytest.mark.parametrize("fault", ["short-body:", "extra-bytes:", "trickle:ms=0,", "compressed:"])
def test_an_answer_without_a_body_has_nothing_to_damage(simulated, fault):
    api = simulated(faults=(f"{fault}from-request=2",))
    api.session(profileId="p")
    assert api.call("DELETE", "/v1/customer_data/p").status == 204
    assert api.lines("requests")[1]["fault"] == fault.partition(":")[0]
