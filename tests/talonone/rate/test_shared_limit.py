"""Processes that share a limit, in time of our own: what they draw, what leaves, and what when nobody answers.

The pacers are real. The service counts in fixed windows, and the API allows exactly the limit, with a burst of 10.
"""

import asyncio
import logging
import random
from bisect import bisect_left
from collections import Counter
from contextlib import suppress

import pytest
from support.fakeloop import run

from beam_talonone.simulator.exchange.gate import Rate
from beam_talonone.talonone.delivery.dispatcher import RatePermits
from beam_talonone.talonone.errors import Unreachable
from beam_talonone.talonone.rate.pacer import Pacer
from beam_talonone.talonone.rate.shared_limit import Drawn, NoAnswer, SharedRate, Watched
from beam_talonone.talonone.rate.slots import Slots

LIMIT, BURST, TAKES = 200.0, 10, 0.003


class Service:
    """Grants `limit` in each second of the clock; an answer takes 3 ms. `windows` is what was granted in each."""

    def __init__(self, limit=LIMIT, takes=TAKES):
        self.limit, self.takes, self.down, self.draws = limit, takes, False, 0
        self.requested, self.windows = Counter(), Counter()

    async def draw(self, hits):
        await asyncio.sleep(self.takes / 2)
        self.draws += 1
        if self.down:
            raise NoAnswer("UNAVAILABLE: refused")
        window = int(asyncio.get_running_loop().time())
        self.requested[window] += hits
        granted = self.requested[window] <= self.limit
        if granted:
            self.windows[window] += hits
        left = int(max(0, self.limit - self.requested[window]))
        await asyncio.sleep(self.takes / 2)
        return Drawn(granted, left, self.limit)


class Worker:
    """A process that sends whenever `busy(seconds since the start)`. `left` are the times at which something left."""

    def __init__(self, service, busy=lambda at: True, among=None, rate=1000.0, give_up_after=None, off=0.0):
        self.pacer = Pacer(rate)
        self.slots = Slots(rate, service.limit, off, among)
        self.shared = SharedRate(self.pacer, self.slots, service.draw, "the service", give_up_after)
        self.permits = RatePermits(self.pacer, 1, self.shared)
        self.busy, self.left = busy, []

    async def go(self, seconds, begins=0.0):
        loop = asyncio.get_running_loop()
        start = loop.time()
        await asyncio.sleep(begins)
        departing = asyncio.create_task(self.permits.run())
        while loop.time() < start + seconds:
            if not self.busy(loop.time() - start):
                await asyncio.sleep(0.05)
                continue
            permit = asyncio.ensure_future(self.permits.acquire(0))
            await asyncio.wait([permit, departing], return_when=asyncio.FIRST_COMPLETED)
            if departing.done():
                permit.cancel()
                departing.result()
            self.left.append(loop.time() - start)
            self.permits.release()
            await asyncio.sleep(0)
        departing.cancel()

    def sent(self, first, last):
        return bisect_left(self.left, last) - bisect_left(self.left, first)


def together(workers, seconds, stagger=0.37):
    """Run them at the same time, each a bit later than the one before."""

    async def main():
        await asyncio.gather(*(worker.go(seconds, number * stagger) for number, worker in enumerate(workers)))

    run(main())


def refused(workers):
    """How many of all requests an API refuses that allows exactly the limit."""
    api = Rate(LIMIT, BURST)
    return sum(api.wait(at) > 0 for at in sorted(at for worker in workers for at in worker.left))


@pytest.mark.parametrize(("count", "among"), [(1, None), (2, None), (2, 2), (3, None), (5, 5)], ids=str)
def test_all_together_keep_the_limit_and_use_it(count, among):
    service = Service()
    workers = [Worker(service, among=among) for _ in range(count)]
    together(workers, 60.0)
    assert max(service.windows.values()) <= LIMIT
    assert sum(worker.sent(1.0, 60.0) for worker in workers) >= 0.98 * LIMIT * 59.0
    assert refused(workers) == 0
    left = sorted(at for worker in workers for at in worker.left)
    assert max(bisect_left(left, at + 0.1) - number for number, at in enumerate(left)) <= 20 + count + 1


@pytest.mark.parametrize("takes", [0.02, 0.05])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_service_that_is_far_away(count, takes):
    service = Service(takes=takes)
    workers = [Worker(service) for _ in range(count)]
    together(workers, 30.0)
    assert sum(worker.sent(2.0, 30.0) for worker in workers) >= 0.95 * LIMIT * 28.0
    assert refused(workers) == 0


@pytest.mark.parametrize("count", [10, 50])
def test_many_that_begin_at_once_make_no_burst(count):
    service = Service()
    workers = [Worker(service) for _ in range(count)]
    together(workers, 15.0, stagger=0.0)
    assert refused(workers) == 0
    assert sum(worker.sent(1.0, 15.0) for worker in workers) >= 0.97 * LIMIT * 14.0
    parts = [worker.sent(5.0, 15.0) for worker in workers]
    assert min(parts) >= 0.7 * max(parts), parts


@pytest.mark.parametrize(
    ("off", "both"),
    [*((off, False) for off in (0.03, -0.03, 0.3, -0.3, 0.5)), (0.3, True), (-0.3, True)],
    ids=str,
)
def test_a_clock_that_is_wrong_is_found_out(off, both):
    service = Service()
    workers = [Worker(service, off=off), Worker(service, off=off if both else 0.0)]
    together(workers, 30.0)
    assert sum(worker.sent(3.0, 30.0) for worker in workers) >= 0.97 * LIMIT * 27.0
    assert refused(workers) == 0


@pytest.mark.parametrize(("count", "seed"), [(1, 0), (2, 1), (5, 2)])
def test_a_machine_that_is_held_up_again_and_again(count, seed):
    """Three times a second, for up to 30 ms, nothing goes on."""
    service, moments = Service(), random.Random(seed)
    workers = [Worker(service) for _ in range(count)]

    async def hold_up():
        while True:
            await asyncio.sleep(moments.expovariate(3.0))
            asyncio.get_running_loop().now += moments.uniform(0.0, 0.03)

    async def main():
        holding = asyncio.create_task(hold_up())
        await asyncio.gather(*(worker.go(60.0, 0.37 * number) for number, worker in enumerate(workers)))
        holding.cancel()

    run(main())
    assert refused(workers) == 0
    assert sum(worker.sent(2.0, 60.0) for worker in workers) >= 0.95 * LIMIT * 58.0


def test_they_have_the_same_part_within_seconds():
    service = Service()
    workers = [Worker(service) for _ in range(3)]
    together(workers, 20.0, stagger=4.0)
    parts = [worker.sent(10.0, 20.0) for worker in workers]
    assert min(parts) >= 0.95 * max(parts), parts


def test_what_an_idle_one_leaves_is_used_and_it_gets_it_back():
    service = Service()
    steady = Worker(service)
    pausing = Worker(service, busy=lambda at: not 40.0 <= at < 60.0)
    together([steady, pausing], 150.0)
    assert steady.sent(45.0, 60.0) >= 0.95 * LIMIT * 15.0
    assert pausing.sent(41.0, 60.0) == 0
    assert pausing.sent(61.0, 150.0) >= 0.45 * LIMIT * 89.0
    assert steady.sent(60.0, 150.0) + pausing.sent(60.0, 150.0) >= 0.97 * LIMIT * 90.0
    assert refused([steady, pausing]) == 0


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_few_of_many_use_what_the_others_leave(count):
    """With a two hundredth of a window in a draw, one would not get more than 50 a second."""
    service = Service(takes=0.02)
    workers = [Worker(service, among=200) for _ in range(count)]
    together(workers, 40.0)
    assert sum(worker.sent(10.0, 40.0) for worker in workers) >= 0.95 * LIMIT * 30.0
    assert refused(workers) == 0


def test_one_with_little_to_do_does_not_hold_back_the_others():
    service = Service()
    steady = Worker(service, among=2)
    little = Worker(service, busy=lambda at: at % 1.0 < 0.1, among=2)
    together([steady, little], 60.0)
    assert little.sent(10.0, 60.0) > 0
    assert steady.sent(10.0, 60.0) + little.sent(10.0, 60.0) >= 0.95 * LIMIT * 50.0


@pytest.mark.parametrize("limit", [1.0, 2.0, 10.0])
def test_a_low_limit_is_kept_and_used(limit):
    service = Service(limit)
    workers = [Worker(service), Worker(service)]
    together(workers, 100.0)
    assert max(service.windows.values()) <= limit
    assert sum(worker.sent(10.0, 100.0) for worker in workers) >= 0.9 * limit * 90.0
    assert min(len(worker.left) for worker in workers) >= 0.25 * limit * 100.0


@pytest.mark.parametrize("count", [1, 2, 10])
def test_an_api_that_allows_less_than_the_service_slows_all_down(count):
    """Each goes slower by its own part of the limit: by all of it, ten would go on as if nothing had been said."""
    service, api, refusals = Service(), Rate(0.75 * LIMIT, BURST), []
    workers = [Worker(service) for _ in range(count)]

    class Judged(list):
        def __init__(self, worker):
            self.worker = worker

        def append(self, at):
            super().append(at)
            now = asyncio.get_running_loop().time()
            if api.wait(now) > 0:
                refusals.append(at)
                self.worker.pacer.slow_down(now)

    for worker in workers:
        worker.left = Judged(worker)
    together(workers, 60.0, stagger=0.01)
    sent = sum(worker.sent(10.0, 60.0) for worker in workers)
    assert sent - sum(at >= 10.0 for at in refusals) >= 0.95 * 0.75 * LIMIT * 50.0
    assert sum(at >= 10.0 for at in refusals) <= 0.1 * sent


def test_the_own_rate_is_kept():
    service = Service()
    worker = Worker(service, rate=50.0)
    together([worker], 20.0)
    assert 0.95 * 50.0 * 10.0 <= worker.sent(10.0, 20.0) <= 50.0 * 10.0 + 1


def test_a_limit_that_is_changed_holds_from_then_on():
    service = Service()
    worker = Worker(service)

    async def main():
        going = asyncio.create_task(worker.go(60.0))
        await asyncio.sleep(20.0)
        service.limit = 50.0
        await asyncio.sleep(20.0)
        service.limit = 400.0
        await going

    run(main())
    assert worker.sent(15.0, 20.0) >= 0.95 * LIMIT * 5.0
    assert 0.9 * 50.0 * 15.0 <= worker.sent(25.0, 40.0) <= 50.0 * 16.0
    assert worker.sent(50.0, 60.0) >= 0.95 * 400.0 * 10.0


def test_nothing_leaves_without_an_answer_and_it_goes_on_by_itself(caplog):
    service = Service()
    worker = Worker(service)

    async def main():
        going = asyncio.create_task(worker.go(140.0))
        await asyncio.sleep(20.0)
        service.down = True
        await asyncio.sleep(100.0)
        assert worker.shared.down_since is not None
        assert worker.shared.down_for(asyncio.get_running_loop().time()) == pytest.approx(100.0, abs=0.1)
        assert worker.shared.down_because == "UNAVAILABLE: refused"
        service.down = False
        await going
        assert worker.shared.down_for(asyncio.get_running_loop().time()) == 0.0

    with caplog.at_level(logging.ERROR, "beam_talonone"):
        run(main())
    assert worker.sent(20.1, 120.0) == 0, "what was in hand, at most"
    assert worker.sent(130.0, 140.0) >= 0.95 * LIMIT * 10.0
    assert worker.permits.throttled >= 99.0
    messages = [record.getMessage() for record in caplog.records]
    assert [line.split(";")[0] for line in messages[:-1]] == ["the service does not answer"] * 4
    assert "UNAVAILABLE: refused" in messages[0]
    assert "answers again after 100" in messages[-1]


def test_a_bounded_run_gives_up_after_a_time():
    service = Service()
    worker = Worker(service, give_up_after=30.0)
    service.down = True
    with pytest.raises(Unreachable, match="the service has not answered for 30 s: UNAVAILABLE"):
        run(worker.go(60.0))
    assert worker.left == []


def test_a_defect_is_not_waited_out():
    async def broken(hits):
        raise RuntimeError("a defect")

    worker = Worker(Service())
    worker.shared._draw = broken
    with pytest.raises(RuntimeError, match="a defect"):
        run(worker.go(60.0))


def test_an_old_token_is_not_used():
    service = Service()
    worker = Worker(service, busy=lambda at: at < 10.0 or at >= 20.0)

    async def main():
        going = asyncio.create_task(worker.go(30.0))
        await asyncio.sleep(10.5)
        before = service.draws
        await asyncio.sleep(9.0)
        assert worker.slots._tokens
        assert service.draws == before, "an idle one draws nothing"
        service.down = True
        await asyncio.sleep(5.0)
        assert worker.sent(10.5, 24.0) == 0
        service.down = False
        await going

    run(main())
    assert worker.sent(25.5, 30.0) > 0


class Scripted:
    """Returns or raises the next entry of a script: an answer, or an exception."""

    name, limit, among = "the service", LIMIT, 3

    def __init__(self, *answers):
        self.answers, self.closed = list(answers), False

    def draw(self, hits):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        self.closed = True


def test_who_watches_a_service_knows_since_when_it_does_not_answer(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("beam_talonone.talonone.rate.shared_limit.time.monotonic", lambda: now[0])
    granted, refused = Drawn(True, 100, LIMIT), Drawn(False, 0, LIMIT)
    service = Scripted(granted, NoAnswer("UNAVAILABLE"), NoAnswer("nothing within 2 s"), refused, NoAnswer("again"))
    watched = Watched(service)
    assert (watched.name, watched.limit, watched.among) == ("the service", LIMIT, 3)
    seen = [watched.outage()]
    for _ in range(5):
        with suppress(NoAnswer):
            assert watched.draw(4) in (granted, refused)
        now[0] += 10.0
        seen.append(watched.outage())
    assert seen == [None, None, (10.0, "UNAVAILABLE"), (20.0, "nothing within 2 s"), None, (10.0, "again")]
    watched.close()
    assert service.closed
