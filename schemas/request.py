"""One HTTP request to the Integration API: a small frozen value that travels through shuffles and files as bytes."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import msgspec

from beam_talonone.schemas import jsonio


class Request(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A call of one API operation, without credentials and without an idempotency key.

    `operation` is the name in the operation table. `path` and `query` map the API's own names of parameters to text
    before percent-encoding; a list is a repeated parameter. `body` is the JSON to send, or None.

    >>> request = Request("get_event_v3", "GET", "/v3/events/{integrationId}", {"integrationId": "e/1"})
    >>> request.target()
    '/v3/events/e%2F1'
    """

    operation: str
    method: str
    template: str
    path: dict[str, str] = {}
    query: dict[str, str | list[str]] = {}
    body: bytes | None = None

    def target(self) -> str:
        """Path and query as sent, percent-encoded.

        Every reserved character of an id is encoded, `/` included. URL parsers read a path segment of dots alone as
        "this folder", so its dots are encoded too.
        """
        before, name, after = _one_parameter(self.template)
        if name:
            path = f"{before}{encode_segment(self.path[name])}{after}"
        else:
            path = self.template.format_map({name: encode_segment(value) for name, value in self.path.items()})
        if not self.query:
            return path
        pairs = [
            f"{name if _PLAIN(name) else quote(name, safe='')}={value if _PLAIN(value) else quote(value, safe=',')}"
            for name, values in self.query.items()
            for value in ([values] if isinstance(values, str) else values)
        ]
        return f"{path}?{'&'.join(pairs)}" if pairs else path

    def body_json(self) -> Any:
        """The decoded body, with numbers as Decimal; None without a body."""
        return None if self.body is None else jsonio.loads_around(self.body)

    def to_bytes(self) -> bytes:
        """The request in MessagePack, as the journal and the shuffles carry it."""
        return msgspec.msgpack.encode(self)

    @staticmethod
    def from_bytes(data: bytes) -> "Request":
        """The inverse of `to_bytes`. Raises msgspec.DecodeError for other bytes."""
        return _DECODER.decode(data)


_PLAIN = re.compile(r"[A-Za-z0-9_~-]+", re.ASCII).fullmatch
"""Matches text that needs no percent-encoding in a path or query, as most ids."""

_DECODER = msgspec.msgpack.Decoder(Request)


@lru_cache(maxsize=128)
def _one_parameter(template: str) -> tuple[str, str, str]:
    """The text before its only parameter, the name of that, and the text after it; no name for any other template."""
    only = re.fullmatch(r"([^{}]*)\{(\w+)\}([^{}]*)", template)
    return ("", "", "") if only is None else (only[1], only[2], only[3])


def encode_segment(value: str) -> str:
    """`value` as one path segment, percent-encoded so that it decodes to `value` and nothing else."""
    if _PLAIN(value):
        return value
    encoded = quote(value, safe="")
    return encoded.replace(".", "%2E") if encoded.strip(".") == "" else encoded


def query_text(value: object) -> str:
    """A query value as the API spells it: true and false in lower case, times in RFC 3339."""
    if isinstance(value, bool):
        return "true" if value else "false"
    isoformat = getattr(value, "isoformat", None)
    if callable(isoformat):
        return str(isoformat()).replace("+00:00", "Z")
    return str(value)


def render_query(values: Mapping[str, object]) -> dict[str, str | list[str]]:
    """Query parameters as text, and lists as lists of texts, without those that are None."""
    return {
        name: [query_text(entry) for entry in value] if isinstance(value, list) else query_text(value)
        for name, value in values.items()
        if value is not None
    }
