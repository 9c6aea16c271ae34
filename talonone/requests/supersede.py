"""What newer profile changes leave of an older one: per attribute and per audience, never more."""

from dataclasses import dataclass

import msgspec

from beam_talonone.schemas import jsonio
from beam_talonone.talonone.requests.work import Part, Work


@dataclass(frozen=True)
class Change:
    """What a profile change sets: names of attributes, ids of audiences, and whether it erased everything."""

    attributes: frozenset[str]
    audiences: frozenset[int]
    erases: bool


def change_of(work: Work) -> Change:
    """The names that the profile change `work` sets."""
    attributes: set[str] = set()
    audiences: set[int] = set()
    for part in work.parts:
        body = part.request.body_json() or {}
        entries = body.get("customerProfiles", [body])
        for entry in entries:
            attributes.update(entry.get("attributes") or {})
        audiences.update(action["audienceId"] for action in body.get("data", ()))
    return Change(frozenset(attributes), frozenset(audiences), any(_erases(part) for part in work.parts))


def without(work: Work, newer: list[Change]) -> Work | None:
    """`work` without what `newer` changes set; None when nothing is left of it.

    An erasure that came later leaves nothing, and an erasure with anything newer behind it is not made up for: it
    would take away what came after it.
    """
    if not newer:
        return work
    if any(change.erases for change in newer) or change_of(work).erases:
        return None
    attributes = frozenset().union(*(change.attributes for change in newer))
    audiences = frozenset().union(*(change.audiences for change in newer))
    parts = tuple(left for part in work.parts if (left := _left(part, attributes, audiences)) is not None)
    return msgspec.structs.replace(work, parts=parts) if parts else None


def _erases(part: Part) -> bool:
    return part.request.operation == "delete_customer_data"


def _left(part: Part, attributes: frozenset[str], audiences: frozenset[int]) -> Part | None:
    body = part.request.body_json()
    if "data" in body:
        actions = [action for action in body["data"] if action["audienceId"] not in audiences]
        return _with_body(part, {"data": actions}, len(actions)) if actions else None
    bulk = "customerProfiles" in body
    entry = body["customerProfiles"][0] if bulk else body
    kept = {name: value for name, value in (entry.get("attributes") or {}).items() if name not in attributes}
    if not kept:
        return None
    changed = {**entry, "attributes": kept}
    return _with_body(part, {"customerProfiles": [changed]} if bulk else changed, 1)


def _with_body(part: Part, body: object, entries: int) -> Part:
    return msgspec.structs.replace(
        part, request=msgspec.structs.replace(part.request, body=jsonio.dumps(body)), entries=entries
    )
