"""One generation of an object of Cloud Storage as a file: the content that was there when it was written.

Beam's FileSystems reads only the present content of an object.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from apache_beam.io.gcp.gcsio import GcsIO, parse_gcs_path
from google.api_core.exceptions import Forbidden, NotFound, Unauthorized
from google.auth.exceptions import DefaultCredentialsError, RefreshError
from google.cloud.storage.fileio import BlobReader
from google.cloud.storage.retry import DEFAULT_RETRY

from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.transforms.formats.errors import BadFile, CannotReadNow

PART = 1 << 20
"""Bytes of one request: enough for the rate of any stream. The columns of Parquet are far apart, so that larger
requests would bring more bytes that nobody needs."""

HEAD = 64 << 10
"""Bytes to which reading can go back without a request."""

RETRY_FOR = 15.0
"""Seconds for which a failing request is repeated. Then the caller learns of it, and tries again later."""

GONE = (
    "this generation of the object does not exist any more: it was deleted or overwritten before it was read to its"
    " end; to have its records applied, upload the file again"
)
TWICE_PACKED = (
    "the object has the content encoding gzip and the content type of gzip data, which Cloud Storage cannot serve:"
    " upload the file again without a content encoding"
)


def open_generation(path: str, generation: int) -> IO[bytes]:
    """The bytes of a generation of the object `path` (gs://BUCKET/OBJECT), also later in a versioned bucket.

    Raises BadFile if the generation is gone, CannotReadNow without permission, and the errors of the client. Reading
    raises the same.
    """
    bucket, name = parse_gcs_path(path)
    retry = DEFAULT_RETRY.with_timeout(RETRY_FOR)
    with _explained(path):
        blob = GcsIO().client.bucket(bucket).blob(name, generation=generation)
        blob.reload(retry=retry)
    if int(blob.generation) != generation:  # emulators of Cloud Storage give the present one
        raise BadFile(GONE)
    if blob.content_encoding == "gzip" and blob.content_type in ("application/gzip", "application/x-gzip"):
        raise BadFile(TWICE_PACKED)  # as Beam's reader: the service would answer without end
    # the first bytes tell the format: going back to them must not cost another request
    return io.BufferedReader(_GenerationReader(blob, path, retry), HEAD)


class _GenerationReader(BlobReader):  # type: ignore[misc]
    def __init__(self, blob: Any, path: str, retry: Any) -> None:
        super().__init__(blob, chunk_size=PART, retry=retry, raw_download=True)
        self._path = path

    def read(self, size: int = -1) -> bytes:
        if self.tell() >= self._blob.size:
            return b""  # without a request, which the service would answer with an error
        with _explained(self._path):
            return bytes(super().read(size))


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except NotFound:
        raise BadFile(GONE) from None
    except (Forbidden, Unauthorized, DefaultCredentialsError, RefreshError) as error:
        # a missing role is no fault of the file, and may be granted while the stream runs
        raise CannotReadNow(
            f"{path} cannot be read without roles/storage.objectViewer on its bucket ({error_line(error, 200)})"
        ) from error
