"""One subscription with records of all kinds: the attribute of a message says its kind, or a mapping decides."""

import base64
import json

import pytest
from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    call,
    cli,
    event,
    order,
    profile,
    returned,
    simulator,
    wait_until,
)
from support.audit.traffic_check import check_traffic
from support.presets import shopify
from support.servers.ports import free_port

from streams.harness.stream_command import AFTER_KILL, halves
from streams.harness.traffic import FAULTS, make_traffic

from .test_stream import accounts, health, metrics


def publish(stream, *records):
    """Publish (kind, record) pairs to the topic of all kinds. A kind of None leaves the attribute out."""
    for kind, record in records:
        attributes = {} if kind is None else {"kind": kind}
        stream.pubsub.publish(stream.topics["records"], [record], attributes=attributes)


def test_all_kinds_of_a_customer_are_applied_in_order_from_one_subscription(stream_command):
    """They are published in the opposite order, as fast as they go."""
    with simulator() as api:
        stream = stream_command(api, "--settle", 4)
        stream.subscribe("records", "orders")
        stream.start()
        wait_until(lambda: "reading" in stream.stderr(), "it reads", timeout=60)
        publish(
            stream,
            ("returns", returned("r-1", "o-1", 4)),
            ("calls", call("k-1", "update_customer_session_v2", 3, path={"customerSessionId": "cart-1"},
                           body={"customerSession": {"profileId": "c-1", "state": "open"}})),
            ("events", event("e-1", "c-1", 2)),
            ("orders", order("o-1", "c-1", "completed", 1)),
            ("profiles", profile("c-1", 0, {"tier": "gold"})),
        )  # fmt: skip
        stream.pubsub.publish(stream.topics["orders"], [order("o-2", "c-2")])
        stream.wait_until_quiet(6)
        assert stream.stop() == 0, stream.stderr()
        assert [(row["operation"], row["session"]) for row in api.acted(profile="c-1")] == [
            ("update_customer_profiles_v2", None),
            ("update_customer_session_v2", "o-1"),
            ("track_event_v2", None),
            ("update_customer_session_v2", "cart-1"),
            ("return_cart_items", "o-1"),
        ]
        assert api.sessions()["o-1"]["state"] == "partially_returned"
        assert api.sessions()["o-2"]["state"] == "closed"
        assert stream.dead_letters() == []
        counts = accounts(stream.stderr())
        assert {kind: ends["applied"] for kind, ends in counts.items()} == {
            "orders": 2, "returns": 1, "profiles": 1, "events": 1, "calls": 1,
        }  # fmt: skip
        stream.assert_empty()


def test_a_message_without_a_kind_is_a_dead_letter_and_harms_no_other(stream_command, tmp_path):
    port = free_port()
    two = json.dumps([order("o-2", "c-2"), order("o-3", "c-3")]).encode()
    undecided = order("o-4", "c-4")
    with simulator() as api:
        stream = stream_command(api, "--settle", 0, "--health-port", port)
        stream.subscribe("records")
        stream.start()
        publish(
            stream,
            ("orders", order("o-1", "c-1")),
            (None, undecided),
            ("order", b"\xff\x00 no text"),
            ("orders", two),
        )
        wait_until(lambda: len(stream.dead_letters()) == 2, "both are dead letters", timeout=60)
        wait_until(lambda: len(api.sessions()) == 3, "the others are sent", timeout=60)
        missing, wrong = sorted(stream.dead_letters(), key=lambda dead_letter: dead_letter["reason"], reverse=True)
        assert (missing["kind"], missing["stage"], missing["reason"]) == ("records", "validate", "missing_field")
        assert missing["record"] == undecided
        assert missing["source"]["subscription"] == stream.subscriptions["records"]
        assert "has no attribute `kind`" in missing["detail"]
        assert (wrong["kind"], wrong["stage"], wrong["reason"]) == ("records", "validate", "invalid_field")
        assert base64.b64decode(wrong["record_base64"]) == b"\xff\x00 no text"
        assert "did you mean orders?" in wrong["detail"]
        assert metrics(port)["talonone_records_read_total"] == 5.0
        assert metrics(port)["talonone_dead_letters_total"] == 2.0
        assert health(port) == (200, "ok")
        assert stream.stop() == 0, stream.stderr()
        stream.assert_empty()
        assert accounts(stream.stderr())["records"] == {"read": 2, "dead_lettered": 2}

        again = ("--output", tmp_path / "unedited", "--yes", "--base-url", api.url)
        assert cli("replay", stream.folder / "letters" / "*.jsonl", *again).code == DEAD_LETTERS
        assert len(api.sessions()) == 3
        [path] = (stream.folder / "letters").glob("*.jsonl")
        path.write_text(json.dumps({**missing, "kind": "orders"}) + "\n")
        again = ("--output", tmp_path / "edited", "--yes", "--base-url", api.url)
        assert cli("replay", path, *again).code == FINISHED
        assert "o-4" in api.sessions()


@pytest.mark.parametrize("what", ["worker", "group"])
def test_nothing_is_lost_or_doubled_when_it_is_killed(stream_command, what):
    traffic = make_traffic(500, seed=11, customers=80)
    undecided = [order(f"undecided-{number}", "c") for number in range(20)]

    def publish_all(portion, without_kind):
        for kind in traffic.kinds:
            payloads = [record.payload for record in portion if record.kind == kind]
            stream.pubsub.publish(stream.topics["records"], payloads, attributes={"kind": kind})
        publish(stream, *((None, record) for record in without_kind))

    with simulator(faults=FAULTS, latency_ms=20, unknown_attributes=("unknown_one",)) as api:
        stream = stream_command(api, "--rate", 300, "--settle", 1)
        stream.subscribe("records")
        first, second = halves(traffic, 2)
        publish_all(first, undecided[:10])
        before = stream.requests()
        stream.start()
        wait_until(lambda: stream.requests() > before + 40, "some requests", timeout=60)
        stream.kill(what)
        stream.assert_no_leftovers()
        publish_all(second, undecided[10:])
        stream.start()
        stream.wait_until_quiet(AFTER_KILL)
        assert stream.stop() == 0, stream.stderr()
        dead_letters = stream.dead_letters()
        known = [dead_letter for dead_letter in dead_letters if dead_letter["kind"] != "records"]
        check = check_traffic(traffic, stream.ledger(), known, by_customer=False)
        assert check.wrong() == {}
        without_kind = [dead_letter["record"] for dead_letter in dead_letters if dead_letter["kind"] == "records"]
        assert sorted(without_kind, key=undecided.index) == undecided, "each has one dead letter"
        stream.assert_empty()
        stream.assert_no_leftovers()


def test_a_mapping_decides_without_the_attribute(stream_command, tmp_path):
    """As the webhooks of a shop come: documents of several sorts, with attributes of the shop's own."""
    customer = {
        "id": 9, "admin_graphql_api_id": "gid://shopify/Customer/9", "email": "bea@example.com",
        "first_name": "Bea", "created_at": "2026-05-01T12:00:00Z", "updated_at": "2026-05-02T12:00:00Z",
    }  # fmt: skip
    refunded = shopify.order(financial_status="partially_refunded", refunds=[shopify.refund(91, (2, 1))])
    broken = shopify.order(id=8, customer=None, financial_status="paid_in_shells")
    topics = {"orders/updated": refunded, "customers/update": customer, "orders/create": broken, "app/ping": {"a": 1}}
    with simulator() as api:
        stream = stream_command(api, "--settle", 1, "--mapping", "shopify")
        stream.subscribe("records")
        stream.start()
        for name, document in topics.items():
            stream.pubsub.publish(stream.topics["records"], [document], attributes={"X-Shopify-Topic": name})
        stream.wait_until_quiet(6)
        assert stream.stop() == 0, stream.stderr()
        stream.assert_empty()
        assert api.sessions()["5600000000001"]["state"] == "partially_returned"
        assert api.profiles()["9"]["attributes"]["Email"] == "bea@example.com"
        [dead_letter] = stream.dead_letters()
        assert (dead_letter["kind"], dead_letter["stage"]) == ("records", "map")
        assert dead_letter["record"]["id"] == 8
        assert accounts(stream.stderr())["records"] == {"read": 2, "filtered": 1, "dead_lettered": 1}

        [path] = (stream.folder / "letters").glob("*.jsonl")
        dead_letter["record"]["financial_status"] = "paid"
        path.write_text(json.dumps(dead_letter) + "\n")
        words = ("--output", tmp_path / "again", "--yes", "--base-url", api.url, "--mapping", "shopify")
        assert cli("replay", path, *words).code == FINISHED
        assert api.sessions()["8"]["state"] == "closed"
