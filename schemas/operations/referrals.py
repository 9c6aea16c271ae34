"""Referral codes. Each call creates new codes, so neither operation may be sent twice."""

from typing import Annotated

from pydantic import Field, StrictInt

from beam_talonone.schemas.body import MAX_BULK, Attributes, Body, Time
from beam_talonone.schemas.operation import Bulk, SafeToRepeat, operation
from beam_talonone.schemas.operations.profiles import Silent
from beam_talonone.schemas.request import Request
from beam_talonone.schemas.types import Id, Text

UsageLimit = Annotated[StrictInt, Field(ge=0, le=999_999)]


class NewReferral(Body):
    """Body of create_referral."""

    campaignId: StrictInt
    advocateProfileIntegrationId: Id
    friendProfileIntegrationId: Id | None = None
    startDate: Time | None = None
    expiryDate: Time | None = None
    usageLimit: UsageLimit | None = None
    attributes: Attributes | None = None


@operation(
    "POST /v1/referrals",
    repeat=SafeToRepeat.NO,
    profiles=("body:advocateProfileIntegrationId", "body:friendProfileIntegrationId"),
)
def create_referral(body: NewReferral) -> Request:
    """Create a referral code for an advocate."""
    raise NotImplementedError


class NewReferrals(Body):
    """Body of create_referrals_for_multiple_advocates: at most 1000 advocates."""

    campaignId: StrictInt
    advocateProfileIntegrationIds: Annotated[list[Id], Field(min_length=1, max_length=MAX_BULK)]
    usageLimit: UsageLimit
    startDate: Time | None = None
    expiryDate: Time | None = None
    attributes: Attributes | None = None
    validCharacters: list[Text] | None = None
    referralPattern: Annotated[Text, Field(min_length=3, max_length=100)] | None = None


@operation(
    "POST /v1/referrals_for_multiple_advocates",
    repeat=SafeToRepeat.NO,
    profiles=("body:advocateProfileIntegrationIds",),
    bulk=Bulk("advocateProfileIntegrationIds", MAX_BULK),
)
def create_referrals_for_multiple_advocates(body: NewReferrals, *, silent: Silent | None = None) -> Request:
    """Create a referral code for each of many advocates."""
    raise NotImplementedError
