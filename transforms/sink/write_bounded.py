"""WriteToTalonOne for a bounded PCollection: all records are grouped and sorted before the first one is sent."""

from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows

from beam_talonone.transforms.sink.mapped_keys import FindMappedKeys
from beam_talonone.transforms.sink.step import Step
from beam_talonone.transforms.sink.write_steps import DEAD, OTHERS, FindKeys, SendLanes, ValidateRecords
from beam_talonone.transforms.sink.written import Line, Written


def write_bounded(records: beam.PCollection[Any], step: Step) -> Written:
    """Add the steps that send bounded `records`. Their names are stable, so that graphs compare."""
    # order does not depend on windows: an older version in another window must not overwrite a newer one
    together = records | "One window" >> beam.WindowInto(GlobalWindows())
    # Any, because --runtime_type_check compares the dead letters with the main type
    prepared = together | "Validate" >> beam.ParDo(
        ValidateRecords(step.kind, step.build, step.reading, step.label, step.job, step.mapping)
    ).with_output_types(Any, **{DEAD: Line}).with_outputs(DEAD, main="ready")
    sent = (
        prepared.ready
        | "By order" >> beam.GroupByKey()
        | "Find lanes" >> beam.ParDo(FindKeys() if step.mapping is None else FindMappedKeys())
        | "By customer" >> beam.GroupByKey()
        | "Send"
        >> beam.ParDo(SendLanes(step.config, step.options, step.label, step.job))
        .with_output_types(Line, **{DEAD: Line, OTHERS: Line})
        .with_outputs(DEAD, OTHERS, main="applied")
    )
    dead = (prepared[DEAD], sent[DEAD]) | "Dead letters" >> beam.Flatten()
    return Written(sent.applied, dead, sent[OTHERS])
