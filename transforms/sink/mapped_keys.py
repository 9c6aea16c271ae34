"""The keys by which WriteToTalonOne groups the records of a mapping, which are of several kinds."""

from collections.abc import Iterable, Iterator

import apache_beam as beam
import msgspec

from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.streaming.call_key import call_key
from beam_talonone.transforms.sink.packed_record import Packed, in_order

_SESSION, _CUSTOMER = "session/", "profile/"


def first_key(work: Work) -> str:
    """The order that a record belongs to, else its customer. A call without either has what its other ids name."""
    if work.sessions:
        return f"{_SESSION}{work.sessions[0]}"
    if work.kind == "calls":
        return "/".join(call_key(work))
    return f"{_CUSTOMER}{(work.profiles or (work.id,))[0]}"


class FindMappedKeys(beam.DoFn):  # type: ignore[misc]
    """All records of an order, or all with another first key -> (second key, (work, record)).

    The second key of an order's records is the last customer of the order, and returns without a customer get this
    one. So they are sent in order with the customer's profile, events and other orders. Records without an order keep
    their key.
    """

    def process(self, group: tuple[str, Iterable[Packed]]) -> Iterator[tuple[str, Packed]]:
        """Emit the records of a group with their second key."""
        key, entries = group
        if not key.startswith(_SESSION):
            for entry in entries:
                yield key, entry
            return
        records = in_order(entries)
        customer = _customer_of([work for work, _ in records])
        second_key = key if customer is None else f"{_CUSTOMER}{customer}"
        for work, (data, record) in records:
            if customer is not None and work.kind == "returns" and not work.profiles:
                data = msgspec.structs.replace(work, profiles=(customer,)).to_bytes()
            yield second_key, (data, record)


def _customer_of(works: list[Work]) -> str | None:
    """The last customer of an order, of its records in order. A return may name an earlier customer."""
    named = [work for work in works if work.profiles]
    orders = [work for work in named if work.kind == "orders"]
    last = (orders or named)[-1:]
    return last[0].profiles[0] if last else None
