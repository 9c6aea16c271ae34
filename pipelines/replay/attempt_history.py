"""The attempts at records that were not applied, kept with the job they came from, however often they are replayed.

The dead letters of a replay may be old, and several may be of one record. So the attempts of all of them decide which
requests must not be sent twice.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from sqlite3 import Connection

from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.engine.applied_parts import applied_parts, union
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.work import Work
from beam_talonone.transforms.sources.prepare import Origin


def note(connection: Connection, work: Work, outcome: Outcome, attempt: str, before: Iterable[str]) -> None:
    """Keep what a dead letter of `work` leaves: requests that were applied (`before` are those of earlier tries), and
    whether it is clear that nothing else was."""
    if outcome.end is not End.DEAD:
        return
    done = union(applied_parts(work, outcome), before)
    row = connection.execute("SELECT done FROM tried WHERE identity = ?", (work.identity,)).fetchone()
    if row is not None:
        done = union(done, json.loads(row[0]))
    unclear = not outcome.definite and outcome.first_sent is not None
    if not done and not unclear:
        return
    connection.execute(
        "INSERT INTO tried VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (identity) DO UPDATE SET done = excluded.done,"
        " unknown = MAX(unknown, excluded.unknown), first_sent = COALESCE(excluded.first_sent, first_sent),"
        " attempt = CASE WHEN excluded.first_sent IS NULL THEN attempt ELSE excluded.attempt END,"
        " generation = CASE WHEN excluded.first_sent IS NULL THEN generation ELSE excluded.generation END",
        (
            work.identity, json.dumps(done), outcome.reason == Reason.OUTCOME_UNKNOWN,
            outcome.first_sent if unclear else None, attempt, outcome.generation,
        ),
    )  # fmt: skip


def recalled(connection: Connection, work: Work, origin: Origin) -> Origin:
    """`origin`, with what the job knows of other tries of the same record."""
    row = connection.execute(
        "SELECT done, unknown, first_sent, attempt, generation FROM tried WHERE identity = ?", (work.identity,)
    ).fetchone()
    if row is None:
        return origin
    done, unknown, first_sent, attempt, generation = row
    parts_done = tuple(union(json.loads(done), origin.parts_done))
    if first_sent is None or not origin.definite:
        return replace(origin, parts_done=parts_done, unknown=origin.unknown or bool(unknown))
    return Origin(
        origin.file, origin.position, origin.source, False, attempt, generation, first_sent, bool(unknown), parts_done
    )
