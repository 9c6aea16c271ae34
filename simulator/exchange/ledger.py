"""The requests that were received and that acted, in order: the record that tests and users check against."""

from collections import Counter, deque
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from beam_talonone.simulator.exchange.answers import encode
from beam_talonone.simulator.exchange.body_store import BodyStore
from beam_talonone.simulator.exchange.routes import query_values

PEAK_WINDOW = 0.1
NO_BODY = -1


class Received(msgspec.Struct, gc=False):
    """One request. Times are in seconds since the simulator started. `answered` is None if no answer was sent."""

    n: int
    arrived: float
    target: bytes
    operation: str | None = None
    key: str | None = None
    answered: float | None = None
    status: int | None = None
    fault: str | None = None
    replayed: bool = False
    dry: bool = False


class Acted(msgspec.Struct, gc=False):
    """A request that changed something, at `applied` in seconds. `body` is the place of its body in the store."""

    request: Received
    path: dict[str, str]
    session: str | None
    profiles: tuple[str, ...]
    applied: float
    body: int


class Ledger:
    """All requests since the start.

    When a request that acted is answered or cut, its line is appended to `file`.
    """

    def __init__(self, body_store: BodyStore, file: BinaryIO | None) -> None:
        self.received: list[Received] = []
        self.acted: list[Acted] = []
        self.counts: Counter[tuple[str, int | None]] = Counter()
        self.peak = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self.keys_misused = 0
        self._recent: deque[float] = deque()
        self._unwritten: dict[int, Acted] = {}
        self._body_store = body_store
        self._file = file

    def arrive(self, now: float, target: bytes) -> Received:
        """Count a request that arrived at `now` (seconds since the start) with this raw path and query."""
        request = Received(len(self.received) + 1, now, target)
        self.received.append(request)
        recent = self._recent
        recent.append(now)
        while recent[0] <= now - PEAK_WINDOW:
            recent.popleft()
        if len(recent) > self.peak:
            self.peak = len(recent)
        self.in_flight += 1
        if self.in_flight > self.max_in_flight:
            self.max_in_flight = self.in_flight
        return request

    def act(self, acted: Acted) -> None:
        """Add a request that changed something. Its line follows with `leave`."""
        self.acted.append(acted)
        if self._file is not None:
            self._unwritten[acted.request.n] = acted

    def leave(self, request: Received) -> None:
        """End a request: it is answered or cut."""
        self.in_flight -= 1
        self.counts[request.operation or "none", request.status] += 1
        if self._file is not None and request.n in self._unwritten:
            self._file.write(self._line(self._unwritten.pop(request.n)) + b"\n")
            self._file.flush()

    def ledger_lines(self) -> Iterator[bytes]:
        """The lines of all requests that acted, in the order in which they acted."""
        return map(self._line, list(self.acted))

    def request_lines(self) -> Iterator[bytes]:
        """The lines of all requests, in the order of arrival."""
        for request in list(self.received):
            yield encode(
                {
                    "n": request.n,
                    "arrived": request.arrived,
                    "answered": request.answered,
                    "operation": request.operation,
                    "target": request.target.decode("latin-1"),
                    "status": request.status,
                    "fault": request.fault,
                    "key": request.key,
                    "replayed": request.replayed,
                    "dry": request.dry,
                }
            )

    def _line(self, acted: Acted) -> bytes:
        request = acted.request
        body = b"null" if acted.body == NO_BODY else self._body_store.get(acted.body)
        return encode(
            {
                "n": request.n,
                "operation": request.operation,
                "session": acted.session,
                "profiles": acted.profiles,
                "key": request.key,
                "arrived": request.arrived,
                "applied": acted.applied,
                "answered": request.answered,
                "path": acted.path,
                "query": query_values(request.target.partition(b"?")[2]),
                # every number keeps its digits; only the white space is removed
                "body": msgspec.Raw(msgspec.json.format(body, indent=-1)),
            }
        )

    def by_operation(self) -> dict[str, dict[str, int]]:
        """Operation -> status (`cut` without an answer) -> number of requests."""
        table: dict[str, dict[str, int]] = {}
        for (operation, status), number in sorted(self.counts.items(), key=str):
            table.setdefault(operation, {})[str(status or "cut")] = number
        return table
