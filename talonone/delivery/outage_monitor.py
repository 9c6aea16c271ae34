"""Ends a run whose API cannot be reached, or has been down for longer than the run may wait."""

import logging

from beam_talonone.talonone.delivery.retry_budget import Circuit
from beam_talonone.talonone.delivery.suspicion import outage, unreached
from beam_talonone.talonone.http.responses import Answer
from beam_talonone.talonone.http.send import BadAddress, TransportFailure
from beam_talonone.talonone.telemetry.logs import say

log = logging.getLogger(__name__)

WARN_AFTER = 5.0
"""Seconds without a success until a pipeline of the user's own logs a warning."""
WARN_EVERY = 30.0
"""Seconds between two such warnings."""


class OutageMonitor:
    """Decides when a run gives up. `give_up_after` is in seconds, None for never; `api` names the API in messages."""

    def __init__(self, api: str, give_up_after: float | None, circuit: Circuit, *, in_code: bool) -> None:
        self._api, self._give_up_after, self._circuit, self._in_code = api, give_up_after, circuit, in_code
        self._down, self._next_warning = 0.0, WARN_AFTER

    def check(self, now: float, answer: Answer) -> None:
        """Raise Unreachable when nothing has succeeded for too long; `answer` is the last failure, `now` the time by
        the loop's clock."""
        down = self._circuit.down_for(now)
        if self._give_up_after is not None and down >= self._give_up_after:
            raise outage(self._api, down, self._give_up_after, answer, in_code=self._in_code)
        if self._in_code:  # a command shows the state of the API itself
            self._warn(down, answer)

    def _warn(self, down: float, answer: Answer) -> None:
        if down < self._down:
            self._next_warning = WARN_AFTER
        self._down = down
        if down >= self._next_warning:
            self._next_warning = down + WARN_EVERY
            limit = "" if self._give_up_after is None else f" up to {self._give_up_after:g} s"
            what = f"no request to {self._api} has succeeded for {down:.0f} s; trying again{limit}"
            say(log, logging.WARNING, what, status=answer.status)

    def check_address(self, failure: TransportFailure) -> None:
        """Raise WrongAddress when an address that was never reached leads nowhere."""
        if isinstance(failure, BadAddress) and self._circuit.last_success is None:
            raise unreached(self._api, failure, in_code=self._in_code)
