"""Sends answers over ASGI: whole, cut, or damaged by a fault."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from beam_talonone.simulator.exchange.answers import Answer
from beam_talonone.simulator.exchange.damage import REPLACED
from beam_talonone.simulator.exchange.faults import Fault

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

EXTENSION: Final = "beam_talonone.connection"
"""Name of the extension of the scope. Its `close` ends the connection at once, and `write` sends raw bytes."""
EXTRA: Final = b'{"more":"than Content-Length announces"}'


async def whole(answer: Answer, send: Send) -> None:
    """Send an answer as it is."""
    await send(_start(answer, len(answer.body)))
    await send({"type": "http.response.body", "body": answer.body})


async def cut(scope: Scope, receive: Receive) -> None:
    """Close the connection without another byte."""
    scope["extensions"][EXTENSION]["close"]()
    await receive()


async def damaged(answer: Answer, fault: Fault, scope: Scope, receive: Receive, send: Send) -> bool:
    """Send an answer with the damage that `fault` does. Returns False if the connection was cut before its end."""
    if fault.name in REPLACED:
        await whole(REPLACED[fault.name](answer, fault), send)
    elif not answer.body:
        await whole(answer, send)
    elif fault.name == "trickle":
        await _trickle(answer, fault.ms / 1000, send)
    elif fault.name == "extra-bytes":
        await whole(answer, send)
        scope["extensions"][EXTENSION]["write"](EXTRA)
    else:
        await send(_start(answer, len(answer.body) + len(EXTRA)))
        await send({"type": "http.response.body", "body": answer.body, "more_body": True})
        await cut(scope, receive)
        return False
    return True


def _start(answer: Answer, length: int) -> MutableMapping[str, Any]:
    headers = [(b"content-length", b"%d" % length), *answer.headers]
    if answer.body and not any(name == b"content-type" for name, _ in answer.headers):
        headers.append((b"content-type", b"application/json"))
    return {"type": "http.response.start", "status": answer.status, "headers": headers}


async def _trickle(answer: Answer, seconds: float, send: Send) -> None:
    await send(_start(answer, len(answer.body)))
    for place in range(len(answer.body)):
        last = place == len(answer.body) - 1
        await send({"type": "http.response.body", "body": answer.body[place : place + 1], "more_body": not last})
        if not last:
            await asyncio.sleep(seconds)
