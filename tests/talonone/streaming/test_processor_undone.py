"""A stream is killed: a record that comes again undoes nothing that left after it. Its outcome was logged before."""

import pytest
from e2e.harness import call, event, order, profile, wait_until
from support.stream_harness import Lines, Message, stream

ERASE, SESSION, EVENT = "delete_customer_data", "update_customer_session_v2", "track_event_v2"
ERASURE = ("profiles", profile("c", 1, erase=True))
CALL = ("calls", call("k", ERASE, 1, path={"integrationId": "c"}))
CANCELLATION = ("orders", order("o", "c", "cancelled", 1))
LATER = ("orders", order("o", "c", "completed", 2))


def killed_behind(api, folder, first, then, results):
    """A stream that is killed while the second record is on its way, and the messages of both with their kinds."""
    api.faults(f"latency:ms=700,operation={SESSION if then[0] == 'orders' else EVENT}")
    with stream(api, folder, settle=0.0, results=results) as killed:
        messages = [(kind, killed.feed(kind, record)) for kind, record in (first, then)]
        operation = SESSION if then[0] == "orders" else EVENT
        wait_until(lambda: any(row["operation"] == operation for row in api.rows("requests")), "it is on its way")
        killed.kill()
    wait_until(lambda: len(api.acted(SESSION, EVENT)) == 1, "it has acted")
    api.faults()
    return killed, messages


def redeliver(api, folder, killed, messages, results):
    """Start the next stream, and deliver the messages, each of a kind, again."""
    with stream(api, folder.with_name("next"), after=killed, quiet=0.5, results=results) as one:
        for kind, message in messages:
            one.deliver(kind, Message(message.message_id, message.data))
        one.settled()


@pytest.mark.parametrize("held", [None, False, True], ids=["no results", "results", "results that wait"])
@pytest.mark.parametrize("then", [LATER, ("events", event("e", "c", 2))], ids=["order", "event"])
@pytest.mark.parametrize("first", [ERASURE, CALL], ids=["profile", "call"])
def test_an_erasure_erases_nothing_later(api, folder, first, then, held):
    results = None if held is None else Lines(held=held)
    killed, messages = killed_behind(api, folder, first, then, results)
    redeliver(api, folder, killed, messages, None if held is None else Lines())
    assert len([row for row in api.rows("requests") if row["operation"] == ERASE]) == 1
    assert len(api.acted(SESSION, EVENT)) == 1


@pytest.mark.parametrize("held", [None, True], ids=["no results", "results that wait"])
def test_a_cancellation_that_had_nothing_to_cancel_cancels_no_later_version(api, folder, held):
    results = None if held is None else Lines(held=held)
    killed, messages = killed_behind(api, folder, CANCELLATION, LATER, results)
    redeliver(api, folder, killed, messages, None if held is None else Lines())
    assert api.sessions()["o"]["state"] == "closed"
    assert len(api.acted(SESSION)) == 1
