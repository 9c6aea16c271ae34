"""POST /_simulator/loyalty: rows put in, and what is not understood."""

import pytest


def put(api, body):
    return api.call("POST", "/_simulator/loyalty", body, auth=None)


def test_what_is_missing_is_made(api):
    assert put(api, {"program": 1, "profile": "p", "rows": 5}).json == {"first": 1, "last": 5}
    assert put(api, {"program": 2, "card": "card", "rows": 2, "subledger": "sub"}).json == {"first": 6, "last": 7}
    assert put(api, {"program": 1, "profile": "p", "rows": 5, "pending": True}).json == {"first": 8, "last": 12}
    assert api.one("profiles", "p")["known"]
    assert (api.one("loyalty", "p")["rows"], api.one("cards", "card")["rows"]) == (10, 2)
    assert api.one("loyalty", "p")["points"][""]["pending"] > 0
    assert list(api.one("cards", "card")["points"]) == ["sub"]


def test_nothing_of_it_is_in_the_ledger(api):
    put(api, {"program": 1, "profile": "p", "rows": 5})
    assert api.lines("ledger") == api.lines("requests") == []


def test_the_same_rows_look_the_same(simulated):
    def rows():
        api = simulated()
        put(api, {"program": 1, "profile": "p", "rows": 50, "created": "2026-05-01T12:00:00Z"})
        return api.call("GET", "/v1/loyalty_programs/1/profile/p/transactions").text

    assert rows() == rows()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rows": 0}, "rows"),
        ({"rows": "5"}, "rows"),
        ({"program": None}, "program"),
        ({"profile": None}, "either"),
        ({"card": "card"}, "either"),
        ({"profile": None, "card": "c"}, "card"),
        ({"profile": None, "card": "a card"}, "card"),
        ({"sorce": "import"}, "sorce"),
        ({"source": "gift"}, "gift"),
        ({"created": "2026-05-01T12:00:00"}, "created"),
        ({"created": "1999-01-01T00:00:00Z"}, "newest"),
    ],
)
def test_what_is_not_understood_is_said_and_changes_nothing(api, change, says):
    good = {"program": 1, "profile": "p", "rows": 5}
    put(api, good)
    reply = put(api, good | change)
    assert reply.status == 400
    assert says in reply.json["message"]
    assert api.one("loyalty", "p")["rows"] == 5
    assert put(api, b"{").status == 400


def test_a_reset_takes_them_away(api):
    put(api, {"program": 1, "profile": "p", "rows": 5})
    api.call("POST", "/_simulator/reset", auth=None)
    assert api.lines("loyalty") == []
    assert put(api, {"program": 1, "profile": "p", "rows": 1}).json == {"first": 1, "last": 1}
