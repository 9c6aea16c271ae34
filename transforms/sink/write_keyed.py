"""WriteToTalonOne for an unbounded PCollection, on a runner that keeps the state of keys durably."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows

from beam_talonone.talonone.streaming.keyed_processor import Rules
from beam_talonone.talonone.streaming.open_processor import Waits
from beam_talonone.talonone.telemetry.process_tuning import tune_process
from beam_talonone.transforms.pubsub.message import Received
from beam_talonone.transforms.runtime.engines import EngineConfig
from beam_talonone.transforms.sink.keyed import SendInOrder
from beam_talonone.transforms.sink.keyed_send import shown_element
from beam_talonone.transforms.sink.packed_record import pack_record
from beam_talonone.transforms.sink.runners import check_workers, is_dataflow, workers
from beam_talonone.transforms.sink.step import Step
from beam_talonone.transforms.sink.written import Written
from beam_talonone.transforms.sources.elements import raw_element
from beam_talonone.transforms.sources.prepare import Prepared, prepare_or_defect, prepares_with


def write_keyed(records: beam.PCollection[Any], step: Step, waits: Waits) -> Written:
    """Add the steps that send unbounded `records`. The names of steps and states are stable, so that a running job
    can be updated. Raises ConfigurationError if the workers of Dataflow could exceed the rate.
    """
    if is_dataflow(records.pipeline.runner) and step.config.rate_service is None:
        check_workers(records.pipeline.options, step.label)
    config = worker_config(step.config, records.pipeline)
    rules = Rules(
        waits.settle, waits.wait_for_order, waits.remember, polls_per_second=max(0.1, config.settings.rate / 10)
    )
    # state is kept by key and window, and order does not depend on windows
    together = records | "One window" >> beam.WindowInto(GlobalWindows())
    prepared = together | "Prepare" >> beam.ParDo(PrepareElements(step))
    send = SendInOrder(config, replace(step.options, look_first=True), rules, step.job, shown_element)
    written: Written = prepared | "Send in order" >> send
    return written


def worker_config(config: EngineConfig, pipeline: beam.Pipeline) -> EngineConfig:
    """The settings of each worker: an API that does not answer is waited for, as a stream has no end.

    On Dataflow the largest number of workers is known, and each has its share of the rate and of the requests in
    flight. With a rate service, the service grants the shares.
    """
    settings = replace(config.settings, give_up_after=None)
    if is_dataflow(pipeline.runner):
        among = workers(pipeline.options)
        settings = replace(settings, concurrency=math.ceil(settings.concurrency / among))
        if config.rate_service is not None:
            return replace(config, settings=settings, among=among)
        settings = replace(settings, rate=settings.rate / among)
    return replace(config, settings=settings)


class PrepareElements(beam.DoFn):  # type: ignore[misc]
    """dict or row -> (Received, Prepared), one for each record: the input of SendInOrder.

    Received holds the label of the step instead of a subscription, the part of the document instead of a message id,
    and the record as `pack_record` writes it.
    """

    def __init__(self, step: Step) -> None:
        self._step = step

    def setup(self) -> None:
        """Tune the logs and threads of the worker process."""
        tune_process()
        self._prepares = prepares_with(self._step.mapping)

    def process(self, element: Any, at: Any = beam.DoFn.TimestampParam) -> Iterator[tuple[Received, Prepared]]:
        """Prepare one record, or those of one document. A defect is a dead letter too, as a bundle that fails is
        tried again without end.
        """
        step = self._step
        raw, shown = raw_element(step.kind, element, mapped=step.mapping is not None)
        for prepared in prepare_or_defect(raw, step.build, step.reading, self._prepares, step=step.label):
            record, part = pack_record(shown, prepared.raw.part), prepared.raw.part or ""
            yield Received(step.label, part, record, {}, "", float(at), ""), prepared
