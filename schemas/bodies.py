"""Bodies of the API's requests, strict: what these refuse, the API would refuse too.

Field names are the API's own. Unknown names are refused, so that a misspelt one in a `call` record is found
before anything is sent. Source: Talon.One Integration API, the operations named in each docstring.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from beam_talonone.schemas.types import Amount, Code, Count, Id, Text

MAX_CART_ITEMS = 1000
MAX_CART_QUANTITY = 10_000
MAX_IDENTIFIERS = 5
MAX_BULK = 1000

Attributes = dict[Text, Any]
LoyaltyCards = Annotated[list[Id], Field(max_length=1)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AdditionalCost(Body):
    price: Amount


AdditionalCosts = dict[Text, AdditionalCost]


class Product(Body):
    name: Text


class CartItem(Body):
    sku: Annotated[Text, Field(min_length=1)]
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


def check_cart(quantities: list[int]) -> None:
    """The API's limits on one cart: 1000 items and a summed quantity of 10,000."""
    if len(quantities) > MAX_CART_ITEMS:
        raise PydanticCustomError("cart_items", "more than 1000 cart items")
    if sum(quantities) > MAX_CART_QUANTITY:
        raise PydanticCustomError("cart_quantity", "the quantities of the cart sum to more than 10,000")


class ExperimentVariantAllocation(Body):
    experimentID: StrictInt
    variantID: StrictInt


class CustomerSession(Body):
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


SessionContent = Literal[
    "customerSession", "customerProfile", "coupons", "triggeredCampaigns", "referral", "loyalty", "event",
    "awardedGiveaways", "ruleFailureReasons", "previousReturns", "campaignEligibility", "achievements",
]  # fmt: skip
ProfileContent = Literal[
    "customerProfile", "triggeredCampaigns", "loyalty", "event", "awardedGiveaways", "ruleFailureReasons",
    "campaignEligibility", "achievements",
]  # fmt: skip
ReturnContent = Literal[
    "customerSession", "customerProfile", "coupons", "triggeredCampaigns", "referral", "loyalty", "event",
    "previousReturns",
]  # fmt: skip


class SessionUpdate(Body):
    """Body of update_customer_session_v2."""

    customerSession: CustomerSession
    responseContent: list[SessionContent] | None = None


class ReturnedCartItem(Body):
    position: Annotated[StrictInt, Field(ge=0)] | None = None
    sku: Annotated[Text, Field(min_length=1)] | None = None
    quantity: Count | None = None

    @model_validator(mode="after")
    def _names_an_item(self) -> "ReturnedCartItem":
        if self.position is None and self.sku is None:
            raise PydanticCustomError("which_item", "a returned item needs `sku` or `position`")
        return self


class NewReturn(Body):
    returnedCartItems: Annotated[list[ReturnedCartItem], Field(min_length=1)]


class CartReturn(Body):
    """Body of return_cart_items."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True)

    return_: Annotated[NewReturn, Field(alias="return")]
    responseContent: list[ReturnContent] | None = None


class AudiencesChanges(Body):
    adds: list[StrictInt]
    deletes: list[StrictInt]


class ProfileUpdate(Body):
    """Body of update_customer_profile_v2."""

    attributes: Attributes | None = None
    evaluableCampaignIds: list[StrictInt] | None = None
    audiencesChanges: AudiencesChanges | None = None
    responseContent: list[ProfileContent] | None = None


class BulkProfile(Body):
    integrationId: Id
    attributes: Attributes | None = None


class ProfilesUpdate(Body):
    """Body of update_customer_profiles_v2: at most 1000 profiles."""

    customerProfiles: Annotated[list[BulkProfile], Field(min_length=1, max_length=MAX_BULK)]


class AudienceAction(Body):
    action: Literal["add", "delete"]
    profileIntegrationId: Id
    audienceId: StrictInt


class AudienceActions(Body):
    """Body of update_customer_profile_audiences: at most 1000 actions."""

    data: Annotated[list[AudienceAction], Field(min_length=1, max_length=MAX_BULK)]


class TrackEvent(Body):
    """Body of track_event_v2. The API wants `profileId` although its schema does not say so."""

    profileId: Id
    type: Annotated[Text, Field(min_length=1)]
    storeIntegrationId: Id | None = None
    evaluableCampaignIds: list[StrictInt] | None = None
    attributes: Attributes | None = None
    loyaltyCards: LoyaltyCards | None = None
    responseContent: list[ProfileContent] | None = None
