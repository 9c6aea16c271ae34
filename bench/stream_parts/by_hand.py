"""What one would write without Beam: pull, send on aiohttp with 64 in flight, acknowledge. No order, no retries.

    TALONONE_API_KEY=... PUBSUB_EMULATOR_HOST=... python -m stream_parts.by_hand URL COUNT SUBSCRIPTION

Ends when COUNT events were sent and acknowledged.
"""

import asyncio
import os
import sys
import threading
import time
import uuid
from typing import Any

import aiohttp
import msgspec
import uvloop
from google.pubsub_v1.types import PullRequest

from beam_talonone.transforms.pubsub.client import subscriber_client

IN_FLIGHT = 64
MOST = 1_000
ROUND = 0.05


class ByHand:
    """Pulling and acknowledging in threads of their own, as the client library's calls block."""

    def __init__(self, url: str, key: str, count: int, subscription: str) -> None:
        self._url, self._key, self._left, self._subscription = url, key, count, subscription
        self._client = subscriber_client()
        self._done: list[str] = []

    async def run(self) -> None:
        """Send and acknowledge until all messages are done. Raises RuntimeError for a status from 300 on."""
        loop, waiting = asyncio.get_running_loop(), asyncio.Queue[Any]()
        pulling = threading.Thread(target=self._pull, args=(self._left, loop, waiting), daemon=True)
        acknowledging = threading.Thread(target=self._acknowledge, args=(self._left,), daemon=True)
        pulling.start()
        acknowledging.start()
        headers = {"Authorization": f"ApiKey-v1 {self._key}", "Content-Type": "application/json"}
        connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            await asyncio.gather(*(self._work(session, waiting) for _ in range(IN_FLIGHT)))
        await asyncio.to_thread(acknowledging.join)

    async def _work(self, session: aiohttp.ClientSession, waiting: "asyncio.Queue[Any]") -> None:
        while self._left > 0:
            self._left -= 1
            message = await waiting.get()
            event = msgspec.json.decode(message.message.data)
            body = {"profileId": event["customer_id"], "type": event["type"], "attributes": event["attributes"]}
            once = str(uuid.uuid5(uuid.NAMESPACE_URL, event["event_id"]))
            sent = session.post(
                f"{self._url}/v2/events?silent=yes", data=msgspec.json.encode(body), headers={"Idempotency-Key": once}
            )
            async with sent as response:
                if response.status >= 300:
                    raise RuntimeError(f"status {response.status}")
                await response.read()
            self._done.append(message.ack_id)

    def _pull(self, count: int, loop: asyncio.AbstractEventLoop, waiting: "asyncio.Queue[Any]") -> None:
        while count > 0:
            request = PullRequest(subscription=self._subscription, max_messages=MOST)
            messages = self._client.transport.pull.future(request, timeout=10.0).result()._pb.received_messages
            count -= len(messages)
            loop.call_soon_threadsafe(_put, waiting, messages)

    def _acknowledge(self, count: int) -> None:
        while count > 0:
            time.sleep(ROUND)
            done, self._done = self._done[:MOST], self._done[MOST:]
            if done:
                self._client.acknowledge(subscription=self._subscription, ack_ids=done)
                count -= len(done)


def _put(waiting: "asyncio.Queue[Any]", messages: Any) -> None:
    for message in messages:
        waiting.put_nowait(message)


def main() -> None:
    """Run the loop with the arguments of the command line."""
    url, count, subscription = sys.argv[1:]
    uvloop.run(ByHand(url, os.environ["TALONONE_API_KEY"], int(count), subscription).run())


if __name__ == "__main__":
    main()
