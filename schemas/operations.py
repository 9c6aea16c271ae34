"""The operation table. Adding an operation is a row here and a model in bodies.py.

Names are the official SDK's. Facts behind each row: the vendor's Integration API reference, the page of the
operation of that name.
"""

from datetime import datetime
from typing import Literal

from beam_talonone.schemas import bodies
from beam_talonone.schemas.operation import OPERATIONS, Bulk, Operation, SafeToRepeat, operation
from beam_talonone.schemas.request import Request

__all__ = ["OPERATIONS", "Operation", "SafeToRepeat"]

BY_KEY, BY_NATURE = SafeToRepeat.BY_KEY, SafeToRepeat.BY_NATURE
Silent = Literal["yes", "no"]


@operation(
    "PUT /v2/customer_sessions/{customerSessionId}",
    repeat=BY_KEY,
    sessions=("path:customerSessionId",),
    profiles=("body:customerSession/profileId",),
    creates=True,
)
def update_customer_session_v2(
    customer_session_id: str,
    body: bodies.SessionUpdate,
    *,
    dry: bool | None = None,
    now: datetime | None = None,
) -> Request:
    """Create or update a customer session: a cart, an order, its closing or its cancellation."""
    raise NotImplementedError


@operation("GET /v2/customer_sessions/{customerSessionId}", repeat=BY_NATURE, sessions=("path:customerSessionId",))
def get_customer_session(customer_session_id: str) -> Request:
    """Read a customer session with its effects."""
    raise NotImplementedError


@operation(
    "POST /v2/customer_sessions/{customerSessionId}/returns",
    repeat=BY_KEY,
    sessions=("path:customerSessionId",),
)
def return_cart_items(
    customer_session_id: str,
    body: bodies.CartReturn,
    *,
    dry: bool | None = None,
    run_rule_engine: bool | None = None,
) -> Request:
    """Return items of a closed session and roll back their effects."""
    raise NotImplementedError


@operation(
    "PUT /v2/customer_sessions/{customerSessionId}/reopen",
    repeat=BY_KEY,
    sessions=("path:customerSessionId",),
)
def reopen_customer_session(customer_session_id: str) -> Request:
    """Open a closed session again, so that it can be edited."""
    raise NotImplementedError


@operation("PUT /v2/customer_profiles/{integrationId}", repeat=BY_KEY, profiles=("path:integrationId",), creates=True)
def update_customer_profile_v2(
    integration_id: str,
    body: bodies.ProfileUpdate,
    *,
    run_rule_engine: bool | None = None,
    dry: bool | None = None,
) -> Request:
    """Create or update one customer profile, with the rule engine if asked."""
    raise NotImplementedError


@operation(
    "PUT /v2/customer_profiles",
    repeat=BY_KEY,
    profiles=("body:customerProfiles/integrationId",),
    bulk=Bulk("customerProfiles", bodies.MAX_BULK),
    harmless=True,
    creates=True,
)
def update_customer_profiles_v2(body: bodies.ProfilesUpdate, *, silent: Silent | None = None) -> Request:
    """Create or update up to 1000 customer profiles; never runs the rule engine."""
    raise NotImplementedError


@operation(
    "POST /v2/customer_audiences",
    repeat=BY_NATURE,
    profiles=("body:data/profileIntegrationId",),
    bulk=Bulk("data", bodies.MAX_BULK),
)
def update_customer_profile_audiences(body: bodies.AudienceActions) -> Request:
    """Add profiles to audiences and remove them, up to 1000 actions."""
    raise NotImplementedError


@operation(
    "DELETE /v1/customer_data/{integrationId}",
    repeat=BY_NATURE,
    profiles=("path:integrationId",),
    done_when=(404,),
)
def delete_customer_data(integration_id: str) -> Request:
    """Erase a customer's data."""
    raise NotImplementedError


@operation("POST /v2/events", repeat=BY_KEY, profiles=("body:profileId",), creates=True)
def track_event_v2(
    body: bodies.TrackEvent,
    *,
    silent: Silent | None = None,
    dry: bool | None = None,
    force_complete_evaluation: bool | None = None,
) -> Request:
    """Track a custom event of a customer."""
    raise NotImplementedError
