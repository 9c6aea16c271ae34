"""The flag that a signal sets: nothing swallows it, and it reaches all who must act on it."""

import contextlib
import os
import signal
import threading

import pytest

from beam_talonone.pipelines.terminal.interruptible import interruptible
from beam_talonone.pipelines.terminal.stopping import RESUME, SIGNALS, Stop
from beam_talonone.talonone.errors import Interrupted


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_raises_nothing_where_it_comes(number: signal.Signals, request: pytest.FixtureRequest) -> None:
    # the tests themselves may run under nohup
    before = signal.signal(number, signal.SIG_DFL)
    request.addfinalizer(lambda: signal.signal(number, before))
    stop = Stop()
    with stop.taking_signals():
        os.kill(os.getpid(), number)
        assert stop.signal == number.name
        with pytest.raises(Interrupted, match=f"stopped by {number.name}; go on with --resume"):
            stop.check(RESUME)
        # a second one ends the process; a terminal that closes tells it twice
        assert signal.getsignal(signal.SIGTERM) == signal.getsignal(signal.SIGINT) == signal.SIG_DFL
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_handlers_are_given_back_and_the_flag_is_of_one_run() -> None:
    stop, before = Stop(), [signal.getsignal(one) for one in SIGNALS]
    with stop.taking_signals():
        with stop.taking_signals():  # the outer one takes them
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted):
            stop.check()
    assert [signal.getsignal(one) for one in SIGNALS] == before
    with stop.taking_signals():
        stop.check()


def test_nohup_is_heeded() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stop().taking_signals():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_listener_is_told_whenever_it_came() -> None:
    stop, notified = Stop(), threading.Semaphore(0)
    with stop.taking_signals():
        with stop.telling(lambda name: notified.release()):
            os.kill(os.getpid(), signal.SIGTERM)
            assert notified.acquire(timeout=10.0)
        with stop.telling(lambda name: notified.release()):
            assert notified.acquire(timeout=10.0)


def test_what_swallows_it_does_not_swallow_the_flag() -> None:
    stop = Stop()

    def swallowing() -> None:
        with stop.raising(), contextlib.suppress(Exception):
            os.kill(os.getpid(), signal.SIGTERM)

    with stop.taking_signals(), pytest.raises(Interrupted):
        swallowing()


def test_it_ends_waiting_though_the_work_hangs() -> None:
    stop, hangs, began = Stop(), threading.Event(), threading.Event()

    def hang() -> None:
        began.set()
        hangs.wait(60.0)

    def interrupt() -> None:
        began.wait(30.0)
        os.kill(os.getpid(), signal.SIGTERM)

    with stop.taking_signals():
        threading.Thread(target=interrupt).start()
        with pytest.raises(Interrupted, match="stopped by SIGTERM, at once"):
            interruptible(hang, "hanging", stop=stop, then=", at once")
    assert stop.abandoned
    hangs.set()


def test_the_result_of_what_was_interrupted_is_none() -> None:
    stop = Stop()

    def work() -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        return "half of the input"

    with stop.taking_signals(), pytest.raises(Interrupted):
        interruptible(work, "reading", stop=stop, grace=10.0)
    assert not stop.abandoned
