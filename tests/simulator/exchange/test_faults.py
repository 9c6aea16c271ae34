"""Faults to order: how they are written, and what they do."""

import msgspec
import pytest

from beam_talonone.simulator.exchange.faults import UNHARMED, Fault, FaultPlan, parse_fault
from beam_talonone.simulator.server.settings import SimulatorSettings

SESSION = "/v2/customer_sessions/s"
OPEN = {"customerSession": {"profileId": "p", "state": "open"}}


def test_parse():
    assert parse_fault("storm") == Fault("storm")
    assert parse_fault("5xx:share=0.5,status=503,from=1,to=2") == Fault("5xx", 0.5, 1.0, 2.0, status=503)
    assert parse_fault("latency:ms=10,jitter=5,from-request=3,to-request=4").last == 4


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("quake", "quake"),
        ("", "there are latency"),
        ("5xx:share=2", "must be 0 to 1"),
        ("5xx:status=404", "must be 500 or 502 or 503"),
        ("5xx:stat=500", "takes status, share, from, to"),
        ("5xx:share", "NAME=VALUE"),
        ("latency", "needs ms="),
        ("latency:ms=fast", "fast"),
        ("latency:ms=nan", "must be 0 or more"),
        ("revoke:after=-1", "must be 0 or more"),
        ("outage:kind=soft", "must be cut or 503"),
        ("poison:text=", "must not be empty"),
        ("5xx:operation=read_all", "read_all.*is not an operation"),
        ("5xx:target=", "must not be empty"),
        ("redirect:status=200", "must be 301 or 302"),
        ("trickle", "needs ms="),
        ("huge-body:mb=-1", "must be 0 or more"),
    ],
)
def test_what_is_not_understood_is_said(spec, says):
    with pytest.raises(ValueError, match=says):
        parse_fault(spec)


def fates(seed, *specs, count=2000):
    plan = FaultPlan([parse_fault(spec) for spec in specs], seed=seed, started=0.0, before=0)
    return [plan.effect(n / 100, n, b"") for n in range(1, count + 1)]


def test_seeds():
    specs = ("5xx:share=0.1", "latency:ms=5,jitter=10,share=0.5")
    assert fates(1, *specs) == fates(1, *specs)
    assert fates(1, *specs) != fates(2, *specs)
    hit = sum(fate.status is not None for fate in fates(1, *specs))
    assert 140 < hit < 260
    assert {fate.status for fate in fates(1, *specs)} == {None, 500, 502, 503}
    assert all(0.005 <= fate.delay < 0.015 for fate in fates(1, *specs) if fate.delay)


def test_the_window_of_one_fault_does_not_move_the_luck_of_another():
    alone = [fate.status for fate in fates(1, "5xx:share=0.2,status=500")]
    beside = [fate.status for fate in fates(1, "5xx:share=0.2,status=500", "latency:ms=1,share=0.3,from=3,to=9")]
    assert alone == beside


def statuses(api, count):
    return [api.call("GET", SESSION).status for _ in range(count)]


def test_windows_of_requests_and_of_time(simulated):
    assert statuses(simulated(faults=("storm:from-request=2,to-request=3",)), 4) == [404, 429, 429, 404]
    api = simulated(faults=("outage:from=1,to=2,kind=503",))
    assert statuses(api, 1) == [404]
    api.now += 1
    assert statuses(api, 1) == [503]
    api.now += 1
    assert statuses(api, 1) == [404]


def test_revoke_and_unauthorized(simulated):
    assert statuses(simulated(faults=("revoke:after=2",)), 4) == [404, 404, 401, 401]
    assert statuses(simulated(faults=("unauthorized:to-request=1",)), 2) == [401, 404]


def test_cut_before_and_outage_do_not_act(simulated):
    for fault in ("cut-before", "outage"):
        api = simulated(faults=(fault,))
        assert api.call("PUT", SESSION, OPEN).status is None
        assert api.lines("ledger") == []
        (line,) = api.lines("requests")
        assert (line["status"], line["answered"], line["fault"]) == (None, None, fault)
        assert api.summary()["operations"] == {"update_customer_session_v2": {"cut": 1}}


def test_cut_after_acts_and_stores_the_answer(simulated):
    api = simulated(faults=("cut-after:to-request=1",))
    assert api.call("PUT", SESSION, OPEN, key="k").status is None
    (line,) = api.lines("ledger")
    assert (line["session"], line["answered"]) == ("s", None)
    assert api.call("PUT", SESSION, OPEN, key="k").status == 200
    assert len(api.lines("ledger")) == 1
    assert api.lines("requests")[1]["replayed"]


def test_a_fault_of_one_operation(simulated):
    api = simulated(
        faults=("5xx:operation=get_customer_session,status=503", "cut-before:operation=reopen_customer_session")
    )
    assert statuses(api, 2) == [503, 503]
    assert api.session(state="closed").status == 200
    assert api.reopen().status is None
    assert [line["fault"] for line in api.lines("requests")] == ["5xx", "5xx", None, "cut-before"]
    assert api.call("GET", "/nowhere").status == 404


def test_a_fault_of_one_page(simulated):
    api = simulated(
        faults=("5xx:target=skip=100,to-request=2,status=500", "cut-after:target=/customer_sessions/a%2F")
    )
    api.call("POST", "/_simulator/loyalty", {"program": 1, "profile": "p", "rows": 300}, auth=None)
    pages = [f"/v1/loyalty_programs/1/profile/p/transactions?pageSize=100&skip={skip}" for skip in (0, 100, 100, 200)]
    assert [api.call("GET", page).status for page in pages] == [200, 500, 200, 200]
    assert api.session("a/b").status is None
    assert api.session("a").status == 200
    assert [line["session"] for line in api.lines("ledger")] == ["a/b", "a"]


def test_what_a_fault_is_for_does_not_move_its_luck():
    alone = fates(1, "5xx:share=0.2,status=500")
    plan = FaultPlan([parse_fault("5xx:share=0.2,status=500,target=/a")], seed=1, started=0.0, before=0)
    there = [plan.effect(n / 100, n, b"", None, b"/a" if n % 2 else b"/b") for n in range(1, 2001)]
    assert there == [fate if n % 2 else UNHARMED for n, fate in enumerate(alone, 1)]


def test_poison_is_500_for_ever(simulated):
    api = simulated(faults=("poison:text=bad apple",))
    for _ in range(3):
        assert api.session(attributes={"fruit": "bad apple"}).status == 500
    assert api.session(attributes={"fruit": "good apple"}).status == 200


def test_answers_of_faults_are_not_stored(simulated):
    api = simulated(
        faults=("5xx:to-request=1", "storm:from-request=2,to-request=2", "unauthorized:from-request=3,to-request=3")
    )
    codes = [api.call("PUT", SESSION, OPEN, key="k").status for _ in range(4)]
    assert codes[0] in (500, 502, 503)
    assert codes[1:] == [429, 401, 200]


def test_faults_can_be_replaced_while_running(simulated):
    api = simulated(faults=("storm",))
    api.now += 10
    assert statuses(api, 2) == [429, 429]
    reply = api.call("POST", "/_simulator/faults", ["outage:kind=503,to=5", "revoke:after=1"], auth=None)
    assert reply.json == ["outage:kind=503,to=5", "revoke:after=1"]
    assert statuses(api, 1) == [503]
    api.now += 5
    assert statuses(api, 1) == [401]
    assert api.call("POST", "/_simulator/faults", []).status == 200
    assert statuses(api, 1) == [404]


@pytest.mark.parametrize("body", [["quake"], {"faults": []}, [7], b"{"])
def test_faults_that_are_not_understood_change_nothing(simulated, body):
    api = simulated(faults=("storm",))
    assert api.call("POST", "/_simulator/faults", body).status == 400
    assert statuses(api, 1) == [429]


def test_a_reset_brings_back_the_faults_of_the_settings(simulated):
    api = simulated(faults=("storm:to-request=1",))
    api.call("POST", "/_simulator/faults", [])
    api.call("POST", "/_simulator/reset")
    assert statuses(api, 2) == [429, 404]


@pytest.mark.parametrize(
    "wrong", [{"rate": 0}, {"burst": 0}, {"latency_ms": -1}, {"errors": "some"}, {"retry_after": "x"}]
)
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(ValueError):
        SimulatorSettings(**wrong)


def test_settings_travel():
    settings = SimulatorSettings(faults=("storm",), known_attributes={"session": ("a",)}, unknown_audiences=(1,))
    assert msgspec.json.decode(msgspec.json.encode(settings), type=SimulatorSettings) == settings
