"""The start of a stream as a job on Dataflow."""

from collections.abc import Callable
from typing import Any

from beam_talonone.pipelines.runners.runner import check_code, last_line, runner_name
from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.pipelines.streaming.pipeline import create_pipeline
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.transforms.outputs.table_check import check_tables
from beam_talonone.transforms.runtime.engines import check_here, check_rate_service


def submit_stream(options: StreamOptions, settings: Any, notice: Callable[[str], None]) -> None:
    """Check the settings, start the stream on Dataflow, and leave it there. `settings` are Beam's own options.

    `notice` writes a line for the person at the terminal. Raises ConfigurationError for settings that are missing or
    wrong, also those of Beam.
    """
    from apache_beam.options.pipeline_options import GoogleCloudOptions, StandardOptions
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

    from beam_talonone.pipelines.streaming.dataflow import check_on_dataflow

    check_on_dataflow(options)
    check_here(options.engine_config(), notice, elsewhere=True)
    check_code(settings)  # first, as Beam may look for a bucket of its own for minutes
    check_rate_service(options.engine_config(), elsewhere=notice)
    if not settings.view_as(GoogleCloudOptions).no_auth:
        check_tables(options.dead_letters, options.results, notice)
    settings.view_as(StandardOptions).streaming = True
    try:
        pipeline = create_pipeline(options, DataflowRunner(), settings)
    except ValueError as error:  # Beam's error for options that are missing or wrong
        raise ConfigurationError(f"--runner={runner_name(settings)}: {last_line(error)}") from None
    result = pipeline.run()
    if result.has_job:  # a template is only written, and launched later
        notice(f"the job {result.job_id()} was started on Dataflow; `gcloud dataflow jobs drain` stops it")
