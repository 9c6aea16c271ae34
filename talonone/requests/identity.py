"""A record's identity and the idempotency keys that follow from it.

Whatever is retried, replayed or read again within 24 hours must reach the API under the same key; a dry run, or a
replay after a definite refusal, must not (the API stores refusals and dry answers too).
"""

from hashlib import blake2b, sha1
from typing import Any
from uuid import UUID

from beam_talonone.schemas import jsonio

_NAMESPACE = UUID("8a1dd2d6-6a5e-5f0b-9d5b-6c9cf7ac7d10").bytes
_VERSIONED = frozenset({"orders", "profiles"})


def digest(value: Any) -> bytes:
    """16 bytes that stand for a JSON value; equal values give equal digests whatever the order of their names."""
    return blake2b(jsonio.canonical(value), digest_size=16).digest()


def identity(kind: str, record_id: str, event_us: int, version: int, content: bytes) -> bytes:
    """16 bytes: two records with the same are one record that came twice.

    Orders and profile changes are updated under one id, so time, version and content (a digest) belong to theirs; a
    return, event or call is its kind and id.
    """
    if kind in _VERSIONED:
        return digest([kind, record_id, event_us, version, content.hex()])
    return digest([kind, record_id])


def idempotency_key(identities: list[bytes], step: str, *, dry: bool = False, attempt: str = "") -> str:
    """The key of one request (a UUIDv5): of a record's `step`, or of a bulk that holds several records.

    `attempt` names a replay after a definite refusal; the first sending has none.
    """
    parts = [b"".join(identities).hex(), step, "dry" if dry else "real", attempt]
    return _uuid5("/".join(parts))


def _uuid5(name: str) -> str:
    """What uuid.uuid5 gives, in a third of its time."""
    hashed = bytearray(sha1(_NAMESPACE + name.encode(), usedforsecurity=False).digest()[:16])
    hashed[6] = hashed[6] & 0x0F | 0x50
    hashed[8] = hashed[8] & 0x3F | 0x80
    text = hashed.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


KEY_HOLDS = 23 * 3600.0
"""Seconds after its first try for which a request may go again under its key: the API keeps answers for 24 hours."""

CLOCK_OFF = 60.0
"""Seconds that two clocks may differ by. What was sent further in the future than that was sent before the clock was
set back, and nobody knows how long ago."""


def key_holds(first_sent: float, now: float) -> bool:
    """True while a request first sent at `first_sent` may go again under its key, both in seconds since 1970."""
    return -CLOCK_OFF <= now - first_sent <= KEY_HOLDS
