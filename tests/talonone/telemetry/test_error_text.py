"""Errors of libraries in one line."""

from types import SimpleNamespace

import pytest
from google.api_core.exceptions import NotFound, ServiceUnavailable
from google.auth.exceptions import DefaultCredentialsError

from beam_talonone.talonone.telemetry.error_text import error_line, error_text

TRACEBACK = "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\nKeyError: 'x'\n\n"


class Rpc(Exception):
    """As grpc.RpcError: its `str` has many lines."""

    def __init__(self, details: str | None) -> None:
        super().__init__("<_InactiveRpcError of RPC that terminated with:\n\tstatus = ...\n>")
        self._details = details

    def code(self) -> SimpleNamespace:
        return SimpleNamespace(name="UNAVAILABLE", value=(14, "unavailable"))

    def details(self) -> str | None:
        return self._details


class Message(Exception):
    def __init__(self, message: object) -> None:
        super().__init__("the whole text")
        self.message = message


class Silent(Exception):
    """As the errors of a user's function can be: nothing about it can be read."""

    def __str__(self) -> str:
        raise RuntimeError

    @property
    def message(self) -> str:
        raise RuntimeError

    def code(self, parameter: str) -> str:
        return parameter

    details = code


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no number"), "ValueError: no number"),
        (ValueError(), "ValueError"),
        (ValueError(" \n "), "ValueError"),
        (ValueError("first\r\n  second\tthird\u2028fourth"), "ValueError: first second third fourth"),
        (ValueError("\ud800 is half a character"), "ValueError: ? is half a character"),
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (NotFound("no such subscription", errors=("x",), details=("y",)), "NotFound: no such subscription"),
        (ServiceUnavailable("\n down for  now\nrequest 7"), "ServiceUnavailable: down for now"),
        (DefaultCredentialsError("none found"), "DefaultCredentialsError: none found"),
        (Message("short"), "Message: short"),
        (Message(" "), "Message: the whole text"),
        (Message({"no": "text"}), "Message: the whole text"),
        (Rpc("failed to connect\nto all addresses"), "UNAVAILABLE: failed to connect to all addresses"),
        (Rpc(None), "UNAVAILABLE"),
        (Silent(), "Silent"),
        (RuntimeError(TRACEBACK), "RuntimeError: KeyError: 'x'"),
    ],
)
def test_an_error_is_one_line(error: BaseException, line: str) -> None:
    assert error_line(error) == line


def test_the_text_has_no_type() -> None:
    assert error_text(NotFound("no such subscription")) == "no such subscription"
    assert error_text(ValueError()) == ""


@pytest.mark.parametrize("longest", [1, 10, 300])
def test_a_long_text_is_cut(longest: int) -> None:
    assert error_line(ValueError("x" * 1000), longest) == "ValueError: " + "x" * longest
    assert error_line(Rpc("x" * 1000), longest) == "UNAVAILABLE: " + "x" * longest
    assert error_text(ValueError("x" * 1000), longest) == "x" * longest
