"""The records that are left to send, and the question before they are sent."""

import pytest
from support.staged_job import event, order, profile, returned, staged_job

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.sending.left_to_send import count_closing, count_kinds, longest_chains, question
from beam_talonone.pipelines.backfill.sending.outcome_counts import complete_counts

URL = "https://shop.talon.one"
ORDERS = [order("a", 1), order("a", 2), order("b", 3), order("c", 4, status="open")]


def test_what_is_left_is_counted(tmp_path):
    with staged_job(tmp_path, {"profiles": [profile("c", 1)], "orders": ORDERS, "events": [event(1)]}) as job:
        assert list(count_kinds(job.connection).items()) == [
            ("orders", (0, 4)),
            ("profiles", (0, 1)),
            ("events", (0, 1)),
        ]
        assert count_closing(job.connection) == 2, "each session once, and not the open one"
        [rec] = job.connection.execute("SELECT rec FROM records WHERE id = 'b'").fetchone()
        staging.save_outcomes(job.connection, [(rec, "applied", None, None, None)])
        complete_counts(job.connection, 10)
        assert count_kinds(job.connection)["orders"] == (1, 4)
        assert count_closing(job.connection) == 1


def test_the_longest_chains_are_found_while_the_input_is_read(tmp_path):
    """At the end, when the page shows them, the disk has no room for a sort of millions of customers."""
    guests = [order("guest", number, customer_id=None) for number in (7, 8)]
    with staged_job(tmp_path, {"orders": [*ORDERS, *guests], "profiles": [profile("c", 1)]}) as job:
        connection = job.connection
        chains = longest_chains(connection)
        connection.execute("DELETE FROM records")
        assert longest_chains(connection) == chains
    assert chains[-1] == ("customer", "guest-guest", 2)


@pytest.mark.parametrize(
    ("records", "chains"),
    [
        ({"orders": [order("a", 1, "c"), order("b", 2, "d")]}, []),
        ({"profiles": [profile("c", 1), profile("d", 2)]}, []),
        ({"orders": [order("a", 1, "c")], "profiles": [profile("c", 2)]}, [("customer", "c", 2)]),
        # a chain of its own until the order says whose it is
        ({"orders": [order("a", 1, "c")], "returns": [returned("r", "a", 2)]}, [("customer", "c", 2)]),
        ({"returns": [returned("r", "a", 2), returned("s", "a", 3)]}, [("order", "a", 2)]),
    ],
)
def test_chains_of_one_record_are_not_listed(tmp_path, records, chains):
    with staged_job(tmp_path, records) as job:
        assert longest_chains(job.connection) == chains


@pytest.mark.parametrize("noted", [None, "", "[1]", '["'])
def test_without_a_note_the_longest_chains_are_found_again(tmp_path, noted):
    """A job of an earlier version has none, and a damaged one says nothing."""
    with staged_job(tmp_path, {"orders": ORDERS}) as job:
        chains = longest_chains(job.connection)
        assert chains
        job.connection.execute("DELETE FROM meta WHERE name = 'chains'")
        if noted is not None:
            staging.set_meta(job.connection, "chains", noted)
        assert longest_chains(job.connection) == chains


@pytest.mark.parametrize(
    ("kinds", "closing", "dead", "limit", "expected"),
    [
        (
            {"orders": (0, 3000), "returns": (0, 40), "profiles": (50, 500)}, 2950, 12, None,
            "3,490 records to send: 3,000 orders, 40 returns and 450 profiles. 12 dead letters so far: see"
            " dead-letters in the output folder.\n2,950 sessions will be closed at https://shop.talon.one, which"
            " triggers live campaigns. Go on?",
        ),
        (
            {"orders": (0, 1)}, 1, 0, None,
            "1 record to send: 1 order.\n1 session will be closed at https://shop.talon.one, which triggers live"
            " campaigns. Go on?",
        ),
        (
            {"events": (0, 7)}, 0, 1, None,
            "7 records to send: 7 events. 1 dead letter so far: see dead-letters in the output folder.\nThese"
            " records change live data at https://shop.talon.one and may trigger live campaigns. Go on?",
        ),
        (
            {"orders": (0, 3000), "events": (0, 7)}, 2950, 0, 100,
            "107 records to send: 100 orders and 7 events.\nup to 100 sessions will be closed at"
            " https://shop.talon.one, which triggers live campaigns. Go on?",
        ),
        ({"orders": (3, 3)}, 0, 0, None, None),
        ({}, 0, 5, None, None),
    ],
    ids=["several kinds", "one", "no order", "limit", "all sent", "nothing"],
)  # fmt: skip
def test_the_question(kinds, closing, dead, limit, expected):
    assert question(URL, kinds, closing, dead, limit) == expected
