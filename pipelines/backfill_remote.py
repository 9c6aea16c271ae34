"""A backfill that is handed over to a runner: started, waited for, and its account told."""

import json
import time
from collections.abc import Callable
from typing import Any

from beam_talonone.pipelines.backfill_graph import MANIFEST, create_pipeline, manifest
from beam_talonone.pipelines.console import exit_code
from beam_talonone.pipelines.folder import OURS, compare_options
from beam_talonone.pipelines.mirror import Place
from beam_talonone.pipelines.prism import prism_binary
from beam_talonone.pipelines.report import account
from beam_talonone.pipelines.runner import beam_options, make_runner, runner_name
from beam_talonone.pipelines.shard_run import GraphOptions
from beam_talonone.pipelines.stream import on_dataflow
from beam_talonone.talonone.engine import EngineSettings
from beam_talonone.talonone.errors import ConfigurationError, Interrupted, StopRun
from beam_talonone.talonone.transport import check_base_url
from beam_talonone.transforms.engines import EngineConfig, check_rate_service


def run_remote(options: GraphOptions, notice: Callable[[str], None]) -> int:
    """Start the job, and wait for its end unless told otherwise; returns the exit code.

    Raises ConfigurationError before anything is started, StopRun when the job failed and can be resumed.
    """
    settings = beam_options(options.beam_args)
    runner = make_runner(settings)
    check_output(options.output)
    if not options.wait and not on_dataflow(settings):
        raise ConfigurationError("--no-wait: the job would end with this process; it is for Dataflow")
    if runner_name(settings).lower() == "prismrunner":
        find_prism(settings)
    check_rate_service(engine_config(options), notice if on_dataflow(settings) else None)
    try:
        pipeline = create_pipeline(options, runner, settings)
    except ValueError as error:  # of Beam's, on options that are missing or wrong
        raise ConfigurationError(f"--runner={runner_name(settings)}: {_why(error)}") from None
    place = Place(options.output)
    if not claim(place, options, notice):
        report = json.loads(place.read("report.json") or b"{}")
        notice(f"the job in {options.output} is finished: nothing was changed")
        return _told(options, report, notice)
    job_id = None
    try:
        result = pipeline.run()
        job_id = _job_id(result)
        if job_id is not None:
            notice(f"the job {job_id} was started")
        if not options.wait:
            return 0
        result.wait_until_finish()
    except (Interrupted, KeyboardInterrupt):
        if job_id is not None:
            notice(f"the job {job_id} goes on; `gcloud dataflow jobs cancel {job_id}` stops it")
        raise
    except Exception as error:
        raise StopRun(f"the job failed: {_why(error)}; go on with --resume") from error
    report = place.read("report.json")
    if report is None:
        raise StopRun(f"the job ended without a report; go on with --resume ({_state(result)})")
    return _told(options, json.loads(report), notice)


def check_output(output: str) -> None:
    """Raises ConfigurationError for a folder whose name Beam's file systems would take for a pattern: what is in it
    would not be found, and all be sent again."""
    odd = sorted({letter for letter in output if letter in "*?[]"})
    if odd:
        raise ConfigurationError(f"--output {output}: a folder with {' '.join(odd)} in its name cannot be used here")


def find_prism(settings: Any) -> None:
    """Let Beam run the Prism that a stream would. Raises ConfigurationError when what is named is no program."""
    from apache_beam.options.pipeline_options import PrismRunnerOptions

    prism = settings.view_as(PrismRunnerOptions)
    prism.prism_location = prism_binary(prism.prism_location) or prism.prism_location


def engine_config(options: GraphOptions) -> EngineConfig:
    """What each shard sends with, but for its share of the rate."""
    sending = options.sending
    engine = EngineSettings(
        check_base_url(sending.base_url), sending.rate, sending.concurrency, sending.give_up_after
    )
    return EngineConfig(engine, sending.api_key_env, sending.api_key_secret, sending.rate_service, options.shards)


def claim(place: Place, options: GraphOptions, notice: Callable[[str], None]) -> bool:
    """Take the folder for the job, new or resumed; False when the job in it is finished.

    Raises ConfigurationError when it is used and --resume is not given, and when options differ.
    """
    try:
        used = place.read(MANIFEST) is not None
        finished = place.read("report.json") is not None
        other = [name for name in OURS if name != "state" and "." not in name and place.names(f"{name}/*")]
    except Exception as error:
        raise ConfigurationError(f"--output {place.root} cannot be looked at: {_why(error)}") from None
    if not options.resume and (used or finished or other):
        raise ConfigurationError(
            f"--output {place.root} holds a job already: add --resume to go on with it, or name another folder"
        )
    wanted = {"command": "backfill on a runner", "options": options.fixed()}
    if used:
        compare_options(place.root, manifest(options.output), wanted)
        return not finished
    if options.resume:
        notice(f"there is no job in {place.root} yet: this starts one")
    started = {"job": options.job, "started": time.time(), **wanted}
    try:
        place.write(json.dumps(started, indent=2).encode(), MANIFEST)
    except Exception as error:
        raise ConfigurationError(f"--output {place.root} cannot be written to: {_why(error)}") from None
    return True


def _told(options: GraphOptions, report: dict[str, Any], notice: Callable[[str], None]) -> int:
    for line in account(report):
        notice(line)
    notice(f"the full account: {options.output}/report.json")
    return exit_code(report)


def _job_id(result: Any) -> str | None:
    try:
        return str(result.job_id())
    except Exception:  # only Dataflow's jobs have one
        return None


def _state(result: Any) -> str:
    return str(getattr(result, "state", "its state is unknown"))


def _why(error: Exception) -> str:
    """The line of an error that says what happened: runners wrap it in the stack traces of their workers."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    ours = [line for line in lines if line.startswith("beam_talonone.") and ": " in line]
    said = ours[-1].split(": ", 1)[1] if ours else (lines[-1] if lines else type(error).__name__)
    return said[:500]
