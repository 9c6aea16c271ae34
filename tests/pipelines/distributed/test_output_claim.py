"""The folder of a backfill as one pipeline: what is refused, who has it, and what a killed process left in it."""

import pytest

from beam_talonone.pipelines.backfill.options import InputOptions, SendingOptions
from beam_talonone.pipelines.distributed.graph_options import GraphOptions
from beam_talonone.pipelines.distributed.output_claim import check_output, claim, taken
from beam_talonone.pipelines.distributed.pipeline import working
from beam_talonone.pipelines.distributed.place import Place
from beam_talonone.pipelines.runners.runner import last_line
from beam_talonone.talonone.errors import ConfigurationError


@pytest.mark.parametrize("output", ["out[1]", "gs://b/out*", "what?", "a/b]"])
def test_a_folder_that_beam_would_take_for_a_pattern(output):
    with pytest.raises(ConfigurationError, match="in a name for a pattern"):
        check_output(output)
    check_output("gs://bucket/some folder, 1")


def test_a_folder_of_this_machine_is_none_of_the_workers() -> None:
    with pytest.raises(ConfigurationError, match="--output out: Dataflow's workers"):
        check_output("out", elsewhere=True)
    check_output("gs://bucket/out", elsewhere=True)


def graph(output, **more) -> GraphOptions:
    return GraphOptions(InputOptions({"orders": "*.jsonl"}), SendingOptions("http://a"), str(output), **more)


def test_two_jobs_at_once_in_one_folder(tmp_path):
    place = Place(str(tmp_path / "out"))
    with taken(place):
        with pytest.raises(ConfigurationError, match="another process is at work in --output"), taken(place):
            pass
        assert claim(place, graph(place.root))
    with taken(place):
        assert claim(place, graph(place.root, resume=True))


def test_records_that_a_killed_process_left_are_removed(tmp_path):
    place = Place(str(tmp_path / "out"))
    options = graph(place.root, here=True)
    with taken(place):
        folder = working(options)
        (folder / "talonone-1").mkdir()
        (folder / "talonone-1" / "spool.sqlite").write_text("records")
    assert not folder.exists()
    working(options)
    with taken(place):
        assert not folder.exists()
    assert working(graph("gs://bucket/out", here=True)) is None
    assert working(graph(place.root)) is None, "the workers have a disk of their own"


@pytest.mark.parametrize(
    ("content", "expected"), [(b"", "is damaged"), (b'{"job": "a"', "is damaged"), (b"{}", "is not the manifest")]
)
def test_a_damaged_manifest_is_named(tmp_path, content, expected):
    place = Place(str(tmp_path / "out"))
    place.write(content, "job.json")
    with pytest.raises(ConfigurationError, match=f"out/job.json {expected}"):
        claim(place, graph(place.root, resume=True))


def test_the_line_of_an_error_that_says_what_happened():
    assert last_line(Exception("<RPC\n  details = gone\n>")) == "details = gone"
    wrapped = "Traceback\nbeam_talonone.talonone.errors.StopRun: no room\n  more of Beam"
    assert last_line(Exception(wrapped)) == "no room"
    assert last_line(ValueError()) == "ValueError"
