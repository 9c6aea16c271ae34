"""What is refused before a backfill is started as one pipeline."""

import pytest

from beam_talonone.pipelines.backfill_remote import check_output, find_prism
from beam_talonone.pipelines.runner import beam_options
from beam_talonone.talonone.errors import ConfigurationError


@pytest.mark.parametrize("output", ["out[1]", "gs://b/out*", "what?", "a/b]"])
def test_a_folder_that_beam_would_take_for_a_pattern(output):
    with pytest.raises(ConfigurationError, match="in its name cannot be used"):
        check_output(output)
    check_output("gs://bucket/some folder, 1")


def test_prism_is_found_where_a_stream_finds_it(tmp_path, monkeypatch):
    from apache_beam.options.pipeline_options import PrismRunnerOptions

    program = tmp_path / "prism"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = beam_options(("--runner=PrismRunner",))
    find_prism(found)
    assert found.view_as(PrismRunnerOptions).prism_location == str(program)
    with pytest.raises(ConfigurationError, match="is no program"):
        find_prism(beam_options(("--runner=PrismRunner", f"--prism_location={tmp_path}/none")))
