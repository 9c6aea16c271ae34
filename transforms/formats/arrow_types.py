"""Arrow types that contain other types."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa


def with_inner(type_: Any, change: Callable[[Any], Any]) -> Any:
    """A struct, map or list type with `change` applied to the types in it; other types unchanged."""
    types = pa.types
    if types.is_struct(type_):
        return pa.struct([field.with_type(change(field.type)) for field in type_])
    if types.is_map(type_):
        return pa.map_(change(type_.key_type), change(type_.item_type))
    if types.is_fixed_size_list(type_):
        return pa.list_(type_.value_field.with_type(change(type_.value_type)), type_.list_size)
    if types.is_large_list(type_):
        return pa.large_list(type_.value_field.with_type(change(type_.value_type)))
    if types.is_list(type_):
        return pa.list_(type_.value_field.with_type(change(type_.value_type)))
    return type_
