"""What a gateway answers instead of the API, and damaged versions of the API's answers."""

import gzip
from collections.abc import Callable, Mapping
from typing import Final

from beam_talonone.simulator.exchange.answers import Answer
from beam_talonone.simulator.exchange.faults import Fault

_HTML: Final = ((b"content-type", b"text/html; charset=utf-8"),)
_TEXT: Final = ((b"content-type", b"text/plain"),)

GATEWAY_PAGES: Final[Mapping[str, Answer]] = {
    "redirect": Answer(302, b"", ((b"location", b"/login"),)),
    "login": Answer(200, b"<!doctype html><title>Sign in</title><form action=/login>Password</form>\n", _HTML),
    "firewall": Answer(403, b"<html><title>403 Forbidden</title><h1>Request blocked</h1></html>\n", _HTML),
}
"""Fault -> the answer of a proxy or firewall, which the API never sees. The status comes with the fault."""


def _huge(answer: Answer, fault: Fault) -> Answer:
    return Answer(_with_body(answer), b'{"padding":"%b"}' % (b"x" * int(fault.mb * 1_000_000)))


def _with_body(answer: Answer) -> int:
    """The status of the answer, or 200 for one that cannot have a body: a refusal stays a refusal."""
    return 200 if answer.status == 204 else answer.status


def _compressed(answer: Answer, fault: Fault) -> Answer:
    if not answer.body:
        return answer
    return answer._replace(body=gzip.compress(answer.body), headers=(*answer.headers, (b"content-encoding", b"gzip")))


REPLACED: Final[Mapping[str, Callable[[Answer, Fault], Answer]]] = {
    "not-json": lambda answer, fault: Answer(_with_body(answer), b"OK, done\n", _TEXT),
    "empty-body": lambda answer, fault: answer._replace(body=b""),
    "huge-body": _huge,
    "compressed": _compressed,
}
"""Fault -> another answer that is sent whole. The other damages are in how the answer is sent."""
