"""Send the orders of a subscription to Talon.One from this machine:
`python local_stream.py --subscription=projects/P/subscriptions/S --state=/var/lib/orders`.

It runs on Prism until you stop it. Set TALONONE_BASE_URL and TALONONE_API_KEY. You can append options of Beam.
"""

import json

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from beam_talonone import ReadFromPubSubAtLeastOnce, WriteToTalonOne


class StreamOptions(PipelineOptions):
    """The options of this pipeline."""

    @classmethod
    def _add_argparse_args(cls, parser):
        parser.add_argument("--subscription")
        parser.add_argument("--state", help="folder that survives a crash")


def create_pipeline(options: PipelineOptions) -> beam.Pipeline:
    """Build the pipeline without running it."""
    stream = options.view_as(StreamOptions)
    pipeline = beam.Pipeline(options=options)
    written = (
        pipeline
        | ReadFromPubSubAtLeastOnce([stream.subscription])
        | WriteToTalonOne("orders", rate=50, settle=2, state=stream.state)
    )
    _ = written.dead_letters | beam.Map(json.dumps) | beam.Map(print)  # your own alerts
    return pipeline


if __name__ == "__main__":
    create_pipeline(PipelineOptions(runner="PrismRunner", streaming=True)).run().wait_until_finish()
