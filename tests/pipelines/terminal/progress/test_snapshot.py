"""A run at one moment, from the readings of the last minute."""

from dataclasses import replace

from beam_talonone.pipelines.terminal.progress.api_state import NONE
from beam_talonone.pipelines.terminal.progress.snapshot import KindCount, Reading, snapshot
from beam_talonone.talonone.engine.status import EngineStatus
from beam_talonone.talonone.errors import StopRun

ENGINE = EngineStatus(100.0, 100.0, 64, 300.0, in_flight=3, requests=0, answered=True)
STARTED = 1000.0


def sending(at, ended, requests=None, **changes):
    """A reading `at` seconds after the begin, of 1,000 records of which 100 were sent before."""
    engine = replace(ENGINE, requests=ended if requests is None else requests)
    return replace(Reading(STARTED + at, "sending", "records", 1000, 100, ended, engine=engine), **changes)


def test_while_reading_only_the_records_are_known():
    readings = [Reading(STARTED + at, "reading", "records", read=at * 500) for at in (0, 1, 2)]
    shown = snapshot(readings, STARTED)
    assert (shown.phase, shown.done, shown.total, shown.percent, shown.left) == ("reading", 1000, 0, None, None)
    assert (shown.elapsed, shown.things_per_second, shown.requests_per_second) == (2.0, 500.0, None)
    assert shown.api == NONE


def test_a_resumed_job_counts_what_was_done_before():
    shown = snapshot([sending(0, 0), sending(10, 350)], STARTED)
    assert (shown.done, shown.total, shown.percent) == (450, 1000, 45)


def test_the_percent_is_100_only_at_the_end():
    assert snapshot([sending(0, 899)], STARTED).percent == 99
    assert snapshot([sending(0, 900)], STARTED).percent == 100


def test_speeds_are_those_of_the_last_seconds():
    readings = [sending(0, 0), sending(50, 500, 1000), sending(55, 505, 1400)]
    shown = snapshot(readings, STARTED)
    assert (shown.things_per_second, shown.requests_per_second) == (1.0, 80.0)


def test_there_is_no_speed_of_a_moment():
    shown = snapshot([sending(0, 0), sending(0.5, 100)], STARTED)
    assert (shown.things_per_second, shown.requests_per_second, shown.left) == (None, None, None)


def test_another_phase_says_nothing_about_the_speed():
    reading = Reading(STARTED, "reading", "records", read=100_000)
    shown = snapshot([reading, sending(10, 0), sending(12, 20)], STARTED)
    assert (shown.things_per_second, shown.elapsed) == (10.0, 12.0)


def test_the_time_left_is_that_of_the_last_minute():
    readings = [sending(0, 0), sending(10, 100), sending(20, 100)]
    assert snapshot(readings, STARTED).left == 800 / 5.0


def test_the_time_left_is_not_known_while_nothing_ends():
    assert snapshot([sending(0, 0), sending(30, 0)], STARTED).left is None
    assert snapshot([sending(0, 900), sending(30, 900)], STARTED).left == 0.0


def outage(at, ended, since, **changes):
    """A reading during an outage that began `since`."""
    engine = replace(ENGINE, requests=ended, failed_with=None, down_for=at - since, **changes)
    return sending(at, ended, engine=engine)


def test_the_time_left_is_not_known_in_an_outage():
    readings = [sending(0, 0), sending(10, 500), outage(11, 500, 10)]
    assert snapshot(readings[:2], STARTED).left == 8.0
    assert snapshot(readings, STARTED).left is None


def test_an_outage_that_is_over_does_not_count_for_the_time_left():
    during = [outage(at, 500, 10) for at in range(11, 31)]
    readings = [sending(0, 0), sending(10, 500), *during, sending(31, 500), sending(32, 550)]
    assert snapshot(readings, STARTED).left == 350 * 12 / 550


def test_an_outage_that_began_before_the_last_minute_counts_only_within_it():
    readings = [outage(at, 0, -100) for at in range(41)] + [sending(42, 100)]
    assert snapshot(readings, STARTED).left == 800 * 2 / 100


def test_short_failures_count_for_the_time_left():
    readings = [sending(0, 0), outage(1.5, 0, 0), sending(5, 100), outage(6.5, 100, 5), sending(10, 200)]
    assert snapshot(readings, STARTED).left == 700 * 10 / 200


def test_the_time_left_is_not_known_when_all_that_remains_waits_for_another_try():
    waiting = replace(ENGINE, requests=895, retries_waiting=5, next_retry_in=6.0)
    shown = snapshot([sending(0, 0), sending(10, 895, engine=waiting)], STARTED)
    assert (shown.left, shown.retries_waiting, shown.next_retry_in) == (None, 5, 6.0)


def test_a_run_that_ends_early_has_no_time_left():
    stopped = replace(ENGINE, requests=500, ending=StopRun("x"))
    assert snapshot([sending(0, 0), sending(10, 500, engine=stopped)], STARTED).left is None


def test_there_is_no_speed_between_the_reading_and_the_sending():
    readings = [Reading(STARTED + at, "preparing", "records", read=5000) for at in (0, 3)]
    shown = snapshot(readings, STARTED)
    assert (shown.done, shown.things_per_second) == (5000, None)


def test_there_are_no_speeds_once_all_is_done():
    shown = snapshot([sending(0, 0), sending(10, 900)], STARTED)
    assert (shown.left, shown.things_per_second, shown.requests_per_second) == (0.0, None, None)


def test_silence_is_the_time_since_the_last_answer():
    readings = [sending(at, 5, requests=min(at, 4)) for at in range(16)]
    assert snapshot(readings, STARTED).api.text == "no answer for 11 s, 3 requests in flight"


def test_nobody_is_silent_while_nothing_is_in_flight():
    idle = replace(ENGINE, in_flight=0, requests=4)
    readings = [sending(at, 5, engine=idle) for at in range(16)]
    assert snapshot([*readings, sending(16, 5, 4)], STARTED).api.code == "ok"


def test_counts_are_passed_on():
    kinds = (KindCount("orders", 3, 9),)
    engine = replace(ENGINE, retries=4, requests=7)
    shown = snapshot([sending(0, 0, engine=engine, kinds=kinds, dead_letters=2)], STARTED)
    assert (shown.kinds, shown.dead_letters, shown.retries, shown.requests) == (kinds, 2, 4, 7)
    assert (shown.rate, shown.in_flight, shown.concurrency) == (100.0, 3, 64)
