"""What /metrics says of a stream, read back by Prometheus's own parser and held against the simulator's ledger."""

import dataclasses
import re
import time
from pathlib import Path

import pytest
from e2e.harness import event, order, profile, returned, wait_until
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as families
from support.stream_harness import stream

from beam_talonone.pipelines.streaming.health import Signs
from beam_talonone.pipelines.streaming.prometheus import BOUNDS, Sources, StreamMetrics, histogram
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.telemetry.stats import Latencies

WELL = Signs(None, None, None, down_for=0.0, moving=0, quiet_for=0.0, stopping=False)
KINDS = ("orders", "returns", "events")
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"


def metrics_of(one, reads_files=False, **signs):
    seen = dataclasses.replace(WELL, **signs)
    return StreamMetrics(Sources(one.streaming, KINDS, lambda: seen, lambda: 7, lambda: True, reads_files))


def text(metrics):
    return metrics.text("")[0].decode()


def samples(metrics):
    """(name, values of the labels in the order of their names) -> value."""
    found = {}
    for family in families(text(metrics)):
        for sample in family.samples:
            found[(sample.name.removeprefix("talonone_"), *(value for _, value in sorted(sample.labels.items())))] = (
                sample.value
            )
    return found


def test_what_was_sent_and_how_it_ended(api, tmp_path):
    began = time.time()
    with stream(api, tmp_path / "state") as one:
        metrics = metrics_of(one)
        before = samples(metrics)
        one.feed("orders", order("o", "c", "completed", 1))
        one.feed("orders", order("o", "c", "completed", 1))
        one.feed("events", event("e", "c", 2, attributes={"bad": 1}))
        one.poison(b"{no")
        one.settled()
        after = samples(metrics)
        statuses = one.streaming.engine.stats.operations
        assert before[("records_read_total", "orders")] == 0.0
        assert before[("records_ended_total", "applied", "returns")] == 0.0
        assert ("last_end_timestamp_seconds",) not in before
        assert after[("records_read_total", "orders")] == 3.0
        assert after[("records_ended_total", "applied", "orders")] == 1.0
        assert after[("records_ended_total", "duplicate", "orders")] == 1.0
        assert after[("records_ended_total", "dead_lettered", "orders")] == 1.0
        assert after[("dead_letters_total", "orders", "not_json")] == 1.0
        assert after[("dead_letters_total", "events", Reason.UNKNOWN_ATTRIBUTE.value)] == 1.0
        assert after[("requests_total", "update_customer_session_v2", "200")] == 1.0
        assert after[("requests_total", "track_event_v2", "400")] == 1.0
        assert after[("request_retries_total", "track_event_v2")] == 0.0
        assert after[("request_duration_seconds_count", "track_event_v2")] == 1.0
        assert set(statuses) == {"update_customer_session_v2", "track_event_v2"}
        assert after[("records_unaccounted",)] == 0.0
        assert began <= after[("last_end_timestamp_seconds",)] <= time.time()


def test_files_are_counted_in_a_stream_that_reads_them(api, tmp_path):
    with stream(api, tmp_path / "state") as one:
        one.streaming.counters.files.update({"read": 3, "finished": 2, "filtered": 1})
        assert not any(name.startswith("files") for name, *_ in samples(metrics_of(one)))
        found = samples(metrics_of(one, reads_files=True))
        ends = {"finished": 2.0, "filtered": 1.0, "duplicate": 0.0, "dead_lettered": 0.0, "given_back": 0.0}
        assert {name[1]: value for name, value in found.items() if name[0] == "files_ended_total"} == ends
        assert found[("files_read_total",)] == 3.0


def test_what_waits(api, tmp_path):
    with stream(api, tmp_path / "state", settle=30.0) as one:
        one.feed("orders", order("o", "c", "completed", 1))
        wait_until(lambda: one.streaming.sequencer.held == 1, "it is held")
        found = samples(metrics_of(one))
        assert (found[("records_held",)], found[("records_unaccounted",)]) == (1.0, 1.0)
        assert (found[("requests_in_flight",)], found[("requests_pending",)]) == (0.0, 0.0)
        assert (found[("messages_held",)], found[("buffers_full",)]) == (7.0, 1.0)


def test_what_is_under_way_and_what_waits_for_it(api, tmp_path):
    with stream(api, tmp_path / "state", settle=0.0, rate=50.0, concurrency=3) as one:
        api.faults("latency:ms=1500")
        one.feed("orders", order("o", "c", "open", 1))
        wait_until(lambda: one.streaming.engine.in_flight == 1, "one is under way")
        one.feed("orders", order("o", "c", "completed", 2))
        wait_until(lambda: one.streaming.engine.waiting == 2, "the other waits for it")
        found = samples(metrics_of(one))
        assert (found[("requests_in_flight",)], found[("requests_pending",)]) == (1.0, 2.0)
        assert (found[("rate_limit_per_second",)], found[("concurrency_limit",)]) == (50.0, 3.0)
        assert found[("pace_per_second",)] == 50.0
        one.settled()
        assert samples(metrics_of(one))[("requests_in_flight",)] == 0.0


def test_a_refused_key(api, tmp_path):
    with stream(api, tmp_path / "state", settle=0.0, hold_on=lambda why: True) as one:
        assert samples(metrics_of(one))[("key_refused",)] == 0.0
        api.faults("unauthorized")
        one.feed("orders", order("o", "c", "completed", 1))
        wait_until(lambda: one.streaming.engine.refusal is not None, "the key is refused")
        found = samples(metrics_of(one, refusal="the key is refused"))
        assert (found[("key_refused",)], found[("address_wrong",)], found[("healthy",)]) == (1.0, 0.0, 0.0)
        api.faults()
        one.settled()
        assert samples(metrics_of(one))[("key_refused",)] == 0.0


@pytest.mark.parametrize(
    ("signs", "name", "value"),
    [
        ({}, "healthy", 1.0),
        ({"failure": "a defect"}, "healthy", 0.0),
        ({"trouble": "cannot read s"}, "subscription_trouble", 1.0),
        ({}, "subscription_trouble", 0.0),
        ({"down_for": 12.5}, "api_down_seconds", 12.5),
        ({}, "rate_service_up", None),
        ({"rate_service": "rates:8081"}, "rate_service_up", 1.0),
        ({"rate_service": "rates:8081", "rate_outage": (0.5, "UNAVAILABLE")}, "rate_service_up", 0.0),
        ({"rate_service": "rates:8081", "rate_outage": (0.5, "UNAVAILABLE")}, "healthy", 1.0),
        ({"rate_service": "rates:8081", "rate_outage": (9.0, "UNAVAILABLE")}, "healthy", 0.0),
    ],
)
def test_signs(api, tmp_path, signs, name, value):
    with stream(api, tmp_path / "state") as one:
        assert samples(metrics_of(one, **signs)).get((name,)) == value


def test_nothing_of_a_record_is_in_it(api, tmp_path):
    with stream(api, tmp_path / "state") as one:
        one.feed("orders", order("order-of-anna", "anna@example.com", "completed", 1))
        one.feed("profiles", profile("anna@example.com", 2, attributes={"Email": "anna@example.com"}))
        one.feed("returns", returned("return-of-anna", "order-of-anna", 3))
        one.feed("events", event("event-of-anna", "anna@example.com", 4, attributes={"bad": "anna"}))
        one.poison(b'{"order_id": "order-of-anna"}')
        one.settled()
        page = text(metrics_of(one))
        assert "anna" not in page
        assert 'talonone_records_ended_total{end="applied",kind="orders"} 1.0' in page


def test_both_formats_are_well_formed(api, tmp_path):
    with stream(api, tmp_path / "state") as one:
        one.settled(one.feed("orders", order("o", "c", "completed", 1)))
        metrics = metrics_of(one)
        plain, content_type = metrics.text("")
        assert content_type.startswith("text/plain; version=0.0.4")
        opened, open_type = metrics.text("application/openmetrics-text; version=1.0.0")
        assert open_type.startswith("application/openmetrics-text")
        # the process's own figures are read again for each scrape, so one of them differs
        names = {family.name for family in families(plain.decode())}
        assert {family.name for family in openmetrics(opened.decode())} == names
        assert "process_resident_memory_bytes" in names


def test_the_page_lists_what_there_is(api, tmp_path):
    with stream(api, tmp_path / "state") as one:
        one.feed("orders", order("o", "c", "completed", 1))
        one.poison(b"{no")
        one.settled()
        metrics = metrics_of(one, reads_files=True, rate_service="rates:8081")
        kinds = {family.name: family.type for family in metrics.collect()}
        labels = {
            family.name: {label for sample in family.samples for label in sample.labels} - {"le"}
            for family in metrics.collect()
        }
    documented = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if row := re.match(r"\| `(talonone_\w+?)(_total)?` \| (\w+), [^|]+ \| (.*?) \|", line):
            documented[row[1]] = (row[3], bool(row[2]), set(re.findall(r"`(\w+)`", row[4])))
    assert documented == {name: (kind, kind == "counter", labels[name]) for name, kind in kinds.items()}


def test_a_histogram_counts_all_and_grows():
    latencies = Latencies()
    for ms in (0.3, 3.0, 4.0, 90.0, 400.0, 31_000.0):
        latencies.add(ms)
    buckets, total = histogram(latencies)
    assert dict(buckets) == {
        "0.005": 3, "0.01": 3, "0.025": 3, "0.05": 3, "0.1": 4, "0.25": 4, "0.5": 5, "1.0": 5, "2.5": 5, "5.0": 5,
        "10.0": 5, "30.0": 5, "+Inf": 6,
    }  # fmt: skip
    assert len(buckets) == len(BOUNDS) + 1
    assert total == pytest.approx(31.4973, rel=0.022)
