"""Finding the poisoned entries of a bulk, whatever the API's error says of them, and at what cost."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.operations.profiles import ProfilesUpdate, update_customer_profiles_v2
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.request import Request
from beam_talonone.talonone.engine.bulk import Pack, bulk_request, isolate, merged, pointed_entries
from beam_talonone.talonone.http.responses import Answer, Problem, Verdict

YES = Answer(204, Verdict.APPLIED, None, "")


def no(*places, status=400, reason=Reason.UNKNOWN_ATTRIBUTE):
    problems = tuple(Problem("Unknown", "", None if place is None else f"/data/{place}/x") for place in places)
    return Answer(status, Verdict.REFUSED, reason, "no", problems)


POINTERS = {
    "first": lambda bad, size, rng: bad[:1],
    "all": lambda bad, size, rng: bad,
    "none": lambda bad, size, rng: [],
    "without pointer": lambda bad, size, rng: [None],
    "wrong": lambda bad, size, rng: [rng.randrange(size)],
    "far out": lambda bad, size, rng: [size, 10**6],
    "everything": lambda bad, size, rng: range(size),
    "any": lambda bad, size, rng: [rng.randrange(size) for _ in range(rng.randrange(6))],
}


class Api:
    """Refuses a bulk that holds a poisoned entry whole."""

    def __init__(self, sizes, poison, pointers, seed=0):
        self.sizes, self.poison, self.pointers = sizes, poison, POINTERS[pointers]
        self.rng, self.requests, self.applied = random.Random(seed), 0, []

    async def send(self, numbers):
        self.requests += 1
        assert numbers
        assert numbers == sorted(numbers)
        owners = [number for number in numbers for _ in range(self.sizes[number])]
        bad = [place for place, number in enumerate(owners) if number in self.poison]
        if bad:
            return no(*self.pointers(bad, len(owners), self.rng))
        self.applied += numbers
        return YES

    async def try_some(self, numbers):
        raise AssertionError("no retries are exhausted")

    def isolate(self):
        def pointed(answer, numbers):
            return pointed_entries("data", answer, {number: self.sizes[number] for number in numbers})

        return asyncio.run(isolate(len(self.sizes), self.send, pointed, self.try_some))


@settings(max_examples=250, deadline=None)
@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=60),
    st.data(),
    st.sampled_from(sorted(POINTERS)),
    st.integers(0, 9),
)
def test_exactly_the_poison_is_refused(sizes, data, pointers, seed):
    poison = set(data.draw(st.lists(st.integers(0, len(sizes) - 1), unique=True)))
    api = Api(sizes, poison, pointers, seed)
    answers = api.isolate()
    assert {number for number, answer in enumerate(answers) if not answer.ok} == poison
    assert sorted(api.applied) == [number for number in range(len(sizes)) if number not in poison]


@pytest.mark.parametrize("count", [1, 2, 10, 40, 200])
@pytest.mark.parametrize(("pointers", "most"), [("first", 12), ("all", 12), ("none", 22), ("wrong", 30)])
def test_what_a_poisoned_entry_costs(count, pointers, most):
    for seed in range(5):
        poison = set(random.Random(seed).sample(range(1000), count))
        api = Api([1] * 1000, poison, pointers, seed)
        api.isolate()
        assert api.requests <= most * count


def test_pointers_to_many_innocents_cost_little():
    class Liar(Api):
        def __init__(self):
            super().__init__([1] * 1000, {999}, "none")
            self.pointers = lambda bad, size, rng: range(size - 1)

    api = Liar()
    api.isolate()
    assert api.requests <= 30


def test_one_entry_is_sent_once():
    api = Api([1], {0}, "all")
    assert not api.isolate()[0].ok
    assert api.requests == 1


@pytest.mark.parametrize(
    ("status", "taken_apart"), [(500, True), (409, True), (None, True), (502, True), (429, False), (425, False)]
)
def test_a_bulk_that_keeps_failing_is_taken_apart(status, taken_apart):
    sent = []

    async def send(numbers):
        sent.append(numbers)
        return no(status=status, reason=Reason.RETRIES_EXHAUSTED) if 2 in numbers else YES

    answers = asyncio.run(isolate(4, send, lambda answer, numbers: [], None))
    assert [answer.ok for answer in answers] == ([True, True, False, True] if taken_apart else [False] * 4)


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("/data/0", [7]), ("/data/1/x", [7]), ("data/2", [8]), ("#/data/2/a/b", [8]), ("/data/3", []),
        ("/data/x", []),
        ("/data", []), ("/other/0", []), ("", []), (None, []), ("/data/-1", []), ("/data/" + "9" * 5000, []),
        ("/data/²", []),
    ],
)  # fmt: skip
def test_pointers(pointer, found):
    answer = Answer(400, Verdict.REFUSED, None, "", (Problem("", "", pointer),))
    assert pointed_entries("data", answer, {7: 2, 8: 1}) == found


def profile(customer, **attributes):
    body = {"integrationId": customer, "attributes": attributes} if attributes else {"integrationId": customer}
    return update_customer_profiles_v2(ProfilesUpdate.model_validate({"customerProfiles": [body]}), silent="yes")


def test_one_request_of_many():
    requests = [profile("a", x=1), profile('b"],', y=None), profile("c")]
    whole = bulk_request(requests)
    assert whole.body_json() == {
        "customerProfiles": [request.body_json()["customerProfiles"][0] for request in requests]
    }
    assert (whole.operation, whole.query) == ("update_customer_profiles_v2", {"silent": "yes"})
    assert bulk_request(requests[:1]) is requests[0]


def test_merged_changes_do_what_they_did_one_after_the_other():
    changes = [profile("a", x=1, y=jsonio.loads(b"1.50")), profile("a"), profile("a", x=None, z=[1])]
    (entry,) = merged(changes).body_json()["customerProfiles"]
    assert entry == {"integrationId": "a", "attributes": {"x": None, "y": jsonio.loads(b"1.50"), "z": [1]}}
    assert b'"y":1.50' in merged(changes).body
    assert merged([profile("a"), profile("a")]).body_json() == {"customerProfiles": [{"integrationId": "a"}]}
    assert merged(changes[:1]) is changes[0]


def test_a_bulk_is_full_by_bytes_as_well_and_what_is_too_large_alone_goes_alone(monkeypatch):
    monkeypatch.setattr("beam_talonone.talonone.engine.bulk.MOST_BYTES", 1_000)
    pack = Pack("update_customer_profiles_v2")
    small = Request("update_customer_profiles_v2", "PUT", "/v2/customer_profiles", {}, {}, b"x" * 400)
    large = Request("update_customer_profiles_v2", "PUT", "/v2/customer_profiles", {}, {}, b"x" * 5_000)
    assert pack.room_for(1, large)
    for number in range(2):
        assert pack.room_for(1, small)
        pack.add(number, small, 1, [("profile", str(number))])
    assert not pack.room_for(1, small)
    assert pack.size == 2
