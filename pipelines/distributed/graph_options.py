"""The options of a backfill that is one pipeline, and the places that follow from them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beam_talonone.pipelines.backfill.options import InputOptions, SendingOptions
from beam_talonone.pipelines.distributed.place import Place

QUEUE = "queue.json"
"""The file in the state of a shard that tells whether its send order is the same as before."""

WORKING = "working"
"""The folder in `state` in which shards keep their records while they are sent from this machine."""


@dataclass(frozen=True)
class GraphOptions:
    """All options of a backfill that is one pipeline."""

    input: InputOptions
    sending: SendingOptions
    """`rate` is that of the whole job. The shards that still send have equal shares, unless a `rate_service`
    grants them. `concurrency` is that of each shard."""
    output: str
    """A folder, local or gs://."""
    shards: int = 1
    resume: bool = False
    wait: bool = True
    beam_args: tuple[str, ...] = ()
    here: bool = False
    """Whether the steps run in the process that starts the job."""
    bundle_seconds: float = 120.0
    bundle_records: int = 100_000
    """How long a bundle sends, and how many records at most. Then the rest of its shards is deferred."""

    @property
    def job(self) -> str:
        """The id that stands in dead letters: the same whenever the job in `output` is resumed."""
        return hashlib.blake2b(self.output.rstrip("/").encode(), digest_size=6).hexdigest()

    def fixed(self) -> dict[str, Any]:
        """The options that must be the same when the job is resumed, by name."""
        return {
            **self.input.as_json(),
            "--base-url": self.sending.base_url,
            "--edit-closed": self.sending.edit_closed,
            "--shards": self.shards,
        }


def shard_name(shard: int) -> str:
    """As the files of a shard are named: `shard-0001`."""
    return f"shard-{shard:04d}"


def state_of(options: GraphOptions, shard: int) -> Place:
    """The state of a shard beside the output."""
    return Place(Place(options.output).path("state", shard_name(shard)))


def working(options: GraphOptions) -> Path | None:
    """Where shards keep their records while they are sent: in the job's folder where it is on this machine, so that
    what a killed process leaves there is found. Else None: the worker's disk."""
    if not options.here or not Place(options.output).is_local:
        return None
    folder = Path(options.output) / "state" / WORKING
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
