"""A span for each request, for OpenTelemetry's own exporter; and nothing at all where nobody collects spans."""

import subprocess
import sys

import pytest
from e2e.harness import event, order, profile
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from support.stream_harness import stream

from beam_talonone.talonone import hooks, tracing
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.hooks import on_request
from beam_talonone.talonone.tracing import follow_provider, trace_requests


@pytest.fixture(autouse=True)
def no_hooks_left():
    assert not hooks.wanted()
    yield
    assert not hooks.wanted()


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter):
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made


@pytest.fixture
def spans(provider, exporter):
    remove = trace_requests(provider)
    yield exporter
    remove()


def test_a_request_is_a_span(api, tmp_path, spans):
    with stream(api, tmp_path / "state") as one:
        one.settled(one.feed("orders", order("o/1", "anna@example.com", "completed", 1)))
    [span] = spans.get_finished_spans()
    assert (span.name, span.kind, span.status.status_code) == (
        "update_customer_session_v2", SpanKind.CLIENT, StatusCode.UNSET,
    )  # fmt: skip
    assert dict(span.attributes) == {
        "http.request.method": "PUT", "url.template": "/v2/customer_sessions/{customerSessionId}",
        "http.response.status_code": 200, "talonone.operation": "update_customer_session_v2",
        "talonone.kind": "orders", "talonone.id": "o/1", "talonone.records": 1,
    }  # fmt: skip
    [row] = api.rows("requests")
    assert (span.end_time - span.start_time) / 1e9 >= float(row["answered"] - row["arrived"])


def test_each_retry_is_a_span_of_its_own(api, tmp_path, spans):
    api.faults("5xx:status=503,to-request=1", "cut-before:from-request=2,to-request=2")
    with stream(api, tmp_path / "state") as one:
        one.settled(one.feed("events", event("e", "c", 1)))
    attempts = [
        (s.attributes.get("http.response.status_code"), s.attributes.get("http.request.resend_count"),
         s.attributes.get("error.type"), s.status.status_code)
        for s in spans.get_finished_spans()
    ]  # fmt: skip
    assert attempts[:2] == [(503, None, "503", StatusCode.ERROR), (None, 1, "Broken", StatusCode.ERROR)]
    assert [one[1:] for one in attempts[2:]] == [(2, None, StatusCode.UNSET)]


def test_a_refused_record(api, tmp_path, spans):
    with stream(api, tmp_path / "state") as one:
        one.settled(one.feed("events", event("e", "c", 1, attributes={"bad": "anna@example.com"})))
    [span] = spans.get_finished_spans()
    assert (span.attributes["error.type"], span.status.status_code) == ("400", StatusCode.ERROR)
    assert "anna" not in span.to_json()


def test_a_bulk_names_no_record(api, tmp_path, spans):
    with stream(api, tmp_path / "state", bulk_age=0.5) as one:
        for number in range(3):
            one.feed("profiles", profile(f"c{number}", 1, attributes={"Name": "n"}))
        one.settled()
    [span] = spans.get_finished_spans()
    assert (span.attributes["talonone.kind"], span.attributes["talonone.records"]) == ("profiles", 3)
    assert "talonone.id" not in span.attributes


def test_a_provider_that_was_set_is_followed_once(api, tmp_path, provider, exporter, monkeypatch):
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(tracing, "_followed", set())
    monkeypatch.setattr(hooks, "_hooks", ())
    for folder in ("one", "two"):
        with stream(api, tmp_path / folder) as one:
            one.settled(one.feed("orders", order(folder, "c", "completed", 1)))
    assert [span.attributes["talonone.id"] for span in exporter.get_finished_spans()] == ["one", "two"]
    monkeypatch.undo()


def test_without_a_provider_nothing_is_made(monkeypatch):
    monkeypatch.setattr(trace, "get_tracer_provider", trace.ProxyTracerProvider)
    follow_provider()
    monkeypatch.setattr(trace, "get_tracer_provider", trace.NoOpTracerProvider)
    follow_provider()
    assert not hooks.wanted()


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "opentelemetry.trace", raising=False)
    follow_provider()
    with pytest.raises(ConfigurationError, match=r"pip install 'beam-talonone\[otel\]'"):
        trace_requests()


def test_sending_imports_nothing_of_it():
    code = (
        "import sys; from beam_talonone.talonone.engine.engine import Engine, EngineSettings;"
        "Engine(EngineSettings('http://localhost:1'), 'key').close(); print('opentelemetry' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout == "False\n"


def test_a_hook_that_fails_harms_nothing(api, tmp_path, caplog):
    seen = []

    def broken(sent):
        seen.append(sent)
        raise ValueError("anna@example.com")

    removes = [on_request(broken), on_request(seen.append)]
    try:
        with stream(api, tmp_path / "state") as one:
            one.settled(one.feed("orders", order("o", "c", "completed", 1)))
    finally:
        for remove in removes:
            remove()
    assert len(seen) == 2
    assert seen[0] is seen[1]
    assert (seen[0].kind, seen[0].record, seen[0].retries, seen[0].status) == ("orders", "o", 0, 200)
    assert [record.json_fields["error"] for record in caplog.records] == ["ValueError"]
    assert "anna" not in caplog.text
