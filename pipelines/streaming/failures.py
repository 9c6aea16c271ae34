"""Why a stream ended, in words for the person who runs it."""

from pathlib import Path

from beam_talonone.pipelines.backfill.output_folder import DISK_ERRORS, cannot_write
from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.talonone.errors import StopRun, TooManyDeadLetters
from beam_talonone.talonone.state.sqlite_damage import damaged_store, is_damage
from beam_talonone.talonone.state.state_folder import STORE

RESTART = "nothing is lost: start the stream again"
REPAIR = "and start the stream again: nothing is lost"


def explain_excess(why: TooManyDeadLetters, dead_letters: str | None, limit: str) -> TooManyDeadLetters:
    """The error that a person reads when there are too many dead letters: the cause `why`, and what to do.

    `dead_letters` is the value of --dead-letters, None for the state folder, and `limit` that of --max-dead-letters.
    """
    where = dead_letters or "dead-letters in --state"
    return TooManyDeadLetters(
        f"{why}. That is more than --max-dead-letters {limit}: reading has stopped, and nothing more is acknowledged."
        f" See {where}. Fix the records and start the stream again, or start it with a higher --max-dead-letters"
    )


def explain_failure(failure: BaseException, options: StreamOptions) -> BaseException:
    """Return `failure`, or for a full disk or a damaged store a StopRun that names the setting and what to do."""
    if options.state is not None and is_damage(failure):
        return StopRun(damaged_store(options.state / STORE, failure))
    if isinstance(failure, DISK_ERRORS):
        return cannot_write(_setting_of(failure, options), failure, REPAIR)
    return failure


def _setting_of(failure: Exception, options: StreamOptions) -> str:
    """The option, with its value, whose folder has the file of a disk error; --state if the error names no file."""
    file = getattr(failure, "filename", None)
    for name, where in (("--dead-letters", options.dead_letters), ("--results", options.results)):
        if where is not None and isinstance(file, str) and Path(file).is_relative_to(where):
            return f"{name} {where}"
    return f"--state {options.state}"
