"""The end of a run as lines of text."""

from typing import Any

import pytest

from beam_talonone.pipelines.dead_letters.aggregate import Example
from beam_talonone.pipelines.terminal.summary import OUTCOMES, SKIPS, cut, summary_lines
from beam_talonone.schemas.reasons import Skip
from beam_talonone.talonone.requests.outcome import End
from beam_talonone.transforms.mapping.result import NO_RULE

SESSION, PROFILES = "update_customer_session_v2", "update_customer_profiles_v2"


def counts(read: int = 0, **others: int) -> dict[str, int]:
    names = ("invalid", "filtered", "mapped", "applied", "superseded", "duplicate", "skipped", "dead_lettered")
    return {"read": read, **dict.fromkeys(names, 0), "unknown_fields": 0, **others}


def operation(retries: int = 0, **statuses: int) -> dict[str, Any]:
    by_status = {name.removeprefix("s"): count for name, count in statuses.items()}
    return {"requests": sum(by_status.values()), "retries": retries, "statuses": by_status, "latency_ms": {}}


def report(kinds: dict[str, dict[str, int]] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "job": "j", "kinds": kinds or {}, "operations": {}, "rate": 100.0, "requests_per_second": 77.08,
        "reasons": {}, "unknown_names": {}, "unknown_api_fields": {}, "remaining": 0, "unaccounted": 0, **more,
    }  # fmt: skip


REPORT = report(
    {
        "orders": counts(2007, applied=1980, superseded=4, skipped=12, dead_lettered=4, filtered=7, invalid=1),
        "profiles": counts(500, applied=499, duplicate=1),
    },
    reasons={"orders": {"missing_field": 1, "nothing_to_cancel": 12, "unknown_attribute": 3}},
    filtered_by={"orders": {"no test order": 6, NO_RULE: 1}},
    unknown_names={"orders": {"colour": 3}},
    unknown_api_fields={SESSION: {"body/customerSession/channel": 2}},
    operations={
        SESSION: operation(150, s200=1984, s400=3, s429=120, s503=30),
        PROFILES: operation(1, s200=250, none=1),
    },
)  # fmt: skip
EXAMPLES = {
    ("orders", "unknown_attribute"): Example(
        "o-17", "orders.jsonl:18", "the attribute 'shoe_szie' is not\ndefined" * 9
    ),
    ("orders", "missing_field"): Example(None, "orders.jsonl:3", "customer_id is missing"),
}


def test_a_narrow_terminal_shows_the_columns_that_count_something():
    few = report({"orders": counts(700, applied=698, dead_lettered=2), "events": counts(3, applied=3)})
    assert summary_lines(few, width=39)[:3] == [
        "        read  applied  dead letters",
        "orders   700      698             2",
        "events     3        3             0",
    ]


def test_all_of_a_summary():
    assert summary_lines(REPORT, EXAMPLES, 78) == [
        "           read  applied  superseded  duplicate  skipped  filtered  dead letters",
        "  orders  2,007    1,980           4          0       12         7             4",
        "profiles    500      499           0          1        0         0             0",
        "superseded: this version or a newer one was applied before, so nothing was sent",
        "duplicate: the same record came before",
        "skipped: nothing had to be sent, and nothing is wrong",
        "filtered: left out by an option or by the mapping",
        "  6 orders filtered: condition not met: no test order",
        "  1 order filtered: no rule of the mapping makes a record of it",
        "  12 orders skipped, nothing_to_cancel: a cancelled order that the API does not have",
        "dead letters by reason, with the first of each:",
        "  3 orders unknown_attribute: the attribute is not defined in Talon.One",
        "    o-17 (orders.jsonl:18): the attribute 'shoe_szie' is not definedthe att...",
        "  1 order missing_field: a required field is absent or null",
        "    (orders.jsonl:3): customer_id is missing",
        "orders: fields that are not known were ignored: colour in 3",
        "update_customer_session_v2: sent although not known: body/customerSession/channel in 2",
        "answers: 2,234 x 200, 3 x 400, 120 x 429, 30 x 503, 1 without an answer",
        "tried again where that is safe: 120 after 429 (too many requests), 30 after an error of the API (5xx),"
        " 1 without an answer",
        "2,388 requests, 151 of them retries; 77.08 a second of 100 allowed; unaccounted 0",
    ]


def test_nothing_is_explained_that_did_not_happen():
    lines = summary_lines(report({"events": counts(1, applied=1)}, operations={"track_event_v2": operation(s204=1)}))
    assert lines[2:] == [
        "answers: 1 x 204",
        "1 request, 0 of them retries; 77.08 a second of 100 allowed; unaccounted 0",
    ]


def test_one_retry():
    lines = summary_lines(report(operations={SESSION: operation(1, s200=1, s503=1)}))
    assert lines[-1].startswith("2 requests, 1 of them a retry; ")


def test_a_rate_that_was_shared():
    lines = summary_lines(report(rate_service="rates:8081"))
    assert lines[-1] == (
        "0 requests, 0 of them retries; 77.08 a second of what the rate limit service at rates:8081 granted,"
        " 100 at most for each process; unaccounted 0"
    )


@pytest.mark.parametrize(("left", "words"), [(1, "1 record remains because"), (1200, "1,200 records remain because")])
def test_what_a_limit_has_left(left, words):
    assert summary_lines(report(remaining=left))[-1].startswith(words)


def test_a_reason_of_a_later_version_has_no_meaning_here():
    assert "  2 events brand_new" in summary_lines(report(reasons={"events": {"brand_new": 2}}))


def test_dead_letters_without_a_kind_are_counted_as_such():
    lines = summary_lines(report(reasons={"dead_letters": {"not_json": 1}}))
    assert "  1 dead letter not_json: the line is not JSON" in lines


def test_the_tables_are_whole():
    assert set(OUTCOMES) == {end.value for end in End} - {"applied", "already_applied", "dead_lettered"}
    assert set(SKIPS) == set(Skip)


@pytest.mark.parametrize("width", [20, 40, 78])
def test_an_example_fits_into_the_line(width):
    lines = summary_lines(REPORT, EXAMPLES, width)[3:]
    assert max(len(line) for line in lines if line.startswith("    ")) <= width


def test_control_characters_of_a_line_end():
    assert cut("  a\r\nb\tc", 80) == "  a b c"
