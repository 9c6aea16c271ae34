"""The output folder of a backfill that is handed over to a runner, on any file system."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from beam_talonone.pipelines.backfill.output_folder import (
    DISTRIBUTED,
    MANIFEST,
    OURS,
    compare_options,
    job_already,
    lock_folder,
    no_job,
)
from beam_talonone.pipelines.distributed.graph_options import WORKING, GraphOptions
from beam_talonone.pipelines.distributed.pipeline import manifest
from beam_talonone.pipelines.distributed.place import Place
from beam_talonone.pipelines.terminal.interruptible import interruptible
from beam_talonone.talonone.errors import ConfigurationError, Interrupted
from beam_talonone.transforms.sources.opening import in_words


def check_output(output: str, *, elsewhere: bool = False) -> None:
    """Raises ConfigurationError for a folder whose name Beam's file systems would take for a pattern: what is in it
    would not be found, and all be sent again. And for one of this machine, where the workers are `elsewhere`."""
    odd = sorted({character for character in output if character in "*?[]"})
    if odd:
        raise ConfigurationError(
            f"--output {output}: Beam takes {' '.join(odd)} in a name for a pattern; name a folder without"
        )
    if elsewhere and Place(output).is_local:
        raise ConfigurationError(
            f"--output {output}: Dataflow's workers have no folder of this machine: give a gs:// path"
        )


@contextmanager
def taken(place: Place) -> Iterator[None]:
    """The folder is this process's alone meanwhile, where it is on this machine; what another one that was killed
    left there of its records is removed. Raises ConfigurationError when another process is at work in it."""
    if not place.is_local:
        yield
        return
    lock = lock_folder(Path(place.root))
    try:
        shutil.rmtree(place.path("state", WORKING), ignore_errors=True)
        yield
    finally:
        shutil.rmtree(place.path("state", WORKING), ignore_errors=True)
        os.close(lock)


def claim(place: Place, options: GraphOptions) -> bool:
    """Take the folder for the job, new or resumed; False when the job in it is finished.

    Raises ConfigurationError when it is used and --resume is not given, when there is no job and --resume is given,
    and when options differ.
    """
    try:
        used, finished, other = interruptible(lambda: _look_into(place), f"looking into --output {place.root}")
    except Interrupted:
        raise
    except Exception as error:
        raise ConfigurationError(f"--output {place.root} cannot be read: {in_words(error)}") from None
    if not options.resume and (used or finished or other):
        raise job_already(place.root)
    requested = {"command": DISTRIBUTED, "options": options.fixed()}
    if used:
        compare_options(place.root, manifest(options.output), requested)
        return not finished
    if options.resume:
        raise no_job(place.root)
    started = {"job": options.job, "started": time.time(), **requested}
    try:
        place.write(json.dumps(started, indent=2).encode(), MANIFEST)
    except Exception as error:
        raise ConfigurationError(f"--output {place.root} cannot be written to: {in_words(error)}") from None
    return True


def _look_into(place: Place) -> tuple[bool, bool, bool]:
    """Whether there is a job, whether it is finished, and whether there is what one leaves."""
    other = any(name != "state" and "." not in name and place.names(f"{name}/*") for name in OURS)
    return place.read(MANIFEST) is not None, place.read("report.json") is not None, other
