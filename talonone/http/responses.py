"""The meaning of answers: a table from the status and title of an answer to the sender's next step."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any

import msgspec
from msgspec.structs import replace

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.operations import OPERATIONS, Operation, Says
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.request import Request
from beam_talonone.talonone.http.send import Reply, TransportFailure


class Verdict(Enum):
    """The sender's next step after an answer.

    The sources are the responses of each operation in Talon.One's OpenAPI document, and RFC 9110 for the statuses
    that the document does not name.
    """

    APPLIED = "the API did it"
    RETRY = "a passing failure: the same request may go through later"
    REFUSED = "the request is wrong: a dead letter"
    STOP = "the configuration is wrong: the run stops"
    UNKNOWN = "it may have acted, and a repeat is no longer protected"


VERDICT_APPLIED = Verdict.APPLIED
"""The verdict on nearly all answers, bound once: see END_APPLIED."""


@dataclass(frozen=True)
class Rule:
    """One row of the table; the first that fits decides. `acted`: the API may have acted before it answered."""

    statuses: range | tuple[int, ...]
    verdict: Verdict
    reason: Reason | None = None
    title: str | None = None
    acted: bool = False
    slows: bool = False


RULES = (
    Rule(range(200, 300), Verdict.APPLIED, acted=True),
    Rule((401, 403), Verdict.STOP),
    Rule((303,), Verdict.STOP, acted=True),
    Rule(range(300, 400), Verdict.STOP),
    Rule((409, 425), Verdict.RETRY),
    Rule((429,), Verdict.RETRY, slows=True),
    Rule((503,), Verdict.RETRY, acted=True, slows=True),
    Rule((408,), Verdict.RETRY, acted=True),
    Rule(range(500, 600), Verdict.RETRY, acted=True),
    Rule((400,), Verdict.REFUSED, Reason.UNKNOWN_ATTRIBUTE, title="unknown"),
    Rule((404,), Verdict.REFUSED, Reason.NOT_FOUND),
    Rule(range(400, 500), Verdict.REFUSED, Reason.REFUSED),
)
_ODD = Rule((), Verdict.RETRY, acted=True)

LONGEST_MESSAGE = 2000
"""Characters of an error that are kept: it stands in dead letters, of which there may be many."""

GATEWAY = frozenset({502, 503, 504})
"""Statuses from a gateway in front of the API: the API was not reachable, and did not see the request."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of an error answer: title, details, and the JSON pointer into what was sent."""

    title: str
    details: str
    pointer: str | None


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The answer to a request. `status` is None if no answer came; `message` then holds the reason.

    `acted`: the API may have acted. `unclear_before`: an earlier try of the same request may have acted.
    `retry_after` is in seconds.
    """

    status: int | None
    verdict: Verdict
    reason: Reason | None
    message: str
    problems: tuple[Problem, ...] = ()
    body: bytes = b""
    acted: bool = False
    slows: bool = False
    retry_after: float | None = None
    unclear_before: bool = False
    tries: int = 1
    already: bool = False
    """True if the API had done the work before this request."""
    unreadable: str | None = None
    """Why the body could not be read; the status counts all the same."""
    refused_at: int | None = None
    """For a refusal that may be about the API key: the number of requests sent before the refusal was known.

    The next three fields also belong to such a refusal.
    """
    api_key: int = 0
    """Number of the API key that was refused."""
    accepted_since: bool = False
    """Whether another request with the same key was accepted after the refusal."""
    confirmed: bool = False
    """Whether the request was refused once more after that."""

    @property
    def from_api(self) -> bool:
        """Whether the API itself answered, and no gateway in front of it."""
        return self.status is not None and self.status not in GATEWAY

    @property
    def failed_itself(self) -> bool:
        """Whether the API itself failed, as it does at a request that it cannot digest."""
        return self.from_api and self.status in range(500, 600)

    @property
    def ok(self) -> bool:
        """True if the work is done, by this request or before it."""
        return self.verdict is Verdict.APPLIED

    @property
    def body_lost(self) -> bool:
        """True for a success whose body cannot be read: it may have been damaged on its way."""
        return self.unreadable is not None and self.status is not None and 200 <= self.status < 300

    @property
    def definite(self) -> bool:
        """True for a refusal after which the API has certainly not acted."""
        return self.verdict is Verdict.REFUSED and self.reason is not None and self.reason.definite

    @property
    def pointer(self) -> str | None:
        """The JSON pointer to the wrong field, from the first problem that has one (`errors[].source.pointer`)."""
        return next((p.pointer for p in self.problems if p.pointer), None)


def answer_to(request: Request, ended: Reply | TransportFailure) -> Answer:
    """Classify the end of `request`: a reply, or a failure."""
    if not isinstance(ended, Reply):
        return Answer(None, Verdict.RETRY, None, str(ended), acted=ended.may_have_acted)
    row = OPERATIONS[request.operation]
    now = datetime.now(UTC) if ended.retry_after is not None else _NEVER
    answer = classify(row, ended.status, ended.body, ended.retry_after, now)
    return answer if ended.unreadable is None else with_unreadable_body(row, answer, ended.unreadable)


_NEVER = datetime.fromtimestamp(0, UTC)


def classify(row: Operation, status: int, body: bytes, retry_after: str | None, now: datetime) -> Answer:
    """Classify an answer to the operation `row`. `retry_after` is the header's text, `now` is in UTC."""
    if 200 <= status < 300:
        odd = _not_the_apis(row, body)
        if odd is None:
            return Answer(status, VERDICT_APPLIED, None, "", body=body, acted=True)
        return Answer(status, Verdict.RETRY, None, f"status {status} with {odd}", body=body, acted=True)
    if row.says.get(status) is Says.DONE and not is_web_page(body):
        return Answer(status, Verdict.APPLIED, None, "", body=body, acted=True, already=True)
    message, problems = read_error(body)
    titles = {problem.title.lower() for problem in problems}
    rule = next(
        (r for r in RULES if status in r.statuses and (r.title is None or r.title in titles)),
        _ODD,
    )
    return Answer(
        status, rule.verdict, rule.reason, message or f"status {status}", problems, body, rule.acted, rule.slows,
        seconds_to_wait(retry_after, now),
    )  # fmt: skip


def with_unreadable_body(row: Operation, answer: Answer, why: str) -> Answer:
    """Return `answer`, to the operation `row`, marked as having a body that could not be read.

    A write is resolved by the status alone. A read ends as refused, as it has no result.
    """
    if answer.ok and row.is_read:
        message = f"the answer (status {answer.status}) cannot be read: {why}"
        return replace(answer, verdict=Verdict.REFUSED, reason=Reason.REFUSED, message=message, unreadable=why)
    message = f"{answer.message} (the answer cannot be read: {why})" if answer.message else ""
    return replace(answer, message=message, unreadable=why)


class _Object(msgspec.Struct):
    """Any JSON object: decoding checks all of it and keeps nothing."""


_OBJECT = msgspec.json.Decoder(_Object)


def _not_the_apis(row: Operation, body: bytes) -> str | None:
    """Describe the body of a 2xx that is not the API's: neither empty nor a JSON object. None if it is the API's.

    A gateway wrote or cut such a body, so the API may have acted. Of an answer to a read only a web page counts: the
    caller checks the rest.
    """
    if body[:1] != b"{":
        if not body.strip():
            return None
        if is_web_page(body):
            return "a web page instead of the API's answer"
    if row.is_read:
        return None
    try:
        _OBJECT.decode(body.decode())
    except (msgspec.DecodeError, ValueError, RecursionError):
        return "a body that is not the API's answer, or only a part of it"
    return None


def proves_the_key(row: Operation, answer: Answer) -> bool:
    """Whether only the API answers like this, and only to an accepted key.

    Such answers are a success, and an error in the API's own format about the content of the request.
    """
    if answer.verdict is VERDICT_APPLIED:
        return not row.is_read or answer.body.lstrip()[:1] in (b"", b"{")
    if answer.status not in (400, 404, 409, 422) or (answer.status == 404 and row.creates):
        return False
    if answer.unreadable is not None:
        return False
    return bool(answer.problems) or answer.message != f"status {answer.status}"


def is_web_page(body: bytes) -> bool:
    """Whether `body` is a web page: it comes from a gateway or from another server, not from the API."""
    return body.lstrip()[:1] == b"<"


def read_error(body: bytes) -> tuple[str, tuple[Problem, ...]]:
    """Return message and problems of an error body; an empty message if the body has another format."""
    try:
        value = jsonio.loads_around(body)
    except ValueError:
        return "", ()
    if not isinstance(value, dict):
        return "", ()
    listed = value.get("errors")
    problems = (
        tuple(_problem(entry) for entry in listed if isinstance(entry, dict)) if isinstance(listed, list) else ()
    )
    texts = [str(value.get("message") or "")] + [
        f"{p.title}: {p.details}" if p.details else p.title for p in problems[:3]
    ]
    return "; ".join(part for part in texts if part)[:LONGEST_MESSAGE], problems


def _problem(entry: dict[str, Any]) -> Problem:
    source = entry.get("source")
    pointer = source.get("pointer") if isinstance(source, dict) else None
    return Problem(
        str(entry.get("title") or ""), str(entry.get("details") or ""), pointer if isinstance(pointer, str) else None
    )


def seconds_to_wait(retry_after: str | None, now: datetime) -> float | None:
    """Seconds from a Retry-After header, a number or an HTTP date; None if it is missing or malformed."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
