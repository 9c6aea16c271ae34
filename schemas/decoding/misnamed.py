"""Unknown fields of a record, and which of them are a known field under a wrong name.

docs/records.md describes the rules. The known fields come from the models. The tables below add names that shop
systems and the API use for the same fields.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

from pydantic import AliasChoices, AliasPath, BaseModel

from beam_talonone.schemas.decoding.near import LONGEST, TYPO_FROM, normalised, one_typo, singular
from beam_talonone.schemas.records import (
    Audiences,
    Call,
    Event,
    Lookup,
    Order,
    OrderItem,
    OrderProduct,
    Profile,
    Return,
    ReturnItem,
)

Model = type[BaseModel]

_TIMES = (
    "time timestamp ts date datetime event_date event_timestamp created created_at date_created updated_at"
    " occurred_at"
)
_CUSTOMERS = (
    "customer customer_number customer_no customer_key customer_email email user user_id member_id client_id"
    " contact_id"
)

SURELY: dict[Model, dict[str, str]] = {
    Order: {
        "order_id": "customer_session_id",
        "customer_id": "profile_id",
        "store_id": "store_integration_id",
        "items": "line_items order_items cart_items basket_items order_lines",
    },
    OrderItem: {"quantity": "qty", "unit_price": "price"},
    Return: {
        "order_id": "customer_session_id",
        "customer_id": "profile_id",
        "items": "line_items return_items returned_items returned_cart_items",
    },
    ReturnItem: {"quantity": "qty"},
    Profile: {"customer_id": "profile_id"},
    Event: {"customer_id": "profile_id", "store_id": "store_integration_id"},
}
"""Model -> field -> synonyms. They are refused even if the field is present."""

INSTEAD: dict[Model, dict[str, str]] = {
    Order: {
        "order_id": "id order order_number order_no order_name order_key session_id integration_id",
        "customer_id": _CUSTOMERS,
        "status": "state order_status",
        "event_time": f"{_TIMES} order_date ordered_at",
        "items": "lines line products articles positions basket cart",
        "coupon_codes": "coupon coupons voucher vouchers voucher_code voucher_codes promo_code promo_codes",
        "loyalty_card": "loyalty_card_id loyalty_card_number loyalty_card_identifier",
        "identifiers": "identifier",
        "attributes": "custom_attributes attrs",
    },
    OrderItem: {
        "sku": "item_sku product_sku variant_sku item_id product_id variant_id article_number id code ean gtin",
        "quantity": "count units pieces quantity_ordered ordered_quantity",
        "unit_price": "item_price price_per_unit unit_amount amount",
        "category": "categories",
        "attributes": "custom_attributes attrs",
    },
    OrderProduct: {"name": "title product_name"},
    Return: {
        "return_id": "id return return_number return_no refund_id",
        "order_id": "order order_number order_no session_id",
        "event_time": f"{_TIMES} return_date returned_at",
        "items": "lines products articles positions",
    },
    ReturnItem: {
        "sku": "item_sku product_sku variant_sku",
        "quantity": "count units pieces returned_quantity quantity_returned",
    },
    Profile: {
        "customer_id": f"id integration_id {_CUSTOMERS}",
        "event_time": f"{_TIMES} modified_at changed_at",
        "attributes": "custom_attributes attrs properties traits",
        "audiences": "audience_ids",
        "erase": "erasure",
    },
    Audiences: {"add": "added", "remove": "removed"},
    Event: {
        "event_id": "id message_id uuid",
        "type": "event event_type event_name name",
        "customer_id": _CUSTOMERS,
        "event_time": _TIMES,
        "attributes": "custom_attributes attrs properties",
        "loyalty_card": "loyalty_card_id loyalty_card_number loyalty_card_identifier",
    },
    Call: {
        "call_id": "id",
        "operation": "operation_id operation_name",
        "event_time": _TIMES,
        "path": "path_params path_parameters",
        "query": "query_params query_parameters params",
        "body": "payload",
    },
    Lookup: {
        "path": "path_params path_parameters",
        "query": "query_params query_parameters params",
        "body": "payload",
    },
}
"""Model -> field -> names that often mean it, and often something else. They are refused only without the field."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """An unknown field: its `place` in the record, and the field that is probably `meant`, or None."""

    place: tuple[str | int, ...]
    meant: str | None = None

    @property
    def name(self) -> str:
        """The place without the indices of list entries, for summaries: `items/price`."""
        return "/".join(part for part in self.place if isinstance(part, str))


def unknown_fields(model: Model, fields: Mapping[Any, Any]) -> list[Unknown]:
    """The fields of a record that `model` lacks, at every level that has a model."""
    return list(_within(model, fields, ()))


def without_unknown(model: Model, fields: Mapping[Any, Any]) -> dict[Any, Any]:
    """The fields of a record that `model` has, at every level that has a model."""
    level = _level(model)
    known = {name: value for name, value in fields.items() if name in level.known}
    for name, inner in level.inner:
        value = known.get(name)
        if isinstance(value, Mapping):
            known[name] = without_unknown(inner, value)
        elif isinstance(value, list):
            known[name] = [without_unknown(inner, one) if isinstance(one, Mapping) else one for one in value]
    return known


def _within(model: Model, fields: Mapping[Any, Any], place: tuple[str | int, ...]) -> Iterator[Unknown]:
    level = _level(model)
    if not fields.keys() <= level.known:
        for name, value in fields.items():
            if name not in level.known:
                yield Unknown((*place, str(name)), _meant(model, level, str(name), value, fields))
    for name, inner in level.inner:
        value = fields.get(name)
        if isinstance(value, Mapping):
            yield from _within(inner, value, (*place, name))
        elif isinstance(value, list):
            for number, entry in enumerate(value):
                if isinstance(entry, Mapping):
                    yield from _within(inner, entry, (*place, name, number))


@dataclass(frozen=True, slots=True)
class _Level:
    known: frozenset[str]
    inner: tuple[tuple[str, Model], ...]
    nullable: frozenset[str]
    """Required fields in which null is a value."""


@lru_cache(maxsize=64)
def _level(model: Model) -> _Level:
    known = model.model_fields
    aliases = (alias for field in known.values() for alias in _aliases(field.validation_alias))
    inner = ((name, item) for name, field in known.items() if (item := _model_in(field.annotation)) is not None)
    nullable = (
        name for name, field in known.items() if field.is_required() and type(None) in get_args(field.annotation)
    )
    return _Level(frozenset({*known, *aliases}), tuple(inner), frozenset(nullable))


def _aliases(alias: str | AliasPath | AliasChoices | None) -> list[str]:
    """The names of a field in pydantic's `validation_alias`."""
    if isinstance(alias, AliasChoices):
        return [choice for choice in alias.choices if isinstance(choice, str)]
    return [alias] if isinstance(alias, str) else []


def _model_in(annotation: Any) -> Model | None:
    """The model in the annotation of a field, also as the entries of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for inner in get_args(annotation) if (model := _model_in(inner)) is not None), None)


def _meant(model: Model, level: _Level, name: str, value: Any, fields: Mapping[Any, Any]) -> str | None:
    if value is None:  # null counts as absent
        return None
    near = near_miss(model, name)
    if near is None:
        return None
    field, surely = near
    if not surely and not _is_absent(field, level, fields):
        return None
    head, dot, rest = name.partition(".")
    return f"{field}.{rest}" if dot and head != field else field


def _is_absent(field: str, level: _Level, fields: Mapping[Any, Any]) -> bool:
    if field in level.nullable:
        return field not in fields
    value = fields.get(field)
    return value is None or (isinstance(value, str | list | Mapping) and not value)


@lru_cache(maxsize=4096)
def near_miss(model: Model, name: str) -> tuple[str, bool] | None:
    """The field of `model` of which `name` is a near miss, and whether it is certain; None if there is none.

    It is certain for another case or separator, singular for plural, and synonyms. It is uncertain for a typing
    error, and for a name that often means the field.
    """
    if len(name) > LONGEST:
        return None
    known = model.model_fields
    head, dot, _ = name.partition(".")
    if dot:  # a column such as Attributes.city, or attributes.city in a record that could nest it
        near = (head, True) if head in known else near_miss(model, head)
        return near if near is not None and near[1] and _holds_names(known[near[0]].annotation) else None
    spelt = normalised(name)
    surely, instead = _tables(model)
    for table, certain in ((surely, True), (instead, False)):
        if spelt in table:
            return table[spelt], certain
    stem = singular(spelt)
    for field in known:
        if spelt == normalised(field) or (len(stem) > 1 and stem == singular(normalised(field))):
            return field, True
    typed = _snake(name)
    return next(((field, False) for field in known if len(field) >= TYPO_FROM and one_typo(typed, field)), None)


def _holds_names(annotation: Any) -> bool:
    """Whether the value of a field is an object."""
    if annotation is dict or getattr(annotation, "__origin__", None) is dict:
        return True
    if isinstance(annotation, type):
        return issubclass(annotation, BaseModel)
    return any(
        _holds_names(inner) for inner in get_args(annotation) if getattr(annotation, "__origin__", None) is not list
    )


@lru_cache(maxsize=64)
def _tables(model: Model) -> tuple[dict[str, str], dict[str, str]]:
    """Normalised name -> field, for SURELY and for INSTEAD."""
    both = (table.get(model, {}) for table in (SURELY, INSTEAD))
    surely, instead = (
        {normalised(name): field for field, names in of.items() for name in names.split()} for of in both
    )
    return surely, instead


def _snake(name: str) -> str:
    spelt = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip()).lower()
    return re.sub(r"[\s\-]+", "_", spelt)
