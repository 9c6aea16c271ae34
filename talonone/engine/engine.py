"""The sending engine of a process: an event loop in a thread of its own, fed by and answering to other threads."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import uvloop

from beam_talonone.schemas.request import Request
from beam_talonone.talonone.delivery.dispatcher import Dispatcher, RatePermits
from beam_talonone.talonone.delivery.refused_key import Evidence
from beam_talonone.talonone.delivery.request_sender import RequestSender
from beam_talonone.talonone.delivery.send_options import InFlight, SendOptions
from beam_talonone.talonone.delivery.sender import Sender
from beam_talonone.talonone.engine.batcher import Batcher
from beam_talonone.talonone.engine.bulk_sender import Member
from beam_talonone.talonone.engine.first_tries import FirstTries
from beam_talonone.talonone.engine.job import Job
from beam_talonone.talonone.engine.loop_result import CLOSED, result_of
from beam_talonone.talonone.engine.mailbox import Mailbox
from beam_talonone.talonone.engine.settings import JOBS_OF_A_POST, EngineSettings
from beam_talonone.talonone.engine.status import EngineStatus, status_of
from beam_talonone.talonone.engine.window import Window
from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.http.api_key import ApiKey, KeySource
from beam_talonone.talonone.http.client_choice import client_for, route_to
from beam_talonone.talonone.http.responses import Answer
from beam_talonone.talonone.rate import shared_limit
from beam_talonone.talonone.rate.shared_limit import RateService
from beam_talonone.talonone.state.session_cache import SessionMemory
from beam_talonone.talonone.telemetry.logs import say
from beam_talonone.talonone.telemetry.process_tuning import tune_process
from beam_talonone.talonone.telemetry.stats import Stats
from beam_talonone.talonone.tracing import follow_provider

GRACE = 30.0
"""Seconds for what is in flight to end after a failure."""

log = logging.getLogger(__name__)


class Engine:
    """Carries out jobs. Call `submit` and `flush` from any thread; `on_outcome` is called on the engine's thread."""

    def __init__(
        self,
        settings: EngineSettings,
        api_key: str,
        hold_on: Callable[[StopRun], bool] | None = None,
        key_source: KeySource | None = None,
        rate_service: RateService | None = None,
        *,
        accepted_before: bool = False,
    ) -> None:
        """Start the engine's thread. Raises ConfigurationError for an address that cannot be used.

        `hold_on` is called when the key is refused or the address is wrong: True waits for a correction. Before that
        the key is read once more from `key_source`. With a `rate_service` other processes share the rate; `close`
        closes it. `accepted_before` is True if the API has accepted records of this job before.
        """
        route_to(settings.base_url, settings.http)
        tune_process()
        follow_provider()
        self.settings, self.stats, self.memory = settings, Stats(), SessionMemory()
        self._key, self._key_source, self._rate_service = api_key, key_source, rate_service
        self._hold_on, self._accepted_before = hold_on, accepted_before
        self._loop = uvloop.new_event_loop()
        self._inbox = Mailbox(self._loop, self._guarded)
        self._window = Window(settings.window, self._loop, lambda: self._permits.waiting >= settings.ready)
        self._ready, self._closing = threading.Event(), asyncio.Event()
        self._why: BaseException | None = None
        """The first reason to stop; it becomes `failure` once no request is in flight."""
        self._thread = threading.Thread(target=self._run, name="talonone-engine", daemon=True)
        self._thread.start()
        self._ready.wait()

    def submit(self, *jobs: Job) -> None:
        """Take in jobs, in their order; wait while the window is full. Raises the error that stopped the engine."""
        self._window.make_room(len(jobs), self._ask_to_flush)
        self._inbox.post(lambda: self._batcher.accept(*jobs), size=max(1, len(jobs) // JOBS_OF_A_POST))

    def has_room(self, count: int) -> bool:
        """Whether `submit` takes in `count` jobs at once. If not, wait until some end. Raises as `submit` does."""
        return self._window.has_room(count, self._ask_to_flush)

    def submit_pack(self, members: list[Member], before: InFlight) -> None:
        """Take in a bulk that was in flight when an earlier run died."""
        self._window.make_room(len({job.number for job, _ in members}), self._ask_to_flush)
        self.post(lambda: self._batcher.accept_pack(members, before))

    def post(self, action: Callable[[], None]) -> None:
        """Run `action` on the engine's thread, after what was posted before."""
        self._inbox.post(action)  # after the end of the loop, waiting callers raise `failure`

    def take(self, job: Job) -> None:
        """Take in a job on the engine's thread. The window does not count it, so it needs no `job_done`."""
        self._batcher.accept(job)

    def take_pack(self, members: list[Member], before: InFlight) -> None:
        """Take in a bulk that was in flight when an earlier process died, on the engine's thread."""
        self._batcher.accept_pack(members, before)

    def change_share(self, rate: float, phase: float | None) -> None:
        """Pace by `rate` and `phase` from now on, unless a rate service grants the rate. Call it from any thread."""
        self.settings = replace(self.settings, rate=rate, phase=phase)
        self.post(lambda: self._pacer.change(rate, shared_limit.phase_here(phase)))

    def was_accepted_before(self) -> None:
        """Record that the API has accepted records of this job before. Call it from any thread."""

        def note() -> None:
            self._sender.gate.evidence.earlier = True

        self.post(note)

    @property
    def worked(self) -> bool:
        """True once the API has accepted any request of this job."""
        return self._sender.gate.evidence.worked

    def flush_now(self) -> None:
        """Submit half-filled bulks. Call it on the engine's thread."""
        self._batcher.flush()

    def after(self, seconds: float, action: Callable[[], None]) -> asyncio.TimerHandle:
        """Run `action` on the engine's thread after `seconds`. Call it on that thread."""
        return self._loop.call_later(seconds, self._guarded, action)

    def down_for(self) -> float:
        """Seconds for which nothing at all has succeeded; 0.0 while the API works."""
        return self._sender.circuit.down_for(self._loop.time())

    @property
    def refusal(self) -> StopRun | None:
        """Why the key gate is closed: the key is refused, or the address is wrong. None while it is open."""
        return self._sender.gate.refusal

    def answers(self, requests: list[Request], *, helping: bool = False) -> list[Answer]:
        """Return the answers to requests that read, in order. They are paced and retried, and go before every job.

        With `helping`, a refusal that may be about the API key does not stop the engine: it is the answer. Raises the
        error that stopped the engine, and StopRun.
        """
        self._window.raise_failure()
        return result_of(self._answers(requests, helping), self._loop, self._thread)

    def flush(self) -> None:
        """Submit half-filled bulks. Call it from any thread."""
        self.post(self.flush_now)

    def job_done(self, count: int = 1) -> None:
        """Count submitted jobs as done. Call it on the engine's thread, once for each job after its `on_outcome`."""
        self._window.job_done(count)

    def wait(self, done: Callable[[], bool], *, flush: bool = False) -> None:
        """Wait as Window.wait does. With `flush`, half-filled bulks leave where nothing else is under way."""
        self._window.wait(done, self._ask_to_flush if flush else lambda: None)

    @property
    def failure(self) -> BaseException | None:
        """The error that stopped the engine, once no request is in flight."""
        return self._window.failure

    @property
    def pending(self) -> int:
        """Jobs taken in and not yet done."""
        return self._window.pending

    def stop(self, why: StopRun, grace: float = GRACE) -> None:
        """Start nothing more and let what is in flight end, for at most `grace` seconds; waiters then raise `why`."""
        with contextlib.suppress(StopRun):
            result_of(self._stop(why, grace), self._loop, self._thread)

    @contextlib.contextmanager
    def stopped_by_errors(self, why: StopRun) -> Iterator[None]:
        """Stop the engine for `why` if the block raises; requests in flight end first.

        Raises the error of the block, or the error that had stopped the engine before.
        """
        try:
            yield
        except Exception:
            self.stop(why)
            if self.failure is None or self.failure is why:
                raise
            raise self.failure from None

    def close(self) -> None:
        """End the engine's thread. Jobs that are not done stay undone; callers that wait for them raise StopRun."""
        self._inbox.wake(self._closing.set)
        if self._rate_service is not None:
            self._rate_service.close()
        self._thread.join()
        self._window.fail(StopRun(CLOSED))

    @property
    def throttled(self) -> float:
        """Seconds in which a request was ready and the rate held it back."""
        return self._permits.throttled

    @property
    def pace(self) -> float:
        """Requests per second that this engine may send now: the rate, or a rate service's limit if that is lower.

        It is lower still after the API asked for a slower pace. The parts of other processes are not subtracted.
        """
        return self._pacer.rate * self._pacer.factor(self._loop.time())

    @property
    def in_flight(self) -> int:
        """Requests that are under way."""
        return self._permits.in_flight

    @property
    def waiting(self) -> int:
        """Requests of records that have not ended, including those in flight; a bulk counts as one."""
        return self._dispatcher.pending

    def status(self) -> EngineStatus:
        """What the engine does now. Call it from any thread."""
        ending = self.failure or self._why
        return status_of(
            self.settings, self._sender, self._loop.time(), pace=self.pace, waiting=self.waiting, ending=ending
        )

    def _ask_to_flush(self) -> None:
        self.post(self._flush_if_idle)

    def _flush_if_idle(self) -> None:
        """The window is full. If nothing is under way, half-filled bulks fill it, and only a flush ends them."""
        if not self._dispatcher.pending:
            self._batcher.flush()

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:
            self._failed(error)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._main())
        except BaseException as error:
            say(log, logging.ERROR, "the sending thread ended", error=error)
            self._window.fail(error)
        finally:
            self._loop.close()
            self._ready.set()

    async def _main(self) -> None:
        settings = self.settings
        async with client_for(settings.base_url, self._key, settings.timeout, settings.http) as client:
            self._pacer = pacer = shared_limit.pacer_of_process(settings.rate, settings.phase)
            shared = shared_limit.shared_rate(self._rate_service, pacer, settings.rate, settings.give_up_after)
            self._permits = RatePermits(pacer, settings.concurrency, shared)
            self._dispatcher = Dispatcher(self._permits, self._failed)
            self._sender = Sender(
                client.send, self._permits, pacer, settings.base_url, settings.give_up_after, self.stats,
                api_key=ApiKey(self._key, self._key_source, client.use_key), api_is_up=settings.api_is_up,
                evidence=Evidence(earlier=self._accepted_before), hold_on=self._hold_on, in_code=settings.in_code,
            )  # fmt: skip
            first = FirstTries(self._sender, client.start, possible=client.starts)
            self._batcher = Batcher(self._dispatcher, self._sender, first)
            permits = asyncio.create_task(self._permits.run())
            permits.add_done_callback(lambda task: None if task.cancelled() else self._failed(_end_of(task)))
            self._ready.set()
            await self._closing.wait()
            first.closed = True
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _answers(self, requests: list[Request], helping: bool) -> list[Answer]:
        return await asyncio.gather(*(self._read(request, helping) for request in requests))

    async def _read(self, request: Request, helping: bool) -> Answer:
        request_sender = RequestSender(-1, sender=self._sender, options=SendOptions())
        try:
            return await request_sender.read(request, takes_refusal=helping)
        finally:
            self._permits.release_of(request_sender)

    def _failed(self, error: BaseException) -> None:
        """Stop at the first failure. Requests in flight end first, so that their outcomes are not lost."""
        if not isinstance(error, StopRun):
            say(log, logging.INFO, "a defect stopped the sending", error=error)
        if self._why is None:
            self._why = error
            self._stopping = asyncio.ensure_future(self._stop(error, GRACE))

    async def _stop(self, why: BaseException, grace: float) -> None:
        self._why = self._why or why
        stop = why if isinstance(why, StopRun) else StopRun(f"stopped by a defect: {why!r}")
        self._dispatcher.stop(stop)
        self._sender.stopping.set()
        self._permits.abandon(stop)
        deadline = self._loop.time() + grace
        while self._dispatcher.running > 0 and self._loop.time() < deadline:
            await asyncio.sleep(0.02)
        self._window.fail(self._why)


def _end_of(task: asyncio.Task[None]) -> BaseException:
    return task.exception() or RuntimeError("the rate permits ended")
