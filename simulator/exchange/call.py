"""What a handler is given and what it gives back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from beam_talonone.simulator.bodies.checks import Check
from beam_talonone.simulator.bodies.queries import Query
from beam_talonone.simulator.exchange.answers import Answer, Problem, Refusal
from beam_talonone.simulator.exchange.spool import Spool
from beam_talonone.simulator.server.settings import SimulatorSettings
from beam_talonone.simulator.world.account import World

MAX_NUMBER: Final = (1 << 63) - 1


class Call:
    """A request that passed the checks: `body` is its JSON, `raw` the same as received, `now` seconds since 1970."""

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

    def place(self, spool: Spool) -> int:
        """Where the raw body lies in `spool`; it is put there once."""
        if self._place is None:
            self._place = spool.put(self.raw)
        return self._place

    def number(self, name: str) -> int:
        """The path parameter `name` as an integer; raises Refusal 400 where it is none."""
        text = self.path[name]
        if not (text.isascii() and text.isdecimal() and int(text) <= MAX_NUMBER):
            raise Refusal(400, "invalid path", [Problem("", "Invalid value", "must be an integer", name)])
        return int(text)

    def wants(self) -> list[str]:
        content: list[str] = self.body.get("responseContent", []) if self.body else []
        return content


@dataclass(frozen=True, slots=True)
class Done:
    """A handler's success: what to answer, and whom it concerned."""

    answer: Answer
    session: str | None = None
    profiles: tuple[str, ...] = ()


def _nothing(_: Mapping[str, Any]) -> bool:
    return False


@dataclass(frozen=True)
class Handler:
    """How the simulator does one operation.

    `shape` makes the check of its body, None where it has none. `query` parses its query parameters, each raising
    ValueError; a Several takes more than one value. `is_dry` tells from the parsed query whether the call changes
    nothing. `lanes` names what the call must have for itself. `status_in_errors` says whether a 400 repeats its
    status in the body.
    """

    act: Callable[[World, Call], Done]
    shape: Callable[[SimulatorSettings], Check] | None = None
    query: Query = field(default_factory=dict)
    is_dry: Callable[[Mapping[str, Any]], bool] = _nothing
    lanes: Callable[[World, Call], tuple[str, ...]] | None = None
    status_in_errors: bool = True
