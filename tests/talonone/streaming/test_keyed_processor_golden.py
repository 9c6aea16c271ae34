"""What a running job holds in its state must be read by the next version: the bytes of today, kept in golden/.

When this fails, a job cannot be updated in place any more. Give the new field a default and put it last. Otherwise
state in the changelog that users must drain jobs, and write the files again:
`python tests/talonone/streaming/test_keyed_processor_golden.py`.
"""

from pathlib import Path

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.streaming.keyed_processor import Arrival, KeyedProcessor, Rules, Source

GOLDEN = Path(__file__).with_name("golden")
RULES = Rules(reorder_delay=5.0, wait_for_order=600.0, remember=8 * 86_400.0)
BY = (1000.0, b"a process")


def record(kind, second, **fields):
    given = {"event_time": f"2026-05-01T12:00:{second:02d}Z", "customer_id": "c", **fields}
    given = {name: value for name, value in given.items() if value is not None}
    return build(kind, parse(kind, given).record, BuildOptions())


def arrived(kind, second, at, **fields):
    return Arrival(record(kind, second, **fields), Source("projects/p/subscriptions/s", f"m{second}", b"{}"), at)


def a_lane():
    """One that remembers, with a record that leaves, one that waits, and a return that waits for its order."""
    lane = KeyedProcessor(RULES)
    order = arrived("orders", 1, 10.0, order_id="o", status="open")
    change = arrived("profiles", 2, 10.0, attributes={"a": 1})
    early = arrived("returns", 3, 10.0, return_id="r", order_id="other", items=[{"sku": "s", "quantity": 1}])
    lane.advance([order, change, early], 16.0, BY)
    lane.ended([(order.work, Outcome(End.APPLIED))], BY)
    lane.ended([(early.work, Outcome(End.DEAD, "not_found", premature=True))], BY)
    lane.advance([arrived("events", 4, 16.25, event_id="e", type="view")], 16.5, BY)
    return lane


def test_the_state_of_today_is_read_and_goes_on():
    lane = KeyedProcessor(RULES, (GOLDEN / "lane.bin").read_bytes())
    assert [one.work.kind for one in lane.outbox] == ["profiles"]
    older = arrived("orders", 0, 18.0, order_id="o", status="open")
    settled, later = lane.advance([older], 30.0, BY)
    assert [(one.work.id, one.outcome.end) for one in settled] == [("o", End.SUPERSEDED)]
    assert later == []
    assert {one.work.kind for one in lane.outbox} == {"profiles", "returns", "events"}


def test_what_is_under_way_between_steps_is_read():
    kept = Arrival.from_bytes((GOLDEN / "came.bin").read_bytes())
    assert kept == arrived(
        "calls", 5, 20.0, call_id="k", operation="create_referral", customer_id=None, body=REFERRAL
    )
    assert Work.from_bytes(kept.work.to_bytes()) == kept.work


def test_todays_version_writes_what_is_kept():
    """Else the files are of an older version, and say nothing of this one."""
    assert a_lane().to_bytes() == (GOLDEN / "lane.bin").read_bytes()


REFERRAL = {"campaignId": 1, "advocateProfileIntegrationId": "c"}


def write():
    GOLDEN.mkdir(exist_ok=True)
    (GOLDEN / "lane.bin").write_bytes(a_lane().to_bytes() or b"")
    a_call = arrived("calls", 5, 20.0, call_id="k", operation="create_referral", customer_id=None, body=REFERRAL)
    (GOLDEN / "came.bin").write_bytes(a_call.to_bytes())


if __name__ == "__main__":
    write()
