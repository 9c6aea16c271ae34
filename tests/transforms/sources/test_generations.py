"""One generation of an object as a file, and what is said when it cannot be read."""

from types import SimpleNamespace

import pytest
from google.api_core.exceptions import Forbidden, NotFound, ServiceUnavailable, Unauthorized

from beam_talonone.transforms.formats.errors import CannotReadNow
from beam_talonone.transforms.formats.shard import Shard
from beam_talonone.transforms.sources import generations
from beam_talonone.transforms.sources.opening import Format, open_file
from beam_talonone.transforms.sources.shards import read_shard

PATH, LINES = "gs://b/in/a.jsonl", b'{"n": 1}\n{"n": 2}\n'


class Blob:
    """An object of Cloud Storage: `contents` by generation; it raises `failure` once `lasts` reads have succeeded."""

    chunk_size = content_type = content_encoding = None

    def __init__(self, name, generation, contents, failure=None, lasts=0, present=None, **more):
        self.name, self.bucket = name, SimpleNamespace(name="b")
        self._asked, self._contents, self._failure, self._lasts = generation, contents, failure, lasts
        self.generation, self.present, self.size = generation, present, None
        vars(self).update(more)

    def reload(self, **_):
        if self._failure is not None and not self._lasts:
            raise self._failure
        if self._asked not in self._contents:
            raise NotFound("No such object")
        self.size = len(self._contents[self._asked])
        self.generation = self.present or self._asked

    def download_as_bytes(self, start=0, end=None, **_):
        self._lasts -= 1
        if self._failure is not None and self._lasts < 1:
            raise self._failure
        return self._contents[self._asked][start : None if end is None else end + 1]


@pytest.fixture
def bucket(monkeypatch):
    def make(contents=LINES, **more):
        def of_bucket(_):
            return SimpleNamespace(blob=lambda name, generation: Blob(name, generation, {7: contents}, **more))

        monkeypatch.setattr(generations, "GcsIO", lambda: SimpleNamespace(client=SimpleNamespace(bucket=of_bucket)))

    return make


def test_an_object_that_the_service_cannot_serve_is_refused(bucket):
    bucket(content_encoding="gzip", content_type="application/gzip")
    (only,) = read(7)
    assert only.broken == generations.TWICE_PACKED


def test_a_small_file_is_one_request(bucket, monkeypatch):
    bucket()
    requests = []
    download = Blob.download_as_bytes
    monkeypatch.setattr(Blob, "download_as_bytes", lambda *a, **more: requests.append(more) or download(*a, **more))
    with open_file(PATH, "jsonl", 7) as (handle, _):
        assert handle.read(1_000) == LINES
    assert len(requests) == 1


def read(generation):
    return list(read_shard(Shard("orders", PATH, Format("jsonl"), generation=generation)))


def test_it_is_read(bucket):
    bucket()
    assert [(raw.file, raw.position, raw.line) for raw in read(7)] == [
        (PATH, 1, b'{"n": 1}'),
        (PATH, 2, b'{"n": 2}'),
    ]


@pytest.mark.parametrize("more", [{}, {"present": 9}], ids=["as the service", "as an emulator"])
def test_one_that_is_gone_is_the_end_of_the_file(bucket, more):
    bucket(**more)
    (only,) = read(8 if not more else 7)
    assert (only.line, only.broken) == (None, generations.GONE)


def test_deleted_in_the_middle_the_rest_is_gone(bucket, monkeypatch):
    monkeypatch.setattr(generations, "PART", 2 << 20)
    bucket(contents=b'{"n": 1}\n' * 400_000, failure=NotFound("No such object"), lasts=2)
    *before, last = read(7)
    assert len(before) > 100_000
    assert all(raw.line == b'{"n": 1}' for raw in before)
    assert (last.position, last.broken) == (len(before) + 1, generations.GONE)


@pytest.mark.parametrize("failure", [Forbidden("no"), Unauthorized("no")], ids=["403", "401"])
def test_without_permission_it_may_be_read_later(bucket, failure):
    bucket(failure=failure)
    with pytest.raises(CannotReadNow, match=r"^gs://b/in/a.jsonl cannot be read without roles/storage.objectViewer"):
        read(7)


def test_a_service_that_does_not_answer_may_answer_later(bucket):
    bucket(failure=ServiceUnavailable("no"))
    with pytest.raises(CannotReadNow, match=r"^gs://b/in/a.jsonl cannot be read: "):
        read(7)
