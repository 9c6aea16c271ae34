"""A request as bytes, and as what other clients take: target, headers and body."""

import yarl

from beam_talonone.schemas.request import Request
from beam_talonone.talonone.errors import ConfigurationError

USER_AGENT = "beam-talonone"


class Message:
    """Makes messages to one deployment, with the API key in use."""

    def __init__(self, url: yarl.URL) -> None:
        self._path = url.raw_path.rstrip("/")
        self._host = url.host_port_subcomponent or ""
        self._fixed: list[tuple[str, str]] = []
        self._head = ""

    def use_key(self, api_key: str) -> None:
        """Send this key from now on. Raises ConfigurationError for one that no HTTP header can carry."""
        if not api_key.isascii() or not api_key.isprintable():
            raise ConfigurationError("the API key has characters that no HTTP header can carry")
        self._fixed = [
            ("Host", self._host),
            ("Authorization", f"ApiKey-v1 {api_key}"),
            ("User-Agent", USER_AGENT),
            ("Content-Type", "application/json"),
            ("Accept", "application/json"),
            ("Accept-Encoding", "identity"),
        ]
        self._head = "".join(f"{name}: {value}\r\n" for name, value in self._fixed)

    def target(self, request: Request) -> str:
        """Path and query, escaped."""
        return self._path + request.target()

    def headers(self, request: Request, key: str | None) -> list[tuple[str, str]]:
        """All headers of `request` under the idempotency key `key`."""
        return [*self._fixed, *_of_one(request, key)]

    def whole(self, request: Request, key: str | None) -> bytes:
        """The request as it goes over the wire."""
        own = "" if key is None else f"Idempotency-Key: {key}\r\n"
        body = request.body or b""
        if body or request.method != "GET":
            own = f"{own}Content-Length: {len(body)}\r\n"
        head = f"{request.method} {self._path}{request.target()} HTTP/1.1\r\n{self._head}{own}\r\n"
        return head.encode("ascii") + body


def _of_one(request: Request, key: str | None) -> list[tuple[str, str]]:
    own = [] if key is None else [("Idempotency-Key", key)]
    if request.body or request.method != "GET":
        own.append(("Content-Length", str(len(request.body or b""))))
    return own
