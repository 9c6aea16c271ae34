"""A record between the steps of WriteToTalonOne: its work and what a dead letter shows of it, both as bytes."""

import json
from collections.abc import Iterable

from beam_talonone.schemas.decoding.shown import Shown
from beam_talonone.talonone.requests.work import Work

Packed = tuple[bytes, bytes]
"""(work, record): `Work.to_bytes()`, and the record as `pack_record` writes it."""


def pack_record(record: Shown, part: str | None) -> bytes:
    """The result of `in_python` as bytes. `part` tells a mapped record from the others of its document `record`."""
    return json.dumps([record.record, record.altered, *([] if part is None else [part])]).encode()


def unpack_record(data: bytes) -> tuple[Shown, str | None]:
    """The record and the part that `pack_record` wrote."""
    record, altered, *part = json.loads(data)
    return Shown(record, altered), part[0] if part else None


def element_source(label: str, part: str | None) -> dict[str, str]:
    """The `source` of a dead letter of the step `label`. `part` is that of a mapped record."""
    return {"step": label} if part is None else {"step": label, "part": part}


def in_order(entries: Iterable[Packed]) -> list[tuple[Work, Packed]]:
    """The records in the order in which they are sent, with their decoded work."""
    works = [(Work.from_bytes(entry[0]), entry) for entry in entries]
    # elements of a PCollection have no positions, so their content breaks ties, always in the same way
    works.sort(key=lambda pair: (pair[0].order(), pair[0].content))
    return works
