"""Shared parts of the bodies of the API's requests. The bodies themselves are defined next to their operations.

The models are strict: they refuse whatever the API refuses. Fields have the API's own names. Unknown names are
refused, so that a misspelt name in a `call` record is found before anything is sent.
"""

import re
from datetime import UTC, tzinfo
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    RootModel,
    StrictInt,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from beam_talonone.schemas.jsonio import NULL
from beam_talonone.schemas.request import query_text
from beam_talonone.schemas.types import Amount, Id, Text, parse_instant, utc_text

MAX_CART_ITEMS: Final = 1000
MAX_CART_QUANTITY: Final = 10_000
MAX_IDENTIFIERS: Final = 5
MAX_BULK: Final = 1000

Attributes = dict[Text, Any]
LoyaltyCards = Annotated[list[Id], Field(max_length=1)]
Name = Annotated[Text, Field(min_length=1)]
Ids = list[Id]


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise PydanticCustomError("twice", "an entry stands twice")
    return values


Distinct = Annotated[list[StrictInt], AfterValidator(_distinct)]
"""Integers without duplicates."""


class Body(BaseModel):
    """Base of all bodies: immutable, and it refuses unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AttributeValues(RootModel[Attributes]):
    """Names of attributes with their values, without a field around them."""


class AdditionalCost(Body):
    """A cost on top of the cart or of an item, such as shipping, in the currency of the Application."""

    price: Amount


AdditionalCosts = dict[Text, AdditionalCost]


class Product(Body):
    """The product that a cart or catalog item is a variant of, by its name in Talon.One."""

    name: Text


def check_cart(quantities: list[int]) -> None:
    """Check the API's limits on one cart: 1000 items, and quantities that sum to 10,000.

    Raises PydanticCustomError, so it may be called from validators.
    """
    if len(quantities) > MAX_CART_ITEMS:
        raise PydanticCustomError("cart_items", "more than 1000 cart items")
    if sum(quantities) > MAX_CART_QUANTITY:
        raise PydanticCustomError("cart_quantity", "the quantities of the cart sum to more than 10,000")


_PLAIN_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def _as_time(text: str, assume: tzinfo | None = None) -> str:
    try:
        instant = parse_instant(text, assume)
    except ValueError as error:
        raise PydanticCustomError("time", "{why}", {"why": str(error)}) from None
    # RFC 3339 allows a space, lower case and leap seconds, which few parsers accept
    return text if _PLAIN_TIME.fullmatch(text) else query_text(instant)


Time = Annotated[Text, AfterValidator(_as_time), WithJsonSchema({"type": "string", "format": "date-time"})]
"""RFC 3339 text with an offset. The common form is sent unchanged, and others are normalised to UTC."""


UtcTime = Annotated[
    Text, AfterValidator(lambda text: _as_time(utc_text(text), UTC)),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]  # fmt: skip
"""A Time in a request that reads: a date means its midnight, and a time without an offset is in UTC."""


def _not_null(value: Any) -> Any:
    if value is None:
        raise PydanticCustomError("null", "null is no value here")
    return value


NotNull = Annotated[Any, AfterValidator(_not_null)]
"""Any value but null."""

NullableAmount = Annotated[
    Amount | None,
    WrapValidator(lambda value, inner: NULL if value is None else inner(value)),
    PlainSerializer(lambda value: value, return_type=Any),
]
"""An amount, or null, which is sent because it has a meaning to the API."""
