"""Hooks: functions that are called after the answer to each request, on the sending thread."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from beam_talonone.talonone.telemetry.logs import say

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sent:
    """One try of a request, and its result.

    `status` is None if no answer came; `failure` is then the name of the error. `retries` counts the tries before
    this one. `began` is in seconds since 1970, and `seconds` is the time until the answer. `kind` and `record` name
    the record of the request. For a bulk, `record` is None, and `records` counts the records it began with. `kind` is
    empty for a request without a record, such as a probe.

    >>> sent = Sent("track_event_v2", "POST", 201, None, 0, 1_777_636_800.0, 0.042, "events", "e-1", 1)
    >>> f"{sent.kind} {sent.record}: {sent.status} after {sent.seconds * 1000:.0f} ms"
    'events e-1: 201 after 42 ms'
    """

    operation: str
    method: str
    status: int | None
    failure: str | None
    retries: int
    began: float
    seconds: float
    kind: str
    record: str | None
    records: int


Hook = Callable[[Sent], None]

_hooks: tuple[Hook, ...] = ()


def on_request(hook: Hook) -> Callable[[], None]:
    """Call `hook` for each request of this process from now on. Returns a function that removes the hook.

    The hook must be quick, as nothing is sent meanwhile. Its exceptions are logged and ignored.

    >>> remove = on_request(lambda sent: print(sent.operation, sent.status, sent.seconds))
    >>> remove()  # no more calls from here on
    """
    global _hooks
    _hooks = (*_hooks, hook)

    def remove() -> None:
        global _hooks
        _hooks = tuple(other for other in _hooks if other is not hook)

    return remove


def wanted() -> bool:
    """Whether any hook is registered."""
    return bool(_hooks)


def tell(sent: Sent) -> None:
    """Call all hooks with `sent`."""
    for hook in _hooks:
        try:
            hook(sent)
        except Exception as error:
            say(log, logging.WARNING, "a hook failed", error=error, operation=sent.operation)
