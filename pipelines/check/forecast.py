"""What a check keeps of each record: enough to count its requests, and the work of the first ones, to show them."""

import msgspec

from beam_talonone.schemas.request import Request
from beam_talonone.talonone.requests.build import guest_id
from beam_talonone.talonone.requests.dry_run import not_dry
from beam_talonone.talonone.requests.work import Key, Part, Work
from beam_talonone.transforms.sources.prepare import Prepared

_UPDATED = ("orders", "profiles")
"""Kinds whose records of one identity have one time: the first in the input is the one that is sent."""


class Single(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="single"):
    """A part that travels alone."""

    operation: str
    holds: tuple[Key, ...] | None = None


class Packed(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="packed"):
    """A part that travels in a bulk: the request without its body, and the bytes of that."""

    request: Request
    size: int
    entries: int
    holds: tuple[Key, ...] | None = None


class Forecast(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The requests of a record. It stands in the column `work` of the staging database of a check.

    Records of the same requests have equal bytes wherever that is possible, so that SQLite counts them.
    """

    guest: bool = False
    """Whether it is an order without a customer."""
    customer: bool = False
    """Whether it holds the customer of its row, and not only the session. A return may get its customer later."""
    parts: list[Single | Packed] = []
    keys: tuple[Key, ...] | None = None
    """What the record holds, if it is not the session and the customer of its row."""
    work: bytes = b""
    """The whole work of a record whose requests may be shown."""


NOTHING = msgspec.msgpack.encode(Forecast())
"""The forecast of a record without requests."""

read_forecast = msgspec.msgpack.Decoder(Forecast).decode
"""The forecast of its bytes."""


class ForecastBlobs:
    """Makes forecasts of the works of one step. With `dry`, without what a dry run leaves out.

    The first `show` requests in input order can be shown: each record that may be one of them has its work. Of a kind
    in `_UPDATED`, these are the first `show` of different identity among records that come in the order of a file.
    """

    def __init__(self, show: int, *, dry: bool) -> None:
        self._show, self._dry = show, dry
        self._file, self._position = "", 0
        self._seen: dict[str, set[bytes]] = {}

    def __call__(self, prepared: Prepared, work: Work, filtered: bool) -> tuple[None, bytes]:
        """The columns `raw` and `work`. A check shows no record as it came."""
        skipped = not_dry(work) if self._dry else {}
        parts = [_part(part) for index, part in enumerate(work.parts) if index not in skipped]
        if not parts:
            return None, NOTHING
        plain = not work.others and len(work.sessions) <= 1 and len(work.profiles) <= 1
        forecast = Forecast(
            is_guest(work), bool(work.profiles), parts, None if plain else work.keys(),
            work.to_bytes() if self._show and not filtered and self._may_be_shown(prepared, work) else b"",
        )  # fmt: skip
        return None, _encoded(forecast)

    def _may_be_shown(self, prepared: Prepared, work: Work) -> bool:
        if work.kind not in _UPDATED:
            return True
        raw = prepared.raw
        if raw.file != self._file or raw.position < self._position:
            self._seen.clear()
        self._file, self._position = raw.file, raw.position
        seen = self._seen.setdefault(work.kind, set())
        if work.identity in seen:
            return True
        if len(seen) >= self._show:
            return False
        seen.add(work.identity)
        return True


_encoded = msgspec.msgpack.Encoder().encode


def _part(part: Part) -> Single | Packed:
    request = part.request
    if part.protocol != "pack":
        return Single(request.operation, part.holds)
    return Packed(msgspec.structs.replace(request, body=None), len(request.body or b""), part.entries, part.holds)


def is_guest(work: Work) -> bool:
    """Whether the work is that of an order without a customer."""
    return work.kind == "orders" and work.profiles[:1] == (guest_id(work.id),)


def work_to_pack(forecast: Forecast, session: str | None, customer: str | None) -> Work:
    """As much of the work of a record as batching looks at. `session` and `customer` are those of its row."""
    parts = tuple(
        Part(Request(part.operation, "", ""), "plain", holds=part.holds)
        if isinstance(part, Single)
        else Part(_with_body(part), "pack", part.entries, holds=part.holds)
        for part in forecast.parts
    )
    if forecast.keys is not None:
        return _work((), (), parts, forecast.keys)
    sessions = () if session is None else (session,)
    return _work(sessions, (customer,) if forecast.customer and customer is not None else (), parts, ())


def _with_body(part: Packed) -> Request:
    return msgspec.structs.replace(part.request, body=bytes(part.size))


def _work(
    sessions: tuple[str, ...], profiles: tuple[str, ...], parts: tuple[Part, ...], others: tuple[Key, ...]
) -> Work:
    return Work("", "", b"", b"", 0, 0, 0, sessions, profiles, parts, others=others)
