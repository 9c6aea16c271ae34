"""Tables through `--mapping`: rows become orders in the simulator, and rows that are missing never do so silently."""

import json

import pytest

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

RULES = """orders:
  fields:
    order_id: id
    customer_id: guest(null, email)
    status: {literal: completed}
    event_time: time(date, '%d.%m.%Y', 'Europe/Berlin', 'earlier')
    items:
      each: ROWS
      fields: {sku: sku, quantity: integer(n)}
"""
GROUPED = "version: 1\ntable: {delimiter: ';', encoding: latin-1, group_by: id}\n" + RULES.replace("ROWS", "rows")
JOINED = "version: 1\ntable: {join: {items: {on: id, key: order}}}\n" + RULES.replace("ROWS", "items")
ORDERS = "id,email,date\n1,a@b.c,31.12.2025\n2,b@b.c,31.12.2025\n3,c@b.c,31.12.2025\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "grouped.yaml").write_text(GROUPED)
    (tmp_path / "joined.yaml").write_text(JOINED)
    (tmp_path / "orders.csv").write_text(ORDERS)
    return tmp_path


def carts(talonone):
    return {name: [item["sku"] for item in session["cartItems"]] for name, session in talonone.sessions().items()}


def test_rows_become_orders(folder):
    rows = "id;email;date;sku;n\n1;a@b.c;31.12.2025;Bügel;1\n2;b@b.c;31.12.2025;B;1\n1;;;C;2\n"
    (folder / "rows.csv").write_bytes(rows.encode("latin-1"))
    with simulator() as talonone:
        words = ("--mapping", folder / "grouped.yaml")
        run = cli(*backfill(talonone.url, {"orders": folder / "rows.csv"}, folder / "out", *words))
        assert run.code == FINISHED, run.err
        assert carts(talonone) == {"1": ["Bügel", "C"], "2": ["B"]}
    assert_balanced(folder / "out")
    assert not list((folder / "out" / "state").glob("*rows-*"))


def test_no_order_is_sent_that_may_lack_an_item_and_the_printed_replay_sends_none_either(folder):
    (folder / "items.csv").write_text("order,sku,n\n1,A,1\n2,B\n3,C,1\n4,D,1\n")
    with simulator() as talonone:
        words = ("--mapping", folder / "joined.yaml", "--join", f"items={folder / 'items.csv'}")
        run = cli(*backfill(talonone.url, {"orders": folder / "orders.csv"}, folder / "out", *words))
        assert run.code == DEAD_LETTERS, run.err
        assert carts(talonone) == {}
        assert report(folder / "out")["reasons"]["orders"] == {"bad_row": 5}
        letters = dead_letters(folder / "out")
        assert [letter["source"]["format"] for letter in letters if "--join items" in letter["detail"]] == ["joined"]
        [left_over] = [letter for letter in letters if letter["source"].get("format") == "joined"]
        corrected = left_over | {"record": left_over["record"] | {"order": "9"}}
        write(folder / "fixed" / "dead-letters" / "a.jsonl", [corrected])
        again = cli(*replay(talonone.url, folder / "fixed", folder / "again", "--mapping", folder / "joined.yaml"))
        assert again.code == DEAD_LETTERS, again.err
        assert carts(talonone) == {}
    [refused] = dead_letters(folder / "again")
    assert "one row of a document of several rows" in json.dumps(refused)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("check", "--orders", "a.csv", "--returns", "b.csv", "--mapping", "grouped.yaml"), "give one input option"),
        (("check", "--orders", "a.csv", "--mapping", "joined.yaml"), "give its files with --join 'items=GLOB'"),
        (("check", "--orders", "a.csv", "--mapping", "grouped.yaml", "--join", "x=y"), "--join x: no join is in"),
        (("check", "--orders", "a.csv", "--join", "items=b.csv"), "--join items: no join is in"),
        (("check", "--orders", "a.csv", "--mapping", "joined.yaml", "--join", "items"), "--join takes NAME=GLOB"),
        (
            ("stream", "--orders", "projects/my-shop/subscriptions/s-1", "--dead-letters", "out",
             "--state", "state", "--base-url", "http://127.0.0.1:9", "--mapping", "grouped.yaml"),
            "makes documents of several rows",
        ),
    ],
    ids=["two inputs", "no join", "another join", "no mapping", "no pattern", "stream"],
)  # fmt: skip
def test_what_cannot_be_grouped_is_refused_at_once(folder, words, why):
    run = cli(*(folder / word if str(word).endswith(".yaml") else word for word in words))
    assert run.code == USAGE
    assert why in run.err
