"""The API key in use: where it comes from, and how another one takes its place while requests are under way."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from beam_talonone.talonone.errors import ConfigurationError, KeyRefused, TalonOneError

READ_EVERY = 5.0
"""Seconds from a reading that returned the same key to the next one."""

_SECRET = re.compile(r"projects/[a-z0-9.:-]+/secrets/[A-Za-z0-9_-]{1,255}(/versions/[A-Za-z0-9_-]{1,63})?", re.ASCII)


def check_secret_name(name: str, option: str = "--api-key-secret") -> str:
    """Return `name` if it can be the name of a secret. Raises ConfigurationError, which names `option`."""
    if _SECRET.fullmatch(name):
        return name
    # a user may pass the key itself by mistake: the message must not write it to a log
    found = f", not {name!r}" if name.startswith("projects/") else ": the name of a secret, not a key"
    raise ConfigurationError(
        f"{option} takes projects/P/secrets/S or projects/P/secrets/S/versions/V{found}; P is the project's number,"
        " or its ID in lower case"
    )


@dataclass(frozen=True)
class KeySource:
    """Where the API key comes from. `name` stands for it in messages.

    `read` returns the current key; it may take seconds, and raises TalonOneError. It is None if the key cannot change
    while the process runs.
    """

    name: str = "TALONONE_API_KEY"
    read: Callable[[], str] | None = None


class ApiKey:
    """The API key of requests. `number` counts its changes. Used on the event loop only."""

    def __init__(
        self,
        value: str = "",
        source: KeySource | None = None,
        use: Callable[[str], None] = lambda value: None,
        apart: Callable[[Callable[[], str]], Awaitable[str]] = asyncio.to_thread,
    ) -> None:
        """`use` is called with each new key before requests carry it; `apart` runs the reading off the loop."""
        self.number = 0
        self._value = value
        self._source = source or KeySource()
        self._use, self._apart = use, apart
        self._reading = asyncio.Lock()
        self.being_read = False
        """True while the key is being read, so that it may change."""
        self._vain_at: float | None = None
        self._trouble: str | None = None

    async def settled(self) -> None:
        """Wait until the key is not being read."""
        async with self._reading:
            pass

    async def changed(self, number: int) -> bool:
        """Whether the key differs now from the key of `number`, which the API has refused.

        Reads the key once for all concurrent callers, and at most every READ_EVERY seconds while it stays the same.
        """
        read = self._source.read
        if read is None or self.number != number:
            return self.number != number
        async with self._reading:
            if self.number != number:
                return True
            now = asyncio.get_running_loop().time()
            if self._vain_at is not None and now - self._vain_at < READ_EVERY:
                return False
            self.being_read = True
            try:
                value, self._trouble = await self._apart(read), None
            except TalonOneError as error:
                value, self._trouble = self._value, str(error)
            finally:
                self.being_read = False
            if value == self._value:
                self._vain_at = asyncio.get_running_loop().time()
                return False
            self._use(value)
            self._value, self._vain_at = value, None
            self.number += 1
            return True

    def refused(self, api: str, status: int | None) -> KeyRefused:
        """Return the error for a key that `api` refuses with `status`; it says where to correct it."""
        says = f"{api} refuses the API key (status {status})"
        if self._source.read is None:
            return KeyRefused(f"{says}; check {self._source.name} and that the key belongs to this deployment")
        if self._trouble is not None:
            return KeyRefused(f"{says}, and it could not be read once more: {self._trouble}")
        return KeyRefused(
            f"{says} of {self._source.name}, which was read once more and is still the same; check that the secret"
            " holds the key of this deployment: a new version of it is taken up without a restart"
        )
