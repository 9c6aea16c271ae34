"""Written: what WriteToTalonOne outputs."""

from typing import Any, NamedTuple

import apache_beam as beam

Line = dict[str, Any]


class Written(NamedTuple):
    """The three outputs of WriteToTalonOne, PCollections of dicts. Every record is in exactly one of them. What a
    mapping filters is in none, and counted by the metric `orders_filtered` (or of another kind).

    `applied` has the fields of results/*.jsonl, and `dead_letters` those of dead-letters/*.jsonl. `others`
    (superseded, duplicate, skipped) has `kind`, `id`, `outcome` and `reason`.

    >>> from beam_talonone import WriteToTalonOne
    >>> records = beam.Pipeline() | beam.Create([{"event_id": "e-1"}])
    >>> written = records | WriteToTalonOne("events", base_url="https://yourcompany.europe-west1.talon.one")
    >>> written._fields
    ('applied', 'dead_letters', 'others')
    """

    applied: beam.PCollection[Line]
    dead_letters: beam.PCollection[Line]
    others: beam.PCollection[Line]
