"""What was received and what acted, in order: the account that tests and users check against."""

from collections import Counter, deque
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from beam_talonone.simulator.exchange.answers import encode
from beam_talonone.simulator.exchange.routes import query_values
from beam_talonone.simulator.exchange.spool import Spool

PEAK_WINDOW = 0.1
NO_BODY = -1


class Received(msgspec.Struct, gc=False):
    """One request. Times are seconds since the simulator started; `answered` is None when no answer left."""

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
    """A request that changed something; `body` is its place in the spool."""

    request: Received
    path: dict[str, str]
    session: str | None
    profiles: tuple[str, ...]
    applied: float
    body: int


class Ledger:
    """All requests since the start. `file` gets the line of each request that acted, once it is answered or cut."""

    def __init__(self, spool: Spool, file: BinaryIO | None) -> None:
        self.received: list[Received] = []
        self.acted: list[Acted] = []
        self.counts: Counter[tuple[str, int | None]] = Counter()
        self.peak = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self.keys_misused = 0
        self._recent: deque[float] = deque()
        self._unwritten: dict[int, Acted] = {}
        self._spool = spool
        self._file = file

    def arrive(self, now: float, target: bytes) -> Received:
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
        self.acted.append(acted)
        if self._file is not None:
            self._unwritten[acted.request.n] = acted

    def leave(self, request: Received) -> None:
        """The request is answered or cut."""
        self.in_flight -= 1
        self.counts[request.operation or "none", request.status] += 1
        if self._file is not None and request.n in self._unwritten:
            self._file.write(self._line(self._unwritten.pop(request.n)) + b"\n")
            self._file.flush()

    def ledger_lines(self) -> Iterator[bytes]:
        return map(self._line, list(self.acted))

    def request_lines(self) -> Iterator[bytes]:
        for one in list(self.received):
            yield encode(
                {
                    "n": one.n,
                    "arrived": one.arrived,
                    "answered": one.answered,
                    "operation": one.operation,
                    "target": one.target.decode("latin-1"),
                    "status": one.status,
                    "fault": one.fault,
                    "key": one.key,
                    "replayed": one.replayed,
                    "dry": one.dry,
                }
            )

    def _line(self, acted: Acted) -> bytes:
        request = acted.request
        body = b"null" if acted.body == NO_BODY else self._spool.get(acted.body)
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
                # the digits of every number stay as they came; only the space between goes
                "body": msgspec.Raw(msgspec.json.format(body, indent=-1)),
            }
        )

    def by_operation(self) -> dict[str, dict[str, int]]:
        """How many requests of each operation were answered with which status (`cut` where none was)."""
        table: dict[str, dict[str, int]] = {}
        for (operation, status), number in sorted(self.counts.items(), key=str):
            table.setdefault(operation, {})[str(status or "cut")] = number
        return table
