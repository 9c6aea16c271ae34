"""The graphs of a stream: one fused stage where this process acknowledges, or native source and keyed state."""

import math
from dataclasses import replace
from typing import Any

import apache_beam as beam

from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.transforms.pubsub.source import ReadFromPubSubAtLeastOnce
from beam_talonone.transforms.sink.apply import ApplyRecords
from beam_talonone.transforms.sources.messages import PrepareTogether

BUNDLE = 60.0
"""Seconds: nothing waits for a bundle's end, and in each gap between two nothing is read for 20 to 200 ms."""

TOGETHER = 50
"""Messages that go through the graph together: preparing them takes a millisecond."""


def create_pipeline(options: StreamOptions, runner: Any, beam_options: Any) -> beam.Pipeline:
    """The stream as a pipeline that was not run: on Dataflow its graph, else the local one, whose steps find the
    stream of this process under `options.job`."""
    pipeline = beam.Pipeline(runner=runner, options=beam_options)
    if on_dataflow(beam_options):
        from beam_talonone.pipelines.streaming.dataflow import dataflow_graph

        dataflow_graph(pipeline, share(options, workers(beam_options)))
    else:
        local_graph(pipeline, options)
    return pipeline


def on_dataflow(beam_options: Any) -> bool:
    """True if `--runner` names the runner of Dataflow."""
    from apache_beam.options.pipeline_options import StandardOptions

    name = beam_options.view_as(StandardOptions).runner or ""
    return "dataflow" in name.lower()


def check_local_runner(beam_options: Any) -> None:
    """Raise ConfigurationError if `--runner` names an engine that cannot run a stream on this machine."""
    from apache_beam.options.pipeline_options import StandardOptions

    name = (beam_options.view_as(StandardOptions).runner or "PrismRunner").rsplit(".", 1)[-1]
    if name.lower() not in ("prismrunner", "directrunner"):
        raise ConfigurationError(f"--runner={name}: a stream runs on PrismRunner (the default) or DataflowRunner")


def workers(beam_options: Any) -> int:
    """How many workers a job on Dataflow has at most; one where nobody says."""
    from apache_beam.options.pipeline_options import WorkerOptions

    given = beam_options.view_as(WorkerOptions)
    return int(given.max_num_workers or given.num_workers or 1)


def share(options: StreamOptions, among: int) -> StreamOptions:
    """What each of so many workers may do, so that all together never send more than the whole rate."""
    concurrency = math.ceil(options.concurrency / among)
    if options.rate_service is not None:
        return replace(options, concurrency=concurrency, among=among)
    return replace(options, concurrency=concurrency, rate=options.rate / among)


def local_graph(pipeline: beam.Pipeline, options: StreamOptions) -> None:
    """subscriptions -> records -> the stream of this process. No shuffle: an engine that keeps everything in memory
    would lose it."""
    outcomes = (
        pipeline
        | "Read" >> ReadFromPubSubAtLeastOnce(sorted(options.kinds()), bundle=BUNDLE, together=TOGETHER)
        | "Prepare" >> beam.ParDo(PrepareTogether(options.message_options()))
        | "Apply" >> beam.ParDo(ApplyRecords(options.job))
    )
    # a stage without an output makes Prism spin a core
    _ = (outcomes,) | "Outcomes" >> beam.Flatten()
