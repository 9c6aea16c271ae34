"""Best prior prices, from the prices that were synchronised."""

import pytest

QUESTION = {
    "skus": ["tea"], "timeframeEndDate": "2026-05-31T00:00:00Z", "timeframe": "30", "timeframeEndDateType": "strict",
}  # fmt: skip
HISTORY = [
    ("2026-04-10T00:00:00Z", 1, ""),
    ("2026-05-02T00:00:00Z", 10, ""),
    ("2026-05-10T00:00:00Z", 7, "may"),
    ("2026-05-12T00:00:00Z", 8, ""),
    ("2026-05-20T00:00:00Z", 6, "sale"),
    ("2026-05-25T00:00:00Z", 5, "sale"),
    ("2026-05-26T00:00:00Z", 5, "sale"),
    ("2026-06-01T00:00:00Z", 2, ""),
]


def sync(api, type, payload):
    body = {"actions": [{"type": type, "payload": payload}]}
    assert api.call("PUT", "/v1/catalogs/1/sync", body).status == 200


def observe(api, history=HISTORY, sku="tea"):
    adjustments = [
        {"priceType": "p", "price": price, "referenceId": str(n), "effectiveFrom": since, "contextId": context}
        for n, (since, price, context) in enumerate(history)
    ]
    sync(api, "ADD_PRICE_ADJUSTMENT", {"sku": sku, "adjustments": adjustments})


def ask(api, **fields):
    reply = api.call("POST", "/v1/best_prior_price", QUESTION | fields)
    assert reply.status == 200, reply.text
    return [(one["sku"], one["price"], one["observedAt"][:10], one["contextIds"]) for one in reply.json]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (5, "2026-05-26", ["sale"])),
        ({"timeframe": "300"}, (1, "2026-04-10", [])),
        ({"timeframeEndDateType": "price"}, (6, "2026-05-20", ["sale"])),
        ({"timeframeEndDateType": "sale"}, (7, "2026-05-10", ["may"])),
        ({"timeframeEndDate": "2026-05-20T01:00:00+02:00"}, (7, "2026-05-10", ["may"])),
        ({"timeframe": "5"}, (5, "2026-05-26", ["sale"])),
        ({"timeframe": "4"}, None),
        ({"timeframeEndDate": "2026-04-01T00:00:00Z"}, None),
        ({"timeframeEndDateType": "price", "timeframeEndDate": "2026-04-11T00:00:00Z"}, None),
    ],
)
def test_the_lowest_price_in_the_time(api, fields, expected):
    observe(api)
    assert ask(api, **fields) == ([("tea", *expected)] if expected else [])


def test_each_sku_is_answered_once_and_in_order(api):
    observe(api)
    observe(api, sku="cup")
    assert [sku for sku, *_ in ask(api, skus=["cup", "none", "tea", "cup"])] == ["cup", "tea"]


def test_an_adjustment_is_replaced_and_taken_back(api):
    observe(api, HISTORY[-3:-1])
    adjustment = {"priceType": "p", "referenceId": "1", "effectiveFrom": "2026-05-27T00:00:00Z"}
    sync(api, "ADD_PRICE_ADJUSTMENT", {"sku": "tea", "adjustments": [adjustment | {"price": 4}]})
    assert ask(api) == [("tea", 4, "2026-05-27", [])]
    sync(api, "ADD_PRICE_ADJUSTMENT", {"sku": "tea", "adjustments": [adjustment | {"price": None}]})
    assert ask(api) == [("tea", 5, "2026-05-25", ["sale"])]


def test_prices_of_items_are_prices_too(api):
    sync(api, "ADD", {"sku": "tea", "price": 9.99})
    sync(api, "PATCH", {"sku": "tea", "price": 8.5})
    sync(api, "PATCH_MANY", {"price": 9})
    sync(api, "PATCH", {"sku": "tea", "attributes": {"a": 1}})
    found = api.call(
        "POST", "/v1/best_prior_price", QUESTION | {"timeframeEndDate": "2100-01-01T00:00:00Z", "timeframe": "99999"}
    )
    (best,) = found.json
    assert (str(best["price"]), "adjustmentDetails" in best["metadata"]) == ("8.5", False)
    assert best["target"] == {"type": "NONE"}


def test_asking_is_no_deed(api):
    ask(api)
    assert api.lines("ledger") == []
    assert api.lines("requests")[0]["operation"] == "best_prior_price"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"skus": []}, "/skus"),
        ({"timeframe": 30}, "/timeframe"),
        ({"timeframe": "a month"}, "/timeframe"),
        ({"timeframe": "9" * 400}, "/timeframe"),
        ({"timeframeEndDate": "2026-05-31"}, "/timeframeEndDate"),
        ({"timeframeEndDateType": "soft"}, "/timeframeEndDateType"),
        ({"target": {}}, "/target/targetType"),
        ({"target": {"targetType": "AUDIENCE"}}, "/target/audienceID"),
        ({"target": {"targetType": "NONE", "audienceID": 1}}, "/target/audienceID"),
    ],
)
def test_questions_that_are_refused(api, fields, pointer):
    reply = api.call("POST", "/v1/best_prior_price", QUESTION | fields)
    assert (reply.status, reply.pointers) == (400, [pointer])
