"""A fleet of workers that share one rate, simulated on one clock of our own: 1 to 500 processes, minutes in seconds.

Each worker is a process with a loop of its own, so that one can stand still while the others go on. The pacers, the
permits, the dispatcher, the shares and the schedule of tokens are the product's. The rate service counts in fixed
windows of a second, and answers a draw after 5 to 50 ms. The customers of the records are uneven, and all records of
a customer are one worker's, one at a time. So some workers have much more to do than others.
"""

import asyncio
import heapq
import math
import random
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from beam_talonone.pipelines.distributed.shares import divide
from beam_talonone.simulator.exchange.gate import Rate
from beam_talonone.talonone.delivery.dispatcher import Dispatcher, RatePermits, Ticket
from beam_talonone.talonone.rate.pacer import Pacer
from beam_talonone.talonone.rate.shared_limit import Drawn, SharedRate
from beam_talonone.talonone.rate.slots import Slots

LIMIT, BURST = 200.0, 10
"""Requests a second of the API, and how many it takes at once."""

LATENCY = 0.05
CONCURRENCY = 64
START = 1_000.0


class Clock:
    """The time of all processes, in seconds."""

    def __init__(self) -> None:
        self.now = START


class _Nothing:
    def select(self, timeout: float | None = None) -> list[Any]:
        return []


class ProcessLoop(asyncio.BaseEventLoop):
    """The event loop of one process. The owner calls `step` when it is time."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock, self._selector = clock, _Nothing()  # type: ignore[assignment]
        self.still_until = -math.inf

    def time(self) -> float:
        return self._clock.now

    def _process_events(self, events: object) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def next_at(self) -> float:
        """When there is something to do: infinity for never."""
        ready, timers = self._ready, self._scheduled  # type: ignore[attr-defined]
        at = self.time() if ready else timers[0]._when if timers else math.inf
        return max(at, self.still_until)

    def end(self) -> None:
        """End all that still goes on."""
        tasks = asyncio.all_tasks(self)
        for task in tasks:
            task.cancel()
        while not all(task.done() for task in tasks):
            self.step()
        self.close()

    def step(self) -> None:
        asyncio._set_running_loop(self)
        try:
            self._run_once()  # type: ignore[attr-defined]
        finally:
            asyncio._set_running_loop(None)


class Service:
    """Envoy's rate limit service: grants LIMIT in each second of its clock."""

    def __init__(self, rng: random.Random, takes: tuple[float, float] = (0.005, 0.05)) -> None:
        self._rng, self._takes, self.draws = rng, takes, 0
        self._requested: Counter[int] = Counter()

    async def draw(self, hits: int) -> Drawn:
        takes = self._rng.uniform(*self._takes)
        await asyncio.sleep(takes / 2)
        self.draws += 1
        window = int(asyncio.get_running_loop().time())
        self._requested[window] += hits
        granted = self._requested[window] <= LIMIT
        left = int(max(0, LIMIT - self._requested[window]))
        await asyncio.sleep(takes / 2)
        return Drawn(granted, left, LIMIT)


class Record(Ticket, eq=False, kw_only=True):
    """A record that is sent with one request, which takes LATENCY."""

    customer: int = 0
    worker: Any = None

    async def run(self) -> None:
        self.worker.send(self.customer)
        await asyncio.sleep(LATENCY)


class Worker:
    """A process that sends its records. `left` is (seconds since the start, customer) of each request."""

    def __init__(self, clock: Clock, shard: int, records: list[tuple[int, int]]) -> None:
        self.shard, self.records, self.loop = shard, records, ProcessLoop(clock)
        self.left: list[tuple[float, int]] = []
        self.stood_still = False
        """Whether it stood still for long."""

    def start(self, pacer: Pacer, shared: SharedRate | None) -> None:
        """Begin to send, within this process's own loop."""
        self.permits = RatePermits(pacer, CONCURRENCY, shared)
        dispatcher = Dispatcher(self.permits, self._failed)
        self._task = self.loop.create_task(self.permits.run())
        for number, customer in self.records:
            dispatcher.submit(Record(number, (("profile", str(customer)),), customer=customer, worker=self))

    def send(self, customer: int) -> None:
        self.left.append((self.loop.time() - START, customer))

    def _failed(self, error: BaseException) -> None:
        raise error

    def rest(self) -> list[tuple[int, int]]:
        """The records that were not sent."""
        sent = Counter(customer for _, customer in self.left)
        rest = []
        for number, customer in self.records:
            if sent[customer]:
                sent[customer] -= 1
            else:
                rest.append((number, customer))
        return rest

    @property
    def done(self) -> bool:
        return len(self.left) == len(self.records)


BACKFILL, STREAM, SERVICE = WAYS = ("shares of a backfill", "shares of a stream", "rate service")
"""Shards know each other, and which of them have ended. Workers of a stream only know how many they may be."""


@dataclass
class Fleet:
    """Workers that share LIMIT, in one of WAYS."""

    workers: int
    way: str
    seed: int = 0
    seconds: float = 60.0
    load: float = 1.0
    """The records, as a part of what can be sent in `seconds`."""
    zipf: float = 0.8
    """How uneven customers are: the n-th has n ** -zipf of the records."""
    customers: int = 5_000
    spread: float = 3.0
    """All workers start within so many seconds."""
    churn: bool = False
    """Whether workers come and go, stand still, and have wrong clocks."""
    clocks: float = 3.0
    """Seconds by which the clocks are wrong at most."""
    bundle: float = 120.0
    """Seconds after which a shard of a backfill looks at its share again."""
    requests: list[tuple[float, int, int]] = field(default_factory=list)
    """(second, shard, customer) of all that was sent."""

    def run(self) -> "Fleet":
        """Send until `seconds` are over, or nothing is left."""
        self._rng, self._clock = random.Random(self.seed), Clock()
        self._service = Service(self._rng)
        self._queue: list[tuple[float, int, Any]] = []
        self._count = 0
        self._live: list[Worker] = []
        self._all: list[Worker] = []
        self._ended: set[int] = set()
        for shard, records in enumerate(self._shards()):
            self._at(self._rng.uniform(0.0, self.spread), lambda s=shard, r=records: self._begin(s, r))
        if self.churn:
            self._at(1.0, self._disturb)
        while self._queue:
            at, _, what = heapq.heappop(self._queue)
            if at > START + self.seconds:
                break
            self._clock.now = max(self._clock.now, at)
            if isinstance(what, Worker):
                self._go_on(what)
            else:
                what()
        self.requests = sorted((at, worker.shard, customer) for worker in self._all for at, customer in worker.left)
        for worker in self._all:
            worker.loop.end()
        return self

    def _shards(self) -> Iterator[list[tuple[int, int]]]:
        weights = [(rank + 1) ** -self.zipf for rank in range(self.customers)]
        total = int(self.load * LIMIT * self.seconds)
        records: list[list[tuple[int, int]]] = [[] for _ in range(self.workers)]
        at = [self._rng.randrange(self.workers) for _ in range(self.customers)]
        for number, customer in enumerate(self._rng.choices(range(self.customers), weights, k=total)):
            records[at[customer]].append((number, customer))
        self.records = [len(found) for found in records]
        yield from records

    def _at(self, seconds: float, what: Any) -> None:
        self._count += 1
        heapq.heappush(self._queue, (max(self._clock.now, START + seconds), self._count, what))

    def _begin(self, shard: int, records: list[tuple[int, int]]) -> None:
        if not records:
            self._ended.add(shard)
            return
        worker = Worker(self._clock, shard, records)
        error = self.clocks if self.churn else 0.005
        off = self._rng.uniform(-error, error)
        pacer, shared = self._pacer_of(shard, off)
        asyncio._set_running_loop(worker.loop)
        try:
            worker.start(pacer, shared)
        finally:
            asyncio._set_running_loop(None)
        self._live.append(worker)
        self._all.append(worker)
        self._go_on(worker)
        if self.way == BACKFILL:
            self._at(self._clock.now - START + self.bundle, lambda: self._share_again(worker, off))

    def _pacer_of(self, shard: int, off: float) -> tuple[Pacer, SharedRate | None]:
        """What a process of this shard starts with, whose clock is `off` by so many seconds."""
        if self.way == SERVICE:
            pacer = Pacer(LIMIT)
            return pacer, SharedRate(pacer, Slots(LIMIT, LIMIT, off, self.workers), self._service.draw, "the service")
        if self.way == STREAM:
            return Pacer(LIMIT / self.workers), None
        share = divide(LIMIT, shard, set(range(self.workers)) - self._ended)
        return Pacer(share.rate, off + share.phase), None

    def _share_again(self, worker: Worker, off: float) -> None:
        if worker in self._live:
            pacer, _ = self._pacer_of(worker.shard, off)
            worker.permits._pacer.change(pacer.rate, pacer._phase)
            self._at(self._clock.now - START + self.bundle, lambda: self._share_again(worker, off))

    def _go_on(self, worker: Worker) -> None:
        if worker not in self._live:
            return
        if worker.loop.next_at() <= self._clock.now:
            worker.loop.step()
        if worker.done:
            self._live.remove(worker)
            self._ended.add(worker.shard)
        elif (at := worker.loop.next_at()) < math.inf:
            self._at(at - START, worker)

    def _disturb(self) -> None:
        """Every second: one in twenty stands still for 200 ms, one in 500 for 30 s. At least one in 20 s is lost, and
        one of 200 in each second. Another one takes over what it has not sent, 5 to 20 s later."""
        now = self._clock.now - START
        for worker in self._live:
            still = 0.2 if self._rng.random() < 0.05 else 30.0 if self._rng.random() < 0.002 else 0.0
            if still:
                self._at(now + self._rng.random(), partial(self._stand_still, worker, still))
        if self._live and self._rng.random() < 0.05 + 0.005 * len(self._live):
            lost = self._rng.choice(self._live)
            self._live.remove(lost)
            rest, wait = lost.rest(), self._rng.uniform(5.0, 20.0)
            self._at(now + wait, lambda: self._begin(lost.shard, rest))
        self._at(now + 1.0, self._disturb)

    def _stand_still(self, worker: Worker, seconds: float) -> None:
        worker.stood_still |= seconds > 1.0
        worker.loop.still_until = max(worker.loop.still_until, self._clock.now + seconds)

    # What is to be seen

    def sent(self, first: float, last: float) -> list[tuple[float, int, int]]:
        return self.requests[bisect_left(self.requests, (first,)) : bisect_left(self.requests, (last,))]

    def achieved(self, first: float = 5.0) -> float:
        """The part of the limit that was used, from `first` until the end, or until all was sent."""
        last = self.requests[-1][0] if len(self.requests) == sum(self.records) else self.seconds
        return len(self.sent(first, last)) / (LIMIT * (last - first))

    @property
    def draws(self) -> int:
        """The draws from the rate service."""
        return self._service.draws

    def most_within(self, seconds: float) -> int:
        """The most requests in any window of so many seconds."""
        times = [at for at, _, _ in self.requests]
        return max(bisect_left(times, at + seconds) - number for number, at in enumerate(times))

    def refused(self) -> float:
        """The part of the requests that an API refuses that takes exactly LIMIT, and BURST at once."""
        api = Rate(LIMIT, BURST)
        return sum(api.wait(at) > 0 for at, _, _ in self.requests) / len(self.requests)

    def worst_served(self, least: int = 10) -> float:
        """Among the customers of one worker: the least part of a customer's due records that was sent. Due are those
        that are older than the youngest one that the worker has sent. Customers with fewer due records do not count,
        nor do workers that were lost or still for long."""
        lives = Counter(worker.shard for worker in self._all)
        worst = 1.0
        for worker in self._all:
            if lives[worker.shard] > 1 or worker.stood_still:
                continue
            numbers: dict[int, list[int]] = {}
            for number, customer in worker.records:
                numbers.setdefault(customer, []).append(number)
            sent = Counter(customer for _, customer in worker.left)
            youngest = max((numbers[customer][count - 1] for customer, count in sent.items()), default=-1)
            for customer, own in numbers.items():
                due = bisect_right(own, youngest)
                if due >= least:
                    worst = min(worst, sent[customer] / due)
        return worst

    def unfairness(self, first: float = 10.0) -> float:
        """Among the workers that had something to send all the time from `first` on, and were not lost or still for
        long: the most requests by the least. 1.0 where there are not two of them."""
        last = min(self.seconds, self.requests[-1][0])
        sent = Counter(shard for _, shard, _ in self.sent(first, last))
        whole = Counter(shard for _, shard, _ in self.requests)
        lives = Counter(worker.shard for worker in self._all)
        busy = [
            sent[worker.shard]
            for worker in self._all
            if whole[worker.shard] < self.records[worker.shard]
            and lives[worker.shard] == 1
            and not worker.stood_still
        ]
        return max(busy) / max(1, min(busy)) if len(busy) > 1 else 1.0
