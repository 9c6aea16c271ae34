"""A fake of Google's Secret Manager: AccessSecretVersion over gRPC, as the real client asks for it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
from google.cloud.secretmanager_v1.types import AccessSecretVersionRequest, AccessSecretVersionResponse

SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"
SECRET = "projects/some-project/secrets/talonone"


@dataclass
class Version:
    payload: bytes
    enabled: bool = True


@dataclass
class SecretManager:
    """`secrets` maps names to their versions, from 1 on. `reads` are the names that were asked for, in their order.

    `denied` are secrets that nobody may read; while `refuses` is set every reading ends with that status.
    """

    host: str = ""
    secrets: dict[str, list[Version]] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)
    refuses: grpc.StatusCode | None = None
    times: int = 0
    """How often `refuses` still holds; 0 is for ever."""
    answers: threading.Event = field(default_factory=threading.Event)
    """Cleared: readers wait."""

    def __post_init__(self) -> None:
        self.answers.set()

    def add(self, payload: str | bytes, secret: str = SECRET) -> None:
        """A new version, the latest from now on."""
        data = payload.encode() if isinstance(payload, str) else payload
        self.secrets.setdefault(secret, []).append(Version(data))

    def access(
        self, request: AccessSecretVersionRequest, context: grpc.ServicerContext
    ) -> AccessSecretVersionResponse:
        self.reads.append(request.name)
        self.answers.wait(60)
        if self.refuses is not None:
            status = self.refuses
            self.times -= 1
            if self.times == 0:
                self.refuses = None
            context.abort(status, "so it was ordered")
        secret, _, number = request.name.partition("/versions/")
        if secret in self.denied:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, f"Permission denied on resource {request.name}")
        versions = self.secrets.get(secret, [])
        found = len(versions) if number == "latest" else int(number) if number.isdigit() else 0
        if not 0 < found <= len(versions):
            context.abort(grpc.StatusCode.NOT_FOUND, f"Secret Version [{request.name}] not found")
        if not versions[found - 1].enabled:
            context.abort(
                grpc.StatusCode.FAILED_PRECONDITION, f"Secret Version [{request.name}] is in DISABLED state"
            )
        return AccessSecretVersionResponse(
            name=f"{secret}/versions/{found}", payload={"data": versions[found - 1].payload}
        )


@contextmanager
def secret_manager(*payloads: str | bytes) -> Iterator[SecretManager]:
    """A service whose secret SECRET has these payloads as its versions; `host` is its address."""
    fake = SecretManager()
    for payload in payloads:
        fake.add(payload)
    server = grpc.server(ThreadPoolExecutor(4))
    access = grpc.unary_unary_rpc_method_handler(
        fake.access, AccessSecretVersionRequest.deserialize, AccessSecretVersionResponse.serialize
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"AccessSecretVersion": access}),))
    fake.host = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield fake
    finally:
        fake.answers.set()
        server.stop(0).wait()
