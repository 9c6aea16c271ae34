"""Answers, refusals, and the error bodies of the API."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

encode = msgspec.json.Encoder(decimal_format="number").encode
decode = msgspec.json.Decoder(float_hook=Decimal).decode


class Problem(NamedTuple):
    """One problem with a request.

    `pointer` is a JSON pointer into the body. If `parameter` is set, the problem is in that query or path parameter.
    """

    pointer: str
    title: str
    details: str
    parameter: str | None = None


class Answer(NamedTuple):
    """An HTTP response: its status, its body in bytes (JSON, or empty), and headers besides the usual ones."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Refusal(Exception):
    """The request is refused with `status`, and `message` and `problems` in the body."""

    def __init__(self, status: int, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.problems = problems


def error_answer(refusal: Refusal, *, report: str, with_status: bool) -> Answer:
    """The answer for `refusal`, in the API's form of an error.

    `report` is the setting `errors` of the simulator. With `with_status`, the body repeats the status, as it does for
    some operations.
    """
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
