"""Loyalty programs: members and cards, their points and transactions, page by page."""

import pytest

MEMBER = "/v1/loyalty_programs/1/profile/p"
CARD = "/v1/loyalty_programs/1/cards/card"
HOLDERS = [(MEMBER, {"profile": "p"}), (CARD, {"card": "card"})]
both_holders = pytest.mark.parametrize(("target", "holder"), HOLDERS, ids=["member", "card"])


def put(api, **fields):
    reply = api.call("POST", "/_simulator/loyalty", {"program": 1, "rows": 1} | fields, auth=None)
    assert reply.status == 200, reply.text
    return reply.json


def get(api, target, query=""):
    reply = api.call("GET", target + query)
    assert reply.status == 200, reply.text
    return reply.json


def ids(api, target, query=""):
    return [row["id"] for row in get(api, target, query)["data"]]


def all_pages(api, target, query, size):
    found, more = [], True
    while more:
        page = get(api, target, f"{query}pageSize={size}&skip={len(found)}")
        found += [row["id"] for row in page["data"]]
        more = page["hasMore"]
    return found


@both_holders
def test_transactions_come_newest_first_in_pages(api, target, holder):
    put(api, rows=2347, **holder)
    rows = get(api, target + "/transactions", "?pageSize=3")["data"]
    assert [row["id"] for row in rows] == [2347, 2346, 2345]
    assert rows[0]["created"] > rows[1]["created"] > rows[2]["created"]
    assert len(get(api, target + "/transactions")["data"]) == 50
    assert all_pages(api, target + "/transactions", "?", 1000) == list(range(2347, 0, -1))
    ends = [get(api, target + "/transactions", f"?pageSize={size}&skip=2300")["hasMore"] for size in (46, 47, 48)]
    assert ends == [True, False, False]
    assert get(api, target + "/transactions", "?skip=9999") == {"hasMore": False, "data": []}


@both_holders
def test_rows_that_are_added_while_somebody_pages_shift_the_later_pages(api, target, holder):
    put(api, rows=10, **holder)
    first = ids(api, target + "/transactions", "?pageSize=5")
    put(api, rows=2, **holder)
    assert (first, ids(api, target + "/transactions", "?pageSize=5&skip=5")) == ([10, 9, 8, 7, 6], [7, 6, 5, 4, 3])


@both_holders
@pytest.mark.parametrize("what", ["transactions", "points"])
@pytest.mark.parametrize("query", ["pageSize=0", "pageSize=1001", "pageSize=x", "pageSize=", "skip=-1", "skip=1.5"])
def test_pages_that_are_refused(api, target, holder, what, query):
    put(api, **holder)
    reply = api.call("GET", f"{target}/{what}?{query}")
    assert (reply.status, reply.parameters) == (400, [query.partition("=")[0]])


def prepare(api, holder):
    """Rows 1 to 10 of two sessions and ledgers, one of them pending and one expired; 11 and 12 are imported."""
    fields = {"session": "s1", "created": "2026-05-01T12:00:00Z"}
    put(api, rows=3, **fields, **holder)
    put(api, rows=3, session="s,2", subledger="sub", created="2026-05-02T12:00:00Z", **holder)
    put(api, rows=3, subledger="other", pending=True, created="2026-05-03T12:00:00Z", **holder)
    put(api, rows=1, created="2026-05-04T12:00:00Z", expires="2026-05-05T12:00:00Z", **holder)
    put(api, rows=2, created="2026-05-05T12:00:00Z", source="import", **holder)


UUID = "00000000-0000-4000-8000-00000000000"
BY_TRANSACTION = [
    ("", 12),
    ("?customerSessionIDs=s1", 3),
    ("?customerSessionIDs=s1&customerSessionIDs=s%2C2", 6),
    ("?customerSessionIDs=s1,s%2C2", 0),
    (f"?transactionUUIDs={UUID}2", 1),
    (
        f"?transactionUUIDs={UUID}2&transactionUUIDs={UUID}B",
        2,
    ),
    ("?transactionUUIDs=nonsense", 0),
    ("?subledgerId=sub", 3),
    ("?subledgerId=", 6),
    ("?subledgerId=none", 0),
    ("?loyaltyTransactionType=session", 6),
    ("?loyaltyTransactionType=manual", 4),
    ("?loyaltyTransactionType=import", 2),
    ("?awaitsActivation=true", 3),
    ("?startDate=2026-05-02", 9),
    ("?startDate=2026-05-02T12:00:01Z", 8),
    ("?startDate=2026-05-02T14:00:01%2B02:00&endDate=2026-05-03T12:00:00Z", 3),
    ("?endDate=2026-05-02T12:00:00Z&subledgerId=sub", 1),
    ("?endDate=2026-05-01", 0),
    ("?pageSize=1000&customerSessionIDs=", 0),
]


@both_holders
@pytest.mark.parametrize(("query", "number"), BY_TRANSACTION)
def test_filters_of_transactions(api, target, holder, query, number):
    prepare(api, holder)
    assert len(ids(api, target + "/transactions", query)) == number


BY_POINT = [
    ("", [12, 11, 6, 5, 4, 3, 2, 1]),
    ("?status=active&subledgerId=sub", [6, 5, 4]),
    ("?status=pending", [9, 8, 7]),
    ("?status=pending&subledgerId=sub", []),
    ("?status=expired", [10]),
    ("?subledgerId=sub&subledgerId=", [12, 11, 6, 5, 4, 3, 2, 1]),
    ("?customerSessionIDs=s1&sort=startDate", [1, 2, 3]),
    ("?customerSessionIDs=s1&sort=-startDate", [3, 2, 1]),
    ("?sort=expiryDate&pageSize=3&skip=1", [2, 3, 4]),
    ("?sort=-expiryDate&pageSize=2", [12, 11]),
    (f"?transactionUUIDs={UUID}7", []),
]


@both_holders
@pytest.mark.parametrize(("query", "expected"), BY_POINT)
def test_filters_and_orders_of_points(api, target, holder, query, expected):
    prepare(api, holder)
    assert ids(api, target + "/points", query) == expected


def test_several_ledgers_are_asked_of_cards_only(api):
    for target, holder in HOLDERS:
        prepare(api, holder)
        rows = get(api, target + "/transactions", "?subledgerId=sub&subledgerId=")["data"]
        found = {row["subledgerId"] for row in rows}
        assert found == ({""} if holder == {"profile": "p"} else {"sub", ""})  # of a single one the last counts


@both_holders
@pytest.mark.parametrize(
    ("what", "query"),
    [
        ("transactions", "awaitsActivation=false"),
        ("transactions", "loyaltyTransactionType=gift"),
        ("transactions", "startDate=2026-05-02T12:00:01"),
        ("transactions", "startDate=2026-05-02T12:00:01+02:00"),  # an unescaped + is a space
        ("transactions", "endDate=2026-13-02"),
        ("points", "status=spent"),
        ("points", "sort=amount"),
        ("balances", "endDate=now"),
    ],
)
def test_filters_that_are_refused(api, target, holder, what, query):
    put(api, **holder)
    assert api.call("GET", f"{target}/{what}?{query}").parameters == [query.partition("=")[0]]


@both_holders
def test_balances(api, target, holder):
    prepare(api, holder)
    amounts = {row["id"]: row["amount"] for row in get(api, target + "/transactions")["data"]}
    found = get(api, target + "/balances")
    assert found["balance"]["activePoints"] == sum(amounts[row] for row in (1, 2, 3, 11, 12))
    assert found["balance"]["expiredPoints"] == amounts[10]
    assert found["subledgerBalances"]["sub"]["activePoints"] == sum(amounts[row] for row in (4, 5, 6))
    assert found["subledgerBalances"]["other"]["pendingPoints"] == sum(amounts[row] for row in (7, 8, 9))
    one = get(api, target + "/balances", "?subledgerId=sub")
    assert ("balance" in one, list(one["subledgerBalances"])) == (False, ["sub"])
    early = get(api, target + "/balances", "?endDate=2026-05-04T12:00:00Z")
    assert early["balance"]["activePoints"] == sum(amounts[row] for row in (1, 2, 3, 10))


def test_balances_of_a_card_name_its_customers(api):
    put(api, card="card")
    api.call("POST", "/v2/loyalty_programs/1/cards/card/link_profile", {"integrationId": "p"})
    assert [one["integrationId"] for one in get(api, CARD + "/balances")["profiles"]] == ["p"]
    found = get(api, CARD + "/balances", "?subledgerId=a&subledgerId=b")
    assert {name: one["activePoints"] for name, one in found["subledgerBalances"].items()} == {"a": 0, "b": 0}


@pytest.mark.parametrize(
    ("rows", "tier", "following"), [(1, "bronze", "silver"), (60, "silver", "gold"), (9000, "gold", None)]
)
def test_tiers_when_asked_for(api, rows, tier, following):
    put(api, profile="p", rows=rows)
    assert "currentTier" not in get(api, MEMBER + "/balances")["balance"]
    balance = get(api, MEMBER + "/balances", "?includeTiers=true&includeProjectedTier=true")["balance"]
    assert (balance["currentTier"]["name"], balance.get("nextTierName")) == (tier, following)
    assert balance["projectedTier"]["projectedTierName"] == tier


def test_joining(api):
    assert api.call("POST", MEMBER + "/join").status == 200
    assert api.one("profiles", "p")["known"]
    assert api.one("loyalty", "p")["program"] == 1
    assert api.call("POST", MEMBER + "/join").status == 400
    assert api.call("POST", "/v1/loyalty_programs/2/profile/p/join").status == 200
    assert [line["operation"] for line in api.lines("ledger")] == ["join_loyalty_program"] * 2


def test_a_customer_who_has_not_joined_has_nothing(api):
    api.call("PUT", "/v2/customer_profiles/p", {})
    assert get(api, MEMBER + "/transactions") == get(api, MEMBER + "/points") == {"hasMore": False, "data": []}
    assert get(api, MEMBER + "/balances")["balance"]["activePoints"] == 0


@pytest.mark.parametrize("what", ["transactions", "points", "balances"])
def test_what_is_not_there(simulated, what):
    api = simulated(unknown_programs=(9,))
    assert api.call("GET", f"{MEMBER}/{what}").parameters == ["integrationId"]
    assert api.call("GET", f"{CARD}/{what}").parameters == ["loyaltyCardId"]
    put(api, profile="p")
    for target in (MEMBER, CARD):
        reply = api.call("GET", f"{target.replace('/1/', '/9/')}/{what}")
        assert (reply.status, reply.parameters) == (404, ["loyaltyProgramId"])
    assert api.call("GET", f"/v1/loyalty_programs/2/cards/card/{what}").status == 404


def activate(api, program=1, **body):
    return api.call("POST", f"/v1/loyalty_programs/{program}/activate_points", body)


@both_holders
def test_activation_of_a_session(api, target, holder):
    put(api, rows=3, pending=True, session="s1", **holder)
    put(api, rows=2, pending=True, session="s2", **holder)
    put(api, rows=1, session="s1", **holder)
    reply = activate(api, sessionId="s1")
    assert len(reply.json["ledgerEntries"]) == 3
    assert ids(api, target + "/points", "?status=pending") == [5, 4]
    assert ids(api, target + "/points", "?sort=startDate")[-3:] == [1, 2, 3]
    assert (activate(api, sessionId="s1").status, activate(api, 2, sessionId="s2").status) == (404, 404)
    (line,) = api.lines("ledger")
    assert (line["session"], line["profiles"]) == ("s1", ["p"] if "profile" in holder else [])


@both_holders
def test_activation_of_transactions(api, target, holder):
    put(api, rows=5, pending=True, **holder)
    uuids = {row["id"]: row["transactionUUID"] for row in get(api, target + "/transactions")["data"]}
    reply = activate(api, transactionUUIDs=[uuids[2], uuids[4]])
    assert [entry["amount"] for entry in reply.json["ledgerEntries"]] == [
        row["amount"] for row in reversed(get(api, target + "/points")["data"])
    ]
    assert ids(api, target + "/points", "?status=pending") == [5, 3, 1]
    assert ids(api, target + "/transactions") == [5, 4, 3, 2, 1]
    assert activate(api, transactionUUIDs=[uuids[2]]).status == 404
    assert len(activate(api, transactionUUIDs=[uuids[2], uuids[5].upper()]).json["ledgerEntries"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"sessionId": ""},
        {"sessionId": "s", "transactionUUIDs": ["8f1a8d7c-9c3e-4a5e-9f0d-2c5f7a3b1cde"]},
        {"transactionUUIDs": []},
        {"transactionUUIDs": ["8f1a8d7c"]},
        {"transactionUUIDs": ["{8f1a8d7c-9c3e-4a5e-9f0d-2c5f7a3b1cde}"]},
        {"transactionUUIDs": ["8f1a8d7c-9c3e-4a5e-9f0d-2c5f7a3b1cde"] * 2},
        {"transactionUUIDs": [f"8f1a8d7c-9c3e-4a5e-9f0d-2c5f7a3b{n:04x}" for n in range(51)]},
        {"sessionId": "s", "also": 1},
    ],
)
def test_activations_that_are_refused(api, body):
    put(api, profile="p", pending=True, session="s")
    assert activate(api, **body).status == 400


def delete(api, **body):
    return api.call("POST", MEMBER + "/delete_transactions", body)


def test_deleting_transactions(api):
    prepare(api, {"profile": "p"})
    assert delete(api, scope="SelectedSubledgers", subledgerIds=["sub", ""]).status == 204
    assert ids(api, MEMBER + "/transactions") == [9, 8, 7]
    assert delete(api, scope="AllSubledgers", subledgerIds=None).status == 204
    assert ids(api, MEMBER + "/transactions") == []
    assert [line["profiles"] for line in api.lines("ledger")] == [["p"], ["p"]]
    put(api, profile="p")
    assert ids(api, MEMBER + "/transactions") == [13]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/scope"),
        ({"scope": "Some"}, "/scope"),
        ({"scope": "SelectedSubledgers"}, "/subledgerIds"),
        ({"scope": "SelectedSubledgers", "subledgerIds": []}, "/subledgerIds"),
        ({"scope": "AllSubledgers", "ledgers": []}, "/ledgers"),
    ],
)
def test_deletions_that_are_refused(api, body, pointer):
    put(api, profile="p")
    assert delete(api, **body).pointers == [pointer]
    assert len(ids(api, MEMBER + "/transactions")) == 1


def test_deleting_of_a_stranger(api):
    assert delete(api, scope="AllSubledgers").status == 404


def test_a_million_transactions_are_as_quick_as_one(api):
    put(api, profile="p", rows=1_000_000)
    member = api.app.state.world.programs[1].members["p"]
    assert len(member.batches) == 1  # nothing is kept for each row
    assert ids(api, MEMBER + "/transactions", "?pageSize=2&skip=999999") == [1]
    assert get(api, MEMBER + "/balances")["balance"]["activePoints"] == 5_125_000
