"""Who wants to know of each request: told after its answer, on the sending thread. Without hooks it costs nothing."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from beam_talonone.talonone.telemetry.logs import say

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that was sent, and what came of it.

    `status` is None where no answer came, `failure` then says of what kind that was. `retries` counts the times it
    had gone before. `began` is in seconds since 1970. `kind` and `record` name the record that it was sent for. Of a
    bulk `record` is None, and `records` counts what it began with. `kind` is empty where it is for no record of ours.

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
    """Call `hook` for each request of this process from now on, until what is returned is called.

    It must be quick, as nothing is sent meanwhile; what it raises is logged and does no harm.

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
    """Whether there is anybody to tell."""
    return bool(_hooks)


def tell(sent: Sent) -> None:
    """Tell all hooks."""
    for hook in _hooks:
        try:
            hook(sent)
        except Exception as error:
            say(log, logging.WARNING, "a hook failed", error=error, operation=sent.operation)
