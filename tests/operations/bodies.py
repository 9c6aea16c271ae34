"""Full bodies of the operations: every field that a body has, with values that are easily spoilt on their way."""

CUSTOMER = "c/17 50% ü?#&+=;,"
FRIEND = "f 2/50% ü"
LEAVER = "leaver/100% ü"
SESSION = "s/1 20% ü"
STORE = "store/1 % ü"
CARD = "4%2F+@card._-"
COUPON = "50% OFF/ü"
EVENT = "e/1 % ü"
SKU = "tea/1 % ü"
LEDGER = "sub/1 % ü&"
TRANSACTIONS = ["00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"]
"""What the simulator calls the first rows that are put into it."""

ATTRIBUTES = {
    "tier": "gold",
    "erased": None,
    "price": 19.99,
    "tiny": 0.0000001,
    "none": [],
    "ü/~ %": {"deep": [None, True, 0, {}]},
}
COSTS = {"shipping": {"price": 4.95}, "ü/%": {"price": -0.1}}

SESSION_EMPTY = {
    "customerSession": {
        "profileId": "", "evaluableCampaignIds": [], "couponCodes": [], "loyaltyCards": [], "cartItems": [],
        "experimentVariantAllocations": [], "additionalCosts": {}, "identifiers": [], "attributes": {},
    },
    "responseContent": [],
}  # fmt: skip
SESSION_FULL = {
    "customerSession": {
        "profileId": CUSTOMER, "storeIntegrationId": STORE, "evaluableCampaignIds": [3, 1],
        "couponCodes": [COUPON, ""], "referralCode": "R/ü %", "loyaltyCards": [CARD], "state": "closed",
        "cartItems": [
            {
                "sku": SKU, "quantity": 3, "name": "Tee ü", "price": 19.99, "category": "drinks",
                "product": {"name": "Assam"}, "weight": 0.1, "height": 1e-7, "width": 2, "length": 123456789.123,
                "attributes": ATTRIBUTES, "additionalCosts": COSTS,
            },
            {"sku": "cup", "quantity": 1},
        ],
        "experimentVariantAllocations": [{"experimentID": 1, "variantID": 2}],
        "additionalCosts": COSTS, "identifiers": ["10.0.0.1", "ü"], "attributes": ATTRIBUTES,
    },
    "responseContent": ["customerSession", "customerProfile", "coupons", "triggeredCampaigns", "loyalty"],
}  # fmt: skip
RETURN = {
    "return": {"returnedCartItems": [{"sku": SKU, "quantity": 2}, {"position": 1}]},
    "responseContent": ["customerSession", "previousReturns"],
}
PROFILE_EMPTY = {"attributes": {}, "evaluableCampaignIds": [], "audiencesChanges": {"adds": [], "deletes": []}}
PROFILE_FULL = {
    "attributes": ATTRIBUTES, "evaluableCampaignIds": [3, 1], "audiencesChanges": {"adds": [7, 8], "deletes": [9]},
    "responseContent": ["customerProfile", "loyalty"],
}  # fmt: skip
PROFILES = {
    "customerProfiles": [{"integrationId": CUSTOMER, "attributes": ATTRIBUTES}, {"integrationId": LEAVER}],
}  # fmt: skip
TRACKED = {
    "profileId": CUSTOMER, "type": "viewed ü", "storeIntegrationId": STORE, "evaluableCampaignIds": [3, 1],
    "attributes": ATTRIBUTES, "loyaltyCards": [CARD], "responseContent": ["customerProfile", "event"],
}  # fmt: skip
ADVANCED = {
    **TRACKED, "integrationId": EVENT, "connectedSessionId": SESSION,
    "responseContent": ["customerProfile", "advancedEvent"],
}  # fmt: skip
MEMBERSHIPS = {
    "data": [
        {"action": "add", "profileIntegrationId": CUSTOMER, "audienceId": 7},
        {"action": "delete", "profileIntegrationId": FRIEND, "audienceId": 8},
    ]
}
NEW_AUDIENCE = {
    "name": "Stammgäste", "sandbox": False, "description": "50 % / ü", "subscribedApplicationsIds": [2, 1],
    "integration": "mParticle", "integrationId": "a/1 % ü", "createdIn3rdParty": True,
    "lastUpdate": "2026-05-01T14:00:00.5+02:00",
}  # fmt: skip
AUDIENCE = {"name": "ü", "subscribedApplicationsIds": []}
RESERVATIONS = {"integrationIDs": [CUSTOMER, FRIEND]}
REFERRAL = {
    "campaignId": 3, "advocateProfileIntegrationId": CUSTOMER, "friendProfileIntegrationId": FRIEND,
    "startDate": "2026-05-01T14:00:00+02:00", "expiryDate": "2036-05-01T12:00:00.123456Z", "usageLimit": 0,
    "attributes": ATTRIBUTES,
}  # fmt: skip
REFERRALS = {
    "campaignId": 3, "advocateProfileIntegrationIds": [CUSTOMER, FRIEND], "usageLimit": 999_999,
    "startDate": "2026-05-01T14:00:00+02:00", "expiryDate": "2036-05-01T12:00:00Z", "attributes": ATTRIBUTES,
    "validCharacters": ["A", "Ü", "%"], "referralPattern": "ü/%-####",
}  # fmt: skip
NEW_CARD = {"status": "inactive", "customerProfileIds": [CUSTOMER], "cardIdentifier": CARD}
REGISTRATION = {"integrationId": FRIEND}
DELETE_ALL = {"scope": "AllSubledgers", "subledgerIds": []}
DELETE_SOME = {"scope": "SelectedSubledgers", "subledgerIds": ["", LEDGER]}

ITEM = {"sku": SKU, "price": 19.99, "attributes": ATTRIBUTES, "product": {"name": "Assam ü"}}
FILTERS = [
    {"attr": "ü", "op": "EQ", "value": "50 %"},
    {"attr": "price", "op": "GE", "value": 19.99},
    {"attr": "sold", "op": "EQ", "value": False},
    {"attr": "colour", "op": "IN", "value": ["red", 1, None]},
]
ADJUSTMENTS = [
    {
        "priceType": "member ü", "referenceId": "r/1 %", "price": 19.99, "calculatedAt": "2026-05-01T14:00:00+02:00",
        "effectiveFrom": "2026-05-01T12:00:00.5Z", "effectiveUntil": "2036-05-01T12:00:00Z", "contextId": "sale",
    },
    {"priceType": "ended", "referenceId": "r/2", "price": None},
    {"priceType": "kept", "referenceId": "r/3"},
]  # fmt: skip
ACTIONS = {
    "ADD": [{**ITEM, "replaceIfExists": True}, {"sku": "cup"}],
    "PATCH": [{**ITEM, "createIfNotExists": False}, {"sku": "cup"}],
    "PATCH_MANY": [{"price": 0.1, "filters": FILTERS, "attributes": ATTRIBUTES}, {"filters": []}, {}],
    "REMOVE": [{"sku": SKU}, {"sku": "cup"}],
    "REMOVE_MANY": [{"filters": FILTERS}],
    "ADD_PRICE_ADJUSTMENT": [{"sku": SKU, "adjustments": ADJUSTMENTS}],
}
SYNCS = [
    {"actions": [{"type": kind, "payload": payload} for payload in payloads], "version": number}
    for number, (kind, payloads) in enumerate(ACTIONS.items(), start=1)
]
"""A catalog's version grows by one with each."""

PRIOR_PRICE = {
    "skus": [SKU, "cup,saucer"], "timeframeEndDate": "2036-05-01T14:00:00+02:00", "timeframe": "30",
    "timeframeEndDateType": "strict", "target": {"targetType": "AUDIENCE", "audienceID": 7},
}  # fmt: skip
