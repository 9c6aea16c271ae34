"""Customer sessions, which are carts and orders: update, close, cancel, return and reopen them."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from beam_talonone.schemas.body import (
    MAX_IDENTIFIERS,
    AdditionalCosts,
    Attributes,
    Body,
    LoyaltyCards,
    Name,
    Product,
    check_cart,
)
from beam_talonone.schemas.content import ReturnContent, SessionContent
from beam_talonone.schemas.operation import SafeToRepeat, operation
from beam_talonone.schemas.request import Request
from beam_talonone.schemas.types import Amount, Code, Count, Id, Instant, Text


class CartItem(Body):
    """An item of a cart. `price` is per unit, `weight` in grams, and the dimensions in millimetres.

    Source: the model CartItem of update_customer_session_v2.
    """

    sku: Name
    quantity: Count
    name: Text | None = None
    price: Amount | None = None
    category: Text | None = None
    product: Product | None = None
    weight: Amount | None = None
    height: Amount | None = None
    width: Amount | None = None
    length: Amount | None = None
    attributes: Attributes | None = None
    additionalCosts: AdditionalCosts | None = None


class ExperimentVariantAllocation(Body):
    """The variant of an experiment that the session was assigned to."""

    experimentID: StrictInt
    variantID: StrictInt


class CustomerSession(Body):
    """The session of update_customer_session_v2. An absent field keeps its value, and an empty list clears it.

    At most 1000 cart items, 10,000 units, 5 identifiers and 1 loyalty card.
    """

    profileId: Annotated[Text, Field(max_length=1000)] | None = None
    storeIntegrationId: Id | None = None
    evaluableCampaignIds: list[StrictInt] | None = None
    couponCodes: list[Code] | None = None
    referralCode: Code | None = None
    loyaltyCards: LoyaltyCards | None = None
    state: Literal["open", "closed", "partially_returned", "cancelled"] | None = None
    cartItems: list[CartItem] | None = None
    experimentVariantAllocations: list[ExperimentVariantAllocation] | None = None
    additionalCosts: AdditionalCosts | None = None
    identifiers: Annotated[list[Text], Field(max_length=MAX_IDENTIFIERS)] | None = None
    attributes: Attributes | None = None

    @model_validator(mode="after")
    def _cart_within_limits(self) -> "CustomerSession":
        check_cart([item.quantity for item in self.cartItems or ()])
        return self


class SessionUpdate(Body):
    """Body of update_customer_session_v2."""

    customerSession: CustomerSession
    responseContent: list[SessionContent] | None = None


class ReturnedCartItem(Body):
    """A returned item, named by `sku`, by `position` (from 0) or by both. Without `quantity`, all its remaining
    units.
    """

    position: Annotated[StrictInt, Field(ge=0)] | None = None
    sku: Name | None = None
    quantity: Count | None = None

    @model_validator(mode="after")
    def _names_an_item(self) -> "ReturnedCartItem":
        if self.position is None and self.sku is None:
            raise PydanticCustomError("which_item", "a returned item needs `sku` or `position`")
        return self


class NewReturn(Body):
    """The items that are returned together, which the API rolls back as one return."""

    returnedCartItems: Annotated[list[ReturnedCartItem], Field(min_length=1)]


class CartReturn(Body):
    """Body of return_cart_items."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_alias=True)

    return_: Annotated[NewReturn, Field(alias="return")]
    responseContent: list[ReturnContent] | None = None


@operation(
    "PUT /v2/customer_sessions/{customerSessionId}",
    repeat=SafeToRepeat.BY_KEY,
    sessions=("path:customerSessionId",),
    profiles=("body:customerSession/profileId",),
    needs={"now": "dry"},
    creates=True,
)
def update_customer_session_v2(
    customer_session_id: Id, body: SessionUpdate, *, dry: bool | None = None, now: Instant | None = None
) -> Request:
    """Create, update, close or cancel a customer session, which is a cart or an order."""
    raise NotImplementedError


@operation("GET /v2/customer_sessions/{customerSessionId}")
def get_customer_session(customer_session_id: Id) -> Request:
    """Read a customer session with its effects."""
    raise NotImplementedError


@operation(
    "POST /v2/customer_sessions/{customerSessionId}/returns",
    repeat=SafeToRepeat.BY_KEY,
    sessions=("path:customerSessionId",),
)
def return_cart_items(
    customer_session_id: Id, body: CartReturn, *, dry: bool | None = None, run_rule_engine: bool | None = None
) -> Request:
    """Return items of a closed session, and roll back their effects."""
    raise NotImplementedError


@operation(
    "PUT /v2/customer_sessions/{customerSessionId}/reopen",
    repeat=SafeToRepeat.BY_KEY,
    sessions=("path:customerSessionId",),
)
def reopen_customer_session(customer_session_id: Id) -> Request:
    """Reopen a closed session to edit it."""
    raise NotImplementedError
