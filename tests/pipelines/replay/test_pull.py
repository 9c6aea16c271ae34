"""Pulling dead letters: on disk before they are acknowledged, wherever a kill strikes, and the pull ends."""

import errno
import json
import os
import time
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions
from google.pubsub_v1 import PubsubMessage, PullResponse, ReceivedMessage
from support.process.left_open import open_files

from beam_talonone.pipelines.replay import pull as letters_pull
from beam_talonone.pipelines.replay.dead_letters import open_dead_letter
from beam_talonone.pipelines.replay.pull import PulledDeadLetters, Reader, as_line, pull_dead_letters
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.kinds import LETTERS
from beam_talonone.talonone.errors import ConfigurationError, Unreachable
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.state.sealed_lines import Damaged

SUBSCRIPTION = "projects/shop/subscriptions/letters"


def message(number: int, *, delivery: int = 1, published: float = 0.0) -> ReceivedMessage:
    data = json.dumps({"n": number}).encode()
    inner = PubsubMessage(data=data, message_id=str(number), publish_time={"seconds": int(published or time.time())})
    return ReceivedMessage(message=inner, ack_id=f"{number}/{delivery}")


class Service:
    """Answers pulls with `answers`, one after the other; an exception is raised, a function called. Then nothing."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.acknowledged: list[str] = []
        self.pulls = 0
        self.refusing: Exception | None = None
        self.transport = SimpleNamespace(close=lambda: None)

    def pull(self, **options: Any) -> PullResponse:
        assert options["subscription"] == SUBSCRIPTION
        assert options["timeout"] <= 3.0
        self.pulls += 1
        answer = self.answers.pop(0) if self.answers else exceptions.DeadlineExceeded("nothing")
        if isinstance(answer, Exception):
            raise answer
        return PullResponse(received_messages=answer)

    def acknowledge(self, *, ack_ids: list[str], **options: Any) -> None:
        if self.refusing is not None:
            raise self.refusing
        self.acknowledged += ack_ids

    def get_subscription(self, **options: Any) -> Any:
        return SimpleNamespace(ack_deadline_seconds=0)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[[Service], Service]:
    monkeypatch.setattr(letters_pull, "LEAST_LEASE", 0.0)

    def use(service: Service) -> Service:
        monkeypatch.setattr(letters_pull, "subscriber_client", lambda: service)
        return service

    return use


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["n"] for line in path.read_bytes().splitlines()]


def pulled(folder: Path, *, resumed: bool = False) -> list[int]:
    return numbers(pull_dead_letters(SUBSCRIPTION, folder, lambda text: None, resumed=resumed))


def test_all_that_is_there(tmp_path: Path, serve: Callable[[Service], Service]) -> None:
    service = serve(
        Service([message(1), message(2)], [], exceptions.DeadlineExceeded("x"), [message(3)], [message(1)])
    )
    assert pulled(tmp_path) == [1, 2, 3]
    assert service.acknowledged == ["1/1", "2/1", "3/1", "1/1"], "one that comes again is acknowledged again"
    assert service.pulls == 5 + letters_pull.EMPTY_PULLS
    assert pulled(tmp_path) == [1, 2, 3]
    assert service.pulls == 5 + letters_pull.EMPTY_PULLS, "it was complete"


def test_letters_that_go_on_coming(tmp_path: Path, serve: Callable[[Service], Service]) -> None:
    def batch(number: int, after: float) -> list[ReceivedMessage]:
        return [message(number, published=time.time() + after)]

    late = letters_pull.LATER + 5
    service = serve(
        Service(batch(1, -9), batch(2, 30), [*batch(3, late), *batch(4, 0)], *(batch(n, late) for n in range(5, 9)))
    )
    assert pulled(tmp_path) == [1, 2, 3, 4, 5]
    assert service.acknowledged == [f"{number}/1" for number in range(1, 6)]


@pytest.mark.parametrize("failing", [exceptions.ServiceUnavailable("x"), exceptions.ResourceExhausted("x")])
def test_a_passing_failure(
    failing: Exception, tmp_path: Path, serve: Callable[[Service], Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters_pull.time, "sleep", lambda seconds: None)
    serve(Service(failing, failing, [message(1)], failing))
    assert pulled(tmp_path) == [1]
    monkeypatch.setattr(letters_pull, "OUTAGE", -1.0)
    serve(Service([message(1)], failing))
    with pytest.raises(Unreachable, match=f"{SUBSCRIPTION} cannot be read: .*: x; go on with --resume"):
        pulled(tmp_path / "other")
    serve(Service())
    assert pulled(tmp_path / "other", resumed=True) == [1]


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (exceptions.NotFound("x"), f"there is no subscription {SUBSCRIPTION}"),
        (exceptions.PermissionDenied("not yours"), f"{SUBSCRIPTION} cannot be read: PermissionDenied: not yours"),
        (exceptions.FailedPrecondition("pushes"), f"{SUBSCRIPTION} cannot be read: FailedPrecondition: pushes"),
        (exceptions.Unauthenticated("who"), f"{SUBSCRIPTION} cannot be read: Unauthenticated: who"),
    ],
)
def test_what_cannot_be_read(
    refusal: Exception, expected: str, tmp_path: Path, serve: Callable[[Service], Service]
) -> None:
    serve(Service(refusal))
    with pytest.raises(ConfigurationError) as raised:
        pulled(tmp_path)
    assert str(raised.value) == expected


def test_a_lease_that_is_over(tmp_path: Path, serve: Callable[[Service], Service]) -> None:
    """Where delivery is exactly once, an ack id that is too old is refused: the message comes again."""
    service = Service([message(1)])
    service.refusing = exceptions.InvalidArgument("permanent failure")
    serve(service)
    assert pulled(tmp_path) == [1]


def test_a_kill_at_any_moment(tmp_path: Path, serve: Callable[[Service], Service]) -> None:
    """Acknowledged messages are on disk, the others are too or come again, and none is there twice."""
    service = serve(Service([message(1), message(2)], [message(3), message(4)]))
    assert pulled(tmp_path / "whole") == [1, 2, 3, 4]
    assert service.acknowledged == ["1/1", "2/1", "3/1", "4/1"]
    dead_letters, log = (
        (tmp_path / "whole" / name).read_bytes() for name in ("letters-000001.jsonl", "pulled.jsonl")
    )
    lines = log.splitlines(keepends=True)
    assert len(lines) == 4 + 2 + 1
    # while the log was written, and while the dead letters of the second pull were
    moments = [(len(dead_letters), end) for end in range(len(log) - len(lines[-1]) + 1)]
    moments += [
        (size, len(b"".join(lines[:3]))) for size in range(dead_letters.index(b'{"n": 3}'), len(dead_letters))
    ]
    for number, (size, end) in enumerate(moments):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "letters-000001.jsonl").write_bytes(dead_letters[:size])
        (folder / "pulled.jsonl").write_bytes(log[:end])
        again = serve(Service([message(one, delivery=2) for one in (1, 2, 3, 4)]))
        assert sorted(pulled(folder, resumed=True)) == [1, 2, 3, 4], (size, end)
        _, _, tail = log[:end].rpartition(b'"acknowledged"\n')
        left = [
            json.loads(line)[2]
            for line in tail.splitlines(keepends=True)
            if line.startswith(b"[") and line[-1:] == b"\n"
        ]
        assert again.acknowledged == [*left, "1/2", "2/2", "3/2", "4/2"], "first those that are on disk"


def test_kept_after_a_kill_goes_on_where_it_was(tmp_path: Path) -> None:
    first = PulledDeadLetters(tmp_path)
    first.add([("1", b'{"n":1}', "a")])
    with (tmp_path / "letters-000001.jsonl").open("ab") as torn:
        torn.write(b'{"n":2}\n{"n"')
    second = PulledDeadLetters(tmp_path)
    assert (second.message_ids, second.unacknowledged, second.complete) == ({"1"}, ["a"], False)
    second.add([("2", b'{"n":22}', "b"), ("1", b"other", "c")])
    assert second.unacknowledged == ["a", "b", "c"]
    assert numbers(second.path) == [1, 22]


@pytest.mark.parametrize("left", [None, b"", b'{"n":1}\n{"n"'])
def test_letters_that_are_gone_are_said_and_not_made_up(tmp_path: Path, left: bytes | None) -> None:
    """They were acknowledged: zeros in their place would end as one dead letter that says nothing of them."""
    kept = PulledDeadLetters(tmp_path)
    kept.add([("1", b'{"n":1}', "a"), ("2", b'{"n":2}', "b")])
    kept.acknowledged()
    kept.close()
    kept.path.unlink()
    if left is not None:
        kept.path.write_bytes(left)
    with pytest.raises(
        Damaged, match=r"letters-000001\.jsonl is damaged: it has \d+ bytes, but pulled\.jsonl records 16"
    ):
        PulledDeadLetters(tmp_path)
    assert (kept.path.read_bytes() if kept.path.exists() else None) == left


@pytest.mark.parametrize("room", [0, 1, 7, 8, 9, 16, 17, 28, 29, 39])
def test_a_full_disk_leaves_nothing_of_what_did_not_fit(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No torn line in the dead letters or in the log: once there is room, the next pull follows the whole lines."""
    kept = PulledDeadLetters(tmp_path)
    kept.add([("1", b'{"n":1}', "a")])
    whole = {path: path.read_bytes() for path in tmp_path.iterdir()}
    left, plain = room, os.write

    def write(file: int, data: bytes) -> int:
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = plain(file, data[:left])
        left -= written
        return written

    with monkeypatch.context() as full:
        full.setattr(os, "write", write)
        with pytest.raises(OSError, match="No space left"):
            kept.add([("2", b'{"n":2}', "b"), ("3", b'{"n":3}', "c")])
        left = min(room, 3)
        with pytest.raises(OSError, match="No space left"):
            kept.acknowledged()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == whole
    assert (kept.message_ids, kept.unacknowledged) == ({"1"}, ["a"])
    kept.add([("3", b'{"n":33}', "d"), ("1", b"other", "e"), ("2", b'{"n":22}', "f")])
    again = PulledDeadLetters(tmp_path)
    assert numbers(again.path) == [1, 33, 22]
    assert (again.message_ids, again.unacknowledged) == ({"1", "2", "3"}, ["a", "d", "f"])


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b'{"a": 1.50}', b'{"a": 1.50}'),
        (b'{\n  "a": 1.50,\r\n "b": "x"}', b'{"a":1.50,"b":"x"}'),
        (b"no json", b"no json"),
        (b"\xff", b"\xff"),
    ],
)
def test_a_message_as_a_line(data: bytes, line: bytes) -> None:
    assert as_line(data, "m1") == line


@pytest.mark.parametrize("data", [b"no\njson", b"", b" \t", b"\xff\n", b"\x1f\x8b\r\n\x00"])
def test_what_is_no_line_stands_whole_in_a_letter(data: bytes) -> None:
    line = as_line(data, "m1")
    assert b"\n" not in line
    dead_letter = json.loads(line)
    assert (dead_letter["kind"], dead_letter["source"]) == (LETTERS, {"message_id": "m1"})
    kept = b64decode(dead_letter["record_base64"]) if dead_letter.get("altered") else dead_letter["record"].encode()
    assert kept == data
    prepared = open_dead_letter(Raw(LETTERS, "f", 1, "jsonl", line, None, None), BuildOptions())
    assert prepared.problem is not None
    assert prepared.problem.reason == ("altered_record" if dead_letter.get("altered") else "not_json")


def test_without_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PUBSUB_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(ConfigurationError, match=f"^{SUBSCRIPTION}: no Google credentials: "):
        Reader(SUBSCRIPTION)


def test_dead_letters_are_closed_when_their_log_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = letters_pull.AppendLog

    def refuse_log(path: Path, **more: Any) -> Any:
        if path.name == "pulled.jsonl":
            raise PermissionError(errno.EACCES, "Permission denied")
        return plain(path, **more)

    monkeypatch.setattr(letters_pull, "AppendLog", refuse_log)
    with pytest.raises(PermissionError) as raised:
        PulledDeadLetters(tmp_path)
    assert raised.value.errno == errno.EACCES
    assert open_files(tmp_path) == set()
