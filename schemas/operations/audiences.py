"""Audiences: create, rename and delete them, change their members, and set attributes of all members."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt

from beam_talonone.schemas.body import MAX_BULK, AttributeValues, Body, Distinct, Name, Time
from beam_talonone.schemas.operation import Bulk, Says, operation
from beam_talonone.schemas.request import Request
from beam_talonone.schemas.types import Id, Text


class AudienceAction(Body):
    """One change of a membership: add a profile to an audience, or delete it from there."""

    action: Literal["add", "delete"]
    profileIntegrationId: Id
    audienceId: StrictInt


class AudienceActions(Body):
    """Body of update_customer_profile_audiences: at most 1000 actions."""

    data: Annotated[list[AudienceAction], Field(min_length=1, max_length=MAX_BULK)]


@operation(
    "POST /v2/customer_audiences",
    profiles=("body:data/profileIntegrationId",),
    bulk=Bulk("data", MAX_BULK, packs=True),
)
def update_customer_profile_audiences(body: AudienceActions) -> Request:
    """Add profiles to audiences and remove them, up to 1000 actions."""
    raise NotImplementedError


@operation("PUT /v2/audience_customers/{audienceId}/attributes", others=(("audience", "path:audienceId"),))
def update_audience_customers_attributes(audience_id: int, body: AttributeValues) -> Request:
    """Set profile attributes of all customers in an audience."""
    raise NotImplementedError


class NewAudience(Body):
    """Body of create_audience_v2. The API recognizes a repeated audience only by its `integrationId`."""

    name: Name
    sandbox: StrictBool | None = None
    description: Text | None = None
    subscribedApplicationsIds: Distinct | None = None
    integration: Text | None = None
    integrationId: Id | None = None
    createdIn3rdParty: StrictBool | None = None
    lastUpdate: Time | None = None


@operation(
    "POST /v2/audiences",
    others=(("audience by name", "body:integrationId"),),
    named_by="body:integrationId",
    says={409: Says.DONE_IF_TRIED},
    creates=True,
)
def create_audience_v2(body: NewAudience) -> Request:
    """Create an audience. With an `integrationId`, it belongs to an external platform."""
    raise NotImplementedError


class AudienceUpdate(Body):
    """Body of update_audience_v2."""

    name: Name
    subscribedApplicationsIds: Distinct | None = None


@operation("PUT /v2/audiences/{audienceId}", others=(("audience", "path:audienceId"),))
def update_audience_v2(audience_id: int, body: AudienceUpdate) -> Request:
    """Rename an audience."""
    raise NotImplementedError


@operation(
    "DELETE /v2/audiences/{audienceId}", others=(("audience", "path:audienceId"),), says={404: Says.DONE_IF_TRIED}
)
def delete_audience_v2(audience_id: int) -> Request:
    """Delete an audience and all memberships in it."""
    raise NotImplementedError


@operation("DELETE /v2/audiences/{audienceId}/memberships", others=(("audience", "path:audienceId"),))
def delete_audience_memberships_v2(audience_id: int) -> Request:
    """Remove all members of an audience."""
    raise NotImplementedError
