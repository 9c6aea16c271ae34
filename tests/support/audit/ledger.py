"""The simulator's ledger of a run, and the checks that need nothing else: keys, the rate, durations of requests."""

import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .records import canon, loads

Row = dict[str, Any] | bytes
"""One line of JSON, read or not: a ledger of 200,000 sessions is small as text and large as dicts."""

JITTER = 0.05
"""Seconds by which a request may arrive later than planned on a busy machine of two cores. Requests sent at
even intervals can then crowd into any window of arrivals: JITTER * rate more, and one more for its two ends."""

ARRIVES_BEFORE_ANSWER_IS_NOTED = 0.002
"""The server notes the time of an answer after the bytes have left: the next request may be there already."""


@dataclass
class Ledger:
    """What `GET /_simulator/ledger, requests, sessions, profiles` give, a row each."""

    ledger: Sequence[Row]
    requests: Sequence[Row]
    sessions: Sequence[Row]
    profiles: Sequence[Row]


def fetch(url: str) -> Ledger:
    """The ledger of the simulator at `url` (its base URL). Rows are kept as text until they are needed."""

    def lines(name: str) -> list[Row]:
        with urllib.request.urlopen(f"{url.rstrip('/')}/_simulator/{name}") as answer:
            return [line for line in answer if line.strip()]

    return Ledger(lines("ledger"), lines("requests"), lines("sessions"), lines("profiles"))


def rows(lines: Iterable[Row]) -> Iterator[dict[str, Any]]:
    for line in lines:
        yield loads(line) if isinstance(line, bytes) else line


def sessions_reopened(lines: Iterable[Row]) -> set[str]:
    """The sessions that were reopened. Most runs reopen none, so text is searched before it is read."""
    mark = "reopen_customer_session"
    some = (line for line in lines if not isinstance(line, bytes) or mark.encode() in line)
    return {row["session"] for row in rows(some) if row["operation"] == mark}


class Acted:
    """A request that acted, and what it `carries` for whom.

    `started` and `ended` are those of the request with all its repetitions: from the first arrival to the first
    answer that said yes. `call` is what a `call` record would have to say to be this request.
    """

    __slots__ = (
        "applied", "call", "carries", "ended", "key", "n", "operation", "profiles", "session", "started", "state",
        "stateless",
    )  # fmt: skip

    def __init__(self, row: dict[str, Any], calls: bool, reopened: set[str]) -> None:
        self.n: int = row["n"]
        self.operation: str = row["operation"]
        self.session: str | None = row["session"]
        self.profiles: list[str] = row["profiles"]
        self.key: str | None = row["key"]
        self.applied = float(row["applied"])
        self.started = float(row["arrived"])
        self.ended = None if row["answered"] is None else float(row["answered"])
        self.carries = carried(row)
        self.call = hash(canon([row["operation"], row["path"], row["body"]])) if calls else None
        self.state: str | None = None
        self.stateless: str | None = None
        if row["session"] in reopened and row["operation"] == "update_customer_session_v2":
            session = row["body"]["customerSession"]
            self.state, self.stateless = session.get("state"), without_state(session)

    def __str__(self) -> str:
        of = f"session {self.session!r}" if self.session else f"profiles {', '.join(map(repr, self.profiles[:3]))}"
        return f"request {self.n} ({self.operation} of {of})"


def without_state(session: dict[str, Any]) -> str:
    return canon({name: value for name, value in session.items() if name != "state"})


def carried(row: dict[str, Any]) -> list[tuple[str, str | None, Any]]:
    """What a request says, as (part, customer or session, content): the counterpart of `Line.sends`."""
    operation, body = row["operation"], row["body"] or {}
    match operation:
        case "update_customer_session_v2":
            session = body["customerSession"]
            return [("order", row["session"], hash(canon(session)))]
        case "return_cart_items":
            return [("return", row["session"], hash(canon(body["return"]["returnedCartItems"])))]
        case "update_customer_profiles_v2":
            return [
                ("attributes", one["integrationId"], _texts(one.get("attributes")))
                for one in body["customerProfiles"]
            ]
        case "update_customer_profile_v2":
            return [("attributes", row["path"]["integrationId"], _texts(body.get("attributes")))]
        case "update_customer_profile_audiences":
            by_profile: dict[str, dict[str, str]] = {}
            for one in body["data"]:
                by_profile.setdefault(one["profileIntegrationId"], {})[str(one["audienceId"])] = one["action"]
            return [("audiences", profile, actions) for profile, actions in by_profile.items()]
        case "delete_customer_data":
            return [("erase", row["path"]["integrationId"], {})]
        case "track_event_v2":
            return [("event", body["profileId"], hash(canon(body)))]
    return []


def _texts(attributes: dict[str, Any] | None) -> dict[str, str]:
    return {name: canon(value) for name, value in (attributes or {}).items()}


@dataclass
class Rate:
    """Arrivals of a run: `most_1s` and `most_100ms` in any window of that length, and the `mean` of all `seconds`."""

    requests: int
    most_1s: int
    most_100ms: int
    mean: float
    seconds: float = 0.0


def rate_of(arrivals: Iterable[float]) -> Rate:
    moments = sorted(arrivals)
    if len(moments) < 2:
        return Rate(len(moments), len(moments), len(moments), 0.0)
    span = max(moments[-1] - moments[0], 1e-9)
    return Rate(len(moments), _crowd(moments, 1.0), _crowd(moments, 0.1), (len(moments) - 1) / span, span)


def over_rate(rate: Rate, limit: float, jitter: float) -> list[str]:
    """Where the arrivals exceed `limit` requests a second, if each may be `jitter` seconds late."""
    found = []
    if rate.most_1s > (most := limit * (1 + jitter) + 1):
        found.append(f"{rate.most_1s} requests within a second, at --rate {limit:g} at most {most:g}")
    if rate.requests > (most := limit * (rate.seconds + jitter) + 1):
        found.append(f"{rate.requests} requests in {rate.seconds:.2f} s, at most {most:.0f}")
    return found


def _crowd(moments: list[float], window: float) -> int:
    """The most of the sorted `moments` that lie in any half-open window of that many seconds."""
    most = first = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - window:
            first += 1
        most = max(most, last - first + 1)
    return most


@dataclass(slots=True)
class Received:
    """A request that arrived. `accepted` is when it was answered, if the answer was yes."""

    n: int
    operation: str
    key: str | None
    arrived: float
    accepted: float | None
    dry: bool


def received(lines: Iterable[Row]) -> list[Received]:
    made = []
    for row in rows(lines):
        yes = row["answered"] is not None and row["status"] is not None and row["status"] < 300
        accepted = float(row["answered"]) if yes else None
        made.append(
            Received(row["n"], str(row["operation"]), row["key"], float(row["arrived"]), accepted, row["dry"])
        )
    return made


def with_repetitions(acted: list[Acted], requests: Iterable[Received]) -> None:
    """Widen each request's time to all its repetitions under the same key."""
    first: dict[str, float] = {}
    yes: dict[str, float] = {}
    for one in requests:
        if one.key is None:
            continue
        first[one.key] = min(one.arrived, first.get(one.key, one.arrived))
        if one.accepted is not None:
            yes[one.key] = min(one.accepted, yes.get(one.key, one.accepted))
    for request in acted:
        if request.key is not None:
            request.started = min(request.started, first.get(request.key, request.started))
            request.ended = yes.get(request.key, request.ended)
