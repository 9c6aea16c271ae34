"""The examples of dead letters: the first of each reason, cut, and bounded together."""

import json
from pathlib import Path

import pytest

from beam_talonone.pipelines.report.examples import (
    EXAMPLES,
    LONGEST_TEXT,
    LONGEST_VALUE,
    MOST_CHARACTERS,
    cut,
    dead_letter_lines,
    example_of,
    reason_groups,
)


def line(reason: str = "refused", record: object = None, **fields: object) -> bytes:
    """A line of a file of dead letters."""
    source = {"file": "orders.jsonl", "position": 2}
    letter = {"kind": "orders", "id": "o1", "record": record, "source": source, "stage": "send", "reason": reason}
    return json.dumps({**letter, "detail": "no", **fields}).encode() + b"\n"


def test_groups_are_counted_and_the_largest_comes_first() -> None:
    lines = [line("defect"), *[line()] * 30, line("not_json", stage="decode")]
    groups = reason_groups(lines, None)
    assert [(group.reason, group.stage, group.count, len(group.examples)) for group in groups] == [
        ("refused", "send", 30, EXAMPLES), ("not_json", "decode", 1, 1), ("defect", "send", 1, 1),
    ]  # fmt: skip


def test_reading_ends_with_the_last_example_that_is_missing() -> None:
    lines = iter([line(), line("defect"), *[line()] * 100])
    groups = reason_groups(lines, {("orders", "send", "refused"): 50, ("orders", "send", "defect"): 1})
    assert [(group.reason, group.count, len(group.examples)) for group in groups] == [
        ("refused", 50, EXAMPLES), ("defect", 1, 1),
    ]  # fmt: skip
    assert len(list(lines)) == 80


def test_a_reason_without_a_line_is_counted_without_examples() -> None:
    (group,) = reason_groups([], {("orders", "send", "refused"): 3})
    assert (group.count, group.examples) == (3, ())


@pytest.mark.parametrize(
    "broken", [b"\n", b"no JSON\n", b"[1]\n", b'{"kind":1,"reason":2}\n', b"\xff\n"],
    ids=["empty", "text", "array", "numbers", "bytes"],
)  # fmt: skip
def test_lines_that_are_no_dead_letters_are_passed_over(broken: bytes) -> None:
    (group,) = reason_groups([broken, line()], None)
    assert group.count == 1


def test_long_values_are_cut() -> None:
    example = example_of(line(record="x" * 3_000_000, id="i" * 1_000_000, detail="d" * 5000))
    assert example.id == "i" * LONGEST_VALUE + "… (1,000,000 characters)"
    assert len(example.detail) < LONGEST_VALUE + 30
    assert len(example.text) < LONGEST_TEXT + 30


def test_all_examples_together_are_bounded() -> None:
    lines = [line(f"reason-{number % 40}", record="x" * 5000) for number in range(40 * EXAMPLES)]
    groups = reason_groups(lines, None)
    size = sum(len(example.text) for group in groups for example in group.examples)
    assert MOST_CHARACTERS <= size < MOST_CHARACTERS + LONGEST_TEXT + 30
    assert {len(group.examples) for group in groups} <= {4, 5}, "each group has its share"


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ({"file": "a.csv", "position": 7, "part": "returns/0/1"}, "a.csv:7 (returns/0/1)"),
        ({"subscription": "projects/p/subscriptions/s", "message_id": "42"}, "projects/p/subscriptions/s message 42"),
        (None, ""),
        ("odd", ""),
    ],
)
def test_places_are_told_in_words(source: object, place: str) -> None:
    assert example_of(line(source=source)).place == place


def test_an_id_may_be_missing_or_of_another_type() -> None:
    assert example_of(line(id=None)).id == ""
    assert example_of(line(id=17)).id == "17"


def test_files_are_read_by_name_without_those_of_open_slices(tmp_path: Path) -> None:
    folder = tmp_path / "dead-letters"
    folder.mkdir()
    for name in ("slice-000002", "input", "slice-000001"):
        (folder / f"{name}.jsonl").write_bytes(f"{name}\n".encode())
    (folder / "other.txt").write_bytes(b"other\n")
    assert list(dead_letter_lines(tmp_path)) == [b"input\n", b"slice-000001\n", b"slice-000002\n"]
    assert list(dead_letter_lines(tmp_path, {"slice-000002"})) == [b"input\n", b"slice-000001\n"]
    assert list(dead_letter_lines(tmp_path / "nowhere")) == []


def test_what_is_short_is_not_cut() -> None:
    assert cut("abc", 3) == "abc"
