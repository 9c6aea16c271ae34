"""The values of `responseContent`, which adds parts to an answer of the API: a closed list for each operation."""

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
"""For the update of a profile, and for events of the v2 API."""

AdvancedContent = Literal[
    "customerProfile", "triggeredCampaigns", "loyalty", "advancedEvent", "awardedGiveaways", "ruleFailureReasons",
]  # fmt: skip
EventContent = Literal[
    "customerProfile", "triggeredCampaigns", "loyalty", "event", "advancedEvent", "awardedGiveaways",
    "ruleFailureReasons", "campaignEligibility", "achievements",
]  # fmt: skip
"""For event records, because the settings decide by which API they are sent."""
