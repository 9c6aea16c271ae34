"""Running campaigns, and the achievements of customers in them."""

from typing import Annotated, Literal

from pydantic import Field

from beam_talonone.schemas.operation import Paging, operation
from beam_talonone.schemas.request import Request
from beam_talonone.schemas.types import Id, Joined, PageSize, Skip, UtcInstant, joined, split

Whole = Annotated[int, Field(ge=0)]


@operation("GET /v1/integration/campaigns", paging=Paging())
def integration_get_all_campaigns(
    *,
    page_size: PageSize | None = None,
    skip: Skip | None = None,
    campaign_ids: Joined | None = None,
    start_after: UtcInstant | None = None,
    start_before: UtcInstant | None = None,
    end_after: UtcInstant | None = None,
    end_before: UtcInstant | None = None,
    store_id: Whole | None = None,
    audience_id: Whole | None = None,
) -> Request:
    """Read the running campaigns."""
    raise NotImplementedError


@operation("GET /v1/customer_profiles/{integrationId}/achievements", paging=Paging())
def get_customer_achievements(
    integration_id: Id,
    *,
    campaign_ids: Joined | None = None,
    achievement_ids: Joined | None = None,
    achievement_status: Annotated[list[Literal["active", "scheduled"]], split, joined] | None = None,
    current_progress_status: Annotated[list[Literal["inprogress", "completed", "not_started"]], split, joined]
    | None = None,
    page_size: PageSize | None = None,
    skip: Skip | None = None,
) -> Request:
    """Read a customer's achievements and the progress of each."""
    raise NotImplementedError


@operation("GET /v1/customer_profiles/{integrationId}/achievements/{achievementId}", paging=Paging(key=None))
def get_customer_achievement_history(
    integration_id: Id,
    achievement_id: int,
    *,
    progress_status: Annotated[list[Literal["inprogress", "completed", "expired"]], split, joined] | None = None,
    start_date: UtcInstant | None = None,
    end_date: UtcInstant | None = None,
    page_size: PageSize | None = None,
    skip: Skip | None = None,
) -> Request:
    """Read a customer's history of one achievement."""
    raise NotImplementedError
