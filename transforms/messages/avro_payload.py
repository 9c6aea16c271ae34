"""Avro in a message: one record in binary or JSON encoding, or a whole container file."""

import io
from collections.abc import Iterator
from typing import Any

import fastavro

from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.transforms.decoding import wire
from beam_talonone.transforms.formats import avro
from beam_talonone.transforms.formats.errors import BadFile, BadRow
from beam_talonone.transforms.formats.values import fields_of, with_body
from beam_talonone.transforms.messages.avro_schemas import UnusableSchema, parse_avro_schema

CONTAINER = avro.MAGIC

LONGEST_REASON = 200
"""Characters of a library's error in a dead letter."""


class UndecodablePayload(ValueError):
    """Bytes that are no records. The message is the reason, for a dead letter."""


def decode_binary(kind: str, data: bytes, schema: Any) -> dict[str, Any]:
    """The record of `kind` in Avro's binary encoding.

    Raises UndecodablePayload, also for bytes that are left over.
    """
    stream = io.BytesIO(data)
    try:
        record = fastavro.schemaless_reader(stream, schema, None, handle_unicode_errors="surrogateescape")
    except Exception as error:  # fastavro's errors for other bytes are not documented
        raise UndecodablePayload(
            f"the message does not fit its Avro schema: {error_line(error, LONGEST_REASON)}"
        ) from None
    if stream.tell() != len(data):
        raise UndecodablePayload(
            f"the message does not fit its Avro schema: {len(data) - stream.tell()} bytes are left over"
        )
    return _fields(kind, record)


def decode_json(kind: str, data: bytes, schema: Any) -> dict[str, Any]:
    """The record of `kind` in Avro's JSON encoding, in which a union's value stands under the name of its type."""
    try:
        records = list(fastavro.json_reader(io.StringIO(data.decode()), schema))
    except Exception as error:
        raise UndecodablePayload(
            f"the message does not fit its Avro schema: {error_line(error, LONGEST_REASON)}"
        ) from None
    if len(records) != 1:
        raise UndecodablePayload(f"a message has one record in Avro's JSON encoding, found {len(records)}")
    return _fields(kind, records[0])


def decode_container(kind: str, data: bytes) -> Iterator[dict[str, Any] | UndecodablePayload]:
    """The records of an Avro container file. A row that cannot be decoded is an UndecodablePayload in its place.

    Raises UndecodablePayload where the file is damaged; the records before it have been yielded.
    """
    stream = io.BytesIO(data)
    try:
        for row in avro.read(stream, kind, 0, None, parse_schema=parse_avro_schema):
            yield UndecodablePayload(str(row)) if isinstance(row, BadRow) else with_body(kind, _unpacked(row))
    except (BadFile, UnusableSchema) as error:
        raise UndecodablePayload(f"the Avro file in the message: {error}") from None
    except Exception as error:
        raise UndecodablePayload(
            f"the Avro file in the message is damaged: {error_line(error, LONGEST_REASON)}"
        ) from None


def _fields(kind: str, record: Any) -> dict[str, Any]:
    try:
        return with_body(kind, _unpacked(fields_of(kind, record)))
    except (BadRow, RecursionError) as error:
        raise UndecodablePayload(str(error) or "the record is nested too deep") from None


def _unpacked(fields: dict[str, Any]) -> dict[str, Any]:
    # `fields_of` packs values for the process that decodes files
    values: dict[str, Any] = wire.decode(wire.encode(fields))
    return values
