"""A backfill as one pipeline on Beam's in-process engine, or on the one that `beam_args` name: what a cloud does with
many machines, in one to be killed.

    python graph_job.py OPTIONS.json

OPTIONS has what GraphOptions takes. Ends with the exit code of the command.

With `notes`, each bundle of a shard leaves a line in that file. It has the shard, the first record of the bundle
and the first one that it leaves. Two lists follow: the records with outcomes beside the output, before and after it.
"""

import json
import sys
import tempfile
from pathlib import Path

from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from beam_talonone.pipelines.backfill.options import InputOptions, SendingOptions, parse_max_dead_letters
from beam_talonone.pipelines.backfill.sending import slices
from beam_talonone.pipelines.backfill.sending.journal import read_journal
from beam_talonone.pipelines.distributed import submit
from beam_talonone.pipelines.distributed.graph_options import GraphOptions, state_of
from beam_talonone.pipelines.distributed.journal_copies.journal_backup import JournalBackup
from beam_talonone.pipelines.distributed.pipeline import SendShard
from beam_talonone.pipelines.distributed.shard_restriction import REST_OF_SHARD
from beam_talonone.talonone.errors import ConfigurationError, StopRun


def main() -> int:
    given = json.loads(open(sys.argv[1]).read())  # noqa: SIM115
    if not any(word.startswith("--runner") for word in given["beam_args"]):
        submit.make_runner = lambda settings: FnApiRunner()
    slices.SLICE = given.pop("slice", slices.SLICE)
    if notes := given.pop("notes", None):
        note_bundles(Path(notes))
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


def note_bundles(path):
    """From now on, each bundle of a shard is noted in `path`. The workers are threads of this process."""
    process = SendShard.process

    def noted(self, element, rest=REST_OF_SHARD):
        first, before = rest.current_restriction()[0], kept_beside_the_output(self._options, element[0])
        yield from process(self, element, rest)
        leaves, after = rest.current_restriction()[1], kept_beside_the_output(self._options, element[0])
        with path.open("a") as file:
            file.write(json.dumps([element[0], first, leaves, before, after]) + "\n")

    SendShard.process = noted


def kept_beside_the_output(options, shard):
    """The numbers of the records whose outcomes another worker would find."""
    with tempfile.TemporaryDirectory() as folder:
        backup = JournalBackup(state_of(options, shard))
        try:
            backup.fetch(lambda name: Path(folder, name))
        finally:
            backup.close()
        return sorted(number for journal in Path(folder).iterdir() for number in read_journal(journal).done)


if __name__ == "__main__":
    sys.exit(main())
