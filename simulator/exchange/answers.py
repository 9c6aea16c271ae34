"""What goes back to the caller: answers, refusals and the error bodies of the API."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

encode = msgspec.json.Encoder(decimal_format="number").encode
decode = msgspec.json.Decoder(float_hook=Decimal).decode


class Problem(NamedTuple):
    """One thing that is wrong with a request.

    `pointer` is a JSON pointer into the body; or, where `parameter` is set, the fault lies in that query parameter.
    """

    pointer: str
    title: str
    details: str
    parameter: str | None = None


class Answer(NamedTuple):
    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Refusal(Exception):
    """The request is refused with `status`. `problems` say where; there may be none."""

    def __init__(self, status: int, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.problems = problems


def error_answer(refusal: Refusal, *, report: str, with_status: bool) -> Answer:
    """`refusal` as the API words it. `report` is the setting `errors`; some operations repeat the status."""
    body: dict[str, Any] = {"message": refusal.message}
    if refusal.problems:
        shown = refusal.problems if report == "all" else refusal.problems[:1]
        body["errors"] = [_entry(problem, located=report != "none") for problem in shown]
    if with_status:
        body["StatusCode"] = refusal.status
    return Answer(refusal.status, encode(body))


def _entry(problem: Problem, *, located: bool) -> dict[str, Any]:
    source = {}
    if located:
        source = {"parameter": problem.parameter} if problem.parameter else {"pointer": problem.pointer}
    return {"title": problem.title, "details": problem.details, "source": source}
