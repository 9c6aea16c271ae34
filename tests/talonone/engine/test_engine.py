"""The engine's thread and those who feed it: back-pressure, stopping, failing, closing."""

import asyncio
import concurrent.futures
import threading
import time
from contextlib import contextmanager

import pytest
from aiohttp import web

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.schemas.operations import get_customer_session
from beam_talonone.talonone.delivery.observer import NoObserver
from beam_talonone.talonone.delivery.send_options import InFlight, SendOptions
from beam_talonone.talonone.engine.engine import Engine
from beam_talonone.talonone.engine.job import Job
from beam_talonone.talonone.engine.settings import EngineSettings
from beam_talonone.talonone.errors import (
    ConfigurationError,
    Interrupted,
    KeyRefused,
    StopRun,
    Unreachable,
    WrongAddress,
)
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End

T = "2026-05-01T12:00:00Z"


class Server:
    """An API on the loopback in a thread of its own. `handler(request)` may be exchanged while it runs."""

    def __init__(self):
        self.got, self.most, self._open, self.connections = [], 0, 0, set()
        self.handler = self.yes
        self._loop = asyncio.new_event_loop()
        self._ready, self._end = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))
        self._thread.start()
        self._ready.wait()

    async def yes(self, request):
        return web.Response(text="{}")

    async def slow(self, request):
        await asyncio.sleep(0.3)
        return web.Response(text="{}")

    async def _handle(self, request):
        await request.read()
        self.got.append((request.method, request.raw_path))
        self.connections.add(request.transport.get_extra_info("peername"))
        self._open += 1
        self.most = max(self.most, self._open)
        try:
            return await self.handler(request)
        finally:
            self._open -= 1

    async def _serve(self):
        runner = web.ServerRunner(web.Server(self._handle))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._end.wait()
        await runner.cleanup()

    def close(self):
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


class JobCollector:
    """Makes jobs for an engine, and keeps their outcomes."""

    def __init__(self, engine):
        self.engine, self.outcomes, self.threads = engine, {}, set()

    def __call__(self, job, outcome):
        self.threads.add(threading.current_thread().name)
        self.engine.memory.note(job.work, outcome)
        self.outcomes[job.number] = outcome
        self.engine.job_done()

    def profile(self, number, customer=None, **fields):
        record = {"customer_id": customer or f"c{number}", "event_time": T, "attributes": {"a": number}, **fields}
        return self.job(number, "profiles", record)

    def event(self, number, customer=None):
        record = {"event_id": f"e{number}", "type": "t", "customer_id": customer or f"c{number}", "event_time": T}
        return self.job(number, "events", record)

    def job(self, number, kind, record, **more):
        work = build(kind, parse(kind, record).record, BuildOptions())
        return Job(number, work, SendOptions(), lambda job: SessionFacts(), self, **more)

    def all_ended(self, count):
        self.engine.flush()
        self.engine.wait(lambda: len(self.outcomes) == count)


@contextmanager
def running(server, **settings):
    engine = Engine(EngineSettings(**{"base_url": server.url, "rate": 5000.0, **settings}), "sesame")
    try:
        yield engine, JobCollector(engine)
    finally:
        engine.close()


def within(seconds, function):
    """The result of `function` in a thread, or TimeoutError: nothing here may wait for ever."""
    found = []

    def call():
        try:
            found.append((function(), None))
        except BaseException as error:
            found.append((None, error))

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    if not found:
        raise TimeoutError("still waiting")
    result, error = found[0]
    if error is not None:
        raise error
    return result


def test_jobs_end_and_are_told_once_on_the_engines_thread(server):
    with running(server) as (engine, collector):

        def work():
            for number in range(300):
                engine.submit(collector.event(number, f"c{number % 7}"))
            collector.all_ended(300)

        within(20, work)
        assert {outcome.end for outcome in collector.outcomes.values()} == {End.APPLIED}
        assert collector.threads == {"talonone-engine"}
        assert engine.pending == 0
        assert (engine.stats.requests, engine.stats.retries, engine.pending) == (300, 0, 0)
        assert len(server.got) == 300


def test_at_most_so_many_in_flight(server):
    server.handler = server.slow
    with running(server, concurrency=3) as (engine, collector):

        def work():
            for number in range(9):
                engine.submit(collector.event(number))
            collector.all_ended(9)

        within(20, work)
    assert server.most == 3


@pytest.mark.parametrize("window", [1, 2, 10])
def test_open_bulks_in_a_small_window_do_not_wait_for_ever(server, window):
    with running(server, window=window) as (engine, collector):

        def work():
            for number in range(60):
                engine.submit(collector.profile(number, audiences={"add": [1]} if number % 3 else None))
            collector.all_ended(60)

        within(30, work)
    assert len(collector.outcomes) == 60


def test_back_pressure(server):
    server.handler = server.slow
    with running(server, window=5) as (engine, collector):
        most = []

        def work():
            for number in range(12):
                engine.submit(collector.event(number))
                most.append(engine.pending)
            collector.all_ended(12)

        within(20, work)
    assert max(most) <= 5


def test_many_feed_one_engine(server):
    with running(server, window=50) as (engine, collector):

        def feed(first):
            for number in range(first, first + 200):
                engine.submit(collector.event(number) if number % 2 else collector.profile(number))

        threads = [threading.Thread(target=feed, args=(first,)) for first in (0, 200, 400)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        within(20, lambda: collector.all_ended(600))
    assert sorted(collector.outcomes) == list(range(600))


def test_a_refused_key_reaches_everyone_who_waits(server):
    async def refuse(request):
        return web.Response(status=401)

    server.handler = refuse
    with running(server, window=3) as (engine, collector):

        def feed():
            for number in range(1000):
                engine.submit(collector.event(number))

        with pytest.raises(KeyRefused):
            within(10, feed)
        for wait in (
            lambda: collector.all_ended(1000),
            lambda: engine.submit(collector.event(1)),
            lambda: engine.answers([]),
        ):
            with pytest.raises(KeyRefused):
                within(10, wait)
        assert not collector.outcomes
        assert len(server.got) <= 3


def test_stopping_lets_what_is_in_flight_end(server):
    server.handler = server.slow
    with running(server, concurrency=2) as (engine, collector):
        for number in range(10):
            engine.submit(collector.event(number))
        while len(server.got) < 2:
            time.sleep(0.01)
        within(10, lambda: engine.stop(Interrupted("enough")))
        assert sorted(collector.outcomes) == [0, 1]
        with pytest.raises(Interrupted, match="enough"):
            within(10, lambda: collector.all_ended(10))
        assert len(server.got) == 2
        within(10, lambda: engine.stop(Interrupted("again")))
        assert str(engine.failure) == "enough"


def test_closing_leaves_no_thread_and_nobody_waiting(server):
    async def never(request):
        await asyncio.sleep(2)

    server.handler = never
    before = set(threading.enumerate())
    engine = Engine(EngineSettings(server.url, window=1), "sesame")
    collector = JobCollector(engine)
    engine.submit(collector.event(0))
    failures = []

    def wait(function):
        try:
            function()
        except StopRun as why:
            failures.append(str(why))

    waits = (
        lambda: engine.submit(collector.event(1)),
        lambda: engine.wait(lambda: False),
        lambda: engine.stop(StopRun("x")),
    )
    threads = [threading.Thread(target=wait, args=(function,), daemon=True) for function in waits]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    within(5, engine.close)
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert len(failures) >= 2
    assert set(threading.enumerate()) <= before
    within(5, engine.close)
    within(5, engine.flush)
    within(5, lambda: engine.stop(StopRun("late")))
    with pytest.raises(StopRun):
        within(5, lambda: engine.submit(collector.event(2)))
    server.handler = server.yes


def test_a_stop_while_the_engine_closes_returns(server, monkeypatch):
    engine = Engine(EngineSettings(server.url), "sesame")
    closed, go_on = threading.Event(), threading.Event()

    class Held:
        def set(self):  # the loop is closed, and its thread has not ended yet
            closed.set()
            go_on.wait(10)

    monkeypatch.setattr(engine, "_ready", Held())
    closing = threading.Thread(target=engine.close)
    closing.start()
    assert closed.wait(10)
    try:
        within(5, lambda: engine.stop(StopRun("late")))
    finally:
        go_on.set()
        closing.join(10)


def test_a_stop_that_the_engine_no_longer_takes_returns(server, monkeypatch):
    """The loop accepts what it will not run: it is about to close."""
    engine = Engine(EngineSettings(server.url), "sesame")
    never = concurrent.futures.Future()

    def accepted(coroutine, loop):
        coroutine.close()
        engine.close()
        return never

    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", accepted)
    within(5, lambda: engine.stop(StopRun("late")))


def test_a_defect_stops_the_sending_at_once_and_is_told(server, caplog):
    class Full(NoObserver):
        def on_start(self, parts, generation, at, *, bulk=False):
            if parts == [(5, 0)]:
                raise OSError("no space left on device")

    with running(server, concurrency=1, rate=200.0) as (engine, collector):

        def hand_over_and_wait():  # on a slow machine the hand-over meets the failure already
            for number in range(200):
                job = collector.event(number)
                job.observer = Full()
                engine.submit(job)
            within(10, lambda: collector.all_ended(200))

        with pytest.raises(OSError, match="no space"):
            hand_over_and_wait()
        sent = len(server.got)
        time.sleep(0.2)
        assert len(server.got) == sent
        assert sent <= 6


def test_a_defect_of_the_one_who_is_told(server, caplog):
    def broken(job, outcome):
        raise RuntimeError("defect")

    with running(server) as (engine, collector):
        job = collector.event(0)
        job.on_outcome = broken
        engine.submit(job)
        with pytest.raises(RuntimeError, match="defect"):
            within(10, lambda: engine.wait(lambda: False))


def test_a_defect_of_the_one_who_is_asked(server, caplog):
    def broken(job):
        raise RuntimeError("defect")

    with running(server) as (engine, collector):
        engine.submit(collector.event(0, "c"))
        job = collector.event(1, "c")
        job.facts_of = broken
        engine.submit(job)
        with pytest.raises(RuntimeError, match="defect"):
            within(10, lambda: engine.wait(lambda: False))


def test_answers_to_reads_in_their_order(server):
    async def name(request):
        return web.Response(text=request.raw_path)

    server.handler = name
    with running(server) as (engine, _):
        requests = [get_customer_session(str(number)) for number in range(50)]
        answers = within(10, lambda: engine.answers(requests))
        assert [answer.body.decode() for answer in answers] == [request.target() for request in requests]


def test_a_bulk_of_an_earlier_run(server):
    with running(server) as (engine, collector):
        jobs = [collector.profile(number, audiences={"add": [1]}) for number in range(3)]
        within(5, lambda: engine.submit_pack([(job, 0) for job in jobs], InFlight(0, time.time())))
        within(10, lambda: collector.all_ended(3))
    assert [path for _, path in server.got] == ["/v2/customer_profiles?silent=yes", "/v2/customer_audiences"]


@pytest.mark.parametrize(
    ("in_code", "names"),
    [
        (False, ("--give-up-after 0.3", "go on with --resume")),
        (True, ("give_up_after 0.3", "run the pipeline again")),
    ],
)
def test_an_unreachable_api(in_code, names):
    engine = Engine(EngineSettings("http://127.0.0.1:9", give_up_after=0.3, in_code=in_code), "sesame")
    try:
        engine.submit(JobCollector(engine).event(0))
        with pytest.raises(Unreachable) as caught:
            within(15, lambda: engine.wait(lambda: False))
        assert all(name in str(caught.value) for name in names)
        assert in_code == ("--" not in str(caught.value))
    finally:
        engine.close()


def test_the_status_of_an_engine(server):
    with running(server, rate=50.0, concurrency=3) as (engine, collector):
        before = engine.status()
        assert (before.rate, before.pace, before.concurrency, before.answered) == (50.0, 50.0, 3, False)
        engine.submit(collector.event(1))
        within(10, lambda: collector.all_ended(1))
        after = engine.status()
        assert (after.requests, after.retries, after.answered, after.down_for) == (1, 0, True, 0.0)
        assert (after.retries_waiting, after.next_retry_in) == (0, 0.0)
        assert (after.in_flight, after.waiting, after.ending, after.rate_service) == (0, 0, None, None)


def test_the_status_during_a_storm_of_429(server):
    async def storm(request):
        return web.Response(status=429, headers={"Retry-After": "30"})

    server.handler = storm
    with running(server, rate=50.0) as (engine, collector):
        engine.submit(collector.event(1))
        within(10, lambda: wait_for(lambda: engine.status().slowed_by))
        status = engine.status()
        assert (status.slowed_by, status.failed_with, status.failure) == (429, 429, "status 429")
        within(10, lambda: wait_for(lambda: engine.status().retries_waiting == 1))
        assert 20.0 < engine.status().next_retry_in <= 30.25
        assert 25.0 < status.paused_for <= 30.0
        assert status.pace <= 25.0
        assert status.down_for > 0.0
        engine.stop(StopRun("enough"))
        assert str(engine.status().ending) == "enough"


def wait_for(condition):
    while not condition():
        time.sleep(0.01)


def test_a_wrong_address():
    with pytest.raises(ConfigurationError):
        Engine(EngineSettings("talon.example"), "sesame")
    engine = Engine(EngineSettings("https://nowhere.invalid"), "sesame")
    try:
        engine.submit(JobCollector(engine).event(0))
        with pytest.raises(WrongAddress, match="TALONONE_BASE_URL"):
            within(15, lambda: engine.wait(lambda: False))
    finally:
        engine.close()


def test_the_rate_holds_on_the_real_clock(server):
    with running(server, rate=200.0) as (engine, collector):
        began = time.monotonic()

        def work():
            for number in range(100):
                engine.submit(collector.event(number))
            collector.all_ended(100)

        within(20, work)
        assert time.monotonic() - began >= 99 / 200 - 0.02
        assert engine.throttled > 0.2


def test_another_share_of_the_rate_keeps_the_connections(server):
    with running(server, rate=5.0, phase=0.0, concurrency=4) as (engine, collector):
        within(20, lambda: engine.submit(*(collector.event(number) for number in range(300))))
        within(20, lambda: engine.wait(lambda: len(collector.outcomes) >= 2))
        engine.change_share(2000.0, 0.1)
        within(20, lambda: collector.all_ended(300))  # with the old share, they would take a minute
        assert (engine.settings.rate, engine.pace, engine.status().rate) == (2000.0, 2000.0, 2000.0)
        assert len(server.connections) <= 4
