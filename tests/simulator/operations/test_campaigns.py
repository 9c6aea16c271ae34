"""The running campaigns, and the achievements in them."""

import pytest

from beam_talonone.simulator.operations import achievements

P = "/v1/customer_profiles/p/achievements"


def campaigns(api, query=""):
    return [one["id"] for one in api.call("GET", "/v1/integration/campaigns" + query).json["data"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [1, 2, 3, 4, 5]),
        ("?campaignIds=2,4,77", [2, 4]),
        ("?campaignIds=2&campaignIds=4", [4]),
        ("?campaignIds=", []),
        ("?pageSize=2&skip=1", [2, 3]),
        ("?pageSize=2&skip=4", [5]),
        ("?startAfter=2024-01-03", [2, 3, 4, 5]),
        ("?startAfter=2024-01-03T00:00:01Z", [3, 4, 5]),
        ("?startBefore=2024-01-03T01:00:00%2B01:00", [1, 2]),
        ("?endBefore=2024-01-03", []),
        ("?endAfter=2024-01-03", [1, 2, 3, 4, 5]),
        ("?storeId=3", [3]),
        ("?audienceId=4&storeId=3", []),
    ],
)
def test_campaigns(simulated, query, expected):
    assert campaigns(simulated(campaigns=5), query) == expected


def test_pages_of_campaigns(simulated):
    api = simulated(campaigns=120)
    assert len(campaigns(api)) == 50
    more = [api.call("GET", f"/v1/integration/campaigns?skip={skip}").json["hasMore"] for skip in (0, 69, 70, 500)]
    assert more == [True, True, False, False]
    assert campaigns(simulated(campaigns=0)) == []


@pytest.mark.parametrize("query", ["pageSize=0", "startAfter=2024", "storeId=x", "storeId=-1"])
def test_questions_that_are_refused(api, query):
    assert api.call("GET", "/v1/integration/campaigns?" + query).parameters == [query.partition("=")[0]]


def close(api, number, first=0):
    for n in range(first, first + number):
        api.session(f"s{n}", profileId="p", state="closed", cartItems=[{"sku": "x", "quantity": 2}])


def progress(api, query=""):
    data = api.call("GET", P + query).json["data"]
    return [(one["id"], one["currentProgress"]["status"], one["currentProgress"]["progress"]) for one in data]


def test_achievements_follow_the_sessions_that_are_closed(api):
    api.call("PUT", "/v2/customer_profiles/p", {})
    assert progress(api, "?campaignIds=1") == [(1, "not_started", 0), (2, "not_started", 0)]
    close(api, 2)
    api.session("open", profileId="p", state="open")
    assert progress(api, "?campaignIds=1") == [(1, "completed", 1), (2, "inprogress", 2)]
    close(api, 1, first=2)
    assert progress(api, "?campaignIds=1") == [
        (1, "completed", 1),
        (2, "not_started", 0),
    ]  # reached, and begins again
    api.session("s0", state="cancelled")
    api.give_back({"sku": "x", "quantity": 1}, id="s1")
    assert progress(api, "?campaignIds=1") == [(1, "completed", 1), (2, "inprogress", 2)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [1, 2, 3, 4, 5]),
        ("?achievementStatus=active,scheduled", [1, 2, 3, 4, 5, 6]),
        ("?achievementStatus=scheduled", [6]),
        ("?campaignIds=2,3", [3, 4, 5]),
        ("?achievementIds=2,6", [2]),
        ("?currentProgressStatus=completed", [1, 3, 5]),
        ("?currentProgressStatus=completed,inprogress&pageSize=2&skip=1", [2, 3]),
        ("?currentProgressStatus=not_started", []),
    ],
)
def test_filters_of_achievements(api, query, expected):
    close(api, 1)
    assert [id for id, *_ in progress(api, query)] == expected


def test_a_page_tells_how_many_there_are(api):
    close(api, 1)
    reply = api.call("GET", P + "?pageSize=2&skip=4").json
    assert (reply["totalResultSize"], len(reply["data"])) == (5, 1)


def history(api, achievement, query=""):
    data = api.call("GET", f"{P}/{achievement}{query}").json["data"]
    return [(one["status"], one["progress"]) for one in data]


def test_history(api):
    close(api, 7)
    assert history(api, 1) == [("completed", 1)]
    assert history(api, 2) == [("completed", 3), ("completed", 3), ("inprogress", 1)]
    assert history(api, 2, "?progressStatus=inprogress,expired") == [("inprogress", 1)]
    assert history(api, 2, "?pageSize=1&skip=1") == [("completed", 3)]
    assert history(api, 2, "?startDate=2100-01-01") == history(api, 2, "?endDate=2020-01-01") == []
    assert len(history(api, 2, "?startDate=2020-01-01&endDate=2100-01-01")) == 3
    began = api.call("GET", f"{P}/2").json["data"][1]["startDate"]
    assert history(api, 2, f"?startDate={began}") == [("completed", 3), ("inprogress", 1)]
    assert history(api, 2, f"?endDate={began}") == [("completed", 3), ("completed", 3)]


def test_what_is_not_there(api):
    assert api.call("GET", P).parameters == ["integrationId"]
    assert api.call("GET", P + "/1").parameters == ["integrationId"]
    close(api, 1)
    assert api.call("GET", P + "/7").parameters == ["achievementId"]
    assert api.call("GET", P + "/x").parameters == ["achievementId"]
    assert api.call("GET", P + "?currentProgressStatus=expired").parameters == ["currentProgressStatus"]


def test_each_campaign_has_two(simulated):
    found = achievements.all_of(simulated(campaigns=4).app.state.world)
    assert [(one.id, one.campaign) for one in found] == [(n + 1, n // 2 + 1) for n in range(8)]
