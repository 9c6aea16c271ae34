"""Replay: dead letters sent again in one bounded pass, never over what their job has applied since."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.ingest import PATIENCE, letter_of
from beam_talonone.pipelines.backfill.job import Backfill
from beam_talonone.pipelines.backfill.journal import Journal, replay_journal
from beam_talonone.pipelines.backfill.options import BackfillOptions
from beam_talonone.pipelines.backfill.output_folder import MANIFEST, JobFolder, started_with
from beam_talonone.pipelines.backfill.slices import slice_name
from beam_talonone.pipelines.backfill.staging_rows import read_origin
from beam_talonone.pipelines.replay import attempt_history
from beam_talonone.pipelines.replay.altered import WHAT_TO_DO
from beam_talonone.pipelines.replay.conflicts import Related, left_of, related
from beam_talonone.pipelines.replay.stream_conflicts import REPLAYS, no_stream_in, note_applied, sent_by
from beam_talonone.pipelines.sinks.sinks import whose
from beam_talonone.pipelines.terminal.interruptible import interruptible
from beam_talonone.pipelines.terminal.stopping import RESUME, STOP
from beam_talonone.schemas.decoding.raw import LETTERS
from beam_talonone.schemas.reasons import Reason, Stage
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.requests.outcome import DONE, End, Outcome
from beam_talonone.talonone.requests.supersede import change_of, without
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.telemetry.stats import Stats
from beam_talonone.transforms.runtime.engines import read_key
from beam_talonone.transforms.sources.opening import FileInfo

PULLED = "input"
"""In the output folder: letters that were pulled from a subscription."""


@dataclass(frozen=True)
class ReplayOptions(BackfillOptions):
    """All of `replay`. `subscription` stands in the place of files; `state` is the folder of the stream whose letters
    they are, where that is not told by the place of the files."""

    command: str = "replay"
    subscription: str | None = None
    state: Path | None = None

    def fixed(self) -> dict[str, Any]:
        pulled = {} if self.subscription is None else {"DEAD_LETTERS_GLOB": self.subscription}
        return {**super().fixed(), **pulled, "--state": None if self.state is None else str(self.state.resolve())}


class Replay(Backfill):
    """A backfill whose input are dead letters.

    The job they came from tells what it applied since, and what earlier replays of it applied: that decides what may
    still be sent, and what this replay applies is noted there. Where it is a stream, its state folder tells.
    """

    options: ReplayOptions

    def run(self) -> dict[str, Any]:
        with STOP.taking_signals():
            return self._start()

    def _start(self) -> dict[str, Any]:
        options = self.options
        with STOP.raising():
            read_key(options.sending.api_key_env, options.sending.api_key_secret)
        if options.state is not None:
            problem = no_stream_in(options.state, options.sending.base_url)
            if problem is not None:
                raise ConfigurationError(f"--state: {problem}")
        if options.subscription is not None and not options.resume:
            if (options.output / PULLED).exists() and not (options.output / MANIFEST).exists():
                raise ConfigurationError(f"{options.output / PULLED} is there already: name another --output")
            from beam_talonone.pipelines.replay.pull import check_subscription

            with STOP.raising():
                check_subscription(options.subscription)
        return super()._start()

    def _read(self, folder: JobFolder, files: dict[str, list[FileInfo]]) -> None:
        if self.options.subscription is not None and not folder.read.exists():
            pull = partial(self._pulled, folder, self.options.subscription)
            files = interruptible(pull, None, patience=PATIENCE, then=RESUME)
        found = {self._origin_of(Path(info.path)) for info in files.get(LETTERS, ())}
        if self.options.state is not None:
            found.add(self.options.state.resolve() / REPLAYS)
        self.origins = sorted(origin for origin in found if origin is not None)
        super()._read(folder, files)

    def _pulled(self, folder: JobFolder, subscription: str) -> dict[str, list[FileInfo]]:
        from beam_talonone.pipelines.replay.pull import pull_letters

        path = pull_letters(subscription, folder.root / PULLED, self._notice, resumed=folder.resumed)
        self.options = replace(self.options, input=replace(self.options.input, globs={LETTERS: str(path)}))
        return {LETTERS: [FileInfo(str(path), path.stat().st_size, path.stat().st_mtime)]}

    def _origin_of(self, letters: Path) -> Path | None:
        """Where it is noted what was applied since: the spool of the job of these letters, or that of the replays of
        their stream."""
        if self.options.state is not None:
            return self.options.state.resolve() / REPLAYS
        if self.options.subscription is not None:
            return None
        state = whose(letters.parent) or letters.resolve().parent.parent
        if self._is_of_stream(state):
            return state / REPLAYS
        origin = origin_of(letters)
        lost = origin is not None and origin.name == REPLAYS and not self._is_of_stream(origin.parent)
        return None if lost else origin

    def _is_of_stream(self, state: Path) -> bool:
        return no_stream_in(state, self.options.sending.base_url) is None

    @property
    def _streams(self) -> list[Path]:
        """The state folders of the streams whose letters are replayed."""
        return [origin.parent for origin in self.origins if origin.name == REPLAYS]

    def _kept_by(self, connection: Any) -> Iterator[Any]:
        yield connection
        for origin in self.origins:
            with closing(staging.connect(origin)) as kept:
                yield kept

    def _after_reading(self, folder: JobFolder, files: dict[str, list[FileInfo]]) -> None:
        lost = [info.path for info in files[LETTERS] if self._origin_of(Path(info.path)) is None]
        if self.options.subscription is not None and lost:
            self._notice("no --state was given: what their stream has sent since cannot be taken into account")
        elif lost:
            self._notice(
                f"the job of {lost[0]} is not beside it, was a dry run, or sent to another deployment:"
                " what it applied since cannot be taken into account. Replay letters where the job wrote"
                " them, so that it is"
            )
        with closing(staging.reopen(folder.spool)) as connection:
            self._settle_by_origins(connection, folder)
            self.total = staging.order_queue(connection)
            self._say_altered(connection)
            staging.set_meta(connection, "origin", str(self.origins[0]) if self.origins else "")

    def _say_altered(self, connection: Any) -> None:
        (found,) = connection.execute(
            "SELECT COUNT(*) FROM fates WHERE end = ? AND reason = ?", (End.DEAD.value, Reason.ALTERED_RECORD.value)
        ).fetchone()
        if found:
            letters = "1 dead letter does" if found == 1 else f"{found:,} dead letters do"
            self._notice(
                f"{letters} not hold the record as it came and {'is' if found == 1 else 'are'} not sent; each is in"
                f" {self.options.output / 'dead-letters'} with the reason {Reason.ALTERED_RECORD.value}: {WHAT_TO_DO}"
            )

    def _settle_by_origins(self, connection: Any, folder: JobFolder) -> None:
        """Give a fate to the letters whose job has gone on, and take from the others what is newer there."""
        rows = connection.execute("SELECT rec, work FROM queue JOIN records USING (rec) ORDER BY number").fetchall()
        connection.execute("BEGIN")
        left: dict[int, Work] = {rec: Work.from_bytes(blob) for rec, blob in rows}
        for origin in self.origins:
            with closing(staging.connect(origin)) as applied:
                others = related(applied, left.values())
                for rec, letter in left.items():
                    self._recall(connection, applied, rec, letter)
                left = {
                    rec: work
                    for rec, before in left.items()
                    if (work := self._settle(connection, applied, rec, before, others, folder.job)) is not None
                }
        connection.execute("COMMIT")

    def _recall(self, connection: Any, applied: Any, rec: int, work: Work) -> None:
        """What other tries of the same record have left, which this letter may not tell."""
        (blob,) = connection.execute("SELECT origin FROM records WHERE rec = ?", (rec,)).fetchone()
        before = read_origin(blob)
        known = None if before is None else attempt_history.recalled(applied, work, before)
        if known != before:
            connection.execute("UPDATE records SET origin = ? WHERE rec = ?", (msgspec.json.encode(known), rec))

    def _settle(self, connection: Any, applied: Any, rec: int, work: Work, others: Related, job: str) -> Work | None:
        """What one origin leaves to be sent of a letter; None when it has its fate."""
        fate = _fate(applied, work)
        if isinstance(fate, Work):
            fate = left_of(applied, fate, others) or Outcome(End.SUPERSEDED)
        if isinstance(fate, Work):
            if fate is not work:
                staging.change_work(connection, rec, fate)
            return fate
        letter = None
        if fate.end is End.DEAD:
            letter = letter_of(connection, rec, fate, job, time.time())
        staging.settle(connection, [(rec, fate.end.value, fate.stage.value, fate.reason, letter)])
        return None

    def _slice(self, folder: JobFolder, connection: Any, first: int, last: int, chosen: set[int] | None) -> None:
        for state in self._streams:
            self._give_way(folder, connection, first, last, state)
        super()._slice(folder, connection, first, last, chosen)

    def _give_way(self, folder: JobFolder, connection: Any, first: int, last: int, state: Path) -> None:
        """Settle what is not to be sent, as the stream has gone on. It may do so still: this is asked late."""
        path = folder.journal(slice_name(first))
        told = replay_journal(path)
        packed = {number for members, _ in told.packs for number, _ in members}
        rows = connection.execute(
            "SELECT number, rec, work FROM queue JOIN records USING (rec) WHERE number BETWEEN ? AND ?", (first, last)
        ).fetchall()
        folder.kept.check()
        with sent_by(state) as sent, closing(Journal(path, Stats)) as journal:
            for number, rec, blob in rows:
                if number in told.done or number in packed:
                    continue
                work = Work.from_bytes(blob)
                fate = sent.fate(work)
                if isinstance(fate, Outcome):
                    journal.on_end(number, fate)
                elif fate is not work and number not in told.parts:  # those are counted by their place
                    staging.change_work(connection, rec, fate)

    def _fold(self, folder: JobFolder, connection: Any, name: str, told: Any) -> None:
        super()._fold(folder, connection, name, told)
        done = [number for number, (outcome, _) in told.done.items() if outcome.end in DONE]
        rows = [
            connection.execute(
                "SELECT kind, identity, content, session, customer, event_us, rank, version, work"
                " FROM queue JOIN records USING (rec) WHERE number = ?",
                (number,),
            ).fetchone()
            for number in done
        ]
        for origin in self.origins:
            with closing(staging.connect(origin)) as applied:
                applied.execute("BEGIN")
                applied.executemany("INSERT OR REPLACE INTO replayed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
                applied.execute("COMMIT")
        for state in self._streams:
            note_applied(state, [Work.from_bytes(row[-1]) for row in rows])


def origin_of(letters: Path) -> Path | None:
    """The spool of the job that wrote a file of dead letters; of a replay's, that of the job it replayed."""
    folder = letters.resolve().parent.parent
    path = folder / "state" / "spool.sqlite"
    if not (folder / MANIFEST).exists() or not path.exists():
        return None
    if started_with((folder / MANIFEST).read_bytes(), folder / MANIFEST)["options"].get("--dry"):
        return None  # what a dry run "applied" is not there
    with closing(staging.connect(path)) as connection:
        earlier = staging.get_meta(connection, "origin")
    if not earlier:
        return path
    return Path(earlier) if Path(earlier).exists() else None


def _fate(applied: Any, work: Work) -> Work | Outcome:
    """What is left to be sent of `work`, or why nothing is."""
    if work.kind in ("returns", "events", "calls"):
        known = _content_applied(applied, work)
        if known is None:
            return work
        if known == work.content:
            return Outcome(End.DUPLICATE)
        detail = "another record with this id was applied"
        return Outcome(End.DEAD, Reason.ID_REUSED.value, detail, stage=Stage.VALIDATE)
    newer = list(_newer(applied, work))
    if work.kind == "orders":
        return Outcome(End.SUPERSEDED) if newer else work
    left = without(work, [change_of(other) for other in newer])
    return Outcome(End.SUPERSEDED) if left is None else left


def _content_applied(applied: Any, work: Work) -> bytes | None:
    row = applied.execute(
        f"SELECT content FROM records JOIN fates USING (rec) WHERE identity = ? AND {staging.TAKEN}"
        " UNION ALL SELECT content FROM replayed WHERE kind = ? AND identity = ?",
        (work.identity, work.kind, work.identity),
    ).fetchone()
    return None if row is None else bytes(row[0])


def _newer(applied: Any, work: Work) -> Iterator[Work]:
    """Works of the same order, or profile, that were applied and come after `work` in the order of records."""
    return staging.applied_since(
        applied, work.kind, "session" if work.kind == "orders" else "customer", work.id, work.order()
    )
