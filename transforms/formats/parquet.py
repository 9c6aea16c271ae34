"""Parquet files, read by pyarrow a few rows at a time."""

import io
import itertools
from collections.abc import Callable, Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from beam_talonone.transforms.formats.arrow_shown import shown_row
from beam_talonone.transforms.formats.arrow_types import with_inner
from beam_talonone.transforms.formats.errors import BadFile, BadRow
from beam_talonone.transforms.formats.values import fields_of, float_of_single, shown_fields

BATCH_ROWS = 1000
ROWS_FREE, ROWS_PER_BYTE = 100_000, 100
COLUMN_BUFFER = 256 << 10

Convert = Callable[[Any], Any]


def cuts(handle: IO[bytes], shard_bytes: int) -> Iterator[tuple[int, int]]:
    """Where shards begin, except the first: the number of a row group, and the position of its first row.

    A shard begins at the first row group before which the last one has `shard_bytes` or more, unpacked.
    """
    metadata = _open(handle).metadata
    size, position = 0, 1
    for group in range(metadata.num_row_groups):
        if size >= shard_bytes:
            size = 0
            yield group, position
        size += metadata.row_group(group).total_byte_size
        position += metadata.row_group(group).num_rows


def read(
    handle: IO[bytes], kind: str, start: int, end: int | None, *, each: bool = False
) -> Iterator[dict[str, Any] | BadRow]:
    """The rows of the row groups from `start` to before `end`. With `each`, they are decoded one at a time.

    Raises BadFile, and the errors of pyarrow on damaged data.
    """
    file = _open(handle)
    _check_rows(file.metadata, handle.seek(0, io.SEEK_END))
    names = file.schema_arrow.names
    if len(set(names)) < len(names):
        raise BadFile("the schema has two columns of the same name")
    target = pa.schema([(field.name, plain_type(field.type)) for field in file.schema_arrow])
    converts = {field.name: convert for field in target if (convert := converter(field.type)) is not None}
    # One row group at a time: a batch of two would lose rows of the first if the second is damaged.
    for group in range(start, file.metadata.num_row_groups if end is None else end):
        done, one_by_one = 0, each
        try:
            for row in [] if one_by_one else _rows_of(file, group, BATCH_ROWS, target):
                done += 1
                yield _record(kind, row, converts)
        except (OSError, MemoryError, ValueError, pa.ArrowException):
            one_by_one = True  # the rows before the damage in its batch are readable
        if one_by_one:
            for row in itertools.islice(_rows_of(file, group, 1, target), done, None):
                done += 1
                yield _record(kind, row, converts)
        _check_count(done, file.metadata.row_group(group).num_rows, f"row group {group + 1}")
    _check_count(_rows_in_groups(file.metadata), file.metadata.num_rows, "the file")


def _rows_of(file: Any, group: int, many: int, target: Any) -> Iterator[dict[str, Any] | BadRow]:
    for batch in file.iter_batches(many, row_groups=[group], use_threads=False):
        columns = [
            column if column.type == type_ else column.cast(type_, safe=False)
            for column, type_ in zip(batch.columns, target.types, strict=True)
        ]
        yield from _rows(pa.RecordBatch.from_arrays(columns, names=target.names))


def _open(handle: IO[bytes]) -> Any:
    try:
        # With a buffer size, pyarrow streams the column chunks, which may be as large as the file.
        return pq.ParquetFile(handle, buffer_size=COLUMN_BUFFER, pre_buffer=False, page_checksum_verification=True)
    except pa.ArrowInvalid as error:
        raise BadFile(f"not a whole Parquet file: {error}") from error


def _check_rows(metadata: Any, size: int) -> None:
    """Raise BadFile for too many rows: rows without values take no bytes, and a damaged file can claim any number."""
    if metadata.num_rows > ROWS_FREE + ROWS_PER_BYTE * size:
        raise BadFile(f"damaged data: the file claims {metadata.num_rows:,} rows in {size:,} bytes")


def _check_count(found: int, claimed: int, what: str) -> None:
    """Raise BadFile for a count that differs: pyarrow stops at the end of the shortest column, without an error."""
    if found != claimed:
        raise BadFile(f"damaged data: {what} has {found:,} of the {claimed:,} rows that its metadata claims")


def _rows_in_groups(metadata: Any) -> int:
    return sum(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))


def _rows(batch: Any) -> Iterator[dict[str, Any] | BadRow]:
    try:
        rows = batch.to_pylist()
    except (ValueError, OverflowError, pa.ArrowException):
        rows = None
    if rows is not None:
        yield from rows
        return
    # A value that Python cannot hold (a year beyond 9999, text that is not UTF-8) costs its own row only.
    for index in range(batch.num_rows):
        try:
            [row] = batch.slice(index, 1).to_pylist()
        except (ValueError, OverflowError, pa.ArrowException) as error:
            yield BadRow(f"a value that cannot be read: {error}", shown_row(batch.slice(index, 1)))
        else:
            yield row


def _record(kind: str, row: dict[str, Any] | BadRow, converts: dict[str, Convert]) -> dict[str, Any] | BadRow:
    if isinstance(row, BadRow):
        return BadRow(str(row), shown_fields(kind, row.fields))
    try:
        for name, convert in converts.items():
            row[name] = convert(row[name])
        return fields_of(kind, row)
    except BadRow as error:
        return BadRow(str(error), shown_fields(kind, row))


def plain_type(type_: Any) -> Any:
    """The Arrow type in which pyarrow converts values of `type_` to Python without loss.

    Nanoseconds become microseconds, because Python has no finer ones. Instants become UTC, and dictionaries are
    resolved.
    """
    types = pa.types
    if types.is_timestamp(type_):
        unit = "us" if type_.unit == "ns" else type_.unit
        return pa.timestamp(unit, tz=None if type_.tz is None else "UTC")
    if types.is_time64(type_) and type_.unit == "ns":
        return pa.time64("us")
    if types.is_duration(type_) and type_.unit == "ns":
        return pa.duration("us")
    if types.is_float16(type_):
        return pa.float32()
    if types.is_dictionary(type_):
        return plain_type(type_.value_type)
    return with_inner(type_, plain_type)


def converter(type_: Any) -> Convert | None:
    """The conversion that pyarrow's Python values of `type_` still need, or None.

    pyarrow returns maps as pairs, and 32-bit floats with more digits than they have.
    """
    types = pa.types
    if types.is_float32(type_):
        return _optional(float_of_single)
    if types.is_map(type_):
        of_item = converter(type_.item_type) or _same
        return _optional(lambda pairs: {key: of_item(item) for key, item in pairs})
    if types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_):
        of_value = converter(type_.value_type)
        return of_value and _optional(lambda values: [of_value(value) for value in values])
    if types.is_struct(type_):
        parts = {field.name: part for field in type_ if (part := converter(field.type)) is not None}
        return _optional(lambda row: {**row, **{n: part(row[n]) for n, part in parts.items()}}) if parts else None
    return None


def _same(value: Any) -> Any:
    return value


def _optional(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)
