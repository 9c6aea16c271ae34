"""Documents made of rows, as a step of a pipeline that runs in one process."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import apache_beam as beam

from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.transforms.decoding.decoder import POOL
from beam_talonone.transforms.formats.shard import Input
from beam_talonone.transforms.tables.documents import read_documents
from beam_talonone.transforms.tables.table import Table


class ReadDocuments(beam.PTransform):  # type: ignore[misc]
    """The documents of files, by `read_documents`, as a PCollection[Raw]. The rows wait in `folder`, a local one."""

    def __init__(
        self, inputs: Sequence[Input], joined: Mapping[str, Sequence[Input]], table: Table, folder: Path
    ) -> None:
        super().__init__()
        self._sources = list(inputs), dict(joined)
        self._table = table
        self._folder = folder

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection[Raw]:
        """Add the step."""
        return (
            pipeline
            | "Files" >> beam.Create([None])
            | "Group rows"
            >> beam.FlatMap(_documents, *self._sources, self._table, self._folder).with_output_types(Raw)
        )


def _documents(
    _: None, inputs: Sequence[Input], joined: Mapping[str, Sequence[Input]], table: Table, folder: Path
) -> Iterator[Raw]:
    return read_documents(inputs, joined, table, folder, POOL.unwanted)
