"""The first dead letter of each reason, from the files of a job."""

import json

from beam_talonone.pipelines.dead_letters import examples
from beam_talonone.pipelines.dead_letters.examples import first_examples

REPORT = {"reasons": {"orders": {"not_json": 2, "refused": 1, "nothing_to_cancel": 5}, "events": {"refused": 1}}}


def line(kind, reason, number, **more):
    source = {"file": "in.jsonl", "position": number}
    return {"kind": kind, "id": f"id-{number}", "reason": reason, "detail": f"why {number}", "source": source, **more}


def written(folder, name, *lines):
    path = folder / "dead-letters" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join((text if isinstance(text, str) else json.dumps(text)) + "\n" for text in lines))


def test_each_kind_and_reason_has_its_first(tmp_path):
    written(tmp_path, "input.jsonl", line("orders", "not_json", 1), line("orders", "not_json", 2))
    written(
        tmp_path, "slice-000001.jsonl", line("events", "refused", 3), line("orders", "refused", 4),
        line("orders", "refused", 5),
    )  # fmt: skip
    found = first_examples(tmp_path, REPORT)
    assert {key: (example.id, example.place, example.detail) for key, example in found.items()} == {
        ("orders", "not_json"): ("id-1", "in.jsonl:1", "why 1"),
        ("events", "refused"): ("id-3", "in.jsonl:3", "why 3"),
        ("orders", "refused"): ("id-4", "in.jsonl:4", "why 4"),
    }


def test_reading_ends_once_all_are_found(tmp_path, monkeypatch):
    """A skipped record has no dead letter: nothing is read in search of one."""
    written(tmp_path, "a.jsonl", line("events", "refused", 1), "not JSON")
    read = []
    original = examples.read_dead_letters
    monkeypatch.setattr(
        examples, "read_dead_letters", lambda files: (read.append(each) or each for each in original(files))
    )
    reasons = {"reasons": {"events": {"refused": 1, "nothing_to_cancel": 3}}}
    assert set(first_examples(tmp_path, reasons)) == {("events", "refused")}
    assert len(read) == 1


def test_at_most_so_many_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(examples, "MOST_READ", 2)
    written(tmp_path, "a.jsonl", *(line("orders", "not_json", n) for n in (1, 2)), line("orders", "refused", 3))
    assert set(first_examples(tmp_path, REPORT)) == {("orders", "not_json")}


def test_files_that_cannot_be_read_have_no_examples(tmp_path):
    assert first_examples(tmp_path, REPORT) == {}
    written(tmp_path, "a.jsonl", "not JSON", "[1]", line("orders", "refused", 3))
    assert set(first_examples(tmp_path, REPORT)) == {("orders", "refused")}
    assert first_examples(tmp_path, {"reasons": {}}) == {}
