"""Files of a job on another machine: whole or not there, whatever fails while they are written."""

import pytest
from support.servers import memory_files

from beam_talonone.pipelines.distributed.place import Place


@pytest.fixture(params=["here", "elsewhere"])
def place(request, tmp_path):
    return Place(str(tmp_path / "state") if request.param == "here" else f"mem://bucket/{tmp_path.name}")


def breaking_off():
    yield b"first half, "
    raise OSError("no second half")


def test_what_breaks_off_while_it_is_written_does_not_appear(place):
    for before in (None, b"whole"):
        if before is not None:
            place.write(before, "a.json")
        with pytest.raises(OSError, match="no second half"):
            place.write(breaking_off(), "a.json")
        assert place.read("a.json") == before
        assert place.names("*") == ([] if before is None else ["a.json"])


def test_an_upload_that_cannot_be_given_up_either_does_not_appear(tmp_path, monkeypatch):
    """The network is gone. The garbage collector must not finish the upload later."""

    def fails(self):
        raise OSError("no network")

    monkeypatch.setattr(memory_files.Upload, "terminate", fails)
    place = Place(f"mem://bucket/{tmp_path.name}")
    with pytest.raises(OSError, match="no second half"):
        place.write(breaking_off(), "a.json")
    assert place.read("a.json") is None


def test_pieces_become_one_file(place):
    place.write(iter([b"a", b"b"]), "deep", "a.json")
    assert place.read("deep", "a.json") == b"ab"
