"""Loyalty programs of profiles: joining, points, and the ledger."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from beam_talonone.schemas.body import Body, Name
from beam_talonone.schemas.operation import Paging, Says, operation
from beam_talonone.schemas.operations.cards import IDS, Sort, TransactionType
from beam_talonone.schemas.request import Request
from beam_talonone.schemas.types import Id, OnlyTrue, PageSize, Repeated, Skip, Text, UtcInstant

MAX_ACTIVATED = 50


@operation(
    "POST /v1/loyalty_programs/{loyaltyProgramId}/profile/{integrationId}/join",
    profiles=("path:integrationId",),
    says={400: Says.LOOK_IF_TRIED, 409: Says.LOOK_IF_TRIED},
)
def join_loyalty_program(loyalty_program_id: int, integration_id: Id) -> Request:
    """Add a customer to a loyalty program."""
    raise NotImplementedError


@operation("GET /v1/loyalty_programs/{loyaltyProgramId}/profile/{integrationId}/balances")
def get_loyalty_balances(
    loyalty_program_id: int,
    integration_id: Id,
    *,
    end_date: UtcInstant | None = None,
    subledger_id: Text | None = None,
    include_tiers: bool | None = None,
    include_projected_tier: bool | None = None,
) -> Request:
    """Read a customer's balances in a loyalty program."""
    raise NotImplementedError


@operation("GET /v1/loyalty_programs/{loyaltyProgramId}/profile/{integrationId}/points", paging=Paging(), names=IDS)
def get_loyalty_program_profile_points(
    loyalty_program_id: int,
    integration_id: Id,
    *,
    status: Literal["active", "pending", "expired"] | None = None,
    subledger_id: Repeated | None = None,
    customer_session_ids: Repeated | None = None,
    transaction_uuids: Repeated | None = None,
    page_size: PageSize | None = None,
    skip: Skip | None = None,
    sort: Sort | None = None,
) -> Request:
    """Read a customer's unused points in a loyalty program."""
    raise NotImplementedError


@operation(
    "GET /v1/loyalty_programs/{loyaltyProgramId}/profile/{integrationId}/transactions", paging=Paging(), names=IDS
)
def get_loyalty_program_profile_transactions(
    loyalty_program_id: int,
    integration_id: Id,
    *,
    customer_session_ids: Repeated | None = None,
    transaction_uuids: Repeated | None = None,
    subledger_id: Text | None = None,
    loyalty_transaction_type: TransactionType | None = None,
    start_date: UtcInstant | None = None,
    end_date: UtcInstant | None = None,
    page_size: PageSize | None = None,
    skip: Skip | None = None,
    awaits_activation: OnlyTrue | None = None,
) -> Request:
    """Read a customer's transactions in a loyalty program."""
    raise NotImplementedError


class TransactionsToDelete(Body):
    """Body of delete_loyalty_transactions_from_ledgers. The id of the main ledger is the empty text."""

    scope: Literal["AllSubledgers", "SelectedSubledgers"]
    subledgerIds: list[Text] | None = None

    @model_validator(mode="after")
    def _names_ledgers(self) -> "TransactionsToDelete":
        if self.scope == "SelectedSubledgers" and not self.subledgerIds:
            raise PydanticCustomError("which_ledgers", "the scope SelectedSubledgers needs `subledgerIds`")
        return self


@operation(
    "POST /v1/loyalty_programs/{loyaltyProgramId}/profile/{integrationId}/delete_transactions",
    profiles=("path:integrationId",),
)
def delete_loyalty_transactions_from_ledgers(
    loyalty_program_id: int, integration_id: Id, body: TransactionsToDelete
) -> Request:
    """Delete a customer's transactions from all ledgers of a loyalty program, or from some."""
    raise NotImplementedError


def _uuid(text: str) -> str:
    try:
        right = str(UUID(text)) == text.lower()  # Python takes more spellings than the API
    except ValueError:
        right = False
    if not right:
        raise PydanticCustomError("uuid", "not a UUID of 32 digits in five groups")
    return text


def _no_two(texts: list[str]) -> list[str]:
    if len({text.lower() for text in texts}) < len(texts):
        raise PydanticCustomError("twice", "a transaction stands twice")
    return texts


class PointsToActivate(Body):
    """Body of activate_loyalty_points: a session or up to 50 transactions, not both."""

    transactionUUIDs: (
        Annotated[
            list[Annotated[Text, AfterValidator(_uuid)]],
            Field(min_length=1, max_length=MAX_ACTIVATED),
            AfterValidator(_no_two),
        ]
        | None
    ) = None
    sessionId: Name | None = None

    @model_validator(mode="after")
    def _names_one(self) -> "PointsToActivate":
        if (self.transactionUUIDs is None) == (self.sessionId is None):
            raise PydanticCustomError("which_points", "either `transactionUUIDs` or `sessionId` is needed")
        return self


@operation(
    "POST /v1/loyalty_programs/{loyaltyProgramId}/activate_points",
    sessions=("body:sessionId",),
    others=(("program", "path:loyaltyProgramId"),),
    says={400: Says.UNKNOWN_IF_TRIED, 404: Says.UNKNOWN_IF_TRIED},
)
def activate_loyalty_points(loyalty_program_id: int, body: PointsToActivate) -> Request:
    """Activate pending points of a session or of transactions."""
    raise NotImplementedError
