"""A backfill as one pipeline on Beam's in-process engine, or on the one that `beam_args` name: what a cloud does with
many machines, in one to be killed.

    python graph_job.py OPTIONS.json

OPTIONS has what GraphOptions takes. Ends with the exit code of the command.
"""

import json
import sys

from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from beam_talonone.pipelines.backfill.options import InputOptions, SendingOptions, parse_max_dead_letters
from beam_talonone.pipelines.backfill.sending import slices
from beam_talonone.pipelines.distributed import submit
from beam_talonone.pipelines.distributed.graph_options import GraphOptions
from beam_talonone.talonone.errors import ConfigurationError, StopRun


def main() -> int:
    given = json.loads(open(sys.argv[1]).read())  # noqa: SIM115
    if not any(word.startswith("--runner") for word in given["beam_args"]):
        submit.make_runner = lambda settings: FnApiRunner()
    slices.SLICE = given.pop("slice", slices.SLICE)
    sending = given.pop("sending")
    if "max_dead_letters" in sending:
        sending["max_dead_letters"] = parse_max_dead_letters(sending["max_dead_letters"])
    inputs = InputOptions(given.pop("globs"), **given.pop("input", {}))
    options = GraphOptions(inputs, SendingOptions(**sending), **given)
    try:
        return submit.run_remote(options, lambda text: print(text, file=sys.stderr, flush=True))
    except ConfigurationError as error:
        print(f"refused: {error}", file=sys.stderr)
        return 2
    except StopRun as error:
        print(f"stopped: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
