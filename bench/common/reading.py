"""The reading of a backfill alone: `python -m common.reading KIND FILE DATABASE` fills a staging database."""

import sys
import time
from pathlib import Path

from beam_talonone.pipelines.backfill.ingest import ingest
from beam_talonone.pipelines.backfill.inputs import match_inputs
from beam_talonone.pipelines.backfill.options import InputOptions
from beam_talonone.pipelines.terminal.stopping import STOP


def main() -> None:
    """Read and check the file of the command line; print the seconds that it took, without the imports."""
    kind, file, database = sys.argv[1:]
    options = InputOptions({kind: file})
    began = time.perf_counter()
    with STOP.taking_signals():
        ingest(Path(database), options, match_inputs(options, print), "bench", ())
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
