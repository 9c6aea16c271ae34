"""A clock for waits: it shows the time of the system when the process began, and is never set."""

import time

_WALL, _MONOTONIC = time.time(), time.monotonic()


def steady_time() -> float:
    """Seconds since 1970. A system clock that is set forward or back changes nothing: waits keep their length."""
    return _WALL + (time.monotonic() - _MONOTONIC)
