"""`beam-talonone mappings`, as it is typed."""

import json

import pytest
from support.presets import shopify

from beam_talonone.pipelines.cli.main import run
from beam_talonone.transforms.mapping.resolve import preset_text, presets


@pytest.mark.parametrize("words", [["mappings"], ["mappings", "list"]])
def test_the_presets_are_listed(words, capsys):
    assert run(words) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == presets()


def test_a_preset_is_printed_whole(capsys):
    assert run(["mappings", "show", "shopify"]) == 0
    assert capsys.readouterr().out == preset_text("shopify")


def test_a_draft_can_be_tried(tmp_path, capsys):
    sample, mapping = tmp_path / "orders.json", tmp_path / "mine.yaml"
    sample.write_text(json.dumps(shopify.order()))
    assert run(["mappings", "draft", str(sample)]) == 0
    drafted = capsys.readouterr()
    assert drafted.err == f"beam-talonone: {sample}: this looks like documents of Shopify: try --mapping shopify\n"
    mapping.write_text(drafted.out)
    assert run(["mappings", "try", str(mapping), str(sample)]) == 0
    shown = capsys.readouterr().out
    assert "request update_customer_session_v2" in shown
    assert shown.splitlines()[-1] == "1 document: 1 record, 0 filtered, 0 invalid, 0 documents not mapped"


OWN = {"order_id": "A-1", "customer_id": "C-1", "status": "open", "event_time": "2026-05-01T12:00:00Z"}


@pytest.mark.parametrize(
    ("name", "content", "notices"),
    [
        ("own.jsonl", json.dumps(OWN), ["these are orders of beam-talonone already: --orders reads them without a"
                                        " mapping"]),
        ("own.jsonl", json.dumps({**OWN, "shop": 1}), []),
        ("flat.csv", ",".join(OWN) + "\n" + ",".join(OWN.values()), []),
        ("export.tsv", "id\tupdated\n1\t2026-01-02\n",
         ["the name does not tell the format: give --format csv to check and backfill"]),
        ("export.txt", '{"id": 1, "updated": "2026-01-02"}',
         ["the name does not tell the format: give --format json to check and backfill"]),
    ],
)  # fmt: skip
def test_a_draft_says_what_the_file_needs(tmp_path, capsys, name, content, notices):
    sample = tmp_path / name
    sample.write_text(content)
    assert run(["mappings", "draft", str(sample)]) == 0
    assert capsys.readouterr().err.splitlines() == [f"beam-talonone: {sample}: {notice}" for notice in notices]


def test_without_documents_the_summary_is_shown(tmp_path, capsys):
    sample = tmp_path / "orders.json"
    sample.write_text(json.dumps(shopify.order()))
    assert run(["mappings", "try", "shopify", str(sample), "--show", "0"]) == 0
    shown = capsys.readouterr().out
    assert "document 1" not in shown
    assert shown.splitlines()[-1].startswith("1 document: ")


def test_what_is_invalid_ends_with_3(tmp_path, capsys):
    sample = tmp_path / "orders.json"
    sample.write_text(json.dumps([shopify.order(), shopify.order(financial_status="paid_in_shells")]))
    assert run(["mappings", "try", "shopify", str(sample), "--show", "1"]) == 3
    assert "1 document not mapped" in capsys.readouterr().out


def test_what_a_sample_holds_does_not_reach_the_terminal_as_commands(tmp_path, capsys):
    sample = tmp_path / "orders.json"
    sample.write_text(json.dumps(shopify.order() | {"\x1b[31m\n": "x", "financial_status": "\x1b[31m"}))
    assert run(["mappings", "try", "shopify", str(sample)]) == 3
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert r"\x1b[31m\n" in shown


def test_problems_are_counted_with_the_first_example_also_of_documents_that_are_not_shown(tmp_path, capsys):
    sample, mapping = tmp_path / "rows.jsonl", tmp_path / "mine.yaml"
    rows = [{"id": str(i), "tag": f"T{i}", "at": None if i == 3 else "2026-05-01T12:00:00Z"} for i in range(5)]
    sample.write_text("".join(json.dumps(row) + "\n" for row in rows))
    mapping.write_text(
        "version: 1\norders:\n  fields: {order_id: id, status: {literal: open}, customer_id: id, event_time: at,"
        " items: {literal: []}, coupon_codes: tag}\n"
    )
    assert run(["mappings", "try", str(mapping), str(sample), "--show", "0"]) == 3
    first, second, _ = capsys.readouterr().out.splitlines()[-3:]
    assert first.startswith("4 orders invalid, invalid_field: ")
    assert first.endswith("(first in document 1)")
    assert second.startswith("1 not mapped, missing_field: ")
    assert second.endswith("(first in document 4)")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["show"], "Missing argument 'NAME'. Usage: beam-talonone mappings show [OPTIONS] {NAME}"),
        (["show", "shopfy"], "did you mean shopify?"),
        (
            ["try", "shopify"],
            "Missing argument 'SAMPLE'. Usage: beam-talonone mappings try [OPTIONS] {FILE} {SAMPLE}",
        ),
        (["draft", "one", "two"], "Got unexpected extra argument"),
        (["try", "shopify", "missing.json"], "missing.json cannot be read"),
        (["draft", "missing.json"], "missing.json cannot be read"),
        (["make"], "'make' is not one of 'list', 'show', 'draft', 'try'"),
    ],
)
def test_wrong_words_are_a_usage_error(words, expected, capsys):
    assert run(["mappings", *words]) == 2
    assert expected in capsys.readouterr().err
