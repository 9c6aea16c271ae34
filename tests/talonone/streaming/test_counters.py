"""The counts that a stream reports of its messages."""

import sys
from concurrent.futures import ThreadPoolExecutor

from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.streaming.counters import MOST_NAMES, NAME_SHOWN, NAMES_SHOWN, StreamCounters


def test_a_line_a_kind_and_the_names_of_what_was_ignored_the_commonest_first():
    counters = StreamCounters()
    for names in (("gift_wrap", "items/colour"), ("gift_wrap",), ()):
        counters.read("orders")
        counters.ended("orders", Outcome(End.APPLIED))
        if names:
            counters.left_out("orders", len(names), names)
    counters.read("events")
    counters.ended("events", Outcome(End.DEAD, "refused"))
    counters.left_out("events", 1, ("channel",))
    counters.sent_unknown("create_coupons", ("newField",))
    counters.sent_unknown("create_coupons", ("other_field", "newField"))
    assert counters.lines() == [
        "events: read 1, dead_lettered 1",
        "orders: read 3, applied 3",
        "events: fields that are not known were ignored: channel in 1",
        "orders: fields that are not known were ignored: gift_wrap in 2, items/colour in 1",
        "create_coupons: sent although not known: newField in 2, other_field in 1",
    ]
    assert counters.unknown == {"orders": 3, "events": 1}


def test_a_name_that_stands_twice_in_a_record_is_in_one_record():
    counters = StreamCounters()
    counters.left_out("orders", 2, ("items/colour", "items/colour"))
    assert counters.lines() == ["orders: fields that are not known were ignored: items/colour in 1"]
    assert counters.unknown["orders"] == 2


def test_names_without_end_take_no_room_and_hide_no_common_one():
    counters = StreamCounters()
    for number in range(20 * MOST_NAMES):
        counters.left_out("orders", 1, (f"{number}-{'x' * 10_000}",))
        if number >= 10 * MOST_NAMES and number % 10 == 0:
            counters.left_out("orders", 1, ("late_but_common",))
        assert len(counters.unknown_names["orders"]) <= MOST_NAMES
    assert max(map(len, counters.unknown_names["orders"])) == NAME_SHOWN
    (line,) = counters.lines()
    shown = line.partition("ignored: ")[2].split(", ")
    assert len(shown) == NAMES_SHOWN
    assert shown[0] == f"late_but_common in {MOST_NAMES}"
    assert counters.unknown["orders"] == 21 * MOST_NAMES


def test_files_and_the_rules_that_filtered_notifications_are_a_line():
    counters = StreamCounters()
    counters.files["read"] += 2
    counters.files["finished"] += 1
    for rule in ("OBJECT_DELETE", "folder", "OBJECT_DELETE"):
        counters.file_filtered(rule)
    assert counters.lines() == ["files: read 2, finished 1, filtered 3 (OBJECT_DELETE 2, folder 1)"]
    for number in range(2 * MOST_NAMES):
        counters.file_filtered(f"an event of Google's {number}")
    assert len(counters.files_filtered) == MOST_NAMES + 1
    assert counters.files_filtered["other"] > 1


def test_several_threads_may_count_unknown_fields():
    """Files are read by threads of their own. Forgetting the rarest names goes through all of them."""
    counters = StreamCounters()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            ends = [
                pool.submit(lambda at=at: [counters.left_out("orders", 1, (f"{at}-{n}",)) for n in range(2_000)])
                for at in range(4)
            ]
    finally:
        sys.setswitchinterval(interval)
    assert [end.exception() for end in ends] == [None] * 4
    assert counters.unknown["orders"] == 8_000
