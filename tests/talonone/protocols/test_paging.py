"""All pages of a list that grows while it is read, and answers that are no pages."""

import asyncio
import tracemalloc
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.operation import Paging
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.operations.cards import get_loyalty_card_transactions
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.http.responses import Answer, Verdict
from beam_talonone.talonone.protocols import paging as pages
from beam_talonone.talonone.protocols.paging import REMEMBERED, BadPage, page_of, read_pages

NO = Answer(404, Verdict.REFUSED, Reason.NOT_FOUND, "no such card")


def row(number, **more):
    return {"id": number, "amount": Decimal("1.50"), **more}


class Api:
    """A list in pages, of which `grows` tells how many rows are put at its head before each further page.

    `tells`: "hasMore", "totalResultSize", or "both". `most`: what the API gives at most, whatever is asked for.
    """

    def __init__(self, rows, grows=(), tells="hasMore", most=1000, made=row):
        self.rows, self.grows, self.tells, self.most, self.made = list(rows), list(grows), tells, most, made
        self.queries, self.new = [], 0

    async def __call__(self, request):
        if self.queries and self.grows:
            for _ in range(self.grows.pop(0)):
                self.new += 1
                self.rows.insert(0, self.made(f"new {self.new}"))
        self.queries.append(request.query)
        skip, size = int(request.query.get("skip", "0")), min(int(request.query["pageSize"]), self.most)
        page = self.rows[skip : skip + size]
        totals = {"hasMore": skip + len(page) < len(self.rows), "totalResultSize": len(self.rows)}
        reported = totals if self.tells == "both" else {self.tells: totals[self.tells]}
        return yes({"data": page, **reported})


class Rows:
    def __init__(self):
        self.pages = []

    def add(self, rows):
        self.pages.append(rows)

    @property
    def all(self):
        return [jsonio.loads(one) for page in self.pages for one in page]

    @property
    def ids(self):
        return [one["id"] for one in self.all]


def yes(value):
    return Answer(200, Verdict.APPLIED, None, "", body=jsonio.dumps(value), acted=True)


BY_ID = Paging()


def read(api, paging=BY_ID, **query):
    rows = Rows()
    request = get_loyalty_card_transactions(5, "card", **query)
    return asyncio.run(read_pages(request, paging, api, rows)), rows


SIZES = st.none() | st.integers(1, 12)
TELLS = st.sampled_from(["hasMore", "totalResultSize", "both"])


@given(
    st.integers(0, 40), st.lists(st.integers(0, 9), max_size=30), SIZES, st.none() | st.integers(0, 45), TELLS,
    st.integers(3, 1000),
)  # fmt: skip
def test_rows_that_were_there_come_once_and_in_order_and_new_ones_at_most_once(count, grows, size, skip, tells, most):
    api = Api([row(number) for number in range(count)], grows, tells, most)
    paged, rows = read(api, page_size=size, skip=skip)
    begin = skip or 0
    old = [number for number in rows.ids if isinstance(number, int) and number >= begin]
    assert old == list(range(begin, count))
    assert len(set(rows.ids)) == len(rows.ids)
    assert all(one["amount"] == Decimal("1.50") for one in rows.all)
    assert (paged.answer.ok, paged.pages) == (True, len(api.queries))
    assert "data" not in paged.rest


@given(st.integers(0, 40), SIZES, TELLS, st.booleans())
def test_of_rows_that_no_field_tells_apart_none_is_left_out(count, size, tells, key):
    """As many as there are, also when all look the same: there is no key, or no row has it."""
    api = Api([{"id": None, "amount": 1} if key else {"amount": 1}] * count, tells=tells)
    _, rows = read(api, Paging(key="id" if key else None), page_size=size)
    assert len(rows.all) == count


def test_a_page_is_asked_for_as_the_lookup_has_it():
    api = Api([row(number) for number in range(7)])
    paged, rows = read(api, page_size=3, skip=1, subledger_id="a,b")
    query = {"subledgerId": ["a", "b"], "pageSize": "3"}
    assert api.queries == [{**query, "skip": "1"}, {**query, "skip": "4"}]
    assert (rows.ids, paged.pages) == ([1, 2, 3, 4, 5, 6], 2)
    api = Api([row(0)])
    assert read(api)[0].pages == 1
    assert api.queries == [{"pageSize": "1000"}]


@pytest.mark.parametrize("operation", [name for name, made in OPERATIONS.items() if made.paging is not None])
def test_the_largest_page_that_the_table_names_may_be_asked_for(operation):
    made = OPERATIONS[operation]
    assert made.query["pageSize"].validate_python(made.paging.most) == made.paging.most
    assert "skip" in made.query


def test_many_pages_and_what_stood_beside_the_rows_of_the_last():
    seen = []

    async def api(request):
        seen.append(request.query.get("skip"))
        page = len(seen)
        return yes({"hasMore": page < 4, "data": [row(page)], "page": page, "sum": Decimal("1.50")})

    paged, rows = read(api)
    assert seen == [None, "1", "2", "3"]
    assert (rows.ids, paged.pages) == ([1, 2, 3, 4], 4)
    assert paged.rest == {"hasMore": False, "page": 4, "sum": Decimal("1.50")}
    assert str(paged.rest["sum"]) == "1.50"


@pytest.mark.parametrize(
    ("answers", "ids", "count"),
    [
        ([{"data": [], "hasMore": False}], [], 1),
        ([{"data": None, "hasMore": False}], [], 1),
        ([{"data": [row(1)]}], [1], 1),
        ([{"data": [row(1)], "hasMore": "true"}], [1], 1),
        ([{"data": [row(1)], "totalResultSize": "9"}], [1], 1),
        ([{"data": [row(1)], "totalResultSize": 9}, {"data": [], "totalResultSize": 9}], [1], 2),
        ([{"data": [row(1), row(1)], "hasMore": True}, {"data": [row(1)], "hasMore": False}], [1], 2),
        ([{"data": [row(1)], "hasMore": True}, {"data": [row("1")], "hasMore": False}], [1, "1"], 2),
    ],
)
def test_the_end_of_the_pages(answers, ids, count):
    waiting = [yes(answer) for answer in answers]

    async def api(request):
        return waiting.pop(0)

    paged, rows = read(api)
    assert (rows.ids, paged.pages, waiting) == (ids, count, [])


@pytest.mark.parametrize("after", [0, 2])
def test_a_no_ends_the_reading(after):
    api = Api([row(number) for number in range(9)])

    async def refusing(request):
        return NO if len(api.queries) == after else await api(request)

    paged, rows = read(refusing, page_size=3)
    assert (paged.answer, paged.pages, paged.rest) == (NO, after + 1, {})
    assert len(rows.ids) == 3 * after


BAD_PAGES = [
    b"", b"<html>", b"null", b"[]", b"5", b'{"data":{}}', b'{"data":"x"}', b'{"data":[1}', b'{"data":[',
    b'{"data":[],"n":01}', b'{"data":[],"n":1e99999999999999999999}', b'{"data":[{"id":1} {"id":2}]}',
    b'{"data":[],"x":' + b"[" * 500 + b"]" * 500 + b"}", b'{"data":[],"\xff":1}', b'{"data":[],"x":"\xff"}',
    b'{"data":[{"id":1,"name":"\xff"}]}', b'{"data":[' + b"[" * 5000 + b"]" * 5000 + b"]}",
    b"{}", b'{"message":"maintenance"}', b'{"hasMore":true}', b'{"Data":[]}',
]  # fmt: skip


@pytest.mark.parametrize("body", BAD_PAGES, ids=lambda body: repr(body[:24]))
def test_what_is_no_page(body):
    with pytest.raises(BadPage, match="`data`"):
        page_of(body, Paging(), 0)

    api = Api([row(number) for number in range(9)])

    async def breaking(request):
        answer = await api(request)
        return answer if len(api.queries) < 2 else Answer(200, Verdict.APPLIED, None, "", body=body)

    with pytest.raises(BadPage):
        read(breaking, page_size=3)


@given(st.binary(max_size=30) | st.text('{}[]":,dat1e. \\u', max_size=30).map(str.encode))
def test_no_body_breaks_the_reading(body):
    try:
        page = page_of(body, Paging(), 0)
    except BadPage:
        return
    assert isinstance(jsonio.loads(body), dict)
    assert not page.rows or "data" in jsonio.loads(body)


def test_rows_of_any_shape_are_rows():
    page = page_of(b'{"data":[1,null,"x",[],{},{"id":{"a":1}}],"hasMore":true}', Paging(), 0)
    assert page.rows == [b"1", b"null", b'"x"', b"[]", b"{}", b'{"id":{"a":1}}']
    assert page.more


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_row_is_one_line_whatever_space_the_api_puts_into_it(end):
    body = b'{\n "data": [\n  {\n   "id": 1,\n   "amount": 1.50, "x": "a\\nb  c"\n  },\n 2\n ],\n "hasMore": false\n}'
    page = page_of(body.replace(b"\n", end), Paging(), 0)
    assert page.rows == [b'{"id":1,"amount":1.50,"x":"a\\nb  c"}', b"2"]


def test_rows_by_another_name():
    page = page_of(b'{"rows":[1],"data":[2],"totalResultSize":8}', Paging("rows"), 7)
    assert (page.rows, page.rest, page.more) == ([b"1"], {"data": [2], "totalResultSize": 8}, False)


def test_digits_of_rows_are_the_apis_own():
    text = b'{"id":10,"a":1.50,"b":1e400,"c":123456789012345678901234567890,"d":-0.0,"e":1E5}'
    assert page_of(b'{"data":[' + text + b"]}", Paging(), 0).rows == [text]


def test_as_many_rows_are_known_again_as_are_remembered(monkeypatch):
    monkeypatch.setattr(pages, "REMEMBERED", 5)
    known = pages._RecentRows("id")

    def new_ids(*numbers):
        return [jsonio.loads(one)["id"] for one in known.new([jsonio.dumps(row(number)) for number in numbers])]

    assert new_ids(*range(5)) == [0, 1, 2, 3, 4]
    assert new_ids(*range(5)) == []
    assert new_ids(5) == [5]
    assert new_ids(1, 2, 3, 4, 5) == []
    assert new_ids(0) == [0]
    assert (len(known._order), len(known._keys)) == (5, 5)


def test_rows_of_many_pages_are_not_held():
    class Dropped:
        count = 0

        def add(self, rows):
            self.count += len(rows)

    filler = "x" * 400
    body = jsonio.dumps([row(0, filler=filler)])[1:-1]

    async def api(request):
        skip = int(request.query.get("skip", "0"))
        page = b",".join(body.replace(b'"id":0', b'"id":%d' % number) for number in range(skip, skip + 1000))
        return Answer(200, Verdict.APPLIED, None, "", body=b'{"hasMore":%s,"data":[%s]}' % (
            b"true" if skip < 79_000 else b"false", page
        ))  # fmt: skip

    rows = Dropped()
    tracemalloc.start()
    try:
        asyncio.run(read_pages(get_loyalty_card_transactions(5, "card"), Paging(), api, rows))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rows.count == 80_000 > REMEMBERED
    assert peak < 8_000_000  # all of them are 34 MB


@pytest.mark.parametrize("body", [b'{"data":[],"hasMore":true}', b'{"data":null,"hasMore":true}'])
def test_a_page_that_promises_more_and_has_nothing_is_no_end(body):
    with pytest.raises(BadPage):
        page_of(body, Paging(), 0)


def endless(made):
    """An API that always says that there is more; `made` gives the rows of a page by its number."""
    requests = []

    async def api(request):
        requests.append(request)
        return yes({"data": made(len(requests)), "hasMore": True})

    return api, requests


@pytest.mark.parametrize("paging", [Paging(), Paging(key=None)])
def test_the_same_page_for_ever_is_given_up(paging):
    api, requests = endless(lambda _: [{"amount": 1}, {"amount": 2}])
    with pytest.raises(BadPage, match="the same page again and again"):
        read(api, paging)
    assert len(requests) == pages.LONGEST_STAND + 1


def test_new_rows_for_ever_are_given_up(monkeypatch):
    monkeypatch.setattr(pages, "MOST_PAGES", 300)
    api, requests = endless(lambda number: [row(number)])
    with pytest.raises(BadPage, match="there is more after 300 pages"):
        read(api)
    assert len(requests) == 300


def test_rows_without_end_are_given_up_by_their_size(monkeypatch):
    monkeypatch.setattr(pages, "MOST_BYTES", 10_000)
    api, requests = endless(lambda number: [row(number, text="x" * 1000)])
    with pytest.raises(BadPage, match="was not read on"):
        read(api)
    assert len(requests) == 10
