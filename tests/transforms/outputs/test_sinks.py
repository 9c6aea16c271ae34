"""A folder as a sink: nothing torn, nothing lost; and which message a line is of."""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.process.left_open import open_files

from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.state.append_log import AppendLog
from beam_talonone.transforms.outputs import sinks
from beam_talonone.transforms.outputs.sinks import (
    FolderSink,
    is_subscription,
    is_topic,
    message_ids,
    say_whose,
    sink_for,
    whose,
)  # fmt: skip

SUBSCRIPTION = "projects/shop-1/subscriptions/orders"


def dead_letter(number: int, **more: Any) -> dict[str, Any]:
    source = {"subscription": SUBSCRIPTION, "message_id": str(number)}
    return {"kind": "orders", "id": str(number), "record": {"n": number}, "source": source, "detail": "no", **more}


def nothing() -> None:
    pass


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize(
    ("path", "topic", "subscription"),
    [
        ("projects/shop-1/topics/letters", True, False),
        ("projects/shop-1/subscriptions/letters", False, True),
        ("projects/example.com:shop/topics/a.b_c~d+e%f-g", True, False),
        ("projects/123456/subscriptions/letters", False, True),
        ("projects/p/topics/let", True, False),
        ("projects/shop-1/topics/le", False, False),
        ("projects/shop-1/topics/" + "l" * 255, True, False),
        ("projects/shop-1/topics/" + "l" * 256, False, False),
        ("projects/shop-1/topics/goog-letters", False, False),
        ("projects/shop-1/topics/1letters", False, False),
        ("projects/shop-1/topics/let/ters", False, False),
        ("projects/shop-1/topics/letters\n", False, False),
        ("projects/Shop/topics/letters", False, False),
        ("projects/shop-/topics/letters", False, False),
        ("projects//topics/letters", False, False),
        ("projects/shop-1/snapshots/letters", False, False),
        ("/projects/shop-1/topics/letters", False, False),
        ("letters", False, False),
    ],
)
def test_names(path: str, topic: bool, subscription: bool) -> None:
    assert (is_topic(path), is_subscription(path)) == (topic, subscription)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("projects/shop-1/subscriptions/letters", "is a subscription"),
        ("projects/shop-1/topics/goog-letters", "is not a topic"),
        ("projects/shop-1", "is not a topic"),
        ("gs://bucket/letters", "neither a topic nor a folder"),
        ("bq://shop-12.sales.letters", "is a table, which only `stream` on Dataflow writes: name a topic with a Big"),
        ("shop-12:sales.letters", "is a table, .* or a folder whose files `bq load` takes"),
    ],
)
def test_what_is_no_sink(where: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^--dead-letters {where} .*{expected}"):
        sink_for(where, "dead-letters", print)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"^--results .*/file/in cannot be made: Not a directory"):
        sink_for(str(tmp_path / "file" / "in"), "results", print)


def test_lines_of_a_folder(tmp_path: Path) -> None:
    sink = sink_for(str(tmp_path / "new" / "letters"), "dead-letters", print)
    assert isinstance(sink, FolderSink)
    assert list((tmp_path / "new" / "letters").iterdir()) == [], "there is no file before there is a line"
    seen: list[int] = []
    sink.write(
        dead_letter(1, detail="a\nb \u2028 ö"), {"kind": "orders"}, lambda: seen.append(len(lines(sink._folder)))
    )
    sink.write(dead_letter(2), {}, lambda: seen.append(len(lines(sink._folder))))
    assert seen == [1, 2], "a line can be read when it is said to be written"
    assert lines(sink._folder) == [dead_letter(1, detail="a\nb \u2028 ö"), dead_letter(2)]
    (path,) = sink._folder.iterdir()
    name, began, pid = path.stem.rsplit("-", 2)
    assert (name, pid) == ("dead-letters", str(os.getpid()))
    assert time.strptime(began, "%Y%m%dT%H%M%SZ").tm_year >= 2025
    assert sink.close() == 0


def test_files_follow_one_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "LARGEST", 3 * len(json.dumps(dead_letter(1), separators=(",", ":"))))
    now = [1000.0]
    sink = FolderSink(tmp_path, "dead-letters", clock=lambda: now[0])

    def files_after(number: int) -> int:
        sink.write(dead_letter(number), {}, nothing)
        return len(list(tmp_path.iterdir()))

    assert [files_after(number) for number in (1, 2, 3, 4)] == [1, 1, 1, 2], "the first was large enough"
    now[0] += sinks.OLDEST - 1
    assert files_after(5) == 2
    now[0] += 1
    assert files_after(6) == 3
    sink.close()
    assert [line["id"] for line in lines(tmp_path)] == ["1", "2", "3", "4", "5", "6"]
    assert files_after(7) == 4, "closed, and used again all the same"


@pytest.mark.parametrize("gone", [lambda path, to: path.rename(to / path.name), lambda path, to: path.unlink()])
def test_a_file_that_was_taken_away_gets_nothing_more(tmp_path: Path, gone: Callable[[Path, Path], None]) -> None:
    folder, elsewhere = tmp_path / "letters", tmp_path / "elsewhere"
    elsewhere.mkdir()
    sink = FolderSink(folder, "dead-letters")
    sink.write(dead_letter(1), {}, nothing)
    gone(next(folder.iterdir()), elsewhere)
    sink.write(dead_letter(2), {}, nothing)
    assert [line["id"] for line in lines(folder)] == ["2"]
    assert [line["id"] for line in lines(elsewhere)] in (["1"], [])


def test_a_full_disk_leaves_nothing_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = FolderSink(tmp_path, "dead-letters")
    sink.write(dead_letter(1), {}, nothing)
    write = os.write

    def full(file: int, data: bytes) -> int:
        if len(data) < 60:
            raise OSError(28, "No space left on device")
        return write(file, data[:50])

    monkeypatch.setattr(sinks.os, "write", full)
    with pytest.raises(OSError, match="No space"):
        sink.write(dead_letter(2), {}, lambda: pytest.fail("it was not written"))
    monkeypatch.undo()
    sink.write(dead_letter(3), {}, nothing)
    assert [line["id"] for line in lines(tmp_path)] == ["1", "3"]


def _write_many(folder: str, first: int, count: int, begin: Any) -> None:
    sinks._process_start = lambda: 0.0  # all began at the same instant
    sinks.os.getpid = lambda: 1  # type: ignore[method-assign]  # as in containers
    sink = FolderSink(Path(folder), "dead-letters")
    begin.wait()
    for number in range(first, first + count):
        sink.write(dead_letter(number), {}, nothing)
    os.kill(os.getppid(), 0)


def test_no_file_has_two_writers(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    begin = context.Event()
    processes = [
        context.Process(target=_write_many, args=(str(tmp_path), 1000 * one, 500, begin)) for one in range(3)
    ]
    for process in processes:
        process.start()
    begin.set()
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    files = list(tmp_path.iterdir())
    assert len(files) == 3
    for path in files:
        numbers = [int(json.loads(line)["id"]) for line in path.read_bytes().splitlines()]
        assert numbers == list(range(numbers[0], numbers[0] + 500))


def _write_for_ever(folder: str) -> None:
    sink = FolderSink(Path(folder), "dead-letters")
    number = 0
    while True:
        number += 1
        sink.write(dead_letter(number, record="x" * (number % 5000)), {}, nothing)


def test_a_kill_tears_no_line_but_the_last(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_write_for_ever, args=(str(tmp_path),))
    process.start()
    deadline = time.monotonic() + 30
    while sum(path.stat().st_size for path in tmp_path.iterdir()) < 1_000_000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join(10)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes().split(b"\n")[:-1]
    assert [json.loads(line)["id"] for line in whole] == [str(number + 1) for number in range(len(whole))]
    assert message_ids(tmp_path, "dead-letters") >= {(SUBSCRIPTION, str(number + 1)) for number in range(len(whole))}


def test_messages_that_have_their_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def file(name: str, *texts: bytes, age: float = 0.0) -> Path:
        path = tmp_path / name
        path.write_bytes(b"".join(texts))
        os.utime(path, (time.time() - age, time.time() - age))
        return path

    def line(number: int, **more: Any) -> bytes:
        return json.dumps(dead_letter(number, **more)).encode() + b"\n"

    file(
        "dead-letters-a.jsonl",
        line(1),
        b'{"source": {"file": "x", "position": 1}}\n',
        b"\n",
        b"[]\n",
        b"\xff\n",
        line(2),
    )
    announced = {"message_id": "8/4", "file": "gs://b/o#1", "position": 4}
    of_a_file = {"subscription": SUBSCRIPTION, **announced}
    file("dead-letters-e.jsonl", line(8, source=of_a_file), line(9, source=of_a_file | {"message_id": "9/4"}))
    torn = file("dead-letters-b.jsonl", line(3), line(4)[:-9])
    file("dead-letters-c.jsonl", line(5), age=sinks.RECENT + 60)
    file("results-a.jsonl", line(6))
    file("more.txt", line(7))
    expected = {(SUBSCRIPTION, number) for number in ("1", "2", "3")} | {("gs://b/o#1", "4")}
    assert message_ids(tmp_path, "dead-letters") == expected
    assert message_ids(tmp_path / "none", "dead-letters") == set()
    torn.unlink()
    (tmp_path / "dead-letters-e.jsonl").unlink()

    monkeypatch.setattr(sinks, "LARGEST", 3 * len(line(10)))
    file("dead-letters-d.jsonl", *(line(number) for number in range(10, 20)), age=60)
    file("dead-letters-a.jsonl", line(20))
    assert message_ids(tmp_path, "dead-letters") == {(SUBSCRIPTION, str(number)) for number in (18, 19, 20)}, (
        "the newest first, and of the one before it the end"
    )


def test_whose_letters_they_are(tmp_path: Path) -> None:
    state, dead_letters = tmp_path / "state", tmp_path / "letters"
    state.mkdir()
    dead_letters.mkdir()
    assert whose(dead_letters) is None
    say_whose(dead_letters, state, "job")
    assert whose(dead_letters) == state
    assert json.loads((dead_letters / "stream.json").read_text()) == {"state": str(state), "job": "job"}
    state.rmdir()
    assert whose(dead_letters) is None, "it is gone"
    say_whose(dead_letters, None, "job")
    assert whose(dead_letters) is None
    (dead_letters / "stream.json").write_text("[")
    assert whose(dead_letters) is None


def test_a_file_that_cannot_be_synced_is_closed_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(log: AppendLog) -> None:
        raise OSError(28, "No space left on device")

    sink = FolderSink(tmp_path, "dead-letters")
    sink.write(dead_letter(1), {}, nothing)
    with monkeypatch.context() as patch:
        patch.setattr(AppendLog, "sync", full)
        with pytest.raises(OSError, match="No space left"):
            sink.close()
    assert open_files(tmp_path) == set()
    assert sink.close() == 0
