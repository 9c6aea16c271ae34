"""What a job has applied since a record was refused, by records of whatever kind: a replay must not go over it."""

from collections.abc import Iterable, Iterator
from sqlite3 import Connection

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.packed import WORK_OF_RECORD, WORK_OF_REPLAYED, Works
from beam_talonone.schemas.kinds import ERASURE
from beam_talonone.talonone.requests.supersede import Change, change_of, without
from beam_talonone.talonone.requests.work import Key, Work

SESSION = "update_customer_session_v2"
PROFILE = frozenset(
    {"update_customer_profile_v2", "update_customer_profiles_v2", "update_customer_profile_audiences"}
)
ERASE = "delete_customer_data"

OWN = frozenset({"audience", "audience by name", "catalog"})
"""Things of which a later call may have changed all that an older one sets."""

SHARED = frozenset({"coupon", "card"})
"""Things of which a call concerns only the customers that it names."""

Related = dict[Key, list[Work]]


def related(applied: Connection, works: Iterable[Work]) -> Related:
    """The calls and erasures that a job has applied, by what they hold: those that share something with `works`."""
    keys = {key for work in works for key in work.keys()}  # noqa: SIM118 - a work is no dict
    by_key: Related = {}
    rows = applied.execute(
        f"SELECT {WORK_OF_RECORD} FROM records JOIN fates USING (rec) WHERE {staging.TAKEN}"  # nosec B608
        " AND (kind = 'calls' OR rank = ?)"
        f" UNION ALL SELECT {WORK_OF_REPLAYED} FROM replayed WHERE kind = 'calls' OR rank = ?",
        (ERASURE, ERASURE),
    )
    staged = Works(applied)
    for row in rows:
        work = staged.read(*row)
        for key in work.keys():  # noqa: SIM118
            if key in keys:
                by_key.setdefault(key, []).append(work)
    return by_key


def left_of(applied: Connection, work: Work, others: Related) -> Work | None:
    """What later records of other kinds leave to be sent of `work`; None when nothing."""
    later = [
        other
        for key in work.keys()  # noqa: SIM118
        for other in others.get(key, ())
        if other.order() > work.order() and other.identity != work.identity
    ]
    if work.kind != "returns" and not _does(work, {ERASE}) and any(_erases_all(other, work) for other in later):
        return None
    if _does(work, {SESSION}) and any(_same_session(other, work) for other in [*later, *_orders(applied, work)]):
        return None
    if work.kind == "calls" and any(_overtakes(other, work) for other in later):
        return None
    if not _does(work, PROFILE) or len(work.profiles) != 1:
        return work
    changes = [change_of(other) for other in later if _does(other, PROFILE) and other.profiles == work.profiles]
    return without(work, [*changes, *(_profile_changes(applied, work) if work.kind == "calls" else ())])


def _does(work: Work, operations: Iterable[str]) -> bool:
    return any(part.request.operation in operations for part in work.parts)


def _same_session(other: Work, work: Work) -> bool:
    """Whether `other` updates a session of `work`: a shared customer alone is not enough."""
    return _does(other, {SESSION}) and not set(other.sessions).isdisjoint(work.sessions)


def _erases_all(other: Work, work: Work) -> bool:
    return _does(other, {ERASE}) and bool(work.profiles) and set(work.profiles) <= set(other.profiles)


def _overtakes(other: Work, work: Work) -> bool:
    """True when a later call concerns what `work` concerns, and all of it."""
    things = set(work.others) & set(other.others)
    if any(kind in OWN for kind, _ in things):
        return True
    return any(kind in SHARED for kind, _ in things) and set(work.profiles) <= set(other.profiles)


def _orders(applied: Connection, work: Work) -> Iterator[Work]:
    """Orders that were applied after a call on their session."""
    if work.kind == "calls":
        for session in work.sessions:
            yield from _later(applied, "orders", "session", session, work)


def _profile_changes(applied: Connection, work: Work) -> Iterator[Change]:
    for other in _later(applied, "profiles", "customer", work.profiles[0], work):
        yield change_of(other)


def _later(applied: Connection, kind: str, column: str, held: str, work: Work) -> Iterator[Work]:
    later = staging.applied_since(applied, kind, column, held, work.order())
    return (other for other in later if other.order() > work.order())
