"""The five kinds of records that users hand in, validated strictly; shapes and meanings are those of docs/records.md.

Fields that a model does not know are ignored here; `parse` refuses or counts them. None in a model means absent,
except for an order's `customer_id`, where it means a guest.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from beam_talonone.schemas.body import MAX_BULK, MAX_IDENTIFIERS, check_cart
from beam_talonone.schemas.content import EventContent, ReturnContent, SessionContent
from beam_talonone.schemas.types import Amount, Code, Count, Id, Instant, Sku, Text, Whole

Attributes = dict[Text, Any]
Costs = dict[Text, Amount | None]
Version = Annotated[Whole, Field(ge=-(2**63), le=2**63 - 1)]
"""What 64 bits hold: it is sorted by, on disk and across shuffles."""


class Record(BaseModel):
    """What every kind has: a time to be ordered by."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    event_time: Instant


class OrderProduct(BaseModel):
    model_config = ConfigDict(frozen=True)
    name: Text


class OrderItem(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    sku: Sku
    quantity: Count
    unit_price: Amount | None = None
    name: Text | None = None
    category: Text | None = None
    product: OrderProduct | None = None
    weight: Amount | None = None
    height: Amount | None = None
    width: Amount | None = None
    length: Amount | None = None
    attributes: Attributes | None = None
    additional_costs: Costs | None = None


class ExperimentVariantAllocation(BaseModel):
    """The variant of an experiment that was chosen for an order. The API's own spelling of its fields works too."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    experiment_id: Annotated[Whole, Field(validation_alias=AliasChoices("experiment_id", "experimentID"))]
    variant_id: Annotated[Whole, Field(validation_alias=AliasChoices("variant_id", "variantID"))]


class Order(Record):
    """A whole snapshot of an order."""

    order_id: Id
    customer_id: Id | None
    version: Version = 0
    status: Literal["open", "completed", "cancelled"]
    store_id: Id | None = None
    items: Annotated[list[OrderItem] | None, Field(validate_default=True)] = None
    coupon_codes: list[Code] | None = None
    referral_code: Code | None = None
    loyalty_card: Id | None = None
    additional_costs: Costs | None = None
    identifiers: Annotated[list[Text], Field(max_length=MAX_IDENTIFIERS)] | None = None
    attributes: Attributes | None = None
    experiment_variant_allocations: list[ExperimentVariantAllocation] | None = None
    evaluable_campaign_ids: list[Whole] | None = None
    response_content: list[SessionContent] | None = None

    @field_validator("items")
    @classmethod
    def _whole_cart(cls, items: list[OrderItem] | None, info: ValidationInfo) -> list[OrderItem] | None:
        """A completed order closes its session with what it holds: a cart without a name must not close as empty."""
        if items is None and info.data.get("status") == "completed":
            raise PydanticCustomError("missing", "Field required of a completed order")
        check_cart([item.quantity for item in items or ()])
        return items


class ReturnItem(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    sku: Sku | None = None
    position: Annotated[Whole, Field(ge=0)] | None = None
    quantity: Count

    @model_validator(mode="after")
    def _names_one_item(self) -> "ReturnItem":
        if (self.sku is None) == (self.position is None):
            raise PydanticCustomError("which_item", "a returned item has either `sku` or `position`")
        return self


class Return(Record):
    """Items of an order that came back."""

    return_id: Id
    order_id: Id
    customer_id: Id | None = None
    items: Annotated[list[ReturnItem], Field(min_length=1)]
    run_rule_engine: StrictBool | None = None
    response_content: list[ReturnContent] | None = None


class Audiences(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    add: Annotated[list[Whole], Field(max_length=MAX_BULK)] | None = None
    remove: Annotated[list[Whole], Field(max_length=MAX_BULK)] | None = None

    @model_validator(mode="after")
    def _one_request_is_enough(self) -> "Audiences":
        both = set(self.add or ()) & set(self.remove or ())
        if both:
            raise PydanticCustomError("audiences_both", "audience {id} is both added and removed", {"id": min(both)})
        if len(self.add or ()) + len(self.remove or ()) > MAX_BULK:
            raise PydanticCustomError("audiences_many", "more than 1000 audience changes")
        return self


class Profile(Record):
    """A change of a customer's profile: what it does not name stays as it is."""

    customer_id: Id
    version: Version = 0
    attributes: Attributes | None = None
    audiences: Audiences | None = None
    erase: StrictBool = False


class Event(Record):
    """Something a customer did."""

    event_id: Id
    type: Annotated[Text, Field(min_length=1)]
    customer_id: Id
    attributes: Attributes | None = None
    loyalty_card: Id | None = None
    store_id: Id | None = None
    connected_session_id: Id | None = None
    """The closed session that an advanced event (v3) refers to."""
    evaluable_campaign_ids: list[Whole] | None = None
    response_content: list[EventContent] | None = None
    """What both APIs of events answer with; `build` refuses what the one in use does not know."""


class Call(Record):
    """Any write of the API, by its name. Path, query and body are checked against the operation table."""

    call_id: Id
    operation: Text
    path: dict[Text, Id] = {}
    query: dict[Text, Any] = {}
    body: Any = None
    ordering_key: Id | None = None


class Lookup(BaseModel):
    """What is to be read. Path, query and body are checked against the operation table."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    lookup_id: Id | None = None
    path: dict[Text, Id] = {}
    query: dict[Text, Any] = {}
    body: Any = None


LOOKUPS = "lookups"
"""The kind of what `lookup` reads, beside those of the records."""

MODELS: dict[str, type[Record]] = {
    "orders": Order,
    "returns": Return,
    "profiles": Profile,
    "events": Event,
    "calls": Call,
}
"""Kind -> model. The kinds are named as the command line's options are."""

ID_FIELDS = {
    "orders": "order_id",
    "returns": "return_id",
    "profiles": "customer_id",
    "events": "event_id",
    "calls": "call_id",
    LOOKUPS: "lookup_id",
}

_RANKS = {"profiles": 0, "orders": 1, "events": 2, "returns": 3, "calls": 4}
ERASURE = 5
"""The rank of an erasure: after all else of the same time."""


def rank(kind: str, record: Record) -> int:
    """The place of a record among those of the same time: profile, order, event, return, call, erasure."""
    return ERASURE if isinstance(record, Profile) and record.erase else _RANKS[kind]
