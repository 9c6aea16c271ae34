"""The one way to send a request: what a client returns, and failures sorted by whether the API may have acted."""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Protocol, Self

import msgspec

from beam_talonone.schemas.request import Request

LONGEST_ANSWER = 64 << 20
"""Bytes of an answer's body that are read, packed or unpacked."""

LONGEST_HEAD = 64 << 10
"""Bytes of an answer's status line and headers."""

CONNECT_WITHIN = 15.0
"""Seconds for making a connection."""

KEEP_IDLE = 30.0
"""Seconds for which a connection is kept without use: less than servers and load balancers do."""


class Reply(msgspec.Struct, frozen=True, gc=False):
    """Status, body and the Retry-After header of an answer.

    `unreadable` says why the body could not be read; it is empty then.
    """

    status: int
    body: bytes
    retry_after: str | None = None
    unreadable: str | None = None


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


Came = Callable[[Reply | TransportFailure], None]
"""Called once with what came of a request."""


class Client(Protocol):
    """Keeps connections to one deployment. To be used inside an event loop, as an async context manager.

    It repeats nothing, follows no redirect, and sends the API key to the deployment alone.
    """

    @property
    def starts(self) -> bool:
        """Whether `start` sends anything at all."""

    async def send(self, request: Request, key: str | None) -> Reply:
        """Send `request` and read the whole answer. Raises NotSent, BadAddress or Broken."""

    def start(self, request: Request, key: str | None, came: Came) -> bool:
        """Send `request` at once, without a task that waits for it; `came` is called with the reply, or the failure.

        Returns False, and sends nothing, where no connection is open and idle: then `send` makes one.
        """

    def use_key(self, api_key: str) -> None:
        """Send this API key from now on. Raises ConfigurationError for one that no HTTP header can carry."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


Send = Callable[[Request, str | None], Awaitable[Reply]]
"""Sends a request under an idempotency key (None: without). Raises TransportFailure."""

Start = Callable[[Request, str | None, Came], bool]
"""As Client.start."""
