"""Waiting for what may hang: its result, its error, and a word after a while."""

import threading

import pytest

from beam_talonone.pipelines.terminal import interruptible as module
from beam_talonone.pipelines.terminal.interruptible import interruptible


def failing() -> None:
    raise TimeoutError("the network's own")


def test_result_and_error_are_those_of_the_work() -> None:
    notices: list[str] = []
    assert interruptible(lambda: 7, "counting", notices.append) == 7
    with pytest.raises(TimeoutError, match="the network's own"):
        interruptible(failing, "failing", notices.append)
    assert notices == []


def test_it_is_told_once_when_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(module, "SAY_AFTER", 0.03)
    noticed, notices = threading.Event(), []

    def say(text: str) -> None:
        notices.append(text)
        noticed.set()

    assert interruptible(lambda: noticed.wait(30.0), "looking for gs://b/*", say)
    assert len(notices) == 1
    assert notices[0].startswith("still looking for gs://b/*: no answer yet")
