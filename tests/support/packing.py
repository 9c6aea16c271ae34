"""Calls and other records whose numbers can be read off their requests, and an API that applies them late."""

import asyncio
import random
from collections import defaultdict

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.engine.batcher import Batcher
from beam_talonone.talonone.engine.job import Job
from beam_talonone.talonone.http.send import NotSent, Reply
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.build import BuildOptions, build
from support.fakeloop import START, run
from support.sender_fixture import way

T = "2026-05-01T12:00:00Z"
AUDIENCES, REFERRALS = "update_customer_profile_audiences", "create_referrals_for_multiple_advocates"
RESERVE, UNRESERVE = "create_coupon_reservation", "delete_coupon_reservation"
LISTS = {
    AUDIENCES: "data", RESERVE: "integrationIDs", UNRESERVE: "integrationIDs",
    REFERRALS: "advocateProfileIntegrationIds",
}  # fmt: skip


def made(kind, **fields):
    return build(kind, parse(kind, {"event_time": T, **fields}).record, BuildOptions())


def call(number, operation, customers, coupon="X", key=None):
    """A call of which number and place can be read off its entries, except for those of coupons."""
    bodies = {
        AUDIENCES: {
            "data": [
                {"action": "add", "profileIntegrationId": customer, "audienceId": number * 10_000 + place}
                for place, customer in enumerate(customers)
            ]
        },
        REFERRALS: {"campaignId": number, "usageLimit": 1, "advocateProfileIntegrationIds": customers},
        RESERVE: {"integrationIDs": customers},
        UNRESERVE: {"integrationIDs": customers},
    }
    path = {"couponValue": coupon} if operation in (RESERVE, UNRESERVE) else {}
    more = {} if key is None else {"ordering_key": key}
    return made("calls", call_id=f"k{number}", operation=operation, path=path, body=bodies[operation], **more)


def other(number, what, customer):
    """A record that is no call."""
    fields = {
        "attributes": {"attributes": {f"a{number}": number}},
        "both": {"attributes": {f"a{number}": number}, "audiences": {"add": [number * 10_000]}},
        "erase": {"erase": True},
    }
    if what == "event":
        return made("events", event_id=f"e{number}", type=f"t{number}", customer_id=customer)
    return made("profiles", customer_id=customer, **fields[what])


def atoms(request):
    """(customer, what was done) one by one, in the order of the request."""
    body = request.body_json()
    match request.operation:
        case "update_customer_profiles_v2":
            for entry in body["customerProfiles"]:
                for number in entry["attributes"].values():
                    yield entry["integrationId"], ("attributes", number)
        case "update_customer_profile_audiences":
            for action in body["data"]:
                yield action["profileIntegrationId"], ("member", *divmod(action["audienceId"], 10_000))
        case "create_referrals_for_multiple_advocates":
            for customer in body["advocateProfileIntegrationIds"]:
                yield customer, ("referral", body["campaignId"])
        case "delete_customer_data":
            yield request.path["integrationId"], ("erase",)
        case "track_event_v2":
            yield body["profileId"], ("event", int(body["type"][1:]))
        case operation:
            for customer in body["integrationIDs"]:
                yield customer, (operation, request.path["couponValue"])


class Api:
    """Applies requests after a delay, and refuses a whole bulk with the customer "bad".

    Notes which requests overlap, and when each left and ended. `slow`: customer -> seconds of its requests.
    """

    def __init__(self, seed=0, pointers=True, breaks=False, limit=1000, slow=None, keys=None):
        self.rng, self.pointers, self.breaks, self.limit = random.Random(seed), pointers, breaks, limit
        self.slow, self.keys = slow, keys or {}
        self.applied, self.coupons, self.busy, self.requests = defaultdict(list), defaultdict(list), set(), []

    async def __call__(self, request, key):
        done = list(atoms(request))
        assert done
        assert len(done) <= self.limit or request.operation == "update_customer_profiles_v2"
        held = {customer for customer, _ in done} | {("coupon", coupon) for coupon in request.path.values()}
        assert not held & self.busy, "two requests of one customer or coupon at a time"
        began = asyncio.get_running_loop().time() - START
        self.busy |= held
        try:
            await asyncio.sleep(self.latency(done))
            reply = self.answer(request, done)
        finally:
            self.busy -= held
        self.requests.append((request, done, began, asyncio.get_running_loop().time() - START))
        return reply

    def latency(self, done):
        if self.slow is not None:
            return max((self.slow.get(customer, 0.01) for customer, _ in done), default=0.01)
        return self.rng.choice([0.0, 0.01, 0.5])

    def answer(self, request, done):
        if self.breaks and self.rng.random() < 0.2:
            raise NotSent("refused")
        bad = [place for place, (customer, _) in enumerate(done) if customer == "bad"]
        if bad:
            pointer = f"/{LISTS[request.operation]}/{bad[0]}" if self.pointers else None
            return Reply(
                400, jsonio.dumps({"message": "no", "errors": [{"title": "Bad", "source": {"pointer": pointer}}]})
            )
        for customer, atom in done:
            for owner in dict.fromkeys(
                [customer, self.keys.get(atom[1]) or customer] if len(atom) > 1 else [customer]
            ):
                self.applied[owner].append(atom)
            if atom[0] in (RESERVE, UNRESERVE):
                self.coupons[atom[1]].append((atom[0], customer))
        return Reply(200, b"{}")

    def sizes(self, operation):
        return [len(done) for request, done, *_ in self.requests if request.operation == operation]


def accept_all(works, api, flushes=frozenset()):
    """The outcomes of records that are taken in one after the other, with pauses in between."""
    outcomes = {}

    def on_outcome(job, outcome):
        assert job.number not in outcomes
        outcomes[job.number] = outcome

    async def main():
        async with way(api, give_up_after=None) as w:
            batcher = Batcher(w.dispatcher, w.sender)
            for number, work in enumerate(works):
                batcher.accept(Job(number, work, SendOptions(), lambda job: SessionFacts(), on_outcome))
                if number in flushes:
                    batcher.flush()
                    await asyncio.sleep(0.3)
            batcher.flush()
            for _ in range(5000):
                if len(outcomes) == len(works) or w.failures:
                    break
                await asyncio.sleep(1.0)
            assert w.failures == []
            assert len(outcomes) == len(works)
            assert w.dispatcher.pending == 0

    run(main())
    return [outcomes[number] for number in range(len(works))]
