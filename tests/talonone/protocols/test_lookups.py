"""A lookup's line: one line of JSON with every digit of what was answered, however much that is."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakeloop import START, run
from support.sender_fixture import way

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.operations.cards import get_loyalty_card_transactions
from beam_talonone.schemas.operations.profiles import get_customer_inventory
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.errors import WrongAddress
from beam_talonone.talonone.http.send import Broken, Reply
from beam_talonone.talonone.protocols import lookups
from beam_talonone.talonone.protocols.carry_out import carry_out
from beam_talonone.talonone.protocols.lookups import IN_MEMORY, PIECE, SpooledRows
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.outcome import End
from beam_talonone.talonone.requests.work import Part, Work

GIVEN = b'{"lookup_id":"1","operation":"x","path":{"integrationId":"c"},"query":{}}'
INVENTORY = get_customer_inventory("c", loyalty=True)
FULL = b'{"data":[{"id":1},{"id":2}],"hasMore":true}'
LISTED = get_loyalty_card_transactions(5, "card", page_size=2)


class Kept:
    """Keeps lines; says where each lies."""

    def __init__(self, breaks=False):
        self.lines, self.pieces, self.breaks = [], [], breaks

    async def put(self, pieces):
        pieces = list(pieces)
        if self.breaks:
            raise OSError("no space left on device")
        self.pieces += pieces
        self.lines.append(b"".join(pieces))
        return 7, len(self.lines[-1])


class Api:
    """Plays replies or failures; a value is a 200 with it."""

    def __init__(self, *script):
        self.script, self.requests = list(script), []

    async def __call__(self, request, key):
        assert key is None
        self.requests.append(request)
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Reply) else Reply(200, answer)


def look_up(request, *script, kept=None, api=None, worked=False):
    """The outcome of a lookup that is answered so, and what it put. `worked`: the API has answered before."""
    kept, api = kept or Kept(), api or Api(*script)
    part = Part(request, "read")
    work = Work("lookups", "1", b"", b"", 0, 0, 0, (), (), (part,), given=GIVEN)

    async def main():
        async with way(api) as w:
            if worked:
                w.sender.circuit.works(START)
                w.sender.gate.evidence.ever = True
            options = SendOptions(lines=kept)
            sender = w.request_sender(options, b"")
            return await carry_out(sender, work, part, SessionFacts())

    return run(main()), kept, api


def line_of(kept):
    """The one line that was put, as JSON, its numbers as the texts they came as."""
    (line,) = kept.lines
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    found = json.loads(line.decode(), parse_float=Number, parse_int=Number)
    given = json.loads(GIVEN)
    assert {name: found[name] for name in given} == given
    assert list(found) == [*given, "status", "pages", "response"]
    return found


class Number(str):
    """A number as it was written."""

    def __eq__(self, other):
        return str(self) == str(other) or (isinstance(other, Decimal | int) and Decimal(self) == other)

    __hash__ = str.__hash__


def test_a_read_without_pages():
    body = b'{"a": 1.50,\n "b":\t[1e400, 123456789012345678901234567890, -0.0], "c":"\\u00e9 \\n"}'
    outcome, kept, api = look_up(INVENTORY, body)
    assert (outcome.end, outcome.status, outcome.attempts, outcome.operation) == (
        End.APPLIED, 200, 1, "get_customer_inventory",
    )  # fmt: skip
    assert outcome.place == (7, len(kept.lines[0]))
    found = line_of(kept)
    assert (found["status"], found["pages"]) == (200, 1)
    assert found["response"] == {"a": "1.50", "b": ["1e400", "123456789012345678901234567890", "-0.0"], "c": "é \n"}
    assert [request.query for request in api.requests] == [{"loyalty": "true"}]


@pytest.mark.parametrize(
    ("body", "response"),
    [
        (b"", None),
        (b"null", None),
        (b"[]", []),
        (b'"x"', "x"),
        (b"plain\ntext", "plain\ntext"),
        (b'{"a":', '{"a":'),
        (b'{"a":1} {"a":2}', '{"a":1} {"a":2}'),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b'{"a":"\xff"}', '{"a":"\ufffd"}'),
        (b'"\x00"', '"\x00"'),
        (b"1e99999999999999999999", "1e99999999999999999999"),
        (b"[" * 5000 + b"]" * 5000, "[" * 5000 + "]" * 5000),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_any_body_of_a_404_becomes_json(body, response):
    outcome, kept, _ = look_up(INVENTORY, Reply(404, body), worked=True)
    assert (outcome.end, outcome.status) == (End.APPLIED, 404)
    found = line_of(kept)
    assert (found["status"], found["response"]) == (404, response)


@pytest.mark.parametrize("request_", [INVENTORY, LISTED], ids=lambda request: request.operation)
def test_a_404_is_an_answer(request_):
    body = b'{"message":"no such card","errors":[{"title":"Not found"}]}'
    outcome, kept, _ = look_up(request_, Reply(404, body))
    assert (outcome.end, outcome.status, outcome.reason) == (End.APPLIED, 404, None)
    assert line_of(kept)["response"] == json.loads(body)
    outcome, kept, _ = look_up(request_, Reply(404, b""))
    assert line_of(kept)["response"] is None


def test_a_web_page_in_place_of_the_first_answer_tells_of_a_wrong_address():
    with pytest.raises(WrongAddress, match="base-url"):
        look_up(INVENTORY, Reply(404, b"\n<!DOCTYPE html>"))


def test_a_404_in_the_middle_of_the_pages_is_the_answer():
    outcome, kept, _ = look_up(LISTED, FULL, Reply(404, b'{"message":"gone"}'))
    found = line_of(kept)
    assert (found["status"], found["pages"], found["response"]) == (404, 2, {"message": "gone"})
    assert (outcome.end, outcome.attempts) == (End.APPLIED, 2)


@pytest.mark.parametrize("request_", [INVENTORY, LISTED], ids=lambda request: request.operation)
@pytest.mark.parametrize(("status", "reason"), [(400, "refused"), (422, "refused"), (405, "refused")])
def test_what_the_api_refuses_is_a_dead_letter(request_, status, reason):
    body = b'{"message":"bad","errors":[{"title":"Bad","details":"size","source":{"pointer":"/pageSize"}}]}'
    outcome, kept, _ = look_up(request_, Reply(status, body))
    assert (outcome.end, outcome.reason, outcome.status) == (End.DEAD, reason, status)
    assert (outcome.detail, outcome.pointer) == ("bad; Bad: size", "/pageSize")
    assert (outcome.operation, outcome.attempts) == (request_.operation, 1)
    assert kept.lines == []


def test_failures_that_pass_are_waited_out_and_counted():
    page = b'{"data":[{"id":1}],"hasMore":false}'
    outcome, kept, _ = look_up(LISTED, Reply(429, b""), Reply(503, b""), Broken("cut"), page)
    assert (outcome.end, outcome.attempts) == (End.APPLIED, 4)
    assert line_of(kept)["response"] == {"hasMore": False, "data": [{"id": "1"}]}


def test_one_that_always_fails_is_a_dead_letter():
    outcome, kept, _ = look_up(LISTED, FULL, Reply(500, b""))
    assert (outcome.end, outcome.reason, kept.lines) == (End.DEAD, "retries_exhausted", [])


@pytest.mark.parametrize("body", [b"", b"plain", b"[]", b'{"data":{}}'])
@pytest.mark.parametrize("pages", [0, 1])
def test_an_answer_that_is_no_page_is_a_dead_letter(body, pages):
    outcome, kept, _ = look_up(LISTED, *[FULL] * pages, body)
    assert (outcome.end, outcome.reason, outcome.status) == (End.DEAD, "refused", 200)
    assert "without a list `data`" in outcome.detail
    assert (outcome.attempts, outcome.operation, kept.lines) == (pages + 1, LISTED.operation, [])


def test_pages_are_merged_where_their_rows_stand():
    outcome, kept, api = look_up(
        LISTED,
        b'{"data":[{"id":1,"a":1.50},{"id":2}],"hasMore":true,"more":1}',
        b'{"data":[{"id":2},{"id":3}],"hasMore":true,"more":2}',
        b'{"hasMore":false,"data":[{"id":4}],"more":[2.50,{"data":[5]}]}',
    )
    found = line_of(kept)
    assert (found["status"], found["pages"]) == (200, 3)
    rows = [{"id": "1", "a": "1.50"}, {"id": "2"}, {"id": "3"}, {"id": "4"}]
    assert found["response"] == {"hasMore": False, "more": ["2.50", {"data": ["5"]}], "data": rows}
    assert [request.query.get("skip") for request in api.requests] == [None, "2", "4"]
    assert outcome.attempts == 3


@pytest.mark.parametrize("body", [b'{"data":[]}', b'{"data":null}'])
def test_no_rows(body):
    _, kept, _ = look_up(LISTED, body)
    assert line_of(kept)["response"] == {"data": []}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/ü\n\"", max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.lists(VALUES, max_size=6), st.dictionaries(st.text('ab/ü\n"', max_size=3), VALUES, max_size=3))
def test_whatever_is_answered_stands_in_the_line(rows, beside):
    _, kept, _ = look_up(LISTED, jsonio.dumps({"data": [{"id": 1, "row": rows}], **beside, "hasMore": False}))
    response = jsonio.loads(kept.lines[0])["response"]
    assert response == {**beside, "hasMore": False, "data": [{"id": 1, "row": rows}]}
    line_of(kept)


def test_many_rows_wait_on_disk_and_leave_in_pieces():
    number = 4000
    rows = [b'{"id":%d,"x":"%s"}' % (one, b"x" * 1000) for one in range(number)]

    class Paged:
        async def __call__(self, request, key):
            skip = int(request.query.get("skip", "0"))
            page = b",".join(rows[skip : skip + 1000])
            return Reply(200, b'{"data":[%s],"hasMore":%s}' % (page, b"true" if skip + 1000 < number else b"false"))

    outcome, kept, _ = look_up(get_loyalty_card_transactions(5, "card"), api=Paged())
    assert outcome.attempts == 4
    found = line_of(kept)
    assert [row["id"] for row in found["response"]["data"]] == list(range(number))
    assert max(map(len, kept.pieces)) <= PIECE
    assert len(kept.pieces) > 4


def test_spooled_rows_roll_over_to_disk_and_come_back_as_they_were():
    rows = SpooledRows()
    assert list(rows.pieces()) == []
    rows.add([])
    rows.add([b"1", b"2"])
    rows.add([])
    rows.add([b"3"])
    assert b"".join(rows.pieces()) == b"1,2,3"
    assert not rows._file._rolled
    big = b'"' + b"x" * IN_MEMORY + b'"'
    rows = SpooledRows()
    rows.add([b"1"])
    rows.add([big, b"2"])
    assert rows._file._rolled
    pieces = list(rows.pieces())
    assert b"".join(pieces) == b"1," + big + b",2"
    assert max(map(len, pieces)) == PIECE
    rows.close()


@pytest.mark.parametrize("script", [[b'{"data":[{"id":1}]}'], [b"plain"], [Reply(400, b"")], [Reply(404, b"")]])
def test_the_spool_is_closed_however_a_lookup_ends(monkeypatch, script):
    made = []

    class Spool(SpooledRows):
        def __init__(self):
            super().__init__()
            made.append(self)

    monkeypatch.setattr(lookups, "SpooledRows", Spool)
    look_up(LISTED, *script)
    with pytest.raises(OSError, match="no space left"):
        look_up(LISTED, b'{"data":[{"id":1}]}', kept=Kept(breaks=True))
    assert [rows._file.closed for rows in made] == [True, True]


def test_a_lookup_needs_a_place_for_its_line():
    part = Part(INVENTORY, "read")
    work = Work("lookups", "1", b"", b"", 0, 0, 0, (), (), (part,), given=GIVEN)

    async def main():
        async with way(Api(b"{}")) as w:
            sender = w.request_sender(identity=b"")
            return await carry_out(sender, work, part, SessionFacts())

    with pytest.raises(RuntimeError, match="nowhere to put its line"):
        run(main())


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"[1]", "not an object"),
        (b'"text"', "not an object"),
        (b"7", "not an object"),
        (b"null", "not an object"),
        (b"", "not a JSON object"),
    ],
)
def test_what_is_no_object_is_no_answer_of_a_read_without_pages(body, why):
    outcome, kept = look_up(INVENTORY, body)[:2]
    assert (outcome.end, outcome.reason) == (End.DEAD, "refused")
    assert why in outcome.detail
    assert kept.lines == []


def test_an_answer_that_cannot_be_read_is_a_dead_letter():
    outcome, kept = look_up(INVENTORY, Reply(200, b"", None, "its Content-Encoding 'br' is unknown"))[:2]
    assert outcome.end is End.DEAD
    assert outcome.detail == "the answer (status 200) cannot be read: its Content-Encoding 'br' is unknown"
    assert kept.lines == []
