"""How a record ended. Every record that was read has exactly one outcome."""

from enum import StrEnum
from typing import Any

import msgspec

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.reasons import Reason, Skip, Stage
from beam_talonone.talonone.http.responses import Answer


class End(StrEnum):
    """How a part or a record ended, as result lines and reports name it."""

    APPLIED = "applied"
    ALREADY_APPLIED = "already_applied"
    SUPERSEDED = "superseded"
    DUPLICATE = "duplicate"
    SKIPPED = "skipped"
    FILTERED = "filtered"
    DEAD = "dead_lettered"


END_APPLIED = End.APPLIED
"""The end of nearly all records. Looking up a member of an enum takes longer than a call, so code that runs for each
record binds the member to a name."""

DONE = (End.APPLIED, End.ALREADY_APPLIED)
"""The ends of a record that the API has taken."""


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):  # journals and logs hold one for each record
    """The end of a record, or of one of its parts.

    `reason` is a Reason for a dead letter and a Skip for a skipped record. `status` and `operation` are those of the
    answer that decided; `attempts` counts all requests made for it. `effects` is the JSON list that the API answered.
    """

    end: End
    reason: str | None = None
    detail: str | None = None
    pointer: str | None = None
    operation: str | None = None
    status: int | None = None
    attempts: int = 0
    effects: list[Any] | None = None
    stage: Stage = Stage.SEND
    first_sent: float | None = None
    """Seconds since 1970 of the first try, where there was one."""
    generation: int = 0
    """The generation of the last key it was tried under."""
    response: Any = None
    """What the API answered to a call, where that was asked for."""
    unreadable: str | None = None
    """Why the answer's body could not be read."""
    place: tuple[int, int] | None = None
    """Of a lookup: where its line lies, as offset and length in bytes."""
    parts_done: list[int] | None = None
    """Of a dead letter of several requests: those that the API has taken."""
    premature: bool = False
    """Of a return: its order is not there, or not closed. Nothing was sent, and a later try may find it so."""
    customer: str | None = None
    """Of a premature return without a customer: whose order it is. It is to go again, ordered with that customer."""

    @property
    def definite(self) -> bool:
        """False when it is not known whether the API acted."""
        return self.end is not End.DEAD or self.reason is None or Reason(self.reason).definite


def applied(operation: str, answer: Answer, attempts: int, *, effects: bool) -> Outcome:
    """The outcome of an answer that says yes; the effects are read only if asked for."""
    listed = _effects(answer.body) if effects and answer.unreadable is None else None
    return Outcome(
        End.APPLIED, operation=operation, status=answer.status, attempts=attempts, effects=listed,
        unreadable=answer.unreadable,
    )  # fmt: skip


def response_of(answer: Answer) -> Any:
    """What the API answered to a call, where it is more than effects: the code it made, the card, what was asked for
    by `responseContent`. None where there is nothing else."""
    try:
        value = jsonio.loads_around(answer.body) if answer.body else None
    except ValueError:
        return None
    if isinstance(value, dict) and "effects" in value:
        return value if any(more for name, more in value.items() if name != "effects") else None
    return value


def refused(operation: str, answer: Answer, attempts: int, reason: Reason | None = None) -> Outcome:
    """A dead letter from an answer that says no, under the answer's reason or a more telling one."""
    why = reason or answer.reason or Reason.REFUSED
    return Outcome(End.DEAD, why.value, answer.message, answer.pointer, operation, answer.status, attempts)


def skipped(reason: Skip, operation: str | None = None, attempts: int = 0) -> Outcome:
    """The outcome of a part for which nothing is sent, and which is no dead letter."""
    return Outcome(End.SKIPPED, reason.value, operation=operation, attempts=attempts)


def id_reused() -> Outcome:
    """The outcome of a record whose id an earlier record has, with other content."""
    detail = "an earlier record has this id and other content"
    return Outcome(End.DEAD, Reason.ID_REUSED.value, detail, stage=Stage.VALIDATE)


def _effects(body: bytes) -> list[Any]:
    try:
        value = jsonio.loads_around(body) if body else {}
    except ValueError:
        return []
    effects = value.get("effects") if isinstance(value, dict) else None
    return effects if isinstance(effects, list) else []


def combined(parts: list[Outcome]) -> Outcome:
    """One outcome of a record's parts: a dead letter if there is one, else applied if any part was, else its first.

    Of several dead letters one of ambiguous outcome counts: a replay must not repeat what may have acted.
    """
    if len(parts) == 1:
        return parts[0]
    attempts = sum(part.attempts for part in parts)
    all_dead = [part for part in parts if part.end is End.DEAD]
    dead = max(all_dead, key=lambda part: (part.reason == Reason.OUTCOME_UNKNOWN, not part.definite), default=None)
    chosen = dead or next((part for part in parts if part.end is End.APPLIED), parts[0])
    effects = [effect for part in parts for effect in part.effects or ()]
    unreadable = next((part.unreadable for part in parts if part.unreadable is not None), None)
    responses = [part.response for part in parts]
    done = [index for index, part in enumerate(parts) if part.end in DONE]
    tried = [part.first_sent for part in parts if part.first_sent is not None]
    return msgspec.structs.replace(
        chosen,
        attempts=attempts,
        effects=effects if any(part.effects is not None for part in parts) else None,
        first_sent=min(tried, default=None),
        unreadable=unreadable,
        response=responses if any(response is not None for response in responses) else None,
        parts_done=done if dead is not None and done else None,
    )
