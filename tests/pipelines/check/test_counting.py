"""The requests of forecasts are those of the works, and the works that are kept are those that are shown."""

from collections import Counter
from contextlib import closing
from itertools import groupby
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.packing import AUDIENCES, REFERRALS, RESERVE, call, made, other

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.check.counting import count_requests
from beam_talonone.pipelines.check.forecast import ForecastBlobs, read_forecast
from beam_talonone.talonone.delivery.dispatcher import Dispatcher
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.engine.batcher import Batcher
from beam_talonone.talonone.engine.job import Job
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.dry_run import not_dry
from beam_talonone.talonone.requests.work import Work

CUSTOMERS = st.sampled_from(["c0", "c1", "c2", "c3"])
WORKS = st.one_of(
    st.builds(
        call, st.integers(1, 9), st.sampled_from([AUDIENCES, REFERRALS, RESERVE]),
        st.lists(CUSTOMERS, min_size=1, max_size=3, unique=True), st.sampled_from(["X", "Y"]),
        st.sampled_from([None, "k"]),
    ),
    st.builds(other, st.integers(1, 9), st.sampled_from(["attributes", "both", "erase", "event"]), CUSTOMERS),
    st.builds(
        lambda name, customer: made("orders", order_id=name, customer_id=customer, status="completed", items=[]),
        st.sampled_from(["o1", "o2"]), CUSTOMERS | st.none(),
    ),
    st.builds(
        lambda name: made("returns", return_id=name, order_id="o1", items=[{"sku": "a", "quantity": 1}]),
        st.sampled_from(["r1", "r2"]),
    ),
)  # fmt: skip


class _Submitted(Dispatcher):
    def __init__(self) -> None:
        self.operations: Counter[str] = Counter()

    def submit(self, ticket: Any) -> None:
        self.operations[ticket.operation] += 1


def _sent(works: list[Work], *, dry: bool) -> Counter[str]:
    """The requests of the works by operation, as a backfill would submit them."""
    submitted = _Submitted()
    batcher = Batcher(submitted, None)  # type: ignore[arg-type]
    for number, work in enumerate(works):
        parts = not_dry(work) if dry else {}
        batcher.accept(
            Job(number, work, SendOptions(), lambda job: SessionFacts(), lambda job, outcome: None, parts=parts)
        )
    batcher.flush()
    return submitted.operations


def _prepared(file: str, position: int) -> Any:
    return SimpleNamespace(raw=SimpleNamespace(file=file, position=position))


@given(st.lists(WORKS, max_size=40), st.booleans())
def test_forecasts_have_the_requests_of_the_works(works: list[Work], dry: bool) -> None:
    blobs = ForecastBlobs(0, dry=dry)
    with closing(staging.connect(":memory:")) as connection:  # type: ignore[arg-type]
        for number, work in enumerate(works, 1):
            raw, blob = blobs(_prepared("f", number), work, False)
            # the customer of a return is found later
            customer = "c1" if work.kind == "returns" else next(iter(work.profiles), None)
            row = (number, work.kind, next(iter(work.sessions), None), customer, raw, blob)
            connection.execute(
                "INSERT INTO records (rec, kind, session, customer, file, file_no, position, format, unknown_fields,"
                " raw, work) VALUES (?, ?, ?, ?, 'f', 0, 0, 'jsonl', 0, ?, ?)",
                row,
            )
            connection.execute("INSERT INTO queue VALUES (?, ?)", (number, number))
        operations, guests = count_requests(connection)
    assert operations == _sent(works, dry=dry)
    assert guests == sum(work.kind == "orders" and work.profiles[0].startswith("guest-") for work in works)


PLACES = st.lists(
    st.tuples(
        st.sampled_from("ab"), st.integers(1, 4), st.sampled_from(["o1", "o2", "o3", "o4", "o5"]), st.booleans()
    )
)


@given(PLACES, st.integers(1, 4))
def test_the_first_records_keep_their_work(places: list[tuple[str, int, str, bool]], show: int) -> None:
    """Steps get records in any order. Of equal ones, the first in the order of the input is sent."""
    blobs = ForecastBlobs(show, dry=False)
    kept = {}
    for number, (file, position, name, filtered) in enumerate(places):
        work = made("orders", order_id=name, customer_id="c", status="completed", items=[], version=int(filtered))
        _, blob = blobs(_prepared(file, position), work, filtered)
        kept[file, position, number] = (name, filtered, read_forecast(blob).work)
    candidates = [(place, name) for place, (name, filtered, _) in sorted(kept.items()) if not filtered]
    first = [next(group)[0] for _, group in groupby(sorted(candidates, key=lambda one: one[1]), lambda one: one[1])]
    for place in sorted(first)[:show]:
        assert kept[place][2], place
    if all(places[at][:2] <= places[at + 1][:2] for at in range(len(places) - 1)):  # in order, only few are kept
        names = {(file, name) for (file, _, _), (name, _, work) in kept.items() if work}
        assert len(names) <= 2 * show


@given(st.lists(WORKS, min_size=1, max_size=5))
def test_no_work_is_kept_that_is_not_asked_for(works: list[Work]) -> None:
    blobs = ForecastBlobs(0, dry=False)
    assert not any(read_forecast(blobs(_prepared("f", 1), work, False)[1]).work for work in works)
