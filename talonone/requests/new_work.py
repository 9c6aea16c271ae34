"""Makes the work for a valid record of its requests."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from beam_talonone.schemas.kinds import rank
from beam_talonone.schemas.types import micros
from beam_talonone.schemas.valid import ValidRecord
from beam_talonone.talonone.requests.identity import digest, identity
from beam_talonone.talonone.requests.work import Key, Part, Work

T = TypeVar("T")


def work_of(
    kind: str,
    record_id: str,
    record: ValidRecord,
    parts: Iterable[Part],
    sessions: Iterable[str],
    profiles: Sequence[str],
    content: Any,
    *,
    version: int = 0,
    status: str = "",
    others: Iterable[Key] = (),
) -> Work:
    """Return the work for a record. `content` gives its digest and identity, the record's event time its time."""
    event_us, digested = micros(record.event_time), digest(content)
    if len(profiles) > 1:
        profiles = each_once(profiles)
    return Work(
        kind, record_id, identity(kind, record_id, event_us, version, digested), digested, event_us,
        rank(kind, record), version, tuple(sessions), tuple(profiles), tuple(parts), status, tuple(others),
    )  # fmt: skip


def each_once(values: Iterable[T]) -> list[T]:
    """The values in their order, each only where it comes first."""
    return list(dict.fromkeys(values))
