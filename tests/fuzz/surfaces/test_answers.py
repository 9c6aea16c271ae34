"""Answers of the API, damaged: each protocol comes to an outcome that the journal and a dead letter take."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import msgspec
from fuzz.corpus import KINDS, RECORDS, T
from fuzz.damage import ODD_TEXTS, changed, damaged, json_text, odd_values
from fuzz.endings import check_letter, check_line
from fuzz.fuzzed import fuzzed
from hypothesis import strategies as st
from support.fakeloop import START, run
from support.sender_fixture import EPOCH, Way, way

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.schemas.decoding.shown import of_bytes
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.operations.cards import get_loyalty_card_transactions
from beam_talonone.schemas.operations.profiles import get_customer_inventory
from beam_talonone.schemas.request import Request
from beam_talonone.talonone.delivery.send_options import InFlight, SendOptions
from beam_talonone.talonone.engine.batcher import Batcher
from beam_talonone.talonone.engine.job import Job
from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.http.send import Broken, NotSent, Reply, TransportFailure
from beam_talonone.talonone.protocols.carry_out import carry_out
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.output_lines import dead_letter, result
from beam_talonone.talonone.requests.work import Part, Work

SESSION = {
    "customerSession": {
        "profileId": "c", "state": "closed", "storeIntegrationId": "s", "couponCodes": ["X"], "referralCode": "R",
        "cartItems": [
            {"sku": "tea", "quantity": 2, "price": 19.99, "name": "Tea", "position": 0, "returnedQuantity": 0},
            {"sku": "cup", "quantity": 1, "position": 1},
        ],
        "additionalCosts": {"shipping": {"price": 5}}, "attributes": {"gift": True}, "loyaltyCards": ["L"],
        "total": 44.98, "updated": T, "firstSession": False, "identifiers": ["i"],
    },
    "effects": [{"effectType": "setDiscount", "props": {"value": 1.50}}],
}  # fmt: skip
PROBLEM = {
    "message": "no", "errors": [
        {"title": "Unknown", "details": "size", "source": {"pointer": "/customerProfiles/1/attributes/size"}},
        {"title": "Invalid state", "details": "closed", "source": {"pointer": "/customerSession/state"}},
    ], "StatusCode": 400,
}  # fmt: skip
PAGE = {"data": [{"id": 1, "amount": 1.5}, {"id": 2, "amount": 2}], "hasMore": True, "totalResultSize": 9}
INVENTORY = {"profile": {"integrationId": "c", "attributes": {}}, "loyalty": {"programs": {"5": {"ledger": {}}}}}
BODIES: Sequence[Any] = [SESSION, PROBLEM, PAGE, INVENTORY, {"effects": []}, {}]
_SEEDS = [json.dumps(value).encode() for value in BODIES]

bodies = (
    st.sampled_from([*_SEEDS, b"", b" ", b"<html>", b"null", b"[]", b'"a"', b"{}{}", b'{"effects":{}}'])
    | damaged(_SEEDS)
    | st.sampled_from(BODIES).flatmap(changed).map(json_text)
    | odd_values.map(json_text)
)
waits = st.none() | st.sampled_from(
    ["0", "1", "9" * 400, "-1", "1.5", "\u0663", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -2359",
     "Mon, 99 Foo 2026 25:61:61 GMT", "inf", "nan", "Thu, 01 Jan 0000 00:00:00 +9999", *ODD_TEXTS]
)  # fmt: skip
_STATUSES = st.sampled_from([200, 201, 204, 400, 404, 409, 422, 425, 429, 500, 502, 503]) | st.integers(200, 999)
answers = st.builds(Reply, _STATUSES, bodies, waits, st.none() | st.just("it is cut off")) | st.sampled_from(
    [Broken("cut"), NotSent("refused")]
)
scripts = st.lists(answers, min_size=1, max_size=6)


class Script:
    """Plays answers, then good ones: a session for reads of one, an end of a list, and yes for writes."""

    def __init__(self, script: list[Reply | TransportFailure]) -> None:
        self._script, self.requests = list(script), 0

    async def __call__(self, request: Request, key: str | None) -> Reply:
        self.requests += 1
        assert self.requests < 300, "it asks without end"
        await asyncio.sleep(0.01)
        if self._script:
            answer = self._script.pop(0)
            if isinstance(answer, TransportFailure):
                raise answer
            return answer
        if request.operation == "get_customer_session":
            return Reply(200, _SEEDS[0])
        return Reply(200, b'{"data":[],"hasMore":false}' if request.method == "GET" else b"{}")


class Lines:
    """Takes the lines of lookups, each of which is JSON."""

    async def put(self, pieces: Any) -> tuple[int, int]:
        line = b"".join(pieces)
        assert line.index(b"\n") == len(line) - 1
        assert jsonio.parts(line)
        return 0, len(line)


WORKS = [build(kind, parse(kind, RECORDS[kind]).record, BuildOptions()) for kind in KINDS]
_EVENT = parse("events", {name: value for name, value in RECORDS["events"].items() if name != "loyalty_card"}).record


def _call(operation: str, path: dict[str, Any], body: Any) -> Work:
    record = {"call_id": "k", "operation": operation, "path": path, "body": body, "event_time": T}
    return build("calls", parse("calls", record).record, BuildOptions())


def _reading(request: Request) -> Work:
    return msgspec.structs.replace(
        WORKS[4], kind="lookups", parts=(Part(request, "read"),), given=b'{"lookup_id":"1"}'
    )


WORKS += [
    build("events", _EVENT, BuildOptions(events_api="v3")),
    build("orders", parse("orders", {**RECORDS["orders"], "status": "cancelled"}).record, BuildOptions()),
    build("profiles", parse("profiles", {"customer_id": "c", "event_time": T, "erase": True}).record, BuildOptions()),
    _call("generate_loyalty_card", {"loyaltyProgramId": 5}, {"cardIdentifier": "card"}),
    _call("link_loyalty_card_to_profile", {"loyaltyProgramId": 5, "loyaltyCardId": "card"}, {"integrationId": "a"}),
    _call("join_loyalty_program", {"loyaltyProgramId": 5, "integrationId": "a"}, None),
    _call("create_referral", {}, {"campaignId": 3, "advocateProfileIntegrationId": "a"}),
    _call("activate_loyalty_points", {"loyaltyProgramId": 5}, {"sessionId": "s"}),
    _reading(get_customer_inventory("c", loyalty=True)),
    _reading(get_loyalty_card_transactions(5, "card", page_size=2)),
]

_ENCODER = msgspec.json.Encoder(decimal_format="number")


def check_outcome(work: Work, outcome: Outcome) -> None:
    """Check that the journal reads an outcome as it was, and that its line is one."""
    assert msgspec.convert(msgspec.json.decode(_ENCODER.encode(outcome)), Outcome).end == outcome.end
    if outcome.end is End.DEAD:
        shown = of_bytes(json_text(RECORDS.get(work.kind, {})))
        line = dead_letter(work.kind, work.id, shown, {"file": "f", "position": 1}, outcome, "job", 1e9, "a")
        if work.kind in RECORDS:
            check_letter(jsonio.dumps(line))
    else:
        assert b"\n" not in jsonio.dumps(result(work.kind, work.id, outcome))


async def carried(made: Way, work: Work, age: float | None, options: SendOptions) -> Outcome:
    """How a record of a kind ends whose parts go one by one."""
    before = None if age is None else InFlight(0, EPOCH + START - age)
    sender = made.request_sender(options, work.identity, in_flight=before)
    return await carry_out(sender, work, work.parts[-1], SessionFacts(session_sent=age is None))


@fuzzed(
    examples=40,
    work=st.sampled_from([work for work in WORKS if work.parts[-1].protocol != "pack"]),
    script=scripts,
    age=st.sampled_from([None, 60.0, 90_000.0]),
    reopens=st.booleans(),
)
def test_each_protocol_comes_to_an_outcome(
    work: Work, script: list[Reply | TransportFailure], age: float | None, reopens: bool
) -> None:
    options = SendOptions(effects=True, edit_closed="reopen" if reopens else None, lines=Lines())

    async def main() -> Outcome:
        async with way(Script(script)) as made:
            made.sender.gate.evidence.earlier = True
            return await carried(
                made, work, age if OPERATIONS[work.parts[-1].request.operation].body else None, options
            )

    try:
        check_outcome(work, run(main()))
    except StopRun as error:
        check_line(error)


@fuzzed(examples=30, script=scripts, count=st.integers(1, 5))
def test_a_bulk_comes_to_an_outcome_for_each_entry(script: list[Reply | TransportFailure], count: int) -> None:
    ended: dict[int, Outcome] = {}
    works = [_profile(number) for number in range(count)]

    def end(job: Job, outcome: Outcome) -> None:
        assert job.number not in ended
        ended[job.number] = outcome

    async def main() -> None:
        async with way(Script(script)) as made:
            made.sender.gate.evidence.earlier = True
            batcher = Batcher(made.dispatcher, made.sender)
            batcher.accept(
                *(Job(number, work, SendOptions(effects=True), _no_facts, end) for number, work in enumerate(works))
            )
            batcher.flush()
            until = asyncio.get_running_loop().time() + 86_400
            while len(ended) < count and not made.failures:
                assert asyncio.get_running_loop().time() < until, "it comes to no end"
                await asyncio.sleep(1.0)
            for failure in made.failures:
                assert isinstance(failure, StopRun), failure
                check_line(failure)

    run(main())
    for number, outcome in ended.items():
        check_outcome(works[number], outcome)


def _no_facts(job: Job) -> SessionFacts:
    return SessionFacts()


def _profile(number: int) -> Work:
    fields = {"customer_id": f"c{number}", "event_time": T, "attributes": {"size": number}}
    return build("profiles", parse("profiles", fields).record, BuildOptions())
