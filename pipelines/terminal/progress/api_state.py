"""The state of the API as a run meets it: a code for programs, and a few words for a person. Pure."""

from dataclasses import dataclass

from beam_talonone.pipelines.terminal.words import counted, per_second
from beam_talonone.talonone.engine.status import EngineStatus
from beam_talonone.talonone.errors import Interrupted, KeyRefused, StopRun, Unreachable, WrongAddress

DOWN_AFTER = 0.7
"""Seconds without a success after which failures are shown: a single failure is retried before."""

SILENT_AFTER = 5.0
"""Seconds without an answer to any request under way."""

SLOWED_BELOW = 0.95
"""The share of the rate below which a slower pace is shown: a stray 429 costs less."""

LONGEST_CAUSE = 120
"""Characters of a failure's message."""


@dataclass(frozen=True)
class ApiState:
    """The state of the API. `code` stays the same while `text` counts seconds.

    Codes: `ok`, `slowed`, `paused`, `down`, `silent`, `suspected`, `refused`, `rate_service`, `stopping`, `ended`;
    `none` before the first request. `text` is empty for `none`.
    """

    code: str
    text: str

    @property
    def is_well(self) -> bool:
        """True if nothing holds the requests back."""
        return self.code in ("ok", "none")


NONE, OK = ApiState("none", ""), ApiState("ok", "answers")


def api_state(status: EngineStatus | None, silent_for: float) -> ApiState:
    """The state of the API in words. `silent_for` is the time in seconds since the last answer."""
    if status is None:
        return NONE
    if status.ending is not None:
        return _ending(status, status.ending)
    if status.refusal is not None:
        return ApiState("refused", status.refusal)
    if status.suspected is not None:
        return ApiState("suspected", f"{status.suspected}: finding out whether the API key or a record is the cause")
    if status.rate_service_down_for >= DOWN_AFTER:
        return ApiState(
            "rate_service",
            f"waiting for the rate limit service: no answer for {status.rate_service_down_for:.0f} s"
            f"{_cause(status.rate_service_failure)}",
        )
    if status.paused_for > 0.0:
        return ApiState("paused", f"{status.slowed_by}: asks for a pause, {status.paused_for:.0f} s left")
    if status.down_for >= DOWN_AFTER:
        return _down(status)
    if status.in_flight and silent_for >= SILENT_AFTER:
        return ApiState(
            "silent", f"no answer for {silent_for:.0f} s, {counted(status.in_flight, 'request')} in flight"
        )
    if status.slowed_by is not None and status.pace < SLOWED_BELOW * status.rate:
        return ApiState("slowed", f"{status.slowed_by}: slowed to {per_second(status.pace)}/s")
    return OK if status.answered else NONE


def _down(status: EngineStatus) -> ApiState:
    if status.failed_with == 429:
        return ApiState("slowed", f"429 for {status.down_for:.0f} s: slowed to {per_second(status.pace)}/s")
    if status.failed_with is None:
        text = f"unreachable for {status.down_for:.0f} s, trying again{_cause(status.failure)}"
    else:
        text = f"status {status.failed_with} for {status.down_for:.0f} s, trying again"
    left = None if status.give_up_after is None else status.give_up_after - status.down_for
    if left is not None and left > 0.0:  # few requests that the API itself fails do not end the run: see RetryBudget
        text += f"; gives up in {left:.0f} s"
    return ApiState("down", text)


def _ending(status: EngineStatus, why: BaseException) -> ApiState:
    if status.in_flight and isinstance(why, Interrupted):
        return ApiState("stopping", f"stopping: {counted(status.in_flight, 'request')} in flight may end first")
    return ApiState("ended", _ENDS.get(type(why), "the run ends early"))


_ENDS: dict[type[BaseException], str] = {
    KeyRefused: "the key is refused",
    WrongAddress: "the address is wrong",
    Unreachable: "unreachable for too long",
    Interrupted: "stopped",
    StopRun: "stopped",
}


def _cause(message: str) -> str:
    """The message of a failure in brackets, cut to one short line."""
    text = " ".join(message.split())
    return f" ({text if len(text) <= LONGEST_CAUSE else text[:LONGEST_CAUSE] + '...'})" if text else ""
