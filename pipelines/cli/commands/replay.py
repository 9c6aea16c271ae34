"""`beam-talonone replay`: dead letters once more."""

import re
from pathlib import Path
from typing import Annotated

import typer

from beam_talonone.pipelines.cli.parameters import (
    ApiParameters,
    BeamParameters,
    EditClosed,
    LimitParameters,
    Output,
    ReadingParameters,
    RequestParameters,
    Results,
    Resume,
    Yes,
    with_groups,
)
from beam_talonone.talonone.errors import ConfigurationError


@with_groups
def replay(
    *,
    dead_letters: Annotated[
        str, typer.Argument(metavar="DEAD_LETTERS_GLOB", help="Files of dead letters, or a subscription of them.")
    ],
    output: Output,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="DIR", help="The --state of the stream that wrote these dead letters."),
    ] = None,
    resume: Resume = False,
    edit_closed: EditClosed = None,
    requests: RequestParameters,
    results: Results = False,
    yes: Yes = False,
    reading: ReadingParameters,
    api: ApiParameters,
    limits: LimitParameters,
    beam: BeamParameters,
) -> int:
    """Send dead letters again: one pass, never over what the same job has applied since."""
    from beam_talonone.pipelines.cli.settings import beam_arguments, input_options, sending_options
    from beam_talonone.pipelines.terminal.confirm import confirm

    subscription = letters_subscription(dead_letters)
    globs: dict[str, str | tuple[str, ...]] = {} if subscription is not None else {"dead_letters": dead_letters}
    given = input_options(globs, "jsonl", reading, requests, results=results)
    sending = sending_options(api, limits, edit_closed)
    confirm(yes, f"Closed sessions trigger live campaigns at {sending.base_url}. Go on?")
    from beam_talonone.pipelines.replay.job import ReplayOptions, replay_job
    from beam_talonone.pipelines.terminal.console import run_with_progress

    options = ReplayOptions(
        given, sending, output, resume, None, beam_arguments(beam), subscription=subscription, state=state
    )
    return run_with_progress(replay_job, options, replayable=True)


def letters_subscription(given: str) -> str | None:
    """The subscription that `replay` was given, None for files. Raises ConfigurationError for what is neither."""
    from beam_talonone.pipelines.sinks.sinks import is_subscription, is_topic

    if is_subscription(given):
        return given
    if is_topic(given):
        raise ConfigurationError(f"DEAD_LETTERS_GLOB {given} is a topic: name a subscription of it")
    if re.match(r"projects/[^/]*/(subscriptions|topics)/", given):
        raise ConfigurationError(f"DEAD_LETTERS_GLOB {given} is no subscription: projects/P/subscriptions/S is one")
    return None
