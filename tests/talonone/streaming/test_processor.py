"""A stream in one process: what is sent, written and acknowledged, in which order, and what a kill leaves behind."""

import threading
import time
from base64 import b64decode
from collections import Counter

import pytest
from e2e.harness import call, event, order, profile, returned, wait_until
from support.stream_harness import Lines, Message, stream

from beam_talonone.talonone.delivery import key_gate
from beam_talonone.talonone.errors import Interrupted, KeyRefused

SESSION, EVENT, RETURN = "update_customer_session_v2", "track_event_v2", "return_cart_items"
PROFILES, AUDIENCES = "update_customer_profiles_v2", "update_customer_profile_audiences"
REFERRAL = "create_referral"


def states(api, session="o"):
    return [row["body"]["customerSession"]["state"] for row in api.acted(SESSION, session=session)]


def in_flight(api, count=1):
    wait_until(lambda: len(api.rows("requests")) >= count, f"{count} requests are on their way")


def test_versions_in_disorder_leave_in_order(api, folder):
    with stream(api, folder) as one:
        one.feed("orders", order("o", "c", "completed", 3))
        one.feed("orders", order("o", "c", "open", 1))
        one.feed("orders", order("o", "c", "open", 2))
        one.settled()
        assert states(api) == ["open", "open", "closed"]
        one.settled(one.feed("orders", order("o", "c", "open", 2, coupon_codes=["late"])))
        assert one.counts("orders") == {"read": 4, "applied": 3, "superseded": 1}
        assert states(api) == ["open", "open", "closed"]
        assert one.streaming.counters.unaccounted == 0


@pytest.mark.parametrize("hours", [-10, 10])
def test_a_clock_that_is_set_changes_no_wait(api, folder, monkeypatch, hours):
    wall = time.time
    with stream(api, folder, settle=1.0) as one:
        waiting = one.feed("orders", order("o", "c", "completed", 3))
        wait_until(lambda: one.streaming.sequencer.next_due() is not None, "it waits for earlier ones")
        monkeypatch.setattr(time, "time", lambda: wall() + hours * 3600.0)
        one.feed("orders", order("o", "c", "open", 1))
        one.settled(timeout=10.0)
        assert waiting.acked
        assert states(api) == ["open", "closed"]


def test_a_return_that_comes_before_its_order(api, folder):
    with stream(api, folder) as one:
        early = one.feed("returns", returned("r", "o", 5))
        wait_until(lambda: one.streaming.sequencer.waiting_for_order == 1, "it waits for its order")
        other = one.feed("events", event("e", "c", 6))
        one.settled(other)
        assert not early.acked, "nothing of it is done, and it holds nothing up"
        one.feed("orders", order("o", "c", "completed", 1))
        one.settled()
        assert [row["operation"] for row in api.acted(SESSION, RETURN)] == [SESSION, RETURN]
        assert api.acted(RETURN)[0]["profiles"] == ["c"]


def test_a_return_whose_order_never_comes_is_a_dead_letter_in_the_end(api, folder):
    with stream(api, folder, wait_for_order=1.5) as one:
        one.feed("returns", returned("r", "o", 5))
        one.settled()
        assert [dead_letter["reason"] for dead_letter in one.dead_letters.lines] == ["not_found"]
        assert api.acted() == []


def test_a_letter_says_what_came_and_from_where(api, folder):
    with stream(api, folder) as one:
        one.poison(b"{no", "m7")
        one.feed("orders", order("o", "c", attributes={"bad": 1}), "m8")
        one.settled()
        first, second = one.dead_letters.lines
        assert (first["kind"], first["record"], first["reason"], first["job"]) == (
            "orders",
            "{no",
            "not_json",
            "job-1",
        )
        assert first["source"] == {"subscription": "projects/p/subscriptions/s", "message_id": "m7"}
        assert (second["id"], second["reason"], second["status"]) == ("o", "unknown_attribute", 400)
        assert second["record"]["attributes"] == {"bad": 1}
        assert one.dead_letters.attributes[1] == {"kind": "orders", "reason": "unknown_attribute", "job": "job-1"}
        assert one.counts("orders") == {"read": 2, "dead_lettered": 2}


def test_a_binary_message_keeps_its_bytes(api, folder):
    with stream(api, folder) as one:
        one.poison(b"\x00\xfforder", "m1")
        one.settled()
        [dead_letter] = one.dead_letters.lines
        assert (dead_letter["record"], dead_letter["altered"]) == ("\x00\ufffdorder", True)
        assert b64decode(dead_letter["record_base64"]) == b"\x00\xfforder"


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("refused", [False, True])
def test_a_message_that_pubsub_repeats_gets_one_letter(api, folder, slow, refused):
    """Before its dead letter is written, meanwhile, and after."""

    def again():
        if refused:
            return one.feed("orders", order("o", "c", attributes={"bad": 1}), "m1")
        return one.poison(b"{no", "m1")

    with stream(api, folder, dead_letters=Lines(held=slow)) as one:
        messages = [again(), again()]
        wait_until(lambda: len(one.dead_letters.lines) >= 1, "its letter is on its way")
        messages.append(again())
        time.sleep(0.5)
        if slow:
            assert [message.acked for message in messages] == [0, 0, 0]
            one.dead_letters.let_go()
        one.settled()
        one.settled(again())
        assert len(one.dead_letters.lines) == 1
        assert len(api.rows("requests")) == refused
        assert one.counts("orders") == {"read": 4, "dead_lettered": 1, "duplicate": 3}


def test_a_bad_record_that_its_publisher_repeats_has_a_letter_for_each_message(api, folder):
    with stream(api, folder) as one:
        for message_id in ("m1", "m2"):
            one.feed("orders", order("o", "c", attributes={"bad": 1}), message_id)
        one.settled()
        assert [dead_letter["source"]["message_id"] for dead_letter in one.dead_letters.lines] == ["m1", "m2"]


def test_a_repeat_is_acknowledged_when_the_first_has_ended(api, folder):
    api.faults("latency:ms=600")
    with stream(api, folder, settle=0.0) as one:
        first = one.feed("events", event("e", "c"))
        in_flight(api)
        again = one.feed("events", event("e", "c"))
        time.sleep(0.2)
        assert (first.acked, again.acked) == (0, 0)
        one.settled()
        assert one.counts("events") == {"read": 2, "applied": 1, "duplicate": 1}
        one.settled(one.feed("events", event("e", "c")))
        assert len(api.acted(EVENT)) == 1


def test_nothing_is_acknowledged_before_its_letter_is_written(api, folder):
    with stream(api, folder, dead_letters=Lines(held=True)) as one:
        bad = one.poison(b"{no")
        good = one.feed("events", event("e", "c"))
        one.settled(good)
        assert bad.acked == 0
        assert one.streaming.output.writing == 1
        one.dead_letters.let_go()
        one.settled(bad)
        assert one.streaming.output.writing == 0


def test_a_letter_that_cannot_be_written_stops_the_stream_and_acknowledges_nothing(api, folder):
    with stream(api, folder, dead_letters=Lines(broken=True)) as one:
        bad = one.poison(b"{no")
        wait_until(lambda: one.streaming.engine.failure is not None, "it stops")
        assert isinstance(one.streaming.engine.failure, OSError)
        assert bad.acked == 0


def test_results_are_written_before_their_messages_are_acknowledged(api, folder):
    with stream(api, folder, results=Lines(held=True)) as one:
        applied = one.feed("orders", order("o", "c", "completed", 2))
        wait_until(lambda: len(one.results.lines) == 1, "its line is on its way")
        assert applied.acked == 0
        one.results.let_go()
        one.settled()
        one.settled(one.feed("orders", order("o", "c", "open", 1)))
        (line,) = one.results.lines
        assert (line["kind"], line["id"], line["outcome"], line["status"]) == ("orders", "o", "applied", 200)
        assert one.results.attributes == [{"kind": "orders", "job": "job-1"}]


def test_a_result_that_was_not_written_when_it_was_killed_is_written_after(api, folder):
    with stream(api, folder, results=Lines(held=True)) as killed:
        messages = [
            ("orders", killed.feed("orders", order("o", "c", "completed", 1))),
            ("events", killed.feed("events", event("e", "d"))),
        ]
        wait_until(lambda: len(killed.results.lines) == 2, "they are applied")
        late_return = ("returns", killed.feed("returns", returned("r", "o", 2)))
        wait_until(lambda: len(killed.results.lines) == 3, "and what was returned")
        killed.streaming.engine.flush()
        killed.kill()
    with stream(api, folder.with_name("next"), after=killed, results=Lines(), quiet=0.5) as one:
        for kind, message in [*messages, late_return]:
            one.deliver(kind, message)
        one.settled()
        assert sorted(line["id"] for line in one.results.lines) == ["e", "o", "r"]
    assert len(api.acted(SESSION)) == len(api.acted(EVENT)) == len(api.acted(RETURN)) == 1


def test_a_stop_waits_for_the_results_that_are_being_written(api, folder):
    with stream(api, folder, results=Lines(held=True)) as one:
        applied = one.feed("events", event("e", "c"))
        wait_until(lambda: len(one.results.lines) == 1, "its line is on its way")
        letting_go = threading.Timer(0.3, one.results.let_go)
        letting_go.start()
        one.streaming.drain(Interrupted("stopped"), 5.0)
        assert (applied.acked, applied.given_back) == (1, 0)
    with stream(api, folder.with_name("other"), results=Lines(held=True)) as one:
        applied = one.feed("events", event("f", "c"))
        wait_until(lambda: len(one.results.lines) == 1, "its line is on its way")
        one.streaming.drain(Interrupted("stopped"), 0.3)
        assert (applied.acked, applied.given_back) == (0, 1), "it comes again, and gets its result then"
        one.results.let_go()
        one.end()
    assert applied.acked == 0


def test_a_drain_finishes_what_is_in_flight_and_gives_back_the_rest(api, folder):
    api.faults("latency:ms=600")
    with stream(api, folder, settle=0.0, concurrency=2) as one:
        first = [one.feed("events", event(f"e{number}", f"c{number}")) for number in range(2)]
        in_flight(api, 2)
        queued = [one.feed("events", event(f"f{number}", f"d{number}")) for number in range(3)]
        same = one.feed("events", event("g", "c0", 1))
        one.streaming.drain(Interrupted("stopped"), 5.0)
        late = one.feed("events", event("late", "x"))
        wait_until(lambda: late.given_back, "what comes after that is given back at once")
        one.settled(*first)
        assert [(message.acked, message.given_back) for message in [*queued, same, late]] == [(0, 1)] * 5
        assert one.counts("events") == {"read": 7, "applied": 2, "given_back": 5}
        assert one.streaming.counters.unaccounted == 0
    assert len(api.rows("requests")) == 2


def test_a_drain_gives_back_what_waits_for_its_time_and_for_its_order(api, folder):
    with stream(api, folder, settle=30.0) as one:
        waits, again = (one.feed("events", event("e", "c")) for _ in range(2))
        one.streaming.drain(Interrupted("stopped"), 5.0)
        assert [(message.acked, message.given_back) for message in (waits, again)] == [(0, 1)] * 2
    with stream(api, folder.with_name("other")) as one:
        parked = one.feed("returns", returned("r", "o"))
        wait_until(lambda: one.streaming.sequencer.waiting_for_order == 1, "it waits for its order")
        one.streaming.drain(Interrupted("stopped"), 5.0)
        assert (parked.acked, parked.given_back) == (0, 1)


def test_what_a_drain_gave_back_makes_nothing_late(api, folder):
    """It had its turn, and no request of it left: what comes back with it is sorted as if it had never come."""
    api.faults("latency:ms=600")
    with stream(api, folder, settle=0.0, concurrency=1) as one:
        one.feed("events", event("first", "x"))
        in_flight(api)
        given_back = [
            one.feed("orders", order("o", "c", "open", 5)),
            one.feed("profiles", profile("d", 5, attributes={"tier": "gold"})),
        ]
        wait_until(lambda: one.streaming.counters.total("read") == 3, "they had their turn")
        one.streaming.drain(Interrupted("stopped"), 5.0)
        assert [message.given_back for message in given_back] == [1, 1]
        one.end()
    api.faults()
    with stream(api, folder, settle=0.4) as again:
        again.feed("orders", order("o", "c", "open", 5))
        again.feed("orders", order("o", "c", "open", 4))
        again.feed("events", event("e", "c", 3))
        again.feed("profiles", profile("d", 4, attributes={"tier": "silver"}))
        again.feed("profiles", profile("d", 5, attributes={"tier": "gold"}))
        again.settled()
        assert again.counts("orders") == {"read": 2, "applied": 2}
        assert again.counts("profiles") == {"read": 2, "applied": 2}
    assert states(api) == ["open", "open"]
    acted = [row["operation"] for row in api.rows("requests")][1:]
    assert acted.index(EVENT) < acted.index(SESSION), "what is older went first"


def test_with_a_key_that_is_refused_it_waits_and_goes_on(api, folder, monkeypatch):
    monkeypatch.setattr(key_gate, "REFUSED_FIRST_WAIT", 0.05)
    monkeypatch.setattr(key_gate, "REFUSED_LONGEST_WAIT", 0.2)
    api.faults("unauthorized")
    reasons = []
    with stream(api, folder, settle=0.0, hold_on=lambda why: not reasons.append(why)) as one:
        for number in range(20):
            one.feed("events", event(f"e{number}", f"c{number % 5}", number))
        wait_until(lambda: one.streaming.engine.refusal is not None, "it is refused")
        time.sleep(1.0)
        assert isinstance(one.streaming.engine.refusal, KeyRefused)
        assert one.streaming.engine.failure is None
        assert len(one.unfinished) == 20
        api.faults()
        one.settled()
        assert one.streaming.engine.refusal is None
        assert one.dead_letters.lines == []
    assert len(api.acted(EVENT)) == 20


def test_with_a_key_that_is_refused_it_stops_if_told_so(api, folder):
    api.faults("revoke:after=3")
    with stream(api, folder, settle=0.0, hold_on=lambda why: False) as one:
        for number in range(20):
            one.feed("events", event(f"e{number}", "c", number))
        wait_until(lambda: one.streaming.engine.failure is not None, "it stops")
        assert isinstance(one.streaming.engine.failure, KeyRefused)
        assert len(one.unfinished) == 17
    assert one.dead_letters.lines == []
    assert all(message.given_back == 1 for message in one.unfinished)


def redelivered(killed, one, kind_of):
    """Pub/Sub delivers again what was not acknowledged, in another order."""
    for message in reversed(killed.unfinished):
        one.deliver(kind_of[message.message_id], Message(message.message_id, message.data))


@pytest.mark.parametrize("when", [0.1, 0.3, 0.6])
def test_nothing_is_lost_or_done_twice_when_it_is_killed(api, folder, when):
    """Half of the latency goes by before the simulator acts: killed at that time, some has acted and some has not."""
    api.faults("latency:ms=250,jitter=250")
    records = [
        *(("events", event(f"e{n}", f"c{n}", 1, type=f"t{n}")) for n in range(20)),
        *(("orders", order(f"o{n}", f"c{n}", "completed", 2)) for n in range(10)),
        *(("returns", returned(f"r{n}", f"o{n}", 3)) for n in range(10)),
        *(("calls", referral(f"k{n}", f"d{n}")) for n in range(10)),
        *(("profiles", profile(f"p{n}", 1, {"a": n}, audiences={"add": [n + 1]})) for n in range(10)),
    ]
    kind_of = {}
    with stream(api, folder, settle=0.0, bulk_age=0.05) as killed:
        for kind, record in records:
            kind_of[killed.feed(kind, record).message_id] = kind
        in_flight(api, 5)
        time.sleep(when)
        killed.kill()
    assert killed.unfinished, "it was killed too late to show anything"
    time.sleep(0.6)
    api.faults()
    with stream(api, folder.with_name("next"), after=killed, quiet=0.5) as one:
        redelivered(killed, one, kind_of)
        one.settled()
        dead_letters = one.dead_letters.lines
        assert one.streaming.counters.unaccounted == 0
    assert Counter(row["body"]["type"] for row in api.acted(EVENT)) == dict.fromkeys([f"t{n}" for n in range(20)], 1)
    assert len(api.acted(RETURN)) == 10
    sessions = api.sessions()
    assert {sessions[f"o{n}"]["state"] for n in range(10)} == {"partially_returned"}
    assert {api.profiles()[f"p{n}"]["attributes"]["a"] for n in range(10)} == set(range(10))
    assert {api.profiles()[f"p{n}"]["audiences"][0] for n in range(10)} == set(range(1, 11))
    made = Counter(row["body"]["advocateProfileIntegrationId"] for row in api.acted(REFERRAL))
    unknown = {dead_letter["record"]["body"]["advocateProfileIntegrationId"] for dead_letter in dead_letters}
    assert set(made.values()) <= {1}, "a second code was made"
    assert {dead_letter["reason"] for dead_letter in dead_letters} <= {"outcome_unknown"}
    assert set(made) | unknown == {f"d{n}" for n in range(10)}


def referral(call_id, advocate):
    body = {"campaignId": 1, "advocateProfileIntegrationId": advocate}
    return call(call_id, "create_referral", body=body)


def killed_with_five_in_a_bulk(api, folder):
    """A stream that was killed while its bulk of five was under way; the API has taken it since."""
    api.faults("latency:ms=500")
    with stream(api, folder, settle=0.0, bulk_age=0.2) as killed:
        for number in range(5):
            killed.feed("profiles", profile(f"c{number}", 1, {"a": number}))
        in_flight(api)
        killed.kill()
    time.sleep(0.6)
    api.faults()
    return killed


def test_a_bulk_that_was_in_flight_goes_again_as_it_was(api, folder):
    killed = killed_with_five_in_a_bulk(api, folder)
    with stream(api, folder.with_name("next"), after=killed, quiet=0.5) as one:
        one.feed("profiles", profile("new", 1, {"a": 7}))
        redelivered(killed, one, dict.fromkeys([message.message_id for message in killed.messages], "profiles"))
        one.settled()
    first, *others = [row for row in api.rows("requests") if row["operation"] == PROFILES]
    again = [row for row in others if row["key"] == first["key"]]
    assert [row["replayed"] for row in again] == [True], "the same customers in the same order, under the same key"
    assert [len(row["body"]["customerProfiles"]) for row in api.acted(PROFILES)] == [5, 1]


def test_what_follows_a_bulk_that_goes_again_goes_too(api, folder):
    api.faults("latency:ms=500")
    with stream(api, folder, settle=0.0) as killed:
        for number in range(3):
            killed.feed("profiles", profile(f"c{number}", 1, {"a": number}, audiences={"add": [number]}))
        in_flight(api)
        killed.kill()
    api.faults()
    with stream(api, folder.with_name("next"), after=killed, quiet=0.3) as one:
        redelivered(killed, one, dict.fromkeys([message.message_id for message in killed.messages], "profiles"))
        one.settled()
    assert len(api.acted(AUDIENCES)) == 1


def test_a_part_that_was_done_does_not_go_again(api, folder):
    api.faults(f"latency:ms=1000,operation={AUDIENCES}")
    with stream(api, folder, settle=0.0) as killed:
        message = killed.feed("profiles", profile("c", 1, {"a": 1}, audiences={"add": [1]}))
        in_flight(api, 2)
        killed.kill()
    api.faults()
    with stream(api, folder.with_name("next"), after=killed, quiet=0.3) as one:
        one.deliver("profiles", Message(message.message_id, message.data))
        one.settled()
    assert [row["operation"] for row in api.rows("requests")] == [PROFILES, AUDIENCES, AUDIENCES]


def test_a_bulk_of_which_something_is_missing_is_packed_anew(api, folder):
    killed = killed_with_five_in_a_bulk(api, folder)
    killed.messages.pop(2)
    with stream(api, folder.with_name("next"), after=killed, quiet=0.3) as one:
        redelivered(killed, one, dict.fromkeys([message.message_id for message in killed.messages], "profiles"))
        one.settled()
    bulks = [row for row in api.rows("requests") if row["operation"] == PROFILES]
    assert len({row["key"] for row in bulks}) == 2
    assert [len(row["body"]["customerProfiles"]) for row in api.acted(PROFILES)] == [5, 4]


def test_what_was_sent_before_a_kill_is_remembered_after_it(api, folder):
    with stream(api, folder) as killed:
        killed.settled(killed.feed("orders", order("o", "c", "open", 5)))
        killed.settled(killed.feed("events", event("e", "c", 5)))
        killed.kill()
    with stream(api, folder.with_name("next"), after=killed) as one:
        one.feed("orders", order("o", "c", "open", 4))
        one.feed("events", event("e", "c", 5))
        one.feed("events", event("e", "c", 5, type="another"))
        one.settled()
        assert one.counts("orders") == {"read": 1, "superseded": 1}
        assert one.counts("events") == {"read": 2, "duplicate": 1, "dead_lettered": 1}
        assert [dead_letter["reason"] for dead_letter in one.dead_letters.lines] == ["id_reused"]
    assert states(api) == ["open"]
    assert len(api.acted(EVENT)) == 1


def test_an_id_that_is_used_again_while_the_first_is_in_flight_does_not_make_it_go_twice(api, folder):
    """The dead letter of the second must not forget that the first one, with the same id, has left."""
    api.faults("latency:ms=800")
    with stream(api, folder, settle=0.0) as killed:
        first = killed.feed("calls", referral("k", "d"))
        in_flight(api)
        other = killed.feed("calls", referral("k", "other"))
        killed.settled(other)
        killed.kill()
    time.sleep(1.0)
    api.faults()
    with stream(api, folder.with_name("next"), after=killed) as one:
        one.deliver("calls", Message(first.message_id, first.data))
        one.settled()
        assert [dead_letter["reason"] for dead_letter in one.dead_letters.lines] == ["outcome_unknown"]
    assert len(api.acted(REFERRAL)) == 1
