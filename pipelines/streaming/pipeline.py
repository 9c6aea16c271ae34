"""The graphs of a stream: one fused stage on this machine, or Dataflow's own source and keyed state."""

import math
from dataclasses import replace
from typing import Any

import apache_beam as beam

from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.streaming.message_source import FILES
from beam_talonone.transforms.notifications.hand_over import HandOverFiles
from beam_talonone.transforms.pubsub.source import ReadFromPubSubAtLeastOnce
from beam_talonone.transforms.sink.apply import ApplyRecords
from beam_talonone.transforms.sink.runners import workers
from beam_talonone.transforms.sources.messages import PrepareTogether

BUNDLE = 60.0
"""Seconds of a bundle. No message waits for its end, and between two bundles nothing is read for 20 to 200 ms."""

TOGETHER = 50
"""Messages in one element of the graph. Preparing them takes a millisecond."""


def create_pipeline(options: StreamOptions, runner: Any, beam_options: Any) -> beam.Pipeline:
    """Build the pipeline of a stream without running it: Dataflow's graph if `--runner` names it, else the local one.

    The steps of the local graph find the stream of this process under `options.job`. Raises ConfigurationError as
    `dataflow_graph` does, and ValueError for options of Beam that are missing or wrong.
    """
    pipeline = beam.Pipeline(runner=runner, options=beam_options)
    if on_dataflow(beam_options):
        from beam_talonone.pipelines.streaming.dataflow import dataflow_graph

        dataflow_graph(pipeline, share(options, workers(beam_options)))
    else:
        local_graph(pipeline, options)
    return pipeline


def on_dataflow(beam_options: Any) -> bool:
    """True if `--runner` names Dataflow's runner."""
    from apache_beam.options.pipeline_options import StandardOptions

    name = beam_options.view_as(StandardOptions).runner or ""
    return "dataflow" in name.lower()


def check_local_runner(beam_options: Any) -> None:
    """Raise ConfigurationError if `--runner` names an engine that cannot run a stream on this machine."""
    from apache_beam.options.pipeline_options import StandardOptions

    name = (beam_options.view_as(StandardOptions).runner or "PrismRunner").rsplit(".", 1)[-1]
    if name.lower() not in ("prismrunner", "directrunner"):
        raise ConfigurationError(f"--runner={name}: a stream runs on PrismRunner (the default) or DataflowRunner")


def share(options: StreamOptions, among: int) -> StreamOptions:
    """The options of each worker when there are `among` of them: together they never exceed the whole rate."""
    concurrency = math.ceil(options.concurrency / among)
    if options.rate_service is not None:
        return replace(options, concurrency=concurrency, among=among)
    return replace(options, concurrency=concurrency, rate=options.rate / among)


def local_graph(pipeline: beam.Pipeline, options: StreamOptions) -> None:
    """Add the steps of a local stream: subscriptions -> records -> the stream of this process.

    The graph has no shuffle, because Prism keeps the elements of a shuffle only in memory.
    """
    messages = pipeline | "Read" >> ReadFromPubSubAtLeastOnce(
        sorted(options.kinds()), bundle=BUNDLE, together=TOGETHER
    )
    if (files := options.subscriptions.get(FILES)) is not None:
        messages = messages | "Files" >> beam.ParDo(HandOverFiles(options.job, files))
    outcomes = (
        messages
        | "Prepare" >> beam.ParDo(PrepareTogether(options.message_options()))
        | "Apply" >> beam.ParDo(ApplyRecords(options.job))
    )
    # a stage without an output makes Prism spin a core
    _ = (outcomes,) | "Outcomes" >> beam.Flatten()
