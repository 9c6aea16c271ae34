"""First tries that are sent without a task each: most requests need no second one.

A task, its future and a dozen coroutines take longer than a request itself. So requests that may leave now are sent
together, and whatever needs more than a plain success goes on in a task.
"""

import asyncio
import time
from collections.abc import Callable

from beam_talonone.talonone.delivery.attempt import RequestAttempt, exchanged
from beam_talonone.talonone.delivery.sender import Sender
from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.http.responses import VERDICT_APPLIED, Answer
from beam_talonone.talonone.http.send import Reply, Start, TransportFailure

OnFinal = Callable[[Answer | Exception | None], None]
"""Called with the final answer of a first try; with None if a task must go on with the attempt, or with an error that
ends the run."""


class FirstTries:
    """Sends first tries through `start`, on behalf of `sender`."""

    def __init__(self, sender: Sender, start: Start, *, possible: bool = True) -> None:
        """`possible` is False where `start` never sends anything."""
        self._sender, self._start, self._possible = sender, start, possible
        self._leaving: list[tuple[RequestAttempt, OnFinal]] = []
        self._loop = asyncio.get_running_loop()  # kept: `get_running_loop` makes a system call in Python 3.11
        self.closed = False
        """True once the connections close: their failures then say nothing."""

    def may_leave(self) -> bool:
        """Whether nothing is in the way of requests: the key gate is open, and the API works."""
        sender = self._sender
        gate = sender.gate
        return (
            self._possible
            and gate.refusal is None
            and not gate.api_key.being_read
            and sender.circuit.failing_since is None
        )

    def send(self, attempt: RequestAttempt, ended: OnFinal) -> None:
        """Send `attempt`, whose ticket has a permit, in the loop's next turn. Later `ended` is called, once."""
        if not self._leaving:
            self._loop.call_soon(self._leave)
        self._leaving.append((attempt, ended))
        self._sender.under_way += 1

    def _leave(self) -> None:
        """Send the attempts that have come together: the observer notes them with one write."""
        leaving, self._leaving = self._leaving, []
        if self.closed:
            return
        sender = self._sender
        error: Exception | None = StopRun("stopped") if sender.stopping.is_set() else None
        clear = error is None and self.may_leave()
        if clear:
            attempts = [attempt for attempt, _ in leaving]
            sender.count(attempts)
            try:
                _report(attempts, sender.wall())
            except Exception as failure:
                error = failure
        for attempt, ended in leaving:
            try:
                if clear and error is None and self._begin(attempt, ended):
                    continue
                attempt.did_not_leave()
            except Exception as failure:  # each of the others ends too, or its ticket would never end
                error = failure
            sender.under_way -= 1
            ended(error)

    def _begin(self, attempt: RequestAttempt, ended: OnFinal) -> bool:
        began = time.perf_counter()
        return self._start(
            attempt.request, attempt.idempotency_key(), lambda reply: self._came(attempt, ended, began, reply)
        )

    def _came(self, attempt: RequestAttempt, ended: OnFinal, began: float, reply: Reply | TransportFailure) -> None:
        if self.closed:
            return
        sender = self._sender
        # the permit stays: until the answer is resolved, nothing may leave in place of this request
        sender.under_way -= 1
        final: Answer | Exception | None = None
        try:
            result = exchanged(attempt.request, reply, time.perf_counter() - began)
            answer = result.answer
            if answer.verdict is VERDICT_APPLIED and not answer.already and answer.unreadable is None:
                final = sender.take(attempt, result)
                sender.circuit.works(self._loop.time())
            else:
                attempt.result = result
        except Exception as error:
            final = error
        ended(final)


def _report(leaving: list[RequestAttempt], at: float) -> None:
    """Report the starts of all attempts, those with one observer together. Raises what an observer raises."""
    observers = {id(attempt.observer): attempt.observer for attempt in leaving}
    for observer in observers.values():
        attempts = leaving
        if len(observers) > 1:
            attempts = [attempt for attempt in leaving if attempt.observer is observer]
        observer.on_starts([attempt.parts[0] for attempt in attempts if attempt.parts], at)
        for attempt in attempts:
            attempt.reported = True
