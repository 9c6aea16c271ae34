"""The lines of dead-letters/*.jsonl and results/*.jsonl: one shape for files, topics and PCollections."""

import logging
from datetime import UTC, datetime
from typing import Any

import msgspec

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.shown import Shown
from beam_talonone.talonone.requests.outcome import Outcome
from beam_talonone.talonone.telemetry.logs import Few, say
from beam_talonone.talonone.telemetry.redact import without_keys

log = logging.getLogger(__name__)

_FEW = Few(100, 60.0)
"""Of a flood of dead letters a hundred a minute are logged: all of them are written where they belong."""


_PLACES = ("file", "position", "subscription", "message_id", "step")


def dead_letter(
    kind: str,
    record_id: str | None,
    came: Shown,
    source: dict[str, Any],
    outcome: Outcome,
    job: str,
    at: float,
    attempt: str = "",
    done: list[str] | None = None,
) -> dict[str, Any]:
    """What is written of a record that could not be applied. `at` is in seconds since 1970.

    Where the record was sent, `first_sent_at` and `key` tell a replay under which key it may go again, and
    `parts_done` (`done`, see talonone.engine.applied_parts) which of a call's requests must not go again at all.
    """
    letter = {
        "kind": kind,
        "id": record_id,
        "record": came.record,
        "source": source,
        "stage": outcome.stage.value,
        "reason": outcome.reason,
        "detail": None if outcome.detail is None else without_keys(outcome.detail),
        "pointer": outcome.pointer,
        "operation": outcome.operation,
        "status": outcome.status,
        "attempts": outcome.attempts,
        "failed_at": rfc3339(at),
        "job": job,
        **came.marks(),
    }
    if outcome.first_sent is not None:
        letter["first_sent_at"] = rfc3339(outcome.first_sent)
        letter["key"] = {"attempt": attempt, "generation": outcome.generation}
    if done:
        letter["parts_done"] = done
    if log.isEnabledFor(logging.INFO):
        _log(letter, source)
    return letter


BEFORE = "before"
"""In a letter that a replay refused: what it said of the record's end before."""

_END = ("stage", "reason", "detail", "pointer", "operation", "status", "attempts", "failed_at", "job")


def refused_again(letter: bytes, outcome: Outcome, job: str, at: float) -> dict[str, Any]:
    """A dead letter (JSON) of which a replay sends nothing, as it is but for the reason: the next replay finds all
    that this one found. Logged as any other."""
    found = jsonio.parts(letter)
    before, code = found.pop(BEFORE, b""), found.get("reason")
    parts = {name: msgspec.Raw(part) for name, part in found.items()}
    told: Any = msgspec.Raw(before)
    if not before.startswith(b"{") or code != jsonio.dumps(outcome.reason):
        told = {name: parts[name] for name in _END if name in parts}
    end = {
        "stage": outcome.stage.value,
        "reason": outcome.reason,
        "detail": outcome.detail,
        "pointer": outcome.pointer,
        "operation": None,
        "status": None,
        "attempts": 0,
        "failed_at": rfc3339(at),
        "job": job,
    }
    again = {**parts, **end, BEFORE: told}
    if log.isEnabledFor(logging.INFO):
        _log({"kind": None, "id": None, **end}, {})
    return again


def _log(letter: dict[str, Any], source: dict[str, Any]) -> None:
    passes, kept_back = _FEW.passes()
    if kept_back:
        say(log, logging.INFO, f"{kept_back} dead letters more", job=letter["job"])
    if passes:
        named = {name: letter[name] for name in ("kind", "id", "stage", "reason", "operation", "status", "job")}
        where = {name: source[name] for name in _PLACES if name in source}
        say(log, logging.INFO, "dead letter", **named, **where)


def result(kind: str, record_id: str, outcome: Outcome) -> dict[str, Any]:
    """What is written of a record that was applied. `response` is there where a call was answered with something
    else than effects: the code or the card that was made. Where the answer could not be read, `unreadable` says why,
    and `effects` is null."""
    line = {
        "kind": kind,
        "id": record_id,
        "operation": outcome.operation,
        "status": outcome.status,
        "outcome": outcome.end.value,
        "effects": outcome.effects or [],
        "attempts": outcome.attempts,
    }
    if outcome.unreadable is not None:
        line |= {"effects": None, "unreadable": outcome.unreadable}
    return line if outcome.response is None else {**line, "response": outcome.response}


def rfc3339(at: float) -> str:
    """Seconds since 1970 as text, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
