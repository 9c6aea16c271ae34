"""A snapshot as a line, as JSON, and as the lines of a screen."""

import json
from dataclasses import asdict, replace

import pytest
from support.run_snapshots import OUTAGE, READING, SENDING, STORM

from beam_talonone.pipelines.terminal.progress.api_state import NONE, ApiState
from beam_talonone.pipelines.terminal.progress.lines import api_line, as_json, packed, plain_line, screen


def test_the_line_of_a_log():
    assert plain_line(SENDING) == (
        "sending: 43 %, 2,150 of 5,000 records, 0:00:21 elapsed, 0:00:28 left; orders 1,900/4,000,"
        " profiles 250/1,000; 101 records/s, 100 requests/s of 100, 64 in flight, 3 dead letters, 1 retry;"
        " API: answers"
    )
    assert plain_line(READING) == "reading: 12,345 records, 0:00:03 elapsed; 4,100 records/s"


def test_what_is_not_known_yet():
    begun = replace(
        SENDING, done=0, percent=0, left=None, things_per_second=None, requests_per_second=None, kinds=(), api=NONE,
        dead_letters=1, retries=0,
    )  # fmt: skip
    assert plain_line(begun) == (
        "sending: 0 %, 0 of 5,000 records, 0:00:21 elapsed, time left not known;"
        " 64 in flight, 1 dead letter, 0 retries"
    )


@pytest.mark.parametrize(
    ("in_flight", "seconds", "words"),
    [
        (0, 6.4, "5 to be tried again, the next in 6 s"),
        (0, 0.4, "5 to be tried again"),
        (3, 6.4, "5 to be tried again"),
    ],
)
def test_requests_that_wait_for_their_next_try(in_flight, seconds, words):
    shown = replace(SENDING, retries_waiting=5, next_retry_in=seconds, in_flight=in_flight, left=None)
    assert plain_line(shown).endswith(f"1 retry, {words}; API: answers")


def test_the_end_has_no_time_left():
    assert plain_line(replace(SENDING, done=5000, percent=100, left=0.0)).startswith(
        "sending: 100 %, 5,000 of 5,000 records, 0:00:21 elapsed; "
    )


def test_an_early_end_has_no_time_left():
    ended = replace(SENDING, left=None, api=ApiState("ended", "stopped"))
    assert "left" not in plain_line(ended)


def test_the_lines_of_a_screen():
    shown = screen(replace(SENDING, api=STORM), 80)
    assert [line.text for line in shown] == [
        "sending  43 %  2,150 of 5,000 records  0:00:21 elapsed  0:00:28 left",
        "━" * 25 + "─" * 35,
        "orders 1,900/4,000  profiles 250/1,000",
        "101 records/s  100 requests/s of 100  64 in flight  3 dead letters  1 retry",
        "API: 429: slowed to 83/s",
    ]
    assert [line.role for line in shown] == ["head", "bar", "head", "head", "api"]
    assert shown[1].filled == 25


def test_a_terminal_without_unicode():
    [bar] = [line for line in screen(SENDING, 50, ascii_only=True) if line.role == "bar"]
    assert bar.text == "#" * 21 + "-" * 29
    assert all(line.text.isascii() for line in screen(replace(SENDING, api=OUTAGE), 50, ascii_only=True))


@pytest.mark.parametrize("width", [1, 2, 3, 7, 20, 39, 40, 79, 300])
@pytest.mark.parametrize("shown", [SENDING, READING, replace(SENDING, api=OUTAGE)], ids=["well", "reading", "down"])
def test_no_line_is_wider_than_the_screen(width, shown):
    lines = screen(shown, width)
    assert max(len(line.text) for line in lines) <= width


def test_a_narrow_screen_shows_all_facts():
    narrow = screen(replace(SENDING, api=OUTAGE), 39)
    words = " ".join(line.text for line in narrow if line.role != "bar").split()
    wide = " ".join(line.text for line in screen(replace(SENDING, api=OUTAGE), 200) if line.role != "bar").split()
    assert words == wide


def test_a_fact_that_is_too_long_is_cut():
    assert packed(["abcdefghij"], 6) == ["abc..."]
    assert packed(["abcdefghij"], 2) == [".."]


def test_json_has_all_facts():
    shown = as_json(SENDING)
    assert shown == {
        "phase": "sending", "things": "records", "done": 2150, "total": 5000, "percent": 43, "elapsed": 21.4,
        "left": 28.9, "kinds": {"orders": {"done": 1900, "total": 4000}, "profiles": {"done": 250, "total": 1000}},
        "things_per_second": 101.2, "requests_per_second": 99.6, "rate": 100.0, "in_flight": 64, "concurrency": 64,
        "requests": 2200, "retries": 1, "retries_waiting": 0, "next_retry_in": 0.0, "dead_letters": 3,
        "api": {"state": "ok", "text": "answers"},
    }  # fmt: skip
    assert set(asdict(SENDING)) == set(shown), "each field of the snapshot"
    assert json.loads(json.dumps(as_json(READING)))["left"] is None


def test_the_lines_about_the_api():
    assert api_line(replace(SENDING, api=STORM)) == "the API: 429: slowed to 83/s"
    assert api_line(SENDING, 35.2) == "the API answers again after 35 s"
