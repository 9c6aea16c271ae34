"""The records that a stream has sent since it refused one, read from its state folder, also while it runs."""

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from beam_talonone.pipelines.replay.conflicts import ERASE, OWN, PROFILE, SESSION
from beam_talonone.pipelines.report.read_only import open_to_read
from beam_talonone.schemas.reasons import Reason, Stage
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.ordering.marks import Marks
from beam_talonone.talonone.ordering.state_store import Order
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.supersede import Change, without
from beam_talonone.talonone.requests.work import Key, Work
from beam_talonone.talonone.state.log_entries import entries
from beam_talonone.talonone.state.sqlite_damage import READING_FAILED, damaged_store, is_damage
from beam_talonone.talonone.state.state_folder import LOG, MANIFEST, STORE
from beam_talonone.talonone.state.store import Store

REPLAYS = "replays.sqlite"
"""A file in the state folder: the effects of replays of the stream's dead letters, as a staging database."""

PORTION = 200
"""Records noted at once: a stream that runs waits meanwhile."""


class Sent:
    """The records that a stream has sent. The newest may be in the log only, and not yet in the store."""

    def __init__(self, store: Store, log: Store) -> None:
        self._stores = (log, store)

    def left_to_send(self, work: Work) -> Work | Outcome:
        """The work that is left to be sent of `work`; an outcome if nothing is."""
        contents = (store.content(work.identity) for store in self._stores)
        content = next((content for content in contents if content is not None), None)
        if content is None:
            left = self._left_of(work)
            return Outcome(End.SUPERSEDED) if left is None else left
        if content == work.content:
            return Outcome(End.DUPLICATE)
        detail = "another record with this id was applied"
        return Outcome(End.DEAD, Reason.ID_REUSED.value, detail, stage=Stage.VALIDATE)

    def _left_of(self, work: Work) -> Work | None:
        does, order = {part.request.operation for part in work.parts}, work.order()
        if SESSION in does and any(self._since(order, ("order", session)) for session in work.sessions):
            return None
        if work.kind == "calls" and any(self._since(order, key) for key in work.others if key[0] in OWN):
            return None
        changes = {profile: self._changes(order, profile) for profile in work.profiles}
        erased = [any(change.erases for change in newer) for newer in changes.values()]
        if work.kind != "returns" and ERASE not in does and erased and all(erased):
            return None
        if work.kind == "profiles" or (does & PROFILE and len(changes) == 1):
            return without(work, changes[work.profiles[0]])
        return work

    def _since(self, order: Order, key: Key) -> bool:
        return any((last := store.last_of(key)) is not None and last > order for store in self._stores)

    def _changes(self, order: Order, customer: str) -> list[Change]:
        return [change for store in self._stores for change in store.newer_changes(customer, order)]


@contextmanager
def sent_by(state: Path) -> Iterator[Sent]:
    """What the stream of the state folder `state` has sent by now."""
    with closing(Store()) as log:
        _note_log(state / LOG, log)  # first: what leaves the log is in the store by then
        with closing(Store(state / STORE)) as store:
            yield Sent(store, log)


def note_applied(state: Path, works: Sequence[Work]) -> None:
    """Let the stream know what a replay has applied: a repeat is a duplicate, what is older overwrites nothing."""
    with closing(Store(state / STORE)) as store:
        for first in range(0, len(works), PORTION):
            store.begin()
            for work in works[first : first + PORTION]:
                store.ended(work, time.time())
                store.sent(work, time.time())
            store.commit()


def cause_in_store(state: Path, error: Exception) -> Exception:
    """The error to raise for `error`: a ConfigurationError where the store of the stream is damaged, else `error`."""
    path = state / STORE
    try:
        with closing(open_to_read(path)) as connection:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict == "ok":
                Store(path).close()
                return error
            unreadable: Exception = sqlite3.DatabaseError(verdict)
    except ConfigurationError as damage:
        return damage
    except READING_FAILED as failure:
        if isinstance(failure, sqlite3.Error) and not is_damage(failure):
            return error
        unreadable = failure
    return ConfigurationError(damaged_store(path, unreadable))


def no_stream_in(state: Path, base_url: str) -> str | None:
    """Why nothing can be asked of `state` by a replay to `base_url`; None where it can."""
    if not (state / STORE).exists():
        return f"there is no state of a stream in {state}"
    try:
        manifest = json.loads((state / MANIFEST).read_text())
    except (OSError, ValueError, RecursionError):
        return f"{state / MANIFEST} cannot be read"
    other = str(manifest.get("--base-url")) if isinstance(manifest, dict) else ""
    same = other.rstrip("/") == base_url.rstrip("/")
    return None if same else f"{state} belongs to a stream to {other}, not to {base_url}"


def _note_log(log: Path, store: Store) -> None:
    """Note in `store` what a write-ahead log says to remember (see talonone.state.write_ahead_log). The stream may
    write to the log meanwhile."""
    for _, entry in entries(log):
        match entry:
            case ["v", marks, at]:
                store.note(msgspec.convert(marks, Marks), at)
            case ["d", identity, content, at]:
                store.note_end(bytes.fromhex(identity), bytes.fromhex(content), at)
