"""Dead letters are counted by kind, stage, reason, field and file, whatever stands in them."""

import pytest

from beam_talonone.pipelines.dead_letters.aggregate import (
    MOST_VALUES,
    Counts,
    DeadLetterSummary,
    Example,
    field_of,
    place_of,
)


def dead_letter(**fields):
    return {
        "kind": "orders", "id": "R-1", "stage": "send", "reason": "unknown_attribute",
        "detail": "Unknown: attribute size", "pointer": "/customerSession/attributes/size",
        "source": {"file": "orders.jsonl", "position": 2}, **fields,
    }  # fmt: skip


def test_dead_letters_of_one_kind_stage_and_reason_are_one_group():
    summary = DeadLetterSummary()
    for position in range(5):
        summary.add(dead_letter(id=f"R-{position}", source={"file": "a.jsonl", "position": position}))
    summary.add(dead_letter(kind="events", stage="validate", reason="missing_field", pointer="/event_id"))
    group, other = summary.groups()
    assert (summary.count, group.count, other.count) == (6, 5, 1)
    assert (group.kind, group.stage, group.reason) == ("orders", "send", "unknown_attribute")
    assert group.fields.top() == [("/customerSession/attributes/size", 5)]
    assert group.files.top() == [("a.jsonl", 5)]
    assert group.examples == [Example(f"R-{n}", f"a.jsonl:{n}", "Unknown: attribute size") for n in range(3)]


def test_the_same_field_of_each_item_counts_as_one():
    summary = DeadLetterSummary(examples=0)
    for pointer in ("/items/0/sku", "/items/17/sku", "/items/2/additional_costs/3", "/items"):
        summary.add(dead_letter(pointer=pointer))
    [group] = summary.groups()
    assert dict(group.fields.top()) == {"/items/*/sku": 2, "/items/*/additional_costs/*": 1, "/items": 1}
    assert group.examples == []


def test_what_a_replay_leaves_is_counted_with_its_cause():
    summary = DeadLetterSummary()
    summary.add(dead_letter(), "it is altered")
    summary.add(dead_letter(), "it is altered")
    summary.add(dead_letter(), unmapped=True)
    [group] = summary.groups()
    assert (group.not_replayed.top(), group.unmapped) == ([("it is altered", 2)], 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"source": None}, {"source": [1]}, {"source": {}}, {"pointer": 7}, {"id": None}, {"id": 7}, {"detail": None},
        {"kind": None}, {"stage": ["x"]}, {"reason": {"x": 1}},
    ],
)  # fmt: skip
def test_edited_fields_of_any_type_are_counted(fields):
    summary = DeadLetterSummary()
    summary.add(dead_letter(**fields))
    assert [group.count for group in summary.groups()] == [1]


def test_memory_does_not_grow_with_the_number_of_different_values():
    summary = DeadLetterSummary()
    for number in range(MOST_VALUES + 500):
        summary.add(dead_letter(pointer=f"/attributes/a{number}x", source={"file": f"{number}.jsonl", "position": 1}))
        summary.add(dead_letter(reason=f"r{number}"))
    largest = summary.groups()[0]
    assert (largest.count, len(largest.fields), largest.fields.others) == (MOST_VALUES + 500, MOST_VALUES, 500)
    assert (len(largest.files), largest.files.others) == (MOST_VALUES, 500)
    assert len(summary.groups()) <= MOST_VALUES + 1
    assert sum(group.count for group in summary.groups()) == summary.count == 2 * (MOST_VALUES + 500)


def test_the_commonest_values_come_first():
    counts = Counts()
    for value in ("x", "y", "y", "z"):
        counts.add(value)
    assert counts.top(2) == [("y", 2), ("x", 1)]


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ({"file": "a.csv", "position": 3, "format": "csv", "row": 2}, "a.csv:3"),
        ({"subscription": "projects/p/subscriptions/s", "message_id": "9"}, "projects/p/subscriptions/s message 9"),
        ({"message_id": "9"}, "message 9"),
        ({"file": "a.jsonl", "position": 1, "part": "orders/0/0"}, "a.jsonl:1 (orders/0/0)"),
        ({"step": "Write"}, "Write"),
        ("a.jsonl", ""),
    ],
)
def test_the_place_of_a_record_is_shown_for_each_source(source, place):
    assert place_of(source) == place


def test_a_name_of_digits_and_letters_is_no_index():
    assert field_of("/attributes/7up/0") == "/attributes/7up/*"
