"""What an engine does at one moment, as plain values that any thread may keep."""

from dataclasses import dataclass

from beam_talonone.talonone.delivery.sender import Sender
from beam_talonone.talonone.engine.settings import EngineSettings


@dataclass(frozen=True)
class EngineStatus:
    """The state of an engine. Rates are in requests per second, times in seconds; None means that nothing is wrong.

    >>> status = EngineStatus(rate=100.0, pace=100.0, concurrency=64)
    >>> status.in_flight, status.down_for
    (0, 0.0)
    """

    rate: float
    """The rate that the settings allow."""
    pace: float
    """The rate at which requests may leave now: lower than `rate` after a 429 or 503."""
    concurrency: int
    give_up_after: float | None = None
    """None also while the failing requests may all be poisoned records."""
    in_flight: int = 0
    """Requests under way, of at most `concurrency`."""
    waiting: int = 0
    """Requests of records that have not ended, those in flight included."""
    requests: int = 0
    """Requests that were answered or failed, retries included."""
    retries: int = 0
    retries_waiting: int = 0
    """Requests that failed and wait before their next try."""
    next_retry_in: float = 0.0
    """The time until the first of them is tried again."""
    answered: bool = False
    """True once the API has answered a request other than with a passing failure."""
    paused_for: float = 0.0
    """The time until the end of a pause that the API asked for with `Retry-After`."""
    slowed_by: int | None = None
    """The status of the last answer that lowered the pace."""
    down_for: float = 0.0
    """The time since the first failure after the last success."""
    failed_with: int | None = None
    """The status of the last failed request, None if no answer came."""
    failure: str = ""
    """The message of the last failed request."""
    suspected: int | None = None
    """The status, 401 or 403 or a redirect, of a refusal that may be about the key or the address."""
    refusal: str | None = None
    """Why the engine holds all requests back: the API refuses the key, or the address is wrong."""
    rate_service: str | None = None
    """The service that shares the rate, as messages name it."""
    rate_service_down_for: float = 0.0
    rate_service_failure: str = ""
    ending: BaseException | None = None
    """Why the engine starts nothing more, or has ended."""


def status_of(
    settings: EngineSettings, sender: Sender, now: float, *, pace: float, waiting: int, ending: BaseException | None
) -> EngineStatus:
    """The status of the engine with this sender; `now` is the time of its loop."""
    circuit, permits, stats = sender.circuit, sender.permits, sender.stats
    shared, failed, refusal = permits.shared, sender.last_failure, sender.gate.refusal
    return EngineStatus(
        settings.rate, pace, settings.concurrency, None if circuit.few else settings.give_up_after,
        in_flight=permits.in_flight, waiting=waiting, requests=stats.requests, retries=stats.retries,
        retries_waiting=len(sender.next_tries), next_retry_in=sender.next_retry_in(now),
        answered=circuit.last_success is not None, down_for=circuit.down_for(now), slowed_by=sender.slowed_by,
        paused_for=max(0.0, sender.pacer.held_until - now),
        failed_with=None if failed is None else failed.status, failure="" if failed is None else failed.message,
        suspected=sender.gate.suspected, refusal=None if refusal is None else str(refusal),
        rate_service=None if shared is None else shared.name, ending=ending,
        rate_service_down_for=0.0 if shared is None else shared.down_for(now),
        rate_service_failure="" if shared is None else shared.down_because,
    )  # fmt: skip
