"""Which lines a log gets of a run, by a clock of the test."""

from dataclasses import replace

from support.run_snapshots import OUTAGE, READING, SENDING, STORM

from beam_talonone.pipelines.terminal.progress.api_state import NONE, OK, ApiState
from beam_talonone.pipelines.terminal.progress.reporter import MOST_CHANGES, Reporter

WELL, DOWN, SLOW = replace(SENDING, api=OK), replace(SENDING, api=OUTAGE), replace(SENDING, api=STORM)


def said(reporter, *looks):
    """The texts of all lines that are due in `looks`, each (second, snapshot), by the second."""
    return [(at, line.text.partition(" (")[0]) for at, shown in looks for line in reporter.look(shown, at)]


def texts(lines):
    return [(at, text.split(":")[0] if text.startswith("sending") else text) for at, text in lines]


def test_all_facts_every_30_seconds_and_at_the_begin_of_the_sending():
    reporter = Reporter()
    before = said(reporter, *((at / 4, READING) for at in range(160)))
    started = [(40.0, line.text) for line in reporter.start(WELL, 40.0)]
    after = said(reporter, *((at / 4, WELL) for at in range(160, 440)))
    assert [(at, text.split(":")[0]) for at, text in before + started + after] == [
        (30.0, "reading"), (40.0, "sending"), (70.0, "sending"), (100.0, "sending"),
    ]  # fmt: skip


def test_steps_before_and_after_the_sending_have_no_line_of_their_own():
    finished = replace(WELL, phase="writing the report", done=5000, percent=100)
    assert [Reporter().start(shown, 1.0) for shown in (READING, finished)] == [[], []]


def test_a_change_of_the_api_at_once():
    looks = [(0.0, WELL), (1.0, WELL), (2.0, DOWN), (3.0, DOWN), (4.0, SLOW), (5.0, WELL), (6.0, WELL)]
    assert texts(said(Reporter(), *looks)) == [
        (2.0, "the API: unreachable for 12 s, trying again"),
        (4.0, "the API: 429: slowed to 83/s"),
        (5.0, "the API answers again after 3 s"),
    ]


def test_trouble_from_the_first_request_on():
    looks = [(0.0, replace(SENDING, api=NONE)), (1.0, DOWN), (2.0, WELL)]
    assert texts(said(Reporter(), *looks)) == [
        (1.0, "the API: unreachable for 12 s, trying again"),
        (2.0, "the API answers again after 1 s"),
    ]


def test_trouble_is_a_warning():
    reporter = Reporter()
    lines = [line for at, shown in enumerate((WELL, DOWN, WELL)) for line in reporter.look(shown, float(at))]
    assert [line.bad for line in [*reporter.start(WELL, 0.0), *lines]] == [False, True, False]


def test_an_api_that_fails_every_other_second_does_not_fill_the_log():
    looks = [(float(at), DOWN if at % 2 else WELL) for at in range(60)]
    assert len([text for _, text in said(Reporter(), *looks) if text.startswith("the API")]) == MOST_CHANGES


def test_the_last_state_is_said_once_there_is_room():
    reporter = Reporter(every=1000.0)
    said(reporter, *((float(at), DOWN if at % 2 else WELL) for at in range(20)))
    assert said(reporter, *((20.0 + at, DOWN) for at in range(60))) == [
        (61.0, "the API: unreachable for 12 s, trying again")
    ]


def test_the_end_of_a_run_is_left_to_its_last_line():
    ended = replace(SENDING, api=ApiState("ended", "stopped"))
    assert texts(said(Reporter(), (0.0, WELL), (1.0, ended))) == []
