"""What a client does with an answer that has come: unpack it, take the API key out of it, and make a reply of it."""

import zlib

import msgspec

from beam_talonone.schemas.decoding.inflate import CannotInflate, inflate
from beam_talonone.talonone.http.send import LONGEST_ANSWER, BadAddress, Reply
from beam_talonone.talonone.telemetry.redact import Redactor

TLS_ALERT = b"\x15\x03"
"""How a port that speaks TLS begins its answer to plain HTTP."""

MOST_CODINGS = 4
"""Codings on top of each other: nobody uses more than one."""

_NEEDS_TLS = (b"plain HTTP request was sent to HTTPS port", b"HTTP request to an HTTPS server")
"""What nginx and Go's servers answer, with status 400, to a request that is not encrypted where it must be."""


class Answered(msgspec.Struct, frozen=True, gc=False):
    """An answer as it came: status, body, and the headers Retry-After and Content-Encoding.

    `too_long` where the body is longer than any that is read; it is empty then."""

    status: int
    body: bytes
    retry_after: str | None = None
    encoding: str | None = None
    too_long: bool = False


class Unreadable(Exception):
    """A body that cannot be unpacked; the message says why."""


def reply_of(answered: Answered, redactor: Redactor, place: str, *, tls: bool) -> Reply:
    """The reply of `place` (HOST:PORT), which was spoken to with `tls` or without. Raises BadAddress."""
    status, body, unreadable = answered.status, answered.body, None
    if answered.too_long:
        body, unreadable = b"", f"it is longer than {LONGEST_ANSWER >> 20} MiB"
    elif answered.encoding is not None and body:
        try:
            body = unpacked(body, answered.encoding)
        except Unreadable as error:
            body, unreadable = b"", str(error)
    if status == 400 and not tls and any(words in body for words in _NEEDS_TLS):
        raise BadAddress(needs_tls(place))
    return Reply(status, redactor.bytes(body), answered.retry_after, unreadable)


def needs_tls(place: str) -> str:
    """What to say of a port that takes encrypted requests only."""
    return f"{place} speaks TLS, and the request was plain HTTP: is https:// meant?"


def unpacked(body: bytes, encoding: str) -> bytes:
    """`body` without the codings of its Content-Encoding header. Raises Unreadable."""
    codings = [coding.strip().lower() for coding in encoding.split(",")]
    if len(codings) > MOST_CODINGS:
        raise Unreadable(f"it has {len(codings)} codings on top of each other")
    for coding in reversed(codings):
        if coding in ("gzip", "x-gzip"):
            body = _inflated(body, zlib.MAX_WBITS | 16)
        elif coding == "deflate":
            # meant is zlib's format, but some servers send the bare one
            zlib_header = len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
            body = _inflated(body, zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS)
        elif coding not in ("identity", ""):
            raise Unreadable(f"its Content-Encoding {coding[:40]!a} is unknown")
    return body


def _inflated(packed: bytes, window: int) -> bytes:
    """Raises Unreadable."""
    try:
        return inflate(packed, window, LONGEST_ANSWER)
    except CannotInflate as error:
        raise Unreadable(str(error)) from None
