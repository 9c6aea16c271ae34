"""One HTTP request to the Integration API as a small frozen value that crosses shuffles and disks as bytes."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from beam_talonone.schemas import jsonio


class Request(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A call of one API operation, without credentials and without an idempotency key.

    `operation` is the name in the operation table; `path` and `query` map the API's own parameter names to
    text as it stands before percent-encoding, a list being a parameter that is repeated; `body` is the JSON to send,
    or None.
    """

    operation: str
    method: str
    template: str
    path: dict[str, str] = {}
    query: dict[str, str | list[str]] = {}
    body: bytes | None = None

    def target(self) -> str:
        """Path and query as they go on the wire, percent-encoded.

        Every reserved character of an id is encoded, `/` included. A path segment made only of dots would be
        taken as "this folder" by URL parsers, so its dots are encoded too.
        """
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
        """The body as a value; None when there is none."""
        return None if self.body is None else jsonio.loads(self.body)

    def to_bytes(self) -> bytes:
        return msgspec.msgpack.encode(self)

    @staticmethod
    def from_bytes(data: bytes) -> "Request":
        return _DECODER.decode(data)


_PLAIN = re.compile(r"[A-Za-z0-9_~-]+", re.ASCII).fullmatch
"""What stands for itself in a path and in a query: most ids."""

_DECODER = msgspec.msgpack.Decoder(Request)


def encode_segment(value: str) -> str:
    """One path segment, percent-encoded so that it can only be read back as `value`."""
    if _PLAIN(value):
        return value
    encoded = quote(value, safe="")
    return encoded.replace(".", "%2E") if encoded.strip(".") == "" else encoded


def query_text(value: object) -> str:
    """A query value as the API writes it: true/false in small letters, times in RFC 3339."""
    if isinstance(value, bool):
        return "true" if value else "false"
    isoformat = getattr(value, "isoformat", None)
    if callable(isoformat):
        return str(isoformat()).replace("+00:00", "Z")
    return str(value)


def render_query(values: Mapping[str, object]) -> dict[str, str | list[str]]:
    """The given query parameters as text, a list as a list of texts; those that are None are left out."""
    return {
        name: [query_text(entry) for entry in value] if isinstance(value, list) else query_text(value)
        for name, value in values.items()
        if value is not None
    }
