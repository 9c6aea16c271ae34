"""What an answer means by its row's Says, by whether an earlier try may have acted, and by what a look finds."""

import asyncio
from dataclasses import replace

import msgspec
import pytest

from beam_talonone.schemas.operation import Says
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.delivery.ambiguity import Found, resolve
from beam_talonone.talonone.delivery.read_back import LOOKS
from beam_talonone.talonone.http.responses import Answer, Verdict

AGAIN = Answer(409, Verdict.RETRY, None, "too many", acted=False)
BAD = Answer(400, Verdict.REFUSED, Reason.REFUSED, "bad")
ROW = OPERATIONS["track_event_v3"]

DONE, REUSED, UNKNOWN = "already done", "id reused", "unknown"
AS_IT_WAS, REFUSED = "as it was", "refused"


class Look:
    """Finds what it was made with, and counts how often it was asked."""

    def __init__(self, found):
        self.found, self.reads = found, 0

    async def __call__(self):
        self.reads += 1
        return self.found


def resolved_answer(says, answer, *, ambiguous, look, status=None):
    row = replace(ROW, says={} if says is None else {status or answer.status: says})
    return asyncio.run(resolve(row, answer, ambiguous=ambiguous, look=look))


def meaning(answer, before):
    """What became of `before`, in a word."""
    if answer == before:
        return AS_IT_WAS
    if answer.ok:
        assert (answer.already, answer.acted, answer.reason, answer.status) == (True, True, None, before.status)
        return DONE
    if answer.verdict is Verdict.UNKNOWN:
        assert msgspec.structs.replace(answer, verdict=before.verdict) == before
        return UNKNOWN
    assert answer.verdict is Verdict.REFUSED
    if answer.reason is Reason.ID_REUSED:
        assert before.message in answer.message
        return REUSED
    assert msgspec.structs.replace(answer, verdict=before.verdict, reason=before.reason) == before
    return REFUSED


BY_FOUND = {Found.DONE: DONE, Found.NOT_DONE: AS_IT_WAS, Found.OTHER: REUSED, Found.UNKNOWN: UNKNOWN, None: AS_IT_WAS}
NEVER = dict.fromkeys(BY_FOUND, AS_IT_WAS)
TABLE = [
    (None, False, NEVER),
    (None, True, NEVER),
    (Says.DONE_IF_TRIED, False, dict.fromkeys(BY_FOUND, REFUSED)),
    (Says.DONE_IF_TRIED, True, dict.fromkeys(BY_FOUND, DONE)),
    (Says.UNKNOWN_IF_TRIED, False, NEVER),
    (Says.UNKNOWN_IF_TRIED, True, dict.fromkeys(BY_FOUND, UNKNOWN)),
    (Says.LOOK, False, BY_FOUND),
    (Says.LOOK, True, BY_FOUND),
    (Says.LOOK_IF_TRIED, False, NEVER),
    (Says.LOOK_IF_TRIED, True, BY_FOUND),
]


@pytest.mark.parametrize("answer", [AGAIN, BAD], ids=["409", "400"])
@pytest.mark.parametrize("found", BY_FOUND, ids=lambda found: "no way to look" if found is None else found.name)
@pytest.mark.parametrize(("says", "ambiguous", "expected"), TABLE)
def test_the_table(says, ambiguous, expected, found, answer):
    look = None if found is None else Look(found)
    resolved = resolved_answer(says, answer, ambiguous=ambiguous, look=look)
    if expected[found] is REFUSED and answer is BAD:  # it was a refusal before, under its own reason
        assert resolved == answer
    else:
        assert meaning(resolved, answer) == expected[found]
    looks = expected is BY_FOUND and look is not None
    assert look is None or look.reads == looks


ALREADY = [
    ("a card with this identifier already exists", True),
    ("Conflict: the profile is ALREADY linked to this card", True),
    ("this card has already been registered", True),
    ("the customer has already joined", True),
    ("the customer is already a member", True),
    ("the card exists", False),
    ("no loyalty program with this ID exists", False),
    ("the card has already reached its limit of linked profiles", False),
    ("existing cards cannot be linked", False),
    ("bad", False),
    ("", False),
]


@pytest.mark.parametrize("status", [400, 409])
@pytest.mark.parametrize(("message", "done"), ALREADY)
def test_the_text_is_asked_where_nothing_else_can_tell(message, done, status):
    answer = msgspec.structs.replace(BAD if status == 400 else AGAIN, message=message)
    resolved = resolved_answer(Says.LOOK_IF_TRIED, answer, ambiguous=True, look=Look(Found.UNKNOWN))
    assert meaning(resolved, answer) == (DONE if done else UNKNOWN)


@pytest.mark.parametrize(
    ("says", "ambiguous", "found", "expected"),
    [
        (Says.LOOK_IF_TRIED, True, Found.NOT_DONE, AS_IT_WAS),
        (Says.LOOK_IF_TRIED, True, Found.OTHER, REUSED),
        (Says.LOOK_IF_TRIED, False, Found.UNKNOWN, AS_IT_WAS),
        (Says.LOOK, True, Found.UNKNOWN, UNKNOWN),
        (Says.LOOK, False, Found.UNKNOWN, UNKNOWN),
        (Says.UNKNOWN_IF_TRIED, True, Found.UNKNOWN, UNKNOWN),
        (None, True, Found.UNKNOWN, AS_IT_WAS),
    ],
)
def test_elsewhere_the_text_says_nothing(says, ambiguous, found, expected):
    answer = msgspec.structs.replace(AGAIN, message="it already exists")
    assert meaning(resolved_answer(says, answer, ambiguous=ambiguous, look=Look(found)), answer) == expected


def test_every_says_but_done_stands_in_the_table():
    assert {says for says, _, _ in TABLE} == {None, *Says} - {Says.DONE}  # classify has made that a yes already


def test_a_refusal_keeps_its_reason_and_one_without_gets_one():
    gone = Answer(404, Verdict.REFUSED, Reason.NOT_FOUND, "no such audience")
    assert resolved_answer(Says.DONE_IF_TRIED, gone, ambiguous=False, look=None).reason is Reason.NOT_FOUND
    assert resolved_answer(Says.DONE_IF_TRIED, AGAIN, ambiguous=False, look=None).reason is Reason.REFUSED


@pytest.mark.parametrize("ambiguous", [True, False])
@pytest.mark.parametrize("says", list(Says))
@pytest.mark.parametrize(
    "answer",
    [
        Answer(201, Verdict.APPLIED, None, "", acted=True),
        Answer(None, Verdict.RETRY, None, "cut", acted=True),
        Answer(503, Verdict.RETRY, None, "down", acted=True),
    ],
    ids=["201", "cut", "503"],
)
def test_other_answers_are_left_alone(answer, says, ambiguous):
    look = Look(Found.OTHER)
    assert resolved_answer(says, answer, ambiguous=ambiguous, look=look, status=409) is answer
    assert look.reads == 0


@pytest.mark.parametrize("ambiguous", [True, False])
@pytest.mark.parametrize("says", list(Says))
def test_a_yes_is_a_yes_whatever_the_row_says_of_it(says, ambiguous):
    yes = Answer(201, Verdict.APPLIED, None, "", acted=True)
    assert resolved_answer(says, yes, ambiguous=ambiguous, look=Look(Found.OTHER)) is yes


def test_an_operation_that_is_to_be_looked_for_has_a_way_to_look():
    looks = {Says.LOOK, Says.LOOK_IF_TRIED}
    assert {name for name, row in OPERATIONS.items() if looks & set(row.says.values())} == set(LOOKS)
