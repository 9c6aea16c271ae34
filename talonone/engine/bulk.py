"""Bulks: packing entries of many customers into one request, and finding the poisoned ones when it is refused.

Pure: the packing never sends, and `isolate` sends through a function that its caller passes.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, TypeVar

import msgspec
from msgspec.structs import replace

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.request import Request
from beam_talonone.talonone.delivery.retry_budget import FEW as FEW_FAILING
from beam_talonone.talonone.http.responses import Answer, Verdict
from beam_talonone.talonone.requests.work import Key

T = TypeVar("T")


class Entry(msgspec.Struct, Generic[T]):  # a dataclass takes three times as long to make
    """The entry of one customer: the requests of `members`. Where they overlap, later ones win."""

    members: list[T]
    requests: list[Request]
    size: int = 1


@lru_cache(maxsize=64)
def _canonical_query(name: str, value: str) -> bytes:
    return jsonio.canonical([{}, {name: value}])


Variant = tuple[str, bytes]
"""(operation, path and query as JSON): requests travel together only if these are equal."""


def variant_of(request: Request) -> Variant:
    """The variant of `request`: only requests of one variant travel in one bulk."""
    query = request.query
    if not request.path and len(query) == 1:  # nearly all: called for each record
        ((name, value),) = query.items()
        if isinstance(value, str):
            return request.operation, _canonical_query(name, value)
    return request.operation, jsonio.canonical([request.path, query])


MOST_BYTES = 4 * 1024 * 1024
"""Bytes of a bulk's entries: large records must not make a request that takes longer than a request may."""


@dataclass
class Pack(Generic[T]):
    """An open bulk: entries in the order they came, and all that they hold together."""

    operation: str
    entries: list[Entry[T]] = field(default_factory=list)
    held: dict[Key, Entry[T]] = field(default_factory=dict)
    """Key -> the last entry that holds it."""
    size: int = 0
    bytes: int = 0
    limit: int = field(init=False)
    merges: bool = field(init=False)
    """True where two changes of one customer travel as one entry."""

    def __post_init__(self) -> None:
        bulk = OPERATIONS[self.operation].bulk
        self.limit = 1 if bulk is None else bulk.limit
        self.merges = bulk is not None and bulk.merges

    @property
    def rank(self) -> int:
        """Bulks of a lower rank leave first when all are sealed: a record's attributes before its audiences."""
        return 0 if self.merges else 1

    def room_for(self, size: int, request: Request) -> bool:
        """Whether `size` more entries, those of `request`, fit. An empty bulk takes any."""
        fits = not self.entries or self.bytes + len(request.body or b"") <= MOST_BYTES
        return fits and self.size + size <= self.limit

    def holds(self, keys: Iterable[Key], *, customers_only: bool = False) -> bool:
        """True when any of `keys` is held by an entry. All requests of a variant may hold a coupon together."""
        for key in keys:  # noqa: SIM110 - called several times for each record
            if key in self.held and (key[0] == "profile" or not customers_only):
                return True
        return False

    def add(self, member: T, request: Request, size: int, keys: Iterable[Key]) -> None:
        """Add a request. If `merges`, it joins the entry of the same customer."""
        held = self.held
        self.bytes += len(request.body or b"")
        for key in keys if self.merges else ():
            if key in held:
                entry = held[key]
                entry.members.append(member)
                entry.requests.append(request)
                break
        else:
            entry = Entry([member], [request], size)
            self.entries.append(entry)
            self.size += size
        for key in keys:
            held[key] = entry


def bulk_request(requests: list[Request]) -> Request:
    """Return one request with the entries of all, in order. All are of one variant; each body is a single list."""
    first = requests[0]
    bulk = OPERATIONS[first.operation].bulk
    if bulk is None or len(requests) == 1:
        return first
    head = b'{"' + bulk.field.encode() + b'":['
    entries = b",".join((request.body or b"")[len(head) : -2] for request in requests)
    return msgspec.structs.replace(first, body=head + entries + b"]}")


def merged(requests: list[Request]) -> Request:
    """Return one profile update with the effect of several updates of the same customer, in order."""
    if len(requests) == 1:
        return requests[0]
    entry: dict[str, object] = {}
    attributes: dict[str, object] = {}
    for request in requests:
        change = request.body_json()["customerProfiles"][0]
        attributes.update(change.get("attributes") or {})
        entry.update(change)
    if attributes or "attributes" in entry:
        entry["attributes"] = attributes
    return msgspec.structs.replace(requests[0], body=jsonio.dumps({"customerProfiles": [entry]}))


FEW = 3
"""Innocent entries after which the pointers of an error are no longer trusted."""

SOME = FEW_FAILING + 1
"""Entries of a bulk that kept failing, spread over it, that show whether the API works for any."""

SendEntries = Callable[[list[int]], Awaitable[Answer]]
"""Sends the entries of these numbers as one bulk."""

TrySome = Callable[[list[int]], Awaitable[tuple[int, Answer]]]
"""Tries these entries in turn, each alone, until one has an answer that is no passing failure, or the API accepts
something else. Returns the number of the last one and its answer."""


async def isolate(
    count: int,
    send: SendEntries,
    pointed: Callable[[Answer, list[int]], list[int]],
    try_some: TrySome,
    *,
    whole: tuple[int, ...] = (),
) -> list[Answer]:
    """Send `count` entries, and isolate the poisoned ones. Returns the answer for each entry, in order.

    The entries go as one bulk. If the API refuses it, the next requests depend on the error:

    * If the error points at entries, these go alone and the others together. `pointed` returns them, and takes the
      answer and the numbers that were sent. A poisoned entry then costs two or three requests.
    * Without a pointer, or after pointers at innocent entries, the halves go apart: two requests for each halving.
    * If its retries are exhausted, SOME entries are tried first, each alone: an API that fails for all would hold
      each half for as long as it held the whole.
    * A status in `whole` is about something that all entries share, so it is the answer for all.

    An answer may also be about the API key (see talonone.delivery.refused_key). Then both halves go before either is
    taken apart, as an accepted half shows that the key is not to blame.
    """
    answers: dict[int, Answer] = {}
    waiting: list[tuple[list[int], bool, Answer | None]] = [(list(range(count)), True, None)]
    while waiting:
        numbers, trust, sent_before = waiting.pop()
        answer = sent_before or await send(numbers)
        if len(numbers) > 1 and answer.verdict is Verdict.STOP:
            waiting += [(half, trust, half_answer) for half, half_answer in await _both_halves(numbers, answer, send)]
            continue
        if answer.ok or len(numbers) == 1 or answer.status in whole or not _concerns_entries(answer):
            answers.update(dict.fromkeys(numbers, answer))
            continue
        suspects = list(dict.fromkeys(pointed(answer, numbers))) if trust else []
        if len(numbers) == count > FEW_FAILING and answer.reason is Reason.RETRIES_EXHAUSTED:
            number, alone = await try_some([place * count // SOME for place in range(SOME)])
            if alone.ok:
                answers[number] = alone
                numbers = [other for other in numbers if other != number]
                suspects = [other for other in suspects if other != number]
        if not suspects or len(suspects) == len(numbers):
            middle = len(numbers) // 2
            waiting += [(numbers[middle:], trust, None), (numbers[:middle], trust, None)]
            continue
        guilty = False
        for sent, suspect in enumerate(suspects):
            if sent == FEW and not guilty:
                break
            alone = await send([suspect])
            answers[suspect] = alone
            guilty = guilty or not alone.ok
        rest = [number for number in numbers if number not in answers]
        waiting.append((rest, guilty, None))
    return [answers[number] for number in range(count)]


async def _both_halves(numbers: list[int], whole: Answer, send: SendEntries) -> list[tuple[list[int], Answer]]:
    """Send the halves of a bulk refused with `whole`. Returns (numbers, answer) of each half, the first half last.

    If one half is accepted, the other half caused the refusal of the whole, so its refusal dates back to that. The
    refusal is confirmed only if something was accepted between two refusals. Two refusals in a row, followed by a
    success, may also come from a key that was wrong for a moment.
    """
    middle = len(numbers) // 2
    first = _refused_again(await send(numbers[:middle]), whole, accepted_since=whole.accepted_since)
    second = _refused_again(await send(numbers[middle:]), whole, accepted_since=whole.accepted_since or first.ok)
    if first.ok and second.verdict is Verdict.STOP:
        second = replace(second, refused_at=whole.refused_at)
    elif second.ok and first.verdict is Verdict.STOP:
        first = replace(first, refused_at=whole.refused_at, accepted_since=True)
    return [(numbers[middle:], second), (numbers[:middle], first)]


def _refused_again(answer: Answer, whole: Answer, *, accepted_since: bool) -> Answer:
    """Mark the answer to a part of a bulk refused with `whole`. `accepted_since`: a success came in between."""
    if answer.verdict is not Verdict.STOP:
        return answer
    return replace(answer, accepted_since=accepted_since, confirmed=whole.confirmed or accepted_since)


def _concerns_entries(answer: Answer) -> bool:
    """Whether one entry may have caused `answer`: a refusal, or repeated failures while the API works for others.

    Such failures come from a locked profile, an entry that crashes the API, or a bulk that exceeds its time limit.
    """
    if answer.reason is Reason.RETRIES_EXHAUSTED:
        return answer.status not in (425, 429)
    return answer.status in (400, 404, 413, 422)


def pointed_entries(field_name: str, answer: Answer, sizes: dict[int, int]) -> list[int]:
    """Return the numbers of the entries that the JSON pointers of `answer` name.

    `sizes` holds, in the order of sending, how many places of the bulk's list each entry takes.
    """
    owners = [number for number, size in sizes.items() for _ in range(size)]
    pointed: list[int] = []
    for problem in answer.problems:
        parts = (problem.pointer or "").lstrip("#").strip("/").split("/")
        if len(parts) >= 2 and parts[0] == field_name and parts[1].isdecimal() and len(parts[1]) < 10:
            place = int(parts[1])
            pointed += [owners[place]] if place < len(owners) else []
    return pointed
