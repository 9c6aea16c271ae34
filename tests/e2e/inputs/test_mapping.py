"""Foreign documents through `--mapping`: they arrive in the simulator as the presets' pages say."""

import json
from decimal import Decimal

import pytest
from support.presets import segment, shopify, woocommerce

from beam_talonone.transforms.mapping.resolve import preset_text
from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    USAGE,
    assert_balanced,
    backfill,
    cli,
    dead_letters,
    replay,
    report,
    simulator,
    write,
)

REFUNDED = shopify.order(financial_status="partially_refunded", refunds=[shopify.refund(91, (2, 1))])
GUEST = shopify.order(id=5_600_000_000_002, customer=None, financial_status="pending")
TEST_ORDER = shopify.order(id=5_600_000_000_003, test=True)


def test_shopify_orders_refunds_and_customers(tmp_path):
    files = write(tmp_path / "orders.jsonl", [REFUNDED, REFUNDED, GUEST, TEST_ORDER])
    with simulator() as talonone:
        run = cli(*backfill(talonone.url, {"orders": files}, tmp_path / "out", "--mapping", "shopify"))
        assert run.code == FINISHED, run.err
        sessions, profiles = talonone.sessions(), talonone.profiles()
    session = sessions["5600000000001"]
    assert (session["state"], session["profileId"]) == ("partially_returned", "7100000000002")
    first, second = session["cartItems"]
    assert (first["sku"], first["quantity"], first["price"]) == ("TEA-100", 2, Decimal("19.9"))
    assert first.get("returnedQuantity", 0) == 0
    assert (second["sku"], second["quantity"], second["returnedQuantity"]) == ("TEA-100", 1, 1)
    assert session["couponCodes"] == ["SPRING"]
    assert sessions["5600000000002"]["profileId"] == "guest-5600000000002"
    assert sessions["5600000000002"]["state"] == "open"
    assert "5600000000003" not in sessions
    assert profiles["7100000000002"]["attributes"] == {"Name": "Ann", "Email": "ann@example.com"}
    assert_balanced(tmp_path / "out")
    counts = {
        kind: (row["read"], row["applied"], row["duplicate"], row["filtered"], row["invalid"])
        for kind, row in report(tmp_path / "out")["kinds"].items()
    }
    assert counts == {"orders": (4, 2, 1, 1, 0), "returns": (2, 1, 1, 0, 0), "profiles": (3, 1, 1, 1, 0)}
    assert report(tmp_path / "out")["filtered_by"] == {
        "orders": {"no test order": 1}, "profiles": {"no test order": 1},
    }  # fmt: skip


def test_woocommerce_orders_and_refunds(tmp_path):
    document = woocommerce.order(refunds=[woocommerce.refund(901, (316, -1))])
    files = write(tmp_path / "orders.jsonl", [document, woocommerce.order(id=728, customer_id=0, status="on-hold")])
    with simulator() as talonone:
        run = cli(*backfill(talonone.url, {"orders": files}, tmp_path / "out", "--mapping", "woocommerce"))
        assert run.code == FINISHED, run.err
        sessions = talonone.sessions()
    assert sessions["727"]["state"] == "partially_returned"
    assert [item.get("returnedQuantity", 0) for item in sessions["727"]["cartItems"]] == [0, 1]
    assert sessions["727"]["cartItems"][0]["price"] == Decimal("3.3333")
    assert (sessions["728"]["state"], sessions["728"]["profileId"]) == ("open", "guest-728")
    assert_balanced(tmp_path / "out")


def test_segment_messages(tmp_path):
    late = {"timestamp": "2026-05-03T12:00:00.000Z"}
    messages = [
        segment.identify(),
        segment.order(),
        segment.refund(("TEA-100", 1)),
        segment.refund(message_id="m-4"),
        segment.order(message_id="m-5", order_id="R-2"),
        segment.order("Order Cancelled", "m-6", order_id="R-2") | late,
        segment.track("Signed Up", "m-7"),
        segment.track("Signed Up", "m-8", userId=None),
    ]
    files = write(tmp_path / "messages.jsonl", messages)
    with simulator() as talonone:
        run = cli(*backfill(talonone.url, {"events": files}, tmp_path / "out", "--mapping", "segment"))
        assert run.code == FINISHED, run.err
        sessions, profiles = talonone.sessions(), talonone.profiles()
    assert (sessions["R-1"]["state"], sessions["R-1"]["profileId"]) == ("partially_returned", "u-17")
    assert [item.get("returnedQuantity", 0) for item in sessions["R-1"]["cartItems"]] == [1, 0]
    assert sessions["R-1"]["couponCodes"] == ["SPRING"]
    assert sessions["R-2"]["state"] == "cancelled"
    assert profiles["u-17"]["attributes"] == {"Name": "Ann Example", "Email": "ann@example.com"}
    assert report(tmp_path / "out")["kinds"]["events"]["applied"] == 1
    assert report(tmp_path / "out")["filtered_by"] == {
        "returns": {"refund with lines": 1}, "events": {"known user": 1},
    }  # fmt: skip
    assert_balanced(tmp_path / "out")


def updated(at, price, **properties):
    """Order Updated of one product at a price."""
    products = [{"sku": "TEA-100", "price": price, "quantity": 1}]
    return segment.order("Order Updated", f"m-{at}", products=products, **properties) | {"timestamp": at}


def test_order_updated_of_segment(tmp_path):
    before, after = "2026-05-01T11:00:00.000Z", "2026-05-01T13:00:00.000Z"
    messages = [updated(before, 1), segment.order(), updated(after, 9)]
    files = write(tmp_path / "messages.jsonl", messages)
    text = preset_text("segment")
    (tmp_path / "mine.yaml").write_text(text.replace("Order Updated: open", "Order Updated: completed"))
    words = {"events": files}
    with simulator() as talonone:
        run = cli(*backfill(talonone.url, words, tmp_path / "out", "--mapping", "segment"))
        assert run.code == DEAD_LETTERS, run.err
        session = talonone.sessions()["R-1"]
        assert (session["state"], [item["sku"] for item in session["cartItems"]]) == ("closed", ["TEA-100", "p-2"])
    [dead_letter] = dead_letters(tmp_path / "out")
    assert (dead_letter["reason"], dead_letter["record"]["timestamp"]) == ("session_closed", after)
    with simulator() as talonone:
        options = ("--mapping", tmp_path / "mine.yaml", "--edit-closed", "reopen")
        run = cli(*backfill(talonone.url, words, tmp_path / "again", *options))
        assert run.code == FINISHED, run.err
        session = talonone.sessions()["R-1"]
        assert (session["state"], [item["price"] for item in session["cartItems"]]) == ("closed", [9])


def test_dead_letters_of_a_mapping(tmp_path):
    broken = shopify.order(id=1, financial_status="paid_in_shells")
    invalid = shopify.order(id=2, customer=None, line_items=[shopify.line(1, quantity=20_000)])
    refused = shopify.order(id=3)
    files = write(tmp_path / "orders.jsonl", [broken, invalid, "nonsense", refused])
    with simulator(known_attributes={"profile": ("Name",)}) as talonone:
        run = cli(*backfill(talonone.url, {"orders": files}, tmp_path / "out", "--mapping", "shopify"))
    assert run.code == DEAD_LETTERS, run.err
    found = {dead_letter["source"]["position"]: dead_letter for dead_letter in dead_letters(tmp_path / "out")}
    failed = found[1]
    assert (failed["kind"], failed["stage"], failed["reason"]) == ("orders", "map", "unmapped_value")
    assert failed["pointer"] == "/financial_status"
    assert "shopify:" in failed["detail"]
    assert json.loads(json.dumps(failed["record"])) == broken
    assert "part" not in failed["source"]
    assert (found[2]["stage"], found[2]["reason"], found[2]["id"]) == ("validate", "over_limit", "2")
    assert found[2]["source"]["part"] == "orders/0/0"
    assert found[2]["record"] == invalid
    assert found[3]["stage"] == "decode"
    assert (found[4]["kind"], found[4]["stage"], found[4]["reason"]) == ("profiles", "send", "unknown_attribute")
    assert (found[4]["source"]["part"], found[4]["record"]) == ("profiles/0/0", refused)
    assert_balanced(tmp_path / "out")


def test_dead_letters_of_a_mapping_are_replayed_with_a_mapping(tmp_path):
    unmapped = shopify.order(id=1, customer=None, financial_status="paid_in_shells")
    files = write(tmp_path / "orders.jsonl", [unmapped, shopify.order(id=3)])
    with simulator(known_attributes={"profile": ("Name",)}) as talonone:
        run = cli(*backfill(talonone.url, {"orders": files}, tmp_path / "out", "--mapping", "shopify"))
        assert run.code == DEAD_LETTERS, run.err
    mine = tmp_path / "mine.yaml"
    states = "paid: completed\n      paid_in_shells: completed"
    mine.write_text(preset_text("shopify").replace("paid: completed", states, 1))
    with simulator() as talonone:
        run = cli(*replay(talonone.url, tmp_path / "out", tmp_path / "again"))
        assert run.code == DEAD_LETTERS, run.err
        assert {dead_letter["detail"] for dead_letter in dead_letters(tmp_path / "again")} == {
            "a mapping made this record: replay it with the same --mapping"
        }
        assert talonone.sessions() == talonone.profiles() == {}
        run = cli(*replay(talonone.url, tmp_path / "again", tmp_path / "mapped", "--mapping", mine))
        assert run.code == FINISHED, run.err
        assert talonone.sessions()["1"]["state"] == "closed"
        assert list(talonone.sessions()) == ["1"]  # the order of the other document was applied before
        assert "7100000000002" in talonone.profiles()


def test_check_shows_the_requests_of_a_mapping(tmp_path):
    files = write(tmp_path / "orders.jsonl", [REFUNDED, TEST_ORDER])
    run = cli("check", "--orders", files, "--mapping", "shopify", "--show", 3)
    assert run.code == FINISHED, run.err
    assert [json.loads(line)["kind"] for line in run.out.splitlines()] == ["orders", "returns", "profiles"]
    assert "1 filtered, condition not met: no test order" in run.err


def test_a_job_is_resumed_with_the_same_mapping_only(tmp_path):
    files = write(tmp_path / "orders.jsonl", [REFUNDED])
    mine = tmp_path / "mine.yaml"
    mine.write_text("version: 1\nprofiles: {each: customer, fields: {customer_id: id, event_time: updated_at}}\n")
    with simulator() as talonone:
        words = backfill(talonone.url, {"orders": files}, tmp_path / "out", "--mapping", mine)
        assert cli(*words).code == FINISHED
        assert cli(*words, "--resume").code == FINISHED
        mine.write_text(mine.read_text().replace("updated_at", "created_at"))
        cli(*words, "--resume").says(USAGE, "--mapping")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("shopfy", ["no preset is called shopfy", "did you mean shopify?"]),
        ("missing.yaml", ["missing.yaml: no such mapping file"]),
        ("no_such_module:f", ["no_such_module cannot be imported"]),
    ],
)
def test_a_mapping_that_does_not_exist(tmp_path, name, words):
    files = write(tmp_path / "orders.jsonl", [REFUNDED])
    cli("check", "--orders", files, "--mapping", name).says(USAGE, "--mapping", *words)
