"""Faults of the simulator, ordered by text: `NAME:param=value,param=value`.

FAULTS and COMMON declare the faults and their parameters, EFFECTS and LIMITS what they do: the rows of
docs/reference/faults.md. For example, `5xx:share=0.02,status=503` answers 503 to two of a hundred requests.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from beam_talonone.schemas.operations import OPERATIONS

CUT_BEFORE: Final = -1


class Effect(NamedTuple):
    """The effect of the faults on one request: extra delay in seconds, then an early end, or an answer that is cut or
    damaged after acting.

    `status` is the answer instead of acting, or CUT_BEFORE for no answer; None lets the request act. `fault` chooses
    the page of a status that comes from a gateway. `damage` is the fault that spoils an answer. `names` are the
    faults, joined by `+`.
    """

    delay: float = 0.0
    status: int | None = None
    cut_after: bool = False
    names: str | None = None
    fault: str | None = None
    damage: "Fault | None" = None


UNHARMED: Final = Effect()


@dataclass(frozen=True)
class Fault:
    """One parsed fault. `start` and `end` are in seconds, `first` and `last` are numbers of requests."""

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
    mb: float = 100.0
    text: bytes = b""
    operation: str | None = None
    target: bytes = b""

    def meets(self, body: bytes, operation: str | None, target: bytes) -> bool:
        """Whether the fault is for requests of this operation, with such a body and target."""
        if self.operation is not None and self.operation != operation:
            return False
        return self.target in target and self.text in body

    def covers(self, seconds: float, number: int) -> bool:
        """Whether the fault is in force for request `number`, `seconds` after the faults were set."""
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
        raise ValueError("is not an operation; names are the official SDK's, such as update_customer_session_v2")
    return text


def _word(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be {' or '.join(words)}")
        return text

    return parse


Param = tuple[str, Callable[[str], object]]
COMMON: Mapping[str, Param] = {
    "share": ("share", _number(0, 1)),
    "from": ("start", _number(0)),
    "to": ("end", _number(0)),
    "from-request": ("first", _count),
    "to-request": ("last", _count),
    "operation": ("operation", _operation),
    "target": ("target", _filled),
}
FAULTS: Mapping[str, Mapping[str, Param]] = {
    "latency": {"ms": ("ms", _number(0)), "jitter": ("jitter", _number(0))},
    "5xx": {"status": ("status", lambda text: int(_word("500", "502", "503")(text)))},
    "cut-before": {},
    "cut-after": {},
    "outage": {"kind": ("kind", _word("cut", "503"))},
    "revoke": {"after": ("after", _count)},
    "unauthorized": {},
    "storm": {},
    "poison": {"text": ("text", _filled)},
    "busy": {},
    "redirect": {"status": ("status", lambda text: int(_word("301", "302", "303", "307", "308")(text)))},
    "login": {},
    "firewall": {"text": ("text", _filled)},
    "trickle": {"ms": ("ms", _number(0))},
    "short-body": {},
    "extra-bytes": {},
    "not-json": {},
    "empty-body": {},
    "huge-body": {"mb": ("mb", _number(0))},
    "compressed": {},
}
"""The faults by name, each with the parameters of its own: field of Fault, and parser."""

DAMAGES: Final = ("trickle", "short-body", "extra-bytes", "not-json", "empty-body", "huge-body", "compressed")
"""The faults that spoil the answer to a request that acted. The first of a request's damages counts."""

EFFECTS: Mapping[str, str] = {
    "latency": "takes `ms` milliseconds longer, and up to `jitter` more",
    "5xx": "answers 500, 502 or 503 without acting; without `status`, one of them at random",
    "cut-before": "closes the connection without acting and without an answer",
    "cut-after": "acts, then closes the connection without an answer",
    "outage": "as `cut-before`; with `kind=503`, answers 503",
    "revoke": "answers 401 after so many requests",
    "unauthorized": "answers 401",
    "storm": "answers 429",
    "poison": "answers 500 to each request whose body contains the text",
    "busy": "answers 409 without acting, as if other requests were updating the same profile or session",
    "redirect": "a gateway: answers a redirect to `/login` without acting: 302, or the `status` 301, 303, 307 or 308",
    "login": "a gateway: answers 200 with a web page without acting",
    "firewall": "a gateway: answers 403 with a web page; with `text`, only to requests whose body contains the text",
    "trickle": "acts, and sends the body of the answer byte by byte, one every `ms` milliseconds",
    "short-body": "acts, and closes the connection before the end of the body that Content-Length announces",
    "extra-bytes": "acts, and sends more bytes than Content-Length announces",
    "not-json": "acts, and answers with text that is not JSON",
    "empty-body": "acts, and answers without a body",
    "huge-body": "acts, and answers with a JSON object of `mb` megabytes (100 by default)",
    "compressed": "acts, and answers with a gzip body, although the request accepts none",
}
"""The effect of each fault on a request."""

LIMITS: Mapping[str, str] = {
    "share": "this share of the requests, from 0 to 1, at random; without it, all",
    "from": "requests so many seconds after the faults were set, or later",
    "to": "requests less than so many seconds after the faults were set",
    "from-request": "requests with this number since the faults were set, from 1, or a higher one",
    "to-request": "requests with this number or a lower one",
    "operation": "requests of this operation, such as get_loyalty_balances",
    "target": "requests whose raw path and query contain this text",
}
"""The requests to which each parameter of COMMON limits a fault."""

_NEEDED = {"latency": "ms", "revoke": "after", "poison": "text", "trickle": "ms"}


def parse_fault(spec: str) -> Fault:
    """Parse one fault. Raises ValueError that names the wrong part of it, and the valid ones."""
    name, _, rest = spec.partition(":")
    if name not in FAULTS:
        raise ValueError(f"fault {spec!r}: no fault is called {name!r}; there are {', '.join(FAULTS)}")
    params = {**FAULTS[name], **COMMON}
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
    """Parse several faults. Raises ValueError for the first wrong one."""
    return tuple(parse_fault(spec) for spec in specs)


class FaultPlan:
    """The faults in force. For the same seed, the same requests in the same order meet the same faults."""

    def __init__(self, faults: Sequence[Fault], *, seed: int, started: float, before: int) -> None:
        """`started` and `before` are the time and the number of received requests when the faults were set."""
        self.rng = random.Random(seed)
        self._rngs = [(fault, random.Random(f"{seed}/{index}")) for index, fault in enumerate(faults)]
        self._started = started
        self._before = before

    def effect(
        self, now: float, number: int, body: bytes, operation: str | None = None, target: bytes = b""
    ) -> Effect:
        """The effect on request `number`, which arrived at `now`. `target` is its raw path and query."""
        if not self._rngs:
            return UNHARMED
        delay, status, cut_after, names = 0.0, None, False, []
        ended_by, damage = None, None
        for fault, rng in self._rngs:
            # drawn for every request, so that the window of one fault does not change the draws of another
            draw, spread = rng.random(), rng.random()
            if draw >= fault.share or not fault.covers(now - self._started, number - self._before):
                continue
            if not fault.meets(body, operation, target):
                continue
            names.append(fault.name)
            if fault.name == "latency":
                delay += (fault.ms + spread * fault.jitter) / 1000
            elif fault.name == "cut-after":
                cut_after = True
            elif fault.name in DAMAGES:
                damage = damage or fault
            elif status is None:
                status, ended_by = _STATUS[fault.name](fault, spread), fault.name
        return Effect(delay, status, cut_after, "+".join(names), ended_by, damage) if names else UNHARMED


_STATUS: Mapping[str, Callable[[Fault, float], int]] = {
    "5xx": lambda fault, spread: fault.status or (500, 502, 503)[int(spread * 3)],
    "cut-before": lambda _, __: CUT_BEFORE,
    "outage": lambda fault, _: CUT_BEFORE if fault.kind == "cut" else 503,
    "revoke": lambda _, __: 401,
    "unauthorized": lambda _, __: 401,
    "storm": lambda _, __: 429,
    "poison": lambda _, __: 500,
    "busy": lambda _, __: 409,
    "redirect": lambda fault, _: fault.status or 302,
    "login": lambda _, __: 200,
    "firewall": lambda _, __: 403,
}
