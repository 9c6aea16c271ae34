"""The simulator as an ASGI application: the path of a request from its arrival to its answer."""

import asyncio
import math
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import BinaryIO, Final

import msgspec

from beam_talonone.schemas.operations import OPERATIONS, Operation, SafeToRepeat
from beam_talonone.simulator.bodies.checks import Check
from beam_talonone.simulator.bodies.queries import parsed
from beam_talonone.simulator.exchange.answers import Answer, Problem, Refusal, decode, error_answer
from beam_talonone.simulator.exchange.call import Call, Handler
from beam_talonone.simulator.exchange.damage import GATEWAY_PAGES
from beam_talonone.simulator.exchange.faults import CUT_BEFORE, Effect, Fault
from beam_talonone.simulator.exchange.ledger import NO_BODY, Acted, Received
from beam_talonone.simulator.exchange.routes import Routes
from beam_talonone.simulator.operations.handlers import HANDLERS
from beam_talonone.simulator.server import control, deliver
from beam_talonone.simulator.server.deliver import Receive, Scope, Send
from beam_talonone.simulator.server.settings import SimulatorSettings
from beam_talonone.simulator.world.state import State, new_state

KEY_PREFIX: Final = b"ApiKey-v1 "
MAX_KEY: Final = 255
MESSAGES: Final = {
    401: "invalid API key",
    409: "Too many requests are updating this profile/session at the same time",
    429: "too many requests",
}

Row = tuple[Handler, Check | None]


class Incoming(msgspec.Struct, gc=False):
    """The parts of an HTTP request that matter. `target` is its path and query as received, `key` its
    Idempotency-Key.
    """

    method: str
    path: bytes
    query: bytes
    target: bytes
    authorization: bytes
    key: str | None
    body: bytes


class Simulator:
    """One simulated deployment, as an ASGI application. `clock` returns monotonic seconds."""

    def __init__(self, settings: SimulatorSettings, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises ValueError for invalid faults, and OSError if the file of the ledger cannot be written."""
        self.settings = settings
        self._clock = clock
        self._rows: dict[str, Row] = {
            name: (handler, handler.shape(settings) if handler.shape else None) for name, handler in HANDLERS.items()
        }
        self._routes = Routes(OPERATIONS.values())
        self.accept(settings.key)
        self._file: BinaryIO | None = open(settings.ledger, "ab") if settings.ledger else None  # noqa: SIM115
        self.state: State = new_state(settings, clock, self._file)

    def reset(self) -> None:
        """Start again: nothing is stored or counted, and the faults and the key of the settings are in force."""
        self.accept(self.settings.key)
        self.state = new_state(self.settings, self._clock, self._file)

    def accept(self, key: str | None) -> None:
        """Accept only this API key from now on; None accepts any key that is not empty."""
        self._key = None if key is None else KEY_PREFIX + key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request (ASGI 3). Other types of connections are ignored."""
        if scope["type"] != "http":
            return
        message = await receive()
        body: bytes = message.get("body", b"")
        while message.get("more_body", False):
            message = await receive()
            body += message.get("body", b"")
        if message["type"] == "http.disconnect":
            return
        path: bytes = scope["raw_path"]
        if path.startswith(control.PREFIX):
            await control.answer(self, scope["method"], path, body, send)
            return
        incoming = _incoming(scope, path, body)
        state = self.state
        request = state.ledger.arrive(state.elapsed(), incoming.target)
        try:
            answer, damage = await self._respond(state, incoming, request)
            if answer is None:
                await deliver.cut(scope, receive)
                return
            request.status = answer.status
            if damage is None:
                await deliver.whole(answer, send)
            elif not await deliver.damaged(answer, damage, scope, receive, send):
                return
            request.answered = state.elapsed()
        finally:
            state.ledger.leave(request)

    async def _respond(
        self, state: State, incoming: Incoming, request: Received
    ) -> tuple[Answer | None, Fault | None]:
        """The answer to a request, None to cut its connection; and the fault that damages the answer."""
        route: tuple[Operation, dict[str, str]] | Refusal
        try:
            route = self._routes.find(incoming.method, incoming.path)
            request.operation = route[0].name
        except Refusal as refusal:
            route = refusal
        effect = state.plan.effect(request.arrived, request.n, incoming.body, request.operation, incoming.target)
        request.fault = effect.names
        if effect.status == CUT_BEFORE:
            return None, None
        page = GATEWAY_PAGES.get(effect.fault or "")
        if page is not None and effect.status is not None:
            return page._replace(status=effect.status), None
        try:
            self._admit(state, request, effect, incoming.authorization)
            if isinstance(route, Refusal):
                raise route
        except Refusal as refusal:
            return self._refused(refusal, with_status=True), None
        operation, path = route
        seconds = effect.delay + state.latency()
        key = incoming.key if operation.repeat is SafeToRepeat.BY_KEY else None
        request.key = incoming.key
        if key is None:
            answer, _ = await self._operate(state, incoming, request, operation, path, seconds)
        else:
            answer = await self._once(state, incoming, request, operation, path, seconds, key)
        return None if effect.cut_after else answer, effect.damage

    def _admit(self, state: State, request: Received, effect: Effect, authorization: bytes) -> None:
        """Raise Refusal for a request that is refused before its operation: by key, rate or fault."""
        if self._key is None:
            trusted = authorization.startswith(KEY_PREFIX) and len(authorization) > len(KEY_PREFIX)
        else:
            trusted = authorization == self._key
        if not trusted:
            raise Refusal(401, MESSAGES[401])
        if state.rate is not None:
            early = state.rate.wait(request.arrived)
            if early:
                state.rate_refused += 1
                raise TooMany(early)
        if effect.status == 429:
            raise TooMany(1.0)
        if effect.status is not None:
            raise Refusal(effect.status, MESSAGES.get(effect.status, "the server failed"))

    async def _once(
        self, state: State, incoming: Incoming, request: Received, operation: Operation, path: dict[str, str],
        seconds: float, key: str,
    ) -> Answer:  # fmt: skip
        """As `_operate`, but once in 24 hours for each Idempotency-Key. A repeat gets the stored answer."""
        keys = state.keys
        if len(key) > MAX_KEY:
            problem = Problem("", "Too long", f"Idempotency-Key must not be longer than {MAX_KEY} characters")
            return self._refused(Refusal(400, "invalid Idempotency-Key", [problem]), with_status=True)
        if key in keys.running:
            return self._refused(Refusal(409, MESSAGES[409]), with_status=True)
        content = hash((incoming.target, incoming.body))
        stored = keys.find(key, request.arrived)
        if stored is not None:
            request.replayed = True
            state.ledger.keys_misused += stored.content != content
            if seconds:
                await asyncio.sleep(seconds)
            return stored.answer
        keys.running.add(key)
        try:
            answer, final = await self._operate(state, incoming, request, operation, path, seconds)
            if final:
                keys.store(key, state.elapsed(), content, answer)
            return answer
        finally:
            keys.running.discard(key)

    async def _operate(
        self, state: State, incoming: Incoming, request: Received, operation: Operation, path: dict[str, str],
        seconds: float,
    ) -> tuple[Answer, bool]:  # fmt: skip
        """Carry out the operation within `seconds`. Returns the answer, and whether to store it under the key."""
        row = self._rows.get(operation.name)
        if row is None:
            missing = Refusal(501, f"the simulator does not do {operation.name} yet")
            return self._refused(missing, with_status=True), False
        handler, check = row
        try:
            call = _understood(handler, check, path, incoming)
        except Refusal as refusal:
            if seconds:
                await asyncio.sleep(seconds)
            return self._refused(refusal, with_status=handler.status_in_errors), True
        request.dry = call.dry
        if not seconds and not state.queues:  # no request is in flight, so none can be parallel
            return self._act(state, request, operation, handler, call), True
        queues = handler.queues(state.world, call) if handler.queues else ()
        if not await state.queues.enter(queues):
            return self._refused(Refusal(409, MESSAGES[409]), with_status=True), False
        try:
            # half before and half after, so that a caller can die or give up before and after the request acts
            begun = time.perf_counter()
            await asyncio.sleep(seconds / 2)
            answer = self._act(state, request, operation, handler, call)
            await asyncio.sleep(max(0.0, begun + seconds - time.perf_counter()))
        finally:
            state.queues.leave(queues)
        return answer, True

    def _act(self, state: State, request: Received, operation: Operation, handler: Handler, call: Call) -> Answer:
        try:
            done = handler.act(state.world, call)
        except Refusal as refusal:
            # only a 400 may lack its status
            return self._refused(refusal, with_status=handler.status_in_errors or refusal.status != 400)
        if not call.dry and not operation.is_read:
            keep = self.settings.keep_bodies and call.body is not None
            body = call.place(state.world.body_store) if keep else NO_BODY
            state.ledger.act(Acted(request, call.path, done.session, done.profiles, state.elapsed(), body))
        return done.answer

    def _refused(self, refusal: Refusal, *, with_status: bool) -> Answer:
        answer = error_answer(refusal, report=self.settings.errors, with_status=with_status)
        if not isinstance(refusal, TooMany) or self.settings.retry_after == "none":
            return answer
        when = str(max(1, math.ceil(refusal.wait)))
        if self.settings.retry_after == "date":
            when = formatdate(math.ceil(time.time() + refusal.wait), usegmt=True)
        return answer._replace(headers=((b"retry-after", when.encode()),))


class TooMany(Refusal):
    """The request is over the rate, `wait` seconds too early."""

    def __init__(self, wait: float) -> None:
        super().__init__(429, MESSAGES[429])
        self.wait = wait


def _incoming(scope: Scope, path: bytes, body: bytes) -> Incoming:
    authorization, key = b"", None
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization = value
        elif name == b"idempotency-key" and value:
            key = value.decode("latin-1")
    query: bytes = scope["query_string"]
    target = path + b"?" + query if query else path
    return Incoming(scope["method"], path, query, target, authorization, key, body)


def _understood(handler: Handler, check: Check | None, path: dict[str, str], incoming: Incoming) -> Call:
    """The request as a checked Call. Raises Refusal with all problems."""
    values = parsed(handler.query, incoming.query) if incoming.query else {}
    body = None
    if check is not None:
        try:
            body = decode(incoming.body)
        except (ValueError, RecursionError) as error:
            raise Refusal(400, "the body is not JSON", [Problem("", "Invalid JSON", str(error))]) from None
        problems = check(body)
        if problems:
            raise Refusal(400, "the request is not valid", problems)
    return Call(path, values, body, incoming.body, handler.is_dry(values), time.time())
