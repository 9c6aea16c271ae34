"""Calls: cut where one request would be too much, packed where many would be waste, dry and with results if asked."""

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import InvalidRecord, parse
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.work import Work

T = "2026-05-01T12:00:00Z"
AUDIENCES, REFERRALS = "update_customer_profile_audiences", "create_referrals_for_multiple_advocates"
RESERVE, UNRESERVE, PROFILES = "create_coupon_reservation", "delete_coupon_reservation", "update_customer_profiles_v2"
SYNC = "sync_catalog"
COUPON, CATALOG = {"couponValue": "X"}, {"catalogId": 7}


def call(operation, body=None, path=None, *, options=None, **fields):
    record = {"call_id": "k", "operation": operation, "path": path or {}, "body": body, "event_time": T, **fields}
    return build("calls", parse("calls", record).record, options or BuildOptions())


def many(operation, customers, **fields):
    """A call of an operation with a list, an entry for each customer."""
    match operation:
        case "update_customer_profile_audiences":
            entries = [{"action": "add", "profileIntegrationId": one, "audienceId": 1} for one in customers]
            return call(operation, {"data": entries}, **fields)
        case "update_customer_profiles_v2":
            return call(operation, {"customerProfiles": [{"integrationId": one} for one in customers]}, **fields)
        case "create_referrals_for_multiple_advocates":
            body = {"campaignId": 3, "advocateProfileIntegrationIds": customers, "usageLimit": 1}
            return call(operation, body, **fields)
    return call(operation, {"integrationIDs": customers}, COUPON, **fields)


def names(count, start=0):
    return [f"c{number}" for number in range(start, start + count)]


def held(*customers, more=()):
    return (*(("profile", customer) for customer in customers), *more, ("call", "k"))


LISTS = [AUDIENCES, PROFILES, REFERRALS, RESERVE, UNRESERVE]
PACKED = [AUDIENCES, RESERVE, UNRESERVE]


@pytest.mark.parametrize("operation", LISTS)
def test_what_one_request_takes_is_one_request(operation):
    for count, protocol in ((1, "pack"), (999, "pack"), (1000, "plain")):
        work = many(operation, names(count))
        (part,) = work.parts
        assert (part.entries, part.first, part.holds) == (count, 0, None)
        assert part.protocol == (protocol if operation in PACKED else "plain")
        assert work.profiles == tuple(names(count))
        coupon = (("coupon", "X"),) if operation in (RESERVE, UNRESERVE) else ()
        own = (("call", "k"),) if operation == REFERRALS else ()  # a second copy of it has to wait
        assert work.keys_of(part) == work.keys() == (*(("profile", name) for name in names(count)), *coupon, *own)


@pytest.mark.parametrize("operation", LISTS)
def test_what_is_too_much_is_cut_in_order(operation):
    work = many(operation, names(2500))
    row = OPERATIONS[operation]
    assert [(part.entries, part.first, part.protocol) for part in work.parts] == [
        (1000, 0, "plain"), (1000, 1000, "plain"), (500, 2000, "plain"),
    ]  # fmt: skip
    whole = [entry for part in work.parts for entry in part.request.body_json()[row.bulk.field]]
    assert whole == many(operation, names(2500)).parts[0].request.body_json()[row.bulk.field] + whole[1000:]
    more = [("coupon", "X")] if operation in (RESERVE, UNRESERVE) else []
    for part in work.parts:
        assert part.holds == held(*names(part.entries, part.first), more=more)
        row.body.model_validate(part.request.body_json())
    assert work.profiles == tuple(names(2500))
    assert Work.from_bytes(work.to_bytes()) == work


def test_every_portion_has_all_but_the_list():
    body = {
        "campaignId": 3, "usageLimit": 2, "advocateProfileIntegrationIds": names(1500),
        "attributes": {"amount": Decimal("1.50"), "none": None}, "startDate": "2026-05-01T12:00:00+02:00",
        "validCharacters": ["A", "B"], "referralPattern": "###",
    }  # fmt: skip
    work = call(REFERRALS, body, query={"silent": "no"})
    for part, customers in zip(work.parts, (names(1000), names(500, 1000)), strict=True):
        assert part.request.body_json() == {**body, "advocateProfileIntegrationIds": customers}
        assert b'"amount":1.50' in part.request.body
        assert part.request.query == {"silent": "no"}
    work = many(RESERVE, names(1001))
    assert {part.request.target() for part in work.parts} == {"/v1/coupon_reservations/X"}


def action(kind, sku):
    return {"type": kind, "payload": {"sku": sku} if sku is not None else {"attributes": {"a": 1}}}


@pytest.mark.parametrize(
    ("actions", "runs"),
    [
        ("A1 A2 A3", ["A1 A2 A3"]),
        ("A1 A2 R1 R2 A1", ["A1 A2", "R1 R2", "A1"]),
        ("A1 A2 A1 A3 A2", ["A1 A2", "A1 A3 A2"]),
        ("A1 A1 A1", ["A1", "A1", "A1"]),
        ("A1 R1", ["A1", "R1"]),
        ("M M M", ["M M M"]),
        ("A1 M M A1", ["A1", "M M", "A1"]),
    ],
)
def test_a_sync_is_cut_where_the_action_changes_or_a_sku_comes_again(actions, runs):
    kinds = {"A": "ADD", "R": "REMOVE", "M": "PATCH_MANY"}

    def listed(text):
        return [action(kinds[one[0]], one[1:] or None) for one in text.split()]

    work = call(SYNC, {"actions": listed(actions), "version": 4}, CATALOG)
    bodies = [part.request.body_json() for part in work.parts]
    assert bodies[0] == {"actions": listed(runs[0]), "version": 4}  # the version that the whole call is meant for
    assert bodies[1:] == [{"actions": listed(run)} for run in runs[1:]]
    firsts = [sum(len(run.split()) for run in runs[:number]) for number in range(len(runs))]
    assert [part.first for part in work.parts] == firsts
    holds = None if len(runs) == 1 else (("catalog", "7"), ("call", "k"))
    assert [part.holds for part in work.parts] == [holds] * len(runs)
    assert {part.protocol for part in work.parts} == {"plain"}
    assert work.keys() == (("catalog", "7"),)


@given(st.lists(st.tuples(st.sampled_from(["ADD", "REMOVE"]), st.integers(0, 5)), min_size=1, max_size=30))
def test_any_sync_is_allowed_portion_by_portion_and_nothing_is_lost(pairs):
    actions = [action(kind, f"s{number}") for kind, number in pairs]
    work = call(SYNC, {"actions": actions}, CATALOG)
    bodies = [part.request.body_json()["actions"] for part in work.parts]
    assert [one for body in bodies for one in body] == actions
    for body in bodies:
        assert len({one["type"] for one in body}) == 1
        assert len({one["payload"]["sku"] for one in body}) == len(body)
    for one, following in pairwise(bodies):  # none could have been longer
        begin = following[0]
        assert begin["type"] != one[0]["type"] or begin["payload"]["sku"] in {was["payload"]["sku"] for was in one}


def test_the_ordering_key_is_held_beside_the_customers():
    for customers in (names(3), names(1500)):
        work = many(AUDIENCES, customers, ordering_key="z")
        assert work.profiles == (*customers, "z")
        assert all(("profile", "z") in work.keys_of(part) for part in work.parts)
    assert call("delete_audience_v2", None, {"audienceId": 7}, ordering_key="z").keys() == (
        ("profile", "z"), ("audience", "7"),
    )  # fmt: skip
    assert many(AUDIENCES, ["a", "z"], ordering_key="z").profiles == ("a", "z")


@pytest.mark.parametrize(
    ("operation", "body", "path", "keys"),
    [
        ("create_referral", {"campaignId": 3, "advocateProfileIntegrationId": "a", "friendProfileIntegrationId": "b"},
         {}, [("profile", "a"), ("profile", "b"), ("call", "k")]),
        ("create_audience_v2", {"name": "n", "integrationId": "i"}, {}, [("audience by name", "i")]),
        ("create_audience_v2", {"name": "n"}, {}, [("call", "k")]),
        ("generate_loyalty_card", {"cardIdentifier": "card", "customerProfileIds": ["a", "b", "a"]},
         {"loyaltyProgramId": 5}, [("profile", "a"), ("profile", "b"), ("card", "card")]),
        ("generate_loyalty_card", {}, {"loyaltyProgramId": 5}, [("call", "k")]),
        ("link_loyalty_card_to_profile", {"integrationId": "a"}, {"loyaltyProgramId": 5, "loyaltyCardId": "card"},
         [("profile", "a"), ("card", "card")]),
        ("track_event_v3", {"profileId": "a", "integrationId": "e", "type": "t", "connectedSessionId": "s"}, {},
         [("session", "s"), ("profile", "a"), ("event", "e")]),
        ("activate_loyalty_points", {"sessionId": "s"}, {"loyaltyProgramId": 5},
         [("session", "s"), ("program", "5")]),
        ("join_loyalty_program", None, {"loyaltyProgramId": 5, "integrationId": "a"}, [("profile", "a")]),
        ("delete_audience_memberships_v2", None, {"audienceId": 7}, [("audience", "7")]),
        (RESERVE, {"integrationIDs": [1, "b"]}, COUPON, [("profile", "1"), ("profile", "b"), ("coupon", "X")]),
        ("reopen_customer_session", None, {"customerSessionId": "s"}, [("session", "s")]),
    ],
)  # fmt: skip
def test_what_a_call_holds(operation, body, path, keys):
    assert call(operation, body, path).keys() == tuple(keys)


CAN_BE_DRY = {
    "update_customer_session_v2", "return_cart_items", "update_customer_profile_v2", "track_event_v2",
    "track_event_v3",
}  # fmt: skip
SAMPLES = {
    "update_customer_session_v2": ({"customerSession": {"profileId": "a"}}, {"customerSessionId": "s"}),
    "return_cart_items": ({"return": {"returnedCartItems": [{"sku": "x"}]}}, {"customerSessionId": "s"}),
    "update_customer_profile_v2": ({"attributes": {}}, {"integrationId": "a"}),
    "track_event_v2": ({"profileId": "a", "type": "t"}, {}),
    "track_event_v3": ({"profileId": "a", "type": "t", "integrationId": "e"}, {}),
    PROFILES: ({"customerProfiles": [{"integrationId": "a"}]}, {}),
    REFERRALS: ({"campaignId": 3, "advocateProfileIntegrationIds": ["a"], "usageLimit": 1}, {}),
    AUDIENCES: ({"data": [{"action": "add", "profileIntegrationId": "a", "audienceId": 1}]}, {}),
    RESERVE: ({"integrationIDs": ["a"]}, COUPON),
    "delete_customer_data": (None, {"integrationId": "a"}),
}


@pytest.mark.parametrize("operation", SAMPLES)
@pytest.mark.parametrize("dry", [False, True])
@pytest.mark.parametrize("effects", [False, True])
def test_dry_and_effects(operation, dry, effects):
    body, path = SAMPLES[operation]
    (part,) = call(operation, body, path, options=BuildOptions(dry=dry, effects=effects)).parts
    wanted = {}
    if effects and "silent" in OPERATIONS[operation].query:
        wanted["silent"] = "no"
    # for a profile the API follows it only if the rule engine runs
    if dry and operation in CAN_BE_DRY and operation != "update_customer_profile_v2":
        wanted["dry"] = "true"
    assert part.request.query == wanted


def test_those_and_no_others_can_be_dry():
    assert {name for name, row in OPERATIONS.items() if row.can_be_dry} == CAN_BE_DRY


@pytest.mark.parametrize(
    ("query", "options", "sent"),
    [
        ({"forceCompleteEvaluation": True, "dry": True}, BuildOptions(),
         {"forceCompleteEvaluation": "true", "dry": "true"}),
        ({"forceCompleteEvaluation": True}, BuildOptions(dry=True),
         {"forceCompleteEvaluation": "true", "dry": "true"}),
        ({"dry": False}, BuildOptions(dry=True), {"dry": "true"}),
        ({"dry": True}, BuildOptions(), {"dry": "true"}),
        ({"silent": "yes"}, BuildOptions(effects=True), {"silent": "yes"}),
        ({"silent": "no"}, BuildOptions(), {"silent": "no"}),
        ({"silent": None}, BuildOptions(effects=True), {"silent": "no"}),
        ({}, BuildOptions(), {}),
    ],
)  # fmt: skip
def test_what_a_call_says_itself(query, options, sent):
    body, path = SAMPLES["track_event_v2"]
    assert call("track_event_v2", body, path, query=query, options=options).parts[0].request.query == sent


def test_every_portion_of_a_call_is_asked_for_results():
    work = many(REFERRALS, names(2500), options=BuildOptions(effects=True, dry=True))
    assert [part.request.query for part in work.parts] == [{"silent": "no"}] * 3


def test_options_leave_the_identity_of_a_call_alone():
    options = [BuildOptions(), BuildOptions(dry=True), BuildOptions(effects=True), BuildOptions(events_api="v3")]
    works = [many(REFERRALS, names(1500), options=one) for one in options]
    assert len({(work.identity, work.content) for work in works}) == 1


def test_the_content_of_a_call_is_all_of_it():
    first = many(AUDIENCES, names(1500))
    others = [
        many(AUDIENCES, names(1501)),
        many(AUDIENCES, names(1500), event_time="2026-05-01T12:00:01Z"),
        many(RESERVE, names(1500)),
        many(REFERRALS, names(1500)),
        many(REFERRALS, names(1500), query={"silent": "no"}),
    ]
    assert {work.identity for work in others} == {first.identity}
    assert len({work.content for work in [first, *others]}) == 6


@pytest.mark.parametrize("place", [0, 1, 999, 1000, 1001, 2499])
def test_what_is_wrong_is_pointed_at_in_the_whole_list(place):
    customers = names(2500)
    customers[place] = ""
    for operation, pointer in ((RESERVE, ""), (AUDIENCES, "/profileIntegrationId")):
        with pytest.raises(InvalidRecord) as caught:
            many(operation, customers)
        field = OPERATIONS[operation].bulk.field
        assert (caught.value.reason, caught.value.pointer) == (Reason.INVALID_CALL, f"/body/{field}/{place}{pointer}")


EVENT = {"event_id": "e/1", "type": "view", "customer_id": "c", "event_time": T}


def event(options, **fields):
    return build("events", parse("events", {**EVENT, **fields}).record, options)


def test_events_with_ids_of_their_own():
    v2, v3 = BuildOptions(), BuildOptions(events_api="v3")
    more = {"attributes": {"a": Decimal("1.50"), "b": None}, "loyalty_card": "card"}
    (part,) = event(v3, **more).parts
    assert (part.request.operation, part.request.method, part.request.target(), part.protocol) == (
        "track_event_v3", "POST", "/v3/events?silent=yes", "plain",
    )  # fmt: skip
    sent = part.request.body_json()
    assert sent == {**event(v2, **more).parts[0].request.body_json(), "integrationId": "e/1"}
    assert b'"a":1.50' in part.request.body
    OPERATIONS["track_event_v3"].body.model_validate(jsonio.loads(part.request.body))
    assert (event(v3).identity, event(v3).content) == (event(v2).identity, event(v2).content)
    assert event(v3).keys() == (("profile", "c"),)
    assert event(BuildOptions(events_api="v3", dry=True, effects=True)).parts[0].request.query == {
        "silent": "no", "dry": "true",
    }  # fmt: skip


def test_other_kinds_do_not_care_which_events_are_sent():
    record = parse("orders", {"order_id": "o", "customer_id": "c", "status": "open", "event_time": T}).record
    assert build("orders", record, BuildOptions(events_api="v3")) == build("orders", record, BuildOptions())
