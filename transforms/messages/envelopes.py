"""Envelopes around a record in a JSON message: CloudEvents and Debezium. Numbers keep their text."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from beam_talonone.schemas import jsonio
from beam_talonone.transforms.formats.json_values import values
from beam_talonone.transforms.messages.avro_payload import UndecodablePayload

_PARTS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_ANY = msgspec.json.Decoder(msgspec.Raw)
_CLOUD_EVENT = frozenset({"specversion", "id", "source", "type"})
_CHANGE = frozenset({"op", "after"})
_CHANGE_NAMES = _CHANGE | {"before", "source", "transaction", "ts_ms", "ts_us", "ts_ns"}
_OPERATIONS = frozenset("crudtm")
"""Debezium: create, read (snapshot), update, delete, truncate, message."""


class Opened(NamedTuple):
    """The content of an envelope. `data` is None for an event without a record: a deleted row."""

    data: bytes | None


def list_of(data: bytes, most: int) -> Iterable[bytes] | None:
    """The elements of a JSON array, each with its text unchanged. None if `data` is no array.

    If it may have more than `most`, they are taken out one by one: a packed message may have twenty million.
    """
    try:
        if data.count(b",") < most:
            return [bytes(element) for element in _LIST.decode(data)]
        _ANY.decode(data)
    except (ValueError, RecursionError):
        return None
    return values([data], len(data))


def opened(data: bytes) -> Opened | None:
    """The content of the envelope `data`, or None if `data` is no envelope, but perhaps the record itself.

    Raises UndecodablePayload for an envelope without readable content.
    """
    if not may_be_envelope(data):
        return None
    try:
        parts = _PARTS.decode(data)
    except (ValueError, RecursionError):
        return None
    if parts.keys() >= _CLOUD_EVENT and _text(parts["specversion"]):
        return _cloud_event(parts)
    return _debezium(parts)


def may_be_envelope(data: bytes) -> bool:
    """Whether the JSON object `data` can be an envelope. A search in bytes: parsing each record would cost more."""
    return b'"specversion"' in data or (b'"after"' in data and b'"op"' in data)


def _cloud_event(parts: Mapping[str, msgspec.Raw]) -> Opened:
    packed = parts.get("data_base64")
    if packed is not None and bytes(packed) != b"null":  # some publishers write absent fields as null
        try:
            return Opened(base64.b64decode(_text(packed) or "", validate=True))
        except (binascii.Error, ValueError):
            raise UndecodablePayload("data_base64 of the CloudEvent is not base64") from None
    if "data" not in parts:
        raise UndecodablePayload("the CloudEvent has no data")
    data = bytes(parts["data"])
    # JSON may also travel as a text
    text = _text(parts["data"]) if data.startswith(b'"') else None
    return Opened(data if text is None else text.encode())


def _debezium(parts: Mapping[str, msgspec.Raw]) -> Opened | None:
    if "payload" in parts and parts.keys() <= {"schema", "payload"}:
        try:
            parts = _PARTS.decode(parts["payload"])
        except (ValueError, RecursionError):
            return None
    if not _CHANGE <= parts.keys() <= _CHANGE_NAMES or _text(parts["op"]) not in _OPERATIONS:
        return None
    after = bytes(parts["after"])
    if after == b"null":
        return Opened(None)
    return Opened(after) if after.startswith(b"{") else None


def _text(value: Any) -> str | None:
    if value is None:
        return None
    try:
        text = jsonio.loads(bytes(value))
    except ValueError:
        return None
    return text if isinstance(text, str) else None
