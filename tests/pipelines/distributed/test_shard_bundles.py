"""A shard sent in several bundles, as a runner does it: on the same worker or another, and again after a loss.

The steps are called directly, with Beam's own tracker around the restriction. The simulator is real.
"""

import base64
import json
from dataclasses import replace
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from e2e.harness import KEY, order, profile, returned

from beam_talonone.pipelines.backfill.options import InputOptions, SendingOptions
from beam_talonone.pipelines.backfill.sending import reading_process, slices
from beam_talonone.pipelines.backfill.sending.journal import read_journal
from beam_talonone.pipelines.distributed import pipeline as steps
from beam_talonone.pipelines.distributed import shard_copies
from beam_talonone.pipelines.distributed.graph_options import GraphOptions
from beam_talonone.pipelines.distributed.journal_copies.journal_backup import JournalBackup
from beam_talonone.pipelines.distributed.output_claim import claim, taken
from beam_talonone.pipelines.distributed.pipeline import SaveShard, SendShard, WriteReport
from beam_talonone.pipelines.distributed.place import Place
from beam_talonone.pipelines.distributed.shard_copies import SHARD_COPIES, STAGED, ShardCopies
from beam_talonone.pipelines.distributed.shard_restriction import ahead_of, all_of, requests_of
from beam_talonone.pipelines.distributed.shares import Shares
from beam_talonone.pipelines.distributed.submit import run_remote
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.transforms.runtime.engines import make_engine
from beam_talonone.transforms.runtime.process_registry import PROCESS

ORDERS, CUSTOMERS, A_BUNDLE = 60, 7, 25
PORTION = 5
TOTAL = 2 * ORDERS + ORDERS // 10


class Worker:
    """A worker process, with disk and memory of its own. It runs bundles of the shard 0 of `options`."""

    def __init__(self, options, send_bundle):
        self.options, self.copies, self.send_bundle = options, ShardCopies(), send_bundle

    def stage(self, rows):
        return self._within(lambda: list(SaveShard(self.options).process((0, rows))))

    def send(self, element, rest, sender=None, **more):
        """One bundle; returns its reports, and what it defers."""
        made = sender or SendShard(self.options, **more)
        return self._within(lambda: self.send_bundle(made, element, rest, begin=sender is None))

    def _within(self, action):
        with PROCESS.scope() as scope:
            scope.enter(SHARD_COPIES, self.options.output, self.copies)
            try:
                return action()
            finally:
                scope.entries.clear()  # the worker goes on

    def end(self):
        self.copies.close()


@pytest.fixture
def workers(send_bundle):
    """Returns a function that makes workers; all end with the test."""
    made = []

    def make(options):
        made.append(Worker(options, send_bundle))
        return made[-1]

    yield make
    for worker in made:
        worker.end()


@pytest.fixture
def options(api, tmp_path, monkeypatch):
    """A job of one shard, that was started: orders in two versions, and some returns."""
    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    monkeypatch.setattr(slices, "SLICE", 40)
    records = {"orders": [], "returns": []}
    for number in range(ORDERS):
        customer = f"c{number % CUSTOMERS}"
        records["orders"] += [order(f"o{number}", customer, "open", 1), order(f"o{number}", customer, "completed", 2)]
        if number % 10 == 0:
            records["returns"].append(returned(f"r{number}", f"o{number}", 3))
    records["orders"].append("no json")
    globs = {}
    for kind, found in records.items():
        globs[kind] = str(tmp_path / f"{kind}.jsonl")
        lines = (record if isinstance(record, str) else json.dumps(record) for record in found)
        (tmp_path / f"{kind}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    made = GraphOptions(
        InputOptions(globs), SendingOptions(api.url, rate=3000.0), str(tmp_path / "out"), bundle_records=A_BUNDLE
    )
    place = Place(made.output)
    with taken(place):
        assert claim(place, made)
    return made


@pytest.fixture
def rows(options, tmp_path):
    path = tmp_path / "rows"

    def note(keyed):
        with path.open("ab") as file:
            file.write(base64.b64encode(keyed[1]) + b"\n")

    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        for kind in options.input.globs:
            _ = steps._read(pipeline, kind, options) | f"Note {kind}" >> beam.Map(note)
    return [base64.b64decode(line) for line in path.read_bytes().splitlines()]


def assert_sent_once_and_in_order(api):
    assert len(api.acted()) == TOTAL
    for number in range(ORDERS):
        states = [row["body"]["customerSession"]["state"] for row in api.acted("update_customer_session_v2",
                                                                               session=f"o{number}")]  # fmt: skip
        assert states == ["open", "closed"]
    assert len(api.acted("return_cart_items")) == ORDERS // 10


@pytest.mark.parametrize("moving", [False, True], ids=["on one worker", "each time on another worker"])
def test_a_shard_is_sent_in_bundles_that_each_leave_the_rest(api, options, rows, workers, moving):
    worker = workers(options)
    [element] = worker.stage(rows)
    assert element == (0, TOTAL)
    rest, reports, places = all_of(TOTAL), [], []
    while rest is not None:
        places.append(rest[0])
        worker = workers(options) if moving else worker
        reports, rest = worker.send(element, rest)
        assert len(api.rows("requests")) == len(api.acted()) == min(TOTAL, len(places) * A_BUNDLE)
    assert places == list(range(1, TOTAL + 1, A_BUNDLE))
    assert_sent_once_and_in_order(api)
    list(WriteReport(options).process(("report", [data for _, data in reports])))
    report = json.loads(Place(options.output).read("report.json"))
    assert report["unaccounted"] == 0
    assert report["kinds"]["orders"]["applied"] == 2 * ORDERS
    assert report["reasons"]["orders"] == {"not_json": 1}
    assert report["operations"]["update_customer_session_v2"]["requests"] == 2 * ORDERS


def test_a_bundle_that_is_tried_again_sends_nothing_twice(api, options, rows, workers):
    """Its outputs were lost with the worker, after it had sent: the runner begins at the same place."""
    [element] = workers(options).stage(rows)
    rest, sent = all_of(TOTAL), []
    while rest is not None:
        workers(options).send(element, rest)
        reports, rest = workers(options).send(element, rest)
        sent.append(len(api.acted()))
    assert len(sent) == 3, "both attempts get on"
    assert_sent_once_and_in_order(api)
    assert len(reports) == 1
    assert len(api.rows("requests")) == TOTAL, "nothing had to be asked for"


def test_a_worker_that_is_lost_costs_what_it_had_let_go(api, options, rows, workers, monkeypatch):
    [element] = workers(options).stage(rows)
    _, rest = workers(options).send(element, all_of(TOTAL))
    lost = workers(options)
    monkeypatch.setattr(
        "beam_talonone.pipelines.distributed.journal_copies.journal_backup.JournalBackup.ended", lambda *_: None
    )
    monkeypatch.setattr(
        "beam_talonone.pipelines.distributed.journal_copies.journal_backup.JournalBackup._copy", lambda self: None
    )
    lost.send(element, rest)
    monkeypatch.undo()
    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    monkeypatch.setattr(slices, "SLICE", 40)
    before = len(api.acted())
    while rest is not None:
        _, rest = workers(options).send(element, rest)
    assert before >= 2 * A_BUNDLE - 10, "the lost one had sent"
    assert_sent_once_and_in_order(api)


def a_little_at_a_time(options, requests):
    """The job, letting go of so many requests at a time. Only its fake clock could end a bundle."""
    made = replace(options, bundle_seconds=8 * requests / options.sending.rate)
    assert round(ahead_of(made.bundle_seconds) * made.sending.rate) == requests
    return made


def numbers_let_go_and_copied(options, folder):
    """The records that were let go, and those whose outcomes are beside the output: what a new worker finds."""
    backup = JournalBackup(Place(Place(options.output).path("state", "shard-0000")))
    try:
        found = backup.fetch(lambda name: folder / name)
    finally:
        backup.close()
    last = max(number for entries in found.values() for number, _ in entries)
    return set(range(1, last + 1)), {number for path in folder.iterdir() for number in read_journal(path).done}


@pytest.mark.parametrize("bundles", [0, 1, 2, 3])
def test_a_lost_worker_repeats_at_most_what_was_let_go_and_not_copied(
    api, options, rows, workers, monkeypatch, tmp_path, bundles
):
    options, still = a_little_at_a_time(options, PORTION), {"clock": lambda: 0.0}
    [element] = workers(options).stage(rows)
    rest = all_of(TOTAL)
    for _ in range(bundles):
        _, rest = workers(options).send(element, rest, **still)
    before = len(api.acted())
    with (
        monkeypatch.context() as lost
    ):  # its journal is copied when it lets go, and what it writes after that is lost
        copy, let_go = JournalBackup._copy, JournalBackup.let_go
        lost.setattr(JournalBackup, "let_go", lambda self, *portion: (copy(self), let_go(self, *portion)))
        lost.setattr(JournalBackup, "_copy", lambda self: None)
        lost.setattr(JournalBackup, "ended", lambda *_: None)
        workers(options).send(element, rest, **still)
    assert len(api.acted()) > before, "it has sent"
    (tmp_path / "copied").mkdir()
    let_go_numbers, copied = numbers_let_go_and_copied(options, tmp_path / "copied")
    uncertain = let_go_numbers - copied
    assert len(let_go_numbers) <= len(api.acted()) + 2 * PORTION, "one portion under way, and one let go"
    while rest is not None:
        _, rest = workers(options).send(element, rest, **still)
    assert_sent_once_and_in_order(api)
    # a return looks up its order where that was found applied
    looked_up = sum(number % 10 == 0 for number in {(number - 1) % ORDERS for number in uncertain})
    assert len(uncertain) <= 3 * PORTION, "and one that ended after the last copy"
    assert 0 < len(api.rows("requests")) - TOTAL <= len(uncertain) + looked_up


def test_a_bundle_that_is_tried_again_reads_at_most_a_slice_again(api, options, rows, workers, monkeypatch):
    [element] = workers(options).stage(rows)
    rest, read, slice_rows = all_of(TOTAL), [], reading_process.slice_rows

    def counted(*given):
        for row in slice_rows(*given):
            read.append(row[0])
            yield row

    monkeypatch.setattr(reading_process, "slice_rows", counted)
    while rest is not None:
        place = rest[0]
        workers(options).send(element, rest)
        read.clear()
        _, rest = workers(options).send(element, rest)
        again = [number for number in read if number < place + A_BUNDLE]
        assert len(again) <= slices.SLICE, f"the bundle at {place} has read {len(again)} records that have outcomes"


def test_time_ends_a_bundle_too(api, options, rows, workers):
    """A second of the fake clock goes by with each look at it."""
    options = replace(options, bundle_records=1_000_000, bundle_seconds=40.0)
    now = iter(range(1_000_000))
    [element] = workers(options).stage(rows)
    _, rest = workers(options).send(element, all_of(TOTAL), clock=lambda: float(next(now)))
    assert rest == (31, TOTAL + 2)
    assert len(api.acted()) == 30


def test_a_bundle_of_a_small_share_ends_in_time(api, options, rows, workers):
    """It hands over only what it can send: the records of a slice would take six seconds. The clock is the real one,
    and the budget a second."""
    sending = replace(options.sending, rate=20.0)
    options = replace(options, sending=sending, bundle_records=1_000_000, bundle_seconds=1.0)
    [element] = workers(options).stage(rows)
    before = api.rows("requests")
    _, rest = workers(options).send(element, all_of(TOTAL))
    assert before == []
    assert 1 <= len(api.acted()) <= 25, "twenty a second"
    assert rest == (len(api.acted()) + 1, TOTAL + 2)


def test_a_share_that_has_changed_keeps_the_engine_and_its_connections(api, options, rows, workers, monkeypatch):
    worker, made = workers(options), []
    monkeypatch.setattr(shard_copies, "make_engine", lambda config: made.append(make_engine(config)) or made[-1])
    [element] = worker.stage(rows)
    shares = Shares(options.output)
    shares.staged(1)  # another shard
    _, rest = worker.send(element, all_of(TOTAL))
    assert [engine.settings.rate for engine in made] == [1500.0]
    shares.ended(1)
    _, rest = worker.send(element, rest)
    assert [engine.settings.rate for engine in made] == [3000.0], "the same one"
    assert made[0].pace == 3000.0
    worker.options = replace(options, sending=replace(options.sending, concurrency=3))
    worker.send(element, rest)
    assert [engine.settings.concurrency for engine in made] == [64, 3], "another setting needs another one"
    assert len(api.acted()) == 3 * A_BUNDLE


def test_bulks_are_counted_as_requests():
    """A thousand profiles are one request: small shares still fill their bulks."""
    profiles = [profile("c", 1, {"a": 1}), profile("c", 1, {"a": 1}, audiences={"add": [1]})]
    records = [("profiles", profiles[0]), ("profiles", profiles[1]), ("orders", order("o", "c"))]
    works = [build(kind, parse(kind, record).record, BuildOptions()) for kind, record in records]
    assert [requests_of(work) for work in works] == [1, 2, 1000]


def test_shards_of_one_bundle_share_its_budget(api, options, rows, workers):
    worker = workers(options)
    [element] = worker.stage(rows)
    sender = SendShard(options)
    _, first = worker.send(element, all_of(TOTAL), sender)
    _, second = worker.send(element, first, sender)
    assert first == second == (A_BUNDLE + 1, TOTAL + 2), "deferred as it came"


def test_records_are_beside_the_output_while_the_job_needs_them(api, options, rows, workers):
    worker = workers(options)
    [element] = worker.stage(rows)
    state = Place(Place(options.output).path("state", "shard-0000"))
    assert state.has(STAGED)
    (rest, reports) = (all_of(TOTAL), [])
    while rest is not None:
        reports, rest = worker.send(element, rest)
    assert state.has(STAGED), "the bundle may be tried again"
    list(WriteReport(options).process(("report", [data for _, data in reports])))
    assert not state.has(STAGED)


def test_no_finished_job_keeps_staged_records(api, options, rows, workers, monkeypatch):
    worker = workers(options)
    [element] = worker.stage(rows)
    rest, reports = all_of(TOTAL), []
    while rest is not None:
        reports, rest = worker.send(element, rest)
    state, write = Place(Place(options.output).path("state", "shard-0000")), Place.write
    found = ("report", [data for _, data in reports])

    def killed(place, data, *names):
        if names == ("report.json",):
            raise OSError("killed")
        write(place, data, *names)

    monkeypatch.setattr(Place, "write", killed)
    with pytest.raises(OSError, match="killed"):
        list(WriteReport(options).process(found))
    assert not state.has(STAGED), "or it would stay: a job with a report is not resumed"
    monkeypatch.setattr(Place, "write", write)
    list(WriteReport(options).process(found))
    worker.stage(rows)  # by an attempt that comes late
    assert state.has(STAGED)
    said = []
    run_remote(replace(options, resume=True), said.append)
    assert f"the job in {options.output} is finished: nothing was changed" in said
    assert not state.has(STAGED)


def test_staged_records_that_are_gone_or_damaged_are_named(api, options, rows, workers):
    [element] = workers(options).stage(rows)
    path = Path(options.output) / "state" / "shard-0000" / STAGED
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(StopRun, match=f"{path} is damaged .*; --resume stages the records again"):
        workers(options).send(element, all_of(TOTAL))
    path.write_bytes(b"no gzip")
    with pytest.raises(StopRun, match=f"{path} is damaged .*; --resume stages the records again"):
        workers(options).send(element, all_of(TOTAL))
    path.unlink()
    with pytest.raises(StopRun, match=f"{path} is missing; --resume stages the records again"):
        workers(options).send(element, all_of(TOTAL))
    assert api.rows("requests") == []
    workers(options).stage(rows)
    workers(options).send(element, all_of(TOTAL))
    assert len(api.acted()) == A_BUNDLE


def test_a_worker_keeps_a_few_copies_and_removes_the_others(options, rows, workers):
    worker = workers(options)
    for shard in range(6):
        worker._within(lambda shard=shard: list(SaveShard(options).process((shard, rows))))
    kept = [worker.copies.take(shard) for shard in range(6)]
    assert [copy is not None for copy in kept] == [False, False, True, True, True, True]
    for copy in kept[2:]:
        folder = copy.folder.root.parent
        assert folder.exists()
        copy.close()
        assert not folder.exists()
