"""A stream of which too much is a dead letter: what is written and acknowledged until then, and nothing after it."""

from e2e.harness import order, wait_until
from support.stream_harness import Lines, stream

from beam_talonone.pipelines.backfill.options import parse_max_dead_letters
from beam_talonone.talonone.streaming.dead_letter_window import LastEnds


def at_most(allowed):
    return LastEnds(parse_max_dead_letters(allowed).exceeded)


def stop_reason(one):
    """Why it stopped."""
    wait_until(lambda: one.streaming.output.excess is not None, "it stops")
    return str(one.streaming.output.excess)


def test_a_topic_that_switches_to_garbage_is_not_drained(api, folder):
    stopped = []
    with stream(api, folder, ends=at_most("3")) as one:
        one.streaming.output.on_excess = stopped.append
        good = one.feed("orders", order("o", "c", "open", 1))
        one.settled(good)
        bad = [one.poison(b"garbage %d" % number, f"bad-{number}") for number in range(50)]
        assert stop_reason(one) == "4 of the last 5 orders read are dead letters; the last: not_json"
        wait_until(lambda: sum(message.given_back for message in bad) == 47, "the rest is given back")
        assert [message.acked for message in bad] == [1] * 3 + [0] * 47
        assert [dead_letter["source"]["message_id"] for dead_letter in one.dead_letters.lines] == [
            "bad-0",
            "bad-1",
            "bad-2",
        ]
        assert one.counts("orders") == {"read": 51, "applied": 1, "dead_lettered": 3, "given_back": 47}
        assert one.streaming.counters.unaccounted == 0
    assert stopped == [one.streaming.output.excess], "it is told once"


def test_what_the_api_refuses_counts_as_what_is_no_record(api, folder):
    with stream(api, folder, settle=0.0, ends=at_most("1")) as one:
        refused = [one.feed("orders", order(f"o{n}", f"c{n}", attributes={"bad": 1})) for n in range(6)]
        assert "dead letters; the last: unknown_attribute" in stop_reason(one)
        wait_until(lambda: sum(message.given_back for message in refused) == 5, "all but one are given back")
        assert len(one.dead_letters.lines) == 1


def test_what_is_applied_after_that_is_given_back_and_is_a_duplicate_when_it_comes_again(api, folder):
    with stream(api, folder, settle=0.0, ends=at_most("0")) as one:
        api.faults("latency:ms=400")
        late = one.feed("orders", order("o", "c", "open", 1))
        wait_until(lambda: len(api.rows("requests")) >= 1, "it is on its way")
        one.poison(b"garbage")
        stop_reason(one)
        wait_until(lambda: late.given_back == 1, "it is given back")
        assert late.acked == 0
    with stream(api, folder, settle=0.0) as two:
        again = two.feed("orders", order("o", "c", "open", 1))
        two.settled(again)
        assert two.counts("orders") == {"read": 1, "duplicate": 1}
    assert len(api.acted()) == 1


def test_letters_that_were_begun_before_are_finished_and_acknowledged(api, folder):
    dead_letters = Lines(held=True)
    with stream(api, folder, ends=at_most("2"), dead_letters=dead_letters) as one:
        bad = [one.poison(b"garbage", f"bad-{number}") for number in range(3)]
        again = one.poison(b"garbage", "bad-0")
        stop_reason(one)
        assert [message.acked for message in bad] == [0, 0, 0]
        dead_letters.let_go()
        wait_until(lambda: bad[0].acked and bad[1].acked and again.acked, "they are acknowledged")
        assert (bad[2].acked, bad[2].given_back) == (0, 1)
        assert len(dead_letters.lines) == 2


def test_repeats_do_not_hide_a_bad_topic(api, folder):
    with stream(api, folder, settle=0.0, ends=LastEnds(lambda dead, of: of >= 4 and dead > of / 2)) as one:
        for number in range(6):
            one.settled(one.feed("orders", order("o", "c", "open", 1), f"same-{number}"))
        for number in range(4):
            one.poison(b"garbage", f"bad-{number}")
        assert stop_reason(one) == "3 of the last 4 orders read are dead letters; the last: not_json"


def test_dead_letters_are_counted_on_disk_before_the_process_ends(api, folder):
    """A stream that is killed and started again must not write as many dead letters each time."""
    kept = []
    ends = LastEnds(parse_max_dead_letters("20").exceeded, {}, kept.append)
    with stream(api, folder, ends=ends) as one:
        for number in range(5):
            one.settled(one.poison(b"garbage", f"bad-{number}"))
        wait_until(lambda: kept and kept[-1] == {"orders": "1" * 5}, "they are counted")
        many = len(kept)
        one.settled(one.feed("orders", order("o", "c", "open", 1)))
        one.settled(one.poison(b"garbage", "bad-5"))
        wait_until(lambda: kept[-1] == {"orders": "1" * 5 + "01"}, "so is the next one")
        assert len(kept) == many + 1, "nothing is written for what is no dead letter"


def test_messages_without_a_kind_are_weighed_against_all_messages_of_their_subscription(api, folder):
    """Else they would be all that counts of their kind, and stop a stream over months."""
    with stream(api, folder, settle=0.0, ends=at_most("50%")) as one:
        output = one.streaming.output
        output.of_several_kinds = frozenset({one.feed("orders", order("o-0", "c")).subscription})
        for number in range(1, 3):
            one.feed("orders", order(f"o-{number}", "c"))
        one.settled()
        one.poison(b"bad order", "bad-order", "orders")
        one.poison(b"no kind", "no-kind", "records")
        one.settled()
        assert output.ends.counts("orders") == (1, 4)
        assert output.ends.counts("records") == (1, 5)


def test_too_many_messages_without_a_kind_stop_the_stream_and_say_so(api, folder):
    with stream(api, folder, ends=at_most("1")) as one:
        one.poison(b"1", "m-1", "records")
        one.poison(b"2", "m-2", "records")
        assert stop_reason(one) == (
            "2 of the last 2 records of --records or --files are dead letters without a kind; the last: not_json"
        )
