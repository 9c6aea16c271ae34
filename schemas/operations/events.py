"""Custom events (v2), and advanced events (v3), which have an id of their own."""

from pydantic import StrictInt

from beam_talonone.schemas.body import Attributes, Body, LoyaltyCards, Name
from beam_talonone.schemas.content import AdvancedContent, ProfileContent
from beam_talonone.schemas.operation import SafeToRepeat, Says, operation
from beam_talonone.schemas.operations.profiles import Silent
from beam_talonone.schemas.request import Request
from beam_talonone.schemas.types import Id


class TrackEvent(Body):
    """Body of track_event_v2. The API requires `profileId`, although its schema does not."""

    profileId: Id
    type: Name
    storeIntegrationId: Id | None = None
    evaluableCampaignIds: list[StrictInt] | None = None
    attributes: Attributes | None = None
    loyaltyCards: LoyaltyCards | None = None
    responseContent: list[ProfileContent] | None = None


@operation(
    "POST /v2/events",
    repeat=SafeToRepeat.BY_KEY,
    profiles=("body:profileId",),
    needs={"forceCompleteEvaluation": "dry"},
    creates=True,
)
def track_event_v2(
    body: TrackEvent,
    *,
    silent: Silent | None = None,
    dry: bool | None = None,
    force_complete_evaluation: bool | None = None,
) -> Request:
    """Track a custom event of a customer."""
    raise NotImplementedError


class AdvancedEvent(Body):
    """Body of track_event_v3. `integrationId` is the event's own id. The API accepts each id once."""

    profileId: Id
    integrationId: Id
    type: Name
    storeIntegrationId: Id | None = None
    evaluableCampaignIds: list[StrictInt] | None = None
    attributes: Attributes | None = None
    connectedSessionId: Name | None = None
    loyaltyCards: LoyaltyCards | None = None
    responseContent: list[AdvancedContent] | None = None


@operation(
    "POST /v3/events",
    profiles=("body:profileId",),
    sessions=("body:connectedSessionId",),
    others=(("event", "body:integrationId"),),
    says={409: Says.LOOK},
    needs={"forceCompleteEvaluation": "dry"},
    creates=True,
)
def track_event_v3(
    body: AdvancedEvent,
    *,
    silent: Silent | None = None,
    dry: bool | None = None,
    force_complete_evaluation: bool | None = None,
) -> Request:
    """Track an advanced event of a customer, once per id."""
    raise NotImplementedError


@operation("GET /v3/events/{integrationId}")
def get_event_v3(integration_id: Id) -> Request:
    """Read an advanced event."""
    raise NotImplementedError
