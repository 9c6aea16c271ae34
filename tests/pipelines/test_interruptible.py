"""Waiting for what may hang: its result, its error, a word after a while, and a signal in between."""

import os
import signal
import threading

import pytest

from beam_talonone.pipelines import interruptible as module
from beam_talonone.pipelines.interruptible import interruptible


def failing() -> None:
    raise TimeoutError("the network's own")


def test_result_and_error_are_those_of_the_work() -> None:
    said: list[str] = []
    assert interruptible(lambda: 7, "counting", said.append) == 7
    with pytest.raises(TimeoutError, match="the network's own"):
        interruptible(failing, "failing", said.append)
    assert said == []


def test_it_is_told_once_when_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(module, "SAY_AFTER", 0.03)
    told, said = threading.Event(), []

    def say(text: str) -> None:
        said.append(text)
        told.set()

    assert interruptible(lambda: told.wait(30.0), "looking for gs://b/*", say)
    assert len(said) == 1
    assert said[0].startswith("still looking for gs://b/*: no answer yet")


def test_a_signal_ends_it_though_the_work_hangs() -> None:
    hangs, began = threading.Event(), threading.Event()

    def stopped(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    def hang() -> None:
        began.set()
        hangs.wait(60.0)

    def interrupt() -> None:
        began.wait(30.0)
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, stopped)
    try:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            interruptible(hang, "hanging")
        assert not hangs.is_set()
    finally:
        signal.signal(signal.SIGUSR1, before)
        hangs.set()
