"""Cloud Storage on this machine: the emulator as a process that can be stopped and started again with what is in it.

It needs no login, but Beam's client does not know that, and looks for one for half a minute: so this module writes a
login file. Measured with gcp-storage-emulator 2026.7.19: it answers 0.1 s after its start, and serves one request at
a time. It can do all that Beam needs: list by prefix, upload in parts, read ranges, delete in batches.
"""

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from streams.harness.emulator import guard

from support.servers.ports import free_port

BUCKET = "some-bucket"

STARTS_WITHIN = 30.0
"""Seconds; other work may hold the machine."""


@dataclass
class CloudStorage:
    """The emulator with one bucket, whose files are in `folder`. Each test has a folder of its own in the bucket."""

    program: Path
    folder: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None
    _guard: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of a process that uses this emulator, not only the difference."""
        login = {"GOOGLE_APPLICATION_CREDENTIALS": str(self.folder / "login.json")}
        return os.environ | login | {"STORAGE_EMULATOR_HOST": self.url, "GOOGLE_CLOUD_PROJECT": "some-project"}

    def start(self) -> None:
        """Start it, with all that was in it when it was stopped. Raises RuntimeError when it does not answer."""
        command = [
            str(self.program), "--data-dir", str(self.folder / "data"), "start", "--quiet",
            "--host", "127.0.0.1", "--port", str(self.port), "--default-bucket", BUCKET,
        ]  # fmt: skip
        with (self.folder / "storage.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._guard = ExitStack()
        self._guard.enter_context(guard(self._process.pid))
        until = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < until and self._process.poll() is None:
            with suppress(OSError):
                urllib.request.urlopen(f"{self.url}/storage/v1/b/{BUCKET}", timeout=5).close()
                return
            time.sleep(0.05)
        raise RuntimeError(f"the Cloud Storage emulator does not answer; its log ends in\n{self.tail()}")

    def stop(self) -> None:
        """From now on connections are refused, until it is started again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._guard.close()
            self._process = None

    def tail(self, lines: int = 20) -> str:
        return "\n".join((self.folder / "storage.log").read_text(errors="replace").splitlines()[-lines:])

    @cached_property
    def _bucket(self) -> Any:
        client = storage.Client("some-project", AnonymousCredentials(), client_options={"api_endpoint": self.url})
        return client.bucket(BUCKET)

    def put(self, name: str, data: bytes | str, **more: Any) -> str:
        """Write a file; gives its gs:// name."""
        blob = self._bucket.blob(name)
        for what, value in more.items():
            setattr(blob, what, value)
        blob.upload_from_string(data, content_type=blob.content_type or "application/octet-stream")
        return f"gs://{BUCKET}/{name}"

    def get(self, name: str) -> bytes:
        return bytes(self._bucket.blob(name).download_as_bytes(raw_download=True))

    def delete(self, name: str) -> None:
        self._bucket.delete_blob(name)

    def names(self, folder: str) -> list[str]:
        """The names of all files in `folder` and in those within, without its own, sorted."""
        start = folder.rstrip("/") + "/"
        return sorted(blob.name.removeprefix(start) for blob in self._bucket.list_blobs(prefix=start))

    def lines(self, folder: str) -> list[dict[str, Any]]:
        """The lines of all `.jsonl` in `folder`."""
        found = [name for name in self.names(folder) if name.endswith(".jsonl")]
        return [json.loads(line) for name in found for line in self.get(f"{folder}/{name}").splitlines()]


@contextmanager
def running_storage(program: Path, folder: Path) -> Iterator[CloudStorage]:
    """Started, and ended with this, or when pytest is killed."""
    found = CloudStorage(program, folder)
    # as `gcloud auth application-default login` leaves it, with a token that lasts: nobody is asked for one
    credentials = {"client_id": "one", "client_secret": "none", "refresh_token": "none", "token": "a-token"}
    login = {"type": "authorized_user", "expiry": "2999-01-01T00:00:00Z", **credentials}
    (folder / "login.json").write_text(json.dumps(login))
    found.start()
    try:
        yield found
    finally:
        found.stop()
