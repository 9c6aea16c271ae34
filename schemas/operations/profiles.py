"""Customer profiles: updates of one and of many, the inventory, and the erasure."""

from typing import Annotated, Literal

from pydantic import Field, StrictInt

from beam_talonone.schemas.body import MAX_BULK, Attributes, Body
from beam_talonone.schemas.content import ProfileContent
from beam_talonone.schemas.operation import Bulk, SafeToRepeat, Says, operation
from beam_talonone.schemas.request import Request
from beam_talonone.schemas.types import Id

Silent = Literal["yes", "no"]


class AudiencesChanges(Body):
    """Numbers of the audiences that the profile joins (`adds`) and leaves (`deletes`)."""

    adds: list[StrictInt]
    deletes: list[StrictInt]


class ProfileUpdate(Body):
    """Body of update_customer_profile_v2."""

    attributes: Attributes | None = None
    evaluableCampaignIds: list[StrictInt] | None = None
    audiencesChanges: AudiencesChanges | None = None
    responseContent: list[ProfileContent] | None = None


class BulkProfile(Body):
    """The changes of one profile in a bulk: attributes only."""

    integrationId: Id
    attributes: Attributes | None = None


class ProfilesUpdate(Body):
    """Body of update_customer_profiles_v2: at most 1000 profiles."""

    customerProfiles: Annotated[list[BulkProfile], Field(min_length=1, max_length=MAX_BULK)]


@operation(
    "PUT /v2/customer_profiles/{integrationId}",
    repeat=SafeToRepeat.BY_KEY,
    profiles=("path:integrationId",),
    needs={"dry": "runRuleEngine"},
    creates=True,
)
def update_customer_profile_v2(
    integration_id: Id, body: ProfileUpdate, *, run_rule_engine: bool | None = None, dry: bool | None = None
) -> Request:
    """Create or update one customer profile, optionally with the rule engine."""
    raise NotImplementedError


@operation(
    "PUT /v2/customer_profiles",
    repeat=SafeToRepeat.BY_KEY,
    profiles=("body:customerProfiles/integrationId",),
    bulk=Bulk("customerProfiles", MAX_BULK, merges=True),
    harmless=True,
    creates=True,
)
def update_customer_profiles_v2(body: ProfilesUpdate, *, silent: Silent | None = None) -> Request:
    """Create or update up to 1000 customer profiles, without the rule engine."""
    raise NotImplementedError


@operation("DELETE /v1/customer_data/{integrationId}", profiles=("path:integrationId",), says={404: Says.DONE})
def delete_customer_data(integration_id: Id) -> Request:
    """Erase a customer's data."""
    raise NotImplementedError


@operation("GET /v1/customer_profiles/{integrationId}/inventory")
def get_customer_inventory(
    integration_id: Id,
    *,
    profile: bool | None = None,
    referrals: bool | None = None,
    coupons: bool | None = None,
    loyalty: bool | None = None,
    giveaways: bool | None = None,
    achievements: bool | None = None,
) -> Request:
    """Read the requested parts of a customer's data: profile, referrals, coupons, loyalty and others."""
    raise NotImplementedError
