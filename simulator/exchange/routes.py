"""Routing: from a raw target to an operation. Paths are split before decoding, because an id may contain any
character.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from beam_talonone.schemas.operations import Operation
from beam_talonone.simulator.exchange.answers import Problem, Refusal

MAX_ID = 1000

Pattern = tuple[tuple[bytes, ...], tuple[str | None, ...], Operation]


class Routes:
    """The operations by method and path template."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._patterns: dict[tuple[str, int], list[Pattern]] = {}
        self._methods: dict[int, list[Pattern]] = {}
        for operation in operations:
            steps = operation.template.split("/")
            names = tuple(step[1:-1] if step.startswith("{") else None for step in steps)
            pattern = (tuple(step.encode() for step in steps), names, operation)
            self._patterns.setdefault((operation.method, len(steps)), []).append(pattern)
            self._methods.setdefault(len(steps), []).append(pattern)

    def find(self, method: str, raw_path: bytes) -> tuple[Operation, dict[str, str]]:
        """The operation and its decoded path parameters. Raises Refusal 404, 405, or 400 for invalid UTF-8."""
        steps = raw_path.split(b"/")
        for pattern in self._patterns.get((method, len(steps)), ()):
            parameters = _match(pattern, steps)
            if parameters is not None:
                return pattern[2], {name: _decoded(name, step) for name, step in parameters}
        if any(_match(pattern, steps) is not None for pattern in self._methods.get(len(steps), ())):
            raise Refusal(405, f"{method} is not allowed on this path")
        raise Refusal(404, "no such path")


def _match(pattern: Pattern, steps: list[bytes]) -> list[tuple[str, bytes]] | None:
    parameters = []
    for literal, name, step in zip(pattern[0], pattern[1], steps, strict=True):
        if name is None:
            if literal != step:
                return None
        elif step:
            parameters.append((name, step))
        else:
            return None
    return parameters


def _decoded(name: str, step: bytes) -> str:
    try:
        value = (unquote_to_bytes(step) if b"%" in step else step).decode()
    except UnicodeDecodeError:
        raise Refusal(400, "invalid path", [Problem("", "Invalid value", "is not UTF-8", name)]) from None
    if len(value) > MAX_ID:
        raise Refusal(400, "invalid path", [Problem("", "Too long", f"is longer than {MAX_ID} characters", name)])
    return value


def query_values(raw: bytes) -> dict[str, Any]:
    """The query parameters as text; a repeated one as the list of its values."""
    if not raw:
        return {}
    values: dict[str, Any] = {}
    for name, text in parse_qsl(raw.decode("latin-1"), keep_blank_values=True):
        old = values.get(name)
        if old is None:
            values[name] = text
        elif isinstance(old, list):
            old.append(text)
        else:
            values[name] = [old, text]
    return values
