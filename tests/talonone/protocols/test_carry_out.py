"""From a record's part to its outcome: session states, read-backs, and nothing twice."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fakeapi import CUT_AFTER, CUT_BEFORE, FakeApi, no
from support.fakeloop import START, run
from support.sender_fixture import EPOCH, Noting, way

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.delivery.observer import NO_OBSERVER
from beam_talonone.talonone.delivery.send_options import InFlight, SendOptions
from beam_talonone.talonone.http.send import Reply
from beam_talonone.talonone.protocols.carry_out import carry_out
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End

T = "2026-05-01T12:00:00Z"
ITEMS = [{"sku": "tea", "quantity": 3, "unit_price": "19.90"}, {"sku": "cup", "quantity": 1}]
NOW = EPOCH + START
HOUR = 3600.0
PUT, GET, REOPEN = "update_customer_session_v2", "get_customer_session", "reopen_customer_session"


def order(status="completed", **fields):
    record = {"order_id": "o", "customer_id": "c", "event_time": T, "status": status, "items": ITEMS, **fields}
    return build("orders", parse("orders", record).record, BuildOptions())


def returns(*items, return_id="r"):
    record = {
        "return_id": return_id,
        "order_id": "o",
        "event_time": T,
        "items": items or [{"sku": "tea", "quantity": 1}],
    }
    return build("returns", parse("returns", record).record, BuildOptions())


def event():
    record = {"event_id": "e", "type": "view", "customer_id": "c", "event_time": T}
    return build("events", parse("events", record).record, BuildOptions())


def erasure():
    return build(
        "profiles", parse("profiles", {"customer_id": "c", "event_time": T, "erase": True}).record, BuildOptions()
    )


def carry(api, work, *, known=None, in_flight=None, observer=None, **options):
    async def main():
        async with way(api, give_up_after=None) as w:
            w.sender.gate.evidence.earlier = True
            sender = w.request_sender(
                SendOptions(**options), work.identity, in_flight=in_flight, observer=observer or NO_OBSERVER
            )
            return await carry_out(sender, work, work.parts[0], known or SessionFacts())

    return run(main())


def having(*works, **settings):
    api = FakeApi(**settings)
    for work in works:
        assert carry(api, work, known=SessionFacts(session_sent=True)).end is End.APPLIED
    api.log.clear()
    api.acted.clear()
    return api


def test_an_order_is_applied():
    outcome = carry(FakeApi(), order(), effects=True)
    assert (outcome.end, outcome.status, outcome.attempts, outcome.operation) == (End.APPLIED, 200, 1, PUT)
    assert outcome.effects == [{"effectType": "x"}]
    assert outcome.first_sent == pytest.approx(NOW)


def test_the_same_content_on_a_closed_session_is_already_applied():
    api = having(order())
    again = order(version=2, items=[{**ITEMS[0], "unit_price": "19.9"}, ITEMS[1]])
    outcome = carry(api, again)
    assert (outcome.end, api.operations) == (End.ALREADY_APPLIED, [PUT, GET])


def test_other_content_on_a_closed_session():
    api = having(order())
    before = dict(api.sessions["o"])
    outcome = carry(api, order(version=2, coupon_codes=["X"]))
    assert (outcome.end, outcome.reason, outcome.status) == (End.DEAD, "session_closed", 400)
    assert api.sessions["o"] == before


@pytest.mark.parametrize("age", [0.0, 30 * HOUR])
@pytest.mark.parametrize("again", ["open", "completed", "cancelled"])
@pytest.mark.parametrize("final", ["partially_returned", "cancelled"])
def test_the_same_content_is_already_there_when_an_export_is_sent_again(final, again, age):
    api = having(order(), returns() if final == "partially_returned" else order("cancelled"))
    api.stored.clear()  # the keys have expired
    outcome = carry(api, order(again, version=2))
    if (final, again) == ("partially_returned", "cancelled"):
        assert outcome.end is End.APPLIED, "that is a change that the API makes"
    else:
        assert (outcome.end, api.sessions["o"]["state"]) == (End.ALREADY_APPLIED, final)


@pytest.mark.parametrize("final", ["partially_returned", "cancelled"])
@pytest.mark.parametrize("edit_closed", [None, "reopen"])
def test_final_sessions_stay_what_they_are(final, edit_closed):
    api = having(order(), returns() if final == "partially_returned" else order("cancelled"))
    assert api.sessions["o"]["state"] == final
    outcome = carry(api, order(version=2, coupon_codes=["X"]), edit_closed=edit_closed)
    assert (outcome.end, outcome.reason) == (End.DEAD, "session_final")
    assert api.acted == []


def test_reopen_edit_close_each_under_a_key_of_its_own():
    api = having(order())
    outcome = carry(api, order(version=2, coupon_codes=["X"]), edit_closed="reopen")
    assert (outcome.end, outcome.attempts) == (End.APPLIED, 5)
    assert api.operations == [PUT, GET, REOPEN, PUT, PUT]
    keys = [key for _, key in api.log if key]
    assert len(set(keys)) == 4
    assert api.sessions["o"]["state"] == "closed"
    assert api.sessions["o"]["couponCodes"] == ["X"]


def test_reopening_to_an_open_order():
    api = having(order())
    assert carry(api, order("open", coupon_codes=["X"]), edit_closed="reopen").end is End.APPLIED
    assert api.sessions["o"]["state"] == "open"


@pytest.mark.parametrize("status", ["completed", "open"])
@pytest.mark.parametrize("attribute", ["unknown", "odd"])
def test_a_refused_edit_leaves_the_session_closed_as_it_was(status, attribute):
    api = having(order())
    before = dict(api.sessions["o"])
    outcome = carry(api, order(status, version=2, attributes={attribute: 1}), edit_closed="reopen")
    assert outcome.end is End.DEAD
    assert outcome.reason in ("unknown_attribute", "refused")
    assert api.sessions["o"] == before


def test_a_session_that_cannot_be_closed_again_is_told():
    api = having(order())
    late = order(version=2, coupon_codes=["X"])
    api.faults = {4: no("closing is off", 400), 5: no("closing is off", 400)}
    outcome = carry(api, late, edit_closed="reopen")
    assert outcome.end is End.DEAD
    assert "could not be closed again" in outcome.detail


def test_a_closed_session_may_be_cancelled():
    api = having(order())
    assert carry(api, order("cancelled"), known=SessionFacts(session_sent=True)).end is End.APPLIED
    assert (api.sessions["o"]["state"], api.operations) == ("cancelled", [PUT])


def test_a_lone_cancellation_is_skipped_without_a_put():
    api = FakeApi()
    outcome = carry(api, order("cancelled"))
    assert (outcome.end, outcome.reason, api.operations) == (End.SKIPPED, "nothing_to_cancel", [GET])
    api = having(order("open"))
    assert carry(api, order("cancelled")).end is End.APPLIED
    assert api.operations == [GET, PUT]


def test_a_poisoned_order_is_refused_as_what_it_is():
    outcome = carry(FakeApi(), order(attributes={"unknown": 1}))
    assert (outcome.reason, outcome.pointer) == ("unknown_attribute", "/customerSession/attributes/unknown")
    outcome = carry(FakeApi(), order(attributes={"odd": 1}))
    assert (outcome.reason, outcome.detail) == ("refused", "an odd order; Odd: an odd order")


class Firewall(FakeApi):
    """Something in front of it refuses to show the session `o`."""

    def get_customer_session(self, request):
        mine = request.path["customerSessionId"] == "o"
        return Reply(403, b"<html>no</html>") if mine else super().get_customer_session(request)


@pytest.mark.parametrize("work", [order("cancelled"), returns()])
def test_a_session_that_must_not_be_read_before_anything_is_sent_is_a_refusal(work):
    api = Firewall()
    outcome = carry(api, work, look_first=True)
    assert (outcome.end, outcome.reason, outcome.status) == (End.DEAD, "refused", 403)
    assert outcome.operation == work.parts[0].request.operation, "a replay refuses reads"
    assert set(api.operations) == {GET}, "nothing was sent"


def test_a_refused_order_whose_session_must_not_be_read_is_a_refusal():
    api = Firewall()
    api.sessions["o"] = {"state": "cancelled"}
    outcome = carry(api, order())
    assert (outcome.end, outcome.reason, outcome.status, outcome.operation) == (End.DEAD, "refused", 400, PUT)


def test_what_was_in_flight_and_must_not_be_read_is_unknown():
    outcome = carry(Firewall(), order(), in_flight=InFlight(0, NOW - HOUR))
    assert (outcome.end, outcome.reason) == (End.DEAD, "outcome_unknown")


def test_a_session_that_cannot_be_read():
    api = having(order())
    api.faults = {1: Reply(405, b"")}
    outcome = carry(api, order(version=2))
    assert (outcome.end, outcome.reason, outcome.status) == (End.DEAD, "refused", 400), (
        "it is known not to have acted"
    )
    api.log.clear()
    api.faults = dict.fromkeys(range(3), Reply(200, b"[]"))
    before = InFlight(0, NOW - HOUR)
    assert carry(api, order(version=2), in_flight=before).reason == "outcome_unknown"


def test_a_session_is_read_again_when_its_answer_broke_off():
    api = having(order())
    api.faults = {1: Reply(200, b'{"customerSess'), 2: Reply(200, b"<html>")}
    assert carry(api, order(version=2)).end is End.ALREADY_APPLIED


@pytest.mark.parametrize("why", ["it is longer than 64 MiB", "its gzip is damaged"])
def test_a_session_is_read_again_when_its_answer_cannot_be_read(why):
    odd = Reply(200, b"", unreadable=why)
    api = having(order())
    api.faults = {1: odd, 2: odd}
    assert carry(api, order(version=2)).end is End.ALREADY_APPLIED
    api.faults = {len(api.log): odd}
    assert carry(api, returns(), look_first=True).premature, "its order's customer was read"
    api.faults = dict.fromkeys(range(len(api.log), len(api.log) + 3), odd)
    outcome = carry(api, returns(), look_first=True)
    assert (outcome.end, outcome.reason, why in outcome.detail) == (End.DEAD, "refused", True)


def test_a_session_is_read_three_times_whatever_is_wrong_with_the_answers():
    odd, broken = Reply(200, b"", unreadable="its gzip is damaged"), Reply(200, b'{"customerSess')
    api = having(order())
    api.faults = dict(enumerate([odd, broken, odd, broken, odd, broken], len(api.log)))
    assert carry(api, returns(), look_first=True).end is End.DEAD
    assert api.operations == [GET] * 3


@pytest.mark.parametrize("status", ["open", "completed", "cancelled"])
@pytest.mark.parametrize("stores", [True, False])
@pytest.mark.parametrize("age", [60.0, 30 * HOUR])
@pytest.mark.parametrize("did", [True, False])
def test_an_order_that_was_in_flight(status, stores, age, did):
    earlier = [order("open", items=[])] if status == "cancelled" else []
    api = having(*earlier, *([order(status)] if did else []), stores=stores)
    if age > 24 * HOUR:
        api.stored.clear()
    known = SessionFacts(session_sent=bool(earlier))
    outcome = carry(api, order(status), in_flight=InFlight(0, NOW - age), known=known)
    assert outcome.end is (End.ALREADY_APPLIED if did else End.APPLIED)
    assert api.operations[0] == GET
    assert api.acted == ([] if did else [PUT])


@pytest.mark.parametrize("stores", [True, False])
def test_a_connection_cut_after_the_order_was_applied(stores):
    api = FakeApi(stores=stores)
    api.faults = {0: CUT_AFTER}
    assert carry(api, order()).end in (End.APPLIED, End.ALREADY_APPLIED)
    assert api.acted == [PUT]


@settings(max_examples=80)
@given(
    st.booleans(),
    st.dictionaries(st.integers(0, 8), st.sampled_from([CUT_BEFORE, CUT_AFTER, Reply(429, b""), Reply(500, b"")])),
    st.integers(0, 8),
)
def test_an_edit_is_finished_whatever_breaks_and_whenever_the_run_dies(stores, faults, dies):
    """The process dies at request `dies` (it is sent, its answer never seen), and the run is resumed."""

    class Death(Exception):
        pass

    api = having(order(), stores=stores)
    edit = order(version=2, coupon_codes=["X"])
    api.faults = dict(faults)

    async def mortal(request, key):
        last = len(api.log) == dies
        reply = await api(request, key)
        if last:
            raise Death
        return reply

    noting = Noting()
    try:
        outcome = carry(mortal, edit, edit_closed="reopen", observer=noting)
    except Death:
        before = InFlight(noting.starts[-1][0], NOW) if noting.starts else None
        outcome = carry(api, edit, edit_closed="reopen", in_flight=before)
    assert outcome.end in (End.APPLIED, End.ALREADY_APPLIED)
    assert api.sessions["o"]["state"] == "closed"
    assert api.sessions["o"]["couponCodes"] == ["X"]
    assert api.acted.count(REOPEN) == 1


def test_a_return():
    api = having(order())
    assert carry(api, returns()).end is End.APPLIED
    assert api.sessions["o"]["cartItems"][0]["returnedQuantity"] == 1
    assert carry(FakeApi(), returns()).reason == "refused"


@pytest.mark.parametrize("age", [60.0, 30 * HOUR])
@pytest.mark.parametrize("did", [True, False])
@pytest.mark.parametrize("earlier", [0, 1])
def test_a_return_that_was_in_flight(age, did, earlier):
    before = [returns(return_id="before")] * earlier
    api = having(order(), *before, *([returns()] if did else []), stores=age < 24 * HOUR)
    known = SessionFacts(returned=[{"sku": "tea", "quantity": 1}] * earlier)
    outcome = carry(api, returns(), in_flight=InFlight(0, NOW - age), known=known)
    assert outcome.end is (End.ALREADY_APPLIED if did else End.APPLIED)
    assert api.acted == ([] if did else ["return_cart_items"])
    assert api.sessions["o"]["cartItems"][0]["returnedQuantity"] == earlier + 1


def test_a_return_of_which_the_session_does_not_tell():
    api = having(order(), returns({"sku": "tea", "quantity": 2}, return_id="somebody else's"))
    assert carry(api, returns(), in_flight=InFlight(0, NOW - 60)).end is End.APPLIED
    api = having(order(), returns({"sku": "tea", "quantity": 2}, return_id="somebody else's"))
    outcome = carry(api, returns(), in_flight=InFlight(0, NOW - 30 * HOUR))
    assert (outcome.end, outcome.reason, api.acted) == (End.DEAD, "outcome_unknown", [])
    assert outcome.first_sent == NOW - 30 * HOUR


def test_a_return_of_what_was_never_bought_is_not_taken_for_done():
    api = having(order())
    outcome = carry(api, returns({"sku": "hat", "quantity": 1}), in_flight=InFlight(0, NOW - 60))
    assert (outcome.end, outcome.reason) == (End.DEAD, "refused")


def test_a_return_refused_because_it_was_done():
    api = having(order(), stores=False)
    api.faults = {0: CUT_AFTER}
    outcome = carry(api, returns({"sku": "tea", "quantity": 3}))
    assert (outcome.end, api.acted) == (End.ALREADY_APPLIED, ["return_cart_items"])


def test_an_erasure_of_nobody_is_done():
    assert carry(FakeApi(), erasure()).end is End.APPLIED
    outcome = carry(having(erasure()), erasure(), in_flight=InFlight(0, NOW - 30 * HOUR))
    api = FakeApi()
    api.faults = {0: no("no such profile", 404)}
    assert carry(api, erasure()).end is End.ALREADY_APPLIED
    assert outcome.end is End.APPLIED


@pytest.mark.parametrize(("age", "end"), [(22.9 * HOUR, End.APPLIED), (23.1 * HOUR, End.DEAD)])
def test_an_event_that_was_in_flight(age, end):
    api = FakeApi()
    outcome = carry(api, event(), in_flight=InFlight(2, NOW - age))
    assert outcome.end is end
    assert len(api.log) == (1 if end is End.APPLIED else 0)
    if end is End.DEAD:
        assert (outcome.reason, outcome.first_sent) == ("outcome_unknown", NOW - age)


def test_an_event_in_flight_goes_again_under_its_last_key():
    api = FakeApi()
    carry(api, event(), in_flight=InFlight(2, NOW - 60))
    ((_, again),) = api.log
    api = FakeApi()
    api.faults = dict.fromkeys(range(4), Reply(409, b""))
    carry(api, event())
    assert api.log[-1][1] == again
    assert len({key for _, key in api.log}) == 3


def test_dry_runs_and_replays_have_keys_of_their_own():
    keys = set()
    for options in ({}, {"dry": True}, {"attempt": "replay-1"}):
        api = FakeApi()
        carry(api, event(), **options)
        keys.add(api.log[0][1])
    assert len(keys) == 3
