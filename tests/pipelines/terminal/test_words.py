"""Counts and times in words."""

import pytest

from beam_talonone.pipelines.terminal.words import counted, duration, per_second


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 requests"), (1, "1 request"), (2, "2 requests"), (1_000_000, "1,000,000 requests")],
)
def test_one_thing_is_not_several(count, words):
    assert counted(count, "request") == words


def test_a_plural_of_its_own():
    assert [counted(count, "retry", "retries") for count in (0, 1, 2)] == ["0 retries", "1 retry", "2 retries"]


def test_a_duration_has_whole_seconds():
    assert [duration(seconds) for seconds in (0.0, 0.99, 59.9, 3661)] == ["0:00:00", "0:00:00", "0:00:59", "1:01:01"]


@pytest.mark.parametrize(
    ("rate", "words"),
    [(0.0, "0"), (0.04, "0"), (0.25, "0.2"), (1.0, "1"), (9.94, "9.9"), (9.96, "10"), (1234.4, "1,234")],
)
def test_a_rate(rate, words):
    assert per_second(rate).removesuffix(".0") == words
