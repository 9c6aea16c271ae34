"""WriteToTalonOne for the elements of ReadFromPubSubAtLeastOnce, on a runner that forgets its elements in a crash."""

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue
from google.api_core.exceptions import GoogleAPIError

from beam_talonone.talonone.streaming.open_processor import Waits
from beam_talonone.talonone.telemetry.process_tuning import tune_process
from beam_talonone.transforms.messages.options import MessageOptions
from beam_talonone.transforms.pubsub.message import Received, parts_of
from beam_talonone.transforms.runtime.process_registry import PROCESS, Kind
from beam_talonone.transforms.sink.apply import Metrics, hand_over
from beam_talonone.transforms.sink.local.local_stream import Lines, LocalSettings, local_stream, take_lines
from beam_talonone.transforms.sink.step import Step
from beam_talonone.transforms.sink.write_keyed import worker_config
from beam_talonone.transforms.sink.write_steps import DEAD, OTHERS
from beam_talonone.transforms.sink.written import Line, Written
from beam_talonone.transforms.sources.messages import MessagePreparer

APPLIED = "applied"

STEP_LINES = Kind[tuple[LocalSettings, str], Lines]("lines of a step")
"""By the stream and the label of the step: all copies of a step emit from one queue."""


def write_messages(
    messages: beam.PCollection[Received], step: Step, waits: Waits, state: str, dead_letters: str | None
) -> Written:
    """Add the step that sends `messages` from this process, and acknowledges each once its outcome is known."""
    settings = LocalSettings(
        worker_config(step.config, messages.pipeline), replace(step.options, look_first=True), waits, state,
        dead_letters, step.job,
    )  # fmt: skip
    together = messages | "One window" >> beam.WindowInto(GlobalWindows())
    lines = together | "Apply" >> beam.ParDo(ApplyMessages(step, settings)).with_output_types(
        Line, **{DEAD: Line, OTHERS: Line}
    ).with_outputs(DEAD, OTHERS, main=APPLIED)
    written = Written(lines[APPLIED], lines[DEAD], lines[OTHERS])
    _ = tuple(written) | "Outcomes" >> beam.Flatten()  # a stage without a consumer keeps a core busy on Prism
    return written


class ApplyMessages(beam.DoFn):  # type: ignore[misc]
    """Received -> the lines of the records that have ended since, in three outputs.

    It does not wait for outcomes: the source reads no more than it may hold. A line is emitted by the next element or
    bundle, so lines in memory are lost in a crash, and their messages are not.
    """

    def __init__(self, step: Step, settings: LocalSettings) -> None:
        self._step, self._settings = step, settings

    def setup(self) -> None:
        """Open the stream of this process, before the source reads: a problem with the key or the state shows now."""
        tune_process()
        kinds: defaultdict[str, str] = defaultdict(lambda: self._step.kind)
        step = self._step
        self._preparer = MessagePreparer(
            MessageOptions(kinds, step.build, step.reading, mapping=step.mapping), parts_of
        )
        self._lines: Lines = PROCESS.obtain(STEP_LINES, (self._settings, step.label), deque)
        self._metrics = Metrics()
        local_stream(self._settings)

    def process(self, message: Received) -> Iterator[Any]:
        """Hand the records of a message to the stream, and emit the lines that have arrived.

        The message is given back if it needs the schema service, and the service does not answer.
        """
        stream = local_stream(self._settings)
        try:
            pairs = self._preparer.prepare(message)
        except GoogleAPIError:
            message.give_back()
            pairs = []
        for part, prepared in pairs:
            hand_over(stream.processor, stream.message(part, self._lines), prepared)
        self._metrics.update(stream.processor)
        stream.check()
        for output, line in take_lines(self._lines):
            yield line if output == APPLIED else TaggedOutput(output, line)

    def finish_bundle(self) -> Iterator[Any]:
        """Emit the lines that have arrived since the last message. Raises the error that stopped the stream."""
        stream = local_stream(self._settings)
        self._metrics.update(stream.processor)
        stream.check()
        now = Timestamp.now()
        for output, line in take_lines(self._lines):
            value = WindowedValue(line, now, (GlobalWindow(),))
            yield value if output == APPLIED else TaggedOutput(output, value)
