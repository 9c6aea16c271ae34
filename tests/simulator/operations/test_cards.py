"""Loyalty cards: made, linked and unlinked."""

import pytest

CARDS = "/v1/loyalty_programs/1/cards"


def generate(api, target=CARDS, **body):
    return api.call("POST", target, body)


def link(api, id="p", card="card", verb="link"):
    return api.call("POST", f"/v2/loyalty_programs/1/cards/{card}/{verb}_profile", {"integrationId": id})


def test_a_card_of_a_given_identifier_is_made_once(api):
    first = generate(api, cardIdentifier="card", customerProfileIds=["p", "q", "p"], status="inactive").json
    assert (first["identifier"], first["status"], first["programID"]) == ("card", "inactive", 1)
    assert [one["integrationId"] for one in first["profiles"]] == ["p", "q"]
    second = generate(api, cardIdentifier="card")
    assert (second.status, second.pointers) == (400, ["/cardIdentifier"])
    assert generate(api, "/v1/loyalty_programs/2/cards", cardIdentifier="card").status == 200
    assert [(line["program"], line["id"], line["profiles"]) for line in api.lines("cards")] == [
        (1, "card", ["p", "q"]), (2, "card", []),
    ]  # fmt: skip


def test_without_one_each_call_makes_another(api):
    first = generate(api).json["identifier"]
    following = f"CARD-{int(first[5:]) + 3:012d}"  # numbers are taken in order: what comes next can be in the way
    generate(api, cardIdentifier=following)
    made = {first, *(generate(api).json["identifier"] for _ in range(3))}
    assert len(made) == 4
    assert following not in made
    assert len(api.lines("cards")) == 5


@pytest.mark.parametrize(
    "body",
    [
        {"cardIdentifier": "abc"},
        {"cardIdentifier": "a" * 109},
        {"cardIdentifier": "white space"},
        {"cardIdentifier": "slash/es"},
        {"cardIdentifier": "card\n"},
        {"status": "lost"},
        {"customerProfileIds": [""]},
    ],
)
def test_cards_that_are_refused(api, body):
    reply = generate(api, **body)
    assert reply.status == 400
    assert reply.pointers[0].startswith("/" + next(iter(body)))
    assert api.lines("cards") == []


def test_linking_and_unlinking(api):
    generate(api, cardIdentifier="card")
    assert [one["integrationId"] for one in link(api).json["profiles"]] == ["p"]
    assert [one["integrationId"] for one in link(api, "q").json["profiles"]] == ["p", "q"]
    assert (link(api).status, link(api).pointers) == (400, ["/integrationId"])
    assert [one["integrationId"] for one in link(api, verb="unlink").json["profiles"]] == ["q"]
    assert link(api, verb="unlink").status == 400
    assert link(api).status == 200
    assert api.one("cards", "card")["profiles"] == ["q", "p"]
    assert [line["profiles"] for line in api.lines("ledger")][1:] == [["p"], ["q"], ["p"], ["p"]]


@pytest.mark.parametrize("verb", ["link", "unlink"])
def test_a_card_that_is_not_there(api, verb):
    reply = link(api, verb=verb)
    assert (reply.status, reply.parameters) == (404, ["loyaltyCardId"])


def test_a_program_that_is_not_there(simulated):
    api = simulated(unknown_programs=(1,))
    assert (generate(api).status, generate(api).parameters) == (400, ["loyaltyProgramId"])
    assert (link(api).status, link(api).parameters) == (404, ["loyaltyProgramId"])
    assert generate(api, "/v1/loyalty_programs/one/cards").parameters == ["loyaltyProgramId"]
