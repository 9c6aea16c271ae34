"""A client of Envoy's rate limit service, by which many workers share one rate: over gRPC, in plain text.

The stub and the messages are those of Beam's EnvoyRateLimiter. Its `allow()` is not used, because it hides the
answer: a limit that is not configured looks like a limit that allows everything. It also sleeps 10 s after a failed
call, and a second after a refusal.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.rate.shared_limit import Drawn, NoAnswer
from beam_talonone.talonone.telemetry.error_text import error_line

DOMAIN, DESCRIPTOR = "talonone", "deployment"
"""The names in the service's configuration. The descriptor's value is the host of the base URL."""

CHECKED_WITHIN = 5.0
DRAWN_WITHIN = 2.0
"""Seconds for an answer: at the start, and later."""

SECOND = 1
UNITS = ("unknown", "second", "minute", "hour", "day", "month", "year", "week")
"""RateLimitResponse.RateLimit.Unit of Envoy's ratelimit v3 API, by number."""

OVER_LIMIT = 2

CHANNEL: tuple[tuple[str, int], ...] = (
    ("grpc.enable_http_proxy", 0),  # the service is in your own network
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    (
        "grpc.max_reconnect_backoff_ms",
        1000,
    ),  # gRPC's default is two minutes
)

_ADDRESS = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})", re.ASCII)


def check_address(address: str, setting: str = "--rate-service") -> str:
    """`address`, if it is HOST:PORT. Raises ConfigurationError that names `setting`."""
    match = _ADDRESS.fullmatch(address)
    if match is None or not 0 < int(match[2]) < 65_536:
        shown = "one with a user" if "@" in address else repr(address)  # the user may have a password
        raise ConfigurationError(f"{setting} takes HOST:PORT of a rate limit service, not {shown}")
    return address


class NotReached(ConfigurationError):
    """The service does not answer, at least not here."""


class EnvoyService:
    """A service that knows the limit of a deployment: see talonone.rate.shared_limit.RateService.

    The constructor asks the service for the limit. It raises NotReached if there is no answer, and ConfigurationError
    if there is no limit by the second: without one, the service would let everything through, or nothing.
    """

    def __init__(
        self, address: str, base_url: str, among: int | None = None, setting: str = "--rate-service"
    ) -> None:
        import grpc
        from apache_beam.io.components.rate_limiter import EnvoyRateLimiter

        self.name, self.among = f"{setting} {check_address(address, setting)}", among
        self._host = urlsplit(base_url).hostname or ""
        self._channel = grpc.insecure_channel(address, options=CHANNEL)
        self._stub = EnvoyRateLimiter.RateLimitServiceStub(self._channel)
        try:
            self.limit = self._check()
        except BaseException:
            self.close()
            raise

    def draw(self, hits: int) -> Drawn:
        """Ask for so many tokens. Raises NoAnswer."""
        granted, status = self._ask(hits, DRAWN_WITHIN)
        limit = status.get("limit")
        if not limit or status["unit"] != SECOND:
            raise NoAnswer(f"it no longer has a limit by the second for {self._what()}")
        return Drawn(granted, status["remaining"], float(limit))

    def close(self) -> None:
        """Close the connection to the service."""
        self._channel.close()

    def _check(self) -> float:
        try:
            _, status = self._ask(1, CHECKED_WITHIN, wait_for_ready=True)
        except NoAnswer as why:
            raise NotReached(
                f"{self.name}: Envoy's rate limit service does not answer ({why}); nothing is sent without"
                " it: does it run, and is this its gRPC port?"
            ) from None
        if "limit" not in status:
            raise ConfigurationError(
                f"{self.name}: the service knows no limit for {self._what()}, and would let everything through; its"
                f" configuration needs {self._example()}"
            )
        if status["unit"] != SECOND:
            unit = UNITS[status["unit"]] if status["unit"] < len(UNITS) else str(status["unit"])
            raise ConfigurationError(
                f"{self.name}: the limit for {self._what()} is by the {unit}, and must be by the second:"
                f" {self._example()}"
            )
        if not status["limit"]:
            raise ConfigurationError(f"{self.name}: the limit for {self._what()} is 0: nothing could be sent")
        return float(status["limit"])

    def _ask(self, hits: int, within: float, *, wait_for_ready: bool = False) -> tuple[bool, dict[str, int]]:
        """Whether the service grants `hits`, and the status of the limit. Raises NoAnswer."""
        import grpc
        from apache_beam.io.components import rate_limit_pb2

        descriptor = rate_limit_pb2.RateLimitDescriptor
        request = rate_limit_pb2.RateLimitRequest(
            domain=DOMAIN,
            descriptors=[descriptor(entries=[descriptor.Entry(key=DESCRIPTOR, value=self._host)])],
            hits_addend=hits,
        )
        try:
            answer = self._stub.ShouldRateLimit(request, timeout=within, wait_for_ready=wait_for_ready)
        except grpc.RpcError as error:
            raise NoAnswer(_why(error, within)) from None
        except ValueError:  # the channel is closed
            raise NoAnswer("the connection is closed") from None
        status = _status(answer)
        # in the service's shadow mode only the status of the limit itself says so
        return OVER_LIMIT not in (answer.overall_code, status["code"]), status

    def _what(self) -> str:
        return f"domain {DOMAIN}, descriptor {DESCRIPTOR}={self._host}"

    def _example(self) -> str:
        return (
            f"{{domain: {DOMAIN}, descriptors: [{{key: {DESCRIPTOR}, value: {self._host},"
            " rate_limit: {unit: second, requests_per_unit: 200}}]}"
        )


def _why(error: Any, within: float) -> str:
    import grpc

    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"nothing within {within:g} s"
    return error_line(error, 200)


def _status(answer: Any) -> dict[str, int]:
    """`code` and `remaining` of the only descriptor, and `limit` and `unit` of its limit if it has one.

    Beam's messages lack the limit, so the fields are read by their numbers.
    """
    fields = _fields(answer.statuses[0].SerializeToString()) if answer.statuses else {}
    status = {"code": fields.get(1, 0), "remaining": fields.get(3, 0)}
    if 2 in fields:
        limit = _fields(fields[2])
        status |= {"limit": limit.get(1, 0), "unit": limit.get(2, 0)}
    return status


def _fields(message: bytes) -> dict[int, Any]:
    """Numbers and bytes of a protobuf message, by their fields' numbers."""
    from google.protobuf.empty_pb2 import Empty
    from google.protobuf.unknown_fields import UnknownFieldSet

    return {field.field_number: field.data for field in UnknownFieldSet(Empty.FromString(message))}
