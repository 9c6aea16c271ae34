"""The interface of a handler: the call that it takes, and its result."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from beam_talonone.simulator.bodies.checks import Check
from beam_talonone.simulator.bodies.queries import Query
from beam_talonone.simulator.exchange.answers import Answer, Problem, Refusal
from beam_talonone.simulator.exchange.body_store import BodyStore
from beam_talonone.simulator.server.settings import SimulatorSettings
from beam_talonone.simulator.world.account import World

MAX_NUMBER: Final = (1 << 63) - 1


class Call:
    """A request that passed the checks. `body` is its decoded JSON, `raw` the same in bytes as received, and `now` is
    in seconds since 1970.
    """

    __slots__ = ("_place", "body", "dry", "now", "path", "query", "raw")

    def __init__(
        self, path: dict[str, str], query: Mapping[str, Any], body: Any, raw: bytes, dry: bool, now: float
    ) -> None:
        self.path = path
        self.query = query
        self.body = body
        self.raw = raw
        self.dry = dry
        self.now = now
        self._place: int | None = None

    def place(self, body_store: BodyStore) -> int:
        """The place of the raw body in `body_store`. The first call puts it there."""
        if self._place is None:
            self._place = body_store.put(self.raw)
        return self._place

    def number(self, name: str) -> int:
        """The path parameter `name` as an integer. Raises Refusal 400 if it is none."""
        text = self.path[name]
        if not (text.isascii() and text.isdecimal() and int(text) <= MAX_NUMBER):
            raise Refusal(400, "invalid path", [Problem("", "Invalid value", "must be an integer", name)])
        return int(text)

    def wants(self) -> list[str]:
        """The parts that the body adds to the answer by `responseContent`."""
        content: list[str] = self.body.get("responseContent", []) if self.body else []
        return content


@dataclass(frozen=True, slots=True)
class Done:
    """The success of a handler: its answer, and the session and profiles that it read or changed."""

    answer: Answer
    session: str | None = None
    profiles: tuple[str, ...] = ()


def _nothing(_: Mapping[str, Any]) -> bool:
    return False


@dataclass(frozen=True)
class Handler:
    """How the simulator carries out one operation.

    * `act`: the handler. It raises Refusal.
    * `shape`: creates the check of the body; None for an operation without a body.
    * `query`: the parsers of the query parameters.
    * `is_dry`: whether a call with this parsed query changes nothing.
    * `queues`: the names of what the call must have for itself, such as its profile.
    * `status_in_errors`: whether the body of a 400 repeats the status.
    """

    act: Callable[[World, Call], Done]
    shape: Callable[[SimulatorSettings], Check] | None = None
    query: Query = field(default_factory=dict)
    is_dry: Callable[[Mapping[str, Any]], bool] = _nothing
    queues: Callable[[World, Call], tuple[str, ...]] | None = None
    status_in_errors: bool = True
