"""`check` answers the questions before a backfill, in one pass."""

import json

import pytest
from support.presets import shopify
from support.staged_job import at, order, returned

from beam_talonone.pipelines.check.forecast import is_guest
from beam_talonone.pipelines.cli.main import run
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.requests.build import BuildOptions, build


def work_of(record):
    return build("orders", parse("orders", record).record, BuildOptions())


@pytest.mark.parametrize(
    ("name", "customer", "guest"), [("o", None, True), ("o", "c", False), ("x" * 999, None, True)]
)
def test_the_order_of_a_guest_is_told_from_others(name, customer, guest):
    assert is_guest(work_of(order(name, 1, customer))) is guest


def checked(folder, capsys, *words, **kinds):
    """The lines that a check of these records writes on stderr."""
    inputs = []
    for kind, records in kinds.items():
        path = folder / f"{kind}.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        inputs += [f"--{kind}", str(path)]
    code = run(["check", *inputs, *words])
    return code, capsys.readouterr().err.splitlines()


@pytest.mark.slow
def test_the_facts_are_listed_before_anything_is_sent(tmp_path, capsys):
    orders = [
        order("o1", 1), order("o1", 2), order("o2", 3, event_time="2025-12-31T23:59:59Z"), order("o3", 4, None),
        order("o4", 5, status="open"), {"order_id": "o5", "status": "open", "items": [{}, {}]},
    ]  # fmt: skip
    returns = [returned("r1", "o1", 9), returned("r2", "elsewhere", 9), returned("r3", "o5", 9)]
    code, lines = checked(tmp_path, capsys, orders=orders, returns=returns)
    assert code == 3
    for line in (
        "    fields: /event_time in 1, /customer_id in 1, /items/*/sku in 1, /items/*/quantity in 1",
        "3 sessions will be closed: 1 dated 2025, 2 dated 2026",
        "1 order of guests: each gets a profile guest-<order_id>",
        "1 return has no order in the input: Talon.One must have it already",
    ):
        assert line in lines


@pytest.mark.slow
def test_documents_of_a_shop_system_are_recognized(tmp_path, capsys):
    code, lines = checked(tmp_path, capsys, orders=[shopify.order(), shopify.order(id=2), order("o", 1)])
    assert code == 3
    assert "orders: look like documents of Shopify: try --mapping shopify" in lines
    code, lines = checked(tmp_path, capsys, "--mapping", "shopify", orders=[shopify.order()])
    assert code == 0
    assert not any("look like" in line for line in lines)


@pytest.mark.slow
def test_valid_records_have_no_such_lines(tmp_path, capsys):
    code, lines = checked(tmp_path, capsys, events=[
        {"event_id": "e", "type": "t", "customer_id": "c", "event_time": at(1)}
    ])  # fmt: skip
    assert code == 0
    assert not any(word in line for line in lines for word in ("fields:", "closed", "guests", "return", "look like"))


@pytest.mark.slow
def test_the_answers_are_written_as_a_page(tmp_path, capsys):
    page = tmp_path / "check.html"
    records = [order("<b>o1</b>", 1, None), {"order_id": "o2", "status": "<script>"}]
    code, _ = checked(tmp_path, capsys, "--report", str(page), "--show", "1", orders=records)
    html = page.read_text()
    assert code == 3
    assert page.stat().st_mode & 0o777 == 0o600
    assert "1 record cannot be sent" in html
    assert "1 order of guests" in html
    assert "/event_time in 1" in html
    assert "&lt;b&gt;o1" in html
    assert "<b>o1" not in html
