"""What waits until the outcome of an earlier record is safe, and what does not."""

import pytest
from e2e.harness import call, event, order, profile, returned

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.requests.barrier import Barrier, before_barrier
from beam_talonone.talonone.requests.build import BuildOptions, build

ERASURE = ("profiles", profile("c", 1, erase=True))
CANCELLED = ("orders", order("o", "c", "cancelled", 1))
POINTS = {"loyaltyProgramId": 1, "integrationId": "c"}


def work_of(kind, record):
    return build(kind, parse(kind, record).record, BuildOptions())


def erasing(operation, **more):
    return "calls", call("k", operation, 1, **more)


@pytest.mark.parametrize(
    ("first", "then", "waits"),
    [
        (ERASURE, ("profiles", profile("c", 2, {"a": 1})), True),
        (ERASURE, ("orders", order("o", "c", "completed", 2)), True),
        (ERASURE, ("events", event("e", "c", 2)), True),
        (ERASURE, ("profiles", profile("d", 2, {"a": 1})), False),
        (erasing("delete_customer_data", path={"integrationId": "c"}), ("events", event("e", "c", 2)), True),
        (
            erasing("delete_loyalty_transactions_from_ledgers", path=POINTS, body={"scope": "AllSubledgers"}),
            ("orders", order("o", "c", "completed", 2)), True,
        ),
        (
            erasing("activate_loyalty_points", path={"loyaltyProgramId": 1}, body={"sessionId": "o"}),
            ("orders", order("o", "c", "completed", 2)), True,
        ),
        (CANCELLED, ("orders", order("o", "c", "completed", 2)), True),
        (CANCELLED, ("returns", returned("r", "o", 2)), True),
        (CANCELLED, ("orders", order("p", "c", "completed", 2)), False),
        (("orders", order("o", "c", "completed", 1)), ("orders", order("o", "c", "cancelled", 2)), False),
        (("profiles", profile("c", 1, {"a": 1})), ERASURE, False),
    ],
)  # fmt: skip
def test_what_a_repetition_would_undo_waits(first, then, waits):
    earlier, later = work_of(*first), work_of(*then)
    barrier = Barrier()
    barrier.passed(earlier)
    assert barrier.holds_back(later) is waits
    assert before_barrier([earlier, later]) == (1 if waits else 2)
    barrier.clear()
    assert not barrier.holds_back(later)
