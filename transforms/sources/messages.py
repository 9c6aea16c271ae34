"""From messages to prepared records, in both graphs of a stream. A bad message never harms another one."""

import logging
from collections.abc import Callable, Iterator, Sequence

import apache_beam as beam
from google.api_core.exceptions import GoogleAPIError

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.decode import plain_json
from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.shown import of_value
from beam_talonone.schemas.kinds import RECORDS
from beam_talonone.talonone.streaming.message_source import record_name
from beam_talonone.talonone.telemetry.logs import say
from beam_talonone.talonone.telemetry.process_tuning import tune_process
from beam_talonone.transforms.messages.avro_schemas import parse_avro_schema
from beam_talonone.transforms.messages.message_kind import message_kind
from beam_talonone.transforms.messages.options import MessageOptions
from beam_talonone.transforms.messages.schema_service import WriterSchemas
from beam_talonone.transforms.messages.unpack import MessageReader
from beam_talonone.transforms.pubsub.message import Received, copies_of, parts_of
from beam_talonone.transforms.sources.prepare import Prepared, prepare_or_defect, prepares_with

log = logging.getLogger(__name__)

DELETED_ROW = "deleted row"
"""The rule that filters a change event without a new row: no record means that a row is deleted."""


Pair = tuple[Received, Prepared]


class MessagePreparer:
    """Makes records of messages. `split` makes a message for each record of a message that has several."""

    def __init__(
        self, options: MessageOptions, split: Callable[[Received, Sequence[tuple[str, bytes]]], list[Received]]
    ) -> None:
        schema = None if options.avro_schema is None else parse_avro_schema(options.avro_schema)
        self._options, self._split = options, split
        self._reader = MessageReader(schema, WriterSchemas())
        self._prepares = prepares_with(options.mapping)

    def prepare(self, message: Received) -> list[Pair]:
        """The records in a message, decoded, mapped, validated and built.

        Problems of the message are in the result, because a message that fails the step is delivered again without
        end, together with its bundle. Raises only google.api_core.exceptions.GoogleAPIError, if the schema service
        does not answer.
        """
        kind, problem = self._kind_of(message)
        raws = self._reader.unpack(kind, message.subscription, message.data, message.attributes)
        if not raws:
            nothing = Raw(kind, message.subscription, 0, "jsonl", message.data, None, None)
            if problem is None:
                return [(message, Prepared(nothing, None, fields={}, filtered_by=DELETED_ROW))]
            raws = [nothing]
        if problem is None:
            records = [prepared for raw in raws for prepared in self._prepared(raw, message)]
        else:  # each record has a dead letter of its own, to which a person can add the kind
            records = [Prepared(raw, None, problem=problem) for raw in raws]
        if len(records) == 1 and records[0].raw.line is message.data and records[0].raw.part is None:
            return [(message, records[0])]
        named = [
            (record_name(message.message_id, record.raw.position, record.raw.part), _shown(record.raw))
            for record in records
        ]
        return list(zip(self._split(message, named), records, strict=True))

    def _kind_of(self, message: Received) -> tuple[str, InvalidRecord | None]:
        """The kind of the message; RECORDS if the mapping decides, or if the message names no kind: a problem."""
        kind = self._options.kinds[message.subscription]
        if kind != RECORDS or self._options.mapping is not None:
            return kind, None
        try:
            return message_kind(message.attributes), None
        except InvalidRecord as problem:
            return RECORDS, problem

    def _prepared(self, raw: Raw, message: Received) -> list[Prepared]:
        return prepare_or_defect(
            raw, self._options.build, self._options.reading, self._prepares,
            message_id=message.message_id, subscription=message.subscription,
        )  # fmt: skip


def _shown(raw: Raw) -> bytes:
    """The bytes of the record in a dead letter."""
    if raw.line is not None:
        return raw.line
    try:
        return jsonio.dumps(plain_json(raw.fields))
    except InvalidRecord:  # bytes, which JSON cannot carry
        return jsonio.dumps(of_value(raw.fields).record)


class PrepareMessages(beam.DoFn):  # type: ignore[misc]
    """Received -> (Received, Prepared), one for each record, on an engine that acknowledges messages itself."""

    def __init__(self, options: MessageOptions) -> None:
        self._options = options

    def setup(self) -> None:
        """Tune the logs and threads of the worker process."""
        tune_process()
        self._preparer = MessagePreparer(self._options, copies_of)

    def process(self, message: Received) -> Iterator[Pair]:
        """Prepare the records of one message."""
        yield from self._preparer.prepare(message)


class PrepareTogether(beam.DoFn):  # type: ignore[misc]
    """Lists of Received -> lists of (Received, Prepared), where this process acknowledges."""

    def __init__(self, options: MessageOptions) -> None:
        self._options = options

    def setup(self) -> None:
        """Tune the logs and threads of the worker process."""
        tune_process()
        self._preparer = MessagePreparer(self._options, parts_of)

    def process(self, messages: list[Received]) -> Iterator[list[Pair]]:
        """Prepare the records of a list of messages.

        A message is given back if it needs the schema service, and the service does not answer.
        """
        pairs: list[Pair] = []
        for message in messages:
            try:
                pairs += self._preparer.prepare(message)
            except GoogleAPIError as error:
                say(log, logging.WARNING, "the schema service does not answer", error=error)
                message.give_back()
        yield pairs
