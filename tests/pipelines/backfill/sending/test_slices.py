"""Nothing of a slice is kept after its end."""

from typing import Any, cast

import pytest

from beam_talonone.pipelines.backfill.sending import slices
from beam_talonone.transforms.runtime.process_registry import PROCESS


def test_a_run_is_known_only_while_it_goes_on() -> None:
    run = cast(Any, object())
    with slices.registered("slice", run):
        assert PROCESS.find(slices.RUNS, "slice") is run
    assert PROCESS.find(slices.RUNS, "slice") is None


def test_nor_is_it_after_a_failure() -> None:
    with pytest.raises(RuntimeError), slices.registered("slice", cast(Any, object())):
        raise RuntimeError("the pipeline failed")
    assert PROCESS.find(slices.RUNS, "slice") is None
