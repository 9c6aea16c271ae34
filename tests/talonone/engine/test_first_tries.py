"""First tries without a task: sent together, noted before they leave, and continued by a task where it needs more."""

import asyncio

import msgspec
from support.fakeloop import run
from support.sender_fixture import Noting, way

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.engine.batcher import Batcher
from beam_talonone.talonone.engine.first_tries import FirstTries
from beam_talonone.talonone.engine.job import Job
from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.http.send import Broken, NotSent, Reply
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End

OK = Reply(200, b"{}")


class Journal(Noting):
    """Notes what leaves together, or fails."""

    def __init__(self, error=None):
        super().__init__()
        self.together, self.error = [], error

    def on_starts(self, parts, at):
        if self.error is not None:
            raise self.error
        self.together.append(parts)
        self.events.append("started")

    def on_end(self, number, outcome, part=None):
        self.events.append("ended")


class Api:
    """Takes requests without a task while `connections` are idle, and by `send` else. `send` answers with `later`."""

    def __init__(self, connections=64, *later):
        self.connections, self.later = connections, list(later)
        self.begun, self.sent = [], []

    def start(self, request, key, came):
        if len(self.begun) >= self.connections:
            return False
        self.begun.append((request, key, came))
        return True

    async def send(self, request, key):
        self.sent.append(key)
        reply = self.later.pop(0) if self.later else OK
        if isinstance(reply, Exception):
            raise reply
        return reply


def work(number):
    record = {
        "event_id": f"e{number}",
        "type": "t",
        "customer_id": f"c{number}",
        "event_time": "2026-05-01T12:00:00Z",
    }
    return build("events", parse("events", record).record, BuildOptions())


def scene(steps, api, journal, jobs=1):
    """Run `steps(w, first, api)` after `jobs` jobs were accepted; returns the outcomes by number, and the way."""
    outcomes = {}

    async def main():
        async with way(api.send, rate=1e6) as w:
            first = FirstTries(w.sender, api.start)
            batcher = Batcher(w.dispatcher, w.sender, first)
            for number in range(jobs):
                options = SendOptions()
                batcher.accept(Job(number, work(number), options, lambda job: SessionFacts(), told, journal))
            for _ in range(5):
                await asyncio.sleep(0)
            await steps(w, first, api)
            await asyncio.sleep(300.0)
            return w

    def told(job, outcome):
        outcomes[job.number] = outcome

    return outcomes, run(main())


async def answer_all(w, first, api, reply=OK):
    for _, _, came in api.begun:
        came(reply)


def test_requests_that_may_leave_together_are_noted_together_and_end_without_a_task():
    api, journal = Api(), Journal()
    outcomes, w = scene(answer_all, api, journal, jobs=3)
    assert journal.together == [[(0, 0), (1, 0), (2, 0)]]
    assert {outcome.end for outcome in outcomes.values()} == {End.APPLIED}
    assert {(outcome.attempts, outcome.status) for outcome in outcomes.values()} == {(1, 200)}
    assert all(outcome.first_sent is not None for outcome in outcomes.values())
    assert (api.sent, w.permits.in_flight, w.dispatcher.pending, w.dispatcher.running) == ([], 0, 0, 0)
    assert w.sender.stats.requests == 3
    assert w.sender.circuit.last_success is not None


def test_without_an_idle_connection_a_task_sends_and_the_start_is_taken_back_until_then():
    api, journal = Api(1), Journal()
    outcomes, w = scene(answer_all, api, journal, jobs=2)
    assert journal.events == ["started", "retracted", "started", "ended", "ended"]
    assert [outcomes[number].attempts for number in (0, 1)] == [1, 1]
    assert (len(api.begun), len(api.sent), w.permits.in_flight) == (1, 1, 0)


def test_a_failure_is_tried_again_under_the_same_key():
    api, journal = Api(), Journal()

    async def fail(w, first, api):
        await answer_all(w, first, api, Broken("cut"))

    outcomes, w = scene(fail, api, journal)
    assert [key for _, key, _ in api.begun] == api.sent
    assert (outcomes[0].end, outcomes[0].attempts) == (End.APPLIED, 2)
    assert journal.events == ["started", "ended"], "it may have acted: the note stays"
    assert (w.sender.stats.requests, w.sender.stats.retries) == (2, 1)


def test_what_was_not_sent_is_retracted():
    api, journal = Api(), Journal()

    async def fail(w, first, api):
        await answer_all(w, first, api, NotSent("no connection"))

    scene(fail, api, journal)
    assert journal.events == ["started", "retracted", "started", "ended"]


def test_a_refusal_is_a_dead_letter():
    api, journal = Api(), Journal()

    async def refuse(w, first, api):
        await answer_all(w, first, api, Reply(400, b'{"message": "no"}'))

    outcomes, _ = scene(refuse, api, journal)
    assert (outcomes[0].end, outcomes[0].status, outcomes[0].attempts) == (End.DEAD, 400, 1)


def test_a_full_disk_sends_nothing_and_ends_the_run():
    api, full = Api(), OSError("no space left on device")
    outcomes, w = scene(answer_all, api, Journal(full), jobs=2)
    assert (w.failures, api.begun, api.sent, outcomes) == ([full, full], [], [], {})
    assert w.permits.in_flight == 0


def test_a_run_that_stops_sends_nothing_more():
    api, journal = Api(), Journal()

    async def main():
        async with way(api.send, rate=1e6) as w:
            batcher = Batcher(w.dispatcher, w.sender, FirstTries(w.sender, api.start))
            batcher.accept(Job(0, work(0), SendOptions(), lambda job: SessionFacts(), lambda *_: None, journal))
            w.sender.stopping.set()
            await asyncio.sleep(1.0)
            return w

    w = run(main())
    assert (api.begun, api.sent, journal.events) == ([], [], [])
    assert [type(failure) for failure in w.failures] == [StopRun]


def test_connections_that_close_at_the_end_say_nothing():
    api, journal = Api(), Journal()

    async def close(w, first, api):
        first.closed = True
        await answer_all(w, first, api, Broken("closed"))

    outcomes, _ = scene(close, api, journal)
    assert (outcomes, api.sent, journal.events) == ({}, [], ["started"])


def test_a_request_that_cannot_be_begun_ends_the_others_that_leave_with_it():
    error = ValueError("no such header")

    class Failing(Api):
        def start(self, request, key, came):
            if len(self.begun) == 1:
                raise error
            return super().start(request, key, came)

    api, journal = Failing(), Journal()
    outcomes, w = scene(answer_all, api, journal, jobs=4)
    assert (len(api.begun), api.sent, w.failures) == (1, [], [error] * 3)
    assert (w.sender.under_way, w.permits.in_flight, w.dispatcher.running) == (0, 0, 0)
    assert outcomes[0].end is End.APPLIED


def test_nothing_leaves_while_an_answer_that_asks_for_a_pause_is_judged():
    left = []

    class Timed(Api):
        def start(self, request, key, came):
            left.append(asyncio.get_running_loop().time())
            return super().start(request, key, came)

        async def send(self, request, key):
            left.append(asyncio.get_running_loop().time())
            return OK

    api, journal = Timed(), Journal()

    async def main():
        async with way(api.send, rate=50.0, concurrency=2) as w:
            batcher = Batcher(w.dispatcher, w.sender, FirstTries(w.sender, api.start))
            for number in range(4):
                options = SendOptions()
                batcher.accept(
                    Job(number, work(number), options, lambda job: SessionFacts(), lambda *_: None, journal)
                )
            await asyncio.sleep(1.0)
            assert len(left) == 2
            at = asyncio.get_running_loop().time()
            for _, _, came in list(api.begun):
                came(Reply(429, b'{"message": "slow down"}', "30"))
            await asyncio.sleep(29.0)
            assert len(left) == 2
            await asyncio.sleep(60.0)
            return [time - at for time in left[2:]], w

    later, w = run(main())
    assert later
    assert min(later) >= 30.0
    assert w.permits.in_flight == w.dispatcher.running == len(api.begun) - 2


def test_a_request_that_waits_for_the_api_to_work_is_not_noted_as_sent():
    """The API restarts: the batch finds no idle connection, and another request's failure breaks the circuit."""

    class Restarting(Api):
        def start(self, request, key, came):
            w.sender.circuit.fails(asyncio.get_running_loop().time(), 1, reachable=False)
            return False

    class Waiting(Restarting):
        async def send(self, request, key):
            await asyncio.get_running_loop().create_future()

    api, journal, w = Waiting(), Journal(), None

    async def main():
        nonlocal w
        async with way(api.send, rate=1e6) as w:
            batcher = Batcher(w.dispatcher, w.sender, FirstTries(w.sender, api.start))
            unsafe = work(0)
            request = msgspec.structs.replace(unsafe.parts[0].request, operation="create_referral", path={})
            unsafe = msgspec.structs.replace(
                unsafe, parts=(msgspec.structs.replace(unsafe.parts[0], request=request),)
            )
            batcher.accept(Job(0, unsafe, SendOptions(), lambda job: SessionFacts(), lambda *_: None, journal))
            await asyncio.sleep(0.01)

    run(main())
    assert journal.events == ["started", "retracted"]


def test_starts_that_one_journal_has_are_taken_back_when_another_is_full():
    api, journal, full = Api(), Journal(), OSError("no space left on device")

    async def main():
        async with way(api.send, rate=1e6) as w:
            batcher = Batcher(w.dispatcher, w.sender, FirstTries(w.sender, api.start))
            for number, observer in enumerate([journal, Journal(full)]):
                options = SendOptions()
                batcher.accept(
                    Job(number, work(number), options, lambda job: SessionFacts(), lambda *_: None, observer)
                )
            await asyncio.sleep(1.0)
            return w

    w = run(main())
    assert (journal.events, api.begun, api.sent) == (["started", "retracted"], [], [])
    assert w.failures == [full, full]
