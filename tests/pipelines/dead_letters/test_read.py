"""Dead letters are found in the folders of jobs and streams, and a bad line costs only itself."""

import tracemalloc
from pathlib import Path

import pytest

from beam_talonone.pipelines.dead_letters import read
from beam_talonone.pipelines.dead_letters.read import BadLine, DeadLetter, dead_letter_files, read_dead_letters
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.transforms.formats.errors import NoSuchInput
from beam_talonone.transforms.sources.opening import FileInfo


def names(places, tmp_path):
    found = dead_letter_files([str(place) for place in places], lambda line: None)
    return [str(Path(path).relative_to(tmp_path)) for path in found]


def test_the_folder_of_a_job_has_them_in_a_folder_of_their_own(write, tmp_path, dead_letter):
    write("out/dead-letters/slice-1.jsonl", dead_letter())
    write("out/dead-letters/input.jsonl", dead_letter())
    write("out/results/slice-1.jsonl", {})
    assert names([tmp_path / "out"], tmp_path) == ["out/dead-letters/input.jsonl", "out/dead-letters/slice-1.jsonl"]
    assert names([f"{tmp_path}/out/"], tmp_path) == names([tmp_path / "out"], tmp_path)


def test_the_folder_of_a_stream_may_hold_its_results_too(write, tmp_path, dead_letter):
    write("sink/results-1.jsonl", {})
    write("sink/dead-letters-1.jsonl", dead_letter())
    assert names([tmp_path / "sink"], tmp_path) == ["sink/dead-letters-1.jsonl"]


def test_files_are_named_by_a_glob_or_one_by_one(write, tmp_path, dead_letter):
    for name in ("a.jsonl", "b.jsonl", "c.txt"):
        write(f"mine/{name}", dead_letter())
    assert names([tmp_path / "mine"], tmp_path) == ["mine/a.jsonl", "mine/b.jsonl"]
    assert names([f"{tmp_path}/mine/*.txt", tmp_path / "mine/a.jsonl", tmp_path / "mine/a.jsonl"], tmp_path) == [
        "mine/c.txt", "mine/a.jsonl",
    ]  # fmt: skip


def test_a_job_without_dead_letters_is_no_error(write, tmp_path):
    write("out/job.json", {})
    (tmp_path / "out/dead-letters").mkdir()
    assert names([tmp_path / "out"], tmp_path) == []


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("missing.jsonl", "no file matches"),
        ("", "name the --output of a job, or files"),
        ("projects/p-1/subscriptions/letters", "is a subscription: `beam-talonone replay` pulls"),
    ],
)
def test_a_place_without_files_is_a_usage_error(tmp_path, place, message):
    where = place if place.startswith("projects/") else str(tmp_path / place)
    with pytest.raises(ConfigurationError, match=message):
        dead_letter_files([where], lambda line: None)


@pytest.mark.parametrize(
    ("place", "there", "patterns"),
    [
        ("gs://b/out", "gs://b/out/dead-letters/*.jsonl", 1),
        ("gs://b/sink/", "gs://b/sink/*.jsonl", 3),
        ("gs://b/out/dead-letters/x.jsonl", "gs://b/out/dead-letters/x.jsonl", 1),
        ("gs://b/*/x", "gs://b/*/x", 1),
    ],
)
def test_a_remote_folder_is_looked_up_like_a_local_one(monkeypatch, place, there, patterns):
    tried = []

    def match(pattern, notice):
        tried.append(pattern)
        if pattern != there:
            raise NoSuchInput(f"{pattern}: no file matches")
        return [FileInfo(pattern.replace("*", "1"), 1)]

    monkeypatch.setattr(read, "match_files", match)
    assert dead_letter_files([place], lambda line: None) == [there.replace("*", "1")]
    assert len(tried) == patterns


def test_the_bytes_of_a_line_are_kept(write, dead_letter):
    line = b'{"kind": "orders",  "reason":"refused","record":{"a":19.90,"b":1e3},"source":{}, "new": [1]}'
    path = write("d.jsonl", line, dead_letter())
    first, second = read_dead_letters([str(path)])
    assert isinstance(first, DeadLetter)
    assert first.line == line
    assert first.record() == b'{"a":19.90,"b":1e3}'
    assert isinstance(second, DeadLetter)
    assert "record" not in second.fields


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"kind": "orders", "reas', "not a dead letter"),
        (b"[1, 2]", "not a dead letter"),
        (b"\xff\xfe{", "not a dead letter"),
        (b'{"order_id": "R-1"}', "it has no kind, reason, source"),
        (b'{"kind": 7, "reason": "refused", "source": {}}', "it has no kind"),
        (b'{"kind": "orders", "reason": "refused", "source": ' + b"[" * 2000 + b"]" * 2000 + b"}", "recursion depth"),
    ],
)
def test_a_bad_line_is_named_and_costs_only_itself(write, dead_letter, line, problem):
    path = write("d.jsonl", dead_letter(), line, dead_letter())
    first, bad, last = read_dead_letters([str(path)])
    assert isinstance(first, DeadLetter)
    assert isinstance(last, DeadLetter)
    assert isinstance(bad, BadLine)
    assert str(bad).startswith(f"{path}:2: ")
    assert problem in bad.problem


@pytest.mark.parametrize("value", [b"9" * 5000, b"1e99999999999999999999"])
def test_a_field_that_cannot_be_read_is_shown_as_its_text(write, value):
    line = b'{"kind": "orders", "reason": "refused", "source": {}, "status": 400, "id": ' + value + b"}"
    [letter] = read_dead_letters([str(write("d.jsonl", line))])
    assert isinstance(letter, DeadLetter)
    assert (letter.fields["id"], letter.fields["status"]) == (value.decode(), 400)


def test_a_file_that_cannot_be_read_is_named(tmp_path, write, dead_letter):
    path = tmp_path / "packed.jsonl"
    path.write_bytes(b"\x1f\x8b\x08\x00damaged")
    good = write("good.jsonl", dead_letter())
    bad, letter = read_dead_letters([str(path), str(good)])
    assert isinstance(bad, BadLine)
    assert isinstance(letter, DeadLetter)


def test_memory_does_not_grow_with_the_number_of_dead_letters(write, dead_letter):
    def peak(number):
        path = write(f"{number}.jsonl", *(dead_letter(id=str(n), detail="x" * 4000) for n in range(number)))
        tracemalloc.start()
        for _ in read_dead_letters([str(path)]):
            pass
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    read_dead_letters([])
    peak(10)
    assert peak(2_400) < 2 * peak(600)  # a file is read in chunks of 1 MiB
