"""verify: what a backfill of the input leads to is read back from the API, and each difference is told."""

import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from typing import Any

import msgspec

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.ingest import letter_of
from beam_talonone.pipelines.backfill.job import Backfill
from beam_talonone.pipelines.backfill.options import BackfillOptions
from beam_talonone.pipelines.backfill.output_folder import JobFolder
from beam_talonone.pipelines.backfill.report import counted, explained
from beam_talonone.pipelines.backfill.slices import write_lines
from beam_talonone.pipelines.backfill.staging import read_and_dead
from beam_talonone.pipelines.terminal.console import run_shown
from beam_talonone.pipelines.terminal.stderr import stderr_console
from beam_talonone.pipelines.verify import targets
from beam_talonone.pipelines.verify.targets import Target
from beam_talonone.schemas import jsonio
from beam_talonone.talonone.compare.differences import Line
from beam_talonone.talonone.errors import Interrupted, TooManyDeadLetters
from beam_talonone.talonone.http.responses import Answer
from beam_talonone.talonone.protocols.session_reads import CannotRead
from beam_talonone.talonone.requests.outcome import End, Outcome, refused
from beam_talonone.talonone.state.whole_file import write_whole_file
from beam_talonone.transforms.sources.opening import FileInfo

CHUNK = 50
"""Targets that are read, and written down, together."""

UNDER_WAY = 20
"""Chunks in the engine's hands at a time: it does not run dry while one is settled, or while some keep failing."""

UnderWay = dict[Future[list[Answer]], list[Target]]

AGREE, DIFFER = "agree", "differ"
SUPERSEDED, DEAD = End.SUPERSEDED.value, End.DEAD.value
ENDS = ("filtered", "superseded", "duplicate", "dead_lettered", AGREE, DIFFER)
"""How a record ends here."""

Fate = tuple[int, str, str | None, str | None, bytes | None]
DIFFERENCES = "differences.jsonl"


class Verify(Backfill):
    """A job that prepares its input as a backfill does, and reads where that would send."""

    doing, done = "reading back", "sessions and customers read back"
    counted = "SELECT COUNT(*) FROM targets"

    def _after_reading(self, folder: JobFolder, files: dict[str, list[FileInfo]]) -> None:
        with closing(staging.reopen(folder.spool)) as connection:
            self.total = targets.list_targets(connection)

    def _send(self, folder: JobFolder, connection: Any) -> None:
        self.already = targets.count_done(connection)
        self._number = int(connection.execute("SELECT COALESCE(MAX(slice), 0) + 1 FROM stats").fetchone()[0])
        self._began = time.monotonic()
        self._records = 0
        engine = self._the_engine()
        with ThreadPoolExecutor(UNDER_WAY) as pool:
            try:
                # whoever still waits for answers must be told
                with engine.stopped_by_errors(Interrupted("the reading failed")):
                    under_way: UnderWay = {}
                    for chunk in targets.left_to_read(connection, self.total, CHUNK):
                        under_way[pool.submit(engine.answers, [target.request for target in chunk])] = chunk
                        if len(under_way) == UNDER_WAY:
                            self._settle_some(folder, connection, under_way)
                    while under_way:
                        self._settle_some(folder, connection, under_way)
            finally:
                self._keep_stats(connection)
        lines = connection.execute("SELECT line FROM differences ORDER BY target, at")
        # without a line too: an empty file says that nothing differs
        write_whole_file(folder.root / DIFFERENCES, (row[0] + b"\n" for row in lines))

    def _settle_some(self, folder: JobFolder, connection: Any, under_way: UnderWay) -> None:
        """Settle those chunks that are answered first: one that is slow, or fails for minutes, holds up no other."""
        for future in wait(under_way, return_when=FIRST_COMPLETED).done:
            self._settle(folder, connection, under_way.pop(future), future.result())

    def _settle(self, folder: JobFolder, connection: Any, chunk: list[Target], answers: list[Answer]) -> None:
        """Hold a chunk's answers against the input, and write down at once all that came of it."""
        fates: list[Fate] = []
        told: list[tuple[Target, list[Line]]] = []
        letters: list[bytes] = []
        for target, answer in zip(chunk, answers, strict=True):
            fates += [(rec, SUPERSEDED, None, None, None) for rec in target.superseded]
            try:
                lines = differences_of(target, answer)
            except CannotRead as error:
                outcome = unread(target, answer, str(error))
                fates += [(rec, DEAD, outcome.stage.value, outcome.reason, None) for rec in target.records]
                letters += [
                    letter_of(connection, rec, outcome, folder.job, time.time()) for rec in sorted(target.records)
                ]
                continue
            differing = {(line["kind"], line["id"]) for line in lines}
            for rec, what in target.records.items():
                fates.append((rec, DIFFER if what in differing else AGREE, None, None, None))
            told.append((target, lines))
        # written again by a run that was killed here: with the same name, so that nothing stands twice
        folder.kept.check()
        folder.kept.note(write_lines(folder.root / "dead-letters" / f"reads-{chunk[0].number:09d}.jsonl", letters))
        connection.execute("BEGIN")
        targets.keep_differences(connection, told)
        staging.settle(connection, fates)
        targets.note_done(connection, chunk)
        self._keep_stats(connection)
        connection.execute("COMMIT")
        self.tally.ended += len(chunk)
        self.tally.dead += len(letters)
        self._records += len(fates)
        if letters:
            self._judge(connection, letters[-1])

    def _judge(self, connection: Any, last: bytes) -> None:
        """End the run when too much cannot be read, as a backfill ends when too much cannot be sent."""
        read, in_all = read_and_dead(connection)
        dead, allowed = self.tally.dead, self.options.sending.max_dead_letters
        if allowed.exceeded(dead, self._records) or allowed.exceeded(in_all, read):
            letter = jsonio.loads(last)
            raise TooManyDeadLetters(
                f"{in_all} dead letters ({dead} of the {self._records} records read back now), more than"
                f" --max-dead-letters {allowed.text}; the last: {letter['reason']}: {letter['detail']}"
            )

    def _keep_stats(self, connection: Any) -> None:
        connection.execute(
            "INSERT OR REPLACE INTO stats VALUES (?, 0, ?, ?)",
            (self._number, msgspec.json.encode(self._the_engine().stats), time.monotonic() - self._began),
        )

    def _report(self, folder: JobFolder, connection: Any) -> dict[str, Any]:
        report = super()._report(folder, connection)
        for kind, counts in report["kinds"].items():
            report["kinds"][kind] = _verified(connection, kind, counts)
        left = sum(counts["read"] - sum(counts[end] for end in ENDS) for counts in report["kinds"].values())
        found: dict[str, dict[str, int]] = {}
        for kind, field, count in connection.execute(
            "SELECT kind, field, COUNT(*) FROM differences GROUP BY kind, field ORDER BY kind, field"
        ):
            found.setdefault(kind, {})[field] = count
        return {**report, "differences": found, "unaccounted": left}


def differences_of(target: Target, answer: Answer) -> list[Line]:
    """How what was read of a target differs from what was to be there. Raises CannotRead."""
    found = targets.found_by(target, answer)
    try:
        return target.compare(found)
    except (TypeError, KeyError, AttributeError, ArithmeticError) as error:
        raise CannotRead(f"the answer of {target.request.operation} has an odd shape: {error!r}") from None


def unread(target: Target, answer: Answer, why: str) -> Outcome:
    """The outcome of the records of a target that could not be read."""
    return msgspec.structs.replace(refused(target.request.operation, answer, answer.tries), detail=why)


def _verified(connection: Any, kind: str, counts: dict[str, int]) -> dict[str, int]:
    """The counts of a kind as a verification has them, from those of a backfill."""
    ends = dict(
        connection.execute(
            "SELECT end, COUNT(*) FROM fates JOIN records USING (rec) WHERE kind = ? GROUP BY end", (kind,)
        ).fetchall()
    )
    agree, differ = ends.get(AGREE, 0), ends.get(DIFFER, 0)
    kept = ("read", "invalid", "filtered", "superseded", "duplicate", "dead_lettered", "unknown_fields")
    return {name: counts[name] for name in kept} | {"checked": agree + differ, "agree": agree, "differ": differ}


def run_verify(options: BackfillOptions) -> int:
    """Read back what `options` name, with progress and account on stderr; returns the exit code.

    3 when something differs, could not be read or is no valid record, else 0.
    """
    console = stderr_console()
    report = run_shown(console, Verify, options, account)
    kinds = report["kinds"].values()
    if any(counts["differ"] for counts in kinds):
        console.print(f"each difference: {options.output / DIFFERENCES}", soft_wrap=True)
    if any(counts["dead_lettered"] for counts in kinds):
        console.print(f"what could not be checked, and why: {options.output / 'dead-letters'}", soft_wrap=True)
    return 3 if any(counts["differ"] or counts["dead_lettered"] for counts in kinds) else 0


def account(report: dict[str, Any]) -> list[str]:
    """The report for a person at the end of a run, as lines of text."""
    lines = counted(report, ("read", "agree", "differ", "superseded", "duplicate", "filtered", "dead_lettered"))
    for kind, fields in report["differences"].items():
        lines.append(f"{kind} differ in: " + ", ".join(f"{field} {count:,}" for field, count in fields.items()))
    if _nothing_found(report):
        lines.append("none of the orders was found: are the path and the deployment of --base-url the right ones?")
    return [*lines, *explained(report)]


def _nothing_found(report: dict[str, Any]) -> bool:
    checked = report["kinds"].get("orders", {}).get("checked", 0)
    absent = report["differences"].get("orders", {}).get("session", 0)
    return bool(checked) and absent == checked
