"""A bare loop: 64 in flight on aiohttp, or on the project's own transport, and nothing else.

    TALONONE_API_KEY=... python -m stream_parts.bare URL COUNT aiohttp|own

No Beam, no Pub/Sub, no order, no retries, nothing written down: requests and keys are made before the first leaves.
"""

import asyncio
import os
import sys
from collections import deque
from itertools import starmap

import uvloop
from stream_parts.setup import encode, make_records

from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.request import Request
from beam_talonone.talonone.http.fast_client import FastClient
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.requests.identity import idempotency_key
from beam_talonone.transforms.sources.prepare import prepare

IN_FLIGHT = 64
TIMEOUT = 30.0


def request_of(kind: str, record: object) -> tuple[Request, str]:
    """The request that a stream would send for a record of one request, and its key."""
    work = prepare(Raw(kind, "bench", 1, "jsonl", encode(record), None, None), BuildOptions()).work
    if work is None or len(work.parts) != 1:
        raise ValueError(f"not a record of one request: {record}")
    request = work.parts[0].request
    return request, idempotency_key([work.identity], f"0:{request.operation}")


async def empty(url: str, key: str, waiting: deque[tuple[Request, str]]) -> None:
    """Send all that waits. Raises RuntimeError at the first answer that is no success."""
    async with FastClient(url, key, TIMEOUT) as transport:

        async def work() -> None:
            while waiting:
                reply = await transport.send(*waiting.popleft())
                if reply.status >= 300:
                    raise RuntimeError(f"status {reply.status}: {reply.body[:200]!r}")

        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))


async def empty_by_aiohttp(url: str, key: str, waiting: deque[tuple[Request, str]]) -> None:
    """The same with a general client."""
    import aiohttp

    headers = {"Authorization": f"ApiKey-v1 {key}", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)

    async def work() -> None:
        while waiting:
            request, once = waiting.popleft()
            sent = session.request(
                request.method, url + request.target(), data=request.body, headers={"Idempotency-Key": once}
            )
            async with sent as response:
                if response.status >= 300:
                    raise RuntimeError(f"status {response.status}: {(await response.read())[:200]!r}")
                await response.read()

    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))


def main() -> None:
    """Send COUNT prepared requests to URL with the client of the command line."""
    url, count, client = sys.argv[1:]
    waiting = deque(starmap(request_of, make_records(int(count))))
    send = empty_by_aiohttp if client == "aiohttp" else empty
    uvloop.run(send(url, os.environ["TALONONE_API_KEY"], waiting))


if __name__ == "__main__":
    main()
