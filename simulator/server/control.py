"""The control endpoints under /_simulator/. They need no key, have no rate, and are not counted.

GET ledger, requests, sessions, profiles, audiences, coupons, referrals, cards, loyalty (members of programs),
catalogs and events (advanced events) return a JSON object per line. GET summary returns one object. POST forget-keys,
reset, faults, api-key (the only accepted key from now on) and loyalty (transactions to add, see loyalty_rows.py).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any

from beam_talonone.simulator.exchange.answers import Answer, decode, encode
from beam_talonone.simulator.server.loyalty_rows import add_rows
from beam_talonone.simulator.server.state_lines import STATE, lines

if TYPE_CHECKING:
    from beam_talonone.simulator.server.app import Simulator

PREFIX = b"/_simulator/"
CHUNK_LINES = 500
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def answer(simulator: "Simulator", method: str, path: bytes, body: bytes, send: Send) -> None:
    """Answer one control request."""
    name = path.removeprefix(PREFIX).decode("latin-1")
    if method == "GET" and name in LINES:
        await _send_lines(LINES[name](simulator), send)
        return
    if (method, name) == ("GET", "summary"):
        result = Answer(200, encode(summary(simulator)))
    elif method == "POST" and name in POSTS:
        result = POSTS[name](simulator, body)
    else:
        result = Answer(
            404, encode({"message": f"no {method} {name}; GET {', '.join(LINES)}, summary; POST {', '.join(POSTS)}"})
        )
    headers = [(b"content-length", b"%d" % len(result.body)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": result.status, "headers": headers})
    await send({"type": "http.response.body", "body": result.body})


async def _send_lines(all_lines: Iterator[bytes], send: Send) -> None:
    headers = [(b"content-type", b"application/x-ndjson")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    chunk: list[bytes] = []
    for line in all_lines:
        chunk.append(line + b"\n")
        if len(chunk) == CHUNK_LINES:
            await send({"type": "http.response.body", "body": b"".join(chunk), "more_body": True})
            chunk.clear()
            await asyncio.sleep(0)  # a long ledger must not delay the requests
    await send({"type": "http.response.body", "body": b"".join(chunk)})


def summary(simulator: "Simulator") -> dict[str, Any]:
    """The counts of the run, as GET summary returns them."""
    ledger = simulator.state.ledger
    return {
        "requests": len(ledger.received),
        "acted": len(ledger.acted),
        "operations": ledger.by_operation(),
        "refused_by_rate": simulator.state.rate_refused,
        "max_parallel": ledger.max_in_flight,
        "rate_peak_100ms": ledger.peak,
        "keys": len(simulator.state.keys),
        "keys_misused": ledger.keys_misused,
        "sessions": len(simulator.state.world.sessions),
        "profiles": len(simulator.state.world.profiles),
        "faults": simulator.state.faults,
        "uptime": simulator.state.elapsed(),
    }


def _forget_keys(simulator: "Simulator", _: bytes) -> Answer:
    simulator.state.keys.forget()
    return Answer(200, b"{}")


def _reset(simulator: "Simulator", _: bytes) -> Answer:
    simulator.reset()
    return Answer(200, b"{}")


def _faults(simulator: "Simulator", body: bytes) -> Answer:
    """The body is a JSON array of faults as `--fault` takes them."""
    try:
        specs = decode(body)
        if not isinstance(specs, list) or not all(isinstance(spec, str) for spec in specs):
            raise ValueError('the body must be a JSON array of faults, such as ["5xx:share=0.1"]')
        simulator.state.set_faults(tuple(specs))
    except ValueError as error:
        return Answer(400, encode({"message": str(error)}))
    return Answer(200, encode(simulator.state.faults))


def _api_key(simulator: "Simulator", body: bytes) -> Answer:
    """The body is a JSON string, or null to accept any key."""
    try:
        key = decode(body)
        if not (key is None or (isinstance(key, str) and key)):
            raise ValueError('the body must be a JSON string, such as "another-key", or null for any')
    except ValueError as error:
        return Answer(400, encode({"message": str(error)}))
    simulator.accept(key)
    return Answer(200, b"{}")


def _loyalty(simulator: "Simulator", body: bytes) -> Answer:
    return add_rows(simulator.state.world, body)


def _state_lines(name: str, simulator: "Simulator") -> Iterator[bytes]:
    return lines(simulator.state.world, name)


LINES: dict[str, Callable[["Simulator"], Iterator[bytes]]] = {
    "ledger": lambda simulator: simulator.state.ledger.ledger_lines(),
    "requests": lambda simulator: simulator.state.ledger.request_lines(),
    **{name: partial(_state_lines, name) for name in STATE},
}
POSTS: dict[str, Callable[["Simulator", bytes], Answer]] = {
    "forget-keys": _forget_keys,
    "reset": _reset,
    "faults": _faults,
    "api-key": _api_key,
    "loyalty": _loyalty,
}
