"""The state of the API in words."""

from dataclasses import replace

import pytest

from beam_talonone.pipelines.terminal.progress.api_state import NONE, OK, api_state
from beam_talonone.talonone.engine.status import EngineStatus
from beam_talonone.talonone.errors import Interrupted, KeyRefused, StopRun, Unreachable, WrongAddress

AT_WORK = EngineStatus(100.0, 100.0, 64, 300.0, in_flight=5, waiting=90, requests=1000, answered=True)


def said(silent_for=0.0, **changes):
    state = api_state(replace(AT_WORK, **changes), silent_for)
    return state.code, state.text


def test_before_the_first_request_there_is_nothing_to_say():
    assert api_state(None, 0.0) == NONE
    assert api_state(replace(AT_WORK, answered=False), 0.0) == NONE


def test_an_api_that_answers_is_well():
    assert api_state(AT_WORK, 0.0) == OK
    assert OK.is_well
    assert NONE.is_well


def test_a_429_slows_down():
    assert said(pace=83.4, slowed_by=429) == ("slowed", "429: slowed to 83/s")
    assert said(pace=83.4, slowed_by=503) == ("slowed", "503: slowed to 83/s")


def test_a_stray_429_is_not_worth_a_word():
    assert said(pace=97.0, slowed_by=429) == ("ok", "answers")


def test_a_rate_service_with_a_lower_limit_does_not_count_as_slowed():
    assert said(pace=50.0) == ("ok", "answers")


def test_a_storm_of_429_is_no_outage():
    assert said(pace=5.0, slowed_by=429, down_for=7.2, failed_with=429) == ("slowed", "429 for 7 s: slowed to 5/s")


def test_a_pause_counts_down():
    assert said(paused_for=23.4, slowed_by=429) == ("paused", "429: asks for a pause, 23 s left")


def test_an_outage_says_how_long_why_and_when_the_run_gives_up():
    code, text = said(down_for=12.4, failure="cannot connect to h:1: [Errno 111]\n refused")
    assert code == "down"
    assert (
        text == "unreachable for 12 s, trying again (cannot connect to h:1: [Errno 111] refused); gives up in 288 s"
    )


def test_an_outage_with_a_status():
    assert said(down_for=2.0, failed_with=503, give_up_after=None) == ("down", "status 503 for 2 s, trying again")


def test_requests_that_fail_by_themselves_do_not_end_the_run_so_nothing_counts_down():
    assert said(down_for=90.0, failed_with=500, give_up_after=60.0) == ("down", "status 500 for 90 s, trying again")


def test_a_failure_is_not_an_outage_yet():
    assert said(down_for=0.5, failed_with=503) == ("ok", "answers")


def test_the_cause_is_cut():
    _, text = said(down_for=2.0, failure="x" * 5000)
    assert len(text) < 200


def test_a_refusal_whose_cause_is_open():
    assert said(suspected=401) == ("suspected", "401: finding out whether the API key or a record is the cause")


def test_a_closed_key_gate():
    assert said(refusal="https://a refuses the API key (status 401)", suspected=401)[0] == "refused"


def test_a_rate_service_that_does_not_answer():
    code, text = said(rate_service_down_for=3.0, rate_service_failure="UNAVAILABLE: refused", down_for=9.0)
    assert code == "rate_service"
    assert text == "waiting for the rate limit service: no answer for 3 s (UNAVAILABLE: refused)"


def test_requests_without_an_answer():
    assert said(silent_for=12.0) == ("silent", "no answer for 12 s, 5 requests in flight")
    assert said(silent_for=12.0, in_flight=1)[1].endswith("1 request in flight")
    assert said(silent_for=12.0, in_flight=0) == ("ok", "answers")


@pytest.mark.parametrize(
    ("why", "text"),
    [
        (KeyRefused("x"), "the key is refused"),
        (WrongAddress("x"), "the address is wrong"),
        (Unreachable("x"), "unreachable for too long"),
        (StopRun("x"), "stopped"),
        (ValueError("x"), "the run ends early"),
    ],
)
def test_an_end(why, text):
    assert said(ending=why, refusal="x") == ("ended", text)


def test_a_stop_waits_for_what_is_in_flight():
    assert said(ending=Interrupted("x")) == ("stopping", "stopping: 5 requests in flight may end first")
    assert said(ending=Interrupted("x"), in_flight=0) == ("ended", "stopped")
