"""The five kinds of records that users hand in, validated strictly. docs/records.md describes their fields.

The models ignore unknown fields; `parse` refuses or counts them. None in a model means absent, except for an order's
`customer_id`, where it means a guest.
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
from beam_talonone.schemas.kinds import LOOKUPS
from beam_talonone.schemas.types import Amount, Code, Count, Id, Instant, Sku, Text, Whole

Attributes = dict[Text, Any]
Costs = dict[Text, Amount | None]
Version = Annotated[Whole, Field(ge=-(2**63), le=2**63 - 1)]
"""A signed integer of 64 bits, because records are sorted by it on disk and across shuffles."""


class Record(BaseModel):
    """Base of all kinds. Records are ordered by `event_time`, an instant in UTC."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    event_time: Instant


class OrderProduct(BaseModel):
    """The product that an item is a variant of."""

    model_config = ConfigDict(frozen=True)
    name: Text


class OrderItem(BaseModel):
    """One line of an order's cart. `unit_price` is in the currency of the Application.

    `weight` is in grams; `height`, `width` and `length` are in millimetres (CartItem of the vendor's API reference).
    """

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
    """The variant of an experiment that an order was assigned to. The API's own spelling of the fields works too."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    experiment_id: Annotated[Whole, Field(validation_alias=AliasChoices("experiment_id", "experimentID"))]
    variant_id: Annotated[Whole, Field(validation_alias=AliasChoices("variant_id", "variantID"))]


class Order(Record):
    """A whole snapshot of an order: it replaces the earlier versions of the order.

    Records of one order are sent in the order of `event_time`, then `version`.

    >>> fields = {"order_id": 3001, "customer_id": None, "status": "open", "event_time": "2026-05-01T14:00:00+02:00"}
    >>> order = Order.model_validate(fields)
    >>> order.order_id, order.customer_id, order.event_time.isoformat()
    ('3001', None, '2026-05-01T12:00:00+00:00')
    """

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
        """Require the items of a completed order: without them, it would close its session with an empty cart."""
        if items is None and info.data.get("status") == "completed":
            raise PydanticCustomError("missing", "Field required of a completed order")
        check_cart([item.quantity for item in items or ()])
        return items


class ReturnItem(BaseModel):
    """How many units of one cart item were returned. Either `sku` or `position` (from 0) names the item."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    sku: Sku | None = None
    position: Annotated[Whole, Field(ge=0)] | None = None
    quantity: Count

    @model_validator(mode="after")
    def _names_one_item(self) -> "ReturnItem":
        check_returned(self.sku, self.position)
        return self


def check_returned(sku: str | None, position: int | None) -> None:
    """Check that one of them names the returned item. Raises PydanticCustomError."""
    if (sku is None) == (position is None):
        raise PydanticCustomError("which_item", "a returned item has either `sku` or `position`")


class Return(Record):
    """The return of items of an order, sent with the operation return_cart_items.

    >>> fields = {"return_id": "r-1", "order_id": "3001", "event_time": "2026-05-02T08:00:00Z"}
    >>> returned = Return.model_validate({**fields, "items": [{"sku": "mug", "quantity": 1}]})
    >>> returned.items
    [ReturnItem(sku='mug', position=None, quantity=1)]
    """

    return_id: Id
    order_id: Id
    customer_id: Id | None = None
    items: Annotated[list[ReturnItem], Field(min_length=1)]
    run_rule_engine: StrictBool | None = None
    response_content: list[ReturnContent] | None = None


class Audiences(BaseModel):
    """Numbers of the audiences to which a customer is added, and from which they are removed: at most 1000."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    add: Annotated[list[Whole], Field(max_length=MAX_BULK)] | None = None
    remove: Annotated[list[Whole], Field(max_length=MAX_BULK)] | None = None

    @model_validator(mode="after")
    def _one_request_is_enough(self) -> "Audiences":
        check_audiences(self.add, self.remove)
        return self


def check_audiences(add: list[int] | None, remove: list[int] | None) -> None:
    """Check that one request can change these audiences. Raises PydanticCustomError."""
    both = set(add or ()) & set(remove or ())
    if both:
        raise PydanticCustomError("audiences_both", "audience {id} is both added and removed", {"id": min(both)})
    if len(add or ()) + len(remove or ()) > MAX_BULK:
        raise PydanticCustomError("audiences_many", "more than 1000 audience changes")


class Profile(Record):
    """A change of a customer's profile. Attributes that it does not name keep their values.

    With `erase`, the customer's data is erased (operation delete_customer_data).

    >>> change = {"customer_id": "c-17", "attributes": {"city": "Kiel"}, "event_time": "2026-05-01T12:00:00Z"}
    >>> profile = Profile.model_validate(change)
    >>> profile.attributes, profile.erase
    ({'city': 'Kiel'}, False)
    """

    customer_id: Id
    version: Version = 0
    attributes: Attributes | None = None
    audiences: Audiences | None = None
    erase: StrictBool = False


class Event(Record):
    """Something a customer did, sent with the operation track_event_v2 or track_event_v3.

    >>> fields = {"event_id": "e-1", "type": "signup", "customer_id": "c-17", "event_time": "2026-05-01T12:00:00Z"}
    >>> event = Event.model_validate(fields)
    >>> event.type, event.customer_id
    ('signup', 'c-17')
    """

    event_id: Id
    type: Annotated[Text, Field(min_length=1)]
    customer_id: Id
    attributes: Attributes | None = None
    loyalty_card: Id | None = None
    store_id: Id | None = None
    connected_session_id: Id | None = None
    """The id of the closed session that an advanced event (v3) refers to."""
    evaluable_campaign_ids: list[Whole] | None = None
    response_content: list[EventContent] | None = None
    """The parts of the answer of either API of events; `build` refuses those that the API in use does not have."""


class Call(Record):
    """Any operation of the API that writes. `check_call` checks path, query and body against the operation table.

    >>> where = {"call_id": "k-1", "operation": "delete_audience_v2", "path": {"audienceId": 7}}
    >>> call = Call.model_validate({**where, "event_time": "2026-05-01T12:00:00Z"})
    >>> call.operation, call.path
    ('delete_audience_v2', {'audienceId': '7'})
    """

    call_id: Id
    operation: Text
    path: dict[Text, Id] = {}
    query: dict[Text, Any] = {}
    body: Any = None
    ordering_key: Id | None = None


class Lookup(BaseModel):
    """One request of `lookup`. `check_request` checks path, query and body against the operation table.

    >>> lookup = Lookup.model_validate({"path": {"integrationId": "c-17"}, "query": {"points": True}})
    >>> lookup.path, lookup.lookup_id
    ({'integrationId': 'c-17'}, None)
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    lookup_id: Id | None = None
    path: dict[Text, Id] = {}
    query: dict[Text, Any] = {}
    body: Any = None


MODELS: dict[str, type[Record]] = {
    "orders": Order,
    "returns": Return,
    "profiles": Profile,
    "events": Event,
    "calls": Call,
}
"""Kind -> model. The kinds have the names of the options of the command line."""

ID_FIELDS = {
    "orders": "order_id",
    "returns": "return_id",
    "profiles": "customer_id",
    "events": "event_id",
    "calls": "call_id",
    LOOKUPS: "lookup_id",
}
