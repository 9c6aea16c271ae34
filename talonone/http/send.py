"""The one way to send a request: what a client returns, and failures sorted by whether the API may have acted."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from beam_talonone.schemas.request import Request


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, body and the Retry-After header of an answer."""

    status: int
    body: bytes
    retry_after: str | None = None


class TransportFailure(Exception):
    """No answer came. `may_have_acted` is False when the request cannot have reached the API."""

    may_have_acted = True


class NotSent(TransportFailure):
    """The connection could not be made."""

    may_have_acted = False


class BadAddress(NotSent):
    """DNS knows no such host, or TLS does not trust it: a setting is wrong, unless it worked before."""


class Broken(TransportFailure):
    """The connection broke, or the answer did not come in time, after the request may have left."""


Send = Callable[[Request, str | None], Awaitable[Reply]]
"""Sends a request under an idempotency key (None: without). Raises TransportFailure."""
