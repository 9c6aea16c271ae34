"""What a replay reads from a stream's state folder, and how it writes there beside the stream."""

import json
import sqlite3
import time
from pathlib import Path

import pytest

from beam_talonone.pipelines.replay.stream_conflicts import no_stream_in, note_applied, sent_by
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state.store import Store


def order(hour: int, **more: object) -> Work:
    given = {
        "order_id": "o", "customer_id": "c", "status": "open", "event_time": f"2026-05-01T{hour:02d}:00:00Z", **more,
    }  # fmt: skip
    return build("orders", parse("orders", given).record, BuildOptions())


def test_what_a_replay_applied_is_known_from_then_on(tmp_path: Path) -> None:
    Store(tmp_path / "store.sqlite").close()
    with sent_by(tmp_path) as sent:
        assert sent.left_to_send(order(1)) == order(1)
    note_applied(tmp_path, [order(2)])
    with sent_by(tmp_path) as sent:
        assert sent.left_to_send(order(1)) == Outcome(End.SUPERSEDED)
        assert sent.left_to_send(order(2)) == Outcome(End.DUPLICATE)
        assert sent.left_to_send(order(2, version=1)) == order(2, version=1)
        assert sent.left_to_send(order(3)) == order(3)


def test_a_store_that_is_never_free(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    store = Store(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        store.begin(timeout=0.2)
    assert time.monotonic() - began >= 0.2
    other.execute("COMMIT")
    store.begin(timeout=0.2)
    store.sent(order(1), 1.0)
    store.commit()
    assert other.execute("SELECT COUNT(*) FROM sent").fetchone() == (3,)


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        ({"--base-url": "https://shop.talon.one/"}, None),
        ({"--base-url": "https://other.talon.one"}, "to a stream to https://other.talon.one, not to"),
        ([], "to a stream to"),
        (None, "stream.json cannot be read"),
    ],
)
def test_whose_state_it_is(manifest: object, problem: str | None, tmp_path: Path) -> None:
    url = "https://shop.talon.one"
    assert "no state of a stream" in str(no_stream_in(tmp_path, url))
    Store(tmp_path / "store.sqlite").close()
    (tmp_path / "stream.json").write_text("" if manifest is None else json.dumps(manifest))
    found = no_stream_in(tmp_path, url)
    assert found is None if problem is None else problem in str(found)


def test_a_damaged_log_leaves_no_store_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(tmp_path / "store.sqlite").close()
    (tmp_path / "log.jsonl").write_bytes(b"no line of a log\n" + b'["d", "00", "00", 1.0]\n' * 100)
    closed: list[Store] = []
    close = Store.close
    monkeypatch.setattr(Store, "close", lambda store: (closed.append(store), close(store)))
    with pytest.raises(ConfigurationError, match=r"log\.jsonl is damaged"), sent_by(tmp_path):
        pass
    assert len(closed) == 1
