"""One generation of an object of Cloud Storage as a file: the content that was there when it was written.

Beam's FileSystems reads only the present content of an object.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from apache_beam.io.gcp.gcsio import BeamBlobReader, GcsIO, parse_gcs_path
from google.api_core.exceptions import Forbidden, NotFound, Unauthorized
from google.auth.exceptions import DefaultCredentialsError, RefreshError

from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.transforms.formats.errors import BadFile, CannotReadNow

PART = 4 << 20
"""Bytes of one request."""

GONE = (
    "this generation of the object does not exist any more: it was deleted or overwritten before it was read to its"
    " end; to have its records applied, upload the file again"
)


def open_generation(path: str, generation: int) -> IO[bytes]:
    """The bytes of a generation of the object `path` (gs://BUCKET/OBJECT), also later in a versioned bucket.

    Raises BadFile if the generation is gone, CannotReadNow without permission, and the errors of the client. Reading
    raises the same.
    """
    bucket, name = parse_gcs_path(path)
    with _explained(path):
        reader = _GenerationReader(GcsIO().client.bucket(bucket).blob(name, generation=generation), chunk_size=PART)
    if reader.generation != generation:  # emulators of Cloud Storage give the present one
        raise BadFile(GONE)
    return reader


class _GenerationReader(BeamBlobReader):  # type: ignore[misc]
    @property
    def generation(self) -> int | None:
        return None if self._blob.generation is None else int(self._blob.generation)

    def read(self, size: int = -1) -> bytes:
        with _explained(f"gs://{self._blob.bucket.name}/{self._blob.name}"):
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
