"""What an engine does at one moment, as plain values that any thread may keep."""

from dataclasses import dataclass


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
