"""A row of Arrow that Python cannot hold, as far as it can be shown: texts as bytes, times as their numbers."""

from typing import Any

import pyarrow as pa

from beam_talonone.transforms.formats.arrow_types import with_inner


def shown_row(batch: Any) -> dict[str, Any]:
    """The one row in `batch`. A column that can be read in no way is an empty object."""
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
    """The type of the same values before they are read as text or times."""
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
