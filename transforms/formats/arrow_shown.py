"""The readable form of an Arrow row that Python cannot represent: texts as bytes, times as numbers."""

from typing import Any

import pyarrow as pa

from beam_talonone.transforms.formats.arrow_types import with_inner


def shown_row(batch: Any) -> dict[str, Any]:
    """The only row in `batch`. A column without any readable form is an empty object."""
    return {name: _shown(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}


def _shown(column: Any) -> Any:
    try:
        return column.to_pylist()[0]
    except (ValueError, OverflowError, pa.ArrowException):
        pass
    try:
        return column.cast(_bare(column.type)).to_pylist()[0]
    except (ValueError, OverflowError, pa.ArrowException):
        return {}


def _bare(type_: Any) -> Any:
    """The storage type of `type_`: binary for text, integers for times."""
    types = pa.types
    if types.is_string(type_):
        return pa.binary()
    if types.is_large_string(type_):
        return pa.large_binary()
    if types.is_date32(type_) or types.is_time32(type_):
        return pa.int32()
    if types.is_temporal(type_):
        return pa.int64()
    return with_inner(type_, _bare)
