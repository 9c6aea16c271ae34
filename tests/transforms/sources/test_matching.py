"""Which files a pattern matches: braces, several patterns, glob characters in names, markers, no regular files."""

import os
import socket

import pytest
from apache_beam.io.filesystem import FileMetadata, FileSystem

from beam_talonone.transforms.formats.errors import BadFile, CannotList, NoSuchInput, UnknownFormat
from beam_talonone.transforms.formats.shard import Shard
from beam_talonone.transforms.sources.matching import match_files
from beam_talonone.transforms.sources.opening import Format, open_file
from beam_talonone.transforms.sources.shards import read_shard

LINE = b'{"event_id":"e1"}\n'
BUCKET: dict[str, int] = {}


class BucketFileSystem(FileSystem):
    """A store of objects, listed by prefix as Cloud Storage is."""

    @classmethod
    def scheme(cls):
        return "bucket"

    def has_dirs(self):
        return False

    def exists(self, path):
        return path in BUCKET

    def metadata(self, path):
        return FileMetadata(path, BUCKET[path], 7.0)

    def _list(self, dir_or_prefix):
        return [self.metadata(path) for path in BUCKET if path.startswith(dir_or_prefix)]

    def join(self, basepath, *paths):
        raise NotImplementedError

    split = mkdirs = create = open = copy = rename = size = last_updated = checksum = delete = join


@pytest.fixture
def bucket(monkeypatch):
    """Objects by their names, of 9 bytes, folders empty."""

    def fill(*names):
        for name in names:
            monkeypatch.setitem(BUCKET, f"bucket://b/{name}", 0 if name.endswith("/") else 9)
        return "bucket://b"

    return fill


@pytest.fixture
def local(tmp_path):
    """Files by their names."""

    def fill(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(LINE)
        return str(tmp_path)

    return fill


@pytest.fixture(params=["local", "bucket"])
def place(request):
    return request.getfixturevalue(request.param)


def names(root, *patterns, notice=lambda line: None):
    """What the patterns below `root` match, as paths below it."""
    given = [f"{root}/{pattern}" for pattern in patterns]
    return [
        info.path.removeprefix(f"{root}/") for info in match_files(given[0] if len(given) == 1 else given, notice)
    ]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("{b,a}.jsonl", ["a.jsonl", "b.jsonl"]),
        ("{a,none}.jsonl", ["a.jsonl"]),
        ("{a,*}.jsonl", ["a.jsonl", "b.jsonl", "c.jsonl"]),
        ("{sub,other}/{d,e}*", ["other/e.jsonl", "sub/d.jsonl"]),
        ("a{,2}.json*", ["a.jsonl"]),
        ("[ab].jsonl", ["a.jsonl", "b.jsonl"]),
        ("[!a].jsonl", ["b.jsonl", "c.jsonl"]),
        ("?.jsonl", ["a.jsonl", "b.jsonl", "c.jsonl"]),
        ("*/*.jsonl", ["other/e.jsonl", "sub/d.jsonl"]),
        ("**.jsonl", ["a.jsonl", "b.jsonl", "c.jsonl", "other/e.jsonl", "sub/d.jsonl", "sub/deep/f.jsonl"]),
        ("**/*.jsonl", ["other/e.jsonl", "sub/d.jsonl", "sub/deep/f.jsonl"]),
        ("s*/deep/*.jsonl", ["sub/deep/f.jsonl"]),
        ("*/deep/f.jsonl", ["sub/deep/f.jsonl"]),
    ],
)
def test_what_a_pattern_matches(place, pattern, found):
    root = place("a.jsonl", "b.jsonl", "c.jsonl", "sub/d.jsonl", "other/e.jsonl", "sub/deep/f.jsonl")
    assert names(root, pattern) == found


def test_several_patterns_give_each_file_once_in_their_order(place):
    root = place("a.jsonl", "b.jsonl", "c.jsonl")
    assert names(root, "b.jsonl", "*.jsonl", "c*") == ["b.jsonl", "a.jsonl", "c.jsonl"]
    with pytest.raises(NoSuchInput, match=r"d\*: no file matches"):
        names(root, "a.jsonl", "d*")


def test_a_file_that_is_named_in_two_ways_is_read_once(local, monkeypatch):
    root = local("in/a.jsonl")
    monkeypatch.chdir(root)
    os.symlink("in", "link")
    assert [info.path for info in match_files(["in/*", f"{root}/in/a.jsonl", "./in/a.jsonl", "link/*"])] == [
        "in/a.jsonl"
    ]


ODD = [
    "a[1].jsonl",
    "a*.jsonl",
    "a?.jsonl",
    "a{1,2}.jsonl",
    "a b.jsonl",
    ".hidden.jsonl",
    "_SUCCESS",
    "in[1]/a.jsonl",
]


@pytest.mark.parametrize("name", ODD)
def test_a_path_that_exists_is_that_file_whatever_characters_it_has(place, name):
    assert names(place(*ODD, "a1.jsonl", "a2.jsonl"), name) == [name]


MARKERS = [
    "_SUCCESS", ".part-0.jsonl.crc", "part-0.jsonl.crc", ".hidden.jsonl", "_committed_123", "_started_123",
    "_temporary", "_metadata",
]  # fmt: skip


def test_markers_and_hidden_files_are_no_data(place):
    root = place("part-0.jsonl", "_orders.jsonl", "_commits.jsonl", *MARKERS)
    assert names(root, "*") == ["_commits.jsonl", "_orders.jsonl", "part-0.jsonl"]
    assert names(root, "**") == ["_commits.jsonl", "_orders.jsonl", "part-0.jsonl"]
    assert names(root, ".hid*", "_SUCC*") == [".hidden.jsonl", "_SUCCESS"]


def test_what_lies_in_hidden_and_temporary_folders_is_no_data(place):
    root = place("day/a.jsonl", ".staging/b.jsonl", "_temporary/0/c.jsonl", "_delta_log/d.jsonl")
    assert names(root, "*/*.jsonl") == names(root, "**.jsonl") == ["day/a.jsonl"]
    assert names(root, ".staging/*") == [".staging/b.jsonl"]
    assert names(root, "_temporary/**") == ["_temporary/0/c.jsonl"]


def test_objects_that_stand_for_folders_are_no_data(bucket):
    assert names(bucket("in/", "in/a.jsonl", "in/sub/"), "in/*") == ["in/a.jsonl"]
    BUCKET.pop("bucket://b/in/a.jsonl")
    with pytest.raises(NoSuchInput, match="no file matches but marker and hidden files"):
        names("bucket://b", "in/*")


@pytest.mark.parametrize("pattern", ["*", "**", "_S?CCESS"])
def test_a_glob_that_matches_only_markers_says_so(place, pattern):
    root = place("_SUCCESS")
    if pattern == "_S?CCESS":
        assert names(root, pattern) == ["_SUCCESS"]
        return
    with pytest.raises(NoSuchInput, match=r"no file matches but marker and hidden files, .* example .*/_SUCCESS"):
        names(root, pattern)


def test_a_folder_is_left_out_with_a_notice_and_is_an_error_alone(local):
    root = local("a.jsonl", "b.jsonl/c.jsonl")
    notices = []
    assert names(root, "*.jsonl", notice=notices.append) == ["a.jsonl"]
    assert notices == [f"{root}/b.jsonl is a folder and is left out: name its files to read them"]
    with pytest.raises(NoSuchInput, match=r"only folders: name their files, for example .*/b\.jsonl/\*\.jsonl"):
        names(root, "b*")
    with pytest.raises(UnknownFormat, match="is a folder: name its files"):
        names(root, "b.jsonl")


def test_an_empty_file_is_mentioned(local, bucket):
    root, notices = local("a.jsonl"), []
    open(f"{root}/b.jsonl", "w").close()
    assert names(root, "*", notice=notices.append) == ["a.jsonl", "b.jsonl"]
    BUCKET[f"{bucket('c.jsonl')}/c.jsonl"] = 0
    assert names("bucket://b", "c*", notice=notices.append) == ["c.jsonl"]
    assert notices == [f"{root}/b.jsonl is empty", "bucket://b/c.jsonl is empty"]


def test_what_is_no_file_is_matched_and_breaks_off_at_once_with_the_reason(local):
    root = local("a.jsonl")
    os.symlink("nowhere", f"{root}/link.jsonl")
    os.symlink("/dev/zero", f"{root}/device.jsonl")
    os.mkfifo(f"{root}/pipe.jsonl")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(f"{root}/socket.jsonl")
        notices = []
        assert names(root, "*", notice=notices.append) == [
            "a.jsonl", "device.jsonl", "link.jsonl", "pipe.jsonl", "socket.jsonl",
        ]  # fmt: skip
        assert notices == []
        broken = {}
        for name in ("device", "link", "pipe", "socket"):
            [raw] = read_shard(Shard("events", f"{root}/{name}.jsonl", Format("jsonl")))
            assert raw.whole_file
            broken[name] = raw.broken
    assert broken == {
        "device": "this is a device, not a file",
        "link": "this is a link to nowhere, which cannot be reached",
        "pipe": "this is a named pipe, not a file",
        "socket": "this is a socket, not a file",
    }


def test_a_folder_that_cannot_be_listed_is_named(local, monkeypatch):
    root, real = local("in/a.jsonl", "shut/b.jsonl"), os.listdir

    def listdir(path):
        if path.startswith(f"{root}/shut"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)
    with pytest.raises(CannotList, match="shut/ cannot be listed: Permission denied"):
        names(root, "*/*.jsonl")
    assert names(root, "i*/*.jsonl") == ["in/a.jsonl"]


def test_links_to_folders_are_followed_to_a_depth_that_is_given(local):
    root = local("in/a.jsonl")
    os.symlink(root, f"{root}/in/round")
    assert names(root, "in/**.jsonl") == ["in/a.jsonl"]
    assert names(root, "in/*/in/*.jsonl") == ["in/round/in/a.jsonl"]


def test_braces_beyond_measure_are_refused():
    with pytest.raises(CannotList, match="more than 10,000 alternatives"):
        match_files("{a,b}" * 20)


def test_standard_input_is_refused_as_that(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoSuchInput, match="-: nothing is read from standard input"):
        match_files("-")
    with pytest.raises(BadFile, match="nothing is read from standard input"), open_file("-", "json"):
        pass
    (tmp_path / "-").write_text("{}")
    assert [info.path for info in match_files("-")] == ["-"]
    with open_file("-", "json") as (handle, _):
        assert handle.read() == b"{}"
