"""Drives a simulator inside the test's own process, without sockets, under a clock the test moves."""

import asyncio
import json
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pytest

from beam_talonone.simulator.server.app import Simulator
from beam_talonone.simulator.server.deliver import EXTENSION
from beam_talonone.simulator.server.serve import running
from beam_talonone.simulator.server.settings import SimulatorSettings

DOCUMENT = Path(__file__).parents[2].parent / "shared" / "reference" / "talonone-integration-openapi.yaml"


@dataclass
class Reply:
    """What came back; `status` is None when the connection was cut."""

    status: int | None = None
    text: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def add(self, data):
        self.text += data

    @property
    def json(self):
        return json.loads(self.text, parse_float=Decimal)

    @property
    def pointers(self):
        return [error["source"].get("pointer") for error in self.json["errors"]]

    @property
    def titles(self):
        return [error["title"] for error in self.json["errors"]]

    @property
    def parameters(self):
        return [error["source"].get("parameter") for error in self.json["errors"]]


class Api:
    """A simulator and a caller of it. `now` is its clock, in seconds."""

    def __init__(self, **settings):
        self.now = 100.0
        self.app = Simulator(SimulatorSettings(**settings), clock=lambda: self.now)

    async def send(self, method, target, body=None, *, auth="ApiKey-v1 k", key=None):
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        path, _, query = target.partition("?")
        headers = [(b"authorization", auth.encode())] if auth is not None else []
        if key is not None:
            headers.append((b"idempotency-key", key.encode()))
        reply, cut = Reply(), asyncio.Event()
        scope = {
            "type": "http",
            "method": method,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": headers,
            "extensions": {EXTENSION: {"close": cut.set, "write": reply.add}},
        }
        messages = [{"type": "http.request", "body": raw}]

        async def receive():
            if messages:
                return messages.pop(0)
            await cut.wait()
            return {"type": "http.disconnect"}

        async def answer(message):
            if message["type"] == "http.response.start":
                reply.status = message["status"]
                reply.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                reply.text += message["body"]

        await self.app(scope, receive, answer)
        return reply

    def call(self, method, target, body=None, **options):
        return asyncio.run(self.send(method, target, body, **options))

    def together(self, *calls):
        """Several calls at once, each a tuple of arguments of `send`; gives their replies in the same order."""

        async def all_of_them():
            return await asyncio.gather(*(self.send(*call) for call in calls))

        return asyncio.run(all_of_them())

    def session(self, id="s", *, key=None, query="", content=(), **fields):
        body = {"customerSession": fields, "responseContent": list(content)}
        return self.call("PUT", f"/v2/customer_sessions/{quote(id, safe='')}{query}", body, key=key)

    def give_back(self, *items, id="s", key=None, query="", content=()):
        body = {"return": {"returnedCartItems": list(items)}, "responseContent": list(content)}
        return self.call("POST", f"/v2/customer_sessions/{quote(id, safe='')}/returns{query}", body, key=key)

    def reopen(self, id="s", *, key=None):
        return self.call("PUT", f"/v2/customer_sessions/{quote(id, safe='')}/reopen", key=key)

    def read(self, id="s"):
        return self.call("GET", f"/v2/customer_sessions/{quote(id, safe='')}").json["customerSession"]

    def lines(self, name):
        text = self.call("GET", f"/_simulator/{name}", auth=None).text
        return [json.loads(line, parse_float=Decimal) for line in text.splitlines()]

    def one(self, name, id):
        return next(line for line in self.lines(name) if line["id"] == id)

    def summary(self):
        return self.call("GET", "/_simulator/summary", auth=None).json


@pytest.fixture
def api():
    return Api()


@pytest.fixture
def simulated():
    """Makes a simulator with settings."""
    return Api


@pytest.fixture(scope="session")
def url():
    """A simulator in a real process, with no faults; tests use ids of their own."""
    with running(SimulatorSettings()) as url:
        yield url


@pytest.fixture(scope="session")
def document():
    """The vendor's document, as a value."""
    if not DOCUMENT.exists():
        pytest.skip(f"the vendor's document is not there: {DOCUMENT}")
    yaml = pytest.importorskip("yaml")
    return yaml.load(DOCUMENT.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@pytest.fixture(scope="session")
def vendor_document(document):
    """The vendor's document as a checker of answers."""
    from tests.simulator.vendor_document import Document

    return Document(document)


@pytest.fixture(scope="session")
def held(vendor_document):
    """Calls an Api and holds the answer against the document."""
    from tests.simulator.vendor_document import target_of

    def call(api, method, template, body=None, *, query="", key=None, **names):
        reply = api.call(method, target_of(template, names) + query, body, key=key)
        vendor_document.hold(method, template, reply)
        return reply

    return call
