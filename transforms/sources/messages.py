"""From messages to prepared records, in both graphs of a stream. A bad message never harms another one."""

import logging
from collections.abc import Iterator, Mapping

import apache_beam as beam

from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.settings import AS_USUAL, Reading
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.talonone.telemetry.logs import say
from beam_talonone.talonone.telemetry.process_tuning import quiet_process
from beam_talonone.transforms.pubsub.message import Received
from beam_talonone.transforms.sources.prepare import Prepared, prepare

log = logging.getLogger(__name__)


def prepare_message(message: Received, kind: str, options: BuildOptions, reading: Reading = AS_USUAL) -> Prepared:
    """Decode, validate and build the record in a message.

    It never raises: a message that fails the step would be delivered again for ever, together with its bundle. An
    internal error becomes the problem of the result, with the reason `defect`.
    """
    raw = Raw(kind, message.subscription, 0, "jsonl", message.data, None, None)
    try:
        return prepare(raw, options, reading)
    except Exception as error:
        say(
            log, logging.INFO, "a defect", error=error, kind=kind, message_id=message.message_id,
            subscription=message.subscription, reason=Reason.DEFECT.value,
        )  # fmt: skip
        return Prepared(
            raw, None, problem=InvalidRecord(Reason.DEFECT, f"beam-talonone failed on it: {error_line(error, 450)}")
        )


class PrepareMessages(beam.DoFn):  # type: ignore[misc]
    """Received -> (Received, Prepared). `kinds` maps each subscription to the kind of its records."""

    def __init__(self, kinds: Mapping[str, str], options: BuildOptions, reading: Reading = AS_USUAL) -> None:
        self._kinds, self._options, self._reading = dict(kinds), options, reading

    def setup(self) -> None:
        """Tune the logs and threads of the worker process."""
        quiet_process()

    def process(self, message: Received) -> Iterator[tuple[Received, Prepared]]:
        """Prepare the record of one message."""
        yield message, self._prepare(message)

    def _prepare(self, message: Received) -> Prepared:
        return prepare_message(message, self._kinds[message.subscription], self._options, self._reading)


class PrepareTogether(PrepareMessages):
    """As PrepareMessages, from lists of messages to lists of pairs."""

    def process(self, messages: list[Received]) -> Iterator[list[tuple[Received, Prepared]]]:  # type: ignore[override]
        """Prepare the records of a list of messages."""
        yield [(message, self._prepare(message)) for message in messages]
