"""From messages to prepared records, in both graphs of a stream; whatever a message holds, it harms no other."""

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
    """Decode, validate and build the record in a message. Never raises: a message that makes us fail would come again
    for ever, and take its neighbours with it."""
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
    """Received -> (Received, Prepared). `kinds` tells of each subscription what its messages are."""

    def __init__(self, kinds: Mapping[str, str], options: BuildOptions, reading: Reading = AS_USUAL) -> None:
        self._kinds, self._options, self._reading = dict(kinds), options, reading

    def setup(self) -> None:
        quiet_process()

    def process(self, message: Received) -> Iterator[tuple[Received, Prepared]]:
        yield message, self._prepare(message)

    def _prepare(self, message: Received) -> Prepared:
        return prepare_message(message, self._kinds[message.subscription], self._options, self._reading)


class PrepareTogether(PrepareMessages):
    """A list of Received -> a list of (Received, Prepared)."""

    def process(self, messages: list[Received]) -> Iterator[list[tuple[Received, Prepared]]]:  # type: ignore[override]
        yield [(message, self._prepare(message)) for message in messages]
