"""Cart item catalogs and prices."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from beam_talonone.schemas.body import (
    MAX_BULK,
    Attributes,
    Body,
    Name,
    NotNull,
    NullableAmount,
    Product,
    Time,
    UtcTime,
)
from beam_talonone.schemas.operation import Bulk, Says, operation
from beam_talonone.schemas.request import Request
from beam_talonone.schemas.types import Amount, Text


class ItemToAdd(Body):
    """Payload of ADD. An item that exists is replaced with `replaceIfExists`, else left alone."""

    sku: Text
    price: Amount | None = None
    attributes: Attributes | None = None
    product: Product | None = None
    replaceIfExists: StrictBool | None = None


class ItemToPatch(Body):
    """Payload of PATCH. A missing item is created with `createIfNotExists`, else ignored."""

    sku: Text
    price: Amount | None = None
    attributes: Attributes | None = None
    product: Product | None = None
    createIfNotExists: StrictBool | None = None


class Filter(Body):
    """A condition on an attribute of an item. For IN, `value` is a text of values separated by commas."""

    attr: Text
    op: Literal["EQ", "LT", "LE", "GT", "GE", "IN"]
    value: NotNull


class ItemsToPatch(Body):
    """Payload of PATCH_MANY: the changes of all items that pass all `filters`, or of all items without filters."""

    price: Amount | None = None
    filters: list[Filter] | None = None
    attributes: Attributes | None = None


class ItemToRemove(Body):
    """Payload of REMOVE: the item's SKU."""

    sku: Text


class ItemsToRemove(Body):
    """Payload of REMOVE_MANY: removes all items that pass all `filters`, or all items without filters."""

    filters: list[Filter] | None = None


class PriceAdjustment(Body):
    """A price of an item for a period. `priceType` and `referenceId` identify it; a null `price` ends it."""

    priceType: Text
    referenceId: Name
    price: NullableAmount = None
    calculatedAt: Time | None = None
    effectiveFrom: Time | None = None
    effectiveUntil: Time | None = None
    contextId: Text | None = None


class ItemToAdjust(Body):
    """Payload of ADD_PRICE_ADJUSTMENT: the price adjustments of one SKU."""

    sku: Text
    adjustments: list[PriceAdjustment]


class Add(Body):
    """Action of sync_catalog: add one item."""

    type: Literal["ADD"]
    payload: ItemToAdd


class Patch(Body):
    """Action of sync_catalog: change fields of one item."""

    type: Literal["PATCH"]
    payload: ItemToPatch


class PatchMany(Body):
    """Action of sync_catalog: change fields of all items that pass filters."""

    type: Literal["PATCH_MANY"]
    payload: ItemsToPatch


class Remove(Body):
    """Action of sync_catalog: remove one item."""

    type: Literal["REMOVE"]
    payload: ItemToRemove


class RemoveMany(Body):
    """Action of sync_catalog: remove all items that pass filters."""

    type: Literal["REMOVE_MANY"]
    payload: ItemsToRemove


class AddPriceAdjustment(Body):
    """Action of sync_catalog: add or end price adjustments of one item."""

    type: Literal["ADD_PRICE_ADJUSTMENT"]
    payload: ItemToAdjust


CatalogAction = Annotated[
    Add | Patch | PatchMany | Remove | RemoveMany | AddPriceAdjustment, Field(discriminator="type")
]


class CatalogSync(Body):
    """Body of sync_catalog: at most 1000 actions, all of one type, no SKU twice.

    `version` is the version of the catalog that the actions were made for; the API refuses another one.
    """

    actions: Annotated[list[CatalogAction], Field(min_length=1, max_length=MAX_BULK)]
    version: Annotated[StrictInt, Field(ge=1)] | None = None


@operation(
    "PUT /v1/catalogs/{catalogId}/sync",
    others=(("catalog", "path:catalogId"),),
    says={400: Says.UNKNOWN_IF_TRIED},
    bulk=Bulk("actions", MAX_BULK, alike="type", distinct="payload/sku", first_only=("version",), builds_up=True),
)
def sync_catalog(catalog_id: int, body: CatalogSync) -> Request:
    """Add, change and remove items of a catalog."""
    raise NotImplementedError


class PriceTarget(Body):
    """The customers that a price of best_prior_price is for: all, or those in an audience."""

    targetType: Literal["NONE", "AUDIENCE"]
    audienceID: StrictInt | None = None

    @model_validator(mode="after")
    def _audience_named(self) -> "PriceTarget":
        if (self.targetType == "AUDIENCE") != (self.audienceID is not None):
            raise PydanticCustomError("which_audience", "`audienceID` goes with the target AUDIENCE, and only so")
        return self


class PriorPriceQuestion(Body):
    """Body of best_prior_price. `timeframe` is a number of days, as text."""

    skus: Annotated[list[Text], Field(min_length=1)]
    timeframeEndDate: UtcTime
    timeframe: Text
    timeframeEndDateType: Literal["strict", "price", "sale"]
    target: PriceTarget | None = None


@operation("POST /v1/best_prior_price", reads=True)
def best_prior_price(body: PriorPriceQuestion) -> Request:
    """Read the lowest prices of items within a period."""
    raise NotImplementedError
