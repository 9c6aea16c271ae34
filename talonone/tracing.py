"""OpenTelemetry: a span for each request, if the process collects spans.

OpenTelemetry is imported only once it is in use.
"""

import sys
from collections.abc import Callable
from typing import Any

from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.hooks import Hook, Sent, on_request

_followed: set[int] = set()
"""Ids of the providers that get spans, which live as long as the process."""


def trace_requests(provider: Any = None) -> Callable[[], None]:
    """Make a span of each request of this process, with `provider` or else the global one.

    Returns a function that ends this. Raises ConfigurationError if opentelemetry-api is not installed.

    >>> stop = trace_requests()
    >>> stop()  # no more spans from here on
    """
    try:
        from opentelemetry import trace
    except ImportError:
        raise ConfigurationError("traces need OpenTelemetry: pip install 'beam-talonone[otel]'") from None
    return on_request(_spans(trace.get_tracer("beam_talonone", tracer_provider=provider)))


def follow_provider() -> None:
    """Make spans for the process's tracer provider, if one was set (by `opentelemetry-instrument`, or by hand)."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:  # nobody can have set one
        return
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider) or id(provider) in _followed:
        return
    _followed.add(id(provider))
    trace_requests(provider)


def _spans(tracer: Any) -> Hook:
    from opentelemetry.trace import SpanKind, StatusCode

    def span(sent: Sent) -> None:
        start = round(sent.began * 1e9)
        attributes = _attributes(sent)
        current = tracer.start_span(sent.operation, kind=SpanKind.CLIENT, attributes=attributes, start_time=start)
        if sent.status is None or sent.status >= 400:
            current.set_status(StatusCode.ERROR)
        current.end(end_time=start + round(sent.seconds * 1e9))

    return span


def _attributes(sent: Sent) -> dict[str, str | int]:
    """By the conventions for HTTP clients, and our own."""
    attributes: dict[str, str | int | None] = {
        "http.request.method": sent.method,
        "url.template": OPERATIONS[sent.operation].template,
        "http.response.status_code": sent.status,
        "http.request.resend_count": sent.retries or None,
        "error.type": sent.failure or (str(sent.status) if sent.status and sent.status >= 400 else None),
        "talonone.operation": sent.operation,
        "talonone.kind": sent.kind or None,
        "talonone.id": sent.record,
        "talonone.records": sent.records,
    }
    return {name: value for name, value in attributes.items() if value is not None}
