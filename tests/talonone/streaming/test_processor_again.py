"""Messages delivered again after a kill or a stop at a critical moment: none acts twice or is taken for another."""

import json
import random
import threading
import time
from collections import Counter

import pytest
from e2e.harness import call, event, order, profile, returned, wait_until
from support.stream_harness import Lines, Message, stream

from beam_talonone.talonone.errors import Interrupted
from beam_talonone.talonone.requests.outcome import End, Outcome

EVENT, RETURN, REFERRAL = "track_event_v2", "return_cart_items", "create_referral"


def referral(call_id, advocate, hour=0):
    return call(call_id, REFERRAL, hour, body={"campaignId": 1, "advocateProfileIntegrationId": advocate})


def again(message):
    return Message(message.message_id, message.data)


def dead_letters(one):
    return [(dead_letter["reason"], dead_letter["source"]["message_id"]) for dead_letter in one.dead_letters.lines]


def killed_in_flight(api, folder, kind, record):
    api.faults("latency:ms=800")
    with stream(api, folder, settle=0.0) as killed:
        first = killed.feed(kind, record)
        wait_until(lambda: api.rows("requests"), "it is on its way")
        killed.kill()
    wait_until(api.acted, "it has acted")
    api.faults()
    return killed, first


def test_the_letter_of_a_reused_id_does_not_make_the_first_go_twice(api, folder):
    killed, first = killed_in_flight(api, folder, "calls", referral("k", "d"))
    with stream(api, folder.with_name("next"), after=killed, quiet=1.0) as one:
        one.deliver("calls", again(first))
        one.feed("calls", referral("k", "other"), "other")
        one.settled()
        assert dead_letters(one) == [("id_reused", "other"), ("outcome_unknown", first.message_id)]
    assert [row["body"]["advocateProfileIntegrationId"] for row in api.acted(REFERRAL)] == ["d"]


def test_a_reused_id_that_comes_first_does_not_take_over_what_is_in_flight(api, folder):
    killed, first = killed_in_flight(api, folder, "events", event("e", "c", 1, type="one"))
    with stream(api, folder.with_name("next"), after=killed, quiet=1.0) as one:
        one.feed("events", event("e", "c", 2, type="two"), "other")
        one.deliver("events", again(first))
        one.settled()
        assert dead_letters(one) == [("id_reused", "other")]
        assert one.counts("events") == {"read": 2, "applied": 1, "dead_lettered": 1}
    assert [row["body"]["type"] for row in api.acted(EVENT)] == ["one"]


def test_a_return_whose_result_waits_is_not_taken_for_another_of_its_order(api, folder):
    results = Lines()
    with stream(api, folder, settle=0.0, results=results) as killed:
        killed.settled(killed.feed("orders", order("o", "c", "completed", 1)))
        results.held = True
        first = killed.feed("returns", returned("r1", "o", 2))
        wait_until(lambda: len(results.lines) == 2, "it is applied")
        api.faults(f"cut-before:operation={RETURN}")
        requests_before = len(api.rows("requests"))
        second = killed.feed("returns", returned("r2", "o", 3))
        wait_until(lambda: len(api.rows("requests")) > requests_before, "the second is on its way")
        killed.kill()
    api.faults()
    with stream(api, folder.with_name("next"), after=killed, quiet=0.5, results=Lines()) as one:
        for message in (first, second):
            one.deliver("returns", again(message))
        one.settled()
        assert one.counts("returns") == {"read": 2, "applied": 2}
        assert sorted(line["id"] for line in one.results.lines) == ["r1", "r2"]
    assert len(api.acted(RETURN)) == 2


def test_what_is_left_of_a_change_is_not_taken_for_the_part_that_was_done(api, folder):
    api.faults("latency:ms=600")
    with stream(api, folder, settle=0.0, bulk_age=0.05) as first:
        change = first.feed("profiles", profile("c", 1, {"a": 1}, audiences={"add": [7]}))
        wait_until(lambda: api.rows("requests"), "its attributes are on their way")
        first.streaming.drain(Interrupted("stopped"), 5.0)
        assert (change.acked, change.given_back) == (0, 1)
        first.end()
    api.faults()
    with stream(api, folder.with_name("next"), after=first) as one:
        one.settled(one.feed("profiles", profile("c", 2, {"a": 2}), "newer"))
        one.deliver("profiles", again(change))
        one.settled()
        assert one.counts("profiles") == {"read": 2, "applied": 2}
    found = api.profiles()["c"]
    assert (found["attributes"], found["audiences"]) == ({"a": 2}, [7])


def test_the_repeat_of_what_may_have_acted_does_not_go_blindly(api, folder):
    api.faults(f"cut-after:operation={REFERRAL}")
    with stream(api, folder, settle=0.0) as one:
        one.settled(one.feed("calls", referral("k", "d"), "one"))
        api.faults()
        one.settled(one.feed("calls", referral("k", "d"), "two"))
        assert dead_letters(one) == [("outcome_unknown", "one"), ("outcome_unknown", "two")]
    assert len(api.acted(REFERRAL)) == 1


def test_what_is_known_to_be_applied_stays_known_when_it_is_stopped_before_its_result_is_written(api, folder):
    with stream(api, folder, settle=0.0, results=Lines(held=True)) as first:
        message = first.feed("calls", referral("k", "d"))
        wait_until(lambda: first.results.lines, "it is applied")
        first.streaming.drain(Interrupted("stopped"), 0.3)
        assert (message.acked, message.given_back) == (0, 1)
        first.end()
    with stream(api, folder.with_name("next"), after=first, results=Lines()) as one:
        one.deliver("calls", again(message))
        one.settled()
        assert dead_letters(one) == []
        assert [(line["id"], line["outcome"], line["status"]) for line in one.results.lines] == [
            ("k", "applied", 201)
        ]
    assert len(api.acted(REFERRAL)) == 1


def test_that_an_order_is_a_dead_letter_is_known_after_a_restart(api, folder):
    with stream(api, folder) as one:
        bad = Message("bad", b"{}")
        one.messages.append(bad)
        one.streaming.invalid("orders", "o", Outcome(End.DEAD, "invalid_field", "no"), bad)
        one.settled()
        one.end()
    with stream(api, folder, wait_for_order=0.3) as next_one:
        next_one.settled(next_one.feed("returns", returned("r", "o")))
        assert [dead_letter["reason"] for dead_letter in next_one.dead_letters.lines] == ["order_dead_lettered"]


class Slowly(Lines):
    """Confirms a line from another thread after a random delay; while `held`, not at all."""

    def write(self, line, attributes, then):
        self.lines.append(line)
        if self.held:
            self.waiting.append(then)
        else:
            threading.Timer(random.random() * 0.2, then).start()


TROUBLE = [
    ["latency:ms=100,jitter=60"], ["cut-before:share=0.3", "latency:ms=60"], ["cut-after:share=0.3", "latency:ms=60"],
    ["5xx:share=0.3,status=503", "latency:ms=40"], ["outage"],
]  # fmt: skip


def some_records():
    for number in range(5):
        customer, session = f"c{number}", f"o{number}"
        for version, status in enumerate(["open", "open", "completed"]):
            yield "orders", order(session, customer, status, version + 1, coupon_codes=[f"v{version}"])
            yield (
                "profiles",
                profile(customer, version + 1, {"a": version}, audiences={"add": [10 * number + version]}),
            )
            yield "events", event(f"e{number}-{version}", customer, version + 4, type=f"t{number}-{version}")
        yield "returns", returned(f"r{number}-1", session, 5)
        yield "returns", returned(f"r{number}-2", session, 6)
        yield "events", event(f"e{number}-0", customer, 4, type=f"t{number}-0")


@pytest.mark.parametrize(
    ("seed", "with_results"),
    [(1, False), pytest.param(2, True, marks=pytest.mark.slow), pytest.param(3, True, marks=pytest.mark.slow)],
)
def test_killed_and_stopped_at_random_in_all_kinds_of_trouble(api, folder, seed, with_results):
    rng = random.Random(seed)
    kept = [[kind, Message(f"m{n}", b"")] for n, (kind, _) in enumerate(some_records())]
    for (_, message), (_, record) in zip(kept, some_records(), strict=True):
        message.data = json.dumps(record).encode()
    rng.shuffle(kept)
    before, written = None, []
    for life in range(5):
        last = life == 4
        api.faults(*([] if last else rng.choice(TROUBLE)))
        sinks = {"dead_letters": Slowly(), "results": Slowly() if with_results else None}
        if with_results and not last:
            sinks["results"].held = rng.random() < 0.5
        with stream(
            api, folder.with_name(f"life-{life}"), after=before, settle=0.3, quiet=0.6 if before else 0.0,
            bulk_age=0.05, **sinks,
        ) as one:  # fmt: skip
            for kind, message in rng.sample(kept, len(kept)):
                one.deliver(kind, message)
            if last:
                one.settled(*[message for _, message in kept], timeout=60)
                streaming = one.streaming
                left = (
                    streaming.log._names,
                    streaming.log._leaving,
                    streaming.sequencer._open,
                    streaming.output._repeats,
                )
                assert [len(some) for some in left] == [0, 0, 0, 0]
                assert (len(streaming.sequencer.memory._marks), streaming.output.writing) == (0, 0)
            else:
                time.sleep(rng.uniform(0.4, 1.2))
                one.kill() if rng.random() < 0.5 else one.streaming.drain(Interrupted("stopped"), 1.0)
                one.end()
            written += one.dead_letters.lines
        kept = [[kind, again(message)] for kind, message in kept if not message.acked]
        before = one
    assert written == []
    assert Counter(row["body"]["type"] for row in api.acted(EVENT)) == Counter(
        f"t{number}-{version}" for number in range(5) for version in range(3)
    )
    assert len(api.acted(RETURN)) == 10
    for number in range(5):
        assert api.sessions()[f"o{number}"]["couponCodes"] == ["v2"]
        found = api.profiles()[f"c{number}"]
        assert found["attributes"]["a"] == 2
        assert sorted(found["audiences"]) == [10 * number + version for version in range(3)]


def test_dead_letters_of_records_that_do_not_come_again_fill_no_memory(api, folder):
    """A file may have millions of them, and is read once."""
    with stream(api, folder) as one:
        for message_id, comes_again in (("from a topic", True), ("from a file", False)):
            message = Message(message_id, b"no json", comes_again=comes_again)
            one.streaming.invalid("orders", None, Outcome(End.DEAD, "not_json", "it is not JSON"), message)
            one.settled(message)
        assert [name for _, name in one.streaming.output.dead_lettered] == ["from a topic"]
        assert len(one.dead_letters.lines) == 2
