"""The checker of answers passes what is right and finds what is wrong."""

import json
from dataclasses import dataclass

import pytest

jsonschema_rs = pytest.importorskip("jsonschema_rs")

EVALUATED_SEEN = {"effects": [], "createdCoupons": [], "createdReferrals": []}
AUDIENCE_SEEN = {"id": 1, "created": "2026-05-01T12:00:00Z", "accountId": 1, "name": "vip"}
PRICE_SEEN = {
    "id": 1, "sku": "tea", "observedAt": "2026-05-01T12:00:00Z", "contextIds": [], "contextId": "", "price": 1,
    "metadata": {"influencingCampaignDetails": []}, "target": {"type": "NONE"},
}  # fmt: skip
SESSIONS = "/v2/customer_sessions/{customerSessionId}"

WRONG = [
    ("effects are no list", "PUT", SESSIONS, {"effects": {}}),
    ("createdCoupons are missing", "PUT", SESSIONS, {"effects": [], "createdReferrals": []}),
    ("a field is misspelt", "PUT", SESSIONS, EVALUATED_SEEN | {"loyalt": {}}),
    ("a number for an id", "GET", "/v3/events/{integrationId}", {"id": "7"}),
    ("a time that is none", "PUT", "/v2/audiences/{audienceId}", AUDIENCE_SEEN | {"created": "today"}),
    ("null where none may be", "PUT", "/v2/audiences/{audienceId}", AUDIENCE_SEEN | {"name": None}),
    ("neither target", "POST", "/v1/best_prior_price", [PRICE_SEEN | {"target": {"type": "ALL"}}]),
    ("an audience is missing", "POST", "/v1/best_prior_price", [PRICE_SEEN | {"target": {"type": "AUDIENCE"}}]),
    ("too deep", "POST", "/v1/best_prior_price", [PRICE_SEEN | {"metadata": {"influencingCampaignDetails": [{}]}}]),
    ("misspelt deeper", "POST", "/v1/best_prior_price", [PRICE_SEEN | {"target": {"type": "NONE", "extra": 1}}]),
]  # fmt: skip


@dataclass
class Made:
    """An answer that was made up."""

    value: object
    status: int = 200

    @property
    def text(self):
        return b"" if self.value is None else json.dumps(self.value).encode()


@pytest.mark.parametrize(("method", "template", "value"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_the_checker_finds_what_is_wrong(vendor_document, method, template, value):
    with pytest.raises((jsonschema_rs.ValidationError, AssertionError)):
        vendor_document.hold(method, template, Made(value))


@pytest.mark.parametrize(
    ("method", "template", "reply"),
    [
        ("PUT", "/v2/audiences/{audienceId}", Made(AUDIENCE_SEEN)),
        ("POST", "/v1/best_prior_price", Made([PRICE_SEEN])),
        ("POST", "/v1/best_prior_price", Made([])),
        ("DELETE", "/v2/audiences/{audienceId}", Made(None, 204)),
    ],
)
def test_the_checker_passes_what_is_right(vendor_document, method, template, reply):
    vendor_document.hold(method, template, reply)


@pytest.mark.parametrize("reply", [Made(None), Made(AUDIENCE_SEEN, 201), Made({}, 204)])
def test_the_checker_knows_statuses_and_whether_they_have_a_body(vendor_document, reply):
    with pytest.raises(AssertionError):
        vendor_document.hold("PUT" if reply.status < 204 else "DELETE", "/v2/audiences/{audienceId}", reply)
