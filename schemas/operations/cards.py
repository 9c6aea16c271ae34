"""Loyalty cards: create them, link them to customers, and read their balances, points and transactions."""

from typing import Annotated, Literal

from pydantic import Field

from beam_talonone.schemas.body import Body, Ids
from beam_talonone.schemas.operation import Paging, Says, operation
from beam_talonone.schemas.request import Request
from beam_talonone.schemas.types import Id, OnlyTrue, PageSize, Repeated, Skip, Text, UtcInstant

CardId = Annotated[Text, Field(min_length=4, max_length=108)]
Sort = Literal["startDate", "expiryDate", "-startDate", "-expiryDate"]
TransactionType = Literal["manual", "session", "import"]
IDS = {"customer_session_ids": "customerSessionIDs", "transaction_uuids": "transactionUUIDs"}


class NewLoyaltyCard(Body):
    """Body of generate_loyalty_card. The API recognizes a repeated card only by its `cardIdentifier`."""

    status: Literal["active", "inactive"] | None = None
    customerProfileIds: Ids | None = None
    cardIdentifier: Annotated[CardId, Field(pattern=r"^[A-Za-z0-9._%+@-]+$")] | None = None


@operation(
    "POST /v1/loyalty_programs/{loyaltyProgramId}/cards",
    profiles=("body:customerProfileIds",),
    others=(("card", "body:cardIdentifier"),),
    named_by="body:cardIdentifier",
    says={400: Says.LOOK_IF_TRIED, 409: Says.LOOK_IF_TRIED},
)
def generate_loyalty_card(loyalty_program_id: int, body: NewLoyaltyCard) -> Request:
    """Create a loyalty card, and link it to the customers in the body."""
    raise NotImplementedError


class CardRegistration(Body):
    """Body of link_loyalty_card_to_profile and unlink_loyalty_card_from_profile."""

    integrationId: Id


@operation(
    "POST /v2/loyalty_programs/{loyaltyProgramId}/cards/{loyaltyCardId}/link_profile",
    profiles=("body:integrationId",),
    others=(("card", "path:loyaltyCardId"),),
    says={400: Says.LOOK_IF_TRIED, 409: Says.LOOK_IF_TRIED},
)
def link_loyalty_card_to_profile(loyalty_program_id: int, loyalty_card_id: CardId, body: CardRegistration) -> Request:
    """Link a customer to a loyalty card."""
    raise NotImplementedError


@operation(
    "POST /v2/loyalty_programs/{loyaltyProgramId}/cards/{loyaltyCardId}/unlink_profile",
    profiles=("body:integrationId",),
    others=(("card", "path:loyaltyCardId"),),
    says={400: Says.LOOK_IF_TRIED, 404: Says.LOOK_IF_TRIED, 409: Says.LOOK_IF_TRIED},
)
def unlink_loyalty_card_from_profile(
    loyalty_program_id: int, loyalty_card_id: CardId, body: CardRegistration
) -> Request:
    """Unlink a customer from a loyalty card."""
    raise NotImplementedError


@operation("GET /v1/loyalty_programs/{loyaltyProgramId}/cards/{loyaltyCardId}/balances")
def get_loyalty_card_balances(
    loyalty_program_id: int,
    loyalty_card_id: CardId,
    *,
    end_date: UtcInstant | None = None,
    subledger_id: Repeated | None = None,
) -> Request:
    """Read the balances of a loyalty card."""
    raise NotImplementedError


@operation("GET /v1/loyalty_programs/{loyaltyProgramId}/cards/{loyaltyCardId}/points", paging=Paging(), names=IDS)
def get_loyalty_card_points(
    loyalty_program_id: int,
    loyalty_card_id: CardId,
    *,
    status: Literal["active", "pending", "expired"] | None = None,
    subledger_id: Repeated | None = None,
    customer_session_ids: Repeated | None = None,
    transaction_uuids: Repeated | None = None,
    page_size: PageSize | None = None,
    skip: Skip | None = None,
    sort: Sort | None = None,
) -> Request:
    """Read the unused points on a loyalty card."""
    raise NotImplementedError


@operation(
    "GET /v1/loyalty_programs/{loyaltyProgramId}/cards/{loyaltyCardId}/transactions", paging=Paging(), names=IDS
)
def get_loyalty_card_transactions(
    loyalty_program_id: int,
    loyalty_card_id: CardId,
    *,
    subledger_id: Repeated | None = None,
    loyalty_transaction_type: TransactionType | None = None,
    start_date: UtcInstant | None = None,
    end_date: UtcInstant | None = None,
    customer_session_ids: Repeated | None = None,
    transaction_uuids: Repeated | None = None,
    page_size: PageSize | None = None,
    skip: Skip | None = None,
    awaits_activation: OnlyTrue | None = None,
) -> Request:
    """Read the transactions of a loyalty card."""
    raise NotImplementedError
