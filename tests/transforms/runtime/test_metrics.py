"""The metrics in Beam, compared with the requests to the API and the output, on the in-process runner."""

import threading
from collections import Counter
from contextlib import contextmanager

import apache_beam as beam
import pytest
from apache_beam.io.components.adaptive_throttler import ThrottlingSignaler
from apache_beam.metrics.execution import MetricsContainer
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.worker import statesampler
from apache_beam.utils.counters import CounterFactory
from e2e.harness import KEY, event, order, profile, returned
from support.keyed_harness import RULES, Message, config_of, engine_closed, received

from beam_talonone import LookupTalonOne, WriteToTalonOne
from beam_talonone.schemas.kinds import KINDS
from beam_talonone.schemas.reasons import Reason, Skip, Stage
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.streaming.counters import StreamCounters
from beam_talonone.talonone.telemetry.stats import Stats
from beam_talonone.transforms.messages.options import MessageOptions
from beam_talonone.transforms.runtime.engines import DEFAULT_KEY_ENV, engine_config, engine_for
from beam_talonone.transforms.runtime.metrics import (
    NAMESPACE,
    THROTTLED,
    count_outcome,
    count_read,
    count_records,
    count_requests,
)
from beam_talonone.transforms.sink.keyed import SendInOrder
from beam_talonone.transforms.sources.messages import PrepareMessages

SESSION, EVENT = "update_customer_session_v2", "track_event_v2"


@pytest.fixture
def api(api, monkeypatch):
    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    return api


def metrics_of(result):
    """(counters, distributions) of the namespace, summed over steps."""
    found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))
    counters = Counter()
    for one in found["counters"]:
        counters[one.key.metric.name] += one.committed
    distributions = {}
    for one in found["distributions"]:
        distributions.setdefault(one.key.metric.name, []).append(one.committed)
    return +counters, distributions


def statuses_of(api):
    return Counter((row["operation"], row["status"]) for row in api.rows("requests"))


def run(build):
    pipeline = beam.Pipeline(runner=FnApiRunner())
    build(pipeline)
    result = pipeline.run()
    result.wait_until_finish()
    return metrics_of(result)


def kinds_of(counters, kind):
    return {name.removeprefix(f"{kind}_"): count for name, count in counters.items() if name.startswith(f"{kind}_")}


def test_all_of_the_report_and_each_request_once_though_two_steps_share_an_engine(api):
    orders = [order(f"o{number}", f"c{number}", "completed", 1) for number in range(20)]
    orders += [orders[0], {"order_id": "no customer"}, {**order("o2x", "c", "cancelled", 1), "colour": "red"}]
    events = [
        event(f"e{number}", f"c{number}", 2, attributes={"bad": 1} if number == 3 else {}) for number in range(9)
    ]

    def build(pipeline):
        for kind, records in (("orders", orders), ("events", events)):
            made = pipeline | f"make {kind}" >> beam.Create(records)
            _ = made | WriteToTalonOne(kind, base_url=api.url, rate=2000)

    counters, distributions = run(build)
    assert kinds_of(counters, "orders") == {
        "read": 23, "mapped": 22, "invalid": 1, "applied": 20, "duplicate": 1, "skipped": 1,
        "skipped_nothing_to_cancel": 1, "dead_lettered": 1, "dead_lettered_missing_field": 1, "unknown_fields": 1,
    }  # fmt: skip
    assert kinds_of(counters, "events") == {
        "read": 9, "mapped": 9, "applied": 8, "dead_lettered": 1, "dead_lettered_unknown_attribute": 1,
    }  # fmt: skip
    seen = statuses_of(api)
    assert counters["requests"] == sum(seen.values())
    assert counters["retries"] == 0
    for (operation, status), count in seen.items():
        assert counters[f"{operation}_status_{status}"] == count
    assert counters[f"{SESSION}_requests"] == sum(count for (name, _), count in seen.items() if name == SESSION)
    assert sum(one.count for one in distributions["latency_ms"]) == counters["requests"]
    assert sum(one.count for one in distributions[f"{EVENT}_latency_ms"]) == counters[f"{EVENT}_requests"]


def test_retries_are_told(api):
    api.faults("5xx:status=503,to-request=2")

    def build(pipeline):
        _ = pipeline | beam.Create([order("o", "c", "completed", 1)]) | WriteToTalonOne("orders", base_url=api.url)

    counters, distributions = run(build)
    assert (counters["requests"], counters["retries"], counters["status_503"]) == (3, 2, 2)
    assert counters[f"{SESSION}_retries"] == 2
    assert sum(one.count for one in distributions["latency_ms"]) == 3


def test_throttled_time_has_the_name_that_the_autoscaler_looks_for(api):
    assert ThrottlingSignaler("any").throttling_metric.metric_name.name == THROTTLED
    events = [event(f"e{number}", f"c{number}") for number in range(40)]

    def build(pipeline):
        _ = pipeline | beam.Create(events) | WriteToTalonOne("events", base_url=api.url, rate=10)

    counters, _ = run(build)
    engine = engine_for(engine_config(api.url, DEFAULT_KEY_ENV, 10, 64, 300.0))
    assert counters[THROTTLED] == int(engine.throttled) > 0  # 39 gaps of 0.1 s


def test_a_lookup(api):
    api.put_session("o1")

    def build(pipeline):
        lookups = [{"path": {"customerSessionId": name}} for name in ("o1", "o2")] + ["no lookup"]
        _ = pipeline | beam.Create(lookups) | LookupTalonOne("get_customer_session", base_url=api.url)

    counters, _ = run(build)
    assert kinds_of(counters, "lookups") == {
        "read": 3, "mapped": 2, "invalid": 1, "applied": 2, "dead_lettered": 1, "dead_lettered_bad_row": 1,
    }  # fmt: skip
    assert counters["get_customer_session_requests"] == counters["requests"] == 2


def test_the_keyed_graph(api):
    messages = [
        Message("orders", order("o", "c", "completed", 1)),
        Message("orders", order("o", "c", "completed", 1), 1.0),
        Message("returns", returned("r", "o", 2), 2.0),
        Message("profiles", profile("c", 3, attributes={"Name": "n"}), 3.0),
        Message("orders", b"{no", 4.0),
    ]
    with engine_closed(config_of(api.url)) as config:

        def build(pipeline):
            prepare = PrepareMessages(MessageOptions({kind: kind for kind in KINDS}, BuildOptions()))
            send = SendInOrder(config, SendOptions(look_first=True), RULES, "job")
            arrived = [received(number, message) for number, message in enumerate(messages)]
            timed = beam.Map(lambda one: beam.window.TimestampedValue(one, one.publish_time))
            _ = pipeline | beam.Create(arrived, reshuffle=False) | timed | beam.ParDo(prepare) | send

        counters, _ = run(build)
    assert kinds_of(counters, "orders") == {
        "read": 3, "mapped": 2, "invalid": 1, "applied": 1, "duplicate": 1, "dead_lettered": 1,
        "dead_lettered_not_json": 1,
    }  # fmt: skip
    assert kinds_of(counters, "returns") == {"read": 1, "mapped": 1, "applied": 1}
    assert kinds_of(counters, "profiles") == {"read": 1, "mapped": 1, "applied": 1}
    assert counters["requests"] == sum(statuses_of(api).values())


class FakeEngine:
    """An engine as far as the counting looks at it."""

    def __init__(self):
        self.stats = Stats()
        self.throttled = 0.0


@contextmanager
def bundle():
    """A bundle's container of metrics, for the thread under way."""
    container = MetricsContainer("step")
    tracker = statesampler.StateSampler("", CounterFactory())
    statesampler.set_current_tracker(tracker)
    try:
        with tracker.scoped_state("step", "state", metrics_container=container):
            yield container
    finally:
        statesampler.set_current_tracker(None)


def counters_of(container):
    return Counter({key.metric.name: value for key, value in container.get_cumulative().counters.items() if value})


def test_threads_that_share_an_engine_tell_each_request_once():
    engine, containers, go_on = FakeEngine(), [], threading.Event()

    def tell():
        with bundle() as container:
            containers.append(container)
            while not go_on.is_set():
                count_requests(engine)
            count_requests(engine)

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(3000):
        engine.stats.tried(EVENT, 429 if number % 3 == 0 else 204, 1.0 + number % 50, retry=number % 3 == 0)
        engine.throttled += 0.001
    go_on.set()
    for thread in threads:
        thread.join()
    counters = sum((counters_of(container) for container in containers), Counter())
    assert counters["requests"] == counters[f"{EVENT}_requests"] == 3000
    assert (counters["retries"], counters["status_429"], counters[f"{EVENT}_status_204"]) == (1000, 1000, 2000)
    assert counters[THROTTLED] == int(engine.throttled)
    latencies = [
        value
        for container in containers
        for key, value in container.get_cumulative().distributions.items()
        if key.metric.name == "latency_ms"
    ]
    assert sum(one.count for one in latencies) == 3000
    assert sum(one.sum for one in latencies) == pytest.approx(sum(1.0 + n % 50 for n in range(3000)), rel=0.05)


def test_outside_of_a_bundle_nothing_is_told_and_nothing_lost():
    engine = FakeEngine()
    engine.stats.tried(EVENT, 204, 1.0, retry=False)
    count_requests(engine)
    with bundle() as container:
        count_requests(engine)
    assert counters_of(container)["requests"] == 1


def test_a_bundle_that_goes_on_tells_now_and_then():
    engine = FakeEngine()
    with bundle() as container:
        for _ in range(5):
            engine.stats.tried(EVENT, 204, 1.0, retry=False)
            count_requests(engine, every=3600.0)
        assert counters_of(container)["requests"] == 1
        count_requests(engine)
        assert counters_of(container)["requests"] == 5


@pytest.mark.parametrize(
    ("outcome", "counted"),
    [
        (Outcome(End.APPLIED), {"applied", "mapped"}),
        (Outcome(End.ALREADY_APPLIED), {"applied", "mapped"}),
        (Outcome(End.FILTERED), {"filtered"}),
        (Outcome(End.SUPERSEDED), {"superseded", "mapped"}),
        (Outcome(End.DUPLICATE), {"duplicate", "mapped"}),
        (Outcome(End.SKIPPED, Skip.NOTHING_TO_CANCEL.value), {"skipped", "skipped_nothing_to_cancel", "mapped"}),
        (Outcome(End.DEAD, Reason.REFUSED.value), {"dead_lettered", "dead_lettered_refused", "mapped"}),
        (
            Outcome(End.DEAD, Reason.ID_REUSED.value, stage=Stage.VALIDATE),
            {"dead_lettered", "dead_lettered_id_reused", "invalid"},
        ),
    ],
)
def test_how_an_outcome_counts(outcome, counted):
    with bundle() as container:
        count_read("orders", 2)
        count_outcome("orders", outcome)
    assert counters_of(container) == {
        **{f"orders_{name}": 1 for name in {*counted, "read"}}, "orders_unknown_fields": 2,
    }  # fmt: skip


def test_records_that_ended_alike_count_at_once():
    with bundle() as container:
        count_outcome("profiles", Outcome(End.SKIPPED, Skip.NOT_DRY.value), 3)
    assert counters_of(container) == {
        f"profiles_{name}": 3 for name in ("skipped", "skipped_not_dry", "mapped")
    }  # fmt: skip


def test_the_account_of_a_stream():
    engine, counters = FakeEngine(), StreamCounters()
    with bundle() as first:
        counters.read("orders")
        counters.read("orders")
        counters.ended("orders", Outcome(End.APPLIED))
        count_records(engine, counters)
    with bundle() as second:
        counters.ended("orders", Outcome(End.DEAD, "refused"))
        counters.unknown["orders"] += 3
        count_records(engine, counters)
        count_records(engine, counters)
    assert counters_of(first) == {"orders_read": 2, "orders_applied": 1}
    assert counters_of(second) == {
        "orders_dead_lettered": 1, "orders_dead_lettered_refused": 1, "orders_unknown_fields": 3,
    }  # fmt: skip
