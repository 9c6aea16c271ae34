"""Where dead letters came from, what a replay notes there, and what it leaves to a stream that has gone on."""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.staged_job import APPLIED, event, order, staged_job

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.output_folder import signed
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob, Slice
from beam_talonone.pipelines.backfill.sending.journal import JournalContent, read_journal
from beam_talonone.pipelines.backfill.sending.send_order import slice_rows
from beam_talonone.pipelines.replay.origins import Origins, origin_of
from beam_talonone.pipelines.replay.stream_conflicts import REPLAYS, note_applied, sent_by
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.schemas.reasons import Skip
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End, Outcome, skipped
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state.store import Store
from beam_talonone.transforms.outputs.sinks import say_whose

URL = "https://shop.talon.one"
REFUSED = Outcome(End.DEAD, "refused", "no", "", "update_customer_session_v2", 400, 1)


def work(kind: str, record: dict[str, Any]) -> Work:
    return build(kind, parse(kind, record).record, BuildOptions())


@pytest.fixture
def job(tmp_path: Path) -> Iterator[ActiveJob]:
    """A job whose orders o1, o2 and o3 are the records 1 to 3."""
    with staged_job(tmp_path, {"orders": [order(f"o{number}", number) for number in (1, 2, 3)]}) as job:
        yield job


def manifest(root: Path, **options: Any) -> Path:
    """Write the manifest of a job; returns a file of its dead letters."""
    (root / "job.json").write_bytes(signed({"job": "j", "started": 0.0, "command": "backfill", "options": options}))
    return root / "dead-letters" / "slice-000001.jsonl"


def stream(folder: Path, url: str = URL) -> Path:
    """The state folder of a stream, with an empty store."""
    folder.mkdir()
    Store(folder / "store.sqlite").close()
    (folder / "stream.json").write_text(json.dumps({"--base-url": url}))
    return folder


def test_the_database_of_the_job_is_the_origin(job: ActiveJob) -> None:
    assert origin_of(manifest(job.folder.root), URL) == job.folder.staging


def test_a_dry_run_or_no_job_is_not_an_origin(job: ActiveJob, tmp_path: Path) -> None:
    assert origin_of(job.folder.root / "dead-letters" / "a.jsonl", URL) is None, "there is no manifest"
    assert origin_of(manifest(job.folder.root, **{"--dry": True}), URL) is None
    assert origin_of(manifest(tmp_path), URL) is None, "there is no staging database"


def test_a_damaged_manifest_is_an_error(job: ActiveJob) -> None:
    (job.folder.root / "job.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"job\.json is damaged"):
        origin_of(job.folder.root / "dead-letters" / "a.jsonl", URL)


def test_the_origin_of_a_replay_is_that_of_what_it_replayed(job: ActiveJob, tmp_path: Path) -> None:
    earlier = tmp_path / "spool.sqlite"
    staging.set_meta(job.connection, "origin", str(earlier))
    path = manifest(job.folder.root)
    assert origin_of(path, URL) is None, "it is gone"
    earlier.touch()
    assert origin_of(path, URL) == earlier


def test_the_state_folder_of_a_stream_is_the_origin(tmp_path: Path) -> None:
    state, dead_letters = stream(tmp_path / "state"), tmp_path / "dead-letters"
    dead_letters.mkdir()
    assert origin_of(dead_letters / "a.jsonl", URL) is None
    say_whose(dead_letters, state, "job-1")
    assert origin_of(dead_letters / "a.jsonl", URL) == state / REPLAYS
    assert origin_of(dead_letters / "a.jsonl", "https://other.talon.one") is None
    assert origin_of(state / "dead-letters" / "a.jsonl", URL) == state / REPLAYS, "the default place"


def test_a_replay_of_a_stream_to_another_deployment_has_no_origin(job: ActiveJob, tmp_path: Path) -> None:
    state = stream(tmp_path / "state", "https://other.talon.one")
    (state / REPLAYS).touch()
    staging.set_meta(job.connection, "origin", str(state / REPLAYS))
    assert origin_of(manifest(job.folder.root), URL) is None
    assert origin_of(manifest(job.folder.root), "https://other.talon.one/") == state / REPLAYS


def test_origins_are_listed_once(tmp_path: Path) -> None:
    database, replays = tmp_path / "b" / "spool.sqlite", tmp_path / "a" / REPLAYS
    origins = Origins.of([database, None, replays, database])
    assert origins == Origins((replays, database), (tmp_path / "a",))
    assert Origins.of([None]) == Origins((), ())


def test_a_cancellation_of_an_unknown_order_is_noted(job: ActiveJob, tmp_path: Path) -> None:
    """An earlier version of that order, replayed later, must not bring it back."""
    (tmp_path / "earlier").mkdir()
    with staged_job(tmp_path / "earlier", {"events": [event(1)]}) as earlier:
        skips = (skipped(Skip.NOTHING_TO_CANCEL, "update_customer_session_v2"), skipped(Skip.ORDER_NOT_SENT, ""))
        recorded = JournalContent(done={number: (outcome, 1.0) for number, outcome in enumerate(skips, 1)})
        Origins.of([earlier.folder.staging]).note_applied(job, Slice(1, 2), recorded)
        since = [
            staging.applied_since(earlier.connection, "orders", "session", name, (0, 0, 0)) for name in ("o1", "o2")
        ]
        assert [[work.id for work in works] for works in since] == [["o1"], []]


def test_what_was_applied_is_noted_in_jobs_and_streams(job: ActiveJob, tmp_path: Path) -> None:
    (tmp_path / "earlier").mkdir()
    with staged_job(tmp_path / "earlier", {"events": [event(1)]}) as earlier:
        state = stream(tmp_path / "state")
        origins = Origins.of([earlier.folder.staging, state / REPLAYS])
        recorded = JournalContent(done={1: (APPLIED, 1.0), 2: (REFUSED, 1.0), 3: (Outcome(End.SKIPPED), 1.0)})
        for _ in range(2):  # a killed run notes it again
            origins.note_applied(job, Slice(1, 3), recorded)
        for path in origins.databases:
            with closing(staging.connect(path)) as database:
                rows = database.execute("SELECT kind, identity, session, customer FROM replayed").fetchall()
            assert rows == [("orders", work("orders", order("o1", 1)).identity, "o1", "c")]
    with sent_by(state) as sent:
        assert sent.left_to_send(work("orders", order("o1", 1))) == Outcome(End.DUPLICATE)
        assert isinstance(sent.left_to_send(work("orders", order("o2", 2))), Work)


@pytest.mark.parametrize("damage", [lambda data: b"no database" * 1_000, lambda data: data[:4096] + b"\xff" * 8192])
@pytest.mark.parametrize("name", ["spool.sqlite", "store.sqlite"])
def test_the_damage_of_an_origin_is_named(
    job: ActiveJob, tmp_path: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    """The replay itself can write: nobody needs to make room on its disk."""
    state, earlier = stream(tmp_path / "state"), tmp_path / "spool.sqlite"
    staging.connect(earlier).close()
    origins = Origins.of([earlier, state / REPLAYS])
    path = {"spool.sqlite": earlier, "store.sqlite": state / "store.sqlite"}[name]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ConfigurationError, match=rf"{name} is damaged \("), origins.explained():
        origins.note_applied(job, Slice(1, 3), JournalContent(done={1: (APPLIED, 1.0)}))
    before = job.folder.staging.read_bytes()
    with pytest.raises(ConfigurationError, match=rf"{name} is damaged \("), origins.explained():
        raise sqlite3.OperationalError("disk I/O error")
    assert job.folder.staging.read_bytes() == before


def test_an_error_that_no_origin_has_stays_as_it_is(job: ActiveJob, tmp_path: Path) -> None:
    origins = Origins.of([job.folder.staging, stream(tmp_path / "state") / REPLAYS])
    error = sqlite3.OperationalError("disk I/O error")
    with pytest.raises(sqlite3.OperationalError) as raised, origins.explained():
        raise error
    assert raised.value is error


@pytest.mark.parametrize("unwritable", ["state", "out/state/spool.sqlite", "state/store.sqlite"])
def test_an_origin_that_must_not_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unwritable: str
) -> None:
    (tmp_path / "out" / "state").mkdir(parents=True)
    database, state = tmp_path / "out" / "state" / "spool.sqlite", stream(tmp_path / "state")
    staging.connect(database).close()
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path / unwritable)
    origins = Origins.of([database, state / REPLAYS])
    name, owned = ("spool.sqlite", "out") if "spool" in unwritable else ("store.sqlite", "state")
    refusal = rf"{name} cannot be written, .* replay as the user who owns {tmp_path / owned}, or from a copy"
    with pytest.raises(ConfigurationError, match=refusal), origins.explained():
        raise sqlite3.OperationalError("attempt to write a readonly database")


def test_a_damaged_database_beside_dead_letters_is_named(job: ActiveJob) -> None:
    path = manifest(job.folder.root)
    job.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = job.folder.staging.read_bytes()
    job.folder.staging.write_bytes(data.replace(b"TABLE meta (name", b"TABLE meta (namf"))
    with pytest.raises(ConfigurationError, match=r"spool\.sqlite is damaged"):
        origin_of(path, URL)


def test_what_a_stream_has_overtaken_ends_in_the_journal(job: ActiveJob, tmp_path: Path) -> None:
    state = stream(tmp_path / "state")
    note_applied(state, [work("orders", order("o1", 9)), work("orders", order("o3", 3))])
    Origins.of([state / REPLAYS]).give_way(job, Slice(1, 3))
    recorded = read_journal(job.folder.journal("slice-000001"))
    assert {number: outcome.end for number, (outcome, _) in recorded.done.items()} == {
        1: End.SUPERSEDED, 3: End.DUPLICATE,
    }  # fmt: skip


def test_of_a_profile_change_the_stream_leaves_the_rest(tmp_path: Path) -> None:
    def change(minute: int, **attributes: int) -> dict[str, Any]:
        return {"customer_id": "c", "event_time": f"2026-05-01T00:{minute:02}:00Z", "attributes": attributes}

    state = stream(tmp_path / "state")
    note_applied(state, [work("profiles", change(9, a=2))])
    with staged_job(tmp_path, {"profiles": [change(1, a=1, b=1)]}) as job:
        Origins.of([state / REPLAYS]).give_way(job, Slice(1, 1))
        assert read_journal(job.folder.journal("slice-000001")).done == {}
        [(_, blob, _, _)] = slice_rows(job.folder.staging, 1, 1)
    body = Work.from_bytes(blob).parts[0].request.body_json()
    assert body["customerProfiles"][0]["attributes"] == {"b": 1}
