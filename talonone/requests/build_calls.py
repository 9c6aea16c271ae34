"""From a call to the requests that carry it out: one, or several where its list is longer than the API takes."""

from beam_talonone.schemas.calls import Beyond, Called, check_call
from beam_talonone.schemas.operations import OPERATIONS, Operation, SafeToRepeat
from beam_talonone.schemas.records import Call
from beam_talonone.schemas.types import micros
from beam_talonone.talonone.requests.new_work import each_once, work_of
from beam_talonone.talonone.requests.work import Key, Part, Work


def call_work(call: Call, *, dry: bool, effects: bool, beyond: Beyond) -> Work:
    """The work for a call. Raises InvalidRecord for one that the operation table refuses.

    `dry` and `effects` are as in BuildOptions; `beyond` is what becomes of names that the table does not have.
    """
    row = OPERATIONS.get(call.operation)
    more = {"silent": "no"} if effects and row is not None and "silent" in row.query else {}
    called = check_call(call.operation, call, more=more, dry=dry, beyond=beyond)
    parts = [_call_part(call, item, alone=len(called) == 1) for item in called]
    first = called[0].request
    query = {name: value for name, value in first.query.items() if name in call.query}  # not what options add
    bodies = [item.request.body_json() for item in called]
    content = [micros(call.event_time), call.operation, first.path, query, bodies]
    profiles = [profile for item in called for profile in item.profiles]
    return work_of(
        "calls", call.call_id, call, parts, each_once(session for item in called for session in item.sessions),
        profiles if call.ordering_key is None else [*profiles, call.ordering_key], content,
        others=[*each_once(other for item in called for other in item.others), *_own(call, row, parts)],
    )  # fmt: skip


def _own(call: Call, row: Operation | None, parts: list[Part]) -> list[Key]:
    """The key of an unsafe call: it holds its own id, so a second copy waits until the first one has ended."""
    unsafe = row is not None and any(row.repeats(part.request) is SafeToRepeat.NO for part in parts)
    return [("call", call.call_id)] if unsafe else []


def _call_part(call: Call, called: Called, *, alone: bool) -> Part:
    request = called.request
    row = OPERATIONS[request.operation]
    if alone:
        # a call with unknown names may not be safe to put in a bulk
        packs = row.bulk is not None and row.bulk.packs and 0 < called.entries < row.bulk.limit and not called.beyond
        return Part(request, "pack" if packs else "plain", called.entries)
    profiles = called.profiles if call.ordering_key is None else [*called.profiles, call.ordering_key]
    holds = each_once(
        [
            *(("session", session) for session in called.sessions),
            *(("profile", profile) for profile in profiles),
            *called.others,
            ("call", call.call_id),  # the requests of one call leave one after the other
        ]
    )
    return Part(request, "plain", called.entries, called.first, tuple(holds))
