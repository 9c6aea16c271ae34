"""Start a backfill on a runner, wait for its end, and show its report."""

import math
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from beam_talonone.pipelines.backfill.inputs import match_inputs
from beam_talonone.pipelines.backfill.job import engine_config
from beam_talonone.pipelines.backfill.output_folder import DISK_ERRORS, cannot_write, decoded
from beam_talonone.pipelines.distributed.graph_options import GraphOptions, working
from beam_talonone.pipelines.distributed.local_shards import LOCAL_SHARDS, LocalShards
from beam_talonone.pipelines.distributed.output_claim import check_output, claim, taken
from beam_talonone.pipelines.distributed.pipeline import create_pipeline, delete_staged
from beam_talonone.pipelines.distributed.place import Place
from beam_talonone.pipelines.distributed.shard_copies import SHARD_COPIES, ShardCopies
from beam_talonone.pipelines.runners.prism import Prism, find_prism, is_ours, prism_for
from beam_talonone.pipelines.runners.runner import (
    beam_options,
    check_code,
    has_worker_processes,
    is_in_process,
    last_line,
    make_runner,
    runner_name,
)
from beam_talonone.pipelines.streaming.pipeline import on_dataflow
from beam_talonone.pipelines.terminal.console import exit_code
from beam_talonone.pipelines.terminal.interruptible import interruptible
from beam_talonone.pipelines.terminal.logs import quiet_threads
from beam_talonone.pipelines.terminal.stopping import RESUME, STOP
from beam_talonone.pipelines.terminal.summary import summary_lines
from beam_talonone.talonone.engine.engine import GRACE
from beam_talonone.talonone.errors import ConfigurationError, Interrupted, StopRun
from beam_talonone.talonone.state.temporary_files import temporary_files_in
from beam_talonone.transforms.runtime.engines import check_here, check_rate_service, read_key
from beam_talonone.transforms.runtime.process_registry import PROCESS

Notice = Callable[[str], None]


def run_remote(options: GraphOptions, notice: Notice) -> int:
    """Start the job, and wait for its end unless `options.wait` is False; returns the exit code.

    Raises ConfigurationError before anything is started, StopRun when the job failed and can be resumed.
    """
    with STOP.taking_signals():
        return _run_remote(options, notice)


def _run_remote(options: GraphOptions, notice: Notice) -> int:
    settings = beam_options(options.beam_args)
    runner = make_runner(settings)
    dataflow = on_dataflow(settings)
    local = is_in_process(settings) or is_ours(settings)
    options = replace(options, here=local and not has_worker_processes(settings))
    if has_worker_processes(settings):  # where there are several, Beam 2.77 forgets what a bundle has deferred
        options = replace(options, bundle_seconds=math.inf, bundle_records=sys.maxsize)
    find_prism(settings)
    _check(options, notice, local=local, dataflow=dataflow)
    if dataflow:
        check_code(settings)  # before Beam looks for a bucket of its own, which takes minutes where it cannot
    try:
        pipeline = create_pipeline(options, runner, settings)
    except ValueError as error:  # of Beam's, on options that are missing or wrong
        raise ConfigurationError(f"--runner={runner_name(settings)}: {last_line(error)}") from None
    place = Place(options.output)
    with taken(place):
        if not claim(place, options):
            delete_staged(options.output)  # a late attempt, or a failure to delete, may have left them
            notice(f"the job in {options.output} is finished: nothing was changed")
            return _show_report(options, place, notice)
        log = place.path("state", "prism.log") if place.is_local else None
        if not options.here:
            state = _run(pipeline, notice, wait=options.wait)
        else:
            with prism_for(pipeline.options, log) if is_ours(settings) else nullcontext() as prism:
                state = _run_here(pipeline, options, notice, prism)
        return 0 if state is None else _show_report(options, place, notice, state)


def _check(options: GraphOptions, notice: Notice, *, local: bool, dataflow: bool) -> None:
    """Find the errors that can be known before anything is started. Raises ConfigurationError."""
    sending = options.sending
    check_output(options.output, elsewhere=dataflow)
    if not options.wait and not dataflow:
        raise ConfigurationError("--no-wait needs Dataflow: on other runners the job ends with this process")
    shared = replace(engine_config(sending), among=options.shards)
    with STOP.raising():
        if local:
            read_key(sending.api_key_env, sending.api_key_secret)
        check_rate_service(shared, notice if dataflow else None)
    if not dataflow:
        match_inputs(options.input, notice)
    check_here(shared, notice, elsewhere=dataflow)


def _run(pipeline: Any, notice: Notice, *, wait: bool) -> str | None:
    """Run the pipeline in other processes or on other machines; returns the state in which it ended, None when it
    goes on."""
    job_id = None
    try:
        result = interruptible(pipeline.run, None)
        job_id = _job_id(result)
        if job_id is not None:
            notice(f"the job {job_id} was started")
        if not wait:
            return None
        interruptible(result.wait_until_finish, None)
    except Interrupted:
        if job_id is not None:
            notice(f"the job {job_id} goes on; `gcloud dataflow jobs cancel {job_id}` stops it")
        raise
    except Exception as error:
        raise StopRun(f"the job failed: {last_line(error)}; go on with --resume") from error
    return _state(result)


def _run_here(pipeline: Any, options: GraphOptions, notice: Notice, prism: Prism | None) -> str:
    """Run the pipeline, whose steps run in this process; returns the state in which it ended."""
    quiet_threads()
    shards = LocalShards()
    folder = working(options)
    with PROCESS.scope() as scope, nullcontext() if folder is None else temporary_files_in(folder):
        scope.enter(SHARD_COPIES, options.output, ShardCopies())
        scope.enter(LOCAL_SHARDS, options.output, shards)
        try:
            result = interruptible(pipeline.run, None)
            interruptible(result.wait_until_finish, None)
        except Interrupted:
            pass
        except Exception as error:
            ended = None if prism is None else prism.ended(within=2.0)
            why = f"the job failed: {last_line(error)}" if ended is None else f"Prism ended ({ended})"
            shards.stop(StopRun(f"{why}; go on with --resume"))
        if STOP.signal is not None:  # also where it came last: what was begun is not the whole
            notice(f"{STOP.signal}: finishing what is in flight")
            shards.stop(Interrupted(f"stopped by {STOP.signal}{RESUME}"))
        shards.wait(2 * GRACE)
    failure = shards.failure
    if isinstance(failure, DISK_ERRORS):
        raise cannot_write(f"--output {options.output}", failure, "and go on with --resume")
    if failure is not None:
        raise failure
    return _state(result)


def _show_report(options: GraphOptions, place: Place, notice: Notice, state: str = "") -> int:
    """Show the report of a job that has ended; returns the exit code. Raises StopRun when it left none."""
    data = place.read("report.json")
    if data is None:
        raise StopRun(f"the job ended without a report (state: {state}); go on with --resume")
    report = decoded(data, place.path("report.json"))
    for line in summary_lines(report):
        notice(line)
    notice(f"the full report: {options.output}/report.json")
    return exit_code(report)


def _job_id(result: Any) -> str | None:
    try:
        return str(result.job_id())
    except Exception:  # only Dataflow's jobs have one
        return None


def _state(result: Any) -> str:
    return str(getattr(result, "state", "unknown"))
