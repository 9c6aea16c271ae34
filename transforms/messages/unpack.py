"""From the bytes and attributes of a message to its records, each in the form in which sources emit records."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from beam_talonone.schemas.decoding.inflate import CannotInflate, inflate
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.transforms.messages import avro_payload
from beam_talonone.transforms.messages.avro_payload import UndecodablePayload
from beam_talonone.transforms.messages.avro_schemas import UnusableSchema
from beam_talonone.transforms.messages.envelopes import list_of, may_be_envelope, opened

MAX_UNPACKED = 64 << 20
"""Bytes. Pub/Sub limits a message to 10 MB; a packed one may claim any size."""

MAX_LAYERS = 5
"""Envelopes and packings around one another."""

MAX_RECORDS = 100_000
"""In one message."""

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_CONFLUENT_HEADER = 5
"""A zero byte and the number of the schema, in four."""

_SCHEMA, _REVISION, _ENCODING = "googclient_schemaname", "googclient_schemarevisionid", "googclient_schemaencoding"

SchemaSource = Callable[[str, str], Any]
"""(name, revision) -> the parsed writer's schema. Raises UnusableSchema for a fault of the message. Other errors pass
through `unpack`."""


@dataclass(frozen=True)
class MessageReader:
    """Takes the messages of one subscription apart.

    `schema` (`--avro-schema`) decodes messages without a schema of their own: bare Avro, and Confluent's framing.
    `writer` looks up the schema by which Pub/Sub has validated a message.

    >>> from beam_talonone.transforms.messages.unpack import MessageReader
    >>> [raw.line for raw in MessageReader().unpack("orders", "sub", b'[{"order_id": "1"}, {"order_id": "2"}]', {})]
    [b'{"order_id": "1"}', b'{"order_id": "2"}']
    """

    schema: Any | None = None
    writer: SchemaSource | None = None

    def unpack(self, kind: str, subscription: str, data: bytes, attributes: Mapping[str, str]) -> list[Raw]:
        """The records of a message of `kind`, in their order; none for a change event of a deleted row.

        A record that cannot be decoded is a Raw with `broken` and the bytes of the whole message. Raises only the
        errors of `writer`, except UnusableSchema.
        """
        if _is_plain(data, attributes):
            return [Raw(kind, subscription, 0, "jsonl", data, None, None)]
        raws: list[Raw] = []
        try:
            for content in self._contents(kind, data, attributes, MAX_LAYERS):
                position = len(raws) + 1
                if position > MAX_RECORDS:
                    raise UndecodablePayload(f"a message holds more than {MAX_RECORDS:,} records")
                if isinstance(content, bytes):
                    raws.append(Raw(kind, subscription, position, "jsonl", content, None, None))
                elif isinstance(content, dict):
                    raws.append(Raw(kind, subscription, position, "avro", None, content, None))
                else:
                    raws.append(_broken(kind, subscription, position, data, str(content)))
        except (UndecodablePayload, UnusableSchema) as error:
            raws.append(_broken(kind, subscription, len(raws) + 1, data, str(error)))
        return [_alone(raws[0])] if len(raws) == 1 else raws

    def _contents(
        self, kind: str, data: bytes, attributes: Mapping[str, str], layers: int
    ) -> Iterator[bytes | dict[str, Any] | UndecodablePayload]:
        if not layers:
            raise UndecodablePayload(f"more than {MAX_LAYERS} envelopes around one another")
        if data.startswith(_GZIP):
            yield from self._contents(kind, gunzipped(data), attributes, layers - 1)
        elif attributes.get(_ENCODING):
            yield self._validated(kind, data, attributes)
        elif data.startswith(avro_payload.CONTAINER):
            yield from avro_payload.decode_container(kind, data)
        elif data.startswith(b"\0") and len(data) >= _CONFLUENT_HEADER:
            yield avro_payload.decode_binary(kind, data[_CONFLUENT_HEADER:], self._own_schema("Confluent's framing"))
        elif self.schema is not None and not _looks_like_json(data):
            yield avro_payload.decode_binary(kind, data, self.schema)
        else:
            yield from self._json(kind, data, layers)

    def _json(self, kind: str, data: bytes, layers: int) -> Iterator[bytes | dict[str, Any] | UndecodablePayload]:
        text = data.removeprefix(_BOM)
        elements = list_of(text, MAX_RECORDS) if _first(text) == b"[" else None
        if elements is not None:
            for element in elements:
                yield from self._contents(kind, element, {}, layers - 1)
            return
        envelope = opened(text)
        if envelope is None:
            yield data
        elif envelope.data is not None:
            yield from self._contents(kind, envelope.data, {}, layers - 1)

    def _validated(self, kind: str, data: bytes, attributes: Mapping[str, str]) -> dict[str, Any] | bytes:
        name, revision = attributes.get(_SCHEMA, ""), attributes.get(_REVISION, "")
        if attributes[_ENCODING] not in ("BINARY", "JSON"):
            raise UndecodablePayload(f"{_ENCODING} is {attributes[_ENCODING]:.40}, and not BINARY or JSON")
        schema = self.schema
        if schema is None:
            if self.writer is None or not name:
                raise UndecodablePayload(
                    f"the message has a schema ({name or 'unnamed'}), and no --avro-schema is set"
                )
            schema = self.writer(name, revision)
        if attributes[_ENCODING] == "BINARY":
            return avro_payload.decode_binary(kind, data, schema)
        return avro_payload.decode_json(kind, data, schema)

    def _own_schema(self, encoding: str) -> Any:
        if self.schema is None:
            raise UndecodablePayload(f"{encoding} needs --avro-schema FILE")
        return self.schema


def gunzipped(data: bytes) -> bytes:
    """The unpacked bytes of gzip data. Raises UndecodablePayload for damaged data, and above MAX_UNPACKED."""
    try:
        return inflate(data, zlib.MAX_WBITS | 16, MAX_UNPACKED)
    except CannotInflate as error:
        raise UndecodablePayload(str(error)) from None


def _is_plain(data: bytes, attributes: Mapping[str, str]) -> bool:
    """Whether the message is one JSON object without an envelope, as nearly all messages are."""
    return _ENCODING not in attributes and data.startswith(b"{") and not may_be_envelope(data)


def _looks_like_json(data: bytes) -> bool:
    return _first(data) in (b"{", b"[")


def _first(data: bytes) -> bytes:
    return data.removeprefix(_BOM).lstrip()[:1]


def _broken(kind: str, subscription: str, position: int, data: bytes, why: str) -> Raw:
    return Raw(kind, subscription, position, "jsonl", data, None, why, whole_file=False)


def _alone(raw: Raw) -> Raw:
    # a message of one record has no positions in it
    return msgspec.structs.replace(raw, position=0)
