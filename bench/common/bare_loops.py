"""Bare loops: the least that a Python program does for the same requests.

They check nothing, keep no order, retry nothing and write nothing down. `python -m common.bare_loops LOOP FIRST FILE`
runs one in a process of its own, and prints the seconds that it took:

* `bulk URL PROFILES.jsonl`: decode, group by 1,000, encode, post.
* `sessions URL ORDERS.jsonl`: post prepared requests, 64 in flight.
* `reading DATABASE PROFILES.jsonl`: decode, and insert into SQLite.
"""

import asyncio
import json
import sqlite3
import sys
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlsplit

import msgspec
from common.peers import IN_FLIGHT, session_of
from common.runs import KEY

BULK = 1000
BATCH = 500


def message(method: str, url: str, path: str, body: bytes) -> bytes:
    """A whole request, as it travels."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nAuthorization: ApiKey-v1 {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def bulk(url: str, profiles: Path) -> None:
    """Update all profiles, 1,000 in a request, one request after the other, with the tools of every Python script."""
    import requests

    session = requests.Session()
    session.headers["Authorization"] = f"ApiKey-v1 {KEY}"
    with profiles.open("rb") as lines:
        records = map(json.loads, lines)
        while group := list(islice(records, BULK)):
            entries = [{"integrationId": line["customer_id"], "attributes": line["attributes"]} for line in group]
            answer = session.put(f"{url}/v2/customer_profiles?silent=yes", json={"customerProfiles": entries})
            answer.raise_for_status()


def _length_of(answer: bytes | bytearray) -> int | None:
    """The length of an answer with its head; None until the head is there. Raises RuntimeError for a refusal."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(answer[:end]).lower()
    if not head.startswith(b"http/1.1 2"):
        raise RuntimeError(f"refused: {answer[:500]!r}")
    at = head.find(b"content-length:")
    return end + 4 + (0 if at < 0 else int(head[at + 15 :].split(b"\r\n", 1)[0]))


class _Poster(asyncio.Protocol):
    """Posts what waits, one request after the other, on one connection."""

    def __init__(self, waiting: deque[bytes]) -> None:
        self._waiting = waiting
        self._answer = bytearray()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        try:
            whole = _length_of(self._answer)
        except RuntimeError as error:
            self.ended.set_exception(error)
            return
        if whole is not None and len(self._answer) >= whole:
            self._answer.clear()
            self._next()

    def _next(self) -> None:
        if self._waiting:
            self._transport.write(self._waiting.popleft())
        else:
            self._transport.close()
            self.ended.set_result(None)


def sessions(url: str, orders: Path) -> None:
    """Update all sessions, with IN_FLIGHT requests in flight."""
    import uvloop

    waiting = deque(
        message(
            "PUT", url, f"/v2/customer_sessions/{quote(order['order_id'])}", msgspec.json.encode(session_of(order))
        )
        for order in map(msgspec.json.decode, orders.read_bytes().splitlines())
    )
    uvloop.run(_post(url, waiting))


async def _post(url: str, waiting: deque[bytes]) -> None:
    where, loop = urlsplit(url), asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: _Poster(waiting), where.hostname, where.port) for _ in range(IN_FLIGHT)
    ]
    await asyncio.gather(*(poster.ended for _, poster in made))


def reading(database: str, file: Path) -> None:
    """Decode all records of a file and store them in a new database."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("CREATE TABLE records (number INTEGER PRIMARY KEY, id TEXT, record BLOB)")
    with file.open("rb") as lines:
        rows = _rows(lines)
        while batch := list(islice(rows, BATCH)):
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO records VALUES (?, ?, ?)", batch)
            connection.execute("COMMIT")
    connection.close()


def _rows(lines: Any) -> Iterator[tuple[int, str, bytes]]:
    for number, line in enumerate(lines):
        record: dict[str, Any] = msgspec.json.decode(line)
        yield number, record["customer_id"], line


LOOPS = {"bulk": bulk, "sessions": sessions, "reading": reading}


def main() -> None:
    """Run the loop that the command line names, and print the seconds that it took."""
    loop, first, file = sys.argv[1:]
    began = time.perf_counter()
    LOOPS[loop](first, Path(file))
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
