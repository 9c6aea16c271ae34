"""Slices: sent in order, each record once, resumed from whatever a killed run has journalled."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.staged_job import APPLIED, IdleEngine, ends, event, order, queue, returned, staged_job

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.report import CUT, all_stats
from beam_talonone.pipelines.backfill.sending import slices
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob, Slice
from beam_talonone.pipelines.backfill.sending.journal import Journal
from beam_talonone.pipelines.backfill.sending.outcome_counts import first_unsent
from beam_talonone.pipelines.backfill.sending.send_slices import SliceSteps, next_slice, send_slices
from beam_talonone.pipelines.backfill.sending.slices import Item, PackItem, SliceRun, read_slice
from beam_talonone.talonone.delivery.send_options import InFlight
from beam_talonone.talonone.errors import ConfigurationError, Interrupted, StopRun
from beam_talonone.talonone.telemetry.stats import Stats

EVENTS = {"events": [event(number) for number in range(1, 8)]}


class Sent:
    """Sends slices by writing that each record was applied; `items` has what the pipeline would have read."""

    def __init__(self, stop_at: str | None = None) -> None:
        self.slices: list[str] = []
        self.items: list[str | list[str]] = []
        self.runs: list[SliceRun] = []
        self._stop_at = stop_at

    def __call__(self, job: ActiveJob, run: SliceRun) -> bool:
        self.slices.append(Slice.starting_at(run.first, run.last).name)
        self.runs.append(run)
        for item in read_slice(run):
            members = [member for member, _ in item.members] if isinstance(item, PackItem) else [item]
            if any(member.work.id == self._stop_at for member in members):
                raise Interrupted("killed here")
            ids = [member.work.id for member in members]
            self.items.append(ids if isinstance(item, PackItem) else ids[0])
            for member in members:
                run.journal.on_start([(member.number, 0)], 0, 100.0)
                run.journal.on_end(member.number, APPLIED)
        return False


@pytest.fixture(autouse=True)
def three_in_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE", 3)


def journal(job: ActiveJob, first: int) -> Journal:
    return Journal(job.folder.journal(Slice.starting_at(first, job.tally.total).name), Stats)


def test_slices_go_in_order_and_leave_no_journal(tmp_path: Path) -> None:
    sent = Sent()
    with staged_job(tmp_path, EVENTS) as job:
        send_slices(job, SliceSteps(send=sent))
        assert sent.slices == ["slice-000001", "slice-000002", "slice-000003"]
        assert sent.items == ["e1", "e2", "e3", "e4", "e5", "e6", "e7"]
        assert set(ends(job).values()) == {"applied"}
        assert staging.get_meta(job.connection, "next") == "8"
        assert list((job.folder.root / "state").glob("journal-*")) == []
        assert job.connection.execute("SELECT slice, process FROM stats ORDER BY 1").fetchall() == [
            (1, 0),
            (2, 0),
            (3, 0),
        ]


def test_a_stopped_slice_keeps_what_ended_and_goes_on_with_the_rest(tmp_path: Path) -> None:
    with staged_job(tmp_path, EVENTS) as job:
        with pytest.raises(Interrupted):
            send_slices(job, SliceSteps(send=Sent(stop_at="e5")))
        assert ends(job) == dict.fromkeys(("e1", "e2", "e3", "e4"), "applied")
        assert job.folder.journal("slice-000002").exists()
    sent = Sent()
    with staged_job(tmp_path, EVENTS) as job:
        send_slices(job, SliceSteps(send=sent))
        assert sent.items == ["e5", "e6", "e7"]
        assert job.tally.already == 4
        assert len(ends(job)) == 7


def test_a_killed_run_is_resumed_from_its_journal_alone(tmp_path: Path) -> None:
    """The outcomes were not folded, the last line is torn: its record counts as in flight and goes again."""
    with staged_job(tmp_path, EVENTS) as job:
        killed = journal(job, 1)
        killed.on_start([(1, 0)], 0, 100.0)
        killed.on_end(1, APPLIED)
        killed.on_start([(2, 0)], 4, 101.0)
        killed.on_end(2, APPLIED)
        path = job.folder.journal("slice-000001")
        path.write_bytes(path.read_bytes()[:-7])
    sent = Sent()
    with staged_job(tmp_path, EVENTS) as job:
        send_slices(job, SliceSteps(send=sent))
        assert sent.items == ["e2", "e3", "e4", "e5", "e6", "e7"]
        assert sent.runs[0].recorded.in_flight[2] == {0: InFlight(4, 101.0)}
        assert job.tally.already == 0
        assert len(ends(job)) == 7


def test_a_bulk_that_was_in_flight_goes_first_and_as_it_was(tmp_path: Path) -> None:
    sent = Sent()
    with staged_job(tmp_path, EVENTS) as job:
        journal(job, 1).on_start([(3, 0), (1, 0)], 0, 100.0, bulk=True)
        send_slices(job, SliceSteps(send=sent))
        assert sent.items[:2] == [["e3", "e1"], "e2"]


def test_records_that_are_left_for_later_end_the_sending_in_order(tmp_path: Path) -> None:
    def send(job: ActiveJob, run: SliceRun) -> bool:
        if run.first == 4:
            return True
        return first(job, run)

    first, second = Sent(), Sent()
    with staged_job(tmp_path, EVENTS) as job:
        send_slices(job, SliceSteps(send=send))
        assert first.items == ["e1", "e2", "e3"]
        assert first_unsent(job.connection) == 4
        assert next_slice(job.connection) == 2
        assert job.folder.journal("slice-000002").exists()
    with staged_job(tmp_path, EVENTS) as job:
        send_slices(job, SliceSteps(send=second))
        assert second.items == ["e4", "e5", "e6", "e7"]
        assert first_unsent(job.connection) is None
        assert next_slice(job.connection) == 3


def test_records_that_the_sending_has_lost_stop_the_job(tmp_path: Path) -> None:
    with staged_job(tmp_path, EVENTS) as job:
        with pytest.raises(StopRun, match="has outcomes of 0 of the 3 records sent: go on with --resume"):
            send_slices(job, SliceSteps(send=lambda job, run: False))
        assert staging.get_meta(job.connection, "next") is None
        assert job.folder.journal("slice-000001").exists()


@pytest.mark.parametrize("write_first", [False, True], ids=["nothing written", "a step writes a journal first"])
def test_a_journal_that_is_gone_after_requests_have_left_is_damage(tmp_path: Path, write_first: bool) -> None:
    def before(job: ActiveJob, part: Slice) -> None:
        if write_first:
            journal(job, part.first).close()

    with staged_job(tmp_path, EVENTS) as job:
        with pytest.raises(Interrupted):
            send_slices(job, SliceSteps(send=Sent(stop_at="e2")))
        job.folder.journal("slice-000001").unlink()
    sent = Sent()
    with (
        staged_job(tmp_path, EVENTS) as job,
        pytest.raises(ConfigurationError, match="the file is missing, although requests were sent"),
    ):
        send_slices(job, SliceSteps(send=sent, before=before))
    assert sent.items == []


def test_what_a_step_ends_before_the_slice_is_not_sent(tmp_path: Path) -> None:
    def before(job: ActiveJob, part: Slice) -> None:
        if part.first == 1:
            written = journal(job, 1)
            written.on_end(2, APPLIED)
            written.close()

    sent = Sent()
    with staged_job(tmp_path, EVENTS) as job:
        send_slices(job, SliceSteps(send=sent, before=before))
        assert sent.items == ["e1", "e3", "e4", "e5", "e6", "e7"]
        assert len(ends(job)) == 7


def test_limit_sends_the_first_of_each_kind_and_later_slices_wait_for_the_first(tmp_path: Path) -> None:
    """The order is a slice of its own: it is complete before the first slice is."""
    records = {"events": EVENTS["events"][:3], "orders": [order("o", 500)]}
    for selected, following in ((["e1", "o"], None), (["e2"], None), (["e3"], "4")):
        with staged_job(tmp_path, records, limit=1) as job:
            sent = Sent()
            send_slices(job, SliceSteps(send=sent))
            assert sent.items == selected
            assert staging.get_meta(job.connection, "next") == following
    with staged_job(tmp_path, records) as job:
        sent = Sent()
        send_slices(job, SliceSteps(send=sent))
        assert sent.items == []
        assert job.tally.already == 4
        assert set(ends(job)) == {*queue(job)}
        assert list((job.folder.root / "state").glob("journal-*")) == []


def test_limit_takes_the_outcomes_of_a_killed_run_into_account(tmp_path: Path) -> None:
    with staged_job(tmp_path, EVENTS, limit=2) as job:
        killed = journal(job, 1)
        killed.on_end(1, APPLIED)
        sent = Sent()
        send_slices(job, SliceSteps(send=sent))
        assert sent.items == ["e2", "e3"]


@pytest.mark.parametrize(("name", "expected"), [("c9", ["c9"]), (None, [])])
def test_the_customer_of_a_return_is_asked_for_once(tmp_path: Path, name: str | None, expected: list[str]) -> None:
    """Where the API does not know the order, the return goes without a customer; neither is asked for again."""
    engine = IdleEngine({} if name is None else {"o1": name})
    records = {"returns": [returned("r1", "o1", 1), returned("r2", "o1", 2)]}
    profiles: list[list[str]] = []

    def send(job: ActiveJob, run: SliceRun) -> None:
        profiles.extend(list(item.work.profiles) for item in read_slice(run))
        raise Interrupted("killed here")

    for _ in range(2):
        with staged_job(tmp_path, records, engine=engine) as job, pytest.raises(Interrupted):
            send_slices(job, SliceSteps(send=send))
    assert profiles == [expected] * 4
    assert engine.reads == ["o1"]


def test_the_customers_of_returns_that_have_ended_are_not_asked_for(tmp_path: Path) -> None:
    engine, sent = IdleEngine(), Sent()
    records = {"returns": [returned("r1", "o1", 1), returned("r2", "o2", 2)]}
    with staged_job(tmp_path, records, engine=engine) as job:
        journal(job, 1).on_end(1, APPLIED)
        send_slices(job, SliceSteps(send=sent))
    assert (engine.reads, sent.items) == (["o2"], ["r2"])


@pytest.mark.parametrize(("steps", "expected"), [({}, [False, True, True]), ({"accepted_before": True}, [True] * 3)])
def test_the_engine_knows_whether_the_api_has_taken_records_before(
    tmp_path: Path, steps: dict[str, bool], expected: list[bool]
) -> None:
    engine = IdleEngine()
    accepted: list[bool] = []
    sent = Sent()

    def send(job: ActiveJob, run: SliceRun) -> None:
        accepted.append(engine.accepted_before)
        sent(job, run)

    with staged_job(tmp_path, EVENTS, engine=engine) as job:
        send_slices(job, SliceSteps(send=send, **steps))
    assert accepted == expected


def test_the_steps_of_a_slice_come_in_their_order(tmp_path: Path) -> None:
    called: list[str] = []
    sent = Sent()

    def noting(name: str) -> Callable[..., None]:
        return lambda job, part, *more: called.append(f"{name} {part.first}-{part.last}")

    def send(job: ActiveJob, run: SliceRun) -> None:
        called.append("send")
        sent(job, run)

    steps = SliceSteps(before=noting("before"), send=send, folded=noting("folded"), complete=noting("complete"))
    with staged_job(tmp_path, {"events": EVENTS["events"][:4]}) as job:
        send_slices(job, steps)
    assert called == [
        *("before 1-3", "folded 1-3", "send", "folded 1-3", "complete 1-3"),
        *("before 4-4", "folded 4-4", "send", "folded 4-4", "complete 4-4"),
    ]


class Overlapping:
    """Begins slices as the pipeline does: their records end when it waits for them. `called` has the steps."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.called: list[str] = []
        self.returned: list[list[str]] = []
        self._fails_at = fails_at

    def begin(self, job: ActiveJob, run: SliceRun) -> Callable[[], None]:
        self.called.append(f"begin {run.first}")
        items = [item for item in read_slice(run) if isinstance(item, Item)]
        for item in items:
            job.engine.stats.tried("track_event_v2", 204, 1.0, retry=False)
            if item.work.sessions:
                facts = job.engine.memory.known(item.work.sessions[0])
                self.returned.append([entry["sku"] for entry in facts.returned])
            job.engine.memory.note(item.work, APPLIED)
        if run.first == self._fails_at:
            raise Interrupted("stopped here")

        def finish() -> None:
            self.called.append(f"finish {run.first}")
            for item in items:
                run.journal.on_end(item.number, APPLIED)

        return finish

    def steps(self) -> SliceSteps:
        return SliceSteps(begin=self.begin, complete=lambda job, part: self.called.append(f"complete {part.first}"))


def test_a_slice_begins_while_the_last_records_of_the_one_before_are_under_way(tmp_path: Path) -> None:
    sending = Overlapping()
    with staged_job(tmp_path, EVENTS) as job:
        send_slices(job, sending.steps())
        assert sending.called == [
            *("begin 1", "begin 4", "finish 1", "complete 1"),
            *("begin 7", "finish 4", "complete 4", "finish 7", "complete 7"),
        ]
        assert set(ends(job).values()) == {"applied"}
        assert staging.get_meta(job.connection, "next") == "8"
        assert all_stats(job.connection).requests == 7, "each request counts once"
        assert list((job.folder.root / "state").glob("journal-*")) == []


def test_slices_that_are_under_way_at_a_stop_keep_what_ended(tmp_path: Path) -> None:
    stopped = Overlapping(fails_at=4)
    with staged_job(tmp_path, EVENTS) as job:
        with pytest.raises(Interrupted):
            send_slices(job, stopped.steps())
        assert all_stats(job.connection).requests == 6
        assert staging.get_meta(job.connection, CUT) is None, "all of them are counted"
        state = job.folder.root / "state"
        assert sorted(path.name for path in state.glob("journal-*")) == [
            "journal-slice-000001.jsonl", "journal-slice-000002.jsonl",
        ]  # fmt: skip
    sent = Sent()
    with staged_job(tmp_path, EVENTS) as job:
        send_slices(job, SliceSteps(send=sent))
        assert sent.items == ["e1", "e2", "e3", "e4", "e5", "e6", "e7"]


@pytest.mark.parametrize("between", [0, 1, 4], ids=["next slice", "same or next", "a slice later"])
def test_items_returned_in_earlier_slices_are_known_once(tmp_path: Path, between: int) -> None:
    records = {
        "orders": [order("o1", 1)],
        "returns": [returned("r1", "o1", 2), returned("r2", "o1", 60), returned("r3", "o1", 61)],
        "events": [event(number) for number in range(3, 3 + between)],
    }
    sending = Overlapping()
    with staged_job(tmp_path, records) as job:
        send_slices(job, sending.steps())
    assert sending.returned == [[], [], ["tea"], ["tea", "tea"]]
