"""`beam-talonone backfill`: in this process, or as a job of another runner."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from beam_talonone.pipelines.cli.parameters.api import ApiParameters, LimitParameters
from beam_talonone.pipelines.cli.parameters.bounded import BackfillParameters, ShardParameters
from beam_talonone.pipelines.cli.parameters.files import (
    ConsentParameters,
    InputParameters,
    JobParameters,
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

if TYPE_CHECKING:
    from beam_talonone.pipelines.backfill.options import InputOptions, SendingOptions

A_SHARD = 1000.0
"""Requests a second that one process sends without trouble."""


@with_groups
def backfill(
    *,
    job: JobParameters,
    results: ResultParameters,
    sent: BackfillParameters,
    consent: ConsentParameters,
    inputs: InputParameters,
    selection: SelectionParameters,
    reading: ReadingParameters,
    attributes: AttributeParameters,
    requests: RequestParameters,
    edit: EditParameters,
    api: ApiParameters,
    limits: LimitParameters,
    distribution: ShardParameters,
    shown: ProgressParameters,
    beam: BeamParameters,
) -> int:
    """Send orders, returns, profiles, events and calls from files: once, in order, resumable."""
    from beam_talonone.pipelines.cli.settings import (
        beam_arguments,
        globs_of,
        input_options,
        refuse_output,
        sending_options,
    )
    from beam_talonone.pipelines.runners.runner import beam_options, is_in_process, other_runner
    from beam_talonone.pipelines.terminal.confirm import ask, must_ask

    args = beam_arguments(beam)
    options = input_options(
        globs_of(**vars(inputs)), selection, reading, requests, attributes, other_runner(args),
        profiles_first=sent.profiles_first, dry=sent.dry, results=results.results,
    )  # fmt: skip
    sending = sending_options(api, limits, edit)
    if not job.output.strip():
        raise ConfigurationError("--output is empty: name a folder")
    refuse_output(job)  # else one adds --yes, and meets the next refusal
    asks = not sent.dry and must_ask(consent.yes, sending.base_url)
    if not is_in_process(beam_options(args)):
        if sent.limit is not None:
            raise ConfigurationError("--limit is for backfills in this process: try a part with --since and --until")
        if asks:
            ask(f"Closed sessions trigger live campaigns at {sending.base_url}. Go on?")
        return _remote(options, sending, job, distribution, args)
    if distribution.shards is not None or distribution.no_wait:
        raise ConfigurationError("--shards and --no-wait are for another runner, such as DataflowRunner")
    from beam_talonone.pipelines.backfill.job import JobRun
    from beam_talonone.pipelines.backfill.options import BackfillOptions
    from beam_talonone.pipelines.terminal.console import run_with_progress

    return run_with_progress(
        JobRun,
        BackfillOptions(options, sending, Path(job.output), job.resume, sent.limit, args),
        progress=shown.progress,
        asks=asks,
        replayable=not sent.dry,
    )


def _remote(
    options: "InputOptions",
    sending: "SendingOptions",
    job: JobParameters,
    distribution: ShardParameters,
    args: tuple[str, ...],
) -> int:
    from beam_talonone.pipelines.distributed.graph_options import GraphOptions
    from beam_talonone.pipelines.distributed.submit import run_remote
    from beam_talonone.pipelines.terminal.console import notices

    shards = distribution.shards or math.ceil(sending.rate / A_SHARD)
    wait = not distribution.no_wait
    return run_remote(GraphOptions(options, sending, job.output, shards, job.resume, wait, args), notices())
