"""Connecting to a host of several addresses, as RFC 8305 has it ("Happy Eyeballs")."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from itertools import chain, zip_longest
from typing import TypeVar

import yarl

from beam_talonone.talonone.http.send import BadAddress, NotSent

STAGGER = 0.25
"""Seconds after which the next address is tried, too, while those before it have not answered."""

T = TypeVar("T")
Address = tuple[int, int, int, object]
"""Family, type, protocol and address, as a socket takes them."""

_NOT_TLS = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
    "UNKNOWN_PROTOCOL",
)
"""OpenSSL's reasons for what is no TLS at all."""


async def open_socket(host: str, port: int) -> socket.socket:
    """A connected socket to the address of `host` that answers first.

    Raises OSError: socket.gaierror where DNS knows no such host.
    """
    entries = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = in_turn((family, kind, protocol, address) for family, kind, protocol, _, address in entries)
    return await first_of(addresses, _connected, socket.socket.close)


def in_turn(addresses: Iterable[Address]) -> list[Address]:
    """The addresses in the order of the resolver, without repeats, and the families in turn."""
    families: dict[int, list[Address]] = {}
    for address in dict.fromkeys(addresses):
        families.setdefault(address[0], []).append(address)
    return [address for address in chain.from_iterable(zip_longest(*families.values())) if address is not None]


async def _connected(address: Address) -> socket.socket:
    family, kind, protocol, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, where)  # type: ignore[arg-type]
    except BaseException:
        sock.close()
        raise
    return sock


async def first_of(
    addresses: list[Address], attempt: Callable[[Address], Awaitable[T]], discard: Callable[[T], None]
) -> T:
    """What the first `attempt` that succeeds returns. The next one starts when the last has failed, or after STAGGER
    seconds. Others that succeed as well are given to `discard`. Raises OSError when all have failed.
    """
    remaining = list(reversed(addresses))
    running: set[asyncio.Task[T]] = set()
    failures: list[OSError] = []
    won: list[T] = []
    try:
        while not won and (remaining or running):
            if remaining:
                running.add(asyncio.ensure_future(attempt(remaining.pop())))
            done, running = await asyncio.wait(
                running, timeout=STAGGER if remaining else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                error = task.exception()
                if error is None:
                    won.append(task.result())
                elif isinstance(error, OSError):
                    failures.append(error)
                else:
                    raise error
        if not won:
            raise _all_failed(failures)
        return won.pop(0)
    finally:
        for task in running:
            task.add_done_callback(lambda late: _discard_result(late, discard))
            task.cancel()
        for extra in won:
            discard(extra)


def _discard_result(late: asyncio.Task[T], discard: Callable[[T], None]) -> None:
    if not late.cancelled() and late.exception() is None:
        discard(late.result())


def _all_failed(failures: list[OSError]) -> OSError:
    texts = list(dict.fromkeys(str(error) for error in failures)) or ["it has no address"]
    tried = f" ({len(failures)} addresses tried)" if len(failures) > 1 else ""
    return OSError("; ".join(texts) + tried)


def place_of(url: yarl.URL) -> str:
    """HOST:PORT for messages."""
    return f"{url.raw_host}:{url.port}"


def explained(url: yarl.URL, via: str, error: OSError) -> NotSent:
    """What `error` means, with which a connection to `url` failed; `via` names the way to it."""
    if isinstance(error, ssl.SSLError):
        if error.reason in _NOT_TLS:
            return BadAddress(f"{place_of(url)} does not speak TLS: is http:// meant? ({error.reason})")
        return BadAddress(f"cannot connect to {via}: {error}")
    if isinstance(error, socket.gaierror):
        return BadAddress(f"cannot connect to {via}: {error}")
    if url.scheme == "https" and isinstance(error, ConnectionResetError | ConnectionAbortedError):
        return NotSent(f"cannot connect to {via}: it closed the connection instead of speaking TLS ({error})")
    return NotSent(f"cannot connect to {via}: {error}")
