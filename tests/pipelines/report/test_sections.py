"""What a page says in words: the state of a job, its notes, its figures."""

import pytest

from beam_talonone.pipelines.report.model import Chain, PageData, State
from beam_talonone.pipelines.report.recording.series import Bucket, Series
from beam_talonone.pipelines.report.recording.series_file import Recorded, Run
from beam_talonone.pipelines.report.sections import (
    Tile,
    duration,
    longest_text,
    milliseconds,
    notes,
    setting,
    state_text,
    status_class,
    tiles,
    values,
    why,
)
from beam_talonone.pipelines.terminal.words import counted

ORDERS = {
    "read": 10, "invalid": 1, "filtered": 0, "mapped": 9, "applied": 7, "superseded": 0, "duplicate": 0, "skipped": 1,
    "dead_lettered": 2, "unknown_fields": 0,
}  # fmt: skip

REPORT = {
    "kinds": {"orders": ORDERS},
    "operations": {
        "track_event_v2": {
            "requests": 12, "retries": 1, "statuses": {"204": 11, "none": 1},
            "latency_ms": {"p50": 20.0, "p95": None, "p99": 812.4},
        }
    },
    "rate": 100.0, "requests_per_second": 54.05, "started": "2026-05-01T12:00:00.000Z", "reasons": {},
    "ended": "2026-05-01T12:00:30.000Z", "unknown_names": {}, "unknown_api_fields": {}, "remaining": 0,
    "unaccounted": 0,
}  # fmt: skip


def data(state: State, **fields: object) -> PageData:
    """The data of a job in that state."""
    values = {"report": REPORT, **fields}
    return PageData("backfill", "out", "j", state, 1_777_636_800.0, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "dead", "text"),
    [
        (State("finished", 10, 10), 0, "finished"),
        (State("finished", 10, 10), 2, "finished, with dead letters"),
        (State("running", 1999, 2000), 0, "running: 99 %"),
        (State("running", 0, 0, reading=True), 0, "running: reading the input"),
        (State("stopped", 43, 100), 0, "stopped at 43 %"),
        (State("stopped", reading=True), 0, "stopped before anything was sent"),
        (State("limited", 10, 40), 0, "stopped by --limit at 25 %"),
    ],
)
def test_the_state_in_words(state: State, dead: int, text: str) -> None:
    assert state_text(data(state), dead) == text


def test_why_a_job_stopped() -> None:
    assert why(data(State("stopped", why="the key is refused"))) == "the key is refused"
    assert why(data(State("stopped"))) == "It was killed, or its machine stopped."
    assert why(data(State("running"))) == ""


def test_the_figures_at_the_head() -> None:
    bucket = Bucket(1.0, 12)
    bucket.latencies.add(20.0)
    recorded = Recorded(Series(buckets={0: bucket}), (Run(0.0, 0.0, 40.0), Run(90.0, 40.0, 25.0)))
    shown = {
        tile.name: (tile.value, tile.more, tile.mark) for tile in tiles(data(State("finished"), recorded=recorded))
    }
    assert shown == {
        "records read": ("10", "", ""), "applied": ("7", "", ""), "dead letters": ("2", "", "bad"),
        "requests": ("12", "1 retry", ""), "requests a second": ("54.05", "of 100 allowed", ""),
        "latency p50": ("19.9 ms", "p95 19.9 ms", ""), "time of sending": ("1 min 5 s", "in 2 runs", ""),
    }  # fmt: skip


def test_a_job_that_is_not_finished_says_what_is_left() -> None:
    assert ("left to do", "57") in [(tile.name, tile.value) for tile in tiles(data(State("stopped", 43, 100)))]


def test_a_verification_has_its_own_columns() -> None:
    counts = {"read": 3, "agree": 2, "differ": 1, "superseded": 0, "duplicate": 0, "filtered": 0, "dead_lettered": 0}
    shown = values(data(State("finished"), report={**REPORT, "kinds": {"orders": counts}}))
    assert shown["columns"] == ["read", "agree", "differ", "dead letters"]
    assert shown["kinds"] == [{"kind": "orders", "cells": [3, 2, 1, 0], "share": 66.7}]


def test_an_outcome_has_a_column_where_it_occurs() -> None:
    assert values(data(State("finished")))["columns"] == ["read", "applied", "dead letters", "skipped"]


def test_a_dry_run_says_that_nothing_changed() -> None:
    dry = data(State("finished"), settings={"--dry": True})
    assert state_text(dry, 0) == "dry run finished"
    assert Tile("applied", "7", "dry run: nothing changed") in list(tiles(dry))


@pytest.mark.parametrize(
    ("records", "text"),
    [(3, ""), (500, "500 records at 19.9 ms each take 9.9 s, of 1 min 5 s of sending")],
    ids=["short", "long"],
)
def test_the_longest_customer_is_timed_where_it_takes_a_while(records: int, text: str) -> None:
    bucket = Bucket(1.0, 12)
    bucket.latencies.add(20.0)
    recorded = Recorded(Series(buckets={0: bucket}), (Run(0.0, 0.0, 65.0),))
    chains = (Chain("customer", "c", records),)
    assert longest_text(data(State("finished"), recorded=recorded, chains=chains)) == text


def test_notes_name_what_the_counts_do_not() -> None:
    report = {
        **REPORT, "reasons": {"orders": {"refused": 2, "nothing_to_cancel": 10}}, "unaccounted": 3,
        "filtered_by": {"orders": {"total > 0": 4}}, "unknown_names": {"orders": {"colour": 1200, "note": 1}},
        "unknown_api_fields": {"track_event_v2": {"body/x": 1}}, "differences": {"orders": {"state": 5}},
    }  # fmt: skip
    assert [f"{note['name']}: {note['text']}" for note in notes(report)] == [
        "skipped: nothing had to be sent, and nothing is wrong",
        "4 orders filtered: condition not met: total > 0",
        "10 orders skipped, nothing_to_cancel: a cancelled order that the API does not have",
        "orders: unknown fields were ignored: colour 1,200, note 1",
        "track_event_v2: sent although not known: body/x 1",
        "orders: differ in: state 5",
        "unaccounted: 3",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (60, "1 min"), (3600, "1 h"), (3661, "1 h 1 min"), (86400, "1 d")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_numbers_as_they_are_read() -> None:
    assert [milliseconds(value) for value in (None, 0.5, 26.91, 1812.4)] == ["–", "0.5", "26.9", "1,812"]
    assert [counted(number, "page", "pages") for number in (0, 1, 2000)] == ["0 pages", "1 page", "2,000 pages"]
    assert [setting(value) for value in (True, 100.0, ["a", "b"], "50%")] == ["yes", "100", "a, b", "50%"]
    assert [status_class(status) for status in ("204", "429", "503", "none")] == ["good", "warn", "bad", "bad"]
