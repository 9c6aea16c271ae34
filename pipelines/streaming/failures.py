"""Why a stream ended, in words for the person who runs it."""

from pathlib import Path

from beam_talonone.pipelines.backfill.output_folder import DISK_ERRORS, cannot_write
from beam_talonone.pipelines.streaming.state_folder import STORE
from beam_talonone.talonone.errors import StopRun, TooManyDeadLetters
from beam_talonone.talonone.state.store import damaged_store, is_damage

RESTART = "nothing is lost: start the stream again"
REPAIR = "nothing is lost: repair this and start the stream again"


def explain_excess(why: TooManyDeadLetters, dead_letters: str | None, limit: str) -> TooManyDeadLetters:
    """The error that a person reads when there are too many dead letters: the cause `why`, and what to do.

    `dead_letters` is the value of --dead-letters, None for the state folder, and `limit` that of --max-dead-letters.
    """
    where = dead_letters or "dead-letters in --state"
    return TooManyDeadLetters(
        f"{why}. That is more than --max-dead-letters {limit}: reading has stopped, and nothing more is acknowledged."
        f" See {where}. Fix the records and start the stream again, or start it with a higher --max-dead-letters"
    )


def explain_failure(failure: BaseException, state: Path | None) -> BaseException:
    """Return `failure`, or a StopRun that names the state folder where the disk or a damaged store is the cause."""
    if state is not None and is_damage(failure):
        return StopRun(damaged_store(state / STORE, failure))
    if isinstance(failure, DISK_ERRORS):
        return cannot_write(f"--state {state}", failure, REPAIR)
    return failure
