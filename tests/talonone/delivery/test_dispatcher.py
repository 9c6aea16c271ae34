"""Per key one at a time and in order, N in flight over all, oldest first, and nothing is left behind."""

import asyncio
import weakref
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fakeloop import run
from support.sender_fixture import way

from beam_talonone.talonone.delivery.dispatcher import Ticket
from beam_talonone.talonone.errors import StopRun


async def never(request, key):
    raise RuntimeError("nothing is sent here")


def _no():
    return False


class FakeTicket(Ticket, eq=False, kw_only=True, weakref=True):
    carry_out: Callable[[Ticket], Awaitable[None]] = never
    unsent: Callable[[], bool] = _no

    def ends_unsent(self):
        return self.unsent()

    async def run(self):
        await self.carry_out(self)


class Log:
    def __init__(self):
        self.open, self.begun, self.ended, self.most = set(), [], [], 0

    def ticket(self, w, number, keys, latency, steps=1, settles=False):
        async def run(ticket):
            held = {key for other in self.open for key in other.keys}
            assert not held & set(ticket.keys), "two in flight with one key"
            self.open.add(ticket)
            self.begun.append(number)
            for step in range(steps):
                if step:
                    await w.permits.acquire(number)
                    ticket.has_permit = True
                self.most = max(self.most, sum(other.has_permit for other in self.open))
                await asyncio.sleep(latency)
                ticket.has_permit = False
                w.permits.release()
            self.open.discard(ticket)
            self.ended.append(number)

        def nothing_needed():
            if settles:
                self.begun.append(number)
                self.ended.append(number)
            return settles

        return FakeTicket(number, keys, carry_out=run, unsent=nothing_needed)


KEYS = st.lists(st.tuples(st.sampled_from(["session", "profile"]), st.sampled_from("abcd")), max_size=4, unique=True)
TICKETS = st.lists(
    st.tuples(KEYS, st.sampled_from([0.0, 0.01, 0.2, 3.0]), st.integers(1, 3), st.booleans() | st.just(False)),
    max_size=40,
)


@settings(max_examples=120)
@given(TICKETS, st.integers(1, 5))
def test_order_per_key_and_number_in_flight(tickets, concurrency):
    log = Log()

    async def main():
        async with way(never, rate=1000.0, concurrency=concurrency) as w:
            for number, (keys, latency, steps, settles) in enumerate(tickets):
                w.dispatcher.submit(log.ticket(w, number, tuple(keys), latency, steps, settles))
            while len(log.ended) < len(tickets):
                await asyncio.sleep(1.0)
            assert w.dispatcher.pending == 0
            assert not w.dispatcher._last
            assert not w.failures
            await asyncio.sleep(0)
            assert w.dispatcher.running == 0

    run(main())
    assert log.most <= concurrency
    assert sorted(log.ended) == list(range(len(tickets)))
    for key in {key for keys, *_ in tickets for key in keys}:
        holders = [number for number, (keys, *_) in enumerate(tickets) if key in keys]
        assert [number for number in log.begun if number in holders] == holders
        assert [number for number in log.ended if number in holders] == holders


def test_a_ticket_that_is_kept_after_its_end_keeps_no_other():
    """The traceback of a failed try may keep it until a rare garbage collection. A customer may have thousands."""
    log = Log()

    async def main():
        async with way(never, rate=1000.0, concurrency=1) as w:
            first = log.ticket(w, 0, ("a", "b"), 0.0)
            w.dispatcher.submit(first)
            second = log.ticket(w, 1, ("b", "a"), 0.0)
            w.dispatcher.submit(second)
            kept = weakref.ref(second)
            del second
            w.dispatcher.submit(log.ticket(w, 2, ("c",), 0.0))
            await asyncio.sleep(1.0)
            assert log.ended == [0, 1, 2]
            assert kept() is None

    run(main())


def test_the_oldest_that_may_leave_leaves_first():
    log = Log()

    async def main():
        async with way(never, rate=10.0, concurrency=1) as w:
            for number in (5, 3, 9, 1, 7):
                w.dispatcher.submit(log.ticket(w, number, (("profile", str(number)),), 0.0))
            await asyncio.sleep(10.0)

    run(main())
    assert log.begun == [1, 3, 5, 7, 9]


def test_a_further_request_of_an_old_ticket_leaves_before_a_young_one():
    log = Log()

    async def main():
        async with way(never, rate=1.0) as w:
            w.dispatcher.submit(log.ticket(w, 1, (("profile", "a"),), 0.1, steps=2))
            w.dispatcher.submit(log.ticket(w, 2, (("profile", "b"),), 0.1))
            w.dispatcher.submit(log.ticket(w, 3, (("profile", "c"),), 0.1))
            await asyncio.sleep(10.0)

    run(main())
    assert log.ended == [1, 2, 3]


def test_departures_keep_the_rate():
    times = []

    async def main():
        async with way(never, rate=100.0) as w:

            async def one(number):
                await w.permits.acquire(number)
                times.append(asyncio.get_running_loop().time())
                w.permits.release()

            await asyncio.gather(*(one(number) for number in range(300)))
            await asyncio.sleep(60.0)
            await asyncio.gather(*(one(number) for number in range(300)))
            return w.permits.throttled

    assert run(main()) == pytest.approx(5.98, abs=0.05)
    for start in range(len(times) - 10):
        assert times[start + 10] - times[start] >= 0.1 - 0.0041


def test_stopping_starts_nothing_more_and_ends_what_is_in_flight():
    log = Log()

    async def main():
        async with way(never, concurrency=2) as w:
            for number in range(6):
                w.dispatcher.submit(log.ticket(w, number, (("profile", str(number % 3)),), 1.0))
            await asyncio.sleep(0.5)
            w.dispatcher.stop(StopRun("enough"))
            w.dispatcher.submit(log.ticket(w, 9, (), 0.0))
            await asyncio.sleep(10.0)
            return w.dispatcher.running

    assert run(main()) == 0
    assert log.ended == [0, 1]


@pytest.mark.parametrize("error", [StopRun("key refused"), RuntimeError("defect")])
def test_a_failed_ticket_keeps_its_keys_and_is_told(error):
    log = Log()

    async def main():
        async with way(never) as w:

            async def fail(ticket):
                raise error

            w.dispatcher.submit(FakeTicket(1, (("profile", "a"),), carry_out=fail))
            w.dispatcher.submit(log.ticket(w, 2, (("profile", "a"),), 0.0))
            await asyncio.sleep(5.0)
            assert w.failures == [error]
            assert w.permits._free == 64

    run(main())
    assert log.begun == []


def test_a_defect_in_settling_is_told_too():
    log = Log()

    def defect():
        raise RuntimeError("defect")

    async def main():
        async with way(never) as w:
            first = log.ticket(w, 1, (("profile", "a"),), 0.0)
            second = log.ticket(w, 2, (("profile", "a"),), 0.0)
            second.unsent = defect
            w.dispatcher.submit(first)
            w.dispatcher.submit(second)
            await asyncio.sleep(5.0)
            assert [str(error) for error in w.failures] == ["defect"]

    run(main())


def test_thousands_that_settle_by_themselves_do_not_exhaust_the_stack():
    log = Log()

    async def main():
        async with way(never) as w:
            w.dispatcher.submit(log.ticket(w, 0, (("profile", "a"),), 1.0))
            for number in range(1, 5000):
                w.dispatcher.submit(log.ticket(w, number, (("profile", "a"),), 0.0, settles=True))
            await asyncio.sleep(5.0)
            assert w.dispatcher.pending == 0

    run(main())
    assert log.ended == list(range(5000))


def test_waiting_for_leave_is_abandoned_with_the_run():
    async def main():
        async with way(never, concurrency=1) as w:
            await w.permits.acquire(1)
            waiting = asyncio.create_task(w.permits.acquire(2))
            await asyncio.sleep(1.0)
            w.permits.abandon(StopRun("enough"))
            with pytest.raises(StopRun, match="enough"):
                await waiting

    run(main())


class BegunTicket(FakeTicket, eq=False):
    """Is sent without a task, and ends in a later turn of the loop."""

    def begin(self, over):
        asyncio.get_running_loop().call_soon(over, self, True)
        return True


@pytest.mark.parametrize("error", [OSError(28, "disk full"), StopRun("the journal was removed")])
def test_an_error_of_the_next_ticket_ends_the_run_though_the_one_before_had_no_task(error):
    def full():
        raise error

    async def main():
        async with way(never) as w:
            swallowed = []
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: swallowed.append(context))
            w.dispatcher.submit(BegunTicket(1, (("profile", "a"),)))
            w.dispatcher.submit(BegunTicket(2, (("profile", "a"),), unsent=full))
            await asyncio.sleep(1.0)
            return swallowed, w

    swallowed, w = run(main())
    assert (w.failures, swallowed) == ([error], [])
    assert (w.permits.in_flight, w.dispatcher.running, w.dispatcher.pending) == (0, 0, 1)
    assert w.dispatcher.stopped is (error if isinstance(error, StopRun) else None)
