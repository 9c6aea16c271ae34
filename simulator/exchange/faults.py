"""Faults to order: `NAME:param=value,param=value`.

Every fault takes `share` (0 to 1, default 1: of the requests it could meet, how many it does), `from` and `to`
(seconds since the faults were set: at the start, or by POST /_simulator/faults) and `from-request` and `to-request`
(numbers of requests since then, the first is 1; `to-request` is included, `to` is not). With `operation=NAME` it
meets only requests of that operation, with `target=TEXT` only those whose path and query, as they came, contain the
text: `5xx:operation=get_loyalty_balances`, `cut-before:target=skip=100`.

    latency:ms=50,jitter=20     takes that much longer
    5xx:status=503              answered 500, 502 or 503 (any of them unless `status` says which) without acting
    cut-before                  connection closed without acting and without an answer
    cut-after                   acts, then the connection is closed without an answer
    outage:kind=503             cut-before for all; with kind=503 answered 503 instead
    revoke:after=100            the key is refused with 401 after so many requests
    unauthorized                401
    storm                       429
    poison:text=WORD            500, always, for a request whose body contains the text
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from beam_talonone.schemas.operations import OPERATIONS

CUT_BEFORE: Final = -1


class Fate(NamedTuple):
    """What the faults make of one request: extra delay in seconds, then an early end or a cut after acting.

    `status` is the answer given instead of acting, CUT_BEFORE for none at all; None lets the request act.
    """

    delay: float = 0.0
    status: int | None = None
    cut_after: bool = False
    names: str | None = None


UNHARMED: Final = Fate()


@dataclass(frozen=True)
class Fault:
    """One parsed fault."""

    name: str
    share: float = 1.0
    start: float = 0.0
    end: float = float("inf")
    first: int = 1
    last: float = float("inf")
    ms: float = 0.0
    jitter: float = 0.0
    status: int | None = None
    kind: str = "cut"
    after: int = 0
    text: bytes = b""
    operation: str | None = None
    target: bytes = b""

    def meets(self, body: bytes, operation: str | None, target: bytes) -> bool:
        """Whether a request is of the kind that this fault is for."""
        if self.operation is not None and self.operation != operation:
            return False
        return self.target in target and self.text in body

    def covers(self, seconds: float, number: int) -> bool:
        return self.start <= seconds < self.end and self.first <= number <= self.last and number > self.after


def _number(low: float, high: float = float("inf")) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise ValueError(f"must be {low:g} or more" if high == float("inf") else f"must be {low:g} to {high:g}")
        return value

    return parse


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError("must be 0 or more")
    return value


def _filled(text: str) -> bytes:
    if not text:
        raise ValueError("must not be empty")
    return text.encode()


def _operation(text: str) -> str:
    if text not in OPERATIONS:
        raise ValueError("is no operation; names are the official SDK's, such as update_customer_session_v2")
    return text


def _word(*known: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in known:
            raise ValueError(f"must be {' or '.join(known)}")
        return text

    return parse


Param = tuple[str, Callable[[str], object]]
_COMMON: Mapping[str, Param] = {
    "share": ("share", _number(0, 1)),
    "from": ("start", _number(0)),
    "to": ("end", _number(0)),
    "from-request": ("first", _count),
    "to-request": ("last", _count),
    "operation": ("operation", _operation),
    "target": ("target", _filled),
}
_OWN: Mapping[str, Mapping[str, Param]] = {
    "latency": {"ms": ("ms", _number(0)), "jitter": ("jitter", _number(0))},
    "5xx": {"status": ("status", lambda text: int(_word("500", "502", "503")(text)))},
    "cut-before": {},
    "cut-after": {},
    "outage": {"kind": ("kind", _word("cut", "503"))},
    "revoke": {"after": ("after", _count)},
    "unauthorized": {},
    "storm": {},
    "poison": {"text": ("text", _filled)},
}
_NEEDED = {"latency": "ms", "revoke": "after", "poison": "text"}


def parse_fault(spec: str) -> Fault:
    """`spec` as a Fault; ValueError says which part of it is not understood and what would be."""
    name, _, rest = spec.partition(":")
    if name not in _OWN:
        raise ValueError(f"fault {spec!r}: no fault is called {name!r}; there are {', '.join(_OWN)}")
    params = {**_OWN[name], **_COMMON}
    values: dict[str, object] = {}
    for part in rest.split(",") if rest else ():
        param, equals, text = part.partition("=")
        if param not in params or not equals:
            raise ValueError(
                f"fault {spec!r}: {part!r} is not understood; {name} takes {', '.join(params)} as NAME=VALUE"
            )
        target, parse = params[param]
        try:
            values[target] = parse(text)
        except ValueError as error:
            raise ValueError(f"fault {spec!r}: {param}={text!r}: {error}") from None
    needed = _NEEDED.get(name)
    if needed is not None and params[needed][0] not in values:
        raise ValueError(f"fault {spec!r}: {name} needs {needed}=...")
    return Fault(name, **values)  # type: ignore[arg-type]


def parse_faults(specs: Sequence[str]) -> tuple[Fault, ...]:
    return tuple(parse_fault(spec) for spec in specs)


class FaultPlan:
    """The faults in force. The same requests in the same order meet the same fate for the same seed."""

    def __init__(self, faults: Sequence[Fault], *, seed: int, started: float, before: int) -> None:
        """`started` and `before`: the time and the number of requests received when the faults were set."""
        self.dice = random.Random(seed)
        self._dice = [(fault, random.Random(f"{seed}/{index}")) for index, fault in enumerate(faults)]
        self._started = started
        self._before = before

    def fate(self, now: float, number: int, body: bytes, operation: str | None = None, target: bytes = b"") -> Fate:
        """What becomes of request `number`, arrived at `now`; `target` is its path and query."""
        if not self._dice:
            return UNHARMED
        delay, status, cut_after, names = 0.0, None, False, []
        for fault, dice in self._dice:
            # diced for every request, hit or not: one fault's window must not move another's luck
            luck, spread = dice.random(), dice.random()
            if luck >= fault.share or not fault.covers(now - self._started, number - self._before):
                continue
            if not fault.meets(body, operation, target):
                continue
            names.append(fault.name)
            if fault.name == "latency":
                delay += (fault.ms + spread * fault.jitter) / 1000
            elif fault.name == "cut-after":
                cut_after = True
            elif status is None:
                status = _STATUS[fault.name](fault, spread)
        return Fate(delay, status, cut_after, "+".join(names)) if names else UNHARMED


_STATUS: Mapping[str, Callable[[Fault, float], int]] = {
    "5xx": lambda fault, spread: fault.status or (500, 502, 503)[int(spread * 3)],
    "cut-before": lambda _, __: CUT_BEFORE,
    "outage": lambda fault, _: CUT_BEFORE if fault.kind == "cut" else 503,
    "revoke": lambda _, __: 401,
    "unauthorized": lambda _, __: 401,
    "storm": lambda _, __: 429,
    "poison": lambda _, __: 500,
}
