"""The parts that an answer of the API can be asked for, by `responseContent`: a closed list for each operation."""

from typing import Literal

SessionContent = Literal[
    "customerSession", "customerProfile", "coupons", "triggeredCampaigns", "referral", "loyalty", "event",
    "awardedGiveaways", "ruleFailureReasons", "previousReturns", "campaignEligibility", "achievements",
]  # fmt: skip
ReturnContent = Literal[
    "customerSession", "customerProfile", "coupons", "triggeredCampaigns", "referral", "loyalty", "event",
    "previousReturns",
]  # fmt: skip
ProfileContent = Literal[
    "customerProfile", "triggeredCampaigns", "loyalty", "event", "awardedGiveaways", "ruleFailureReasons",
    "campaignEligibility", "achievements",
]  # fmt: skip
"""Of a profile's update and of an event of the v2 API."""

AdvancedContent = Literal[
    "customerProfile", "triggeredCampaigns", "loyalty", "advancedEvent", "awardedGiveaways", "ruleFailureReasons",
]  # fmt: skip
EventContent = Literal[
    "customerProfile", "triggeredCampaigns", "loyalty", "event", "advancedEvent", "awardedGiveaways",
    "ruleFailureReasons", "campaignEligibility", "achievements",
]  # fmt: skip
"""Of an event record, which does not say by which API it is sent."""
