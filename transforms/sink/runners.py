"""The runners of Beam, and how WriteToTalonOne writes an unbounded PCollection on each: declared once.

A stream loses nothing on two kinds of runners. Dataflow and Flink keep the state of keys durably, so records of any
source may wait there for earlier ones. Prism keeps it in memory, so there each message stays with Pub/Sub until its
outcome is known. All others are refused while the pipeline is built.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from apache_beam.options.pipeline_options import DebugOptions, PortableOptions, WorkerOptions

from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.transforms.pubsub.message import Received

LOOPBACK = "LOOPBACK"
CHECKPOINTS = "checkpointing_interval"
"""Flink's option. The job server declares it, so Beam's Python options do not."""

ONE_PROCESS = "no_use_multiple_sdk_containers"
"""Dataflow's experiment for one process on each worker."""


class Way(Enum):
    """How unbounded elements are written: through `KEYED_STATE`, or by the processor of `THIS_PROCESS`."""

    KEYED_STATE = "keyed state"
    THIS_PROCESS = "this process"


@dataclass(frozen=True)
class Runner:
    """What a runner takes: `records` of any source, `messages` (Received), or neither. The texts say what to do
    instead.
    """

    records: bool = False
    messages: bool = False
    instead_of_records: str = ""
    instead_of_messages: str = ""


DURABLE = "DataflowRunner or FlinkRunner, which keep the state of a stream"
_PUBSUB = (
    "it keeps elements only in memory, and a crash would lose them. Write the elements of ReadFromPubSubAtLeastOnce"
    f" (Received) as they are, or run the pipeline on {DURABLE}"
)
_LOCAL = Runner(messages=True, instead_of_records=_PUBSUB)
_BOUNDED = Runner(
    instead_of_records=f"it is for bounded input. Use {DURABLE}, or PrismRunner with ReadFromPubSubAtLeastOnce",
    instead_of_messages="it is for bounded input. Use PrismRunner",
)
_BEHIND_A_JOB_SERVICE = Runner(
    instead_of_records="it does not name the engine of its job service. Pass --runner=FlinkRunner with the same"
    " --job_endpoint if that is Flink, else run the pipeline on DataflowRunner",
    instead_of_messages="it does not name the engine of its job service. Pass --runner=PrismRunner with the same"
    " --job_endpoint",
)
_UNKNOWN = Runner(
    instead_of_records=f"it is not known to keep the state of a stream. Use {DURABLE}, or PrismRunner with"
    " ReadFromPubSubAtLeastOnce",
    instead_of_messages="it is not known to run in the process that reads the messages. Use PrismRunner",
)

RUNNERS = {
    "DataflowRunner": Runner(
        records=True,
        instead_of_messages="read the subscription with beam.io.ReadFromPubSub, whose messages Dataflow acknowledges"
        " itself, and decode their JSON",
    ),
    "FlinkRunner": Runner(
        records=True,
        instead_of_messages="read with a source whose position is in Flink's checkpoints, such as ReadFromKafka",
    ),
    "PrismRunner": _LOCAL,
    "SwitchingDirectRunner": _LOCAL,
    "BundleBasedDirectRunner": Runner(
        instead_of_records=_PUBSUB, instead_of_messages="it acknowledges nothing on an outcome. Use PrismRunner"
    ),
    "FnApiRunner": _BOUNDED,
    "SparkRunner": _UNKNOWN,
    "KafkaStreamsRunner": _UNKNOWN,
    "PortableRunner": _BEHIND_A_JOB_SERVICE,
}
"""By the name of the class. A class that is not here counts as its nearest base class. DirectRunner is the
SwitchingDirectRunner, which chooses Prism."""


def way_to_write(records: Any, label: str) -> Way:
    """How the step `label` writes the unbounded PCollection `records` on the runner of its pipeline.

    Raises ConfigurationError where it would lose records, with the way to do it.
    """
    runner, options = records.pipeline.runner, records.pipeline.options
    messages = records.element_type is Received
    if not messages and _from_test_stream(records):
        return Way.KEYED_STATE  # a test: nothing has to survive a crash
    name, row = _row(runner)
    if messages and row.messages:
        _check_loopback(options, label)
        return Way.THIS_PROCESS
    if not messages and row.records:
        _check_checkpoints(name, options, label)
        return Way.KEYED_STATE
    what = "the elements of ReadFromPubSubAtLeastOnce" if messages else "an unbounded PCollection"
    instead = row.instead_of_messages if messages else row.instead_of_records
    raise ConfigurationError(f"{label} cannot write {what} on {_shown(runner)}: {instead}")


def is_dataflow(runner: Any) -> bool:
    """Whether a runner is Dataflow's."""
    return _row(runner)[0] == "DataflowRunner"


def workers(options: Any) -> int:
    """The largest number of workers that Beam's options allow on Dataflow; 1 without such an option."""
    settings = options.view_as(WorkerOptions)
    return int(settings.max_num_workers or settings.num_workers or 1)


def check_workers(options: Any, label: str) -> None:
    """Raise ConfigurationError unless Beam's options limit the processes that share the rate on Dataflow.

    Otherwise Dataflow adds workers, and starts a process for each core of a worker.
    """
    settings = options.view_as(WorkerOptions)
    missing = []
    if not (settings.max_num_workers or (settings.num_workers and settings.autoscaling_algorithm == "NONE")):
        missing.append("--max_num_workers=1")
    if options.view_as(DebugOptions).lookup_experiment(ONE_PROCESS, None) is None:
        missing.append(f"--experiments={ONE_PROCESS}")
    if missing:
        raise ConfigurationError(
            f"{label} shares its rate among the workers of Dataflow, so their number must be limited: pass"
            f" {' and '.join(missing)}, or let a rate_service distribute the rate"
        )


def _row(runner: Any) -> tuple[str, Runner]:
    for kind in type(runner).__mro__:
        if kind.__name__ in RUNNERS:
            return kind.__name__, RUNNERS[kind.__name__]
    return type(runner).__name__, _UNKNOWN


def _shown(runner: Any) -> str:
    name = type(runner).__name__
    return "DirectRunner" if name == "SwitchingDirectRunner" else name


def _check_loopback(options: Any, label: str) -> None:
    environment = options.view_as(PortableOptions).environment_type
    if environment not in (None, LOOPBACK):
        raise ConfigurationError(
            f"{label} sends from the process that starts the pipeline, and keeps its state on this machine:"
            f" pass --environment_type={LOOPBACK}, not {environment}"
        )


def _check_checkpoints(name: str, options: Any, label: str) -> None:
    if name != "FlinkRunner":
        return
    interval = options.get_all_options(retain_unknown_options=True).get(CHECKPOINTS)
    try:
        on = int(interval) > 0
    except (TypeError, ValueError):
        on = False
    if not on:
        raise ConfigurationError(
            f"{label} needs checkpoints on FlinkRunner, or a restart would lose the records that wait: pass"
            f" --{CHECKPOINTS}=MILLISECONDS, such as 10000"
        )


def _from_test_stream(records: Any) -> bool:
    """Whether a PCollection comes from Beam's TestStream."""
    from apache_beam.testing.test_stream import TestStream

    waiting, seen = [records], set()
    while waiting:
        producer = waiting.pop().producer
        if producer is None or producer in seen:
            continue
        if isinstance(producer.transform, TestStream):
            return True
        seen.add(producer)
        waiting += producer.inputs
    return False
