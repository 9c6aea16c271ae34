"""`beam-talonone replay`: dead letters once more."""

import re
from pathlib import Path

from beam_talonone.pipelines.cli.parameters.api import ApiParameters, LimitParameters
from beam_talonone.pipelines.cli.parameters.bounded import ReplayParameters
from beam_talonone.pipelines.cli.parameters.files import (
    ConsentParameters,
    JobParameters,
    MappingParameters,
    ResultParameters,
    SelectionParameters,
)
from beam_talonone.pipelines.cli.parameters.groups import with_groups
from beam_talonone.pipelines.cli.parameters.program import BeamParameters
from beam_talonone.pipelines.cli.parameters.progress import ProgressParameters
from beam_talonone.pipelines.cli.parameters.records import (
    AttributeParameters,
    EditParameters,
    ReadingParameters,
    RequestParameters,
)
from beam_talonone.talonone.errors import ConfigurationError


@with_groups
def replay(
    *,
    source: ReplayParameters,
    job: JobParameters,
    results: ResultParameters,
    consent: ConsentParameters,
    mapped: MappingParameters,
    reading: ReadingParameters,
    attributes: AttributeParameters,
    requests: RequestParameters,
    edit: EditParameters,
    api: ApiParameters,
    limits: LimitParameters,
    shown: ProgressParameters,
    beam: BeamParameters,
) -> int:
    """Send dead letters again: one pass, never over what the same job has applied since."""
    from beam_talonone.pipelines.cli.settings import (
        beam_arguments,
        input_options,
        listed_kinds,
        listed_reasons,
        refuse_output,
        sending_options,
    )
    from beam_talonone.pipelines.replay.changes import parse_change
    from beam_talonone.pipelines.replay.selection import ReplaySelection
    from beam_talonone.pipelines.terminal.confirm import ask, must_ask

    subscription = dead_letters_subscription(source.dead_letters)
    globs: dict[str, str | tuple[str, ...]] = (
        {} if subscription is not None else {"dead_letters": source.dead_letters}
    )
    selection = SelectionParameters(format="jsonl", mapping=mapped.mapping)
    taken = ReplaySelection(
        listed_reasons("--only", source.only),
        listed_kinds("--kind", source.kind),
        tuple(parse_change(text) for text in source.set or ()),
    )
    inputs = input_options(
        globs, selection, reading, requests, attributes, results=results.results, replay_selection=taken
    )
    sending = sending_options(api, limits, edit)
    refuse_output(job)
    asks = must_ask(consent.yes, sending.base_url)
    if asks and subscription is not None:  # before its messages are taken out
        ask(f"Closed sessions trigger live campaigns at {sending.base_url}. Go on?")
        asks = False
    from beam_talonone.pipelines.replay.job import ReplayOptions, replay_job
    from beam_talonone.pipelines.terminal.console import run_with_progress

    options = ReplayOptions(
        inputs, sending, Path(job.output), job.resume, None, beam_arguments(beam), subscription=subscription,
        state=source.state,
    )  # fmt: skip
    return run_with_progress(replay_job, options, progress=shown.progress, asks=asks, replayable=True)


def dead_letters_subscription(name: str) -> str | None:
    """The subscription that `name` is, None for files. Raises ConfigurationError for what is neither."""
    from beam_talonone.transforms.outputs.sinks import is_subscription, is_topic, names_hint

    if is_subscription(name):
        return name
    if is_topic(name):
        raise ConfigurationError(f"DEAD_LETTERS_GLOB {name} is a topic: name a subscription of it")
    if re.match(r"projects/[^/]*/(subscriptions|topics)/", name):
        raise ConfigurationError(
            f"DEAD_LETTERS_GLOB {name} is not a subscription: give projects/P/subscriptions/S{names_hint(name)}"
        )
    return None
