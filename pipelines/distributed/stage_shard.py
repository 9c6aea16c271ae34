"""The records of one shard staged: in send order, beside the job's output, before any of them is sent."""

import hashlib
import json
from collections.abc import Iterable
from contextlib import closing
from sqlite3 import Connection

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.ingest import complete, end_repeated
from beam_talonone.pipelines.backfill.output_folder import DISTRIBUTED, decoded, input_changed
from beam_talonone.pipelines.backfill.reading import check_dead_letters, write_input_dead_letters
from beam_talonone.pipelines.backfill.reading_ahead.batch import batch_of, in_batches
from beam_talonone.pipelines.backfill.reading_ahead.steps import stage_records
from beam_talonone.pipelines.backfill.sending.send_order import set_send_order
from beam_talonone.pipelines.backfill.staging_rows import KIND, UNKNOWN_FIELDS, StagedRecord
from beam_talonone.pipelines.distributed.graph_options import QUEUE, GraphOptions, shard_name, state_of
from beam_talonone.pipelines.distributed.place import Place
from beam_talonone.pipelines.distributed.shard_copies import ShardCopy, save_staged
from beam_talonone.pipelines.distributed.shares import Shares
from beam_talonone.schemas.reasons import Stage
from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.state.sealed_lines import damaged
from beam_talonone.transforms.runtime.metrics import count_outcome, count_read


class ShardStaging:
    """Stages the shard `shard` in `copy`, which is empty, and saves what it staged beside the output."""

    def __init__(self, options: GraphOptions, shard: int, copy: ShardCopy) -> None:
        self._graph, self._folder = options, copy.folder
        self._shard, self._name = shard, shard_name(shard)
        self._output, self._state = Place(options.output), state_of(options, shard)
        self._stopped: StopRun | None = None

    def stop(self, why: StopRun) -> None:
        """Stage no more; `go` then raises `why`."""
        self._stopped = why

    def go(self, rows: Iterable[StagedRecord]) -> int:
        """Stage the rows; returns how many are to be sent.

        Raises TooManyDeadLetters, ConfigurationError where the input has changed since the job was started, and
        StopRun after a stop.
        """
        staged = self._folder.staging
        with closing(staging.connect(staged, fresh=True)) as connection:
            total = self._stage(connection, rows)
            self._check_same_order(connection, total)
            write_input_dead_letters(self._folder, connection)
            letters = self._folder.root / "dead-letters" / "input.jsonl"
            if letters.exists():
                data, name = letters.read_bytes(), f"{self._name}-input.jsonl"
                self._output.persist(lambda: self._output.write(data, "dead-letters", name))
            check_dead_letters(connection, self._graph.sending.max_dead_letters, self._graph.output)
        self._unless_stopped()
        save_staged(self._state, staged)  # over the same of an earlier run, which may be damaged
        Shares(self._graph.output).staged(self._shard)
        return total

    def _unless_stopped(self) -> None:
        if self._stopped is not None:
            raise self._stopped

    def _stage(self, connection: Connection, rows: Iterable[StagedRecord]) -> int:
        first = 1
        for batch in in_batches(rows):
            self._unless_stopped()
            stage_records(connection, batch_of(batch), first)
            first += len(batch)
            for record in batch:
                count_read(str(record.row[KIND]), int(record.row[UNKNOWN_FIELDS]))
        staging.number_files(connection)
        kinds = list(self._graph.input.globs)
        end_repeated(connection, self._graph.job)
        complete(connection, self._graph.input, kinds)
        total = set_send_order(connection)
        outcomes = connection.execute("SELECT kind, end, stage, reason FROM fates JOIN records USING (rec)")
        for kind, end, stage, reason in outcomes:
            count_outcome(kind, Outcome(End(end), reason, stage=Stage(stage or Stage.SEND)))
        return total

    def _check_same_order(self, connection: Connection, total: int) -> None:
        """Raises ConfigurationError when the input is not what it was: the journals refer to records by number."""
        digest = hashlib.blake2b(digest_size=16)
        rows = connection.execute("SELECT identity, content FROM queue JOIN records USING (rec) ORDER BY number")
        for identity, content in rows:
            digest.update(identity + (content or b""))
        current = {"records": total, "digest": digest.hexdigest()}
        before = self._state.read(QUEUE)
        if before is None:
            self._state.write(json.dumps(current).encode(), QUEUE)
            return
        earlier = decoded(before, self._state.path(QUEUE))
        if not isinstance(earlier, dict) or set(earlier) != set(current):
            raise damaged(self._state.path(QUEUE), "")
        if earlier != current:
            changed = f"{total:,} records to send, and there were {earlier['records']:,}"
            raise input_changed(self._graph.output, DISTRIBUTED, changed)
