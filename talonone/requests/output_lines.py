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
"""At most a hundred dead letters per minute are logged. All of them are written to their file or topic."""


_PLACES = ("file", "position", "subscription", "message_id", "step")


def dead_letter(
    kind: str,
    record_id: str | None,
    shown: Shown,
    source: dict[str, Any],
    outcome: Outcome,
    job: str,
    at: float,
    attempt: str = "",
    done: list[str] | None = None,
) -> dict[str, Any]:
    """Return the dead letter of a record that could not be applied. `at` is in seconds since 1970.

    If the record was sent, `first_sent_at` and `key` show a replay which idempotency key it may go under.
    `parts_done` names the requests of a call that must not go again (`done`, see talonone.engine.applied_parts).
    """
    line = {
        "kind": kind,
        "id": record_id,
        "record": shown.record,
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
        **shown.marks(),
    }
    if outcome.first_sent is not None:
        line["first_sent_at"] = rfc3339(outcome.first_sent)
        line["key"] = {"attempt": attempt, "generation": outcome.generation}
    if done:
        line["parts_done"] = done
    if log.isEnabledFor(logging.INFO):
        _log(line, source)
    return line


BEFORE = "before"
"""The field of a dead letter that a replay refused: it holds the fields of _END from before the replay."""

_END = ("stage", "reason", "detail", "pointer", "operation", "status", "attempts", "failed_at", "job")


def refused_again(line: bytes, outcome: Outcome, job: str, at: float) -> dict[str, Any]:
    """Return the dead letter `line` (JSON) with another reason, for a record that a replay does not send.

    The other fields stay, so the next replay has the same data. It is logged like any other dead letter. `at` is in
    seconds since 1970. Raises ValueError for a line that is not a JSON object.
    """
    existing = jsonio.parts(line)
    before, code = existing.pop(BEFORE, b""), existing.get("reason")
    parts = {name: msgspec.Raw(part) for name, part in existing.items()}
    previous: Any = msgspec.Raw(before)
    if not before.startswith(b"{") or code != jsonio.dumps(outcome.reason):
        previous = {name: parts[name] for name in _END if name in parts}
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
    if log.isEnabledFor(logging.INFO):
        _log({"kind": None, "id": None, **end}, {})
    return {**parts, **end, BEFORE: previous}


def _log(line: dict[str, Any], source: dict[str, Any]) -> None:
    passes, kept_back = _FEW.passes()
    if kept_back:
        say(log, logging.INFO, f"{kept_back} dead letters more", job=line["job"])
    if passes:
        named = {name: line[name] for name in ("kind", "id", "stage", "reason", "operation", "status", "job")}
        where = {name: source[name] for name in _PLACES if name in source}
        say(log, logging.INFO, "dead letter", **named, **where)


def result(kind: str, record_id: str, outcome: Outcome) -> dict[str, Any]:
    """Return the result line of a record that was applied.

    `response` is present if the answer to a call holds more than effects, such as a new code or card. If the answer
    could not be read, `unreadable` holds the reason, and `effects` is null.
    """
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


def other(kind: str, record_id: str, outcome: Outcome) -> dict[str, Any]:
    """Return the line of a record that was neither applied nor refused: superseded, duplicate or skipped."""
    return {"kind": kind, "id": record_id, "outcome": outcome.end.value, "reason": outcome.reason}


def rfc3339(at: float) -> str:
    """Seconds since 1970 as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
